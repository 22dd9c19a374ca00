//! A relay at the end of a line, and how it reads.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tox_test_relay::kind;
use tox_test_relay::session::Session;

/// How a relay reads.
pub struct RelayKind {
    /// For people.
    pub name: &'static str,
    /// How often it looks for input.
    pub interval: Duration,
    /// The most bytes that it reads per second.
    pub rate: Option<usize>,
    /// Whether it counts the bytes that wait in 16 bits, and reads a packet only if as many wait.
    pub counts_in_16_bits: bool,
    /// It reads nothing for a second, every five seconds.
    pub stalls: bool,
    /// Whether its rate is limited only after ten seconds.
    pub slows_down: bool,
    /// Whether it answers pings.
    pub answers: bool,
}

const AT_ONCE: RelayKind = RelayKind {
    name: "reads at once",
    interval: Duration::ZERO,
    rate: None,
    counts_in_16_bits: false,
    stalls: false,
    slows_down: false,
    answers: true,
};

const LOOKS: RelayKind =
    RelayKind { name: "looks every 30 ms", interval: Duration::from_millis(30), ..AT_ONCE };

/// The most bytes that a relay with a limited rate reads at once.
const MAX_ALLOWANCE: f64 = 2_500.0;

/// All relays.
pub const RELAYS: &[RelayKind] = &[
    AT_ONCE,
    LOOKS,
    RelayKind { name: "looks every 30 ms, counts in 16 bits", counts_in_16_bits: true, ..LOOKS },
    RelayKind { name: "reads 50 KB/s", rate: Some(50_000), ..AT_ONCE },
    RelayKind { name: "stalls for a second", stalls: true, ..AT_ONCE },
    RelayKind { name: "reads at once, then 200 KB/s", rate: Some(200_000), slows_down: true, ..AT_ONCE },
    RelayKind { name: "answers no ping", answers: false, ..AT_ONCE },
];

/// See the module.
pub struct Relay {
    kind: &'static RelayKind,
    session: Session,
    /// What has arrived and was not read.
    arrived: Vec<u8>,
    /// The times at which those bytes have arrived, with how many they are.
    arrivals: VecDeque<(Instant, usize)>,
    /// The longest time that a byte has waited, of those that were read.
    pub longest_wait: Duration,
    started: Instant,
    looked_at: Instant,
    /// The bytes that it may read now, if its rate is limited.
    allowance: f64,
    /// Data that it has read.
    pub data: u64,
}

impl Relay {
    pub fn new(kind: &'static RelayKind, session: Session, now: Instant) -> Self {
        Self {
            kind,
            session,
            arrived: Vec::new(),
            arrivals: VecDeque::new(),
            longest_wait: Duration::ZERO,
            started: now,
            looked_at: now,
            allowance: 0.0,
            data: 0,
        }
    }

    /// The bytes that wait for it.
    pub fn waiting(&self) -> usize {
        self.arrived.len()
    }

    /// Seals a packet for the client.
    pub fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let mut stream = Vec::new();
        self.session.seal(plaintext, &mut stream);
        stream
    }

    /// Reads packets, and answers none of them.
    pub fn ignore(&mut self, bytes: &[u8]) {
        self.session.open(bytes).expect("packets that open");
    }

    /// Bytes have arrived. Returns its answers.
    pub fn step(&mut self, now: Instant, arrived: &[u8]) -> Vec<u8> {
        self.arrived.extend_from_slice(arrived);
        if !arrived.is_empty() {
            self.arrivals.push_back((now, arrived.len()));
        }
        let stalls = self.kind.stalls && (now - self.started).as_secs() % 5 == 4;
        let passed = now - self.looked_at;
        if stalls || passed < self.kind.interval {
            return Vec::new();
        }
        self.looked_at = now;
        let len = self.readable(passed);
        let bytes: Vec<u8> = self.arrived.drain(..len).collect();
        self.note_waits(now, len);
        let mut answers = Vec::new();
        let mut data = 0;
        self.session
            .open_each(&bytes, |packet| match packet[0] {
                kind::PING if self.kind.answers => answers.push([&[kind::PONG], &packet[1..]].concat()),
                kind::ROUTING_REQUEST => {
                    answers.push([&[kind::ROUTING_RESPONSE, 17], &packet[1..]].concat());
                }
                16.. => data += packet.len() as u64 - 1,
                _ => {}
            })
            .expect("packets that open");
        self.data += data;
        answers.iter().flat_map(|answer| self.seal(answer)).collect()
    }

    /// So many bytes are read.
    fn note_waits(&mut self, now: Instant, mut len: usize) {
        while len > 0
            && let Some((since, waiting)) = self.arrivals.front_mut()
        {
            self.longest_wait = self.longest_wait.max(now - *since);
            let read = len.min(*waiting);
            (len, *waiting) = (len - read, *waiting - read);
            if *waiting == 0 {
                self.arrivals.pop_front();
            }
        }
    }

    /// How many bytes it reads now.
    fn readable(&mut self, passed: Duration) -> usize {
        let is_slow = !self.kind.slows_down || (self.looked_at - self.started).as_secs() >= 10;
        if let Some(rate) = self.kind.rate.filter(|_| is_slow) {
            self.allowance = (self.allowance + rate as f64 * passed.as_secs_f64()).min(MAX_ALLOWANCE);
            let len = self.arrived.len().min(self.allowance as usize);
            self.allowance -= len as f64;
            return len;
        }
        if !self.kind.counts_in_16_bits {
            return self.arrived.len();
        }
        let mut end = 0;
        while let Some([high, low]) = self.arrived.get(end..end + 2) {
            let packet = 2 + usize::from(u16::from_be_bytes([*high, *low]));
            if usize::from((self.arrived.len() - end) as u16) < packet {
                break;
            }
            end += packet;
        }
        end
    }
}
