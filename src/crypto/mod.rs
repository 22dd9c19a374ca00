//! The handshake, and sealing and opening packets with counted nonces.
//!
//! This module generates no random values: the caller provides new keys and nonces as [`Entropy`].

mod channel;
mod handshake;
mod nonce;
mod secretbox;
mod shared_key;

pub use channel::{Channel, Sealer};
pub(crate) use handshake::RESPONSE_LEN;
pub use handshake::{Entropy, Handshake};
pub use secretbox::KeyStream;
pub use shared_key::SharedKey;
pub(crate) use shared_key::SharedKeys;
#[cfg(feature = "internals")]
pub use {nonce::Nonce, secretbox::Key};

#[cfg(test)]
mod tests;
