//! Which connections get a turn, and how much a turn may do: slow programs, floods, stalls, and small socket buffers.

mod support;

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::scripted_relay::ScriptedRelay;
use support::{Couple, GUARD, Peer, Reported, SHORT, TestRelay, address, any_key, honest, numbered};
use tox_relay_client::{ConnectionId, DisconnectReason, Party, Proxy, Relay, RouteId, SendError, Stage};
use tox_test_relay::kind;

/// The connection id that scripted relays give to the route.
const NUMBER: u8 = 42;

/// The most bytes that a connection reads in one turn.
const TURN: u64 = 64 * 1024;

/// How long the program does not poll, as if busy with something else.
fn away(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
}

fn bytes_in(peer: &Peer, id: ConnectionId) -> u64 {
    peer.client.connection(id).map_or(0, |status| status.traffic.bytes_in)
}

/// Ends a flood when dropped, also if the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A relay that sends packets with one byte of data from a friend, without end, while `run` runs.
fn flooding(peer: &mut Peer, run: impl FnOnce(&mut Peer)) {
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
        let _stop = Stop(&is_over);
        run(peer);
    });
}

#[test]
fn a_flood_beside_it_and_a_slow_program_end_no_healthy_connection() {
    for (capacity, absence) in [(256, SHORT), (4, SHORT / 8)] {
        let settings = |config: tox_relay_client::Config| {
            config.ping_interval(SHORT).pong_timeout(SHORT).connect_timeout(SHORT)
        };
        let mut peer = Peer::with(settings).capacity(capacity);
        let healthy = honest();
        let id = peer.connect(&healthy);
        flooding(&mut peer, |peer| {
            let pings = |peer: &Peer| peer.client.connection(id).map(|status| status.traffic.packets_out);
            let guard = Instant::now() + GUARD;
            while pings(peer).expect("it answers each ping at once") < 6 {
                assert!(Instant::now() < guard, "{:?} pings", pings(peer));
                away(absence);
                peer.poll(Duration::ZERO);
                peer.reported.clear();
            }
            // A new relay that accepts and answers at once.
            let other = honest();
            let new = peer.begin(&other);
            let stage = |peer: &Peer| peer.client.connection(new).map(|status| status.stage);
            while stage(peer).expect("it accepts and answers at once") != Stage::Connected {
                assert!(Instant::now() < guard, "{:?}", stage(peer));
                away(absence);
                peer.poll(Duration::ZERO);
            }
            assert_eq!(peer.ends(id), []);
        });
    }
}

#[test]
fn a_flood_does_not_fill_the_room_of_others() {
    for capacity in [4, 8, 64] {
        let mut peer = Peer::new().capacity(capacity);
        let (mut flooding, id) = ScriptedRelay::connect(&mut peer);
        flooding.open_route(&mut peer, id, NUMBER);
        let (mut quiet, id) = ScriptedRelay::connect(&mut peer);
        flooding.flood(&[NUMBER, 1]);
        // It comes before the other in the order of turns, and has enough input to fill all of the next polls.
        peer.poll(GUARD);
        for round in 0..20u8 {
            quiet.send(&[kind::ONION_RESPONSE, round]);
            peer.reported.clear();
            peer.poll(Duration::ZERO);
            let place =
                peer.reported.iter().position(|reported| *reported == Reported::Onion(id, vec![round]));
            assert!(
                place.is_some_and(|place| place <= capacity / 2),
                "round {round}: {place:?} of {capacity}"
            );
            assert!(peer.reported.len() > 1, "the flood has its share as well");
        }
    }
}

#[test]
fn a_byte_of_a_packet_is_not_lost_beside_a_flood() {
    // The shortest packets that are events, cut after their first byte: the other byte of the length is not known.
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
fn a_relay_that_makes_no_events_has_no_more_than_its_turn_beside_a_flood() {
    let mut peer = Peer::new().capacity(8);
    let (mut flooding, id) = ScriptedRelay::connect(&mut peer);
    flooding.open_route(&mut peer, id, NUMBER);
    let (mut silent, id) = ScriptedRelay::connect(&mut peer);
    flooding.flood(&[NUMBER, 1]);
    // Notifications for a route that does not exist are no events.
    silent.flood(&[kind::CONNECTION_NOTIFICATION, NUMBER]);
    for _ in 0..4 {
        let before = bytes_in(&peer, id);
        peer.poll(Duration::ZERO);
        let read = bytes_in(&peer, id) - before;
        assert!(read <= TURN, "{read} bytes in one turn");
    }
}

#[test]
fn absences_while_something_waits_to_be_read_are_not_charged() {
    const TIMEOUT: Duration = Duration::from_millis(300);
    let mut peer = Peer::with(|config| config.ping_interval(TIMEOUT).pong_timeout(TIMEOUT));
    let (mut relay, id) = ScriptedRelay::connect(&mut peer);
    let ping = relay.receive(&mut peer);
    // Each time there is input, all of it is read, and it does not contain the pong yet.
    for round in 0..5u8 {
        relay.send(&[kind::ONION_RESPONSE, round]);
        away(TIMEOUT * 6 / 10);
        peer.poll(Duration::ZERO);
        assert_eq!(peer.reported, [Reported::Onion(id, vec![round])]);
        peer.reported.clear();
    }
    relay.send(&[&[kind::PONG], &ping[1..]].concat());
    away(TIMEOUT * 6 / 10);
    peer.poll(Duration::ZERO);
    assert_eq!(peer.reported, []);
}

#[test]
fn a_long_packet_comes_through_beside_a_flood_and_little_room() {
    let mut peer = Peer::new().capacity(4);
    let (mut quiet, id) = ScriptedRelay::connect(&mut peer);
    flooding(&mut peer, |peer| {
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
    peer.until("the request has left", |peer| bytes_out(peer, id) == 9);
    stream.write_all(&[0, 90, 0, 0, 0, 0, 0, 0]).unwrap();
    away(second * 3 / 2);
    peer.poll(Duration::ZERO);
    let status = peer.client.connection(id).expect("the proxy had answered in time");
    assert_eq!((status.stage, status.traffic.bytes_out), (Stage::Handshaking, 9 + 128));
    assert!(peer.client.next_timeout().unwrap() > second / 2, "the handshake has time of its own");
}

fn bytes_out(peer: &Peer, id: ConnectionId) -> u64 {
    peer.client.connection(id).map_or(0, |status| status.traffic.bytes_out)
}

#[test]
fn a_poll_ends_when_its_time_is_up_however_much_there_is_to_read() {
    let mut peer = Peer::new();
    // Much to read and nothing to report: notifications for routes that do not exist.
    let mut relays: Vec<_> = (0..8).map(|_| ScriptedRelay::connect(&mut peer)).collect();
    relays.iter_mut().for_each(|(relay, _)| _ = relay.flood(&[kind::CONNECTION_NOTIFICATION, NUMBER]));
    let before: Vec<_> = relays.iter().map(|(_, id)| bytes_in(&peer, *id)).collect();
    // One round over all of them takes many times as long.
    peer.poll(Duration::from_millis(1));
    for ((_, id), before) in relays.iter().zip(before) {
        let read = bytes_in(&peer, *id) - before;
        assert!(read > 0, "everybody had a turn");
        assert!(read <= TURN, "{read} bytes: a second round began when the time was up");
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
fn a_ping_does_not_wait_for_megabytes_in_the_kernel() {
    let relay = honest();
    let mut couple = Couple::on(&relay);
    assert!(relay.stop_reading(couple.a.raw_key()));
    fill(&mut couple.a, couple.to_b);
    // Sent and not read: what the relay's socket holds, and what our own socket has not sent yet.
    let read = relay.statistics().bytes_in;
    let waits = bytes_out(&couple.a, couple.at_a) - read;
    assert!(waits > 0);
    assert!(waits < 1024 * 1024, "{waits} bytes before a ping");
}

#[test]
fn a_reader_of_200_kilobytes_a_second_keeps_its_connection_while_the_queue_is_full() {
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
fn the_status_at_the_end_says_what_was_accepted_and_never_left() {
    let relay = honest();
    let mut couple = Couple::on(&relay);
    assert!(relay.stop_reading(couple.a.raw_key()));
    fill(&mut couple.a, couple.to_b);
    let queued = couple.a.client.connection(couple.at_a).unwrap().queued;
    assert!(queued > 0);
    assert!(couple.a.client.disconnect(couple.at_a));
    couple.a.poll(Duration::ZERO);
    let ended = couple.a.final_status(couple.at_a);
    assert!(ended.queued > 0 && ended.queued <= queued, "{} of {queued} bytes", ended.queued);
    assert_eq!(ended.routes, 1, "as it was before it was closed");
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
fn last_words_leave_before_a_route_is_closed_as_far_as_the_socket_takes_them() {
    let relay = honest();
    let mut couple = Couple::on(&relay);
    for number in 0..20 {
        couple.a.client.send_data(couple.to_b, &numbered(number, 1000)).unwrap();
    }
    couple.a.client.close_route(couple.to_b).unwrap();
    couple.until("offline", |couple| matches!(couple.b.reported.last(), Some(Reported::Offline(..))));
    let expected: Vec<_> = (0..20).map(|number| numbered(number, 1000)).collect();
    assert!(couple.b.data() == expected);
}

#[test]
fn room_that_closing_a_route_makes_is_reported() {
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
fn a_refusal_is_reported_as_one_however_late_the_program_looks() {
    let (_socket, address) = support::dead_port();
    let mut peer = Peer::with(|config| config.connect_timeout(SHORT));
    let id = peer.client.connect(Relay::new(address, any_key())).unwrap();
    away(2 * SHORT);
    peer.poll(Duration::ZERO);
    assert_eq!(peer.end(id), DisconnectReason::Refused(Party::Relay));
}
