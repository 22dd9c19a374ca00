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
    /// Packets that were planned for users who had left as planned, or between whom a route was not yet online again.
    pub absent: u64,
    /// Packets that were planned for users whose connections or routes had failed.
    pub cut_off: u64,
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
        let Self {
            connected, failed, sent, received, arrived, bytes, lost, absent, cut_off, abandoned, ..
        } = self;
        for count in [connected, failed, sent, received, arrived, bytes, lost, absent, cut_off, abandoned] {
            *count = 0;
        }
        [&mut self.latency, &mut self.probe, &mut self.late].into_iter().for_each(Latencies::clear);
    }
}

/// The tallies of the current interval and of the current step.
#[derive(Debug, Default)]
pub struct Books {
    pub interval: Tally,
    pub warm_up: Section,
    pub load: Section,
}

/// A part of a step.
#[derive(Debug, Default)]
pub struct Section {
    pub tally: Tally,
    /// Since the run began.
    pub time: Range<Duration>,
}

impl Section {
    pub fn length(&self) -> Duration {
        self.time.end.saturating_sub(self.time.start)
    }
}

impl Books {
    /// Begins a step. The times of its sections are not known yet.
    pub fn begin_step(&mut self) {
        for section in [&mut self.warm_up, &mut self.load] {
            section.tally.clear();
            section.time = Duration::MAX..Duration::MAX;
        }
    }

    /// The step has its warm-up and its load at these times, one after the other.
    pub fn measure(&mut self, warm_up: Range<Duration>, load: Range<Duration>) {
        (self.warm_up.time, self.load.time) = (warm_up, load);
    }

    /// The load ends at its planned end, or now if that is earlier.
    pub fn end_load(&mut self, now: Duration) {
        for section in [&mut self.warm_up, &mut self.load] {
            section.time.end = section.time.end.min(now);
        }
    }

    /// Counts something for the interval, and for the section to which this moment belongs: the planned moment of a
    /// packet, or that of its arrival.
    pub fn packet(&mut self, moment: Duration, count: impl Fn(&mut Tally)) {
        count(&mut self.interval);
        for section in [&mut self.warm_up, &mut self.load] {
            if section.time.contains(&moment) {
                count(&mut section.tally);
            }
        }
    }

    /// Counts something that happens now and has no planned moment: it belongs to the section that has begun last.
    pub fn packets_now(&mut self, now: Duration, count: impl Fn(&mut Tally)) {
        count(&mut self.interval);
        let sections = [&mut self.load, &mut self.warm_up];
        if let Some(section) = sections.into_iter().find(|section| now >= section.time.start) {
            count(&mut section.tally);
        }
    }

    /// Counts something that belongs to the whole step, its connecting included.
    pub fn connection(&mut self, count: impl Fn(&mut Tally)) {
        [&mut self.interval, &mut self.warm_up.tally, &mut self.load.tally].into_iter().for_each(count);
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

    /// A second of warm-up and one of load, one second from now.
    fn books() -> Books {
        let mut books = Books::default();
        books.begin_step();
        books.measure(SECOND..2 * SECOND, 2 * SECOND..3 * SECOND);
        books
    }

    #[test]
    fn a_packet_counts_for_the_section_in_which_it_was_planned() {
        let mut books = books();
        for planned in [0, 1, 2, 2, 3] {
            books.packet(planned * SECOND, |tally| tally.sent += 1);
        }
        for now in [0, 1, 2, 4] {
            books.packets_now(now * SECOND, |tally| tally.lost += 1);
        }
        let counts =
            [&books.interval, &books.warm_up.tally, &books.load.tally].map(|tally| (tally.sent, tally.lost));
        assert_eq!(counts, [(5, 4), (1, 1), (2, 2)]);
    }

    #[test]
    fn before_the_times_of_a_step_are_known_only_its_connections_count() {
        let mut books = Books::default();
        books.begin_step();
        books.packet(SECOND, |tally| tally.sent += 1);
        books.packets_now(SECOND, |tally| tally.lost += 1);
        books.connection(|tally| tally.failed += 1);
        let Tally { sent, lost, failed, .. } = books.load.tally;
        assert_eq!((sent, lost, failed, books.warm_up.tally.failed), (0, 0, 1, 1));
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
    fn a_step_that_is_interrupted_has_measured_until_then() {
        for (ended, lengths) in [(0, [0, 0]), (1500, [500, 0]), (2500, [1000, 500]), (9000, [1000, 1000])] {
            let mut books = books();
            books.end_load(Duration::from_millis(ended));
            let found = [&books.warm_up, &books.load].map(|section| section.length().as_millis());
            assert_eq!(found, lengths, "{ended}");
        }
        let mut books = Books::default();
        books.begin_step();
        books.end_load(SECOND);
        assert_eq!(books.load.length(), Duration::ZERO);
    }
}
