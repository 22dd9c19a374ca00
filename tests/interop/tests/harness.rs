//! Tests of the crate `interop` itself: the real relay with the C client, without the client of this library.

use std::net::{Ipv6Addr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use interop::{Bootstrapd, CClient, CEvent, CSend, CStatus, wait_for};

/// The limit for what takes some milliseconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(30);

const ALICE: [u8; 32] = [0xa1; 32];
const BOB: [u8; 32] = [0xb0; 32];

#[test]
fn a_c_client_connects_to_a_relay() {
    let relay = Bootstrapd::start().unwrap();
    let mut client = start_connecting(&relay, ALICE);
    assert_eq!(client.status(), CStatus::Connecting);
    wait_until_connected(&mut client);
    assert_eq!(client.next_event(), None);
}

#[test]
fn a_c_client_connects_over_ipv6() {
    if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("not tested: this machine has no IPv6");
        return;
    }
    let relay = Bootstrapd::start_ipv6().unwrap();
    assert!(relay.addr().is_ipv6());
    wait_until_connected(&mut start_connecting(&relay, ALICE));
}

#[test]
fn a_c_client_with_the_wrong_relay_key_gives_up_after_10_s() {
    let relay = Bootstrapd::start().unwrap();
    let mut client = CClient::connect(relay.addr(), [9; 32], ALICE).unwrap();
    client.iterate();
    wait_until_connected(&mut start_connecting(&relay, BOB)); // so the relay has handled the hello of the first, too
    client.iterate();
    assert_eq!(client.status(), CStatus::Connecting);
    client.advance(Duration::from_secs(11));
    client.iterate();
    assert_eq!(client.status(), CStatus::Disconnected);
}

#[test]
fn sending_before_the_client_is_connected_is_an_error() {
    let relay = Bootstrapd::start().unwrap();
    let mut client = start_connecting(&relay, ALICE);
    assert_eq!(client.request_route(&[2; 32]), CSend::Error);
    assert_eq!(client.disconnect_route(16), CSend::Error);
    assert_eq!(client.send_data(16, b"data"), CSend::Error);
    assert_eq!(client.send_oob(&[2; 32], b"data"), CSend::Error);
    assert_eq!(client.send_onion(&[2; 200]), CSend::Error);
    wait_until_connected(&mut client);
}

#[test]
fn two_c_clients_exchange_data_both_ways() {
    let relay = Bootstrapd::start().unwrap();
    let mut pair = Pair::online(&relay);
    let (from_alice, from_bob) = pair.ids;

    assert_eq!(pair.alice.send_data(from_alice, b"hello"), CSend::Sent);
    let expected = CEvent::Data { connection_id: from_bob, data: b"hello".to_vec() };
    assert_eq!(next_event(&mut pair.bob), expected);

    let largest = vec![7; 2031];
    assert_eq!(pair.bob.send_data(from_bob, &largest), CSend::Sent);
    let expected = CEvent::Data { connection_id: from_alice, data: largest };
    assert_eq!(next_event(&mut pair.alice), expected);
}

#[test]
fn sending_on_a_wrong_route_or_with_an_illegal_length_is_an_error_and_does_no_harm() {
    let relay = Bootstrapd::start().unwrap();
    let mut pair = Pair::online(&relay);
    let (from_alice, from_bob) = pair.ids;
    let bob = pair.bob.public_key();

    for connection_id in [0, 15, from_alice + 1, 255] {
        assert_eq!(pair.alice.send_data(connection_id, b"no route"), CSend::Error);
    }
    for length in [2032, 65_535, 65_536] {
        assert_eq!(pair.alice.send_data(from_alice, &vec![0; length]), CSend::Error);
        assert_eq!(pair.alice.send_onion(&vec![0; length]), CSend::Error);
    }
    for length in [0, 1025, 65_535, 65_536] {
        assert_eq!(pair.alice.send_oob(&bob, &vec![0; length]), CSend::Error);
    }
    assert_eq!(pair.alice.disconnect_route(15), CSend::Error);

    assert_eq!(pair.alice.send_data(from_alice, b"unharmed"), CSend::Sent);
    let expected = CEvent::Data { connection_id: from_bob, data: b"unharmed".to_vec() };
    assert_eq!(next_event(&mut pair.bob), expected);
}

#[test]
fn two_c_clients_exchange_oob_without_a_route() {
    let relay = Bootstrapd::start().unwrap();
    let (mut alice, mut bob) = (start_connecting(&relay, ALICE), start_connecting(&relay, BOB));
    wait_until_connected(&mut alice);
    wait_until_connected(&mut bob);
    wait_until_confirmed(&mut bob);
    wait_until_confirmed(&mut alice);

    let largest = vec![7; 1024];
    assert_eq!(alice.send_oob(&bob.public_key(), b"hello"), CSend::Sent);
    assert_eq!(alice.send_oob(&bob.public_key(), &largest), CSend::Sent);
    let sender = alice.public_key();
    assert_eq!(next_event(&mut bob), CEvent::Oob { sender, data: b"hello".to_vec() });
    assert_eq!(next_event(&mut bob), CEvent::Oob { sender, data: largest });
}

#[test]
fn a_route_goes_offline_and_comes_back() {
    let relay = Bootstrapd::start().unwrap();
    let mut pair = Pair::online(&relay);
    let (from_alice, from_bob) = pair.ids;

    assert_eq!(pair.alice.disconnect_route(from_alice), CSend::Sent);
    assert_eq!(next_event(&mut pair.bob), CEvent::Offline { connection_id: from_bob });
    assert_eq!(pair.bob.send_data(from_bob, b"nobody there"), CSend::Error);

    assert_eq!(pair.alice.request_route(&pair.bob.public_key()), CSend::Sent);
    assert_eq!(next_event(&mut pair.bob), CEvent::Online { connection_id: from_bob });
}

#[test]
fn a_refused_route_and_a_repeated_answer_cause_no_event() {
    let relay = Bootstrapd::start().unwrap();
    let mut client = start_connecting(&relay, ALICE);
    wait_until_connected(&mut client);
    let own_key = client.public_key();
    assert_eq!(open_route(&mut client, [2; 32]), 16);

    assert_eq!(client.request_route(&[2; 32]), CSend::Sent);
    assert_eq!(client.request_route(&own_key), CSend::Sent);
    assert_eq!(open_route(&mut client, [3; 32]), 17); // asserts that the next event is the answer to this request
}

#[test]
fn counted_data_cause_no_events() {
    const PACKETS: u64 = 200;
    const BYTES: u64 = 1400;
    // The relay discards data when its socket to the receiver is full. This is far less than the socket can hold.
    const WINDOW: u64 = 16;

    let relay = Bootstrapd::start().unwrap();
    let mut pair = Pair::online(&relay);
    pair.bob.count_data_only();

    let packet = [7; BYTES as usize];
    let mut sent = 0;
    let done = wait_for(LIMIT, || {
        pair.alice.iterate();
        pair.bob.iterate();
        let arrived = pair.bob.received_data().packets;
        while sent < PACKETS.min(arrived + WINDOW) {
            match pair.alice.send_data(pair.ids.0, &packet) {
                CSend::Sent => sent += 1,
                CSend::WouldBlock => break,
                CSend::Error => panic!("the route is closed or offline"),
            }
        }
        (arrived == PACKETS).then_some(())
    });

    assert_eq!(done, Some(()), "{:?} of {sent} arrived", pair.bob.received_data());
    assert_eq!(pair.bob.received_data().bytes, PACKETS * BYTES);
    assert_eq!(pair.bob.next_event(), None);
}

#[test]
fn a_c_client_notices_a_killed_relay_only_by_a_missing_pong() {
    let mut relay = Bootstrapd::start().unwrap();
    let mut client = start_connecting(&relay, ALICE);
    wait_until_connected(&mut client);
    wait_until_confirmed(&mut client);

    relay.kill();
    client.iterate();
    assert_eq!(client.status(), CStatus::Connected, "it ignores the errors of its socket");

    client.advance(Duration::from_secs(31));
    client.iterate(); // pings
    assert_eq!(client.status(), CStatus::Connected);
    client.advance(Duration::from_secs(11));
    client.iterate(); // finds no pong
    assert_eq!(client.status(), CStatus::Disconnected);
}

#[test]
fn a_restarted_relay_has_the_same_key_and_port() {
    let mut relay = Bootstrapd::start().unwrap();
    let (key, addr, first) = (relay.public_key(), relay.addr(), relay.process_id());
    // A client is still connected when the relay ends, so the kernel keeps a connection on the relay's port.
    let mut old = start_connecting(&relay, ALICE);
    wait_until_connected(&mut old);

    relay.kill();
    relay.restart().unwrap();
    assert_eq!((relay.public_key(), relay.addr()), (key, addr));
    let second = relay.process_id();
    assert_ne!(second, first);
    wait_until_connected(&mut start_connecting(&relay, ALICE));

    relay.restart().unwrap(); // while it is running
    assert_eq!((relay.public_key(), relay.addr()), (key, addr));
    assert_ne!(relay.process_id(), second);
    wait_until_connected(&mut start_connecting(&relay, ALICE));
}

#[test]
fn two_relays_have_different_addresses_and_keys() {
    let (one, other) = (Bootstrapd::start().unwrap(), Bootstrapd::start().unwrap());
    assert_ne!(one.addr(), other.addr());
    assert_ne!(one.public_key(), other.public_key());
}

#[test]
fn a_dropped_relay_leaves_no_process() {
    let relay = Bootstrapd::start().unwrap();
    let process = format!("/proc/{}", relay.process_id().unwrap());
    assert!(Path::new(&process).exists());
    drop(relay);
    assert!(!Path::new(&process).exists());
}

/// Two C clients with a route between them, which is online on both sides.
struct Pair {
    alice: CClient,
    bob: CClient,
    /// The connection id of the route on Alice's side, and on Bob's.
    ids: (u8, u8),
}

impl Pair {
    fn online(relay: &Bootstrapd) -> Self {
        let (mut alice, mut bob) = (start_connecting(relay, ALICE), start_connecting(relay, BOB));
        wait_until_connected(&mut alice);
        wait_until_connected(&mut bob);
        let to_bob = open_route(&mut alice, bob.public_key());
        let to_alice = open_route(&mut bob, alice.public_key());
        assert_eq!(next_event(&mut alice), CEvent::Online { connection_id: to_bob });
        assert_eq!(next_event(&mut bob), CEvent::Online { connection_id: to_alice });
        Self { alice, bob, ids: (to_bob, to_alice) }
    }
}

fn start_connecting(relay: &Bootstrapd, secret_key: [u8; 32]) -> CClient {
    CClient::connect(relay.addr(), relay.public_key(), secret_key).unwrap()
}

/// Iterates until the handshake is complete.
fn wait_until_connected(client: &mut CClient) {
    let connected = wait_for(LIMIT, || {
        client.iterate();
        (client.status() == CStatus::Connected).then_some(())
    });
    assert_eq!(connected, Some(()), "{:?}", client.status());
}

/// Waits until the relay has answered the client's first packet. Before that, other clients cannot reach it.
fn wait_until_confirmed(client: &mut CClient) {
    open_route(client, [2; 32]);
}

fn open_route(client: &mut CClient, peer: [u8; 32]) -> u8 {
    assert_eq!(client.request_route(&peer), CSend::Sent);
    match next_event(client) {
        CEvent::RoutingResponse { connection_id, peer: answered } if answered == peer => {
            assert!(connection_id >= 16);
            connection_id
        }
        other => panic!("{other:?}"),
    }
}

/// Iterates until there is an event, and returns it.
fn next_event(client: &mut CClient) -> CEvent {
    wait_for(LIMIT, || {
        client.iterate();
        client.next_event()
    })
    .expect("an event in time")
}
