//! What a malicious relay can send after the handshake: each attack results in exactly these events, this end, and
//! little memory. The tables are in `tests/attacks.md`.

mod endless;
mod handshake;

use super::*;
use crate::wire::frame::MAX_PLAINTEXT;

/// The most memory of a connection whose caller sends nothing: an incomplete packet, in a buffer that doubles when it
/// grows, and pongs.
const MAX_MEMORY: usize = 8 * 1024;

/// The end of a connection whose relay has sent no packet that opens.
const REPLAY: DisconnectReason = DisconnectReason::Impostor(Impostor::Replay);

const PEER: u8 = 7;

fn text(event: Event<'_>) -> String {
    format!("{event:?}")
}

fn oob_event(data: &[u8]) -> String {
    text(Event::Oob { connection: ID, token: TOKEN, sender: key(9), data })
}

/// Connected by a ping of the relay; the client's first ping has no pong yet.
fn confirmed_by_a_ping() -> Pair {
    let mut pair = Pair::confirming();
    pair.relay_sends(&[ping(5)]).unwrap();
    assert_eq!(pair.take_events(), [text(Event::Connected { connection: ID, token: TOKEN })]);
    pair
}

/// A route that is requested, and has no response yet.
fn requested() -> Pair {
    let mut pair = Pair::connected();
    pair.connection.open(key(PEER)).unwrap();
    pair.sent();
    pair
}

/// A route with the connection id 16, whose peer is offline.
fn offline() -> Pair {
    let mut pair = online();
    pair.relay_sends(&[vec![3, 16]]).unwrap();
    pair.take_events();
    pair
}

/// A route with the connection id 16, whose peer is online.
fn online() -> Pair {
    Pair::with_route(Settings::default(), key(PEER)).0
}

/// A route that was closed, and its disconnect notification sent.
fn closed() -> Pair {
    let (mut pair, route) = Pair::with_route(Settings::default(), key(PEER));
    pair.connection.close_route(route).unwrap();
    pair.sent();
    pair
}

/// A route that was closed before its response.
fn closing() -> Pair {
    let mut pair = requested();
    pair.connection.close_route(pair.connection.find_route(&key(PEER)).unwrap()).unwrap();
    pair
}

/// The events of an attack and the end of the connection, which are the same whether the bytes arrive in one piece or
/// one by one. A good packet before the attack is always reported; one after it only if the connection continues.
#[track_caller]
fn outcome(prepare: impl Fn() -> Pair, attack: &[Vec<u8>]) -> (Vec<String>, Result<(), DisconnectReason>) {
    let [whole, in_bytes] = [usize::MAX, 1].map(|len| {
        let mut pair = prepare();
        let stream = pair.sealed(&[&[oob(b"before")], attack, &[oob(b"after")]].concat());
        let held = pair.connection.memory();
        let result = stream.chunks(len).try_for_each(|piece| {
            pair.receive(piece)?;
            assert!(pair.connection.memory() <= held + MAX_MEMORY);
            Ok(())
        });
        let mut reported = pair.take_events();
        assert_eq!(reported.remove(0), oob_event(b"before"));
        if result.is_ok() {
            assert_eq!(reported.pop(), Some(oob_event(b"after")));
        }
        (reported, result)
    });
    assert_eq!(whole, in_bytes);
    whole
}

/// Asserts that the attack ends the connection, without an event.
#[track_caller]
fn assert_violation(prepare: impl Fn() -> Pair, attack: &[Vec<u8>], violation: Violation) {
    assert_eq!(outcome(prepare, attack), (vec![], Err(violation.into())), "{attack:?}");
}

/// Asserts that the attack results in no event, and that the connection continues.
#[track_caller]
fn assert_harmless(prepare: impl Fn() -> Pair, attack: &[Vec<u8>]) {
    assert_eq!(outcome(prepare, attack), (vec![], Ok(())), "{attack:?}");
}

/// The lengths of a kind below 16 in the protocol document, and whether relays send this kind.
fn legal(kind: u8) -> Option<(std::ops::RangeInclusive<usize>, bool)> {
    Some(match kind {
        0x00 => (33..=33, false),
        0x01 => (34..=34, true),
        0x02 | 0x03 => (2..=2, true),
        0x04 | 0x05 => (9..=9, true),
        0x06 => (34..=1057, false),
        0x07 => (34..=1057, true),
        0x08 => (179..=1360, false),
        0x09 => (2..=2032, true),
        // For an IPv4 destination.
        0x0a => (9..=1800, false),
        0x0b => (1..=2032, true),
        _ => return None,
    })
}

/// A plaintext of this kind, filled with 130: an address family, a connection id, and a ping id other than 0.
fn plaintext(kind: u8, len: usize) -> Vec<u8> {
    [&[kind][..], &vec![130; len - 1]].concat()
}

/// The result of each packet of these lengths. A driver must not use a connection after an error. But the core itself
/// can continue, so the test does not need tens of thousands of handshakes.
fn violations(kind: u8, lengths: impl Iterator<Item = usize>) -> Vec<(usize, Result<(), DisconnectReason>)> {
    let mut pair = Pair::connected();
    let results = lengths.map(|len| (len, pair.relay_sends(&[plaintext(kind, len)]))).collect();
    assert_eq!(pair.take_events(), [""; 0], "kind {kind:#04x}");
    assert!(!pair.connection.has_output(FIRST));
    assert!(pair.connection.memory() <= MAX_MEMORY);
    results
}

#[test]
fn each_kind_with_each_invalid_length_ends_the_connection() {
    for kind in 0..16 {
        let Some((legal, _)) = legal(kind) else { continue };
        for (length, result) in violations(kind, (1..=MAX_PLAINTEXT).filter(|len| !legal.contains(len))) {
            assert_eq!(result, Err(Violation::Length { kind, length }.into()));
        }
    }
}

#[test]
fn each_kind_that_only_clients_send_ends_the_connection_at_each_length() {
    for kind in [0x00, 0x06, 0x08, 0x0a] {
        let (lengths, from_relays) = legal(kind).unwrap();
        assert!(!from_relays);
        for (length, result) in violations(kind, lengths) {
            assert_eq!(result, Err(Violation::Kind(kind).into()), "{length} bytes");
        }
    }
    // With an unknown address family.
    assert_violation(Pair::connected, &[vec![0x0a; 100]], Violation::Kind(0x0a));
}

#[test]
fn each_reserved_kind_ends_the_connection_at_each_length() {
    for kind in 0x0c..=0x0f {
        for (length, result) in violations(kind, 1..=MAX_PLAINTEXT) {
            assert_eq!(result, Err(Violation::Kind(kind).into()), "{length} bytes");
        }
    }
}

#[test]
fn each_invalid_length_field_ends_the_connection_at_its_second_byte() {
    for length in (0..=16).chain(2049..=2100).chain([4096, 32768, u16::MAX]) {
        let [high, low] = length.to_be_bytes();
        for (mut pair, reason) in
            [(Pair::confirming(), REPLAY), (Pair::connected(), Violation::PacketLength(length).into())]
        {
            assert_eq!(pair.receive(&[high]), Ok(1));
            assert!(pair.connection.memory() <= MAX_MEMORY);
            assert_eq!(pair.receive(&[low, 1, 2, 3]), Err(reason));
            assert_eq!(pair.take_events(), [""; 0]);
        }
    }
}

#[test]
fn noise_of_each_valid_length_ends_the_connection_at_its_last_byte() {
    for length in 17..=2048u16 {
        let mut pair = Pair::connected();
        let noise = [&length.to_be_bytes()[..], &vec![0xa5; length.into()]].concat();
        let (last, front) = noise.split_last().unwrap();
        assert_eq!(pair.receive(front), Ok(front.len()));
        assert!(pair.connection.memory() <= MAX_MEMORY);
        assert_eq!(pair.receive(&[*last]), Err(Violation::Forged.into()), "{length} bytes");
        assert_eq!(pair.take_events(), [""; 0]);
    }
}

#[test]
fn a_packet_with_any_bit_flipped_ends_the_connection() {
    for confirmed in [false, true] {
        for bit in 0..8 * (18 + 9) {
            let mut pair = if confirmed { confirmed_by_a_ping() } else { Pair::confirming() };
            pair.sent();
            let mut stream = pair.sealed(&[pong(FIRST_PING), ping(1)]);
            stream[bit / 8] ^= 1 << (bit % 8);
            let length = u16::from_be_bytes([stream[0], stream[1]]);
            let mut result = pair.receive(&stream).map(|taken| assert_eq!(taken, stream.len()));
            if usize::from(length) + 2 > stream.len() && length <= 2048 {
                assert_eq!(result, Ok(()), "the packet seems longer than it is, and its end never arrives");
                assert!(pair.connection.memory() <= MAX_MEMORY);
                result = pair.next_deadline();
                assert_eq!(result, Err(DisconnectReason::NoPong(pair.connection.stage())));
                assert_eq!(pair.elapsed(), seconds(10));
            } else if !confirmed {
                assert_eq!(result, Err(REPLAY));
            } else if (17..=2048).contains(&length) {
                assert_eq!(result, Err(Violation::Forged.into()), "bit {bit}");
            } else {
                assert_eq!(result, Err(Violation::PacketLength(length).into()));
            }
            assert_eq!(pair.take_events(), [""; 0]);
        }
    }
}

#[test]
fn our_own_packets_sent_back_end_the_connection() {
    let mut pair = Pair::confirming();
    let first = flush(&mut pair.connection, pair.now, &mut pair.scratch);
    assert_eq!(pair.receive(&first), Err(REPLAY));
    assert_eq!(pair.take_events(), [""; 0]);

    // If the relay has chosen a base nonce for which its next nonce equals the client's, they open. They are a
    // violation nevertheless: relays never send this kind.
    for (mut pair, violation) in [(Pair::connected(), Violation::Forged), (online(), Violation::Kind(6))] {
        pair.connection.send_oob(key(8), b"mirror").unwrap();
        let ours = flush(&mut pair.connection, pair.now, &mut pair.scratch);
        assert_eq!(pair.receive(&ours), Err(violation.into()));
        assert!(pair.connection.memory() <= pair.connection.common.routes.memory() + MAX_MEMORY);
        assert_eq!(pair.take_events(), [""; 0]);
    }
}

#[test]
fn each_connection_id_below_16_ends_the_connection() {
    for id in 0..16 {
        for kind in [2, 3] {
            assert_violation(online, &[vec![kind, id]], Violation::RouteNumber { kind, id });
        }
        if id > 0 {
            let violation = Violation::RouteNumber { kind: 1, id };
            assert_violation(requested, &[routing_response(id, key(PEER))], violation);
        }
    }
}

#[test]
fn responses_without_a_request_end_the_connection() {
    // The id 0 refuses a request, and there was none.
    for id in [0, 16, 17, 255] {
        for prepare in [Pair::connected, offline, online, closed] {
            assert_violation(prepare, &[routing_response(id, key(PEER))], Violation::UnsolicitedResponse);
        }
        for prepare in [requested, closing] {
            assert_violation(prepare, &[routing_response(id, key(8))], Violation::UnsolicitedResponse);
        }
    }
    // The request is queued and not sent: the relay cannot know of it.
    let not_sent = || {
        let mut pair = Pair::connected();
        pair.connection.open(key(PEER)).unwrap();
        pair
    };
    assert_violation(not_sent, &[routing_response(16, key(PEER))], Violation::UnsolicitedResponse);
}

#[test]
fn a_second_response_for_one_key_ends_the_connection() {
    for id in 16..=255 {
        let responses = [routing_response(16, key(PEER)), routing_response(id, key(PEER))];
        let (reported, result) = outcome(requested, &responses);
        assert_eq!(result, Err(Violation::UnsolicitedResponse.into()), "{id}");
        assert_eq!(reported.len(), 1, "the first response was good");
    }
}

#[test]
fn one_id_for_two_keys_ends_the_connection() {
    let both = |prepare: fn() -> Pair| {
        move || {
            let mut pair = prepare();
            pair.connection.open(key(8)).unwrap();
            pair.sent();
            pair
        }
    };
    for prepare in [offline, online] {
        let again = [routing_response(16, key(8))];
        assert_violation(both(prepare), &again, Violation::RouteNumberInUse(16));
    }
    let twice = [routing_response(20, key(PEER)), routing_response(20, key(8))];
    let (reported, result) = outcome(both(requested), &twice);
    assert_eq!((reported.len(), result), (1, Err(Violation::RouteNumberInUse(20).into())));
}

#[test]
fn notifications_are_reported_only_if_they_change_a_route() {
    let (route, peer) = (online().connection.find_route(&key(PEER)).unwrap(), key(PEER));
    let (on, off) = (
        text(Event::RouteOnline { connection: ID, route, token: route_token(peer), peer }),
        text(Event::RouteOffline { connection: ID, route, token: route_token(peer), peer, unsent: 0 }),
    );
    let twice = [vec![2, 16], vec![2, 16], vec![3, 16], vec![3, 16]];
    assert_eq!(outcome(offline, &twice), (vec![on, off.clone()], Ok(())));
    assert_eq!(outcome(online, &twice), (vec![off], Ok(())));
    // Without a route, before its response, and after it was closed.
    for prepare in [Pair::connected, requested, closing, closed] {
        assert_harmless(prepare, &twice);
    }
    let others: Vec<_> = (17..=255).flat_map(|id| [vec![2, id], vec![3, id]]).collect();
    for prepare in [Pair::connected, requested, closing, closed, offline, online] {
        assert_harmless(prepare, &others);
    }
    // A notification before the response has no effect after it.
    let early = [vec![2, 16], routing_response(16, peer), data(16, b"x")];
    let opened = text(Event::RouteOpened { connection: ID, route, token: route_token(peer), peer });
    assert_eq!(outcome(requested, &early), (vec![opened], Ok(())));
}

#[test]
fn data_on_ids_without_an_online_route_are_never_reported() {
    let all: Vec<_> =
        (16..=255).flat_map(|id| [data(id, b"x"), data(id, b""), data(id, &[1; 2031])]).collect();
    for prepare in [Pair::connected, requested, closing, closed, offline] {
        assert_harmless(prepare, &all);
    }
    assert_harmless(online, &all[3..]);
}

#[test]
fn pings_and_pongs_with_the_id_0_end_the_connection() {
    for packet in [ping(0), pong(0)] {
        assert_violation(Pair::connected, &[packet], Violation::PingId);
    }
}

#[test]
fn pongs_with_a_wrong_or_old_id_are_ignored() {
    let mut pair = Pair::connected();
    pair.next_deadline().unwrap();
    pair.sent();
    let current = pair.ping;
    for wrong in (0..64).map(|bit| current ^ (1 << bit)).chain([FIRST_PING, u64::MAX]) {
        pair.relay_sends(&[pong(wrong)]).unwrap();
    }
    assert_eq!(pair.take_events(), [""; 0]);
    assert!(pair.connection.memory() <= MAX_MEMORY);
    assert_eq!(
        pair.connection.round_trips().latest,
        Some(Duration::from_micros(1)),
        "that of the first ping"
    );
    assert_eq!(pair.next_deadline(), Err(DisconnectReason::NoPong(Stage::Connected)));
    // The right pong a second time does not answer the next ping.
    let mut pair = Pair::connected();
    pair.next_deadline().unwrap();
    pair.sent();
    pair.relay_sends(&[pong(pair.ping), pong(pair.ping)]).unwrap();
    let old = pair.ping;
    pair.next_deadline().unwrap();
    pair.sent();
    pair.relay_sends(&[pong(old)]).unwrap();
    assert_eq!(pair.next_deadline(), Err(DisconnectReason::NoPong(Stage::Connected)));
}
