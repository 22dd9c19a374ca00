//! The secret box of NaCl (XSalsa20 and Poly1305) for counted nonces.
//!
//! An ordinary implementation derives a subkey for each packet, and then generates its key stream block by block. With
//! counted nonces the subkey stays the same, and the blocks that the next packets need are known in advance:
//! [`key_stream`] generates eight of them at once, with [`lanes`] of [`salsa20`]. At the same time [`poly1305`]
//! authenticates ciphertext that is complete.

mod key_stream;
mod lanes;
mod poly1305;
mod salsa20;

use std::hint::black_box;

use crate::crypto::nonce::Nonce;
use crate::wire::frame::MAC_LEN;

use self::key_stream::TEXT_START;
use self::lanes::{Chunk, MAC_BLOCKS};
use self::poly1305::{MAC_BLOCK_LEN, Poly1305};

pub use self::key_stream::KeyStream;
pub use self::salsa20::Key;
pub(crate) use self::salsa20::hsalsa20;

/// The cipher state of one direction: the nonce of the next packet, and its subkey.
#[derive(Clone)]
pub(crate) struct CipherState {
    nonce: Nonce,
    subkey: Key,
}

impl CipherState {
    pub(crate) fn new(key: &Key, nonce: Nonce) -> Self {
        let mut cipher = Self::without_key(nonce);
        cipher.set_subkey(key);
        cipher
    }

    /// A state that must not be used before [`set_subkey`](Self::set_subkey).
    pub(crate) fn without_key(nonce: Nonce) -> Self {
        Self { nonce, subkey: Key::NONE }
    }

    /// Derives the subkey for all packets whose nonces have the same first 16 bytes as the next one.
    #[cold]
    pub(crate) fn set_subkey(&mut self, key: &Key) {
        self.subkey.set(&hsalsa20(key, self.nonce.prefix()));
    }

    /// Skips `count` packets.
    pub(crate) fn advance(&mut self, key: &Key, count: usize) {
        for _ in 0..count {
            let prefix = *self.nonce.prefix();
            self.nonce.increment();
            if *self.nonce.prefix() != prefix {
                self.set_subkey(key);
            }
        }
    }

    /// Encrypts the next packet in place, and returns its MAC.
    pub(crate) fn seal(&self, key_stream: &mut KeyStream, text: &mut [u8]) -> [u8; MAC_LEN] {
        let mut from = key_stream.find(&self.subkey, self.nonce.count(), text.len());
        let mut mac = Poly1305::new(key_stream.mac_key(from));
        from += TEXT_START;
        let (mut encrypted, mut authenticated) = (0, 0);
        loop {
            let piece = (Chunk::LEN - from).min(text.len() - encrypted);
            xor(&mut text[encrypted..encrypted + piece], &key_stream.current_chunk()[from..]);
            encrypted += piece;
            if encrypted == text.len() {
                return mac.finish(&text[authenticated..]);
            }
            let (ready, _) = text[authenticated..encrypted].as_chunks();
            key_stream.generate_chunk(&mut mac, ready);
            authenticated += ready.as_flattened().len();
            from = 0;
        }
    }

    /// Decrypts the next packet in place. Returns `false` and changes nothing if the MAC is wrong.
    pub(crate) fn open(&self, key_stream: &mut KeyStream, tag: &[u8; MAC_LEN], text: &mut [u8]) -> bool {
        let mut from = key_stream.find(&self.subkey, self.nonce.count(), text.len());
        let mut chunk = key_stream.current_number();
        let mut mac = Poly1305::new(key_stream.mac_key(from));
        from += TEXT_START;
        let mut authenticated = 0;
        let more = (from + text.len()).saturating_sub(Chunk::LEN).div_ceil(Chunk::LEN);
        for _ in 0..more {
            let (blocks, _) = text[authenticated..].as_chunks::<MAC_BLOCK_LEN>();
            let ready = &blocks[..blocks.len().min(MAC_BLOCKS)];
            key_stream.generate_chunk(&mut mac, ready);
            authenticated += ready.as_flattened().len();
        }
        let computed = u128::from_le_bytes(mac.finish(&text[authenticated..]));
        if black_box(computed ^ u128::from_le_bytes(*tag)) != 0 {
            return false;
        }
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at_mut((Chunk::LEN - from).min(rest.len()));
            xor(piece, &key_stream.chunk(chunk)[from..]);
            (rest, from, chunk) = (after, 0, chunk + 1);
        }
        true
    }
}

/// Encrypts a single message in place, outside of the packets of a connection, and returns its MAC.
pub(crate) fn seal_one(key: &Key, nonce: Nonce, text: &mut [u8]) -> [u8; MAC_LEN] {
    CipherState::new(key, nonce).seal(&mut KeyStream::new(), text)
}

/// Decrypts a single message in place, outside of the packets of a connection. Returns `false` and changes nothing if
/// the MAC is wrong.
pub(crate) fn open_one(key: &Key, nonce: Nonce, tag: &[u8; MAC_LEN], text: &mut [u8]) -> bool {
    CipherState::new(key, nonce).open(&mut KeyStream::new(), tag, text)
}

/// Works on whole words, so that it is fast even if the compiler cannot prove that the slices do not overlap.
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
