//! Key stream that is generated in advance.
//!
//! The nonces of the next packets are known. Eight blocks are generated at once, for one packet or several, in the
//! order in which they are needed if the next packets are as long as this one.

use std::hint::black_box;

use crate::wire::frame::MAX_PLAINTEXT;

use crate::crypto::secretbox::lanes::{Backend, Chunk, Counters, LANES};
use crate::crypto::secretbox::poly1305::{MAC_BLOCK_LEN, MAC_KEY_LEN, Poly1305};
use crate::crypto::secretbox::salsa20::{BLOCK_LEN, Key};

/// Key stream for the next packets. It is large compared with a connection, so all connections share one: it is
/// generated for the connection whose packets are being read or written, and is wiped afterwards.
pub struct KeyStream {
    backend: Backend,
    /// A ring with room for all key stream of the longest packet.
    chunks: [Chunk; CHUNKS],
    current: usize,
    subkey: Key,
    /// Blocks reserved for each packet; 0 while there is no key stream.
    stride: u32,
    /// The position of the current chunk's first block.
    first: Position,
    /// The position of the next chunk's first block.
    next: Position,
}

/// Identifies a block of key stream.
#[derive(Clone, Copy)]
struct Position {
    /// The count of the packet's nonce.
    packet: u64,
    block: u32,
}

/// Where a packet's key stream for its text starts: after the key of its MAC.
pub(super) const TEXT_START: usize = MAC_KEY_LEN;

/// Enough for the longest packet, even if it starts at the last block of a chunk.
const CHUNKS: usize = (LANES - 1 + (TEXT_START + MAX_PLAINTEXT).div_ceil(BLOCK_LEN)).div_ceil(LANES);

impl KeyStream {
    pub fn new() -> Self {
        Self::with_backend(Backend::detect())
    }

    /// Uses only instructions that every processor of the architecture has. For measurements and tests.
    #[allow(dead_code, reason = "used by benches, through the feature `internals`")]
    pub fn baseline() -> Self {
        Self::with_backend(Backend::BASELINE)
    }

    pub(crate) fn with_backend(backend: Backend) -> Self {
        let zero = Position { packet: 0, block: 0 };
        Self {
            backend,
            chunks: [Chunk::EMPTY; CHUNKS],
            current: 0,
            subkey: Key::NONE,
            stride: 0,
            first: zero,
            next: zero,
        }
    }

    /// Wipes the key stream and its key.
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

    /// Returns where the key stream of a packet starts in the current chunk, and generates that chunk if necessary.
    /// `packet` is the count of the packet's nonce.
    #[inline]
    pub(super) fn find(&mut self, subkey: &Key, packet: u64, text_len: usize) -> usize {
        debug_assert!(text_len <= MAX_PLAINTEXT);
        let blocks = (TEXT_START + text_len).div_ceil(BLOCK_LEN) as u32;
        let packets_ahead = packet.wrapping_sub(self.first.packet);
        if blocks <= self.stride && packets_ahead <= LANES as u64 && constant_time_eq(&self.subkey, subkey) {
            let lane = (packets_ahead as u32 * self.stride).wrapping_sub(self.first.block) as usize;
            if lane < LANES {
                return lane * BLOCK_LEN;
            }
        }
        self.subkey.set(subkey);
        self.stride = blocks;
        self.next = Position { packet, block: 0 };
        self.generate_chunk(&mut Poly1305::idle(), &[]);
        0
    }

    /// The bytes of the current chunk.
    #[inline]
    pub(super) fn current_chunk(&self) -> &[u8] {
        self.chunks[self.current].bytes()
    }

    /// The number of the current chunk.
    #[inline]
    pub(super) fn current_number(&self) -> usize {
        self.current
    }

    /// A chunk that was generated for the current packet, by its number.
    #[inline]
    pub(super) fn chunk(&self, number: usize) -> &[u8] {
        self.chunks[number % CHUNKS].bytes()
    }

    /// The key of a packet's MAC; `at` is where the packet's key stream starts in the current chunk.
    #[inline]
    pub(super) fn mac_key(&self, at: usize) -> &[u8; MAC_KEY_LEN] {
        self.current_chunk()[at..].first_chunk().expect("a block is longer than a key")
    }

    /// Generates the next chunk; at the same time `mac` authenticates `message`.
    #[inline]
    pub(super) fn generate_chunk(&mut self, mac: &mut Poly1305, message: &[[u8; MAC_BLOCK_LEN]]) {
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
        self.backend.generate_chunk(&self.subkey, &counters, &mut self.chunks[self.current], mac, message);
    }
}

impl Drop for KeyStream {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// Whether two keys are equal, in constant time.
fn constant_time_eq(one: &Key, other: &Key) -> bool {
    let differences = one.0.iter().zip(&other.0).fold(0, |all, (a, b)| all | (a ^ b));
    black_box(differences) == 0
}
