//! One direction of a line: it delays and loses packets at random. The seed and the time are arguments.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The properties of a direction. The default delays and loses nothing.
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
    rng: StdRng,
    /// The time at which the bottleneck will have sent everything in its queue.
    queue_empty_at: Instant,
    /// The next packet to arrive is first.
    in_flight: BinaryHeap<Reverse<(Instant, u64, Vec<u8>)>>,
    packets: u64,
}

impl Direction {
    pub fn new(quality: Quality, seed: u64, now: Instant) -> Self {
        let (rng, in_flight) = (StdRng::seed_from_u64(seed), BinaryHeap::new());
        Self { quality, rng, queue_empty_at: now, in_flight, packets: 0 }
    }

    /// Sends a packet; returns `false` if it is lost.
    pub fn send(&mut self, now: Instant, packet: &[u8]) -> bool {
        if self.rng.random_bool(self.quality.loss) {
            return false;
        }
        self.queue_empty_at = self.queue_empty_at.max(now);
        if let Some(Bottleneck { bytes_per_second, queue }) = self.quality.bottleneck {
            let bytes_per_second = f64::from(bytes_per_second);
            let waiting = (self.queue_empty_at - now).as_secs_f64() * bytes_per_second;
            if waiting as usize + packet.len() > queue {
                return false;
            }
            self.queue_empty_at += Duration::from_secs_f64(packet.len() as f64 / bytes_per_second);
        }
        let jitter = self.rng.random_range(Duration::ZERO..=self.quality.jitter);
        let arrival = self.queue_empty_at + self.quality.delay + jitter;
        self.packets += 1; // packets that arrive at the same time keep their order
        self.in_flight.push(Reverse((arrival, self.packets, packet.to_vec())));
        true
    }

    /// Returns the next packet that has arrived.
    pub fn receive(&mut self, now: Instant) -> Option<Vec<u8>> {
        let arrived = self.next_arrival().is_some_and(|arrival| arrival <= now);
        if arrived { self.in_flight.pop().map(|Reverse((_, _, packet))| packet) } else { None }
    }

    pub fn next_arrival(&self) -> Option<Instant> {
        self.in_flight.peek().map(|Reverse((arrival, ..))| *arrival)
    }
}

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_perfect_direction_delivers_at_once_and_in_order() {
    let now = Instant::now();
    let mut direction = Direction::new(Quality::default(), 1, now);
    assert!((0..100).all(|number| direction.send(now, &[number])));
    assert!((0..100).all(|number| direction.receive(now) == Some(vec![number])));
    assert_eq!(direction.receive(now + MS), None);
}

#[test]
fn packets_have_the_delay_and_jitter_and_overtake_each_other() {
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
fn the_configured_fraction_of_packets_is_lost() {
    let now = Instant::now();
    let mut direction = Direction::new(Quality { loss: 0.1, ..Quality::default() }, 1, now);
    let passed = (0..10_000).filter(|_| direction.send(now, b"packet")).count();
    assert!((8_800..9_200).contains(&passed), "{passed}");
    assert_eq!(std::iter::from_fn(|| direction.receive(now)).count(), passed);
}

#[test]
fn a_bottleneck_delays_packets_and_drops_them_when_its_queue_is_full() {
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
