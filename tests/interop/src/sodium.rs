//! A safe wrapper of libsodium's box, with which the C client encrypts. It is for benchmarks of encryption alone.
//!
//! # Why this file contains unsafe code
//!
//! Rust can call C functions only in unsafe code. It is sound here because libsodium is initialised before any other of
//! its functions is called, keeps no pointer after a call, and gets the length of each slice.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_ulonglong};
use std::fmt;

/// Bytes of a public, secret or shared key.
const KEY_LEN: usize = 32;

/// Bytes of a nonce.
const NONCE_LEN: usize = 24;

/// Bytes of the authenticator, which is placed before the ciphertext.
const MAC_LEN: usize = 16;

/// The shared key of a key pair and a peer's public key (`crypto_box_beforenm`), for sealing and opening packets.
pub struct SodiumBox {
    shared: [u8; KEY_LEN],
}

impl SodiumBox {
    /// Returns `None` for a public key of low order: anybody can compute its shared key.
    ///
    /// # Panics
    ///
    /// If libsodium cannot be initialised.
    pub fn new(their_public_key: &[u8; KEY_LEN], secret_key: &[u8; KEY_LEN]) -> Option<Self> {
        let mut shared = [0; KEY_LEN];
        // SAFETY: `sodium_init` may be called repeatedly, from any thread. The second function writes 32 bytes to its
        // first argument and reads 32 bytes from each of the others.
        let outcome = unsafe {
            assert!(sodium_init() >= 0, "libsodium cannot be initialised");
            crypto_box_beforenm(shared.as_mut_ptr(), their_public_key.as_ptr(), secret_key.as_ptr())
        };
        (outcome == 0).then_some(Self { shared })
    }

    /// The shared key, which is the same on both sides.
    pub fn key(&self) -> &[u8; KEY_LEN] {
        &self.shared
    }

    /// Seals `MAC | plaintext` in place: the first 16 bytes are overwritten.
    ///
    /// # Panics
    ///
    /// If the packet is shorter than a MAC.
    #[inline]
    pub fn seal(&self, nonce: &[u8; NONCE_LEN], packet: &mut [u8]) {
        let (mac, text) = packet.split_at_mut(MAC_LEN);
        let (start, length) = (text.as_mut_ptr(), text.len() as c_ulonglong);
        // SAFETY: it reads and writes `length` bytes at `start` (input and output may be the same memory), and writes
        // 16 bytes to `mac`. It cannot fail for a packet that fits into memory.
        unsafe {
            crypto_box_detached_afternm(
                start,
                mac.as_mut_ptr(),
                start,
                length,
                nonce.as_ptr(),
                self.shared.as_ptr(),
            );
        }
    }

    /// Opens `MAC | ciphertext` in place. Returns `false`, and leaves the packet unchanged, if it was not sealed with
    /// this key and nonce.
    ///
    /// # Panics
    ///
    /// If the packet is shorter than a MAC.
    #[inline]
    #[must_use]
    pub fn open(&self, nonce: &[u8; NONCE_LEN], packet: &mut [u8]) -> bool {
        let (mac, text) = packet.split_at_mut(MAC_LEN);
        let (start, length) = (text.as_mut_ptr(), text.len() as c_ulonglong);
        // SAFETY: as in `seal`, but `mac` is only read.
        let outcome = unsafe {
            crypto_box_open_detached_afternm(
                start,
                start,
                mac.as_ptr(),
                length,
                nonce.as_ptr(),
                self.shared.as_ptr(),
            )
        };
        outcome == 0
    }
}

impl fmt::Debug for SodiumBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SodiumBox").finish_non_exhaustive()
    }
}

unsafe extern "C" {
    fn sodium_init() -> c_int;
    fn crypto_box_beforenm(shared: *mut u8, public_key: *const u8, secret_key: *const u8) -> c_int;
    fn crypto_box_detached_afternm(
        ciphertext: *mut u8,
        mac: *mut u8,
        plaintext: *const u8,
        length: c_ulonglong,
        nonce: *const u8,
        shared: *const u8,
    ) -> c_int;
    fn crypto_box_open_detached_afternm(
        plaintext: *mut u8,
        ciphertext: *const u8,
        mac: *const u8,
        length: c_ulonglong,
        nonce: *const u8,
        shared: *const u8,
    ) -> c_int;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The boxes of two ends that share a key.
    fn pair() -> (SodiumBox, SodiumBox) {
        let secret = |first: u8| std::array::from_fn(|index| first + index as u8);
        let public = |first| crate::toxcore::public_key_of(&secret(first));
        let of = |mine, theirs| SodiumBox::new(&public(theirs), &secret(mine)).expect("an honest key");
        (of(0x81, 0xc1), of(0xc1, 0x81))
    }

    #[test]
    fn a_packet_opens_only_unchanged_and_with_its_nonce() {
        let (ours, theirs) = pair();
        let mut packet = [&[0; MAC_LEN], b"hello".as_slice()].concat();
        ours.seal(&[7; NONCE_LEN], &mut packet);
        assert_ne!(&packet[MAC_LEN..], b"hello");

        let mut other_nonce = packet.clone();
        assert!(!theirs.open(&[8; NONCE_LEN], &mut other_nonce));
        assert_eq!(other_nonce, packet);
        let mut changed = packet.clone();
        changed[MAC_LEN] ^= 1;
        assert!(!theirs.open(&[7; NONCE_LEN], &mut changed));

        assert!(theirs.open(&[7; NONCE_LEN], &mut packet));
        assert_eq!(&packet[MAC_LEN..], b"hello");
    }

    #[test]
    fn a_key_of_low_order_is_refused() {
        assert!(SodiumBox::new(&[0; KEY_LEN], &[1; KEY_LEN]).is_none());
    }
}
