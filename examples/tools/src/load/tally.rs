//! What has happened, counted twice: since the last line, and in the measured time of a step.

use std::ops::Range;
use std::time::Duration;

use crate::load::latency::Latencies;

/// What has happened in some time.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Connections that were established.
    pub connected: u64,
    /// Connections that were not established, or ended before they were to.
    pub failed: u64,
    /// Packets that the client has accepted.
    pub sent: u64,
    /// Packets that have arrived. In a step: those that were planned in its measured time, whenever they arrived.
    pub received: u64,
    /// Packets that have arrived in this time, whenever they were planned, and their payload in bytes.
    pub arrived: u64,
    pub bytes: u64,
    /// Packets that the relay has not delivered: those after them arrived, or their connection ended.
    pub lost: u64,
    /// Packets that were planned for peers who were not there.
    pub absent: u64,
    /// Packets that were on the way to or from users who left as planned.
    pub abandoned: u64,
    /// From the planned moment of a packet to its receipt.
    pub latency: Latencies,
    /// The same for the probe's packets.
    pub probe: Latencies,
    /// From the planned moment of a packet to the first attempt to send it: how late the generator is.
    pub late: Latencies,
}

impl Tally {
    /// Begins anew. The histograms are large, so they are used again.
    fn clear(&mut self) {
        let Self { connected, failed, sent, received, arrived, bytes, lost, absent, abandoned, .. } = self;
        for count in [connected, failed, sent, received, arrived, bytes, lost, absent, abandoned] {
            *count = 0;
        }
        [&mut self.latency, &mut self.probe, &mut self.late].into_iter().for_each(Latencies::clear);
    }
}

/// The tallies of the current interval and of the current step.
#[derive(Debug, Default)]
pub struct Books {
    pub interval: Tally,
    pub step: Tally,
    /// The measured time of the step, since the run began.
    measured: Range<Duration>,
}

impl Books {
    /// Begins a step, whose measured time is not known yet.
    pub fn begin_step(&mut self) {
        self.step.clear();
        self.measured = Duration::MAX..Duration::MAX;
    }

    /// Measures in this time.
    pub fn measure(&mut self, time: Range<Duration>) {
        self.measured = time;
    }

    /// The measured time, up to now.
    pub fn measured_until(&self, now: Duration) -> Duration {
        self.measured.end.min(now).saturating_sub(self.measured.start)
    }

    /// The last moment of the measured time, or now if that is earlier.
    pub fn last_moment(&self, now: Duration) -> Duration {
        self.measured.end.saturating_sub(Duration::from_nanos(1)).min(now)
    }

    /// Counts something for the interval, and for the step if this moment is in its measured time: the planned moment of
    /// a packet, or that of its arrival.
    pub fn packet(&mut self, moment: Duration, count: impl Fn(&mut Tally)) {
        count(&mut self.interval);
        if self.measured.contains(&moment) {
            count(&mut self.step);
        }
    }

    /// Counts something that happens now and has no planned moment: it belongs to the step from the beginning of the
    /// measured time to the end of the step.
    pub fn packets_now(&mut self, now: Duration, count: impl Fn(&mut Tally)) {
        count(&mut self.interval);
        if now >= self.measured.start {
            count(&mut self.step);
        }
    }

    /// Counts something that belongs to the whole step, its connecting included.
    pub fn connection(&mut self, count: impl Fn(&mut Tally)) {
        count(&mut self.interval);
        count(&mut self.step);
    }

    /// Ends an interval.
    pub fn next_interval(&mut self) {
        self.interval.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn only_packets_that_were_planned_in_the_measured_time_count_for_the_step() {
        let mut books = Books::default();
        books.begin_step();
        books.packet(SECOND, |tally| tally.sent += 1);
        books.packets_now(SECOND, |tally| tally.lost += 1);
        books.measure(2 * SECOND..3 * SECOND);
        for planned in [1, 2, 3] {
            books.packet(planned * SECOND, |tally| tally.sent += 1);
        }
        books.packets_now(4 * SECOND, |tally| tally.lost += 1);
        assert_eq!((books.interval.sent, books.step.sent), (4, 1));
        assert_eq!((books.interval.lost, books.step.lost), (2, 1));
    }

    #[test]
    fn an_interval_begins_with_nothing() {
        let mut books = Books::default();
        books.packet(SECOND, |tally| {
            tally.received += 1;
            tally.latency.record(SECOND);
        });
        books.next_interval();
        assert_eq!(books.interval.received, 0);
        assert_eq!(books.interval.latency.quantiles(), None);
    }

    #[test]
    fn a_step_that_is_interrupted_has_measured_until_now() {
        let mut books = Books::default();
        books.begin_step();
        assert_eq!(books.measured_until(SECOND), Duration::ZERO);
        books.measure(SECOND..5 * SECOND);
        assert_eq!(books.measured_until(3 * SECOND), 2 * SECOND);
        assert_eq!(books.measured_until(9 * SECOND), 4 * SECOND);
        assert_eq!(books.last_moment(3 * SECOND), 3 * SECOND);
        assert!(books.last_moment(9 * SECOND) < 5 * SECOND);
    }
}
