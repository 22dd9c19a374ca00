//! Types of other crates in the public interface, which are part of its promise: all of them are here, each crate's in a
//! file of its own. The front page of the documentation lists them.

mod crypto_box;
#[cfg(feature = "serde")]
mod serde;
pub mod socks;
