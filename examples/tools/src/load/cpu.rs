//! The CPU time of this process, which shows when the generator is the limit, and not the relay.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Measures the share of one processor that this process has used since the last time it was asked.
#[derive(Debug)]
pub struct Cpu {
    at: Instant,
    used: Duration,
}

impl Cpu {
    pub fn start() -> Self {
        Self { at: Instant::now(), used: used() }
    }

    /// The share since the start or the last call: 1 for one whole processor.
    pub fn lap(&mut self) -> f64 {
        let before = std::mem::replace(self, Self::start());
        let elapsed = (self.at - before.at).as_secs_f64().max(1e-9);
        (self.used - before.used).as_secs_f64() / elapsed
    }
}

fn used() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
