//! The round-trip times of pings.

use crate::connection::times::Micros;
use crate::status::RoundTrips;

/// The compact form of [`RoundTrips`]: each connection keeps one.
#[derive(Default)]
pub(super) struct Trips {
    latest: Micros,
    smallest: Micros,
    smoothed: Micros,
    pings: u32,
    pongs: u32,
}

/// A new round trip counts one eighth in the smoothed one: alpha in RFC 6298, section 2.3.
const SHARE: u32 = 8;

impl Trips {
    pub(super) fn count_ping(&mut self) {
        self.pings = self.pings.saturating_add(1);
    }

    /// The last ping was answered after this time.
    pub(super) fn add(&mut self, time: Micros) {
        let is_first = self.pongs == 0;
        self.pongs = self.pongs.saturating_add(1);
        self.latest = time;
        self.smallest = if is_first { time } else { self.smallest.min(time) };
        self.smoothed = if is_first { time } else { self.smoothed.towards(time, SHARE) };
    }

    pub(super) fn get(&self) -> RoundTrips {
        RoundTrips {
            latest: self.latest.get(),
            smallest: self.smallest.get(),
            smoothed: self.smoothed.get(),
            pings: self.pings,
            pongs: self.pongs,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn added(trips: &mut Trips, times: &[u64]) -> RoundTrips {
        let start = Instant::now();
        for micros in times {
            trips.count_ping();
            trips.add(Micros::between(start, start + Duration::from_micros(*micros)));
        }
        trips.get()
    }

    #[test]
    fn there_is_no_round_trip_before_the_first_pong() {
        let mut trips = Trips::default();
        assert_eq!(trips.get(), RoundTrips::default());
        trips.count_ping();
        assert_eq!(trips.get(), RoundTrips { pings: 1, ..RoundTrips::default() });
    }

    #[test]
    fn a_new_round_trip_moves_the_smoothed_one_by_an_eighth() {
        let mut trips = Trips::default();
        let micros = |micros| Some(Duration::from_micros(micros));
        let RoundTrips { latest, smallest, smoothed, .. } = added(&mut trips, &[800]);
        assert_eq!([latest, smallest, smoothed], [micros(800); 3]);
        let RoundTrips { latest, smallest, smoothed, pings, pongs } = added(&mut trips, &[8_800]);
        assert_eq!([latest, smallest, smoothed], [micros(8_800), micros(800), micros(1_800)]);
        assert_eq!((pings, pongs), (2, 2));
        let RoundTrips { latest, smallest, smoothed, .. } = added(&mut trips, &[200]);
        assert_eq!([latest, smallest, smoothed], [micros(200), micros(200), micros(1_600)]);
    }

    #[test]
    fn the_smoothed_round_trip_follows_a_lasting_change() {
        let mut trips = Trips::default();
        for time in [100, 4_000_000_000, 100] {
            let smoothed = added(&mut trips, &[time; 300]).smoothed.unwrap().as_micros();
            assert!(smoothed.abs_diff(time.into()) <= 8, "{smoothed} µs instead of {time} µs");
        }
    }

    #[test]
    fn round_trips_are_limited_to_1_microsecond_and_71_minutes() {
        let trips = added(&mut Trips::default(), &[0, u64::MAX >> 20]);
        assert_eq!(trips.smallest, Some(Duration::from_micros(1)));
        assert_eq!(trips.latest, Some(Duration::from_micros(u32::MAX.into())));
    }
}
