//! Backpressure and bounds: relays that do not read, that flood, and that end in the middle of a packet; small buffers.

mod support;

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use support::scripted_relay::ScriptedRelay;
use support::{
    GUARD, OnlinePair, Peer, Reported, address, any_key, closed, honest, numbered, wait_until_sent,
};
use tox_relay_client::{DisconnectReason, Relay, RouteId, SecretKey, SendError, Stage};
use tox_test_relay::kind;

/// The connection id that scripted relays give to the route.
const NUMBER: u8 = 42;

/// The most bytes that a connection reads in one poll.
const READ_A_POLL: u64 = 64 * 1024;

/// Sends numbered packets until the queue stays full, and returns how many were accepted. The relay must not read.
#[track_caller]
fn fill(peer: &mut Peer, route: RouteId, len: usize) -> u32 {
    let (mut count, mut unchanged) = (0, 0);
    while unchanged < 3 {
        match peer.client.send_data(route, &numbered(count, len)) {
            Ok(()) => (count, unchanged) = (count + 1, 0),
            Err(error) => {
                assert_eq!(error, SendError::WouldBlock);
                unchanged += 1;
                peer.poll(Duration::from_millis(20));
            }
        }
    }
    let connection = peer.connection_of(route);
    peer.reported.retain(|reported| *reported != Reported::Writable(connection));
    assert_eq!(peer.reported, []);
    count
}

/// Reads until the client has nothing more to send.
#[track_caller]
fn read_all(relay: &mut ScriptedRelay, peer: &mut Peer) {
    let id = peer.client.connections().next().unwrap();
    peer.until("an empty queue", |peer| {
        relay.read() == 0
            && peer.client.connection(id).is_some_and(|s| s.queued == 0)
            && peer.events.is_empty()
    });
}

#[test]
fn a_relay_that_stops_reading_blocks_data_and_loses_none() {
    let mut peer = Peer::with(|config| config.window(None));
    let (mut relay, id) = ScriptedRelay::connect(&mut peer);
    let (route, _) = relay.open_route(&mut peer, id, NUMBER);
    let count = fill(&mut peer, route, 1000);
    // A route may use half of the queue. No part of a refused packet is queued.
    let status = peer.client.connection(id).unwrap();
    assert!(status.queued.abs_diff(64 * 1024) < 1003, "{}", status.queued);
    assert_eq!(peer.client.send_data(route, &[0; 1000]), Err(SendError::WouldBlock));
    assert_eq!(peer.client.connection(id).unwrap().queued, status.queued);

    peer.until("room", |peer| {
        relay.read();
        !peer.reported.is_empty()
    });
    assert!(peer.client.connection(id).unwrap().queued <= 32 * 1024, "half of what a route may use is free");
    read_all(&mut relay, &mut peer);
    assert_eq!(peer.reported, [Reported::Writable(id)], "reported once");
    let expected: Vec<_> = (0..count).map(|n| [&[NUMBER], &numbered(n, 1000)[..]].concat()).collect();
    assert!(relay.received == expected, "all accepted packets, in order");
}

#[test]
fn a_small_queue_accepts_packets_of_any_size() {
    let mut peer = Peer::with(|config| config.send_queue(4_068).window(None));
    let (mut relay, id) = ScriptedRelay::connect(&mut peer);
    let (route, _) = relay.open_route(&mut peer, id, NUMBER);
    for n in 0..100 {
        let len = [1, 700, 2031][n as usize % 3];
        while let Err(error) = peer.client.send_data(route, &numbered(n, len)) {
            assert_eq!(error, SendError::WouldBlock);
            peer.reported.clear();
            peer.until("room", |peer| {
                relay.read();
                peer.reported == [Reported::Writable(id)]
            });
        }
        assert!(peer.client.connection(id).unwrap().queued <= 4_068);
    }
    read_all(&mut relay, &mut peer);
    assert_eq!(relay.received.len(), 100);
}

#[test]
fn important_packets_are_sent_before_queued_data_at_the_next_packet_boundary() {
    let mut peer = Peer::with(|config| config.window(None));
    let (mut relay, id) = ScriptedRelay::connect(&mut peer);
    let (route, _) = relay.open_route(&mut peer, id, NUMBER);
    let (other, _) = relay.open_route(&mut peer, id, NUMBER + 1);
    let count = fill(&mut peer, route, 1000);
    let wanted = any_key();
    peer.client.close_route(other).unwrap();
    peer.client.open_route(id, wanted).unwrap();
    relay.send(&[&[kind::PING][..], &[7; 8]].concat());
    let packets_in = peer.client.connection(id).unwrap().traffic.packets_in;
    peer.until("the ping", |peer| peer.client.connection(id).unwrap().traffic.packets_in > packets_in);
    assert!(peer.reported.is_empty());

    read_all(&mut relay, &mut peer);
    let important = [
        vec![kind::DISCONNECT_NOTIFICATION, NUMBER + 1],
        [&[kind::ROUTING_REQUEST][..], wanted.as_bytes()].concat(),
        [&[kind::PONG][..], &[7; 8]].concat(),
    ];
    let at = relay
        .received
        .iter()
        .position(|packet| *packet == important[0])
        .expect("the notification is not dropped");
    let received: Vec<_> = relay.received.drain(..).collect();
    assert_eq!(received[at..at + 3], important, "in their own order");
    assert_eq!(received.len(), count as usize + 3);
    let after = received.len() - (at + 3);
    assert!(after * 1003 > 60 * 1024, "sent before the queued data: {after} packets follow");
}

#[test]
fn data_of_a_closed_route_are_never_sent() {
    let mut peer = Peer::with(|config| config.window(None));
    let (mut relay, id) = ScriptedRelay::connect(&mut peer);
    let (closed, _) = relay.open_route(&mut peer, id, NUMBER);
    let (open, _) = relay.open_route(&mut peer, id, NUMBER + 1);
    fill(&mut peer, closed, 1000);
    peer.client.close_route(closed).unwrap();
    assert_eq!(peer.client.connection(id).unwrap().queued, 0, "they are removed at once");
    peer.client.send_data(open, b"room for others").unwrap();
    peer.until("the next packet", |_| {
        relay.read();
        relay.received.back() == Some(&[&[NUMBER + 1], &b"room for others"[..]].concat())
    });
    let notification = vec![kind::DISCONNECT_NOTIFICATION, NUMBER];
    let at = relay.received.iter().position(|packet| *packet == notification).unwrap();
    assert_eq!(at, relay.received.len() - 2, "no data of the route after the notification");
}

#[test]
fn a_relay_that_pings_and_does_not_read_is_cut_off() {
    let mut peer = Peer::with(|config| config.window(None));
    let (mut relay, id) = ScriptedRelay::connect(&mut peer);
    let (route, _) = relay.open_route(&mut peer, id, NUMBER);
    fill(&mut peer, route, 1000);
    let ping = [&[kind::PING][..], &[7; 8]].concat();
    for _ in 0..32 {
        relay.send(&ping);
        peer.poll(Duration::ZERO);
    }
    peer.poll(Duration::from_millis(20));
    assert!(peer.reported.is_empty(), "32 pongs may be queued");
    relay.send(&ping);
    assert_eq!(peer.end(id), DisconnectReason::PingFlood);
    assert_eq!(peer.reported.len(), 1);
}

#[test]
fn a_relay_that_pings_and_reads_is_answered_each_time() {
    let relay = honest();
    let mut peer = Peer::new();
    let id = peer.connect(&relay);
    let before = relay.statistics().packets_in;
    for n in 1..=50u64 {
        assert!(relay.send(peer.raw_key(), &[&[kind::PING][..], &n.to_be_bytes()].concat()));
        peer.until("the answer", |peer| {
            peer.client.connection(id).is_some_and(|status| status.traffic.packets_out == n + 1)
        });
    }
    assert!(relay.wait_until(GUARD, move |statistics| statistics.packets_in == before + 50).is_some());
    assert_eq!(relay.statistics().dropped, 0);
}

#[test]
fn a_flooding_relay_does_not_starve_another() {
    // The largest packets, and small ones that fill the events long before all input is read.
    for (len, capacity, polls) in [(2031, 256, 3), (1, 1024, 8)] {
        let mut peer = Peer::new().capacity(capacity);
        let (mut flooding, flooded) = ScriptedRelay::connect(&mut peer);
        flooding.open_route(&mut peer, flooded, NUMBER);
        let (mut quiet, id) = ScriptedRelay::connect(&mut peer);
        let packet = [&[NUMBER], &numbered(9, len)[..]].concat();
        flooding.flood(&packet);
        // Polled once, so that it comes before the other in the order of turns.
        peer.poll(GUARD);
        peer.reported.clear();
        quiet.send(&[&[kind::ONION_RESPONSE], &b"data"[..]].concat());
        for _ in 0..polls {
            peer.poll(Duration::ZERO);
        }
        assert!(
            peer.reported.contains(&Reported::Onion(id, b"data".to_vec())),
            "{len}: not within {polls} polls"
        );
        let before = peer.reported.len();
        peer.poll(GUARD);
        assert!(peer.reported.len() > before, "{len}: the flood has not ended yet");
    }
}

#[test]
fn one_poll_reads_at_most_64_kib_of_a_connection() {
    let mut peer = Peer::new().capacity(1 << 20);
    let (mut relay, id) = ScriptedRelay::connect(&mut peer);
    relay.open_route(&mut peer, id, NUMBER);
    let sent = relay.flood(&[&[NUMBER], &numbered(9, 1400)[..]].concat());
    let mut polls = 0;
    while peer.reported.len() < sent - 1 {
        let before = peer.client.connection(id).unwrap().traffic.bytes_in;
        peer.poll(GUARD);
        let read = peer.client.connection(id).unwrap().traffic.bytes_in - before;
        assert!(read <= READ_A_POLL, "{read} bytes in poll {polls}");
        polls += 1;
    }
}

#[test]
fn a_poll_returns_no_more_events_than_fit_and_none_is_lost() {
    for capacity in [2, 3, 10] {
        let mut peer = Peer::new().capacity(capacity);
        let (mut relay, id) = ScriptedRelay::connect(&mut peer);
        relay.open_route(&mut peer, id, NUMBER);
        let packets: Vec<_> = (0..500).map(|n| [&[NUMBER], &numbered(n, 50)[..]].concat()).collect();
        relay.send_all(packets.iter().map(|packet| &packet[..]));
        relay.close();
        while !matches!(peer.reported.last(), Some(Reported::Disconnected(..))) {
            peer.poll(GUARD);
            assert!((1..=capacity).contains(&peer.events.len()));
        }
        let data: Vec<_> = packets.iter().map(|packet| &packet[1..]).collect();
        assert_eq!(peer.data(), data, "in order");
        assert_eq!(peer.reported.len(), 501);
        assert_eq!(peer.ends(id), [closed(Stage::Connected)]);
    }
}

#[test]
fn the_ends_of_many_connections_are_reported_in_several_polls() {
    let relay = honest();
    let mut peer = Peer::new().capacity(2);
    let identities = [(); 20].map(|()| SecretKey::generate());
    let begin = |secret| peer.client.connect(address(&relay).identity(secret)).unwrap();
    let ids = identities.map(begin);
    peer.until("all connected", |peer| peer.reported.len() == ids.len());
    for id in ids {
        assert!(peer.client.disconnect(id));
    }
    let expected: Vec<_> = ids.map(|id| Reported::Disconnected(id, DisconnectReason::ClosedByCaller)).into();
    peer.reported.clear();
    peer.until("all ends", |peer| peer.reported.len() == ids.len());
    assert_eq!(peer.reported, expected);
}

#[test]
fn what_arrived_before_a_reset_is_reported_before_the_end() {
    for writes_first in [false, true] {
        let mut peer = Peer::new().capacity(8);
        let (mut relay, id) = ScriptedRelay::connect(&mut peer);
        relay.open_route(&mut peer, id, NUMBER);
        let packets: Vec<_> = (0..50).map(|n| [&[NUMBER], &numbered(n, 100)[..]].concat()).collect();
        relay.send_all(packets.iter().map(|packet| &packet[..]));
        relay.reset();
        if writes_first {
            peer.client.send_oob(id, any_key(), b"data").unwrap();
        }
        let end = peer.end(id);
        let kind = std::io::ErrorKind::ConnectionReset;
        assert!(
            matches!(end, DisconnectReason::Transport { stage: Stage::Connected, kind: reset, .. } if reset == kind),
            "{end}"
        );
        assert_eq!(peer.data().len(), 50);
        assert!(matches!(peer.reported.last(), Some(Reported::Disconnected(..))));
    }
}

#[test]
fn data_sent_right_before_disconnecting_arrive() {
    let relay = honest();
    // Closing a socket with unread input resets the connection, unless the client prevents it.
    for unread in [false, true] {
        let mut pair = OnlinePair::on(&relay);
        if unread {
            for _ in 0..20 {
                assert!(relay.send(pair.a.raw_key(), &[kind::ONION_RESPONSE; 1000]));
            }
            wait_until_sent(&relay);
        }
        for n in 0..20 {
            pair.a.client.send_data(pair.to_b, &numbered(n, 1000)).unwrap();
        }
        assert!(pair.a.client.disconnect(pair.at_a));
        pair.b.until("offline", |b| matches!(b.reported.last(), Some(Reported::Offline(..))));
        let expected: Vec<_> = (0..20).map(|n| numbered(n, 1000)).collect();
        assert_eq!(pair.b.data(), expected, "unread input: {unread}");
        assert_eq!(pair.a.end(pair.at_a), DisconnectReason::ClosedByCaller);
    }
}

#[test]
fn a_relay_that_was_not_read_because_events_were_full_does_not_time_out() {
    const TIMEOUT: Duration = Duration::from_secs(1);
    let mut peer = Peer::with(|config| config.connect_timeout(TIMEOUT)).capacity(2);
    let mut busy = [(); 2].map(|()| {
        let (mut relay, id) = ScriptedRelay::connect(&mut peer);
        relay.open_route(&mut peer, id, NUMBER);
        relay
    });
    let (mut handshaking, id) = ScriptedRelay::greet(&mut peer);
    // Two relays send so much that the first polls have no room for the two others. One of these has answered the
    // hello, the other has accepted the connection.
    for relay in &mut busy {
        relay.send_all([&[NUMBER, 1][..]; 500]);
    }
    handshaking.respond();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let begun = peer.client.connect(Relay::new(listener.local_addr().unwrap(), any_key())).unwrap();
    let _accepted = listener.accept().unwrap();
    std::thread::park_timeout(TIMEOUT + Duration::from_millis(50));
    for _ in 0..3 {
        peer.poll(Duration::ZERO);
        assert_eq!((peer.ends(id), peer.ends(begun)), (vec![], vec![]));
    }
    peer.until("both were read", |peer| {
        let stage = |id| peer.client.connection(id).map(|status| status.stage);
        stage(id) == Some(Stage::Confirming) && stage(begun) == Some(Stage::Handshaking)
    });
    peer.until("all data", |peer| peer.data().len() == 1000);
}

#[test]
fn many_ends_per_poll_do_not_prevent_relays_from_being_read() {
    let relay = honest();
    let mut peer = Peer::new().capacity(4);
    peer.connect(&relay);
    assert!(relay.send(peer.raw_key(), &[kind::ONION_RESPONSE, 1]));
    wait_until_sent(&relay);
    peer.reported.clear();
    // Twice as many ends before each poll as the buffer has room for.
    for _ in 0..10 {
        for _ in 0..8 {
            let id = peer.client.connect(address(&relay).identity(SecretKey::generate())).unwrap();
            assert!(peer.client.disconnect(id));
        }
        peer.poll(Duration::ZERO);
    }
    assert!(peer.reported.iter().any(|reported| matches!(reported, Reported::Onion(..))));
    assert!(peer.reported.iter().any(|reported| matches!(reported, Reported::Disconnected(..))));
}
