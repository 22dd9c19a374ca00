//! The deadlines of connections, on a timer wheel.

use std::time::{Duration, Instant};

use crate::timer::Wheel;

/// One deadline per connection, by its index in the table, in milliseconds.
pub(super) struct Timers {
    wheel: Wheel,
    /// Tick 0 of the wheel; each tick is a millisecond.
    epoch: Instant,
}

/// The tick of a deadline on the wheel.
pub(super) type Tick = u64;

impl Timers {
    pub(super) fn new(now: Instant) -> Self {
        Self { wheel: Wheel::new(), epoch: now }
    }

    /// The first tick that is not before `instant`. Rounded up from nanoseconds: otherwise the wheel would report a
    /// deadline before it is reached, again and again.
    pub(super) fn tick(&self, instant: Instant) -> Tick {
        instant.saturating_duration_since(self.epoch).as_nanos().div_ceil(1_000_000) as Tick
    }

    /// Sets the deadline of a connection. Most calls do not change it, and cost little.
    pub(super) fn schedule(&mut self, index: u32, tick: Tick) {
        if self.wheel.deadline(index) != Some(tick) {
            self.wheel.schedule(index, tick);
        }
    }

    pub(super) fn cancel(&mut self, index: u32) {
        self.wheel.cancel(index);
    }

    /// Removes and returns one connection whose deadline has been reached.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<u32> {
        self.wheel.pop_due(now.saturating_duration_since(self.epoch).as_millis() as Tick)
    }

    /// The time until the next deadline, or less.
    pub(super) fn next(&self, now: Instant) -> Option<Duration> {
        let deadline = self.epoch + Duration::from_millis(self.wheel.next()?);
        Some(in_milliseconds(deadline.saturating_duration_since(now)))
    }
}

/// This time in whole milliseconds, rounded up: a loop of another program that can only wait for whole milliseconds must not
/// poll before the deadline.
pub(crate) fn in_milliseconds(time: Duration) -> Duration {
    Duration::from_millis(time.as_nanos().div_ceil(1_000_000) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_never_before_its_instant() {
        let epoch = Instant::now();
        let timers = Timers::new(epoch);
        let ticks = |nanos| timers.tick(epoch + Duration::from_nanos(nanos));
        assert_eq!([0, 1, 999, 999_999, 1_000_000].map(ticks), [0, 1, 1, 1, 1]);
        assert_eq!([1_000_001, 5_000_000, 5_000_500].map(ticks), [2, 5, 6]);
    }

    #[test]
    fn a_loop_that_waits_for_whole_milliseconds_polls_once_for_each_deadline() {
        let epoch = Instant::now();
        let mut timers = Timers::new(epoch);
        timers.schedule(7, timers.tick(epoch + Duration::from_micros(40_300)));
        for start in [0, 1, 999, 12_345, 40_299, 40_300].map(Duration::from_micros) {
            let wait = timers.next(epoch + start).expect("a deadline");
            assert_eq!(wait.subsec_nanos() % 1_000_000, 0, "whole milliseconds");
            // If the deadline is far away, the wheel may ask for an earlier call, but never less than a millisecond
            // before the deadline.
            assert!(!wait.is_zero(), "at {start:?}");
        }
        assert_eq!(timers.pop_due(epoch + Duration::from_micros(40_999)), None);
        assert_eq!(timers.pop_due(epoch + Duration::from_millis(41)), Some(7));
        assert_eq!(timers.next(epoch), None);
    }
}
