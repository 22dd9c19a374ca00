//! What is sent, in which order, and what is removed before.

use super::*;

fn small_queue() -> Settings {
    Settings { send_queue: crate::config::MIN_SEND_QUEUE, ..without_window() }
}

#[test]
fn every_valid_length_is_sent_and_every_other_is_an_error() {
    let (mut pair, route) = Pair::with_route(without_window(), key(7));
    let bytes = vec![0xab; 2100];
    let check = |pair: &mut Pair, len: usize, legal: std::ops::RangeInclusive<usize>, head: &[u8], result| {
        if legal.contains(&len) {
            assert_eq!(result, Ok(()), "{len}");
            assert_eq!(pair.sent(), [[head, &bytes[..len]].concat()]);
        } else {
            let Err(SendError::Length { length, min, max, .. }) = result else { panic!("{len}: {result:?}") };
            assert_eq!((length, min, max), (len, *legal.start(), *legal.end()));
            assert!(!pair.connection.has_output(FIRST));
        }
    };
    let v4 = Destination::Tcp("1.2.3.4:258".parse().unwrap());
    let v6 = Destination::Udp("[::1]:258".parse().unwrap());
    let v4_head = [10, 130, 1, 2, 3, 4, 1, 2];
    let v6_head = [10, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2];
    let oob_head = [&[6][..], &[9; 32]].concat();
    for len in (0..20).chain(170..185).chain(1020..1030).chain(1350..1365).chain(1785..1800).chain(2025..2100)
    {
        let some = &bytes[..len];
        let result = pair.connection.send_data(route, some);
        check(&mut pair, len, 1..=2031, &[16], result);
        let result = pair.connection.send_oob(key(9), some);
        check(&mut pair, len, 1..=1024, &oob_head, result);
        let result = pair.connection.send_onion_request(some);
        check(&mut pair, len, 178..=1359, &[8], result);
        let result = pair.connection.send_forward_request(v4, some);
        check(&mut pair, len, 1..=1792, &v4_head, result);
        let result = pair.connection.send_forward_request(v6, some);
        check(&mut pair, len, 1..=1792, &v6_head, result);
    }
}

#[test]
fn send_to_uses_a_route_only_while_it_is_online() {
    let mut pair = Pair::connected();
    let peer = key(7);
    let oob = [&[6][..], peer.as_bytes(), b"hi"].concat();
    pair.connection.send_to(peer, b"hi").unwrap();
    assert_eq!(pair.sent(), std::slice::from_ref(&oob));
    let route = pair.connection.open(peer).unwrap();
    pair.sent();
    pair.connection.send_to(peer, b"hi").unwrap();
    pair.relay_sends(&[routing_response(16, peer)]).unwrap();
    pair.connection.send_to(peer, b"hi").unwrap();
    assert_eq!(pair.sent(), [oob.clone(), oob.clone()]);
    assert_eq!(pair.connection.send_data(route, b"hi"), Err(SendError::RouteOffline));
    pair.relay_sends(&[vec![2, 16]]).unwrap();
    pair.connection.send_to(peer, b"hi").unwrap();
    assert_eq!(pair.sent(), [data(16, b"hi")]);
    pair.relay_sends(&[vec![3, 16]]).unwrap();
    pair.connection.send_to(peer, b"hi").unwrap();
    assert_eq!(pair.sent(), [oob]);
    assert!(matches!(pair.connection.send_to(peer, &[0; 1025]), Err(SendError::Length { max: 1024, .. })));
}

#[test]
fn important_packets_of_several_writes_are_sent_in_order_and_before_data() {
    let (mut pair, route) = Pair::with_route(without_window(), key(7));
    pair.scratch = vec![0; MIN_SCRATCH];
    pair.connection.send_data(route, b"after all of them").unwrap();
    let peers: Vec<_> = (8..208).map(key).collect();
    for peer in &peers {
        pair.connection.open(*peer).unwrap();
    }
    let mut expected: Vec<_> = peers.into_iter().map(routing_request).collect();
    expected.push(data(16, b"after all of them"));
    assert_eq!(pair.sent(), expected);
}

#[test]
fn important_packets_are_sent_before_data_at_every_packet_boundary() {
    // The socket takes `room` bytes; then an important packet is queued.
    for room in 0..150 {
        let (mut pair, route) = Pair::with_route(without_window(), key(7));
        let packets: Vec<_> = (0..5).map(|number| data(16, &[number; 9])).collect();
        for packet in &packets {
            pair.connection.send_data(route, &packet[1..]).unwrap();
        }
        let mut stream = pair.flush_some(room);
        pair.relay_sends(&[ping(1)]).unwrap();
        pair.connection.open(key(8)).unwrap();
        stream.extend(flush(&mut pair.connection, pair.now, &mut pair.scratch));
        let mut expected = packets.clone();
        let begun = room.div_ceil(18 + 10).min(5);
        expected.splice(begun..begun, [pong(1), routing_request(key(8))]);
        assert_eq!(pair.relay.open(&stream).unwrap(), expected, "after {room} bytes");
    }
}

#[test]
fn a_socket_that_takes_one_byte_per_call_gets_everything_in_order() {
    let (mut pair, route) = Pair::with_route(without_window(), key(7));
    let mut expected = Vec::new();
    for number in 0..20 {
        pair.connection.send_data(route, &[number; 50]).unwrap();
        expected.push(data(16, &[number; 50]));
    }
    pair.relay_sends(&[ping(1), ping(2)]).unwrap();
    expected.splice(0..0, [pong(1), pong(2)]);
    let mut stream = Vec::new();
    while pair.connection.has_output(FIRST) {
        let byte = pair.flush_some(1);
        assert_eq!(byte.len(), 1);
        stream.extend(byte);
    }
    assert_eq!(pair.relay.open(&stream).unwrap(), expected);
}

#[test]
fn a_small_scratch_buffer_only_results_in_more_writes() {
    let (mut pair, route) = Pair::with_route(without_window(), key(7));
    pair.scratch = vec![0; MIN_SCRATCH];
    let packets: Vec<_> = (0..40).map(|number| vec![number; 1 + usize::from(number) * 37]).collect();
    for packet in &packets {
        pair.connection.send_data(route, packet).unwrap();
    }
    let expected: Vec<_> = packets.iter().map(|packet| data(16, packet)).collect();
    assert_eq!(pair.sent(), expected);
}

#[test]
fn batches_shrink_while_the_socket_takes_little_and_grow_again() {
    let (mut pair, route) = Pair::with_route(without_window(), key(7));
    let packets: Vec<_> = (0..100_u8).map(|at| vec![at; 600]).collect();
    for packet in &packets {
        pair.connection.send_data(route, packet).unwrap();
    }
    // A socket that has room for 1500 bytes each time that it is writable.
    let (mut stream, mut offered) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let mut room = 1500;
        let flushed = pair.connection.flush(
            pair.now,
            FIRST,
            bulk_ping(),
            &mut pair.shared,
            &mut pair.scratch,
            |part| {
                offered.push(part.len());
                let taken = part.len().min(room);
                room -= taken;
                stream.extend_from_slice(&part[..taken]);
                if taken == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(taken) }
            },
        );
        assert!(!flushed.unwrap());
    }
    assert!(offered[0] > 60_000, "{offered:?}");
    let late = &offered[offered.len() / 2..];
    assert!(late.iter().all(|len| *len <= 4096), "{offered:?}");

    // Now the socket takes everything, and the batches grow again.
    let mut grown = Vec::new();
    let all =
        pair.connection.flush(pair.now, FIRST, bulk_ping(), &mut pair.shared, &mut pair.scratch, |part| {
            grown.push(part.len());
            stream.extend_from_slice(part);
            Ok(part.len())
        });
    assert!(all.unwrap());
    assert!(grown.iter().any(|len| *len > 16_000), "{grown:?}");
    let expected: Vec<_> = packets.iter().map(|packet| data(16, packet)).collect();
    assert_eq!(pair.relay.open(&stream).expect("packets that open"), expected);
}

#[test]
fn a_full_queue_refuses_packets_and_reports_room_once() {
    let (mut pair, route) = Pair::with_route(small_queue(), key(7));
    let packet = |number: u8| [number; 500];
    let mut accepted = Vec::new();
    while pair.connection.send_data(route, &packet(accepted.len() as u8)).is_ok() {
        accepted.push(data(16, &packet(accepted.len() as u8)));
    }
    assert_eq!(pair.connection.send_data(route, &packet(99)), Err(SendError::WouldBlock));
    assert!(pair.connection.queued() <= crate::config::MIN_SEND_QUEUE);
    assert!(!pair.connection.take_writable());
    let mut stream = pair.flush_some(519);
    assert!(!pair.connection.take_writable(), "there is no room yet for the longest packet");
    stream.extend(pair.flush_some(519 * 4));
    assert!(pair.connection.take_writable());
    assert!(!pair.connection.take_writable());
    pair.connection.send_data(route, &[7; 2031]).unwrap();
    accepted.push(data(16, &[7; 2031]));
    stream.extend(flush(&mut pair.connection, pair.now, &mut pair.scratch));
    assert_eq!(pair.relay.open(&stream).unwrap(), accepted);
}

#[test]
fn a_full_queue_does_not_stop_important_packets() {
    let (mut pair, route) = Pair::with_route(small_queue(), key(7));
    while pair.connection.send_data(route, &[1; 100]).is_ok() {}
    pair.relay_sends(&[ping(1)]).unwrap();
    pair.connection.open(key(8)).unwrap();
    pair.next_deadline().unwrap();
    let sent = pair.sent();
    assert_eq!(sent[..3], [pong(1), routing_request(key(8)), ping(pair.ping)]);
    assert!(sent[3..].iter().all(|packet| packet[0] == 16));
}

#[test]
fn packets_of_a_closed_route_are_never_sent() {
    // `room`: how many bytes the socket has taken when the route is closed.
    for room in 0..120 {
        let (mut pair, first) = Pair::with_route(without_window(), key(7));
        let second = pair.connection.open(key(8)).unwrap();
        pair.sent();
        pair.relay_sends(&[routing_response(17, key(8)), vec![2, 17]]).unwrap();
        pair.take_events();
        for number in 0..3 {
            pair.connection.send_data(first, &[number; 9]).unwrap();
            pair.connection.send_data(second, &[number; 9]).unwrap();
        }
        let mut stream = pair.flush_some(room);
        pair.connection.close_route(first).unwrap();
        // After the disconnect notification, the relay may give the same number to this route.
        let third = pair.connection.open(key(9)).unwrap();
        stream.extend(flush(&mut pair.connection, pair.now, &mut pair.scratch));
        let sent = pair.relay.open(&stream).unwrap();
        let end = sent.iter().position(|packet| packet == &[3, 16]).expect("a disconnect notification");
        assert!(sent[end..].iter().all(|packet| packet[0] != 16), "after {room} bytes: {sent:?}");
        assert_eq!(sent.iter().filter(|packet| packet[0] == 17).count(), 3);
        pair.relay_sends(&[routing_response(16, key(9)), vec![2, 16]]).unwrap();
        pair.connection.send_data(third, b"new").unwrap();
        assert_eq!(pair.sent(), [data(16, b"new")]);
    }
}

#[test]
fn a_failed_write_is_an_error_and_an_interrupted_one_is_not() {
    let (mut pair, route) = Pair::with_route(without_window(), key(7));
    pair.connection.send_data(route, b"x").unwrap();
    let mut results = vec![Err(io::ErrorKind::BrokenPipe.into()), Err(io::ErrorKind::Interrupted.into())];
    let result =
        pair.connection.flush(pair.now, FIRST, bulk_ping(), &mut pair.shared, &mut pair.scratch, |_| {
            results.pop().unwrap()
        });
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    let result =
        pair.connection.flush(pair.now, FIRST, bulk_ping(), &mut pair.shared, &mut pair.scratch, |_| Ok(0));
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::WriteZero);
    // The failed writes have lost no packet and used no nonce.
    assert_eq!(pair.sent(), [data(16, b"x")]);
}

#[test]
fn key_stream_is_wiped_after_each_call() {
    let (mut pair, route) = Pair::with_route(without_window(), key(7));
    for len in [10, 2000] {
        pair.connection.send_data(route, &vec![1; len]).unwrap();
        pair.flush_some(usize::MAX);
        assert!(pair.shared.key_stream.is_wiped(), "sending {len} bytes");
        pair.connection.send_data(route, &vec![1; len]).unwrap();
        pair.flush_some(0);
        assert!(pair.shared.key_stream.is_wiped(), "sending to a full socket");
        pair.relay_sends(&[data(16, &vec![1; len])]).unwrap();
        assert!(pair.shared.key_stream.is_wiped(), "receiving {len} bytes");
    }
    assert!(pair.receive(&[0, 17, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]).is_err());
    assert!(pair.shared.key_stream.is_wiped(), "an invalid packet");
}
