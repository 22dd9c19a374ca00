//! Attacks without end: floods, silence, single bytes, and clocks that jump. And the most memory that a connection
//! uses.

use super::*;
use crate::status::RouteState;

#[test]
fn endless_pings_end_the_connection() {
    let pings = |count| (1..=count).map(ping).collect::<Vec<_>>();
    assert_harmless(Pair::connected, &pings(32));
    assert_eq!(outcome(Pair::connected, &pings(33)), (vec![], Err(DisconnectReason::PingFlood)));
    assert_eq!(outcome(online, &pings(100)), (vec![], Err(DisconnectReason::PingFlood)));
}

#[test]
fn endless_packets_from_a_relay_that_never_reads_are_not_stored() {
    let (mut pair, route) = Pair::with_route(Settings::default(), key(PEER));
    let flood =
        [oob(&[1; 1024]), vec![3, 16], vec![2, 16], data(16, &[2; 2031]), pong(1), vec![9, 9], vec![11]];
    pair.next_deadline().unwrap();
    let held = pair.connection.memory();
    let flooded = |pair: &mut Pair| {
        pair.relay_sends(&flood).unwrap();
        assert_eq!(pair.flush_some(0), []);
        assert_eq!(pair.connection.memory(), held);
        assert_eq!(pair.take_events().len(), flood.len() - 1, "all but the pong");
    };
    // There is always unread input that may contain the pong, until the relay has sent more than kernels can buffer.
    let before = pair.connection.traffic().bytes_in;
    let end = loop {
        pair.now += Duration::from_millis(50);
        flooded(&mut pair);
        if let Err(end) = pair.timeout(true) {
            break end;
        }
        assert_eq!(pair.connection.route_status(route).map(|status| status.state), Some(RouteState::Online));
    };
    assert_eq!(end, DisconnectReason::NoPong(Stage::Connected));
    let read = pair.connection.traffic().bytes_in - before;
    let a_timeout = read * 10 / (pair.elapsed().as_secs() - 30);
    assert!((16 << 20..=(16 << 20) + a_timeout).contains(&read), "{read} bytes");
}

#[test]
fn silence_in_the_middle_of_a_packet_ends_at_the_pong_timeout() {
    let len = 18 + oob(b"never reported").len();
    for cut in 1..len {
        for (mut pair, stage, end) in
            [(Pair::confirming(), Stage::Confirming, 10), (Pair::connected(), Stage::Connected, 40)]
        {
            pair.sent();
            let stream = pair.sealed(&[oob(b"never reported")]);
            assert_eq!(pair.receive(&stream[..cut]), Ok(cut));
            while pair.elapsed() < seconds(end - 10) {
                pair.next_deadline().unwrap();
                pair.sent();
            }
            assert_eq!(pair.next_deadline(), Err(DisconnectReason::NoPong(stage)), "{cut} bytes");
            assert_eq!(pair.elapsed(), seconds(end));
            assert_eq!(pair.take_events(), [""; 0]);
            assert!(pair.connection.memory() <= MAX_MEMORY);
        }
    }
}

#[test]
fn silence_in_the_middle_of_a_response_ends_at_the_connect_timeout() {
    for cut in 0..96 {
        let start = Instant::now();
        let mut connection = connecting(start);
        let (mut response, _) = hello(&mut connection, start).accept(&fresh());
        let mut events = Events::with_capacity(8);
        connection.receive(start, FIRST, &mut response[..cut], &mut Shared::new(), &mut events).unwrap();
        let end = connection.deadline();
        assert_eq!(end, start + seconds(10));
        let hint = if cut == 0 { None } else { Some(Hint::Incomplete(cut as u8)) };
        let timed_out = DisconnectReason::TimedOut { stage: Stage::Handshaking, party: Party::Relay, hint };
        assert_eq!(connection.handle_timeout(end, false, NonZeroU64::MIN), Err(timed_out), "{cut} bytes");
        assert!(events.is_empty() && connection.memory() <= MAX_MEMORY);
    }
}

#[test]
fn one_byte_a_minute_is_too_slow_in_each_stage() {
    let minute = seconds(60);
    // Each byte is read before the deadline is checked.
    {
        let start = Instant::now();
        let mut connection = connecting(start);
        let (mut response, _) = hello(&mut connection, start).accept(&fresh());
        let mut events = Events::with_capacity(8);
        let mut result = Ok(());
        let mut minutes = 0;
        for byte in response.chunks_mut(1) {
            minutes += 1;
            connection
                .receive(start + minute * minutes, FIRST, byte, &mut Shared::new(), &mut events)
                .unwrap();
            result = connection.handle_timeout(start + minute * minutes, false, NonZeroU64::MIN);
            if result.is_err() {
                break;
            }
        }
        assert!(matches!(result, Err(DisconnectReason::TimedOut { stage: Stage::Handshaking, .. })));
        assert_eq!(minutes, 1);

        for (mut pair, stage) in
            [(Pair::confirming(), Stage::Confirming), (Pair::connected(), Stage::Connected)]
        {
            let stream = pair.sealed(&[oob(&[1; 1024])]);
            let mut result = Ok(());
            for byte in stream.chunks(1) {
                pair.now += minute;
                pair.receive(byte).unwrap();
                result = pair.timeout(false);
                if result.is_err() {
                    break;
                }
                pair.sent();
            }
            assert_eq!(result, Err(DisconnectReason::NoPong(stage)));
            assert!(pair.elapsed() <= 2 * minute);
            assert_eq!(pair.take_events(), [""; 0]);
            assert!(pair.connection.memory() <= MAX_MEMORY);
        }
    }
}

#[test]
fn more_than_a_megabyte_in_one_read_is_reported_in_parts_and_not_stored() {
    let (mut pair, route) = Pair::with_route(Settings::default(), key(PEER));
    pair.events = Events::with_capacity(16);
    let payload = |number: u32| number.to_be_bytes().repeat(350);
    let packets: Vec<_> = (0..1000).map(|number| data(16, &payload(number))).collect();
    // The violation follows after all packets.
    let mut stream = pair.sealed(&[&packets[..], &[vec![0x0c]]].concat());
    assert!(stream.len() > 1024 * 1024);
    let held = pair.connection.memory();
    let (mut input, mut number) = (&mut stream[..], 0);
    let end = loop {
        let taken = pair.connection.receive(pair.now, FIRST, input, &mut Shared::new(), &mut pair.events);
        assert!(pair.connection.memory() <= held && pair.events.len() <= 16);
        for event in &pair.events {
            assert_eq!(
                event,
                Event::Data {
                    connection: ID,
                    route,
                    token: route_token(key(PEER)),
                    peer: key(PEER),
                    data: &payload(number)
                }
            );
            number += 1;
        }
        pair.events.clear();
        match taken {
            Ok(taken) => input = &mut input[taken..],
            Err(reason) => break reason,
        }
    };
    assert_eq!((number, end), (1000, Violation::Kind(0x0c).into()));
}

#[test]
fn the_memory_of_a_connection_is_bounded() {
    let mut pair = Pair::connected_with(without_window());
    let queue = Settings::default().send_queue;
    let routes = open_all_routes(&mut pair);
    // The relay reads little: each route has filled its share, with pages that are read in part.
    let mut stream = Vec::new();
    for len in [1400, 100, 1, 300, 1] {
        while routes.iter().any(|route| pair.connection.send_data(*route, &vec![1; len]).is_ok()) {}
        assert!(pair.connection.queued() <= queue);
        stream.extend(pair.flush_some(queue / 8));
    }
    while routes.iter().any(|route| pair.connection.send_data(*route, &[1]).is_ok()) {}
    assert!(pair.connection.queued() > queue * 9 / 10);
    // All important packets that can exist, and packets without a route.
    pair.next_deadline().unwrap();
    pair.connection.close_all_routes();
    assert_eq!((pair.connection.queued(), pair.connection.route_count()), (0, 240));
    assert_eq!(pair.connection.open(key(250)), Err(RouteError::TooMany));
    let mut packets = 0;
    while pair.connection.send_oob(key(8), &[1; 1024]).is_ok() {
        packets += 1;
    }
    pair.relay_sends(&(1..=32).map(ping).collect::<Vec<_>>()).unwrap();
    // And all bytes of a packet but the last, one at a time.
    let incoming = pair.sealed(&[vec![9; 2032]]);
    for byte in &incoming[..incoming.len() - 1] {
        pair.receive(&[*byte]).unwrap();
    }
    let held = pair.connection.memory();
    assert!(
        held > queue && held < 500 * 1024,
        "{held} bytes: each route may use its first and last page in part"
    );
    // No packet was lost.
    stream.extend(flush(&mut pair.connection, pair.now, &mut pair.scratch));
    let left = pair.relay.open(&stream).unwrap();
    let count =
        |kinds: std::ops::RangeInclusive<u8>| left.iter().filter(|packet| kinds.contains(&packet[0])).count();
    assert_eq!([count(3..=3), count(4..=4), count(5..=5), count(6..=6)], [240, 1, 32, packets]);
    assert_eq!(pair.connection.route_count(), 0);
}

/// Opens all 240 routes, all of them online.
fn open_all_routes(pair: &mut Pair) -> Vec<RouteId> {
    let routes = (0..240).map(|number| pair.connection.open(key(number)).unwrap()).collect();
    pair.sent();
    for number in 0..240 {
        pair.relay_sends(&[routing_response(16 + number, key(number)), vec![2, 16 + number]]).unwrap();
    }
    pair.take_events();
    routes
}

#[test]
fn a_clock_that_stands_still_stops_only_the_pings() {
    let (mut pair, route) = Pair::with_route(Settings::default(), key(PEER));
    for number in 0..100u8 {
        pair.connection.send_data(route, &[number]).unwrap();
        pair.relay_sends(&[data(16, &[number]), ping(1 + u64::from(number))]).unwrap();
        pair.timeout(false).unwrap();
        pair.timeout(true).unwrap();
        assert_eq!(pair.sent(), [pong(1 + u64::from(number)), data(16, &[number])]);
        assert_eq!(pair.take_events().len(), 1);
    }
    assert_eq!(pair.connection.round_trips().latest, Some(Duration::from_micros(1)));
    assert!(pair.connection.times().connected.unwrap() <= Duration::from_micros(1));
    assert_eq!(pair.connection.deadline(), pair.started + seconds(30));
}

#[test]
fn a_clock_that_jumps_an_hour_ahead_results_in_one_ping() {
    let hour = seconds(3600);
    // Idle: a ping is overdue, and only one is sent.
    let mut pair = Pair::connected();
    pair.now += hour;
    pair.timeout(false).unwrap();
    let waiting = pair.ping;
    pair.timeout(false).unwrap();
    assert_eq!(pair.sent(), [ping(waiting)]);
    assert_eq!(pair.connection.deadline(), pair.now + seconds(10));
    // With an unanswered ping, the pong may be read first,
    pair.now += hour;
    pair.relay_sends(&[pong(waiting)]).unwrap();
    pair.timeout(false).unwrap();
    assert_eq!(pair.sent(), [ping(pair.ping)]);
    // or may be unread; if there is no pong, the connection ends.
    pair.now += hour;
    pair.timeout(true).unwrap();
    assert_eq!(pair.next_deadline(), Err(DisconnectReason::NoPong(Stage::Connected)));
    assert_eq!(pair.take_events(), [""; 0]);
}

#[test]
fn a_clock_that_goes_back_an_hour_ends_no_connection() {
    let hour = seconds(3600);
    let mut pair = Pair::confirming();
    pair.now += hour;
    // The deadline is not checked at this time.
    assert_eq!(pair.sent(), [ping(FIRST_PING)]);
    pair.now -= hour;
    pair.relay_sends(&[pong(FIRST_PING)]).unwrap();
    assert_eq!(pair.take_events(), [text(Event::Connected { connection: ID, token: TOKEN })]);
    assert_eq!(
        pair.connection.round_trips().latest,
        Some(Duration::from_micros(1)),
        "the ping was sent an hour later"
    );
    pair.now += hour;
    pair.timeout(false).unwrap();
    assert_eq!(pair.sent(), [ping(pair.ping)]);
    pair.relay_sends(&[pong(pair.ping)]).unwrap();
    let deadline = pair.now + seconds(30);
    pair.now -= hour;
    for _ in 0..100 {
        pair.timeout(true).unwrap();
        pair.relay_sends(&[oob(b"meanwhile")]).unwrap();
    }
    assert!(!pair.connection.has_output(FIRST), "no ping before its time");
    assert_eq!(pair.connection.deadline(), deadline);
    assert_eq!(pair.take_events().len(), 100);
    pair.next_deadline().unwrap();
    assert_eq!(pair.sent(), [ping(pair.ping)]);
}
