//! The bytes of the protocol: frames and packets, parsed and emitted without state and without allocation.
//!
//! Parsers take any bytes and never panic. For every valid packet `p`, `parse(emit(p))` is `p` (without the flow label
//! and scope of an IPv6 address, which are not sent), and for all bytes `b` that parse, `emit(parse(b))` is `b`.
//! Emitters write into a slice of at least `emitted_len()` bytes, which the caller provides; they may panic if it is
//! shorter.

mod destination;
pub(crate) mod frame;
pub(crate) mod packet;

pub use destination::Destination;
pub use packet::{Packet, RouteNumber};
