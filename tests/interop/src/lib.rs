//! What users of Tox relays really meet, for tests and measurements on this machine alone:
//!
//! - [`Bootstrapd`], a real `tox-bootstrapd`: the relay that the network runs;
//! - [`CClient`], the relay client of the C library: a real peer on the other side of a route, and
//!   what performance is compared with;
//! - [`SodiumBox`], the encryption of libsodium, which the C client uses;
//! - [`RealProxy`], the proxies that users have in front of them;
//! - [`wait_for`], the bounded wait that tests of both need.
//!
//! It takes the Debian packages `toxcore-utils`, `libtoxcore-dev` (both 0.2.18) and `libsodium-dev`, and for the proxies
//! `microsocks`, `dante-server`, `tinyproxy` and `squid`.

mod bootstrapd;
mod directory;
mod error;
mod event;
mod ports;
mod process;
mod proxies;
mod sodium;
pub mod toxcore;
mod wait;

pub use bootstrapd::Bootstrapd;
pub use error::Error;
pub use event::{CEvent, CSend, CStatus, Counted};
pub use proxies::{PASSWORD, ProxyKind, RealProxy, USER};
pub use sodium::SodiumBox;
pub use toxcore::CClient;
pub use wait::wait_for;
