//! A line whose cable is unplugged for some time.

use std::time::{Duration, Instant};

use tox_relay_client::{DisconnectReason, Party, Stage};

use crate::direction::Quality;
use crate::driver::{ReceivedEvent, TwoIdentities};
use crate::testbed::with_testbed;

const QUALITY: Quality =
    Quality { delay: Duration::from_millis(20), jitter: Duration::ZERO, loss: 0.0, bottleneck: None };

/// The default times of the protocol.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PONG_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The delay allowed for reporting a timeout, on a machine that is busy with other tests too.
const SLACK: Duration = Duration::from_secs(3);

/// TCP sends unacknowledged data again after 0.2, 0.6, 1.4, 3 and 6.2 s. So at worst it needs twice the time without
/// the cable until data arrive again, which is less than the 10 s that a pong may take.
const SHORT: Duration = Duration::from_secs(3);

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_cable_unplugged_for_three_seconds_loses_no_data() {
    with_testbed(QUALITY, QUALITY, |testbed| {
        let mut ours = TwoIdentities::new(|config| config.ping_interval(Duration::from_millis(500)));
        let route = ours.connect_both(testbed);
        let plugged = testbed.line.unplug(Instant::now() + Duration::from_millis(300), SHORT);
        while Instant::now() < plugged {
            ours.exchange(route, 100);
        }
        ours.exchange(route, 100);
        assert!(testbed.line.lost() > 0);
    });
}

#[test]
fn a_cable_unplugged_for_a_minute_ends_the_connections_and_new_ones_work() {
    with_testbed(QUALITY, QUALITY, |testbed| {
        let mut ours = TwoIdentities::new(|config| config);
        let route = ours.connect_both(testbed);
        ours.exchange(route, 20);
        let unplugged = Instant::now();
        let plugged = testbed.line.unplug(unplugged, LONG);
        // These data never arrive.
        ours.client.send_data(route.there, b"hello?").unwrap();
        ours.client.send_data(route.back, b"hello?").unwrap();

        let no_pong = DisconnectReason::NoPong(Stage::Connected);
        ours.expect_all(route.connections.map(|connection| ReceivedEvent::Disconnected(connection, no_pong)));
        let time = unplugged.elapsed();
        assert!((PONG_TIMEOUT..PING_INTERVAL + PONG_TIMEOUT + SLACK).contains(&time), "{time:?}");

        let start = Instant::now();
        let identity = ours.identities[0].clone();
        let relay = ours.connect(testbed, &identity);
        let timed_out =
            DisconnectReason::TimedOut { stage: Stage::Connecting, party: Party::Relay, hint: None };
        assert_eq!(ours.next(), ReceivedEvent::Disconnected(relay, timed_out));
        let time = start.elapsed();
        assert!((CONNECT_TIMEOUT..CONNECT_TIMEOUT + SLACK).contains(&time), "{time:?}");

        assert_eq!(ours.next_before(plugged), None);
        let route = ours.connect_both(testbed);
        ours.exchange(route, 20);
    });
}
