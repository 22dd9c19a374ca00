//! The events and answers that result from the relay's packets.

use super::*;

#[test]
fn each_kind_of_packet_results_in_its_event() {
    let (mut pair, route) = Pair::with_route(Settings::default(), key(7));
    let sender = key(8);
    let longest = vec![9; 1024];
    pair.relay_sends(&[
        data(16, b"data"),
        [&[7][..], sender.as_bytes(), &longest].concat(),
        [&[9][..], b"onion"].concat(),
        [&[11][..], b"forwarded"].concat(),
        vec![3, 16],
        vec![2, 16],
    ])
    .unwrap();
    let reported: Vec<_> = pair.events.iter().collect();
    assert_eq!(
        reported,
        [
            Event::Data { connection: ID, route, token: route_token(key(7)), peer: key(7), data: b"data" },
            Event::Oob { connection: ID, token: TOKEN, sender, data: &longest },
            Event::OnionResponse { connection: ID, token: TOKEN, data: b"onion" },
            Event::Forwarding { connection: ID, token: TOKEN, data: b"forwarded" },
            Event::RouteOffline {
                connection: ID,
                route,
                token: route_token(key(7)),
                peer: key(7),
                unsent: 0
            },
            Event::RouteOnline { connection: ID, route, token: route_token(key(7)), peer: key(7) },
        ]
    );
}

#[test]
fn data_of_any_length_may_arrive_in_pieces_of_any_size() {
    let (mut pair, route) = Pair::with_route(Settings::default(), key(7));
    let payload: Vec<u8> = (0..2031).map(|byte| byte as u8).collect();
    for len in [0, 1, 2, 16, 1400, 2030, 2031] {
        for piece in [1, 2, 3, 17, 18, 19, 2049, 2050, 2051] {
            let stream = pair.sealed(&[data(16, &payload[..len]), data(16, b"next")]);
            for piece in stream.chunks(piece) {
                pair.receive(piece).unwrap();
            }
            let reported: Vec<_> = pair.events.iter().collect();
            let event =
                |data| Event::Data { connection: ID, route, token: route_token(key(7)), peer: key(7), data };
            assert_eq!(
                reported,
                [event(&payload[..len]), event(&b"next"[..])],
                "{len} bytes in pieces of {piece}"
            );
            pair.events.clear();
        }
    }
}

#[test]
fn no_packet_is_lost_while_there_is_no_room_for_events() {
    let (mut pair, route) = Pair::with_route(Settings::default(), key(7));
    pair.events = Events::with_capacity(5);
    let packets: Vec<_> = (0..100).map(|number| data(16, &[number])).collect();
    let mut stream = pair.sealed(&packets);
    let mut arrived = Vec::new();
    let mut input = &mut stream[..];
    while !input.is_empty() {
        let taken =
            pair.connection.receive(pair.now, FIRST, input, &mut Shared::new(), &mut pair.events).unwrap();
        assert!(taken > 0 && pair.events.len() <= pair.events.capacity());
        for event in &pair.events {
            let Event::Data { route: from, data, .. } = event else { panic!("{event:?}") };
            assert_eq!(from, route);
            arrived.extend_from_slice(data);
        }
        pair.events.clear();
        input = &mut input[taken..];
    }
    assert_eq!(arrived, (0..100).collect::<Vec<u8>>());
}

#[test]
fn packets_before_an_invalid_one_are_reported() {
    let (mut pair, _) = Pair::with_route(Settings::default(), key(7));
    let mut stream = pair.sealed(&[data(16, b"good"), data(16, b"bad")]);
    *stream.last_mut().unwrap() ^= 1;
    assert_eq!(pair.receive(&stream), Err(Violation::Forged.into()));
    assert_eq!(pair.take_events().len(), 1);
}

#[test]
fn lost_repeated_and_swapped_packets_end_the_connection() {
    for order in [&[1][..], &[0, 0], &[1, 0], &[0, 2]] {
        let mut pair = Pair::connected();
        let packets: Vec<_> = (1..=3).map(|id| pair.sealed(&[ping(id)])).collect();
        let stream: Vec<u8> = order.iter().flat_map(|index| packets[*index].clone()).collect();
        assert_eq!(pair.receive(&stream), Err(Violation::Forged.into()), "{order:?}");
        assert_eq!(pair.connection.input_memory(), 0);
    }
}

#[test]
fn packets_that_no_relay_sends_end_the_connection() {
    let key_and_data = |kind: u8| [&[kind][..], &[7; 33]].concat();
    let destination = [&[10, 2][..], &[127, 0, 0, 1, 1, 2], b"data"].concat();
    let faults = [
        (routing_request(key(7)), Violation::Kind(0)),
        (key_and_data(6), Violation::Kind(6)),
        ([&[8][..], &[0; 200]].concat(), Violation::Kind(8)),
        (destination, Violation::Kind(10)),
        (vec![0x0c], Violation::Kind(0x0c)),
        (vec![0x0f, 1], Violation::Kind(0x0f)),
        (vec![2], Violation::Length { kind: 2, length: 1 }),
        (vec![2, 16, 0], Violation::Length { kind: 2, length: 3 }),
        (vec![2, 15], Violation::RouteNumber { kind: 2, id: 15 }),
        (vec![3, 0], Violation::RouteNumber { kind: 3, id: 0 }),
        (ping(0), Violation::PingId),
        (pong(0), Violation::PingId),
        (vec![4; 8], Violation::Length { kind: 4, length: 8 }),
        ([&[7][..], &[1; 32]].concat(), Violation::Length { kind: 7, length: 33 }),
        ([&[7][..], &[1; 32 + 1025]].concat(), Violation::Length { kind: 7, length: 1058 }),
        (vec![9], Violation::Length { kind: 9, length: 1 }),
    ];
    for (packet, violation) in faults {
        let mut pair = Pair::connected();
        assert_eq!(pair.relay_sends(&[packet]), Err(violation.into()));
    }
}

#[test]
fn an_invalid_length_ends_the_connection_at_its_second_byte() {
    for length in [0u16, 1, 16, 2049, 65535] {
        let mut pair = Pair::connected();
        let [high, low] = length.to_be_bytes();
        assert_eq!(pair.receive(&[high]), Ok(1));
        assert_eq!(pair.receive(&[low]), Err(Violation::PacketLength(length).into()));
    }
}

#[test]
fn the_memory_for_an_incomplete_packet_is_bounded() {
    let (mut pair, _) = Pair::with_route(Settings::default(), key(7));
    let stream = pair.sealed(&[data(16, &[0; 2031])]);
    for byte in &stream {
        pair.receive(&[*byte]).unwrap();
        assert!(pair.connection.input_memory() <= 4096 + 64, "a buffer that doubles, and its own fields");
    }
    assert_eq!(pair.events.len(), 1);
}

#[test]
fn packets_and_bytes_are_counted() {
    let (mut pair, route) = Pair::with_route(Settings::default(), key(7));
    let before = pair.connection.traffic();
    pair.relay_sends(&[data(16, b"12345"), ping(1)]).unwrap();
    pair.connection.send_data(route, b"123").unwrap();
    assert_eq!(pair.connection.queued(), 2 + 1 + 3);
    pair.sent();
    let after = pair.connection.traffic();
    assert_eq!(after.packets_in - before.packets_in, 2);
    assert_eq!(after.packets_out - before.packets_out, 2);
    assert_eq!(after.bytes_in - before.bytes_in, (18 + 6) + (18 + 9));
    assert_eq!(after.bytes_out - before.bytes_out, (18 + 4) + (18 + 9));
    assert_eq!(pair.connection.queued(), 0);
    // The sum of handshake, ping and pong, request and response, and notification, with the lengths of the protocol.
    assert_eq!(before.bytes_out, 128 + (18 + 9) + (18 + 33));
    assert_eq!(before.bytes_in, 96 + (18 + 9) + (18 + 34) + (18 + 2));
}
