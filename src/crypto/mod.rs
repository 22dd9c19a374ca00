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

pub use channel::Channel;
pub(crate) use handshake::RESPONSE_LEN;
pub use handshake::{Entropy, Handshake};
pub use long_term::LongTermKey;
pub(crate) use long_term::LongTermKeys;
pub use look_ahead::LookAhead;
#[cfg(feature = "internals")]
pub use {channel::Sealer, nonce::Nonce, salsa20::Key};

#[cfg(test)]
mod tests;
