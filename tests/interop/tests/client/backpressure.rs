//! Relays that read slowly: what is accepted, what is refused, and when there is room again.

use std::time::Duration;

use interop::{Bootstrapd, CEvent, wait_for};
use tox_relay_client::{Config, RouteId, SecretKey, SendError};

use crate::c_end::CEnd;
use crate::driver::{End, LIMIT, RustEnd, Told, WINDOW, meet, numbered, pair, signal};
use crate::presence::is_closed;
use crate::throttle::Throttle;

/// The longest data that Tox sends.
const LENGTH: usize = 1400;

/// The same on the stream, with the length, the MAC and the kind.
const PACKET: usize = 2 + 16 + 1 + LENGTH;

/// More than the kernel holds for a relay that doesn't read (some MiB).
const FAR_TOO_MUCH: usize = 64 * 1024 * 1024 / LENGTH;

#[test]
fn a_small_queue_is_room_enough_while_the_relay_reads_and_loses_nothing() {
    const PACKETS: usize = 500;
    let relay = Bootstrapd::start().unwrap();
    // The smallest: two packets of this length fit.
    let mut ours = RustEnd::with_config(&relay, Config::new(SecretKey::generate()).send_queue(4_068));
    let mut theirs = CEnd::connected(&relay, SecretKey::generate());
    meet(&mut ours, &mut theirs);
    let route = ours.client.find_route(ours.relay, &theirs.key()).unwrap();

    let (mut sent, mut arrived) = (0, 0);
    let done = wait_for(LIMIT, || {
        while let Some(event) = theirs.try_next() {
            assert!(matches!(&event, CEvent::Data { data, .. } if *data == numbered(arrived, LENGTH)));
            arrived += 1;
        }
        while sent < PACKETS.min(arrived + WINDOW) {
            match ours.client.send_data(route, &numbered(sent, LENGTH)) {
                Ok(()) => sent += 1,
                Err(SendError::WouldBlock) => assert_eq!(ours.next(), Told::Writable(ours.relay)),
                Err(error) => panic!("{error}"),
            }
        }
        ours.client.flush();
        (arrived == PACKETS).then_some(())
    });

    assert_eq!(done, Some(()), "{arrived} of {sent} arrived");
    ours.fence(); // so no unexpected `Writable` came
}

#[test]
fn a_relay_that_hangs_blocks_the_sender_and_all_flows_again_when_it_runs() {
    let relay = Bootstrapd::start().unwrap();
    let config = Config::new(SecretKey::generate());
    let (mut throttle, mut ours) = Throttle::between(&relay, |relay| RustEnd::begin(config, relay));
    let connected = wait_for(LIMIT, || {
        throttle.pass(u64::MAX);
        ours.next_within(Duration::ZERO)
    });
    assert_eq!(connected, Some(Told::Connected(ours.relay)));
    let mut peer = RustEnd::new(&relay);
    peer.open(ours.key());
    let route = ours.client.open_route(ours.relay, peer.key()).unwrap();
    for told in [Told::Opened(route), Told::Online(route)] {
        let next = wait_for(LIMIT, || {
            throttle.pass(u64::MAX);
            ours.next_within(Duration::ZERO)
        });
        assert_eq!(next, Some(told));
    }
    peer.expect_online();

    signal(&relay, "STOP");
    let start = throttle.passed;
    let open_to = |arrived| start + ((arrived + WINDOW) * PACKET) as u64;
    let mut sent = send_until_blocked(&mut ours, route, || throttle.pass(open_to(0)));
    let queued = ours.client.connection(ours.relay).unwrap().queued;
    // The most that the only route may hold: half of the queue.
    assert!(queued > 32 * 1024 && queued < 64 * 1024 + LENGTH, "{queued}");
    let asked = ours.client.open_route(ours.relay, SecretKey::generate().public_key()).unwrap();

    signal(&relay, "CONT");
    let (blocked, end) = (sent, sent + WINDOW);
    let (mut arrived, mut told) = (0, Vec::new());
    let done = wait_for(4 * LIMIT, || {
        throttle.pass(open_to(arrived));
        while let Some(event) = ours.next_within(Duration::ZERO) {
            assert!(arrived < blocked, "important packets pass those that are queued");
            told.push(event);
        }
        while told.contains(&Told::Writable(ours.relay)) && sent < end {
            ours.client.send_data(route, &numbered(sent, LENGTH)).unwrap();
            sent += 1;
        }
        while let Some(event) = peer.next_within(Duration::ZERO) {
            assert!(matches!(&event, Told::Data(_, data) if *data == numbered(arrived, LENGTH)), "{event:?}");
            arrived += 1;
        }
        (arrived == end).then_some(())
    });
    assert_eq!(done, Some(()), "{arrived} of {sent} arrived, {told:?}");
    assert!(told.len() == 2 && told.contains(&Told::Opened(asked)), "{told:?}");
    assert_eq!(ours.client.connection(ours.relay).unwrap().queued, 0);
}

#[test]
fn a_relay_that_hangs_and_is_killed_ends_the_connection() {
    let mut relay = Bootstrapd::start().unwrap();
    let (mut ours, peer) = pair::<RustEnd, CEnd>(&relay);
    let route = ours.client.find_route(ours.relay, &peer.key()).unwrap();
    signal(&relay, "STOP");
    send_until_blocked(&mut ours, route, || {});
    relay.kill();
    let reason = loop {
        match ours.next() {
            // The kernel may have found a little more room for a socket that was full.
            Told::Writable(_) => {}
            Told::Disconnected(_, reason) => break reason,
            told => panic!("{told:?}"),
        }
    };
    assert!(is_closed(reason), "{reason:?}");
    assert_eq!(ours.next_within(Duration::ZERO), None);
    assert_eq!(ours.client.send_data(route, b"stale"), Err(SendError::UnknownConnection));
}

/// Sends until both the socket and the queue are full. Returns how many packets were accepted.
fn send_until_blocked(ours: &mut RustEnd, route: RouteId, mut pass: impl FnMut()) -> usize {
    for number in 0..FAR_TOO_MUCH {
        while let Err(error) = ours.client.send_data(route, &numbered(number, LENGTH)) {
            assert_eq!(error, SendError::WouldBlock);
            pass();
            // The queue is full. If the socket is full too, a poll makes no room.
            match ours.next_within(Duration::ZERO) {
                None => return number,
                Some(told) => assert_eq!(told, Told::Writable(ours.relay)),
            }
        }
    }
    panic!("the socket is never full")
}
