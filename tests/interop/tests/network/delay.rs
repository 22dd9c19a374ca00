//! A line with the delay of half the globe.

use std::time::Duration;

use crate::direction::Quality;
use crate::driver::Ours;
use crate::testbed::with_testbed;

const DELAY: Duration = Duration::from_millis(80);
const JITTER: Duration = Duration::from_millis(30);

/// How often the round trip is measured, and how often a ping is sent for that.
const PINGS: usize = 10;
const PING_INTERVAL: Duration = Duration::from_millis(300);

/// The relay looks for packets every 30 ms; the rest is for a busy machine.
const SLACK: Duration = Duration::from_millis(150);

#[test]
fn data_keep_their_order_and_the_round_trip_is_that_of_the_line() {
    let quality = Quality { delay: DELAY, jitter: JITTER, ..Quality::default() };
    with_testbed(quality, quality, |testbed| {
        let mut ours = Ours::new(|config| config.ping_interval(PING_INTERVAL));
        let route = ours.meet(testbed);
        let relay = route.there.relay();
        // TCP, the handshake, and the ping that proves the relay: three round trips. (A poll looks at the clock before
        // it reads, so a busy machine may take a little off.)
        let times = ours.client.relay(relay).unwrap().times;
        assert!(times.connected.unwrap() > 5 * DELAY, "{times:?}");

        let mut round_trips = Vec::new();
        while round_trips.len() < PINGS {
            ours.exchange(route, 30);
            let round_trip = ours.client.relay(relay).unwrap().round_trips.latest.unwrap();
            if !round_trips.contains(&round_trip) {
                round_trips.push(round_trip);
            }
        }
        round_trips.sort();
        let median = round_trips[PINGS / 2];
        assert!((2 * DELAY..2 * (DELAY + JITTER) + SLACK).contains(&median), "{round_trips:?}");
    });
}
