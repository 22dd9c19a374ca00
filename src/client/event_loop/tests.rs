use tox_test_relay::{Options, Relay as TestRelay};

use super::*;
use crate::client::Client;
use crate::config::{Config, Relay};
use crate::error::SendError;
use crate::event::Event;
use crate::key::{PublicKey, SecretKey};

#[test]
fn an_id_is_in_each_list_at_most_once_however_often_its_queue_is_flushed() {
    let relay = TestRelay::start(Options::default()).expect("a relay");
    let mut client = Client::new(Config::new(SecretKey::generate()).send_queue(4_068)).expect("a client");
    let id = client.connect(Relay::new(relay.addr(), relay.public_key().into())).expect("a connection");
    let mut events = Events::with_capacity(8);
    while !events.iter().any(|event| matches!(event, Event::Connected { connection, .. } if connection == id))
    {
        client.poll(&mut events, Some(Duration::from_secs(10))).expect("a poll");
    }
    let mut sent = 0;
    while sent < 18_000 {
        match client.send_oob(id, PublicKey::from([9; 32]), &[7; 100]) {
            Ok(()) => sent += 1,
            Err(SendError::WouldBlock) => client.poll(&mut events, None).expect("a poll"),
            Err(error) => panic!("{error}"),
        }
        assert!(client.event_loop.unflushed.len() <= 1 && client.event_loop.ready.len() <= 1);
    }
}
