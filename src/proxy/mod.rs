//! The exchange with a proxy that opens a tunnel to the relay. It handles bytes and does no IO.
//!
//! A [`Tunnel`] creates the bytes to send, takes the answers of the proxy, however they are split, and reports when the
//! tunnel to the relay is open. Any bytes after that come from the relay and stay in the input.

mod http;
mod progress;
mod socks4;
mod socks5;

pub use progress::Progress;

use crate::address::Address;
use crate::config::{Protocol, Proxy};
use crate::error::ProxyError;

pub use http::Http;
pub use socks4::Socks4;
pub use socks5::Socks5;

/// The length of the longest message to a proxy, rounded up: an HTTP request has the host name twice, user name and
/// password in base 64, and 80 bytes more. A buffer of this size never grows, so it leaves no copies of credentials in
/// freed memory.
pub const MAX_REQUEST: usize = 2048;

/// See the module.
pub enum Tunnel {
    Socks5(Socks5),
    Socks4(Socks4),
    Http(Http),
}

impl Tunnel {
    /// Begins a tunnel through `proxy` to `target`, and appends the bytes to send first to `out`.
    pub fn new(proxy: &Proxy, target: &Address, out: &mut Vec<u8>) -> Self {
        match &proxy.protocol {
            Protocol::Socks5(credentials) => Self::Socks5(Socks5::new(credentials.as_ref(), target, out)),
            Protocol::Socks4 { user_id, .. } => Self::Socks4(Socks4::new(user_id, target, out)),
            Protocol::Http(credentials) => Self::Http(Http::new(credentials.as_ref(), target, out)),
        }
    }

    /// Takes the proxy's bytes off `input`, and appends the bytes to send next to `out`.
    pub fn receive(&mut self, input: &mut &mut [u8], out: &mut Vec<u8>) -> Result<Progress, ProxyError> {
        match self {
            Self::Socks5(socks5) => socks5.receive(input, out),
            Self::Socks4(socks4) => socks4.receive(input),
            Self::Http(http) => http.receive(input),
        }
    }

    /// Whether the request that names the target has been passed to the caller for sending.
    pub fn is_requested(&self) -> bool {
        match self {
            Self::Socks5(socks5) => socks5.is_requested(),
            Self::Socks4(_) | Self::Http(_) => true,
        }
    }

    /// The refusal that the proxy had begun to send when its connection ended. SOCKS has none: `receive` reports its
    /// refusals at their second byte.
    pub fn refusal(&self) -> Option<ProxyError> {
        match self {
            Self::Socks5(_) | Self::Socks4(_) => None,
            Self::Http(http) => http.refusal(),
        }
    }
}

#[cfg(test)]
mod tests;
