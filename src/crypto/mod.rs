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
pub use secretbox::KeyStream;
pub use shared_key::SharedKey;
pub(crate) use shared_key::SharedKeys;
#[cfg(feature = "internals")]
pub use {channel::Sealer, nonce::Nonce, secretbox::Key};

#[cfg(test)]
mod tests;
