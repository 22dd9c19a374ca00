//! Types of other crates in the public interface. All of them are here, those of each crate in a separate file. The
//! front page of the documentation lists them.

mod crypto_box;
#[cfg(feature = "serde")]
mod serde;
pub mod socks;
