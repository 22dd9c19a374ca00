//! The exchange with a proxy before the relay is reached: bytes in, bytes out, and no IO.
//!
//! A [`Tunnel`] says what to send first, takes what the proxy answers however it is split, and says when the tunnel to
//! the relay stands. What follows in the same input is the relay's already, and stays there.

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

/// No message to a proxy is longer: that to HTTP has a name twice, user name and password in base 64, and 80 bytes more.
/// A buffer of this size doesn't grow, which would leave copies of credentials behind.
pub const MAX_REQUEST: usize = 2048;

/// See the module.
pub enum Tunnel {
    Socks5(Socks5),
    Socks4(Socks4),
    Http(Http),
}

impl Tunnel {
    /// Asks `proxy` for a tunnel to `target`: the bytes to send first are put into `out`.
    pub fn new(proxy: &Proxy, target: &Address, out: &mut Vec<u8>) -> Self {
        match &proxy.protocol {
            Protocol::Socks5(credentials) => Self::Socks5(Socks5::new(credentials.as_ref(), target, out)),
            Protocol::Socks4 { user_id, .. } => Self::Socks4(Socks4::new(user_id, target, out)),
            Protocol::Http(credentials) => Self::Http(Http::new(credentials.as_ref(), target, out)),
        }
    }

    /// Takes what the proxy sent off `input`, and puts what is to be sent in answer into `out`.
    pub fn receive(&mut self, input: &mut &mut [u8], out: &mut Vec<u8>) -> Result<Progress, ProxyError> {
        match self {
            Self::Socks5(socks5) => socks5.receive(input, out),
            Self::Socks4(socks4) => socks4.receive(input),
            Self::Http(http) => http.receive(input),
        }
    }

    /// Whether the proxy knows by now where the tunnel shall lead.
    pub fn is_asked_for(&self) -> bool {
        match self {
            Self::Socks5(socks5) => socks5.is_asked_for(),
            Self::Socks4(_) | Self::Http(_) => true,
        }
    }

    /// The refusal that the proxy has begun to tell, if its connection ends now. (Those of SOCKS are told at their second
    /// byte.)
    pub fn refusal(&self) -> Option<ProxyError> {
        match self {
            Self::Socks5(_) | Self::Socks4(_) => None,
            Self::Http(http) => http.refusal(),
        }
    }
}

#[cfg(test)]
mod tests;
