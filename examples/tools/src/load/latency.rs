//! Latencies in a histogram, and their quantiles.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// All latencies of some time, each to three digits.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

/// Smaller latencies are recorded less exactly, larger ones as this.
const SMALLEST: Duration = Duration::from_micros(1);
const LARGEST: Duration = Duration::from_secs(3600);
const DIGITS: u8 = 3;

impl Default for Latencies {
    fn default() -> Self {
        let (low, high) = (SMALLEST.as_nanos() as u64, LARGEST.as_nanos() as u64);
        Self(Histogram::new_with_bounds(low, high, DIGITS).expect("bounds that a histogram can have"))
    }
}

/// What is told about latencies, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    #[serde(rename = "p99.9")]
    pub p999: f64,
    #[serde(rename = "max")]
    pub largest: f64,
}

impl Latencies {
    pub fn record(&mut self, latency: Duration) {
        self.0.saturating_record(latency.as_nanos().try_into().unwrap_or(u64::MAX));
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// `None` if there are no latencies.
    pub fn quantiles(&self) -> Option<Quantiles> {
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1e9;
        (!self.0.is_empty()).then(|| Quantiles {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            largest: self.0.max() as f64 / 1e9,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_exact_to_three_digits() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantiles(), None);
        (1..=10_000).for_each(|n| latencies.record(Duration::from_micros(10 * n)));
        let Quantiles { p50, p90, p99, p999, largest } = latencies.quantiles().unwrap();
        for (found, expected) in [(p50, 0.05), (p90, 0.09), (p99, 0.099), (p999, 0.0999), (largest, 0.1)] {
            assert!((found / expected - 1.0f64).abs() < 1e-3, "{found} {expected}");
        }
        latencies.clear();
        assert_eq!(latencies.quantiles(), None);
    }

    #[test]
    fn what_is_beyond_the_bounds_is_recorded_as_the_bound() {
        let mut latencies = Latencies::default();
        latencies.record(Duration::from_secs(100_000));
        latencies.record(Duration::ZERO);
        assert!(latencies.quantiles().unwrap().largest >= 3600.0);
    }
}
