//! The stage of a connection, and what is at its other end in that stage.

use std::fmt;

/// How far a connection has progressed, in order: a later stage is greater. With several addresses it may go back, when
/// an attempt fails and another goes on, but not from `Connected`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Stage {
    /// Connecting by TCP to the relay or to its proxy.
    Connecting,
    /// The proxy is connected; it has not yet opened the tunnel to the relay.
    Tunnelling,
    /// There is a TCP connection or a tunnel to the relay; the handshake response has not arrived.
    Handshaking,
    /// The handshake response has arrived. It may be a replay of an old one until the first packet proves that it is
    /// not.
    Confirming,
    /// The relay has proved that it holds its secret key.
    Connected,
}

/// One word for the state of a connection, as in statistics: `connecting`, `tunnelling`, `handshake`, `confirming` or
/// `connected`.
impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Connecting => "connecting",
            Self::Tunnelling => "tunnelling",
            Self::Handshaking => "handshake",
            Self::Confirming => "confirming",
            Self::Connected => "connected",
        })
    }
}

/// What is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Party {
    /// The relay itself, without a proxy.
    Relay,
    /// The proxy, before its tunnel is open.
    Proxy,
    /// The relay or the proxy: through a tunnel, the client cannot distinguish them.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_prints_as_one_word() {
        let stages =
            [Stage::Connecting, Stage::Tunnelling, Stage::Handshaking, Stage::Confirming, Stage::Connected];
        let words = stages.map(|stage| stage.to_string());
        assert_eq!(words, ["connecting", "tunnelling", "handshake", "confirming", "connected"]);
        assert_eq!(format!("{:>11}", Stage::Connected), "  connected");
    }
}
