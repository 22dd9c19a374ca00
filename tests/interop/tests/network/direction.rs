//! One direction of a line: delays and loses packets, from a seed and with the time as an argument.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// How good or bad a direction is. The default is a perfect wire.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quality {
    /// The delay of each packet.
    pub delay: Duration,
    /// The largest additional delay. It is random for each packet, so packets overtake each other.
    pub jitter: Duration,
    /// The fraction of packets that get lost.
    pub loss: f64,
    pub bottleneck: Option<Bottleneck>,
}

/// A bandwidth limit, and the queue before it.
#[derive(Clone, Copy, Debug)]
pub struct Bottleneck {
    pub bytes_per_second: u32,
    /// The size of the queue in bytes. Packets that do not fit are lost.
    pub queue: usize,
}

/// One direction of a line.
pub struct Direction {
    quality: Quality,
    chance: StdRng,
    /// When the bottleneck has sent everything in its queue.
    free: Instant,
    /// In the order of arrival.
    under_way: BinaryHeap<Reverse<(Instant, u64, Vec<u8>)>>,
    packets: u64,
}

impl Direction {
    pub fn new(quality: Quality, seed: u64, now: Instant) -> Self {
        let (chance, under_way) = (StdRng::seed_from_u64(seed), BinaryHeap::new());
        Self { quality, chance, free: now, under_way, packets: 0 }
    }

    /// Takes a packet; returns `false` if it gets lost.
    pub fn send(&mut self, now: Instant, packet: &[u8]) -> bool {
        if self.chance.random_bool(self.quality.loss) {
            return false;
        }
        self.free = self.free.max(now);
        if let Some(Bottleneck { bytes_per_second, queue }) = self.quality.bottleneck {
            let bytes_per_second = f64::from(bytes_per_second);
            let waiting = (self.free - now).as_secs_f64() * bytes_per_second;
            if waiting as usize + packet.len() > queue {
                return false;
            }
            self.free += Duration::from_secs_f64(packet.len() as f64 / bytes_per_second);
        }
        let jitter = self.chance.random_range(Duration::ZERO..=self.quality.jitter);
        let arrival = self.free + self.quality.delay + jitter;
        self.packets += 1; // packets that arrive at the same time keep their order
        self.under_way.push(Reverse((arrival, self.packets, packet.to_vec())));
        true
    }

    /// The next packet that has arrived.
    pub fn receive(&mut self, now: Instant) -> Option<Vec<u8>> {
        let arrived = self.next_arrival().is_some_and(|arrival| arrival <= now);
        if arrived { self.under_way.pop().map(|Reverse((_, _, packet))| packet) } else { None }
    }

    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.peek().map(|Reverse((arrival, ..))| *arrival)
    }
}

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_wire_passes_all_at_once_and_in_order() {
    let now = Instant::now();
    let mut direction = Direction::new(Quality::default(), 1, now);
    assert!((0..100).all(|number| direction.send(now, &[number])));
    assert!((0..100).all(|number| direction.receive(now) == Some(vec![number])));
    assert_eq!(direction.receive(now + MS), None);
}

#[test]
fn packets_take_the_delay_and_some_jitter_and_overtake_each_other() {
    let now = Instant::now();
    let quality = Quality { delay: 50 * MS, jitter: 20 * MS, ..Quality::default() };
    let mut direction = Direction::new(quality, 1, now);
    assert!((0..100).all(|number| direction.send(now, &[number])));
    assert_eq!(direction.receive(now + 50 * MS - Duration::from_nanos(1)), None);
    let arrived: Vec<u8> = std::iter::from_fn(|| direction.receive(now + 70 * MS)).flatten().collect();
    assert_eq!(arrived.len(), 100);
    assert!(!arrived.is_sorted());
}

#[test]
fn the_share_that_gets_lost_is_the_one_that_was_asked_for() {
    let now = Instant::now();
    let mut direction = Direction::new(Quality { loss: 0.1, ..Quality::default() }, 1, now);
    let passed = (0..10_000).filter(|_| direction.send(now, b"packet")).count();
    assert!((8_800..9_200).contains(&passed), "{passed}");
    assert_eq!(std::iter::from_fn(|| direction.receive(now)).count(), passed);
}

#[test]
fn a_bottleneck_delays_packets_and_loses_those_that_its_queue_has_no_room_for() {
    let now = Instant::now();
    let bottleneck = Some(Bottleneck { bytes_per_second: 1_000, queue: 300 });
    let mut direction = Direction::new(Quality { bottleneck, ..Quality::default() }, 1, now);
    assert_eq!([0; 5].map(|_| direction.send(now, &[0; 100])), [true, true, true, false, false]);
    for ms in [100, 200, 300] {
        assert_eq!(direction.receive(now + (ms - 1) * MS), None);
        assert!(direction.receive(now + ms * MS).is_some());
    }
    assert!(direction.send(now + 1_000 * MS, &[0; 300]));
}
