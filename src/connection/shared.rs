//! What the connections of one driver share while they receive and send.

use std::fmt;

use crate::crypto::KeyStream;
use crate::status::{Traffic, TrafficByKind};
use crate::wire::frame::{MIN_FRAME, OVERHEAD};
use crate::wire::packet::PING;

/// What the connections of one driver share: each uses it during its calls of [`receive`](super::Connection::receive)
/// and [`flush`](super::Connection::flush). It holds memory for decryption, and counts packets by kind.
pub struct Shared {
    pub(super) key_stream: KeyStream,
    pub(super) counters: Counters,
}

/// Counts the packets of all connections by kind. The counts outlive the connections, and use no memory in them.
#[derive(Default)]
pub(super) struct Counters {
    /// Bytes on sockets, and all packets.
    pub(super) all: Traffic,
    received: [Count; CLASSES],
    sent: [Count; CLASSES],
    /// The kind of each packet in the batch that was sealed last.
    batch: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
struct Count {
    packets: u64,
    bytes: u64,
}

/// The kinds below 16, in pairs that belong together (the last two are reserved), and data.
const CLASSES: usize = 9;

const ROUTING: usize = 0;
const NOTIFICATIONS: usize = 1;
const PINGS: usize = 2;
const OOB: usize = 3;
const ONION: usize = 4;
const FORWARD: usize = 5;
const DATA: usize = 8;

/// The index at which packets of this kind are counted.
fn class(kind: u8) -> usize {
    usize::from(kind.min(16) >> 1)
}

impl Shared {
    /// Creates it, with all counts at zero.
    pub fn new() -> Self {
        Self { key_stream: KeyStream::new(), counters: Counters::default() }
    }

    /// What all connections have sent and received, by kind of packet.
    pub fn traffic(&self) -> TrafficByKind {
        self.counters.get()
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("traffic", &self.traffic()).finish_non_exhaustive()
    }
}

impl Counters {
    /// A packet was decrypted.
    pub(super) fn count_received(&mut self, plaintext: &[u8]) {
        let kind = plaintext.first().copied().unwrap_or_default();
        self.received[class(kind)].add(OVERHEAD + plaintext.len());
        self.all.packets_in += 1;
    }

    /// A batch begins, of at most `len` bytes.
    pub(super) fn begin_batch(&mut self, len: usize) {
        self.batch.clear();
        self.batch.reserve(len / MIN_FRAME);
    }

    /// A packet was added to the batch.
    pub(super) fn add_to_batch(&mut self, kind: u8) {
        self.batch.push(kind);
    }

    /// Whether the packet with this number in the batch is a ping.
    pub(super) fn is_ping(&self, number: usize) -> bool {
        self.batch[number] == PING
    }

    /// The packet with this number in the batch was sent, and takes this many bytes of the stream.
    pub(super) fn count_sent(&mut self, number: usize, bytes: usize) {
        self.sent[class(self.batch[number])].add(bytes);
        self.all.packets_out += 1;
    }

    fn get(&self) -> TrafficByKind {
        let class = |class: usize| {
            let (received, sent) = (self.received[class], self.sent[class]);
            Traffic {
                bytes_in: received.bytes,
                bytes_out: sent.bytes,
                packets_in: received.packets,
                packets_out: sent.packets,
            }
        };
        TrafficByKind {
            all: self.all,
            data: class(DATA),
            oob: class(OOB),
            onion: class(ONION),
            forward: class(FORWARD),
            routing: class(ROUTING),
            notifications: class(NOTIFICATIONS),
            pings: class(PINGS),
        }
    }
}

impl Count {
    fn add(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }
}
