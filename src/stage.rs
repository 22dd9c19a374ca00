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
            Stage::Connecting => "while connecting",
            Stage::Tunnelling => "while a tunnel was asked for",
            Stage::Handshaking => "during the handshake",
            Stage::Confirming => "before the relay's first packet",
            Stage::Connected => "after it was connected",
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
            Party::Relay => "the relay",
            Party::Proxy => "the proxy",
            Party::Tunnel => "the relay or the proxy",
        })
    }
}
