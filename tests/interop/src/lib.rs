//! Other implementations, for tests and benchmarks on loopback:
//!
//! - [`Bootstrapd`], a real `tox-bootstrapd`: the relay that is used in the Tox network;
//! - [`CClient`], the relay client of the C library: a peer at the other end of a route, and the reference for
//!   performance;
//! - [`CLayer`], the C library's layer of several relays for each peer, and [`layers`], which compares the pool with it;
//! - [`SodiumBox`], the encryption of libsodium, which the C client uses;
//! - [`RealProxy`], a running proxy server of the kinds that users have;
//! - [`bulk`], which measures how much data passes a relay;
//! - [`failover`], which measures what is seen of the loss of a relay;
//! - [`wait_for`], a wait with a time limit.
//!
//! It needs the Debian packages `toxcore-utils`, `libtoxcore-dev` (both 0.2.18) and `libsodium-dev`, and for the
//! proxies `microsocks`, `dante-server`, `tinyproxy` and `squid`.

mod bootstrapd;
pub mod bulk;
mod directory;
mod error;
mod event;
pub mod failover;
pub mod layers;
mod ports;
mod process;
mod proxies;
mod sodium;
pub mod toxcore;
mod wait;

pub use bootstrapd::Bootstrapd;
pub use error::Error;
pub use event::{CEvent, CSend, CStatus, ReceivedData};
pub use proxies::{PASSWORD, ProxyKind, RealProxy, USER};
pub use sodium::SodiumBox;
pub use toxcore::{CClient, CLayer};
pub use wait::wait_for;
