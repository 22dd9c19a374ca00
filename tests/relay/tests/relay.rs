//! The whole relay, over real sockets, with honest conduct.

mod common;

use std::{io::Write, time::Duration};

use common::{Client, GUARD, Greeting, Identity, expect_end, relay};
use tox_test_relay::{Conduct, Options, Reason, Relay, kind::*, session::Broken, switch::Rules};

/// Two clients that have a route to each other, number 16 at both ends.
struct Pair {
    relay: Relay,
    alice: Client,
    bob: Client,
    alices: Identity,
    bobs: Identity,
}

impl Pair {
    fn connect(conduct: Conduct) -> Self {
        let relay = relay(conduct);
        let (alices, bobs) = (Identity::new(), Identity::new());
        let mut alice = Client::connect(&relay, &alices);
        let mut bob = Client::connect(&relay, &bobs);
        alice.request_route(&bobs.key(), 16);
        alice.sync();
        bob.request_route(&alices.key(), 16);
        for client in [&mut alice, &mut bob] {
            client.expect(&[&[CONNECTION_NOTIFICATION, 16]]);
            client.sync();
        }
        Self { relay, alice, bob, alices, bobs }
    }
}

#[test]
fn data_goes_both_ways_and_zero_bytes_are_data() {
    let Pair { relay, mut alice, mut bob, .. } = Pair::connect(Conduct::Honest);
    alice.send(&[16, 1, 2, 3]);
    bob.expect(&[&[16, 1, 2, 3]]);
    bob.send(&[16]);
    alice.expect(&[&[16]]);
    let longest = [&[16], &[7; 2031][..]].concat();
    bob.send(&longest);
    alice.expect(&[&longest]);

    let statistics = relay.statistics();
    assert_eq!((statistics.connected, statistics.confirmed, statistics.routes), (2, 2, 2));
    assert_eq!((statistics.dropped, statistics.thrown_away), (0, 0));
    assert_eq!((statistics.accepted, statistics.hellos), (2, 2));
}

#[test]
fn each_end_has_its_own_number() {
    let relay = relay(Conduct::Honest);
    let (a, b) = (Identity::new(), Identity::new());
    let (mut alice, mut bob) = (Client::connect(&relay, &a), Client::connect(&relay, &b));
    alice.request_route(&[1; 32], 16);
    alice.request_route(&b.key(), 17);
    bob.request_route(&a.key(), 16);
    bob.expect(&[&[CONNECTION_NOTIFICATION, 16]]);
    alice.expect(&[&[CONNECTION_NOTIFICATION, 17]]);
    alice.send(&[17, 5]);
    bob.expect(&[&[16, 5]]);
    bob.send(&[16, 6]);
    alice.expect(&[&[17, 6]]);
}

#[test]
fn a_peer_that_leaves_and_comes_back_has_the_same_route() {
    let Pair { relay, mut alice, bob, alices, bobs } = Pair::connect(Conduct::Honest);
    drop(bob);
    alice.expect(&[&[DISCONNECT_NOTIFICATION, 16]]);
    alice.send(&[16, 1]); // discarded: the route is offline
    alice.sync();

    let mut bob = Client::connect(&relay, &bobs);
    alice.send(&[16, 2]); // discarded: bob has not requested the route
    alice.sync();
    bob.request_route(&alices.key(), 16);
    bob.expect(&[&[CONNECTION_NOTIFICATION, 16]]);
    alice.expect(&[&[CONNECTION_NOTIFICATION, 16]]);
    alice.send(&[16, 3]);
    bob.expect(&[&[16, 3]]);
}

#[test]
fn a_route_that_one_end_closes_stays_at_the_other() {
    let Pair { relay, mut alice, mut bob, alices, .. } = Pair::connect(Conduct::Honest);
    bob.send(&[DISCONNECT_NOTIFICATION, 16]);
    alice.expect(&[&[DISCONNECT_NOTIFICATION, 16]]);
    bob.sync();
    assert_eq!(relay.statistics().routes, 1);
    bob.request_route(&alices.key(), 16);
    bob.expect(&[&[CONNECTION_NOTIFICATION, 16]]);
    alice.expect(&[&[CONNECTION_NOTIFICATION, 16]]);
}

#[test]
fn a_second_request_gets_the_same_response_and_nothing_else() {
    let pair = Pair::connect(Conduct::Honest);
    let (mut alice, mut bob) = (pair.alice, pair.bob);
    alice.request_route(&pair.bobs.key(), 16);
    alice.sync();
    bob.sync();
}

#[test]
fn a_route_to_the_own_key_and_the_241st_route_are_refused() {
    let relay = relay(Conduct::Honest);
    let me = Identity::new();
    let mut client = Client::connect(&relay, &me);
    client.request_route(&me.key(), 0);
    for id in 16..=255 {
        client.request_route(&[id; 32], id);
    }
    client.request_route(&[1; 32], 0);
    client.send(&[DISCONNECT_NOTIFICATION, 100]);
    client.request_route(&[1; 32], 100);
    client.request_route(&[2; 32], 0);
    assert_eq!(relay.statistics().routes, 240);
}

#[test]
fn oob_needs_no_route() {
    let relay = relay(Conduct::Honest);
    let (a, b) = (Identity::new(), Identity::new());
    let (mut alice, mut bob) = (Client::connect(&relay, &a), Client::connect(&relay, &b));
    for data in [&[9][..], &[9; 1024]] {
        alice.send(&[&[OOB_SEND], &b.key()[..], data].concat());
        bob.expect(&[&[OOB_RECEIVE], &a.key(), data]);
    }
    alice.send(&[&[OOB_SEND], &[8; 32][..], &[1]].concat());
    alice.sync();
}

#[test]
fn the_onion_and_forwarding_are_reflected() {
    let relay = relay(Conduct::Honest);
    let mut client = Client::connect(&relay, &Identity::new());
    client.send(&[&[ONION_REQUEST], &[1; 24][..], &[2; 200]].concat());
    client.expect(&[&[ONION_RESPONSE], &[2; 200]]);
    for (family, address) in [(2, 4), (130, 4), (10, 16), (138, 16)] {
        let destination = [&[family], &vec![0; address + 2][..]].concat();
        client.send(&[&[FORWARD_REQUEST], &destination[..], &[3; 50]].concat());
        client.expect(&[&[FORWARDING], &[3; 50]]);
    }
}

#[test]
fn a_newer_connection_replaces_the_older_once_it_is_confirmed() {
    let Pair { relay, mut alice, bob: mut older, bobs, .. } = Pair::connect(Conduct::Honest);
    let mut newer = Greeting::send(&relay, &bobs).finish();
    older.sync();
    alice.sync();

    newer.sync();
    older.expect_end();
    alice.expect(&[&[DISCONNECT_NOTIFICATION, 16]]);
    let statistics = relay.statistics();
    assert_eq!((statistics.dropped, statistics.last_drop), (1, Some(Reason::Replaced)));
    assert_eq!(statistics.confirmed, 2);
    drop(older);
    newer.sync();
}

#[test]
fn violations_of_the_protocol_end_the_connection() {
    let oob = |length: usize| [&[OOB_SEND], &[1; 32][..], &vec![0; length]].concat();
    let onion = |length: usize| [&[ONION_REQUEST][..], &vec![0; length - 1]].concat();
    let cases = [
        (vec![ROUTING_REQUEST; 32], Reason::Malformed(0)),
        (vec![ROUTING_REQUEST; 34], Reason::Malformed(0)),
        (vec![DISCONNECT_NOTIFICATION], Reason::Malformed(3)),
        (vec![DISCONNECT_NOTIFICATION, 16], Reason::NoSuchRoute(16)),
        (vec![DISCONNECT_NOTIFICATION, 15], Reason::NoSuchRoute(15)),
        (vec![DISCONNECT_NOTIFICATION, 0], Reason::NoSuchRoute(0)),
        (vec![DISCONNECT_NOTIFICATION, 255], Reason::NoSuchRoute(255)),
        (vec![PING; 8], Reason::Malformed(4)),
        (vec![PONG; 10], Reason::Malformed(5)),
        ([&[PONG][..], &[0; 8]].concat(), Reason::ZeroPong),
        (oob(0), Reason::Malformed(6)),
        (oob(1025), Reason::Malformed(6)),
        (vec![OOB_SEND; 20], Reason::Malformed(6)),
        (onion(159), Reason::Malformed(8)),
        (vec![FORWARD_REQUEST, 3, 0, 0, 0, 0, 0, 0, 0], Reason::Malformed(10)),
        (vec![FORWARD_REQUEST, 10, 0, 0, 0, 0, 0, 0, 0], Reason::Malformed(10)),
        (vec![ROUTING_RESPONSE; 34], Reason::WrongKind(1)),
        (vec![OOB_RECEIVE; 40], Reason::WrongKind(7)),
        (vec![ONION_RESPONSE; 40], Reason::WrongKind(9)),
        (vec![FORWARDING; 40], Reason::WrongKind(11)),
        (vec![0x0c; 9], Reason::WrongKind(12)),
        (vec![0x0f], Reason::WrongKind(15)),
        (vec![16, 1], Reason::NoSuchRoute(16)),
        (vec![255], Reason::NoSuchRoute(255)),
    ];
    let relay = relay(Conduct::Honest);
    let me = Identity::new();
    for (round, (plaintext, reason)) in (1..).zip(cases) {
        let mut client = Client::connect(&relay, &me);
        client.send(&plaintext);
        client.expect_end();
        let statistics = relay.statistics();
        assert_eq!((statistics.dropped, statistics.last_drop), (round, Some(reason)));
    }
}

#[test]
fn discarded_and_ignored_packets_do_not_end_the_connection() {
    let relay = relay(Conduct::Honest);
    let mut client = Client::connect(&relay, &Identity::new());
    let destination = [2, 0, 0, 0, 0, 0, 0];
    for plaintext in [
        vec![ONION_REQUEST; 160],
        vec![ONION_REQUEST; 178],
        vec![ONION_REQUEST; 1361],
        [&[FORWARD_REQUEST][..], &destination, &[0; 1793]].concat(),
        vec![CONNECTION_NOTIFICATION, 16],
        [&[PONG][..], &[1; 8]].concat(), // answers no ping
    ] {
        client.send(&plaintext);
        client.sync();
    }
    for length in [179, 1360] {
        client.send(&vec![ONION_REQUEST; length]);
        assert_eq!(client.receive().len(), length - 24);
    }
    client.send(&[&[FORWARD_REQUEST][..], &destination, &[0; 1792]].concat());
    assert_eq!(client.receive().len(), 1793);
}

#[test]
fn a_relay_without_dht_ignores_onion_requests_and_drops_clients_that_forward() {
    let rules = Rules { dht: false, ..Rules::default() };
    let relay = Relay::start(Options { rules, ..Options::default() }).unwrap();
    let mut client = Client::connect(&relay, &Identity::new());
    client.send(&[ONION_REQUEST]);
    client.send(&[ONION_REQUEST; 200]);
    client.sync();
    client.send(&[FORWARD_REQUEST, 2, 0, 0, 0, 0, 0, 0, 0]);
    client.expect_end();
    assert_eq!(relay.statistics().last_drop, Some(Reason::NoForwarding));
}

#[test]
fn broken_streams_end_the_connection() {
    let relay = relay(Conduct::Honest);
    let me = Identity::new();
    for (bytes, broken) in [
        (&[0, 16][..], Broken::Length(16)),
        (&[0, 0], Broken::Length(0)),
        (&[8, 1], Broken::Length(2049)),
        (&[255, 255], Broken::Length(65535)),
        (&[&[0, 17][..], &[0; 17]].concat(), Broken::Box),
    ] {
        let mut client = Client::connect(&relay, &me);
        client.stream.write_all(bytes).unwrap();
        client.expect_end();
        assert_eq!(relay.statistics().last_drop, Some(Reason::Broken(broken)));
    }
    let mut greeting = Greeting::send(&relay, &me);
    greeting.response();
    let mut forged = Greeting::send(&relay, &Identity::new()).hello;
    forged[127] ^= 1;
    let mut stream = std::net::TcpStream::connect(relay.addr()).unwrap();
    stream.set_read_timeout(Some(GUARD)).unwrap();
    stream.write_all(&forged).unwrap();
    expect_end(&mut stream);
    assert_eq!(relay.statistics().last_drop, Some(Reason::Hello));
}

#[test]
fn bytes_may_arrive_one_by_one_and_packets_together() {
    let pair = Pair::connect(Conduct::OneByte);
    let (mut alice, mut bob) = (pair.alice, pair.bob);
    for byte in alice.seal(&[16, 1]) {
        alice.stream.write_all(&[byte]).unwrap();
    }
    let together: Vec<u8> = (2..100).flat_map(|n| alice.seal(&[16, n])).collect();
    alice.stream.write_all(&together).unwrap();
    for n in 1..100 {
        bob.expect(&[&[16, n]]);
    }
}

#[test]
fn the_first_packets_may_follow_the_hello_at_once() {
    // No client can encrypt a packet before the response, but garbage after the hello is handled as a packet.
    let relay = relay(Conduct::Honest);
    let mut greeting = Greeting::send(&relay, &Identity::new());
    greeting.stream.write_all(&[0, 0]).unwrap();
    greeting.response();
    expect_end(&mut greeting.stream);
    assert_eq!(relay.statistics().last_drop, Some(Reason::Broken(Broken::Length(0))));
}

#[test]
fn a_client_that_does_not_answer_pings_is_dropped() {
    // Long enough for a busy machine to answer.
    let (ping_every, pong_within) = (Duration::from_millis(20), Duration::from_secs(1));
    let rules = Rules { ping_every, pong_within, ..Rules::default() };
    let relay = Relay::start(Options { rules, ..Options::default() }).unwrap();
    let mut client = Greeting::send(&relay, &Identity::new()).finish();
    client.send(&[CONNECTION_NOTIFICATION, 0]);
    for _ in 0..2 {
        let mut ping = client.receive();
        assert_eq!((ping.len(), ping[0]), (9, PING));
        ping[0] = PONG;
        client.send(&ping);
    }
    assert_eq!(client.receive()[0], PING);
    client.expect_end();
    assert_eq!(relay.statistics().last_drop, Some(Reason::NoPong));
}

#[test]
fn a_relay_listens_on_ipv6_and_restarts_at_the_same_address() {
    let options = Options { secret_key: Some([7; 32]), ..Options::default() };
    let at = |address| Relay::start(Options { address, ..options.clone() });
    let first = match at("[::1]:0".parse().unwrap()) {
        Ok(relay) => relay,
        Err(_) => at("127.0.0.1:0".parse().unwrap()).unwrap(), // a machine without IPv6
    };
    let mut client = Client::connect(&first, &Identity::new());
    let (address, key) = (first.addr(), first.public_key());
    drop(first);
    client.expect_end();

    let second = at(address).unwrap();
    assert_eq!((second.addr(), second.public_key()), (address, key));
    Client::connect(&second, &Identity::new());
    assert!(second.wait_until(GUARD, |s| s.connected == 0).is_some());
}

#[test]
fn a_full_socket_costs_data_but_no_pongs() {
    let Pair { relay, mut alice, mut bob, .. } = Pair::connect(Conduct::Honest);
    let mut sent: u64 = 0;
    while relay.statistics().thrown_away == 0 {
        // After each sync the relay has routed everything before it.
        for _ in 0..64 {
            alice.send(&[16; 1401]);
            sent += 1;
        }
        alice.sync();
    }
    bob.send(&[PING; 9]);
    alice.sync();
    let mut received = 0;
    loop {
        match bob.receive()[0] {
            16 => received += 1,
            kind => break assert_eq!(kind, PONG),
        }
    }
    assert_eq!(received + relay.statistics().thrown_away, sent);
}
