//! Measures CPU time as medians of interleaved turns, so that other programs on the machine disturb the figures as
//! little as possible.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The number and the size of the measurements.
#[derive(Clone, Debug)]
pub struct Effort {
    /// Turns per subject; the result is their median.
    pub turns: usize,
    /// Bursts of packets in one turn, about 30 KiB each.
    pub bursts: usize,
    /// Round trips in one turn.
    pub round_trips: usize,
    /// Bytes that each sender of bulk data sends.
    pub bulk: u64,
    /// Connections made in one turn.
    pub connections: usize,
    /// CPU time of idle ticks in one turn.
    pub ticks: Duration,
    /// Numbers of connections for which an idle tick is measured; memory is measured with the last one.
    pub pools: [usize; 3],
}

impl Effort {
    /// Enough for meaningful figures.
    pub fn full() -> Self {
        Self {
            turns: 11,
            bursts: 12,
            round_trips: 300,
            bulk: 20_000_000,
            connections: 100,
            ticks: Duration::from_millis(10),
            pools: [10, 1_000, 10_000],
        }
    }

    /// Whether it is too little for meaningful figures.
    pub fn is_brief(&self) -> bool {
        self.turns == 1
    }

    /// As little as possible, to check that everything still runs.
    pub fn brief() -> Self {
        Self {
            turns: 1,
            bursts: 1,
            round_trips: 5,
            bulk: 200_000,
            connections: 5,
            ticks: Duration::from_micros(100),
            pools: [2, 10, 50],
        }
    }
}

/// Returns the CPU time that this thread spends in `work`, including the kernel's, and the result of `work`.
pub fn cpu_time<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let before = thread_time();
    let result = work();
    (thread_time() - before, result)
}

/// Returns the CPU time of one call in nanoseconds, measured over as many calls as take `budget` together.
pub fn cpu_of_one(budget: Duration, mut call: impl FnMut()) -> f64 {
    let mut calls = 1;
    loop {
        let (spent, ()) = cpu_time(|| (0..calls).for_each(|_| call()));
        if spent >= budget {
            return nanos(spent) / f64::from(calls);
        }
        calls *= 2;
    }
}

/// Measures each subject once per round, and returns the median for each subject. Each round starts with another
/// subject. `turn` gets the number of the subject. The first round only warms up caches and is not counted.
pub fn in_turns<E>(
    turns: usize,
    subjects: usize,
    mut turn: impl FnMut(usize) -> Result<f64, E>,
) -> Result<Vec<f64>, E> {
    let mut figures = vec![Vec::new(); subjects];
    for round in 0..=turns {
        for subject in (0..subjects).map(|index| (index + round) % subjects) {
            let figure = turn(subject)?;
            if round > 0 {
                figures[subject].push(figure);
            }
        }
    }
    Ok(figures.into_iter().map(median).collect())
}

pub fn nanos(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    if figures.len() % 2 == 1 { figures[middle] } else { (figures[middle - 1] + figures[middle]) / 2.0 }
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![9.0, 1.0, 5.0]), 5.0);
        assert_eq!(median(vec![9.0, 1.0, 5.0, 6.0]), 5.5);
    }

    #[test]
    fn the_first_turn_of_each_subject_is_not_counted() {
        let mut count = [0; 3];
        let medians = in_turns(5, 3, |subject| {
            count[subject] += 1;
            Ok::<_, ()>(f64::from(count[subject]))
        })
        .unwrap();
        assert_eq!(count, [6; 3]);
        assert_eq!(medians, [4.0; 3]);
    }

    #[test]
    fn sleep_costs_no_cpu_time() {
        let (spent, ()) = cpu_time(|| std::thread::sleep(Duration::from_millis(50)));
        assert!(spent < Duration::from_millis(25), "{spent:?}");
    }
}
