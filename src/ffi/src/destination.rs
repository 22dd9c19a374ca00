//! Where relays forward packets to.

use std::ffi::c_char;
use std::net::SocketAddr;

use tox_relay_client::Destination;

use crate::error::trc_error;
use crate::pointer;

/// How the destination of a forward request is reached.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum trc_transport {
    /// A node that listens on UDP.
    Udp = 1,
    /// A node that is reached through TCP. The relay of toxcore 0.2.18 closes the connection of who asks for it.
    Tcp = 2,
}

/// The destination with this `trc_transport`.
pub(crate) fn destination(transport: i32, address: *const c_char) -> Result<Destination, trc_error> {
    let address: SocketAddr = pointer::text(address)?.parse().map_err(|_| trc_error::Argument)?;
    match transport {
        _ if transport == trc_transport::Udp as i32 => Ok(Destination::Udp(address)),
        _ if transport == trc_transport::Tcp as i32 => Ok(Destination::Tcp(address)),
        _ => Err(trc_error::Argument),
    }
}
