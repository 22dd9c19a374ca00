//! How far a connection has come, and who is at its other end then.

use std::fmt;

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The TCP connection is being made, to the relay or to its proxy.
    Connecting,
    /// The proxy is there; its tunnel to the relay isn't.
    Tunnelling,
    /// TCP is there; the handshake response has not come.
    Handshaking,
    /// The handshake response has come, and may be an old one: no packet has proved it yet.
    Confirming,
    /// The relay has proved to hold its secret key.
    Connected,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "while connecting",
            Self::Tunnelling => "while a tunnel was asked for",
            Self::Handshaking => "during the handshake",
            Self::Confirming => "before the relay's first packet",
            Self::Connected => "after it was connected",
        })
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Party {
    /// The relay itself: there is no proxy.
    Relay,
    /// The proxy, before its tunnel stands.
    Proxy,
    /// The relay, or the proxy whose tunnel leads to it: from here, the one can't be told from the other.
    Tunnel,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Relay => "the relay",
            Self::Proxy => "the proxy",
            Self::Tunnel => "the relay or the proxy",
        })
    }
}
