//! The box of libsodium, behind a safe face: what the C client seals with, for those who measure encryption alone.
//!
//! # Why this file is allowed to be unsafe
//!
//! Calling C cannot be done otherwise. It is sound because libsodium is started before anything else of it is called,
//! keeps no pointer after a call, and is given each length as the slice has it.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_ulonglong};
use std::fmt;

/// Bytes of a public or secret key, and of the key that two of them share.
const KEY_LEN: usize = 32;

/// Bytes of a nonce.
const NONCE_LEN: usize = 24;

/// Bytes that a box adds to what it holds. They stand in front of the ciphertext.
const MAC_LEN: usize = 16;

/// The box of two keys, computed once (`crypto_box_beforenm`).
pub struct SodiumBox {
    shared: [u8; KEY_LEN],
}

impl SodiumBox {
    /// `None` for a public key of low order, which shares a key that anybody can find.
    ///
    /// # Panics
    ///
    /// When libsodium does not start, for want of randomness.
    pub fn new(their_public_key: &[u8; KEY_LEN], secret_key: &[u8; KEY_LEN]) -> Option<Self> {
        let mut shared = [0; KEY_LEN];
        // SAFETY: starting may be repeated, from any thread. The second function writes 32 bytes to its first argument
        // and reads as many from each of the others.
        let outcome = unsafe {
            assert!(sodium_init() >= 0, "libsodium did not start");
            crypto_box_beforenm(shared.as_mut_ptr(), their_public_key.as_ptr(), secret_key.as_ptr())
        };
        (outcome == 0).then_some(Self { shared })
    }

    /// The key that both sides share.
    pub fn key(&self) -> &[u8; KEY_LEN] {
        &self.shared
    }

    /// Seals `MAC | plaintext` in place: the first 16 bytes are overwritten.
    ///
    /// # Panics
    ///
    /// When there is no room for the MAC.
    #[inline]
    pub fn seal(&self, nonce: &[u8; NONCE_LEN], packet: &mut [u8]) {
        let (mac, text) = packet.split_at_mut(MAC_LEN);
        let (start, length) = (text.as_mut_ptr(), text.len() as c_ulonglong);
        // SAFETY: `length` bytes are read and written at `start`, which may be one place, and 16 written to `mac`. It
        // fails for no packet that fits into memory.
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

    /// Opens `MAC | ciphertext` in place, and tells whether it was sealed with this box and nonce. If not, nothing has
    /// changed.
    ///
    /// # Panics
    ///
    /// When there is no MAC.
    #[inline]
    #[must_use]
    pub fn open(&self, nonce: &[u8; NONCE_LEN], packet: &mut [u8]) -> bool {
        let (mac, text) = packet.split_at_mut(MAC_LEN);
        let (start, length) = (text.as_mut_ptr(), text.len() as c_ulonglong);
        // SAFETY: as in `seal`; the MAC is only read.
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

    /// Both ends of one box.
    fn pair() -> (SodiumBox, SodiumBox) {
        let secret = |first: u8| std::array::from_fn(|index| first + index as u8);
        let public = |first| crate::toxcore::public_key_of(&secret(first));
        let of = |mine, theirs| SodiumBox::new(&public(theirs), &secret(mine)).expect("an honest key");
        (of(0x81, 0xc1), of(0xc1, 0x81))
    }

    #[test]
    fn what_one_side_seals_the_other_opens_and_nothing_else() {
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
