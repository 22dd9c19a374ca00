//! The handshake, and the sealing and opening of packets with counted nonces.
//!
//! No randomness of its own: fresh keys and nonces come in as [`Entropy`].

mod channel;
mod handshake;
mod nonce;
mod secretbox;
mod shared_key;

pub(crate) use channel::Channel;
pub(crate) use handshake::{Entropy, Handshake, RESPONSE_LEN};
pub(crate) use secretbox::LookAhead;
pub(crate) use shared_key::{LongTermKey, LongTermKeys};

#[cfg(test)]
mod tests;
