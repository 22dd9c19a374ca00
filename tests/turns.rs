//! Which connections get a turn, and how much is read in one: slow programs, floods and full sockets.

mod support;

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::scripted_relay::ScriptedRelay;
use support::{GUARD, OnlinePair, Peer, Reported, SHORT, TestRelay, address, any_key, honest, numbered};
use tox_relay_client::{ConnectionId, DisconnectReason, Party, Proxy, Relay, RouteId, SendError, Stage};
use tox_test_relay::kind;

/// The connection id that scripted relays give to the route.
const NUMBER: u8 = 42;

/// The most bytes that a connection reads in one turn.
const TURN: u64 = 64 * 1024;

/// Does not poll for this time, like a program that is busy with something else.
fn busy(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
}

fn bytes_in(peer: &Peer, id: ConnectionId) -> u64 {
    peer.client.connection(id).map_or(0, |status| status.traffic.bytes_in)
}

/// Ends a flood when dropped, also if the test fails.
struct StopGuard<'a>(&'a AtomicBool);

impl Drop for StopGuard<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Calls `run` while a relay sends endless packets with one byte of data.
fn with_flood(peer: &mut Peer, run: impl FnOnce(&mut Peer)) {
    let (mut relay, id) = ScriptedRelay::connect(peer);
    relay.open_route(peer, id, NUMBER);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                relay.flood(&[NUMBER, 1]);
                thread::yield_now();
            }
        });
        let _stop = StopGuard(&is_over);
        run(peer);
    });
}

#[test]
fn a_flood_of_another_relay_and_a_slow_program_end_no_healthy_connection() {
    for (capacity, absence) in [(256, SHORT), (4, SHORT / 8)] {
        let settings = |config: tox_relay_client::Config| {
            config.ping_interval(SHORT).pong_timeout(SHORT).connect_timeout(SHORT)
        };
        let mut peer = Peer::with(settings).capacity(capacity);
        let healthy = honest();
        let id = peer.connect(&healthy);
        with_flood(&mut peer, |peer| {
            let pings = |peer: &Peer| peer.client.connection(id).map(|status| status.traffic.packets_out);
            let guard = Instant::now() + GUARD;
            while pings(peer).expect("the relay answers each ping at once") < 6 {
                assert!(Instant::now() < guard, "{:?} pings", pings(peer));
                busy(absence);
                peer.poll(Duration::ZERO);
                peer.reported.clear();
            }
            // A new relay that accepts and answers at once.
            let other = honest();
            let new = peer.begin(&other);
            let stage = |peer: &Peer| peer.client.connection(new).map(|status| status.stage);
            while stage(peer).expect("the relay accepts and answers at once") != Stage::Connected {
                assert!(Instant::now() < guard, "{:?}", stage(peer));
                busy(absence);
                peer.poll(Duration::ZERO);
            }
            assert_eq!(peer.ends(id), []);
        });
    }
}

#[test]
fn a_flood_leaves_room_for_events_of_other_relays() {
    for capacity in [4, 8, 64] {
        let mut peer = Peer::new().capacity(capacity);
        let (mut flooding, id) = ScriptedRelay::connect(&mut peer);
        flooding.open_route(&mut peer, id, NUMBER);
        let (mut quiet, id) = ScriptedRelay::connect(&mut peer);
        flooding.flood(&[NUMBER, 1]);
        // Polled once, so that the flooding relay comes before the other in the order of turns. Its input fills all
        // of the next polls.
        peer.poll(GUARD);
        for round in 0..20u8 {
            quiet.send(&[kind::ONION_RESPONSE, round]);
            peer.reported.clear();
            peer.poll(Duration::ZERO);
            let position =
                peer.reported.iter().position(|reported| *reported == Reported::Onion(id, vec![round]));
            assert!(
                position.is_some_and(|position| position <= capacity / 2),
                "round {round}: {position:?} of {capacity}"
            );
            assert!(peer.reported.len() > 1, "the flooding relay has its share as well");
        }
    }
}

#[test]
fn part_of_a_packet_is_not_lost_during_a_flood() {
    // Only the first byte of the shortest packet that causes an event has arrived: not even its length is known.
    for capacity in [2, 3, 4, 8] {
        let mut peer = Peer::new().capacity(capacity);
        let (mut flooding, id) = ScriptedRelay::connect(&mut peer);
        flooding.open_route(&mut peer, id, NUMBER);
        let (mut quiet, id) = ScriptedRelay::connect(&mut peer);
        flooding.flood(&[NUMBER, 1]);
        let mut count = 0;
        for round in 1..=20 {
            quiet.send_first_byte(&[kind::FORWARDING]);
            peer.poll(Duration::ZERO);
            quiet.send(&[kind::FORWARDING]);
            peer.until("both", |peer| {
                count += peer
                    .reported
                    .iter()
                    .filter(|reported| **reported == Reported::Forwarding(id, vec![]))
                    .count();
                peer.reported.clear();
                count == 2 * round
            });
        }
    }
}

#[test]
fn a_relay_without_events_is_read_for_one_turn_per_poll_during_a_flood() {
    let mut peer = Peer::new().capacity(8);
    let (mut flooding, id) = ScriptedRelay::connect(&mut peer);
    flooding.open_route(&mut peer, id, NUMBER);
    let (mut silent, id) = ScriptedRelay::connect(&mut peer);
    flooding.flood(&[NUMBER, 1]);
    // Notifications for a route that does not exist cause no events.
    silent.flood(&[kind::CONNECTION_NOTIFICATION, NUMBER]);
    for _ in 0..4 {
        let before = bytes_in(&peer, id);
        peer.poll(Duration::ZERO);
        let read = bytes_in(&peer, id) - before;
        assert!(read <= TURN, "{read} bytes in one turn");
    }
}

#[test]
fn time_between_polls_is_not_counted_while_input_is_unread() {
    const TIMEOUT: Duration = Duration::from_millis(300);
    let mut peer = Peer::with(|config| config.ping_interval(TIMEOUT).pong_timeout(TIMEOUT));
    let (mut relay, id) = ScriptedRelay::connect(&mut peer);
    let ping = relay.receive(&mut peer);
    // Each time there is input, all of it is read, and it does not contain the pong yet.
    for round in 0..5u8 {
        relay.send(&[kind::ONION_RESPONSE, round]);
        busy(TIMEOUT * 6 / 10);
        peer.poll(Duration::ZERO);
        assert_eq!(peer.reported, [Reported::Onion(id, vec![round])]);
        peer.reported.clear();
    }
    relay.send(&[&[kind::PONG], &ping[1..]].concat());
    busy(TIMEOUT * 6 / 10);
    peer.poll(Duration::ZERO);
    assert_eq!(peer.reported, []);
}

#[test]
fn long_packets_arrive_during_a_flood_with_room_for_few_events() {
    let mut peer = Peer::new().capacity(4);
    let (mut quiet, id) = ScriptedRelay::connect(&mut peer);
    with_flood(&mut peer, |peer| {
        for round in 0..20 {
            let packet = [&[kind::ONION_RESPONSE][..], &numbered(round, 2031)].concat();
            quiet.send_all([&packet[..], &packet]);
            let expected = Reported::Onion(id, packet[1..].to_vec());
            let mut count = 0;
            peer.until("both", |peer| {
                count += peer.reported.iter().filter(|reported| **reported == expected).count();
                peer.reported.clear();
                count == 2
            });
        }
    });
}

#[test]
fn a_stall_before_a_proxys_answer_is_read_does_not_end_the_handshake() {
    let second = Duration::from_secs(1);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut peer = Peer::with(|config| config.connect_timeout(second));
    let proxy = Proxy::socks4(listener.local_addr().unwrap());
    let relay = Relay::new("192.0.2.1:33445", any_key()).proxy(proxy);
    let id = peer.client.connect(relay).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    peer.until("the request is sent", |peer| bytes_out(peer, id) == 9);
    stream.write_all(&[0, 90, 0, 0, 0, 0, 0, 0]).unwrap();
    busy(second * 3 / 2);
    peer.poll(Duration::ZERO);
    let status = peer.client.connection(id).expect("the proxy had answered in time");
    assert_eq!((status.stage, status.traffic.bytes_out), (Stage::Handshaking, 9 + 128));
    assert!(peer.client.next_timeout().unwrap() > second / 2, "the handshake has its own timeout");
}

fn bytes_out(peer: &Peer, id: ConnectionId) -> u64 {
    peer.client.connection(id).map_or(0, |status| status.traffic.bytes_out)
}

#[test]
fn a_poll_ends_at_its_timeout_however_much_there_is_to_read() {
    let mut peer = Peer::new();
    // Notifications for routes that do not exist: much input, and no events.
    let mut relays: Vec<_> = (0..8).map(|_| ScriptedRelay::connect(&mut peer)).collect();
    relays.iter_mut().for_each(|(relay, _)| _ = relay.flood(&[kind::CONNECTION_NOTIFICATION, NUMBER]));
    let before: Vec<_> = relays.iter().map(|(_, id)| bytes_in(&peer, *id)).collect();
    // One round over all of them takes many times as long.
    peer.poll(Duration::from_millis(1));
    for ((_, id), before) in relays.iter().zip(before) {
        let read = bytes_in(&peer, *id) - before;
        assert!(read > 0, "each connection had a turn");
        assert!(read <= TURN, "{read} bytes: a second round began after the timeout");
    }
}

/// Sends until the queue stays full.
fn fill(peer: &mut Peer, route: RouteId) {
    let mut refused = 0;
    while refused < 3 {
        match peer.client.send_data(route, &[7; 1373]) {
            Ok(()) => refused = 0,
            Err(error) => {
                assert_eq!(error, SendError::WouldBlock);
                refused += 1;
                peer.poll(Duration::from_millis(10));
            }
        }
    }
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn less_than_a_megabyte_is_unsent_before_a_ping() {
    let relay = honest();
    let mut pair = OnlinePair::on(&relay);
    assert!(relay.stop_reading(pair.a.raw_key()));
    fill(&mut pair.a, pair.to_b);
    // Sent and not read: the bytes in the relay's socket, and those that our own socket has not sent yet.
    let read = relay.statistics().bytes_in;
    let unread = bytes_out(&pair.a, pair.at_a) - read;
    assert!(unread > 0);
    assert!(unread < 1024 * 1024, "{unread} bytes before a ping");
}

#[test]
fn a_relay_that_reads_200_kilobytes_per_second_stays_connected_with_a_full_queue() {
    let mut peer = Peer::with(|config| config.ping_interval(2 * SHORT).pong_timeout(8 * SHORT));
    let (mut relay, id) = ScriptedRelay::connect(&mut peer);
    let (route, _) = relay.open_route(&mut peer, id, NUMBER);
    let (start, mut read, mut pings) = (Instant::now(), 0, 0);
    while pings < 5 {
        assert!(start.elapsed() < GUARD, "{pings} pings");
        while peer.client.send_data(route, &[7; 1373]).is_ok() {}
        peer.poll(Duration::from_millis(2));
        assert_eq!(peer.ends(id), []);
        if read < start.elapsed().as_millis() as usize * 200 {
            read += relay.read();
        }
        let waiting = std::mem::take(&mut relay.received);
        for packet in waiting.into_iter().filter(|packet| packet[0] == kind::PING) {
            pings += 1;
            relay.send(&[&[kind::PONG], &packet[1..]].concat());
        }
    }
}

#[test]
fn the_final_status_counts_what_was_queued_and_never_sent() {
    let relay = honest();
    let mut pair = OnlinePair::on(&relay);
    assert!(relay.stop_reading(pair.a.raw_key()));
    fill(&mut pair.a, pair.to_b);
    let queued = pair.a.client.connection(pair.at_a).unwrap().queued;
    assert!(queued > 0);
    assert!(pair.a.client.disconnect(pair.at_a));
    pair.a.poll(Duration::ZERO);
    let ended = pair.a.final_status(pair.at_a);
    assert!(ended.queued > 0 && ended.queued <= queued, "{} of {queued} bytes", ended.queued);
    assert_eq!(ended.routes, 1, "as before the end");
    assert_eq!(ended.traffic.packets_in, 3, "the pong, the response and the notification");
}

#[test]
fn thousands_of_ends_in_one_poll_are_looked_up_by_their_ids() {
    const COUNT: usize = 3_000;
    let relay: TestRelay = honest();
    let mut peer = Peer::new().capacity(COUNT + 2);
    let ids: Vec<_> = (0..COUNT)
        .map(|_| {
            let identity = tox_relay_client::SecretKey::generate();
            let id = peer.client.connect(address(&relay).identity(identity)).unwrap();
            assert!(peer.client.disconnect(id));
            id
        })
        .collect();
    peer.poll(Duration::ZERO);
    for id in ids {
        assert_eq!(peer.ends(id).len().min(1), 1);
        assert_eq!(peer.final_status(id).stage, Stage::Connecting);
    }
    peer.poll(Duration::ZERO);
    assert!(peer.events.is_empty());
}

#[test]
fn queued_data_are_sent_before_a_route_is_closed_as_far_as_the_socket_accepts() {
    let relay = honest();
    let mut pair = OnlinePair::on(&relay);
    for number in 0..20 {
        pair.a.client.send_data(pair.to_b, &numbered(number, 1000)).unwrap();
    }
    pair.a.client.close_route(pair.to_b).unwrap();
    pair.until("offline", |pair| matches!(pair.b.reported.last(), Some(Reported::Offline(..))));
    let expected: Vec<_> = (0..20).map(|number| numbered(number, 1000)).collect();
    assert!(pair.b.data() == expected);
}

#[test]
fn room_after_closing_a_route_is_reported() {
    let mut peer = Peer::new();
    let (mut relay, id) = ScriptedRelay::connect(&mut peer);
    let (full, _) = relay.open_route(&mut peer, id, NUMBER);
    fill(&mut peer, full);
    peer.reported.clear();
    peer.client.close_route(full).unwrap();
    peer.client.send_oob(id, any_key(), b"there is room").unwrap();
    peer.poll(Duration::ZERO);
    assert_eq!(peer.reported, [Reported::Writable(id)], "the relay has read nothing");
}

#[test]
fn a_refusal_is_reported_as_one_however_late_the_program_polls() {
    let (_socket, address) = support::dead_port();
    let mut peer = Peer::with(|config| config.connect_timeout(SHORT));
    let id = peer.client.connect(Relay::new(address, any_key())).unwrap();
    busy(2 * SHORT);
    peer.poll(Duration::ZERO);
    assert_eq!(peer.end(id), DisconnectReason::Refused(Party::Relay));
}
