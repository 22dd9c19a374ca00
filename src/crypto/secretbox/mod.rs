//! The box of NaCl (XSalsa20 and Poly1305) for nonces that count.
//!
//! A box of its own for each packet makes a subkey, and then its key stream block by block. Where nonces count, the
//! subkey stays, and the blocks of the next packets are known beforehand: [`key_stream`] makes eight of them at once, by
//! [`lanes`] of [`salsa20`]. While it does, [`poly1305`] authenticates what is there already.

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

/// The packets of one direction: the next one's nonce, and the subkey that belongs to it.
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

    /// One that needs [`set_subkey`](Self::set_subkey) before it is used.
    pub(crate) fn without_key(nonce: Nonce) -> Self {
        Self { nonce, subkey: Key::NONE }
    }

    /// Makes the key of all packets whose nonces begin with the same 16 bytes as the next one's.
    #[cold]
    pub(crate) fn set_subkey(&mut self, key: &Key) {
        self.subkey.set(&hsalsa20(key, self.nonce.prefix()));
    }

    /// Moves on by `count` packets.
    pub(crate) fn advance(&mut self, key: &Key, count: usize) {
        for _ in 0..count {
            let prefix = *self.nonce.prefix();
            self.nonce.increment();
            if *self.nonce.prefix() != prefix {
                self.set_subkey(key);
            }
        }
    }

    /// Encrypts the next packet in place, and tells its MAC.
    pub(crate) fn seal(&self, key_stream: &mut KeyStream, text: &mut [u8]) -> [u8; MAC_LEN] {
        let mut from = key_stream.find(&self.subkey, self.nonce.count(), text.len());
        let mut mac = Poly1305::new(key_stream.mac_key(from));
        from += TEXT_START;
        let (mut encrypted, mut authenticated) = (0, 0);
        loop {
            let piece = (Chunk::LEN - from).min(text.len() - encrypted);
            xor(&mut text[encrypted..encrypted + piece], &key_stream.keystream()[from..]);
            encrypted += piece;
            if encrypted == text.len() {
                return mac.finish(&text[authenticated..]);
            }
            let (ready, _) = text[authenticated..encrypted].as_chunks();
            key_stream.make(&mut mac, ready);
            authenticated += ready.as_flattened().len();
            from = 0;
        }
    }

    /// Decrypts the next packet in place. `false`, and nothing was touched, if that isn't its MAC.
    pub(crate) fn open(&self, key_stream: &mut KeyStream, tag: &[u8; MAC_LEN], text: &mut [u8]) -> bool {
        let mut from = key_stream.find(&self.subkey, self.nonce.count(), text.len());
        let mut chunk = key_stream.current();
        let mut mac = Poly1305::new(key_stream.mac_key(from));
        from += TEXT_START;
        let mut authenticated = 0;
        let more = (from + text.len()).saturating_sub(Chunk::LEN).div_ceil(Chunk::LEN);
        for _ in 0..more {
            let (blocks, _) = text[authenticated..].as_chunks::<MAC_BLOCK_LEN>();
            let ready = &blocks[..blocks.len().min(MAC_BLOCKS)];
            key_stream.make(&mut mac, ready);
            authenticated += ready.as_flattened().len();
        }
        let computed = u128::from_le_bytes(mac.finish(&text[authenticated..]));
        if black_box(computed ^ u128::from_le_bytes(*tag)) != 0 {
            return false;
        }
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at_mut((Chunk::LEN - from).min(rest.len()));
            xor(piece, &key_stream.chunk(chunk)[from..]);
            (rest, from, chunk) = (behind, 0, chunk + 1);
        }
        true
    }
}

/// Encrypts a message that belongs to no connection's packets, in place, and tells its MAC.
pub(crate) fn seal_one(key: &Key, nonce: Nonce, text: &mut [u8]) -> [u8; MAC_LEN] {
    CipherState::new(key, nonce).seal(&mut KeyStream::new(), text)
}

/// Decrypts a message that belongs to no connection's packets, in place. `false`, and nothing was touched, if that isn't its MAC.
pub(crate) fn open_one(key: &Key, nonce: Nonce, tag: &[u8; MAC_LEN], text: &mut [u8]) -> bool {
    CipherState::new(key, nonce).open(&mut KeyStream::new(), tag, text)
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
