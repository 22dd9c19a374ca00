//! Each way in which the relay can misbehave, and the calls that make it misbehave at run time.

mod common;

use std::io::{Read, Write};

use common::{Client, GUARD, Greeting, Identity, expect_end, expect_reset, relay};
use tox_test_relay::{Conduct, Reason, kind::*};

#[test]
fn close_on_accept() {
    let relay = relay(Conduct::CloseOnAccept);
    let mut greeting = Greeting::send(&relay, &Identity::new());
    expect_end(&mut greeting.stream);
    assert_eq!(relay.statistics().hellos, 0);
    drop(greeting);
    assert!(relay.wait_until(GUARD, |s| s.connected == 0).is_some());
}

#[test]
fn deaf() {
    let relay = relay(Conduct::Deaf);
    let greeting = Greeting::send(&relay, &Identity::new());
    assert!(relay.wait_until(GUARD, |s| s.connected == 1).is_some());
    drop(greeting);
    let statistics = relay.wait_until(GUARD, |s| s.connected == 0 && s.accepted == 1).unwrap();
    assert_eq!(statistics.bytes_in, 0);
}

#[test]
fn deaf_after_handshake() {
    let relay = relay(Conduct::DeafAfterHandshake);
    let mut client = Greeting::send(&relay, &Identity::new()).finish();
    client.send(&[PING; 9]);
    assert!(relay.wait_until(GUARD, |s| s.connected == 1).is_some());
    drop(client);
    let statistics = relay.wait_until(GUARD, |s| s.connected == 0).unwrap();
    assert_eq!((statistics.hellos, statistics.packets_in), (1, 0));
}

#[test]
fn mute_except_for_raw_bytes() {
    let relay = relay(Conduct::Mute);
    let me = Identity::new();
    let mut greeting = Greeting::send(&relay, &me);
    assert!(relay.wait_until(GUARD, |s| s.hellos == 1).is_some());
    assert_eq!(relay.statistics().bytes_out, 0);
    assert!(!relay.send(&me.key(), &[PING; 9]), "there is no session");
    assert!(relay.send_raw(&me.key(), &[5; 96]));
    assert_eq!(greeting.response(), [5; 96]);
}

#[test]
fn close_and_reset_after_hello() {
    let relay = relay(Conduct::CloseAfterHello);
    let mut greeting = Greeting::send(&relay, &Identity::new());
    expect_end(&mut greeting.stream);
    relay.set_conduct(Conduct::ResetAfterHello);
    let mut greeting = Greeting::send(&relay, &Identity::new());
    expect_reset(&mut greeting.stream);
}

#[test]
fn garbage_instead_of_and_after_the_response() {
    let relay = relay(Conduct::Garbage(vec![1; 200]));
    let mut greeting = Greeting::send(&relay, &Identity::new());
    let mut garbage = [0; 200];
    greeting.stream.read_exact(&mut garbage).unwrap();
    assert_eq!(garbage, [1; 200]);

    relay.set_conduct(Conduct::GarbageAfterHandshake(vec![2; 5]));
    let mut client = Greeting::send(&relay, &Identity::new()).finish();
    let mut garbage = [0; 5];
    client.stream.read_exact(&mut garbage).unwrap();
    assert_eq!(garbage, [2; 5]);
    client.sync();
}

#[test]
fn wrong_key() {
    let relay = relay(Conduct::WrongKey);
    let mut greeting = Greeting::send(&relay, &Identity::new());
    let response = greeting.response();
    assert_eq!(greeting.open(&response), None);
}

#[test]
fn reflect_hello() {
    let relay = relay(Conduct::ReflectHello);
    let mut greeting = Greeting::send(&relay, &Identity::new());
    let response = greeting.response();
    assert_eq!(response, greeting.hello[32..]);
    let (key, _) = greeting.open(&response).expect("the box opens");
    assert_eq!(key, greeting.temporary_key());
}

#[test]
fn replay() {
    let relay = relay(Conduct::Honest);
    let me = Identity::new();
    let recorded = Greeting::send(&relay, &me).response();
    relay.set_conduct(Conduct::Replay);
    let mut greeting = Greeting::send(&relay, &me);
    assert_eq!(greeting.response(), recorded);
    assert!(greeting.open(&recorded).is_some(), "the box opens");
    Client::connect(&relay, &Identity::new()); // nothing to replay
}

#[test]
fn reflect_temporary_key() {
    let relay = relay(Conduct::ReflectTemporaryKey);
    let mut greeting = Greeting::send(&relay, &Identity::new());
    let response = greeting.response();
    let (key, _) = greeting.open(&response).unwrap();
    assert_eq!(key, greeting.temporary_key());
}

#[test]
fn low_order_key() {
    let relay = relay(Conduct::LowOrderKey);
    let mut greeting = Greeting::send(&relay, &Identity::new());
    let response = greeting.response();
    assert_eq!(greeting.open(&response).unwrap().0, [0; 32]);
    // A client that does not check the key connects to a relay that anyone could be.
    Client::connect(&relay, &Identity::new()).sync();
}

#[test]
fn close_and_reset_after_handshake() {
    let relay = relay(Conduct::CloseAfterHandshake);
    let mut client = Greeting::send(&relay, &Identity::new()).finish();
    client.expect_end();
    relay.set_conduct(Conduct::ResetAfterHandshake);
    let mut client = Greeting::send(&relay, &Identity::new()).finish();
    client.send(&[PING; 9]);
    client.expect_reset();
}

#[test]
fn silent_after_handshake() {
    let relay = relay(Conduct::SilentAfterHandshake);
    let me = Identity::new();
    let mut client = Greeting::send(&relay, &me).finish();
    client.send(&[PING; 9]);
    let statistics = relay.wait_until(GUARD, |s| s.packets_in == 1).unwrap();
    assert_eq!((statistics.confirmed, statistics.packets_out), (1, 0));
    relay.send(&me.key(), &[1, 2, 3]);
    client.expect(&[&[1, 2, 3]]);
}

#[test]
fn no_pong() {
    let relay = relay(Conduct::NoPong);
    let mut client = Greeting::send(&relay, &Identity::new()).finish();
    client.send(&[PING; 9]);
    client.request_route(&[1; 32], 16);
}

#[test]
fn drop_every() {
    let relay = relay(Conduct::DropEvery(3));
    let (alice, bob) = (Identity::new(), Identity::new());
    let mut sender = Client::connect(&relay, &alice);
    let mut receiver = Client::connect(&relay, &bob);
    for n in 1..=7 {
        sender.send(&[&[OOB_SEND], &bob.key()[..], &[n]].concat());
    }
    sender.sync();
    for n in [1, 2, 4, 5, 7] {
        receiver.expect(&[&[OOB_RECEIVE], &alice.key(), &[n]]);
    }
    receiver.sync();
}

#[test]
fn unsolicited() {
    let odd: Vec<Vec<u8>> = vec![vec![CONNECTION_NOTIFICATION, 99], vec![], vec![99; 2032], vec![1; 3000]];
    let relay = relay(Conduct::Unsolicited(odd.clone()));
    let mut client = Client::connect(&relay, &Identity::new());
    for plaintext in &odd {
        client.expect(&[plaintext]);
    }
    client.sync();
}

#[test]
fn set_conduct_changes_only_new_connections() {
    let relay = relay(Conduct::Honest);
    let mut before = Client::connect(&relay, &Identity::new());
    relay.set_conduct(Conduct::NoPong);
    before.sync();
}

#[test]
fn the_handle_closes_resets_and_sends() {
    let relay = relay(Conduct::Honest);
    let (me, unknown) = (Identity::new(), Identity::new());
    let mut client = Client::connect(&relay, &me);
    assert!(relay.send(&me.key(), &[0; 4]));
    client.expect(&[&[0; 4]]);
    assert!(relay.close(&me.key()));
    client.expect_end();
    assert!(!relay.close(&me.key()), "its key no longer identifies a connection");

    let mut client = Client::connect(&relay, &me);
    assert!(relay.reset(&me.key()));
    client.expect_reset();
    assert!(!relay.send(&unknown.key(), &[0; 4]));
}

#[test]
fn input_during_a_pause_is_read_later() {
    let relay = relay(Conduct::Honest);
    let me = Identity::new();
    let mut client = Client::connect(&relay, &me);
    assert!(relay.stop_reading(&me.key()));
    let before = relay.statistics().packets_in;
    for n in 0..100 {
        client.send(&[&[PING], &[n; 8][..]].concat());
    }
    assert_eq!(relay.statistics().packets_in, before);
    assert!(relay.resume_reading(&me.key()));
    for n in 0..100 {
        client.expect(&[&[PONG], &[n; 8]]);
    }
}

#[test]
fn a_client_that_pings_and_does_not_read_is_dropped() {
    let relay = relay(Conduct::Honest);
    let me = Identity::new();
    let mut client = Client::connect(&relay, &me);
    // More than both sockets have room for, so that every pong must be kept from now on.
    relay.send_raw(&me.key(), &[0; 32 << 20]);
    while relay.statistics().dropped == 0 {
        let pings: Vec<u8> = (0..1000).flat_map(|_| client.seal(&[PING; 9])).collect();
        client.stream.write_all(&pings).unwrap();
    }
    assert_eq!(relay.statistics().last_drop, Some(Reason::NotReading));
}
