//! The timer wheel, compared with a sorted tree and a heap of the standard library.
//!
//! `cargo bench --features internals --bench wheel`. Each key has at most one deadline; a tick is a millisecond, and
//! keys have deadlines every 30 s, like the pings of connections. The throughput counts keys.

#![allow(missing_docs)]

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Bencher, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use tox_relay_client::internals::Wheel;

const SIZES: [u32; 3] = [10, 1_000, 10_000];

/// The time from one ping to the next, in ticks.
const INTERVAL: u64 = 30_000;

/// Few enough to stay in the cache, and enough that the time for reading the clock does not matter.
const BATCH: BatchSize = BatchSize::NumIterations(16);

/// The operations of the wheel.
trait Timers {
    const NAME: &str;

    /// Creates empty timers for this number of keys.
    fn new(size: u32) -> Self;
    fn schedule(&mut self, key: u32, deadline: u64);
    fn cancel(&mut self, key: u32);
    fn pop_due(&mut self, now: u64) -> Option<u32>;
    fn next(&mut self) -> Option<u64>;

    /// Creates timers with a deadline for each key.
    fn filled(size: u32) -> Self
    where
        Self: Sized,
    {
        let mut timers = Self::new(size);
        (0..size).for_each(|key| timers.schedule(key, deadline(key)));
        timers
    }
}

/// Deadlines spread over the interval: 7919 is a prime that does not divide the interval, so keys below it get
/// different deadlines.
fn deadline(key: u32) -> u64 {
    1 + u64::from(key) * 7919 % INTERVAL
}

impl Timers for Wheel {
    const NAME: &str = "wheel";

    fn new(size: u32) -> Self {
        let mut wheel = Self::new();
        // The wheel grows to the number of keys once; this is not measured.
        wheel.schedule(size - 1, 1);
        wheel.cancel(size - 1);
        wheel
    }

    fn schedule(&mut self, key: u32, deadline: u64) {
        Self::schedule(self, key, deadline);
    }

    fn cancel(&mut self, key: u32) {
        Self::cancel(self, key);
    }

    fn pop_due(&mut self, now: u64) -> Option<u32> {
        Self::pop_due(self, now)
    }

    fn next(&mut self) -> Option<u64> {
        Self::next(self)
    }
}

/// Pairs of deadline and key, sorted.
struct Tree {
    sorted: BTreeSet<(u64, u32)>,
    /// Indexed by key.
    deadlines: Vec<Option<u64>>,
}

impl Timers for Tree {
    const NAME: &str = "tree";

    fn new(size: u32) -> Self {
        Self { sorted: BTreeSet::new(), deadlines: vec![None; size as usize] }
    }

    fn schedule(&mut self, key: u32, deadline: u64) {
        self.cancel(key);
        self.deadlines[key as usize] = Some(deadline);
        self.sorted.insert((deadline, key));
    }

    fn cancel(&mut self, key: u32) {
        if let Some(deadline) = self.deadlines[key as usize].take() {
            self.sorted.remove(&(deadline, key));
        }
    }

    fn pop_due(&mut self, now: u64) -> Option<u32> {
        let (_, key) = *self.sorted.first().filter(|(deadline, _)| *deadline <= now)?;
        self.cancel(key);
        Some(key)
    }

    fn next(&mut self) -> Option<u64> {
        self.sorted.first().map(|(deadline, _)| *deadline)
    }
}

/// The same with a heap. It cannot remove entries from the middle, so stale entries stay until they come to the top or
/// there are too many of them: cancelling is cheap, and later operations are more expensive.
struct Heap {
    heap: BinaryHeap<Reverse<(u64, u32)>>,
    /// Indexed by key. An entry of the heap that is not here is stale.
    deadlines: Vec<Option<u64>>,
}

impl Timers for Heap {
    const NAME: &str = "heap";

    fn new(size: u32) -> Self {
        Self { heap: BinaryHeap::with_capacity(2 * size as usize), deadlines: vec![None; size as usize] }
    }

    fn schedule(&mut self, key: u32, deadline: u64) {
        if self.heap.len() == 2 * self.deadlines.len() {
            self.heap.retain(|Reverse((deadline, key))| self.deadlines[*key as usize] == Some(*deadline));
        }
        self.deadlines[key as usize] = Some(deadline);
        self.heap.push(Reverse((deadline, key)));
    }

    fn cancel(&mut self, key: u32) {
        self.deadlines[key as usize] = None;
    }

    fn pop_due(&mut self, now: u64) -> Option<u32> {
        self.next().filter(|deadline| *deadline <= now)?;
        let Reverse((_, key)) = self.heap.pop()?;
        self.cancel(key);
        Some(key)
    }

    fn next(&mut self) -> Option<u64> {
        while let Some(&Reverse((deadline, key))) = self.heap.peek() {
            if self.deadlines[key as usize] == Some(deadline) {
                return Some(deadline);
            }
            self.heap.pop();
        }
        None
    }
}

fn measure<T: Timers>(criterion: &mut Criterion) {
    in_sizes::<T>(criterion, "schedule", |bencher, size| {
        let schedule = |timers: &mut T| (0..size).for_each(|key| timers.schedule(key, deadline(key)));
        bencher.iter_batched_ref(|| T::new(size), schedule, BATCH);
    });
    in_sizes::<T>(criterion, "reschedule", |bencher, size| {
        let (mut timers, mut round) = (T::filled(size), 0);
        bencher.iter(|| {
            round = (round + 31) % INTERVAL as u32; // each key gets another deadline than before
            (0..size).for_each(|key| timers.schedule(key, deadline(key + round)));
        });
    });
    in_sizes::<T>(criterion, "cancel", |bencher, size| {
        let cancel = |timers: &mut T| (0..size).for_each(|key| timers.cancel(key));
        bencher.iter_batched_ref(|| T::filled(size), cancel, BATCH);
    });
    in_sizes::<T>(criterion, "next", |bencher, size| {
        let mut timers = T::filled(size);
        bencher.iter(|| (0..size).for_each(|_| _ = black_box(black_box(&mut timers).next())));
    });
    // Thirty seconds of a loop that sleeps from deadline to deadline: each key is due once, and is scheduled again in
    // 30 s.
    in_sizes::<T>(criterion, "pings", |bencher, size| {
        let (mut timers, mut end) = (T::filled(size), 0);
        bencher.iter(|| {
            end += INTERVAL;
            while let Some(now) = timers.next().filter(|now| *now <= end) {
                while let Some(key) = timers.pop_due(now) {
                    timers.schedule(key, now + INTERVAL);
                }
            }
        });
    });
}

fn in_sizes<T: Timers>(criterion: &mut Criterion, operation: &str, run: impl Fn(&mut Bencher<'_>, u32)) {
    let mut group = criterion.benchmark_group(operation);
    for size in SIZES {
        group.throughput(Throughput::Elements(size.into()));
        group.bench_function(BenchmarkId::new(T::NAME, size), |bencher| run(bencher, size));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    // There are many benchmarks, and each needs little time.
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1));
    targets = measure::<Wheel>, measure::<Tree>, measure::<Heap>
}
criterion_main!(benches);
