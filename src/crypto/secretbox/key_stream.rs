//! Key stream that is made before it is wanted.
//!
//! The nonces of the next packets are known. Eight blocks are made at once, of however many packets, in the order in which
//! they will be wanted if the next packets are as long as this one.

use std::hint::black_box;

use crate::wire::frame::MAX_PLAINTEXT;

use crate::crypto::secretbox::lanes::{Backend, Chunk, Counters, LANES};
use crate::crypto::secretbox::poly1305::{MAC_BLOCK_LEN, MAC_KEY_LEN, Poly1305};
use crate::crypto::secretbox::salsa20::{BLOCK_LEN, Key};

/// Key stream that was made for packets to come. It is large beside a connection, so the loop has one for all: it serves
/// the connection whose packets are being read or written, and is wiped behind it.
pub struct KeyStream {
    backend: Backend,
    /// A ring, so that all key stream of the longest packet can be there at once.
    chunks: [Chunk; CHUNKS],
    current: usize,
    subkey: Key,
    /// Blocks a packet. 0 while nothing was made.
    stride: u32,
    /// What the first block of the current chunk is for.
    first: Position,
    /// What the first block of the next one will be for.
    next: Position,
}

/// A block of key stream.
#[derive(Clone, Copy)]
struct Position {
    /// The count of the packet's nonce.
    packet: u64,
    block: u32,
}

/// A packet's key stream begins with the key of its MAC.
pub(super) const TEXT_START: usize = MAC_KEY_LEN;

/// What the longest packet takes, if it begins with the last block of a chunk.
const CHUNKS: usize = (LANES - 1 + (TEXT_START + MAX_PLAINTEXT).div_ceil(BLOCK_LEN)).div_ceil(LANES);

impl KeyStream {
    pub fn new() -> Self {
        Self::with_backend(Backend::detect())
    }

    /// As on a processor that has nothing beyond what its architecture asks of it: to measure and to test.
    #[allow(dead_code, reason = "of use where this module is compiled in")]
    pub fn baseline() -> Self {
        Self::with_backend(Backend::BASELINE)
    }

    pub(crate) fn with_backend(backend: Backend) -> Self {
        let nowhere = Position { packet: 0, block: 0 };
        Self {
            backend,
            chunks: [Chunk::EMPTY; CHUNKS],
            current: 0,
            subkey: Key::NONE,
            stride: 0,
            first: nowhere,
            next: nowhere,
        }
    }

    /// Forgets everything.
    pub fn wipe(&mut self) {
        if self.stride > 0 {
            self.stride = 0;
            self.subkey.wipe();
            self.chunks.iter_mut().for_each(Chunk::wipe);
        }
    }

    #[cfg(test)]
    pub fn is_wiped(&self) -> bool {
        self.subkey.0 == [0; 8] && self.chunks.iter().all(|chunk| chunk.bytes() == [0; Chunk::LEN])
    }

    /// Where the key stream of a packet, by the count of its nonce, begins in the current chunk, which is made if need be.
    #[inline]
    pub(super) fn find(&mut self, subkey: &Key, packet: u64, text_len: usize) -> usize {
        debug_assert!(text_len <= MAX_PLAINTEXT);
        let blocks = (TEXT_START + text_len).div_ceil(BLOCK_LEN) as u32;
        let packets_ahead = packet.wrapping_sub(self.first.packet);
        if blocks <= self.stride && packets_ahead <= LANES as u64 && same(&self.subkey, subkey) {
            let lane = (packets_ahead as u32 * self.stride).wrapping_sub(self.first.block) as usize;
            if lane < LANES {
                return lane * BLOCK_LEN;
            }
        }
        self.subkey.set(subkey);
        self.stride = blocks;
        self.next = Position { packet, block: 0 };
        self.make(&mut Poly1305::idle(), &[]);
        0
    }

    /// The current chunk.
    #[inline]
    pub(super) fn keystream(&self) -> &[u8] {
        self.chunks[self.current].bytes()
    }

    /// The number of the current chunk.
    #[inline]
    pub(super) fn current(&self) -> usize {
        self.current
    }

    /// A chunk that was made for the present packet, by its number.
    #[inline]
    pub(super) fn chunk(&self, number: usize) -> &[u8] {
        self.chunks[number % CHUNKS].bytes()
    }

    /// The key of a packet's MAC, whose key stream begins there in the current chunk.
    #[inline]
    pub(super) fn mac_key(&self, at: usize) -> &[u8; MAC_KEY_LEN] {
        self.keystream()[at..].first_chunk().expect("a block is longer than a key")
    }

    /// Makes the next chunk, while `mac` takes in `message`.
    #[inline]
    pub(super) fn make(&mut self, mac: &mut Poly1305, message: &[[u8; MAC_BLOCK_LEN]]) {
        self.current = (self.current + 1) % CHUNKS;
        self.first = self.next;
        let mut counters: Counters = [[0; LANES]; 3];
        let [low, high, blocks] = &mut counters;
        for ((low, high), block) in low.iter_mut().zip(high).zip(blocks) {
            let count = self.next.packet.swap_bytes();
            (*low, *high, *block) = (count as u32, (count >> 32) as u32, self.next.block);
            self.next.block += 1;
            if self.next.block == self.stride {
                self.next = Position { packet: self.next.packet.wrapping_add(1), block: 0 };
            }
        }
        self.backend.make(&self.subkey, &counters, &mut self.chunks[self.current], mac, message);
    }
}

impl Drop for KeyStream {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// Whether two keys are the same, in the same time whether they are or not.
fn same(one: &Key, other: &Key) -> bool {
    let differences = one.0.iter().zip(&other.0).fold(0, |all, (a, b)| all | (a ^ b));
    black_box(differences) == 0
}
