//! Which packet is sent by whom, and when: an open loop at a fixed rate, or as fast as it goes.

use std::ops::Range;
use std::time::Duration;

use crate::load::payload::{Content, Kind};
use crate::load::schedule::Schedule;

/// Packets that some users send to their peers, in turns.
#[derive(Debug)]
pub struct Issuer {
    /// When the schedule begins, since the run began.
    begin: Duration,
    /// `None`: as fast as it goes.
    schedule: Option<Schedule>,
    /// The senders.
    pub senders: Range<usize>,
    /// How many packets were issued to the senders.
    issued: u64,
    content: Content,
}

impl Issuer {
    pub fn new(begin: Duration, schedule: Option<Schedule>, senders: Range<usize>, content: Content) -> Self {
        Self { begin, schedule, senders, issued: 0, content }
    }

    /// The next sender, if a packet is due for it.
    pub fn next(&mut self, now: Duration) -> Option<usize> {
        let due = match (&self.schedule, now.checked_sub(self.begin)) {
            _ if self.senders.is_empty() => 0,
            (_, None) => 0,
            (Some(schedule), Some(elapsed)) => schedule.due(elapsed),
            (None, Some(_)) => u64::MAX,
        };
        (self.issued < due).then(|| {
            self.issued += 1;
            self.senders.start + ((self.issued - 1) % self.senders.len() as u64) as usize
        })
    }

    /// When the next packet is due; `None` if that depends on the senders alone.
    pub fn next_moment(&self) -> Option<Duration> {
        let moment = self.schedule.as_ref().filter(|_| !self.senders.is_empty())?.moment(self.issued)?;
        Some(self.begin + moment)
    }

    /// Whether it sends as fast as it goes.
    pub fn is_unlimited(&self) -> bool {
        self.schedule.is_none()
    }

    /// The moment, kind and length of the packet with this number of a sender. Without a schedule, the moment is now.
    pub fn packet(&self, sender: usize, number: u64, now: Duration) -> (Duration, Kind, usize) {
        let number = number * self.senders.len() as u64 + (sender - self.senders.start) as u64;
        let moment = self.schedule.as_ref().and_then(|schedule| schedule.moment(number));
        let (kind, length) = self.content.packet(number);
        (moment.map_or(now, |moment| self.begin + moment), kind, length)
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
        assert_eq!(issuer.next(Duration::ZERO), None);
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
