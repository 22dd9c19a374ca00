//! The box of NaCl (XSalsa20 and Poly1305) for nonces that count.
//!
//! A box of its own for each packet makes a subkey, and then its key stream block by block. Where nonces count, the
//! subkey stays, and the blocks of the next packets are known beforehand: eight of them, of however many packets, are
//! made at once, in the order in which they will be wanted if the next packets are as long as this one.

use std::hint::black_box;

use crate::crypto::kernel::{BLOCK_LEN, Chunk, Kernel, LANES, MAC_BLOCKS, Places};
use crate::crypto::nonce::Nonce;
use crate::crypto::poly1305::{self, BLOCK_LEN as MAC_BLOCK_LEN, Poly1305, TAG_LEN};
use crate::crypto::salsa20::{Key, hsalsa20};
use crate::wire::frame::MAX_PLAINTEXT;

/// The packets of one direction: the next one's nonce, and the subkey that belongs to it.
#[derive(Clone)]
pub(super) struct Sequence {
    nonce: Nonce,
    subkey: Key,
}

/// Key stream that was made for packets to come. It is large beside a connection, so the loop has one for all: it serves
/// the connection whose packets are being read or written, and is wiped behind it.
pub struct LookAhead {
    kernel: Kernel,
    /// A ring, so that all key stream of the longest packet can be there at once.
    chunks: [Chunk; CHUNKS],
    current: usize,
    subkey: Key,
    /// Blocks a packet. 0 while nothing was made.
    stride: u32,
    /// What the first block of the current chunk is for.
    first: Place,
    /// What the first block of the next one will be for.
    next: Place,
}

/// A block of key stream.
#[derive(Clone, Copy)]
struct Place {
    /// The count of the packet's nonce.
    packet: u64,
    block: u32,
}

/// A packet's key stream begins with the key of its MAC.
const TEXT_START: usize = poly1305::KEY_LEN;

/// What the longest packet takes, if it begins with the last block of a chunk.
const CHUNKS: usize = (LANES - 1 + (TEXT_START + MAX_PLAINTEXT).div_ceil(BLOCK_LEN)).div_ceil(LANES);

impl Sequence {
    pub(super) fn new(key: &Key, nonce: Nonce) -> Self {
        Self { nonce, subkey: subkey(key, &nonce) }
    }

    /// Moves on by `count` packets.
    pub(super) fn advance(&mut self, key: &Key, count: usize) {
        for _ in 0..count {
            let prefix = *self.nonce.prefix();
            self.nonce.increment();
            if *self.nonce.prefix() != prefix {
                self.subkey = subkey(key, &self.nonce);
            }
        }
    }

    /// Encrypts the next packet in place, and tells its MAC.
    pub(super) fn seal(&self, ahead: &mut LookAhead, text: &mut [u8]) -> [u8; TAG_LEN] {
        let mut from = ahead.find(self, text.len());
        let mut mac = Poly1305::new(ahead.mac_key(from));
        from += TEXT_START;
        let (mut encrypted, mut authenticated) = (0, 0);
        loop {
            let piece = (Chunk::LEN - from).min(text.len() - encrypted);
            xor(&mut text[encrypted..encrypted + piece], &ahead.keystream()[from..]);
            encrypted += piece;
            if encrypted == text.len() {
                return mac.finish(&text[authenticated..]);
            }
            let (ready, _) = text[authenticated..encrypted].as_chunks();
            ahead.make(&mut mac, ready);
            authenticated += ready.as_flattened().len();
            from = 0;
        }
    }

    /// Decrypts the next packet in place. `false`, and nothing was touched, if that isn't its MAC.
    pub(super) fn open(&self, ahead: &mut LookAhead, tag: &[u8; TAG_LEN], text: &mut [u8]) -> bool {
        let mut from = ahead.find(self, text.len());
        let mut chunk = ahead.current;
        let mut mac = Poly1305::new(ahead.mac_key(from));
        from += TEXT_START;
        let mut authenticated = 0;
        let more = (from + text.len()).saturating_sub(Chunk::LEN).div_ceil(Chunk::LEN);
        for _ in 0..more {
            let (blocks, _) = text[authenticated..].as_chunks::<MAC_BLOCK_LEN>();
            let ready = &blocks[..blocks.len().min(MAC_BLOCKS)];
            ahead.make(&mut mac, ready);
            authenticated += ready.as_flattened().len();
        }
        let computed = u128::from_le_bytes(mac.finish(&text[authenticated..]));
        if black_box(computed ^ u128::from_le_bytes(*tag)) != 0 {
            return false;
        }
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at_mut((Chunk::LEN - from).min(rest.len()));
            xor(piece, &ahead.chunks[chunk].bytes()[from..]);
            (rest, from, chunk) = (behind, 0, (chunk + 1) % CHUNKS);
        }
        true
    }
}

/// Encrypts a message that belongs to no sequence, in place, and tells its MAC.
pub(super) fn seal_one(key: &Key, nonce: Nonce, text: &mut [u8]) -> [u8; TAG_LEN] {
    Sequence::new(key, nonce).seal(&mut LookAhead::new(), text)
}

/// Decrypts a message that belongs to no sequence, in place. `false`, and nothing was touched, if that isn't its MAC.
pub(super) fn open_one(key: &Key, nonce: Nonce, tag: &[u8; TAG_LEN], text: &mut [u8]) -> bool {
    Sequence::new(key, nonce).open(&mut LookAhead::new(), tag, text)
}

impl LookAhead {
    pub fn new() -> Self {
        Self::with_kernel(Kernel::detect())
    }

    /// As on a processor that has nothing beyond what its architecture asks of it: to measure and to test.
    #[cfg(feature = "internals")]
    pub fn baseline() -> Self {
        Self::with_kernel(Kernel::BASELINE)
    }

    pub(crate) fn with_kernel(kernel: Kernel) -> Self {
        let nowhere = Place { packet: 0, block: 0 };
        Self {
            kernel,
            chunks: [Chunk::EMPTY; CHUNKS],
            current: 0,
            subkey: Key([0; 8]),
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
    pub(crate) fn is_wiped(&self) -> bool {
        self.subkey.0 == [0; 8] && self.chunks.iter().all(|chunk| chunk.bytes() == [0; Chunk::LEN])
    }

    /// Where the key stream of the next packet of a sequence begins in the current chunk, which is made if need be.
    fn find(&mut self, sequence: &Sequence, text_len: usize) -> usize {
        debug_assert!(text_len <= MAX_PLAINTEXT);
        let packet = sequence.nonce.count();
        let blocks = (TEXT_START + text_len).div_ceil(BLOCK_LEN) as u32;
        let packets_ahead = packet.wrapping_sub(self.first.packet);
        if blocks <= self.stride && packets_ahead <= LANES as u64 && same(&self.subkey, &sequence.subkey) {
            let ahead = (packets_ahead as u32 * self.stride).wrapping_sub(self.first.block) as usize;
            if ahead < LANES {
                return ahead * BLOCK_LEN;
            }
        }
        self.subkey.clone_from(&sequence.subkey);
        self.stride = blocks;
        self.next = Place { packet, block: 0 };
        self.make(&mut Poly1305::idle(), &[]);
        0
    }

    fn keystream(&self) -> &[u8] {
        self.chunks[self.current].bytes()
    }

    fn mac_key(&self, at: usize) -> &[u8; poly1305::KEY_LEN] {
        self.keystream()[at..].first_chunk().expect("a block is longer than a key")
    }

    /// Makes the next chunk, while `mac` takes in `message`.
    fn make(&mut self, mac: &mut Poly1305, message: &[[u8; MAC_BLOCK_LEN]]) {
        self.current = (self.current + 1) % CHUNKS;
        self.first = self.next;
        let mut places: Places = [[0; LANES]; 3];
        let [low, high, blocks] = &mut places;
        for ((low, high), block) in low.iter_mut().zip(high).zip(blocks) {
            let count = self.next.packet.swap_bytes();
            (*low, *high, *block) = (count as u32, (count >> 32) as u32, self.next.block);
            self.next.block += 1;
            if self.next.block == self.stride {
                self.next = Place { packet: self.next.packet.wrapping_add(1), block: 0 };
            }
        }
        self.kernel.make(&self.subkey, &places, &mut self.chunks[self.current], mac, message);
    }
}

impl Drop for LookAhead {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// The key of all packets whose nonces begin with the same 16 bytes.
fn subkey(key: &Key, nonce: &Nonce) -> Key {
    hsalsa20(key, nonce.prefix())
}

/// Whether two keys are the same, in the same time whether they are or not.
fn same(one: &Key, other: &Key) -> bool {
    let differences = one.0.iter().zip(&other.0).fold(0, |all, (a, b)| all | (a ^ b));
    black_box(differences) == 0
}

/// Word by word, which doesn't depend on the compiler proving that the two don't overlap.
fn xor(text: &mut [u8], keystream: &[u8]) {
    let keystream = &keystream[..text.len()];
    let (words, tail) = text.as_chunks_mut::<16>();
    let (key_words, key_tail) = keystream.as_chunks::<16>();
    for (word, key) in words.iter_mut().zip(key_words) {
        *word = (u128::from_ne_bytes(*word) ^ u128::from_ne_bytes(*key)).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key_tail) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests;
