//! The handshake, and the sealing and opening of packets with counted nonces.
//!
//! No randomness of its own: fresh keys and nonces come in as [`Entropy`].

mod channel;
mod handshake;
mod nonce;

pub(crate) use channel::Channel;
pub(crate) use handshake::{Entropy, Handshake, RESPONSE_LEN};

use crypto_box::PublicKey as BoxPublicKey;
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::traits::IsIdentity;

use crate::key::PublicKey;

/// Whether everybody can find the shared key of this public key and any secret one: the points of low order, which have
/// but a few multiples. No honest side has one, and RFC 7748, section 6.1, says to refuse them.
pub(crate) fn is_low_order(key: &PublicKey) -> bool {
    // Their orders are 1, 2, 4 and 8, so 8 is what takes exactly these points to zero.
    let eight = [true, false, false, false];
    MontgomeryPoint(*key.as_bytes()).mul_bits_be(eight.into_iter()).is_identity()
}

fn box_key(key: &PublicKey) -> BoxPublicKey {
    BoxPublicKey::from_bytes(*key.as_bytes())
}

#[cfg(test)]
mod tests;
