//! Which packet is sent by whom, and when: an open loop at a fixed rate, or as fast as it goes.

use std::ops::Range;
use std::time::Duration;

use crate::load::payload::{Content, Kind};
use crate::load::schedule::{Pace, Schedule};

/// Packets that some users send to their peers, in turns.
#[derive(Debug)]
pub struct Issuer {
    /// `None`: as fast as it goes.
    pace: Option<Pace>,
    /// The senders.
    pub senders: Range<usize>,
    /// How many packets were issued to the senders.
    issued: u64,
    content: Content,
}

impl Issuer {
    /// Begins at this moment with this schedule; without one, it sends as fast as it goes.
    pub fn new(begin: Duration, schedule: Option<Schedule>, senders: Range<usize>, content: Content) -> Self {
        let pace = schedule.map(|schedule| Pace::new(begin, schedule));
        Self { pace, senders, issued: 0, content }
    }

    /// The next sender, if a packet is due for it.
    pub fn next(&mut self, now: Duration) -> Option<usize> {
        if self.senders.is_empty() || !self.pace.as_mut().is_none_or(|pace| pace.take(now)) {
            return None;
        }
        self.issued += 1;
        Some(self.senders.start + ((self.issued - 1) % self.senders.len() as u64) as usize)
    }

    /// When the next packet is due; `None` if that depends on the senders alone.
    pub fn next_moment(&self) -> Option<Duration> {
        self.pace.as_ref().filter(|_| !self.senders.is_empty())?.next_moment()
    }

    /// How many packets are due and were not issued.
    pub fn overdue(&self, now: Duration) -> u64 {
        let pace = self.pace.as_ref().filter(|_| !self.senders.is_empty());
        pace.map_or(0, |pace| pace.overdue(now))
    }

    /// Whether it sends as fast as it goes.
    pub fn is_unlimited(&self) -> bool {
        self.pace.is_none()
    }

    /// The moment, kind and length of the packet with this number of a sender. Without a schedule, the moment is now.
    pub fn packet(&self, sender: usize, number: u64, now: Duration) -> (Duration, Kind, usize) {
        let number = number * self.senders.len() as u64 + (sender - self.senders.start) as u64;
        let planned = self.pace.as_ref().and_then(|pace| pace.moment(number));
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
        let mut issuer = Issuer::new(5 * SECOND, Some(schedule), 2..5, content());
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
    fn without_a_schedule_packets_are_always_due() {
        let mut issuer = Issuer::new(SECOND, None, 0..2, content());
        assert_eq!([(); 5].map(|()| issuer.next(SECOND)), [0, 1, 0, 1, 0].map(Some));
        assert_eq!((issuer.next_moment(), issuer.is_unlimited()), (None, true));
        assert_eq!(issuer.packet(1, 7, 9 * SECOND).0, 9 * SECOND);
    }

    #[test]
    fn without_senders_nothing_is_due() {
        let schedule = Schedule::new(10.0, Duration::ZERO);
        for schedule in [Some(schedule), None] {
            let mut issuer = Issuer::new(Duration::ZERO, schedule, 2..2, content());
            assert_eq!((issuer.next(SECOND), issuer.next_moment()), (None, None));
        }
    }
}
