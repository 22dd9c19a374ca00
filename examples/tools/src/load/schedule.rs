//! When something is planned to happen: a fixed rate that grows from nothing at the beginning.

use std::ops::Range;
use std::time::Duration;

/// The moments of an open loop. They do not depend on what happens, so that a relay that stops for a while delays all
/// packets that users would have sent meanwhile, and not just one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Events a second, after the ramp; 0 for none at all.
    rate: f64,
    /// Seconds in which the rate grows linearly from 0.
    ramp: f64,
}

impl Schedule {
    /// `rate` events a second, reached after `ramp`.
    pub fn new(rate: f64, ramp: Duration) -> Self {
        Self { rate, ramp: ramp.as_secs_f64() }
    }

    /// How many events are due after this time.
    pub fn due(&self, elapsed: Duration) -> u64 {
        if self.rate == 0.0 {
            return 0;
        }
        let elapsed = elapsed.as_secs_f64();
        let whole = if elapsed < self.ramp {
            self.rate * elapsed * elapsed / (2.0 * self.ramp)
        } else {
            self.rate * (elapsed - self.ramp / 2.0)
        };
        whole as u64 + 1
    }

    /// How many events have their moments in this time, its end not included.
    pub fn count(&self, time: Range<Duration>) -> u64 {
        let before = |end: Duration| {
            let mut count = self.due(end);
            // The count is rounded, and the moments decide.
            while count > 0 && self.moment(count - 1).is_some_and(|moment| moment >= end) {
                count -= 1;
            }
            count
        };
        before(time.end) - before(time.start)
    }

    /// The moment of the event with this number, from 0; `None` if there are no events.
    pub fn moment(&self, number: u64) -> Option<Duration> {
        if self.rate == 0.0 {
            return None;
        }
        let number = number as f64;
        let in_ramp = self.rate * self.ramp / 2.0;
        let seconds = if number < in_ramp {
            (2.0 * self.ramp * number / self.rate).sqrt()
        } else {
            self.ramp / 2.0 + number / self.rate
        };
        Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }
}

/// A speed that is doubled again and again, until it is above what any relay carries. So it comes close to the speed of
/// a relay, which nobody knows, in steps that are small compared with it.
#[derive(Debug, Clone, Copy)]
pub struct Growth {
    begin: Duration,
    /// Seconds.
    length: f64,
}

/// Events a second at the beginning and at the end of a growth.
const SLOWEST: f64 = 10.0;
const FASTEST: f64 = 1e6;

impl Growth {
    /// Begins at this moment, and takes so long.
    pub fn new(begin: Duration, length: Duration) -> Self {
        Self { begin, length: length.as_secs_f64() }
    }

    /// Whether the full speed is reached.
    pub fn is_over(&self, now: Duration) -> bool {
        now.saturating_sub(self.begin).as_secs_f64() >= self.length
    }

    /// The earliest moment of the event with this number, from 0.
    pub fn moment(&self, number: u64) -> Duration {
        // The number is the integral of SLOWEST * exp(growth * time).
        let growth = (FASTEST / SLOWEST).ln() / self.length;
        let seconds = (number as f64 * growth / SLOWEST).ln_1p() / growth;
        self.begin + Duration::from_secs_f64(seconds.min(self.length))
    }
}

/// A schedule that has begun, and how many of its events were taken.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    begin: Duration,
    schedule: Schedule,
    taken: u64,
}

impl Pace {
    /// Begins at this moment.
    pub fn new(begin: Duration, schedule: Schedule) -> Self {
        Self { begin, schedule, taken: 0 }
    }

    /// Takes the next event, if it is due.
    pub fn take(&mut self, now: Duration) -> bool {
        let is_due =
            now.checked_sub(self.begin).is_some_and(|elapsed| self.taken < self.schedule.due(elapsed));
        self.taken += u64::from(is_due);
        is_due
    }

    /// How many events are due and were not taken.
    pub fn overdue(&self, now: Duration) -> u64 {
        self.schedule.due(now.saturating_sub(self.begin)).saturating_sub(self.taken)
    }

    /// How many events were taken.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// When the next event is due; `None` if there are no events.
    pub fn next_moment(&self) -> Option<Duration> {
        self.moment(self.taken)
    }

    /// The moment of the event with this number.
    pub fn moment(&self, number: u64) -> Option<Duration> {
        self.schedule.moment(number).map(|moment| self.begin.saturating_add(moment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn without_a_ramp_the_moments_are_evenly_spaced() {
        let schedule = Schedule::new(4.0, Duration::ZERO);
        let moments: Vec<_> = (0..4).map(|number| schedule.moment(number).unwrap().as_millis()).collect();
        assert_eq!(moments, [0, 250, 500, 750]);
        assert_eq!(schedule.due(Duration::ZERO), 1);
        assert_eq!(schedule.due(Duration::from_millis(749)), 3);
        assert_eq!(schedule.due(SECOND), 5);
    }

    #[test]
    fn a_ramp_has_half_of_the_events_of_the_full_rate() {
        let schedule = Schedule::new(1000.0, 2 * SECOND);
        assert_eq!(schedule.due(SECOND), 251);
        assert_eq!(schedule.due(2 * SECOND), 1001);
        assert_eq!(schedule.due(3 * SECOND), 2001);
    }

    #[test]
    fn each_event_is_due_at_its_moment_and_not_before() {
        let schedule = Schedule::new(300.0, SECOND);
        let moments: Vec<_> = (0..1000).map(|number| schedule.moment(number).unwrap()).collect();
        assert!(moments.is_sorted());
        for (number, moment) in moments.into_iter().enumerate() {
            let (before, after) = (moment.saturating_sub(SECOND / 100_000), moment + SECOND / 100_000);
            assert!(schedule.due(after) > number as u64, "{number}");
            assert!(number == 0 || schedule.due(before) <= number as u64, "{number}");
        }
    }

    #[test]
    fn the_events_of_a_time_are_counted_by_their_moments() {
        let ms = Duration::from_millis;
        for (rate, ramp, time) in [
            (200.0, ms(200), ms(200)..ms(1200)),
            (3.0, ms(0), ms(0)..ms(1000)),
            (777.7, ms(900), ms(100)..ms(950)),
        ] {
            let schedule = Schedule::new(rate, ramp);
            let moments = (0..2000).filter_map(|number| schedule.moment(number));
            let expected = moments.filter(|moment| time.contains(moment)).count();
            assert_eq!(schedule.count(time) as usize, expected);
        }
    }

    #[test]
    fn a_pace_takes_each_event_once_and_none_before_its_moment() {
        let mut pace = Pace::new(5 * SECOND, Schedule::new(2.0, Duration::ZERO));
        assert_eq!((pace.take(4 * SECOND), pace.next_moment()), (false, Some(5 * SECOND)));
        let taken = [5.0, 5.4, 5.6, 6.6, 6.6, 6.6].map(|now| pace.take(Duration::from_secs_f64(now)));
        assert_eq!(taken, [true, false, true, true, true, false]);
        assert_eq!((pace.taken(), pace.next_moment()), (4, Some(7 * SECOND)));
    }

    #[test]
    fn at_a_rate_of_next_to_nothing_the_second_event_is_never_due() {
        let mut pace = Pace::new(SECOND, Schedule::new(1e-300, Duration::ZERO));
        assert!(pace.take(SECOND) && !pace.take(1_000_000 * SECOND));
        assert_eq!(pace.next_moment(), Some(Duration::MAX));
    }

    #[test]
    fn a_growth_has_ever_more_events_up_to_its_end() {
        let growth = Growth::new(5 * SECOND, 5 * SECOND);
        assert_eq!(growth.moment(0), 5 * SECOND);
        let until = |end: Duration| (0..).take_while(|number| growth.moment(*number) < end).count();
        let counts: Vec<_> = (6..10).map(|second| until(second * SECOND)).collect();
        // From 10 a second, ten times as many in each second.
        assert_eq!(counts, [40, 430, 4339, 43_426]);
        assert_eq!(growth.moment(u64::MAX), 10 * SECOND);
        assert!(!growth.is_over(SECOND) && !growth.is_over(9 * SECOND) && growth.is_over(10 * SECOND));
    }

    #[test]
    fn a_growth_without_a_length_is_over_at_once() {
        assert!(Growth::new(SECOND, Duration::ZERO).is_over(SECOND));
    }

    #[test]
    fn a_rate_of_zero_has_no_events() {
        let schedule = Schedule::new(0.0, SECOND);
        assert_eq!((schedule.due(3 * SECOND), schedule.moment(0)), (0, None));
    }
}
