//! Connecting to relays that are running, not running, hanging or restarted, or that have another key.

use std::net::{Ipv6Addr, UdpSocket};
use std::time::{Duration, Instant};

use interop::Bootstrapd;
use tox_relay_client::{
    Config, ConnectError, DisconnectReason, Hint, Party, Relay, RouteError, SecretKey, SendError, Stage,
};

use crate::c_end::CEnd;
use crate::driver::{AT_ONCE, End, ReceivedEvent, RustEnd, pair, relay_of};
use crate::presence::is_closed;

#[test]
fn a_connection_reports_the_times_of_its_stages() {
    let relay = Bootstrapd::start().unwrap();
    let ours = RustEnd::new(&relay);
    let status = ours.client.connection(ours.relay).unwrap();
    assert_eq!(status.stage, Stage::Connected);
    assert_eq!(*status.public_key.as_bytes(), relay.public_key());
    assert_eq!(status.identity, ours.key());
    assert!(status.times.transport.is_some());
    assert!(status.times.transport <= status.times.handshake);
    assert!(status.times.handshake <= status.times.connected);
    // The relay's first packet is its pong.
    assert!(status.round_trips.latest.is_some());
}

#[test]
fn a_relay_is_reached_over_ipv6() {
    if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("not tested: this machine has no IPv6");
        return;
    }
    let relay = Bootstrapd::start_ipv6().unwrap();
    assert!(relay.addr().is_ipv6());
    let (mut ours, mut theirs) = pair::<RustEnd, CEnd>(&relay);
    ours.send_data(b"hello");
    theirs.expect_data(b"hello");
    theirs.send_data(b"hello yourself");
    ours.expect_data(b"hello yourself");
}

#[test]
fn a_closed_port_is_reported_at_once() {
    let mut relay = Bootstrapd::start().unwrap();
    relay.kill();
    let start = Instant::now();
    let mut ours = start_connecting(relay_of(&relay));
    assert_eq!(ours.next_reason(), DisconnectReason::Refused(Party::Relay));
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    assert_eq!(ours.client.connections().count(), 0);
}

#[test]
fn a_relay_with_another_key_is_reported_at_once() {
    let relay = Bootstrapd::start().unwrap();
    let start = Instant::now();
    let mut ours = start_connecting(Relay::new(relay.addr(), SecretKey::generate().public_key()));
    let reason = ours.next_reason();
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    assert!(is_closed(reason), "{reason:?}");
    let during_the_handshake = matches!(
        reason,
        DisconnectReason::Closed { stage: Stage::Handshaking, hint: Some(Hint::OtherKey), .. }
            | DisconnectReason::Transport { stage: Stage::Handshaking, .. }
    );
    assert!(during_the_handshake, "{reason:?}");
}

#[test]
fn the_same_relay_twice_with_one_key_is_an_error() {
    let relay = Bootstrapd::start().unwrap();
    let mut ours = RustEnd::new(&relay);
    let again = ours.client.connect(relay_of(&relay));
    assert!(matches!(again, Err(ConnectError::AlreadyConnected(first)) if first == ours.relay), "{again:?}");
    ours.fence();
}

#[test]
fn a_killed_relay_is_reported_at_once_and_can_be_connected_to_after_a_restart() {
    let mut relay = Bootstrapd::start().unwrap();
    let (mut ours, _theirs) = pair::<RustEnd, CEnd>(&relay);
    for _ in 0..3 {
        let (old, route) = (ours.relay, ours.open_route(SecretKey::generate().public_key()));
        let start = Instant::now();
        relay.kill();
        let reason = ours.next_reason();
        assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
        assert!(is_closed(reason), "{reason:?}");
        assert_eq!(ours.next_within(Duration::ZERO), None, "it is reported once");

        assert_eq!(ours.client.send_data(route, b"stale"), Err(SendError::UnknownRoute));
        assert_eq!(ours.client.open_route(old, ours.key()), Err(RouteError::UnknownConnection));
        assert!(ours.client.connection(old).is_none());
        assert!(!ours.client.disconnect(old));

        relay.restart().unwrap();
        ours.reconnect(&relay);
        assert_ne!(ours.relay, old);
        assert_eq!(ours.client.routes(ours.relay).count(), 0);
        let mut theirs = CEnd::connected(&relay, SecretKey::generate());
        ours.send_oob(theirs.key(), b"are you back, too?");
        theirs.expect_oob(ours.key(), b"are you back, too?");
    }
}

#[test]
fn data_that_arrived_before_the_relay_was_killed_are_reported_before_the_end() {
    let mut relay = Bootstrapd::start().unwrap();
    let (mut ours, mut theirs) = pair::<RustEnd, CEnd>(&relay);
    theirs.send_data(b"one");
    theirs.send_data(b"two");
    theirs.fence(); // they have arrived in our socket
    relay.kill();
    ours.expect_data(b"one");
    ours.expect_data(b"two");
    let reason = ours.next_reason();
    assert!(is_closed(reason), "{reason:?}");
}

#[test]
fn a_relay_that_hangs_is_detected_by_the_timeouts() {
    let relay = Bootstrapd::start().unwrap();
    let config = |key| Config::new(key).ping_interval(Duration::from_millis(200)).pong_timeout(AT_ONCE);
    let mut connected = RustEnd::with_config(&relay, config(SecretKey::generate()));
    relay.suspend().unwrap();
    // The kernel still accepts connections for the stopped process.
    let connecting = Config::new(SecretKey::generate()).connect_timeout(Duration::from_millis(500));
    let mut connecting = RustEnd::begin(connecting, relay_of(&relay));
    let timed_out = DisconnectReason::TimedOut { stage: Stage::Handshaking, party: Party::Relay, hint: None };
    assert_eq!(connecting.next_reason(), timed_out);
    assert_eq!(connected.next_reason(), DisconnectReason::NoPong(Stage::Connected));

    relay.resume().unwrap();
    connected.reconnect(&relay);
    connected.fence();
}

#[test]
fn a_closed_connection_is_reported_with_its_reason() {
    let relay = Bootstrapd::start().unwrap();
    let mut ours = RustEnd::new(&relay);
    assert!(ours.client.disconnect(ours.relay));
    assert_eq!(ours.next(), ReceivedEvent::Disconnected(ours.relay, DisconnectReason::ClosedByCaller));
    assert_eq!(ours.client.connections().count(), 0);
}

fn start_connecting(relay: Relay) -> RustEnd {
    RustEnd::begin(Config::new(SecretKey::generate()), relay)
}
