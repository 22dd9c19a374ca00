//! The handshake: from the connected transport to `Connected`.

use super::*;

#[test]
fn the_first_packet_is_a_ping_and_its_pong_completes_connecting() {
    let mut pair = Pair::confirming();
    assert_eq!(pair.connection.stage(), Stage::Confirming);
    assert_eq!(pair.sent(), [ping(FIRST_PING)]);
    assert_eq!(pair.connection.stage(), Stage::Confirming);
    pair.now += Duration::from_millis(40);
    pair.relay_sends(&[pong(FIRST_PING)]).unwrap();
    assert_eq!(pair.connection.stage(), Stage::Connected);
    assert_eq!(pair.take_events(), ["Connected { connection: ConnectionId(3.9), token: 55 }"]);
    assert_eq!(pair.connection.round_trips().latest, Some(Duration::from_millis(40)));
}

/// A key that is moved leaves a copy at its old address.
#[test]
fn keys_keep_their_address_when_a_connection_is_moved() {
    let pair = Pair::connected();
    let channel_address = |connection: &Connection| match &connection.state {
        State::Established(session, _) => std::ptr::from_ref(session.channel()),
        State::Unconfirmed(_) => panic!("it is not established"),
    };
    let before = channel_address(&pair.connection);
    assert_eq!(channel_address(&Box::new(pair.connection)), before);
}

#[test]
fn the_first_packet_that_opens_completes_connecting_whatever_its_kind() {
    let mut pair = Pair::confirming();
    pair.relay_sends(&[ping(5), ping(6), pong(FIRST_PING)]).unwrap();
    assert_eq!(pair.take_events(), ["Connected { connection: ConnectionId(3.9), token: 55 }"]);
}

#[test]
fn response_and_packets_may_arrive_in_pieces_of_any_size() {
    let now = Instant::now();
    let peer = key(7);
    for split in 1..200 {
        let mut connection = connecting(now);
        let (response, mut relay) = hello(&mut connection, now).accept(&fresh());
        let mut stream = response.to_vec();
        relay.seal(&pong(FIRST_PING), &mut stream);
        relay.seal(&[&[7][..], peer.as_bytes(), b"out of band"].concat(), &mut stream);
        let mut events = Events::with_capacity(8);
        for piece in stream.chunks_mut(split) {
            let len = piece.len();
            assert_eq!(connection.receive(now, FIRST, piece, &mut Shared::new(), &mut events), Ok(len));
        }
        let reported: Vec<_> = events.iter().collect();
        let oob = Event::Oob { connection: ID, token: TOKEN, sender: peer, data: b"out of band" };
        assert_eq!(
            reported,
            [Event::Connected { connection: ID, token: TOKEN }, oob],
            "pieces of {split} bytes"
        );
    }
}

#[test]
fn a_response_made_with_another_key_is_rejected() {
    let now = Instant::now();
    let mut connection = connecting(now);
    let (mut response, _) = hello(&mut connection, now).answered_by(&[8; 32]).accept(&fresh());
    let result =
        connection.receive(now, FIRST, &mut response, &mut Shared::new(), &mut Events::with_capacity(8));
    assert_eq!(result, Err(DisconnectReason::Impostor(Impostor::WrongKey)));
}

#[test]
fn our_own_hello_sent_back_is_rejected() {
    let now = Instant::now();
    let mut connection = connecting(now);
    connection.handle_connected(now, FIRST);
    let hello = flush(&mut connection, now, &mut [0; 4096]);
    let result = connection.receive(
        now,
        FIRST,
        &mut hello[32..].to_vec(),
        &mut Shared::new(),
        &mut Events::with_capacity(8),
    );
    assert_eq!(result, Err(DisconnectReason::Impostor(Impostor::Reflection)));
}

#[test]
fn a_replayed_response_never_connects() {
    let now = Instant::now();
    let mut first = connecting(now);
    let (response, mut relay) = hello(&mut first, now).accept(&fresh());
    let mut recorded = response.to_vec();
    relay.seal(&pong(FIRST_PING), &mut recorded);
    // The same client and the same relay again, but the client has a new temporary key.
    let entropy = Entropy { temporary: SecretKey::from([33; 32]), ..entropy() };
    let mut second = begun(parameters(Settings::default()), entropy, now);
    hello(&mut second, now);
    let mut events = Events::with_capacity(8);
    assert_eq!(
        second.receive(now, FIRST, &mut recorded, &mut Shared::new(), &mut events),
        Err(DisconnectReason::Impostor(Impostor::Replay))
    );
    assert!(events.is_empty());
}

#[test]
fn an_invalid_length_before_the_first_packet_is_from_an_impostor() {
    let mut pair = Pair::confirming();
    assert_eq!(pair.receive(&[0xff, 0xff]), Err(DisconnectReason::Impostor(Impostor::Replay)));
    assert!(pair.events.is_empty());
}

#[test]
fn connecting_and_handshake_share_a_timeout_of_ten_seconds() {
    let start = Instant::now();
    let ping = NonZeroU64::MIN;
    let mut connection = connecting(start);
    assert_eq!(connection.deadline(), start + seconds(10));
    let early = start + seconds(10) - Duration::from_nanos(1);
    assert_eq!(connection.handle_timeout(early, false, ping), Ok(()));
    assert_eq!(
        connection.handle_timeout(start + seconds(10), false, ping),
        Err(timed_out(Stage::Connecting))
    );

    let mut connection = connecting(start);
    connection.handle_connected(start + seconds(7), FIRST);
    assert_eq!(connection.deadline(), start + seconds(10));
    assert_eq!(connection.handle_timeout(early, false, ping), Ok(()));
    assert_eq!(
        connection.handle_timeout(start + seconds(10), false, ping),
        Err(timed_out(Stage::Handshaking))
    );
}

#[test]
fn time_without_a_turn_does_not_shorten_the_handshake() {
    let start = Instant::now();
    let mut connection = connecting(start);
    let back = start + seconds(60);
    connection.handle_turn(back, FIRST, start);
    let (mut response, _) = hello(&mut connection, back).accept(&fresh());
    assert_eq!(connection.handle_timeout(back, false, NonZeroU64::MIN), Ok(()));
    assert_eq!(connection.deadline(), back + seconds(10));
    connection
        .receive(back + seconds(9), FIRST, &mut response, &mut Shared::new(), &mut Events::with_capacity(8))
        .unwrap();
    assert_eq!(connection.stage(), Stage::Confirming);
}

#[test]
fn a_relay_without_a_first_packet_is_disconnected_after_ten_seconds() {
    let mut pair = Pair::confirming();
    pair.sent();
    assert_eq!(pair.next_deadline(), Err(DisconnectReason::NoPong(Stage::Confirming)));
    assert_eq!(pair.elapsed(), seconds(10));
}

#[test]
fn packets_queued_while_connecting_are_sent_after_the_first_ping() {
    let now = Instant::now();
    let mut connection = connecting(now);
    let closed = connection.open(key(3)).unwrap();
    connection.open(key(1)).unwrap();
    connection.send_oob(key(1), b"out of band").unwrap();
    assert_eq!(connection.close_route(closed), Ok(0));
    let destination = Destination::Udp("127.0.0.1:1".parse().unwrap());
    connection.send_forward_request(destination, b"forward").unwrap();
    assert!(!connection.has_output(FIRST), "there is nothing to write before the transport is connected");
    assert_eq!(connection.deadline(), now + seconds(10));

    let (mut response, mut relay) = hello(&mut connection, now).accept(&fresh());
    connection.send_to(key(2), b"to").unwrap();
    connection.send_onion_request(&[0; 200]).unwrap();
    assert!(!connection.has_output(FIRST), "nothing follows the hello before the response");
    connection.receive(now, FIRST, &mut response, &mut Shared::new(), &mut Events::with_capacity(8)).unwrap();
    assert_eq!(connection.stage(), Stage::Confirming);
    let sent = relay.open(&flush(&mut connection, now, &mut vec![0; 64 * 1024])).unwrap();
    // The closed route is closed by the answer to its request.
    assert_eq!(sent[..3], [ping(FIRST_PING), routing_request(key(3)), routing_request(key(1))]);
    let kinds: Vec<u8> = sent[3..].iter().map(|packet| packet[0]).collect();
    assert_eq!(kinds, [6, 10, 6, 8], "in the order in which they were queued");
    let refused = connection.send_data(closed, b"data");
    assert_eq!(refused, Err(SendError::UnknownRoute));
}

/// An old response, sent again, makes the client send everything that is queued. Nobody can decrypt it, and no more
/// than is queued is sent.
#[test]
fn an_impostor_receives_no_more_than_was_queued_and_causes_no_event() {
    let now = Instant::now();
    let (response, _) = hello(&mut connecting(now), now).accept(&fresh());
    let other = Entropy { temporary: SecretKey::from([33; 32]), ..entropy() };
    let mut connection = begun(parameters(Settings::default()), other, now);
    (0..240).for_each(|number| assert!(connection.open(key(number)).is_ok()));
    assert_eq!(connection.open(key(240)), Err(RouteError::TooMany));
    while connection.send_oob(key(1), &[7; 1024]).is_ok() {}
    let queue = Settings::default().send_queue;
    let queued = connection.queued();
    assert!((queue / 2..queue / 2 + 2048).contains(&queued), "{queued}");
    hello(&mut connection, now);
    let mut events = Events::with_capacity(8);
    connection.receive(now, FIRST, &mut response.to_vec(), &mut Shared::new(), &mut events).unwrap();
    let sent = flush(&mut connection, now, &mut vec![0; 64 * 1024]);
    let important = (2 + 16 + 9) + 240 * (2 + 16 + 33);
    assert!(sent.len() <= queued + queued / 1059 * 16 + 16 + important, "{}", sent.len());
    assert!(!connection.has_output(FIRST));
    assert!(events.is_empty());
    let end = connection.handle_timeout(now + seconds(10), false, NonZeroU64::MIN);
    assert_eq!(end, Err(DisconnectReason::NoPong(Stage::Confirming)));
}

#[test]
fn the_times_of_the_steps_are_recorded() {
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let mut connection = connecting(start);
    assert_eq!(connection.times(), ConnectTimes::default());
    let (mut response, mut relay) = hello(&mut connection, at(10)).accept(&fresh());
    let mut events = Events::with_capacity(8);
    connection.receive(at(25), FIRST, &mut response, &mut Shared::new(), &mut events).unwrap();
    let mut packet = Vec::new();
    relay.seal(&pong(FIRST_PING), &mut packet);
    connection.receive(at(45), FIRST, &mut packet, &mut Shared::new(), &mut events).unwrap();
    let millis = |millis| Some(Duration::from_millis(millis));
    let times =
        ConnectTimes { transport: millis(10), tunnel: None, handshake: millis(25), connected: millis(45) };
    assert_eq!(connection.times(), times);
}

#[test]
fn unread_input_extends_the_deadline_of_the_handshake_once() {
    let start = Instant::now();
    let mut connection = connecting(start);
    connection.handle_connected(start, FIRST);
    let back = start + seconds(60);
    assert_eq!(connection.handle_timeout(back, true, NonZeroU64::MIN), Ok(()));
    assert_eq!(connection.deadline(), back + seconds(10));
    // Only once: a relay that sends single bytes is disconnected nevertheless.
    assert_eq!(
        connection.handle_timeout(back + seconds(10), true, NonZeroU64::MIN),
        Err(timed_out(Stage::Handshaking))
    );
}
