//! All randomness of a simulation, from its seed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub struct Rng(StdRng);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: u32) -> bool {
        self.0.random_range(0..times) == 0
    }

    /// From `low` to `high`, both included.
    pub fn range(&mut self, low: usize, high: usize) -> usize {
        self.0.random_range(low..=high)
    }

    /// As [`range`](Self::range), but the lower half of the orders of magnitude comes as often as the upper one.
    pub fn magnitude(&mut self, low: usize, high: usize) -> usize {
        let bits = self.range(0, (high - low).max(1).ilog2() as usize + 1);
        low + self.range(0, (1 << bits) - 1).min(high - low)
    }

    pub fn millis(&mut self, low: usize, high: usize) -> Duration {
        Duration::from_millis(self.range(low, high) as u64)
    }

    pub fn number(&mut self) -> u64 {
        self.0.random()
    }

    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        self.0.random()
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        if all.is_empty() { None } else { all.get(self.range(0, all.len() - 1)) }
    }
}
