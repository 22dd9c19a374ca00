//! A TCP connection on a line, in the direction to the relay.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The properties of a line.
pub struct LineKind {
    /// For people.
    pub name: &'static str,
    /// In each direction.
    pub delay: Duration,
    /// Bytes per second.
    pub rate: f64,
    /// One of so many segments is lost at first, and arrives a round trip later. So does everything behind it.
    pub loses_one_in: Option<u64>,
}

const MS: Duration = Duration::from_millis(1);
const FAST: f64 = 10e6;

/// All lines.
pub const LINES: &[LineKind] = &[
    LineKind { name: "1 ms", delay: MS, rate: FAST, loses_one_in: None },
    LineKind { name: "30 ms", delay: Duration::from_millis(15), rate: FAST, loses_one_in: None },
    LineKind { name: "100 ms", delay: Duration::from_millis(50), rate: FAST, loses_one_in: None },
    LineKind { name: "300 ms", delay: Duration::from_millis(150), rate: FAST, loses_one_in: None },
    LineKind {
        name: "30 ms, loses 1 %",
        delay: Duration::from_millis(15),
        rate: FAST,
        loses_one_in: Some(100),
    },
    LineKind { name: "30 ms, 50 KB/s", delay: Duration::from_millis(15), rate: 50e3, loses_one_in: None },
];

/// The bytes of a segment.
const SEGMENT: usize = 1400;

/// The congestion window at the start (RFC 6928), and the least after losses.
const INITIAL: f64 = 10.0 * SEGMENT as f64;

/// The most bytes that the sender's system accepts without sending them (`TCP_NOTSENT_LOWAT`).
const UNSENT: usize = 64 * 1024;

/// The most bytes that the relay's system stores for it.
const RECEIVE_BUFFER: usize = 1024 * 1024;

/// See the module.
pub struct Line {
    kind: &'static LineKind,
    unsent: VecDeque<u8>,
    /// Segments with their arrival times, in order.
    flying: VecDeque<(Instant, Vec<u8>)>,
    /// When acknowledgements of so many bytes come back.
    acknowledged: VecDeque<(Instant, usize)>,
    unacknowledged: usize,
    window: f64,
    has_lost: bool,
    segments: u64,
    /// When the line has sent everything.
    free_at: Instant,
}

impl Line {
    pub fn new(kind: &'static LineKind, now: Instant) -> Self {
        Self {
            kind,
            unsent: VecDeque::new(),
            flying: VecDeque::new(),
            acknowledged: VecDeque::new(),
            unacknowledged: 0,
            window: INITIAL,
            has_lost: false,
            segments: 0,
            free_at: now,
        }
    }

    /// Takes as many bytes as there is room for.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(UNSENT - self.unsent.len());
        self.unsent.extend(&bytes[..taken]);
        taken
    }

    /// Sends what may be sent, while so many bytes wait at the relay. Returns what arrives.
    pub fn step(&mut self, now: Instant, waiting: usize) -> Vec<u8> {
        while let Some((_, len)) = due(&mut self.acknowledged, now) {
            self.unacknowledged -= len;
            let slow_start = if self.has_lost { SEGMENT as f64 / self.window } else { 1.0 };
            self.window = (self.window + len as f64 * slow_start).min(RECEIVE_BUFFER as f64 * 4.0);
        }
        let room = RECEIVE_BUFFER.saturating_sub(waiting).min(self.window as usize);
        while !self.unsent.is_empty() && self.unacknowledged < room {
            let segment: Vec<u8> = self.unsent.drain(..self.unsent.len().min(SEGMENT)).collect();
            self.send(now, segment);
        }
        let mut arrived = Vec::new();
        while let Some((_, segment)) = due(&mut self.flying, now) {
            arrived.extend(segment);
        }
        arrived
    }

    fn send(&mut self, now: Instant, segment: Vec<u8>) {
        let len = segment.len();
        self.free_at = self.free_at.max(now) + Duration::from_secs_f64(len as f64 / self.kind.rate);
        let mut at = self.free_at + self.kind.delay;
        self.segments += 1;
        if self.kind.loses_one_in.is_some_and(|number| self.segments.is_multiple_of(number)) {
            at += 2 * self.kind.delay;
            self.window = (self.window / 2.0).max(INITIAL);
            self.has_lost = true;
        }
        if let Some((last, _)) = self.flying.back() {
            at = at.max(*last);
        }
        self.unacknowledged += len;
        self.acknowledged.push_back((at + self.kind.delay, len));
        self.flying.push_back((at, segment));
    }
}

/// Removes and returns the first one, if its time has come.
pub fn due<T>(queue: &mut VecDeque<(Instant, T)>, now: Instant) -> Option<(Instant, T)> {
    if queue.front().is_some_and(|(at, _)| *at <= now) { queue.pop_front() } else { None }
}
