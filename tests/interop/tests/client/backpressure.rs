//! Relays that read slowly: which packets are accepted, which are refused, and when there is room again.

use std::time::Duration;

use interop::{Bootstrapd, CEvent, wait_for};
use tox_relay_client::{Config, RouteId, SecretKey, SendError};

use crate::c_end::CEnd;
use crate::driver::{End, LIMIT, ReceivedEvent, RustEnd, WINDOW, numbered, open_routes, pair};
use crate::presence::is_closed;
use crate::throttle::Throttle;

/// The longest data that Tox sends.
const LENGTH: usize = 1400;

/// The bytes of such a packet on the stream, with its length field, MAC and kind.
const PACKET_LEN: usize = 2 + 16 + 1 + LENGTH;

/// More packets than the kernel buffers for a relay that does not read (some MiB).
const MORE_THAN_BUFFERED: usize = 64 * 1024 * 1024 / LENGTH;

#[test]
fn a_small_queue_is_enough_while_the_relay_reads_and_loses_nothing() {
    const PACKETS: usize = 500;
    let relay = Bootstrapd::start().unwrap();
    // The smallest queue: two packets of this length fit.
    let mut ours = RustEnd::with_config(&relay, Config::new(SecretKey::generate()).send_queue(4_068));
    let mut theirs = CEnd::connected(&relay, SecretKey::generate());
    open_routes(&mut ours, &mut theirs);
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
                Err(SendError::WouldBlock) => assert_eq!(ours.next(), ReceivedEvent::Writable(ours.relay)),
                Err(error) => panic!("{error}"),
            }
        }
        ours.client.flush();
        (arrived == PACKETS).then_some(())
    });

    assert_eq!(done, Some(()), "{arrived} of {sent} arrived");
    ours.fence(); // fails if an unexpected `Writable` was reported
}

#[test]
fn a_relay_that_hangs_blocks_the_sender_until_it_runs_again() {
    let relay = Bootstrapd::start().unwrap();
    let config = Config::new(SecretKey::generate());
    let (mut throttle, mut ours) = Throttle::between(&relay, |relay| RustEnd::begin(config, relay));
    let connected = wait_for(LIMIT, || {
        throttle.pass(u64::MAX);
        ours.next_within(Duration::ZERO)
    });
    assert_eq!(connected, Some(ReceivedEvent::Connected(ours.relay)));
    let mut peer = RustEnd::new(&relay);
    peer.open(ours.key());
    let route = ours.client.open_route(ours.relay, peer.key()).unwrap();
    for expected in [ReceivedEvent::Opened(route), ReceivedEvent::Online(route)] {
        let next = wait_for(LIMIT, || {
            throttle.pass(u64::MAX);
            ours.next_within(Duration::ZERO)
        });
        assert_eq!(next, Some(expected));
    }
    peer.expect_online();

    relay.suspend().unwrap();
    let start = throttle.passed;
    let open_to = |arrived| start + ((arrived + WINDOW) * PACKET_LEN) as u64;
    let mut sent = send_until_blocked(&mut ours, route, || throttle.pass(open_to(0)));
    let queued = ours.client.connection(ours.relay).unwrap().queued;
    // A single route may use half of the queue.
    assert!(queued > 32 * 1024 && queued < 64 * 1024 + LENGTH, "{queued}");
    let requested = ours.client.open_route(ours.relay, SecretKey::generate().public_key()).unwrap();

    relay.resume().unwrap();
    let (blocked, end) = (sent, sent + WINDOW);
    let (mut arrived, mut events) = (0, Vec::new());
    let done = wait_for(4 * LIMIT, || {
        throttle.pass(open_to(arrived));
        while let Some(event) = ours.next_within(Duration::ZERO) {
            assert!(arrived < blocked, "important packets are sent before queued data");
            events.push(event);
        }
        while events.contains(&ReceivedEvent::Writable(ours.relay)) && sent < end {
            ours.client.send_data(route, &numbered(sent, LENGTH)).unwrap();
            sent += 1;
        }
        while let Some(event) = peer.next_within(Duration::ZERO) {
            assert!(
                matches!(&event, ReceivedEvent::Data(_, data) if *data == numbered(arrived, LENGTH)),
                "{event:?}"
            );
            arrived += 1;
        }
        (arrived == end).then_some(())
    });
    assert_eq!(done, Some(()), "{arrived} of {sent} arrived, {events:?}");
    assert!(events.len() == 2 && events.contains(&ReceivedEvent::Opened(requested)), "{events:?}");
    assert_eq!(ours.client.connection(ours.relay).unwrap().queued, 0);
}

#[test]
fn a_relay_that_hangs_and_is_killed_ends_the_connection() {
    let mut relay = Bootstrapd::start().unwrap();
    let (mut ours, peer) = pair::<RustEnd, CEnd>(&relay);
    let route = ours.client.find_route(ours.relay, &peer.key()).unwrap();
    relay.suspend().unwrap();
    send_until_blocked(&mut ours, route, || {});
    relay.kill();
    let reason = loop {
        match ours.next() {
            // The kernel may have made a little more room in the full socket.
            ReceivedEvent::Writable(_) => {}
            ReceivedEvent::Disconnected(_, reason) => break reason,
            event => panic!("{event:?}"),
        }
    };
    assert!(is_closed(reason), "{reason:?}");
    assert_eq!(ours.next_within(Duration::ZERO), None);
    assert_eq!(ours.client.send_data(route, b"stale"), Err(SendError::UnknownRoute));
}

/// Sends until both the socket and the queue are full. Returns how many packets were accepted.
fn send_until_blocked(ours: &mut RustEnd, route: RouteId, mut pass: impl FnMut()) -> usize {
    for number in 0..MORE_THAN_BUFFERED {
        while let Err(error) = ours.client.send_data(route, &numbered(number, LENGTH)) {
            assert_eq!(error, SendError::WouldBlock);
            pass();
            // The queue is full. If the socket is full too, a poll makes no room.
            match ours.next_within(Duration::ZERO) {
                None => return number,
                Some(event) => assert_eq!(event, ReceivedEvent::Writable(ours.relay)),
            }
        }
    }
    panic!("the socket did not become full")
}
