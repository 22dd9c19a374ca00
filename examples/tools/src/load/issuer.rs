//! Which packet is sent by whom, and when: an open loop at a fixed rate, or as fast as it goes.

use std::ops::Range;
use std::time::Duration;

use crate::load::payload::{Content, Kind};
use crate::load::schedule::{Growth, Pace, Schedule};

/// Packets that some users send to their peers, in turns.
#[derive(Debug)]
pub struct Issuer {
    speed: Speed,
    /// The senders.
    pub senders: Range<usize>,
    /// How many packets were issued to the senders.
    issued: u64,
    content: Content,
}

/// When packets are due.
#[derive(Debug)]
enum Speed {
    Planned(Pace),
    /// Not faster than this.
    Growing(Growth),
    /// As fast as it goes.
    Full,
}

impl Issuer {
    /// Begins at this moment with this schedule.
    pub fn planned(begin: Duration, schedule: Schedule, senders: Range<usize>, content: Content) -> Self {
        let speed = Speed::Planned(Pace::new(begin, schedule));
        Self { speed, senders, issued: 0, content }
    }

    /// Begins at this moment, becomes faster for so long, and then sends as fast as it goes.
    pub fn unplanned(begin: Duration, ramp: Duration, senders: Range<usize>, content: Content) -> Self {
        let speed = Speed::Growing(Growth::new(begin, ramp));
        Self { speed, senders, issued: 0, content }
    }

    /// The next sender, if a packet is due for it.
    pub fn next(&mut self, now: Duration) -> Option<usize> {
        if matches!(&self.speed, Speed::Growing(growth) if growth.is_over(now)) {
            self.speed = Speed::Full;
        }
        let is_due = match &mut self.speed {
            Speed::Planned(pace) => pace.take(now),
            Speed::Growing(growth) => growth.moment(self.issued) <= now,
            Speed::Full => true,
        };
        if self.senders.is_empty() || !is_due {
            return None;
        }
        self.issued += 1;
        Some(self.senders.start + ((self.issued - 1) % self.senders.len() as u64) as usize)
    }

    /// When the next packet is due; `None` if that depends on the senders alone.
    pub fn next_moment(&self) -> Option<Duration> {
        match &self.speed {
            _ if self.senders.is_empty() => None,
            Speed::Planned(pace) => pace.next_moment(),
            Speed::Growing(growth) => Some(growth.moment(self.issued)),
            Speed::Full => None,
        }
    }

    /// How many packets are due and were not issued.
    pub fn overdue(&self, now: Duration) -> u64 {
        match &self.speed {
            Speed::Planned(pace) if !self.senders.is_empty() => pace.overdue(now),
            _ => 0,
        }
    }

    /// Whether packets have planned moments, and wait if they cannot be sent.
    pub fn is_planned(&self) -> bool {
        matches!(self.speed, Speed::Planned(_))
    }

    /// The moment, kind and length of the packet with this number of a sender. Without a plan, the moment is now.
    pub fn packet(&self, sender: usize, number: u64, now: Duration) -> (Duration, Kind, usize) {
        let number = number * self.senders.len() as u64 + (sender - self.senders.start) as u64;
        let planned = match &self.speed {
            Speed::Planned(pace) => pace.moment(number),
            _ => None,
        };
        let (kind, length) = self.content.packet(number);
        (planned.unwrap_or(now), kind, length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn content() -> Content {
        Content { sizes: 100..=100, oob: 0.0 }
    }

    #[test]
    fn senders_take_turns_and_each_packet_has_its_planned_moment() {
        let schedule = Schedule::new(10.0, Duration::ZERO);
        let mut issuer = Issuer::planned(5 * SECOND, schedule, 2..5, content());
        assert_eq!(issuer.next(4 * SECOND), None);
        assert_eq!(issuer.next_moment(), Some(5 * SECOND));
        let now = 5 * SECOND + SECOND / 2;
        let senders: Vec<_> = std::iter::from_fn(|| issuer.next(now)).collect();
        assert_eq!(senders, [2, 3, 4, 2, 3, 4]);
        assert_eq!(issuer.next_moment(), Some(5 * SECOND + SECOND * 6 / 10));
        // The second packet of the third sender is the sixth of all.
        assert_eq!(issuer.packet(4, 1, now).0, now);
        assert_eq!(issuer.packet(2, 0, now).0, 5 * SECOND);
    }

    #[test]
    fn without_a_plan_and_a_ramp_packets_are_always_due() {
        let mut issuer = Issuer::unplanned(SECOND, Duration::ZERO, 0..2, content());
        assert_eq!([(); 5].map(|()| issuer.next(SECOND)), [0, 1, 0, 1, 0].map(Some));
        assert_eq!((issuer.next_moment(), issuer.is_planned()), (None, false));
        assert_eq!(issuer.packet(1, 7, 9 * SECOND).0, 9 * SECOND);
    }

    #[test]
    fn without_a_plan_the_speed_grows_and_is_full_after_the_ramp() {
        let mut issuer = Issuer::unplanned(SECOND, SECOND, 0..2, content());
        let mut count = |now: f64| {
            let now = Duration::from_secs_f64(now);
            let count = std::iter::from_fn(|| issuer.next(now)).take(100_000).count();
            (count, issuer.next_moment().is_some_and(|moment| moment > now))
        };
        assert_eq!(count(1.0), (1, true));
        // From 10 packets a second, ten times as fast in each fifth of a second.
        assert_eq!([1.2, 1.4, 1.6].map(&mut count), [(7, true), (78, true), (782, true)]);
        assert_eq!([2.0, 2.0].map(&mut count), [(100_000, false), (100_000, false)]);
        assert_eq!(issuer.next_moment(), None);
    }

    #[test]
    fn without_senders_nothing_is_due() {
        let schedule = Schedule::new(10.0, Duration::ZERO);
        for mut issuer in [
            Issuer::planned(Duration::ZERO, schedule, 2..2, content()),
            Issuer::unplanned(Duration::ZERO, SECOND, 2..2, content()),
        ] {
            assert_eq!((issuer.next(SECOND), issuer.next_moment()), (None, None));
        }
    }
}
