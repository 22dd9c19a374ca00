//! The shares of the queue and the stream that the routes of a connection get, and what happens to them when a route
//! ends.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::config::MIN_SEND_QUEUE;
use crate::wire::frame::MAX_FRAME;

/// A connection with `count` online routes; their connection ids begin at 16.
fn with_routes(settings: Settings, count: u8) -> (Pair, Vec<RouteId>) {
    let mut pair = Pair::connected_with(settings);
    let routes = (0..count).map(|number| pair.connection.open(key(number)).unwrap()).collect();
    pair.sent();
    for number in 0..count {
        pair.relay_sends(&[routing_response(16 + number, key(number)), vec![2, 16 + number]]).unwrap();
    }
    pair.take_events();
    (pair, routes)
}

/// Sends until there is no room. Returns how many bytes of data were taken.
fn fill(pair: &mut Pair, route: RouteId, len: usize) -> usize {
    let mut taken = 0;
    while pair.connection.send_data(route, &vec![0xaa; len]).is_ok() {
        taken += len;
    }
    assert_eq!(pair.connection.send_data(route, &vec![0xaa; len]), Err(SendError::WouldBlock));
    taken
}

#[test]
fn a_file_transfer_on_one_route_does_not_block_a_chat_line_on_another() {
    for send_queue in [MIN_SEND_QUEUE, 16 * 1024, Settings::default().send_queue] {
        let (mut pair, routes) = with_routes(Settings { send_queue, ..without_window() }, 2);
        fill(&mut pair, routes[0], 1400);
        let mut stream = pair.flush_some(100);
        fill(&mut pair, routes[0], 1400);
        // There is room at once, and the packets are sent after one turn of the other route.
        for line in 0..10 {
            pair.connection.send_data(routes[1], &[line; 50]).unwrap();
        }
        stream.extend(pair.flush_some(2 * MAX_FRAME + 10 * (18 + 51)));
        let sent = pair.relay.open(&stream).unwrap();
        assert_eq!(sent.iter().filter(|packet| packet[0] == 17).count(), 10, "{send_queue}: {sent:?}");
    }
}

#[test]
fn a_file_transfer_does_not_block_packets_without_a_route() {
    let (mut pair, routes) = with_routes(without_window(), 1);
    fill(&mut pair, routes[0], 1400);
    pair.connection.send_oob(key(9), &[1; 1024]).unwrap();
    pair.connection.send_onion_request(&[2; 1000]).unwrap();
    let stream = pair.flush_some(4 * MAX_FRAME);
    let kinds: Vec<_> = pair.relay.open(&stream).unwrap().iter().map(|packet| packet[0]).collect();
    assert!(kinds.contains(&6) && kinds.contains(&8), "{kinds:?}");
}

#[test]
fn room_is_reported_whatever_its_cause() {
    let close: fn(&mut Pair, &[RouteId]) = |pair, routes| _ = pair.connection.close_route(routes[0]).unwrap();
    let close_all: fn(&mut Pair, &[RouteId]) = |pair, _| pair.connection.close_all_routes();
    let offline: fn(&mut Pair, &[RouteId]) = |pair, _| pair.relay_sends(&[vec![3, 16]]).unwrap();
    let leave: fn(&mut Pair, &[RouteId]) = |pair, _| _ = pair.flush_some(usize::MAX);
    for make_room in [close, close_all, offline, leave] {
        for refused in 0..3 {
            let settings = Settings { send_queue: MIN_SEND_QUEUE, ..Settings::default() };
            let (mut pair, routes) = with_routes(settings, 2);
            fill(&mut pair, routes[0], 2031);
            let send = |pair: &mut Pair| match refused {
                0 => pair.connection.send_data(routes[0], &[1]),
                1 => pair.connection.send_data(routes[1], &[1; 2031]),
                _ => pair.connection.send_oob(key(9), &[1; 1024]),
            };
            while send(&mut pair).is_ok() {}
            assert!(!pair.connection.take_writable());
            make_room(&mut pair, &routes);
            assert!(pair.connection.take_writable(), "refused: {refused}");
            assert!(!pair.connection.take_writable(), "reported once");
        }
    }
}

#[test]
fn data_for_a_peer_that_went_offline_are_removed_and_counted() {
    for room in (0..200).chain([2_000, 10_000]) {
        let (mut pair, routes) = with_routes(without_window(), 2);
        for number in 0..4 {
            pair.connection.send_data(routes[0], &[number; 30]).unwrap();
            pair.connection.send_data(routes[1], &[number; 30]).unwrap();
        }
        let mut stream = pair.flush_some(room);
        pair.relay_sends(&[vec![3, 16]]).unwrap();
        let unsent = match pair.events.iter().next() {
            Some(Event::RouteOffline { route, unsent, .. }) if route == routes[0] => unsent,
            other => panic!("{other:?}"),
        };
        // The peer's next session gets none of the old data, and the other route gets all of its own.
        pair.relay_sends(&[vec![2, 16]]).unwrap();
        pair.connection.send_data(routes[0], b"hello again").unwrap();
        stream.extend(flush(&mut pair.connection, pair.now, &mut pair.scratch));
        let sent = pair.relay.open(&stream).unwrap();
        let before = sent.iter().filter(|packet| packet[0] == 16 && packet.len() == 31).count();
        assert_eq!(unsent, (4 - before) * 30, "after {room} bytes");
        assert_eq!(before, room.div_ceil(49).min(4), "a packet that was begun is sent whole");
        assert_eq!(sent.iter().filter(|packet| packet[0] == 17).count(), 4);
        assert!(sent.contains(&data(16, b"hello again")));
    }
}

#[test]
fn data_for_a_peer_that_went_offline_do_not_block_others() {
    let (mut pair, routes) = with_routes(without_window(), 1);
    let taken = fill(&mut pair, routes[0], 1000);
    while pair.connection.send_oob(key(9), &[1; 1024]).is_ok() {}
    pair.relay_sends(&[vec![3, 16]]).unwrap();
    let reported = pair.events.iter().next();
    assert!(matches!(reported, Some(Event::RouteOffline { unsent, .. }) if unsent == taken), "{reported:?}");
    pair.connection.send_oob(key(9), &[1; 1024]).unwrap();
}

#[test]
fn closing_a_route_returns_how_many_bytes_were_not_sent() {
    let (mut pair, routes) = with_routes(without_window(), 3);
    let taken = fill(&mut pair, routes[0], 100);
    pair.connection.send_data(routes[1], b"other").unwrap();
    assert_eq!(pair.connection.close_route(routes[0]), Ok(taken));
    assert_eq!(pair.connection.close_route(routes[2]), Ok(0));
    assert_eq!(pair.connection.queued(), 2 + 1 + 5);
    assert_eq!(pair.connection.close_route(routes[1]), Ok(5));
    assert_eq!(pair.connection.queued(), 0);
}

/// An action of the caller, the relay or the socket.
#[derive(Debug, Clone)]
enum Step {
    /// Data on a route, or OOB.
    Send(usize, usize),
    /// The socket takes this many bytes.
    Flush(usize),
    /// The peer of a route goes offline and comes online again.
    GoOffline(usize),
    Writable,
}

fn any_step() -> impl Strategy<Value = Step> {
    let len = || prop_oneof![8..60_usize, 8..1024_usize];
    prop_oneof![
        12 => (0..4_usize, len()).prop_map(|(flow, len)| Step::Send(flow, len)),
        6 => prop_oneof![0..50_usize, 0..5_000_usize].prop_map(Step::Flush),
        1 => (0..3_usize).prop_map(Step::GoOffline),
        3 => Just(Step::Writable),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// However many bytes the socket takes at a time, and whichever peers go offline: every accepted packet is sent
    /// once, in the order of its route, or is reported as unsent.
    #[test]
    fn accepted_packets_are_sent_in_order_or_reported_as_unsent(
        send_queue in MIN_SEND_QUEUE..30_000_usize,
        steps in prop::collection::vec(any_step(), 1..200),
    ) {
        let (mut pair, routes) = with_routes(Settings { send_queue, ..without_window() }, 3);
        let mut accepted = BTreeMap::<u8, Vec<Vec<u8>>>::new();
        let (mut unsent_bytes, mut refused, mut stream) = ([0; 4], false, Vec::new());
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Send(flow, len) => {
                    let payload: Vec<u8> = number.to_be_bytes().into_iter().cycle().take(len).collect();
                    let (sent, packet) = match routes.get(flow) {
                        Some(route) => {
                            let id = 16 + flow as u8;
                            (pair.connection.send_data(*route, &payload), data(id, &payload))
                        }
                        None => {
                            let packet = [&[6][..], key(9).as_bytes(), &payload].concat();
                            (pair.connection.send_oob(key(9), &payload), packet)
                        }
                    };
                    match sent {
                        Ok(()) => accepted.entry(packet[0]).or_default().push(packet),
                        Err(error) => {
                            prop_assert_eq!(error, SendError::WouldBlock);
                            refused = true;
                        }
                    }
                }
                Step::Flush(room) => stream.extend(pair.flush_some(room)),
                Step::GoOffline(flow) => {
                    pair.relay_sends(&[vec![3, 16 + flow as u8], vec![2, 16 + flow as u8]]).unwrap();
                    let reported = pair.events.iter().next();
                    let Some(Event::RouteOffline { unsent, .. }) = reported else { panic!("{reported:?}") };
                    unsent_bytes[flow] += unsent;
                    pair.events.clear();
                }
                Step::Writable => {
                    let reported = pair.connection.take_writable();
                    prop_assert!(refused || !reported, "no packet was refused");
                }
            }
            prop_assert!(pair.connection.queued() <= send_queue);
        }
        stream.extend(flush(&mut pair.connection, pair.now, &mut pair.scratch));
        prop_assert_eq!(pair.connection.queued(), 0);
        let mut sent = BTreeMap::<u8, Vec<Vec<u8>>>::new();
        for packet in pair.relay.open(&stream).expect("packets that open") {
            sent.entry(packet[0]).or_default().push(packet);
        }
        for (kind, accepted) in &accepted {
            // All packets differ, so those that are missing from the sequence are those that were removed.
            let mut sent = sent.remove(kind).unwrap_or_default().into_iter().peekable();
            let missing = accepted.iter().filter(|packet| sent.next_if_eq(*packet).is_none());
            let lost: usize = missing.map(|packet| packet.len() - 1).sum();
            prop_assert_eq!(sent.next(), None, "twice, or out of order");
            prop_assert_eq!(lost, kind.checked_sub(16).map_or(0, |flow| unsent_bytes[usize::from(flow)]));
        }
        prop_assert!(sent.is_empty());
    }
}
