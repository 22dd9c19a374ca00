//! The handshake, and the sealing and opening of packets with counted nonces.
//!
//! No randomness of its own: fresh keys and nonces come in as [`Entropy`].

mod channel;
mod handshake;
mod nonce;
mod secretbox;
mod shared_key;

pub use channel::Channel;
pub(crate) use handshake::RESPONSE_LEN;
pub use handshake::{Entropy, Handshake};
pub use secretbox::LookAhead;
pub use shared_key::LongTermKey;
pub(crate) use shared_key::LongTermKeys;
#[cfg(feature = "internals")]
pub use {channel::Sealer, nonce::Nonce, secretbox::Key};

#[cfg(test)]
mod tests;
