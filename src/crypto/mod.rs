//! The handshake, and the sealing and opening of packets with counted nonces.
//!
//! No randomness of its own: fresh keys and nonces come in as [`Entropy`].

mod channel;
mod handshake;
mod kernel;
mod look_ahead;
mod nonce;
mod poly1305;
mod salsa20;

pub(crate) use channel::Channel;
pub(crate) use handshake::{Entropy, Handshake, RESPONSE_LEN};
pub(crate) use look_ahead::LookAhead;
pub(crate) use salsa20::Key;

use crypto_box::PublicKey as BoxPublicKey;
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::traits::IsIdentity;
use zeroize::Zeroize;

use crate::crypto::salsa20::hsalsa20;
use crate::key::{KEY_LEN, PublicKey, SecretKey};

/// Whether this is a point of low order. It has only a few multiples, so anybody can find the key that it shares with a
/// secret one. No honest side has such a key, and RFC 7748, section 6.1, says to refuse it.
pub(crate) fn is_low_order(key: &PublicKey) -> bool {
    // Their orders are 1, 2, 4 and 8, so 8 is what takes exactly these points to zero.
    let eight = [true, false, false, false];
    MontgomeryPoint(*key.as_bytes()).mul_bits_be(eight.into_iter()).is_identity()
}

/// The key that NaCl makes of a secret and a public one; `None` where the public one is of low order, and anybody could
/// make it.
fn shared_key(secret: &SecretKey, public: &PublicKey) -> Option<Key> {
    let mut point = MontgomeryPoint(*public.as_bytes()).mul_clamped(*secret.as_bytes());
    // RFC 7748, section 6.1; a clamped number is a multiple of 8.
    let key = (!point.is_identity()).then(|| hsalsa20(&Key::from(point.as_bytes()), &[0; 16]));
    point.zeroize();
    key
}

/// A secret key of `crypto_box` that is wiped whole when dropped. Version 0.9.1 itself wipes the scalar and forgets the
/// bytes that it keeps beside it.
struct BoxSecretKey(crypto_box::SecretKey);

impl BoxSecretKey {
    fn new(key: &SecretKey) -> Self {
        Self(crypto_box::SecretKey::from_bytes(*key.as_bytes()))
    }

    fn wipe(&mut self) {
        self.0 = crypto_box::SecretKey::from_bytes([0; KEY_LEN]);
        // Or the compiler would drop the assignment to what is about to be dropped.
        std::hint::black_box(&self.0);
    }
}

impl Drop for BoxSecretKey {
    fn drop(&mut self) {
        self.wipe();
    }
}

fn box_key(key: &PublicKey) -> BoxPublicKey {
    BoxPublicKey::from_bytes(*key.as_bytes())
}

#[cfg(test)]
mod tests;
