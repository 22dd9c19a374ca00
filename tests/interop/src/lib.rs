//! What users of Tox relays really meet, for tests and measurements on this machine alone:
//!
//! - [`Bootstrapd`], a real `tox-bootstrapd`: the relay that the network runs;
//! - [`CClient`], the relay client of the C library: a real peer on the other side of a route, and
//!   what performance is compared with;
//! - [`wait_for`], the bounded wait that tests of both need.
//!
//! It takes the Debian packages `toxcore-utils`, `libtoxcore-dev` (both 0.2.18) and `libsodium-dev`.

pub mod bootstrapd;
mod event;
mod process;
pub mod toxcore;
mod wait;

pub use bootstrapd::Bootstrapd;
pub use event::{CEvent, CSend, CStatus, Counted};
pub use toxcore::CClient;
pub use wait::wait_for;
