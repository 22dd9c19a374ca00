// Shared by the examples in the documentation. Each example includes this file as a hidden module, so that it shows
// only what it is about. (An included file cannot begin with `//!`.)

use std::net::SocketAddr;
use std::{mem, thread};

use tox_relay_client::*;

/// The address and the key of a relay, which runs until the process ends.
pub fn relay() -> (SocketAddr, PublicKey) {
    let relay = tox_test_relay::Relay::start(Default::default()).unwrap();
    let result = (relay.addr(), relay.public_key().into());
    mem::forget(relay);
    result
}

/// A client without connections.
pub fn client() -> Client {
    Client::new(Config::new(SecretKey::generate())).unwrap()
}

/// A client that is connected to a relay, and a friend who is connected there too and opens a route to it.
pub fn connected() -> (Client, ConnectionId, PublicKey) {
    let (address, relay_key) = relay();
    let (mut client, mut friend) = (client(), self::client());
    let (myself, friend_key) = (client.public_key(), friend.public_key());
    friend.connect(Relay::new(address, relay_key)).unwrap();
    thread::spawn(move || {
        let mut events = Events::with_capacity(16);
        loop {
            friend.poll(&mut events, None).unwrap();
            for event in &events {
                if let Event::Connected { connection: relay, .. } = event {
                    friend.open_route(relay, myself).unwrap();
                }
            }
        }
    });
    let relay = client.connect(Relay::new(address, relay_key)).unwrap();
    wait(&mut client, |event| matches!(event, Event::Connected { .. }));
    (client, relay, friend_key)
}

/// A client that is connected to a relay, and has a route to a friend, who is online.
pub fn online() -> (Client, RouteId, PublicKey) {
    let (mut client, relay, friend) = connected();
    let route = client.open_route(relay, friend).unwrap();
    wait(&mut client, |event| matches!(event, Event::RouteOnline { .. }));
    (client, route, friend)
}

/// Polls until a poll returns an event for which `is_it` returns true.
fn wait(client: &mut Client, is_it: impl Fn(Event<'_>) -> bool) {
    let mut events = Events::with_capacity(16);
    while !events.iter().any(&is_it) {
        client.poll(&mut events, None).unwrap();
    }
}
