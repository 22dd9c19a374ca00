//! A line whose cable is unplugged for some time.

use std::time::{Duration, Instant};

use tox_relay_client::{DisconnectReason, Party, Stage};

use crate::direction::Quality;
use crate::driver::{Ours, Told};
use crate::testbed::with_testbed;

const QUALITY: Quality =
    Quality { delay: Duration::from_millis(20), jitter: Duration::ZERO, loss: 0.0, bottleneck: None };

/// Of the protocol: from one ping to the next, until its pong, and until a connection is made.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PONG_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The delay allowed for reporting a timeout, on a machine that is busy with other tests too.
const SLACK: Duration = Duration::from_secs(3);

/// TCP sends again 0.2, 0.6, 1.4, 3 and 6.2 s after it was first without an answer, and so finds a cable that is plugged
/// in again after twice the time at worst; a pong has 10 s.
const SHORT: Duration = Duration::from_secs(3);

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_cable_that_is_out_for_three_seconds_costs_nothing_but_time() {
    with_testbed(QUALITY, QUALITY, |testbed| {
        let mut ours = Ours::new(|config| config.ping_interval(Duration::from_millis(500)));
        let route = ours.meet(testbed);
        let plugged = testbed.line.pull(Instant::now() + Duration::from_millis(300), SHORT);
        while Instant::now() < plugged {
            ours.exchange(route, 100);
        }
        ours.exchange(route, 100);
        assert!(testbed.line.lost() > 0);
    });
}

#[test]
fn a_cable_that_is_out_for_a_minute_ends_the_connections_and_new_ones_work() {
    with_testbed(QUALITY, QUALITY, |testbed| {
        let mut ours = Ours::new(|config| config);
        let route = ours.meet(testbed);
        ours.exchange(route, 20);
        let pulled = Instant::now();
        let plugged = testbed.line.pull(pulled, LONG);
        // Never arrives, not even later.
        ours.client.send_data(route.there, b"hello?").unwrap();
        ours.client.send_data(route.back, b"hello?").unwrap();

        let no_pong = DisconnectReason::NoPong(Stage::Connected);
        ours.expect_all(route.connections.map(|connection| Told::Disconnected(connection, no_pong)));
        let time = pulled.elapsed();
        assert!((PONG_TIMEOUT..PING_INTERVAL + PONG_TIMEOUT + SLACK).contains(&time), "{time:?}");

        let begun = Instant::now();
        let identity = ours.identities[0].clone();
        let relay = ours.connect(testbed, &identity);
        let timed_out =
            DisconnectReason::TimedOut { stage: Stage::Connecting, party: Party::Relay, hint: None };
        assert_eq!(ours.next(), Told::Disconnected(relay, timed_out));
        let time = begun.elapsed();
        assert!((CONNECT_TIMEOUT..CONNECT_TIMEOUT + SLACK).contains(&time), "{time:?}");

        assert_eq!(ours.next_before(plugged), None);
        let route = ours.meet(testbed);
        ours.exchange(route, 20);
    });
}
