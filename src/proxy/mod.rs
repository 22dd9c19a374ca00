//! The exchange with a proxy before the relay is reached: bytes in, bytes out, and no IO.
//!
//! A [`Tunnel`] says what to send first, takes what the proxy answers however it is split, and says when the tunnel to
//! the relay stands. What follows in the same input is the relay's already, and stays there.

mod http;
mod progress;
mod socks4;
mod socks5;

pub(crate) use progress::Progress;

use crate::address::Address;
use crate::config::{Protocol, Proxy};
use crate::error::ProxyError;

use http::Http;
use socks4::Socks4;
use socks5::Socks5;

/// No message to a proxy is longer: that to HTTP has a name twice, user name and password in base 64, and 80 bytes more.
/// A buffer of this size doesn't grow, which would leave copies of credentials behind.
pub(crate) const MAX_REQUEST: usize = 2048;

/// See the module.
pub(crate) enum Tunnel {
    Socks5(Socks5),
    Socks4(Socks4),
    Http(Http),
}

impl Tunnel {
    /// Asks `proxy` for a tunnel to `target`: the bytes to send first are put into `out`.
    pub(crate) fn new(proxy: &Proxy, target: &Address, out: &mut Vec<u8>) -> Self {
        match &proxy.protocol {
            Protocol::Socks5(credentials) => Tunnel::Socks5(Socks5::new(credentials.as_ref(), target, out)),
            Protocol::Socks4 { user_id, .. } => Tunnel::Socks4(Socks4::new(user_id, target, out)),
            Protocol::Http(credentials) => Tunnel::Http(Http::new(credentials.as_ref(), target, out)),
        }
    }

    /// Takes what the proxy sent off `input`, and puts what is to be sent in answer into `out`.
    pub(crate) fn receive(
        &mut self,
        input: &mut &mut [u8],
        out: &mut Vec<u8>,
    ) -> Result<Progress, ProxyError> {
        match self {
            Tunnel::Socks5(socks5) => socks5.receive(input, out),
            Tunnel::Socks4(socks4) => socks4.receive(input),
            Tunnel::Http(http) => http.receive(input),
        }
    }

    /// Whether the proxy knows by now where the tunnel shall lead.
    pub(crate) fn is_asked_for(&self) -> bool {
        match self {
            Tunnel::Socks5(socks5) => socks5.is_asked_for(),
            Tunnel::Socks4(_) | Tunnel::Http(_) => true,
        }
    }

    /// The refusal that the proxy has begun to tell, if its connection ends now. (Those of SOCKS are told at their second
    /// byte.)
    pub(crate) fn refusal(&self) -> Option<ProxyError> {
        match self {
            Tunnel::Socks5(_) | Tunnel::Socks4(_) => None,
            Tunnel::Http(http) => http.refusal(),
        }
    }
}

#[cfg(test)]
mod tests;
