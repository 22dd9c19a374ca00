//! The handshake, and the sealing and opening of packets with counted nonces.
//!
//! No randomness of its own: fresh keys and nonces come in as [`Entropy`].

mod channel;
mod handshake;
mod kernel;
mod long_term;
mod look_ahead;
mod nonce;
mod poly1305;
mod salsa20;

pub(crate) use channel::Channel;
pub(crate) use handshake::{Entropy, Handshake, RESPONSE_LEN};
pub(crate) use long_term::{LongTermKey, LongTermKeys};
pub(crate) use look_ahead::LookAhead;

#[cfg(test)]
mod tests;
