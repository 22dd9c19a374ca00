//! What a step of a run was asked to do, and what came of it.

use serde::Serialize;

use crate::load::latency::Quantiles;
use crate::load::line::Phase;
use crate::load::target::Measured;

/// A load on the relay.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Load {
    /// Connections, without the probe's two.
    pub connections: usize,
    /// Packets a second; `None`: as many as it carries.
    pub rate: Option<f64>,
}

/// What was measured with a load. Times are in seconds; shares are from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    pub asked: Load,
    /// What was measured: the load, or the warm-up if it has ended in that; nothing if it has ended earlier.
    pub phase: Phase,
    /// How long it was measured.
    pub seconds: f64,
    /// How many connections were established at its end.
    pub connections: usize,
    /// Connections that failed.
    pub failed: u64,
    /// Packets that were planned for the measured time; `None` if there was no plan.
    pub planned: Option<u64>,
    pub sent: u64,
    /// Those of them that arrived, by the end of the run.
    pub received: u64,
    /// Packets, and their payload, that arrived in the measured time, whenever they were planned.
    pub arrived_per_second: f64,
    pub bytes_per_second: f64,
    pub lost: u64,
    /// Packets that were due and never sent, since the send queues were full or the generator was too slow.
    pub unsent: u64,
    /// Packets that were due to users who had left as planned.
    pub absent: u64,
    /// Packets that were due to users whose connections or routes had failed.
    pub cut_off: u64,
    /// Packets on their way to or from users who left as planned.
    pub abandoned: u64,
    /// Packets still on their way at the end.
    pub unfinished: u64,
    /// From the planned moment of a packet to its receipt.
    pub latency: Option<Quantiles>,
    /// The same for the probe's packets.
    pub probe: Option<Quantiles>,
    /// How late the generator was.
    pub late: Option<Quantiles>,
    /// The generator's CPU time, as a share of one processor.
    pub cpu: f64,
}

/// Above this, the generator may be what limits the load.
const BUSY: f64 = 0.9;

/// Packets that wait longer for their first attempt, in seconds, show that the generator cannot keep up.
const LATE: f64 = 0.02;

impl Step {
    /// What a target is compared with. Without a load, the latency is the probe's.
    pub fn measured(&self) -> Measured {
        let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let has_load = self.asked.rate != Some(0.0);
        Measured {
            latency: if has_load { self.latency } else { self.probe },
            loss: share(self.lost, self.sent.max(self.lost)),
            failed: share(self.failed, (self.asked.connections as u64).max(self.failed)),
            // What was due to users who had left as planned cannot arrive.
            reached: match self.planned.unwrap_or_default().saturating_sub(self.absent + self.abandoned) {
                0 => 1.0,
                possible => share(self.received, possible),
            },
        }
    }

    /// Why the generator, and not the relay, may have been the limit.
    pub fn own_limit(&self) -> Option<String> {
        let late = self.late.map_or(0.0, |late| late.p99);
        if self.cpu > BUSY {
            Some(format!("it used {:.0}% of a processor", self.cpu * 100.0))
        } else if late > LATE {
            Some(format!("it sent 1% of the packets more than {:.0} ms late", late * 1e3))
        } else {
            None
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A step in which everything was well.
    pub fn example() -> Step {
        let quantiles = |p50| {
            Some(Quantiles { p50, p90: 2.0 * p50, p99: 3.0 * p50, p999: 4.0 * p50, largest: 5.0 * p50 })
        };
        Step {
            asked: Load { connections: 100, rate: Some(1000.0) },
            phase: Phase::Load,
            seconds: 10.0,
            connections: 100,
            failed: 0,
            planned: Some(10_000),
            sent: 10_000,
            received: 10_000,
            arrived_per_second: 1000.0,
            bytes_per_second: 1.4e6,
            lost: 0,
            unsent: 0,
            absent: 0,
            cut_off: 0,
            abandoned: 0,
            unfinished: 0,
            latency: quantiles(0.001),
            probe: quantiles(0.002),
            late: quantiles(0.0001),
            cpu: 0.2,
        }
    }

    #[test]
    fn shares_are_those_of_what_was_asked_for() {
        let step = Step { lost: 100, sent: 10_000, received: 4_000, failed: 5, ..example() };
        let Measured { latency, loss, failed, reached } = step.measured();
        assert_eq!((latency, loss, failed, reached), (step.latency, 0.01, 0.05, 0.4));
    }

    #[test]
    fn what_is_due_to_users_who_left_as_planned_is_not_missing() {
        let step = Step { absent: 1_900, abandoned: 100, sent: 8_000, received: 8_000, ..example() };
        assert_eq!(step.measured().reached, 1.0);
        let step = Step { cut_off: 2_000, sent: 8_000, received: 8_000, ..example() };
        assert_eq!(step.measured().reached, 0.8);
    }

    #[test]
    fn without_a_load_the_latency_is_the_probes() {
        let asked = Load { connections: 100, rate: Some(0.0) };
        let step = Step { asked, planned: Some(0), sent: 0, received: 0, latency: None, ..example() };
        assert_eq!(step.measured(), Measured { latency: step.probe, loss: 0.0, failed: 0.0, reached: 1.0 });
    }

    #[test]
    fn a_busy_or_late_generator_is_told() {
        assert_eq!(example().own_limit(), None);
        assert!(Step { cpu: 0.95, ..example() }.own_limit().unwrap().contains("95%"));
        let late = example().late.map(|late| Quantiles { p99: 0.05, ..late });
        assert!(Step { late, ..example() }.own_limit().unwrap().contains("50 ms"));
    }
}
