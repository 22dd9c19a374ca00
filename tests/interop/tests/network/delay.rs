//! A line with the delay of a connection to another continent.

use std::time::Duration;

use crate::direction::Quality;
use crate::driver::TwoIdentities;
use crate::testbed::with_testbed;

const DELAY: Duration = Duration::from_millis(80);
const JITTER: Duration = Duration::from_millis(30);

/// The number of measured round trips, and the time from one ping to the next.
const PINGS: usize = 10;
const PING_INTERVAL: Duration = Duration::from_millis(300);

/// The relay reads packets every 30 ms; the rest is for a busy machine.
const SLACK: Duration = Duration::from_millis(150);

#[test]
fn data_keep_their_order_and_the_measured_round_trip_is_that_of_the_line() {
    let quality = Quality { delay: DELAY, jitter: JITTER, ..Quality::default() };
    with_testbed(quality, quality, |testbed| {
        let mut ours = TwoIdentities::new(|config| config.ping_interval(PING_INTERVAL));
        let route = ours.connect_both(testbed);
        let relay = route.connections[0];
        // TCP, the handshake and the first ping take three round trips, which is six delays. (A poll reads the clock
        // before it reads the socket, so on a busy machine the measured time may be a little shorter.)
        let times = ours.client.connection(relay).unwrap().times;
        assert!(times.connected.unwrap() > 5 * DELAY, "{times:?}");

        let mut round_trips = Vec::new();
        while round_trips.len() < PINGS {
            ours.exchange(route, 30);
            let round_trip = ours.client.connection(relay).unwrap().round_trips.latest.unwrap();
            if !round_trips.contains(&round_trip) {
                round_trips.push(round_trip);
            }
        }
        round_trips.sort();
        let median = round_trips[PINGS / 2];
        assert!((2 * DELAY..2 * (DELAY + JITTER) + SLACK).contains(&median), "{round_trips:?}");
    });
}
