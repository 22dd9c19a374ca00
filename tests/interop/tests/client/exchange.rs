//! Data and OOB between two ends: in both directions, of all lengths, in order.

use interop::{Bootstrapd, CEvent};
use tox_relay_client::{SecretKey, SendError};

use crate::c_end::CEnd;
use crate::driver::{End, ReceivedEvent, RustEnd, WINDOW, numbered, pair};

/// The smallest length, the largest that Tox sends, one more, and the largest that is legal.
const DATA_LENGTHS: [usize; 4] = [1, 1400, 1401, 2031];
const OOB_LENGTHS: [usize; 3] = [1, 1023, 1024];

#[test]
fn data_of_all_lengths_pass_between_two_of_ours() {
    data_of_all_lengths_pass::<RustEnd, RustEnd>();
}

#[test]
fn data_of_all_lengths_pass_between_ours_and_the_c_client() {
    data_of_all_lengths_pass::<RustEnd, CEnd>();
}

#[test]
fn oob_of_all_lengths_pass_between_two_of_ours_without_a_route() {
    oob_of_all_lengths_pass::<RustEnd, RustEnd>();
}

#[test]
fn oob_of_all_lengths_pass_between_ours_and_the_c_client_without_a_route() {
    oob_of_all_lengths_pass::<RustEnd, CEnd>();
}

#[test]
fn a_thousand_packets_each_way_keep_their_order_between_two_of_ours() {
    packets_keep_their_order::<RustEnd, RustEnd>();
}

#[test]
fn a_thousand_packets_each_way_keep_their_order_between_ours_and_the_c_client() {
    packets_keep_their_order::<RustEnd, CEnd>();
}

#[test]
fn either_end_can_request_the_route_first() {
    let relay = Bootstrapd::start().unwrap();
    let (mut ours, mut theirs) = pair::<RustEnd, CEnd>(&relay);
    exchange_data(&mut ours, &mut theirs);
    let (mut theirs, mut ours) = pair::<CEnd, RustEnd>(&relay);
    exchange_data(&mut ours, &mut theirs);
}

#[test]
fn oob_reaches_a_peer_that_is_online_on_a_route_too() {
    let relay = Bootstrapd::start().unwrap();
    let (mut ours, mut theirs) = pair::<RustEnd, CEnd>(&relay);
    let (our_key, their_key) = (ours.key(), theirs.key());
    ours.send_data(b"first");
    ours.send_oob(their_key, b"second");
    ours.send_data(b"third");
    theirs.expect_data(b"first");
    theirs.expect_oob(our_key, b"second");
    theirs.expect_data(b"third");

    theirs.send_oob(our_key, b"fourth");
    theirs.send_data(b"fifth");
    ours.expect_oob(their_key, b"fourth");
    ours.expect_data(b"fifth");
}

/// A peer with the C client can send this, and the relay passes it on.
#[test]
fn an_empty_data_packet_is_an_event_like_the_others() {
    let relay = Bootstrapd::start().unwrap();
    let (mut ours, mut theirs) = pair::<RustEnd, CEnd>(&relay);
    theirs.send_data(b"");
    theirs.send_data(b"after it");
    ours.expect_data(b"");
    ours.expect_data(b"after it");
    exchange_data(&mut ours, &mut theirs);
}

#[test]
fn oob_to_an_unknown_key_is_discarded_and_does_no_harm() {
    let relay = Bootstrapd::start().unwrap();
    let (mut ours, mut theirs) = pair::<RustEnd, CEnd>(&relay);
    ours.send_oob(SecretKey::generate().public_key(), b"anybody there?");
    ours.fence();
    exchange_data(&mut ours, &mut theirs);
}

#[test]
fn send_to_goes_out_of_band_until_the_route_is_online_and_as_data_from_then_on() {
    let relay = Bootstrapd::start().unwrap();
    let mut ours = RustEnd::new(&relay);
    let mut theirs = CEnd::connected(&relay, SecretKey::generate());
    let (our_key, their_key) = (ours.key(), theirs.key());
    let send = |ours: &mut RustEnd, data: &[u8]| {
        let sent = ours.client.send_to(ours.relay, their_key, data);
        ours.client.flush();
        sent
    };

    send(&mut ours, b"no route").unwrap();
    theirs.expect_oob(our_key, b"no route");
    let too_long = send(&mut ours, &[7; 1025]);
    assert!(matches!(too_long, Err(SendError::Length { length: 1025, max: 1024, .. })), "{too_long:?}");

    let route = ours.client.open_route(ours.relay, their_key).unwrap();
    send(&mut ours, b"requested").unwrap();
    theirs.expect_oob(our_key, b"requested");
    assert_eq!(ours.next(), ReceivedEvent::Opened(route));
    send(&mut ours, b"offline").unwrap();
    theirs.expect_oob(our_key, b"offline");
    assert_eq!(ours.client.send_data(route, b"offline"), Err(SendError::RouteOffline));

    theirs.open(our_key);
    theirs.expect_online();
    assert_eq!(ours.next(), ReceivedEvent::Online(route));
    send(&mut ours, b"online").unwrap();
    theirs.expect_data(b"online");
    send(&mut ours, &[7; 2031]).unwrap();
    theirs.expect_data(&[7; 2031]);

    theirs.close();
    assert_eq!(ours.next(), ReceivedEvent::Offline(route));
    send(&mut ours, b"offline again").unwrap();
    theirs.expect_oob(our_key, b"offline again");
}

#[test]
fn data_of_an_illegal_length_are_rejected_and_do_no_harm() {
    let relay = Bootstrapd::start().unwrap();
    let (mut ours, mut theirs) = pair::<RustEnd, CEnd>(&relay);
    let their_key = theirs.key();
    let route = ours.client.find_route(ours.relay, &their_key).unwrap();
    for length in [0, 2032, 65_536] {
        let sent = ours.client.send_data(route, &vec![7; length]);
        assert!(matches!(sent, Err(SendError::Length { .. })), "{sent:?}");
    }
    for length in [0, 1025, 65_536] {
        let sent = ours.client.send_oob(ours.relay, their_key, &vec![7; length]);
        assert!(matches!(sent, Err(SendError::Length { .. })), "{sent:?}");
    }
    ours.fence();
    assert_eq!(theirs.try_next(), None::<CEvent>);
    exchange_data(&mut ours, &mut theirs);
}

fn data_of_all_lengths_pass<A: End, B: End>() {
    let relay = Bootstrapd::start().unwrap();
    let (mut a, mut b) = pair::<A, B>(&relay);
    for length in DATA_LENGTHS {
        a.send_data(&numbered(length, length));
        b.expect_data(&numbered(length, length));
        b.send_data(&numbered(length + 1, length));
        a.expect_data(&numbered(length + 1, length));
    }
}

fn oob_of_all_lengths_pass<A: End, B: End>() {
    let relay = Bootstrapd::start().unwrap();
    let mut a = A::connected(&relay, SecretKey::generate());
    let mut b = B::connected(&relay, SecretKey::generate());
    for length in OOB_LENGTHS {
        a.send_oob(b.key(), &numbered(length, length));
        b.expect_oob(a.key(), &numbered(length, length));
        b.send_oob(a.key(), &numbered(length + 1, length));
        a.expect_oob(b.key(), &numbered(length + 1, length));
    }
}

/// Sends data of different lengths, with OOB between them, one window of packets at a time.
fn packets_keep_their_order<A: End, B: End>() {
    const PACKETS: usize = 1000;
    let relay = Bootstrapd::start().unwrap();
    let (mut a, mut b) = pair::<A, B>(&relay);
    for first in (0..PACKETS).step_by(WINDOW) {
        let window = first..PACKETS.min(first + WINDOW);
        for number in window.clone() {
            send(&mut a, &b, number);
            send(&mut b, &a, number);
        }
        for number in window {
            expect(&mut b, &a, number);
            expect(&mut a, &b, number);
        }
    }
    a.fence();
    b.fence();
}

fn send(from: &mut impl End, to: &impl End, number: usize) {
    match content(number) {
        (data, true) => from.send_oob(to.key(), &data),
        (data, false) => from.send_data(&data),
    }
}

fn expect(at: &mut impl End, from: &impl End, number: usize) {
    match content(number) {
        (data, true) => at.expect_oob(from.key(), &data),
        (data, false) => at.expect_data(&data),
    }
}

/// A packet, and whether it is sent out of band.
fn content(number: usize) -> (Vec<u8>, bool) {
    let oob = number.is_multiple_of(5);
    let most = if oob { 1024 } else { 2031 };
    (numbered(number, 4 + number * 389 % (most - 3)), oob)
}

fn exchange_data(ours: &mut RustEnd, theirs: &mut CEnd) {
    ours.send_data(b"hello");
    theirs.expect_data(b"hello");
    theirs.send_data(b"hello yourself");
    ours.expect_data(b"hello yourself");
}
