//! One TCP connection between a client and a relay: two pipes that do to bytes what networks do, and a ledger of what
//! was sent at one end and must arrive at the other.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use tox_test_relay::session::Key;

use crate::rng::Rng;

/// The capacity of a pipe without long delays: what kernels hold of a connection whose client limits its unsent bytes.
/// A relay that reads 50 KB/s has read all of it after 5 s.
const WIDE: usize = 256 * 1024;

/// One direction.
pub struct Pipe {
    /// The pieces in flight with their arrival times, in order.
    flying: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    capacity: usize,
    slowest: Duration,
    stalled_until: Option<Instant>,
    closed: bool,
}

/// The result of a read.
pub enum Read {
    Bytes(Vec<u8>),
    Nothing,
    End,
}

impl Pipe {
    fn new(narrow: bool, rng: &mut Rng) -> Self {
        Self {
            flying: VecDeque::new(),
            bytes: 0,
            capacity: if narrow { rng.magnitude(1, WIDE) } else { WIDE },
            slowest: rng.millis(0, 400),
            stalled_until: None,
            closed: false,
        }
    }

    /// Takes as many bytes as there is room for.
    pub fn write(&mut self, bytes: &[u8], now: Instant, rng: &mut Rng) -> usize {
        let taken = bytes.len().min(self.capacity - self.bytes);
        if taken > 0 {
            let latest = self.flying.back().map_or(now, |(at, _)| *at);
            let at = (now + rng.millis(0, self.slowest.as_millis() as usize)).max(latest);
            self.flying.push_back((at, bytes[..taken].to_vec()));
            self.bytes += taken;
        }
        taken
    }

    /// No more is written. What is in flight still arrives.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// What has arrived, at most `most` bytes of it, whatever pieces it was written in.
    pub fn read(&mut self, now: Instant, most: usize) -> Read {
        if self.stalled_until.is_some_and(|until| now < until) {
            return Read::Nothing;
        }
        let mut bytes = Vec::new();
        while bytes.len() < most
            && let Some((at, piece)) = self.flying.front_mut()
            && *at <= now
        {
            let taken = piece.len().min(most - bytes.len());
            bytes.extend(piece.drain(..taken));
            if piece.is_empty() {
                self.flying.pop_front();
            }
        }
        self.bytes -= bytes.len();
        match bytes.is_empty() {
            false => Read::Bytes(bytes),
            true if self.closed && self.flying.is_empty() => Read::End,
            true => Read::Nothing,
        }
    }

    /// Whether more has arrived than was read, or the end.
    pub fn has_arrived(&self, now: Instant) -> bool {
        self.stalled_until.is_none_or(|until| until <= now)
            && self.flying.front().map_or(self.closed, |(at, _)| *at <= now)
    }

    /// Ends a stall and restores the full capacity.
    fn heal(&mut self) {
        self.stalled_until = None;
        self.capacity = WIDE;
    }
}

/// What a client has accepted for sending on one connection, until the relay has it.
#[derive(Default)]
pub struct Ledger {
    /// By the peer of their route. Packets that belong to no route keep their order, too.
    accepted: BTreeMap<Option<Key>, VecDeque<Packet>>,
    /// The relay's pings that were not answered yet.
    pings: VecDeque<u64>,
}

/// A packet that may be queued, as both ends know it: without the connection id, which is internal to the connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet {
    Data { peer: Key, data: Vec<u8> },
    Other { plaintext: Vec<u8> },
}

impl Packet {
    fn peer(&self) -> Option<Key> {
        match self {
            Self::Data { peer, .. } => Some(*peer),
            Self::Other { .. } => None,
        }
    }
}

impl Ledger {
    pub fn accept(&mut self, packet: Packet) {
        self.accepted.entry(packet.peer()).or_default().push_back(packet);
    }

    /// The client has reported that this many bytes of data for this peer will never be sent: the last ones, in whole
    /// packets.
    pub fn withdraw(&mut self, peer: Key, mut unsent: usize) {
        let packets = self.accepted.entry(Some(peer)).or_default();
        while unsent > 0 {
            let Some(Packet::Data { data, .. }) = packets.pop_back() else {
                panic!("{unsent} bytes unsent that were never accepted");
            };
            unsent = unsent.checked_sub(data.len()).expect("whole packets");
        }
    }

    /// The relay has received a packet that isn't important.
    pub fn arrive(&mut self, packet: &Packet) {
        let next = self.accepted.get_mut(&packet.peer()).and_then(VecDeque::pop_front);
        assert_eq!(next.as_ref(), Some(packet), "lost, or out of order");
    }

    pub fn ping(&mut self, id: u64) {
        self.pings.push_back(id);
    }

    pub fn pong(&mut self, id: u64) {
        assert_eq!(self.pings.pop_front(), Some(id), "a pong that answers no ping, or not in order");
    }

    /// Whether all that was accepted has arrived.
    pub fn is_settled(&self) -> bool {
        self.accepted.values().all(VecDeque::is_empty) && self.pings.is_empty()
    }
}

/// Both directions, and what happened to them.
pub struct Link {
    /// When the client learns that the connection is there.
    pub established: Instant,
    pub up: Pipe,
    pub down: Pipe,
    pub ledger: Ledger,
    /// Both ends are gone, and with them what was in flight.
    pub cut: bool,
    /// Something kept the relay from answering in time, so timeouts are not mistakes.
    pub troubled: bool,
    /// The client's program did not poll for a while, so the relay may time it out; the client must not time out the
    /// relay.
    pub absent: bool,
}

impl Link {
    pub fn new(now: Instant, rng: &mut Rng) -> Self {
        let slow = rng.one_in(20);
        let narrow = rng.one_in(3);
        Self {
            established: now + if slow { rng.millis(0, 20_000) } else { rng.millis(0, 300) },
            up: Pipe::new(narrow, rng),
            down: Pipe::new(narrow, rng),
            ledger: Ledger::default(),
            cut: false,
            troubled: slow || narrow,
            absent: false,
        }
    }

    /// Nothing arrives for a while, in one direction or in both.
    pub fn stall(&mut self, now: Instant, rng: &mut Rng) {
        let until = Some(now + rng.millis(100, 70_000));
        let which = rng.range(1, 3);
        for (bit, pipe) in [(1, &mut self.up), (2, &mut self.down)] {
            if which & bit != 0 {
                pipe.stalled_until = until;
            }
        }
        self.troubled = true;
    }

    pub fn heal(&mut self) {
        self.up.heal();
        self.down.heal();
    }
}
