//! What to do about an error: who caused it, in which stage, and whether another try may help.

use std::fmt;
use std::io;

use crate::error::{ConnectError, DisconnectReason, Hint, Impostor, ProxyError, Violation};
use crate::stage::{Party, Stage};

/// Who most probably caused the end of a connection, or an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The program or its settings: an address, a key, credentials.
    Caller,
    /// The network between the two, or the operating system.
    Network,
    /// The proxy.
    Proxy,
    /// The relay, or another server that answers at its address.
    Relay,
}

/// Whether another try may help. The most hopeful answer is the smallest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Retry {
    /// The cause may pass within minutes: try again, after a pause that grows with each attempt from a second to some
    /// minutes. Only a connection that has lasted for a while resets the pause: a relay may close each connection right
    /// after it was established, for example because another client has the same key.
    Soon,
    /// The cause usually lasts, but may pass by itself: try again once an hour or less often.
    Seldom,
    /// Another try does not help until a person has changed something: show the error to the user. (A program that runs
    /// unattended may treat it like [`Seldom`](Self::Seldom).)
    Ask,
}

/// One word: `caller`, `network`, `proxy` or `relay`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Caller => "caller",
            Self::Network => "network",
            Self::Proxy => "proxy",
            Self::Relay => "relay",
        })
    }
}

/// One word: `soon`, `seldom` or `ask`.
impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Soon => "soon",
            Self::Seldom => "seldom",
            Self::Ask => "ask",
        })
    }
}

impl DisconnectReason {
    /// The stage in which the connection ended. `None` if the caller ended it, which is possible in any stage: the
    /// [final status](crate::EventWith::Disconnected) has it.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// assert_eq!(DisconnectReason::Refused(Party::Relay).stage(), Some(Stage::Connecting));
    /// ```
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        Some(match self {
            Self::ClosedByCaller => return None,
            Self::Refused(_) => Stage::Connecting,
            Self::Proxy(_) => Stage::Tunnelling,
            Self::Impostor(Impostor::Replay) => Stage::Confirming,
            Self::Impostor(_) => Stage::Handshaking,
            Self::Protocol(_) | Self::PingFlood => Stage::Connected,
            Self::NoPong(stage)
            | Self::TimedOut { stage, .. }
            | Self::Closed { stage, .. }
            | Self::Transport { stage, .. } => *stage,
        })
    }

    /// Who most probably caused it. If the proxy or the relay may have caused it, after a tunnel was opened, this is
    /// the relay, unless a [`Hint`] says that the proxy may not have reached it.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// assert_eq!(DisconnectReason::Refused(Party::Proxy).fault(), Fault::Proxy);
    /// assert_eq!(DisconnectReason::Proxy(ProxyError::Credentials).fault(), Fault::Caller);
    /// ```
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::ClosedByCaller => Fault::Caller,
            Self::Refused(party) => fault_of(*party, None),
            // Nobody has answered anything: a firewall, or a machine that is not there.
            Self::TimedOut { stage: Stage::Connecting, .. }
            | Self::NoPong(Stage::Connected)
            | Self::Transport { hint: None, .. } => Fault::Network,
            // Whoever has responded to the handshake does not prove that it is the relay.
            Self::NoPong(_) => Fault::Relay,
            // A transport failure with a hint is a reset, which is a way to close.
            Self::TimedOut { party, hint, .. }
            | Self::Closed { party, hint, .. }
            | Self::Transport { party, hint, .. } => fault_of(*party, *hint),
            Self::Proxy(error) => error.advice().0,
            Self::Impostor(_) | Self::Protocol(_) | Self::PingFlood => Fault::Relay,
        }
    }

    /// Whether another try may help; `None` if the caller has ended the connection. If a relay has several addresses,
    /// the reason is the most hopeful one of all attempts.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # let reason = DisconnectReason::NoPong(Stage::Connected);
    /// match reason.retry() {
    ///     Some(Retry::Soon) => println!("trying again in a few seconds"),
    ///     Some(Retry::Seldom) => println!("trying again in an hour"),
    ///     Some(_) => println!("please check the settings: {reason}"),
    ///     None => println!("finished"),
    /// }
    /// # assert_eq!(reason.retry(), Some(Retry::Soon));
    /// ```
    #[must_use]
    pub fn retry(&self) -> Option<Retry> {
        Some(match self {
            Self::ClosedByCaller => return None,
            // A firewall of this machine, or a sandbox.
            Self::Transport { kind: io::ErrorKind::PermissionDenied, .. } => Retry::Seldom,
            // The hint that the relay has another key is not certain: relays also close like this when they are full,
            // and when they restart.
            Self::Refused(_)
            | Self::TimedOut { .. }
            | Self::NoPong(_)
            | Self::Closed { .. }
            | Self::Transport { .. } => Retry::Soon,
            Self::Proxy(error) => error.advice().1,
            Self::Impostor(Impostor::WrongKey) => Retry::Ask,
            // A network that wants a login answers for every server, until the user has logged in.
            Self::Impostor(Impostor::OtherServer(_)) => Retry::Soon,
            Self::Impostor(_) => Retry::Seldom,
            // Something in the network has changed a packet.
            Self::Protocol(Violation::Forged) => Retry::Soon,
            Self::Protocol(_) | Self::PingFlood => Retry::Seldom,
        })
    }
}

fn fault_of(party: Party, hint: Option<Hint>) -> Fault {
    match (party, hint) {
        (Party::Proxy, _) | (_, Some(Hint::NotReached | Hint::NotReachedOrOtherKey)) => Fault::Proxy,
        (Party::Relay | Party::Tunnel, _) => Fault::Relay,
    }
}

impl ProxyError {
    fn advice(self) -> (Fault, Retry) {
        match self {
            Self::NoAcceptableMethod | Self::Credentials | Self::Unauthorized { .. } => {
                (Fault::Caller, Retry::Ask)
            }
            Self::Protocol { .. } => (Fault::Proxy, Retry::Ask),
            Self::Malformed(_) => (Fault::Proxy, Retry::Seldom),
            Self::Socks5 { code } => socks5_advice(code),
            Self::Socks4 { code: 91 } => (Fault::Proxy, Retry::Soon),
            Self::Socks4 { code: 92 | 93 } => (Fault::Caller, Retry::Ask),
            Self::Socks4 { .. } => (Fault::Proxy, Retry::Seldom),
            // Bad gateway, gateway timeout: it did not reach the relay.
            Self::Http { status: 502 | 504, .. } => (Fault::Relay, Retry::Soon),
            // Request timeout, too many requests, and its own failures.
            Self::Http { status: 408 | 429 | 500..=599, .. } => (Fault::Proxy, Retry::Soon),
            // Tor also answers like this for a relay that refuses the connection.
            Self::Http { status: 403, .. } => (Fault::Proxy, Retry::Seldom),
            Self::Http { status: 400..=499, .. } => (Fault::Proxy, Retry::Ask),
            Self::Http { .. } => (Fault::Proxy, Retry::Seldom),
        }
    }
}

/// The codes of RFC 1928, section 6, and of the `SocksPort` in Tor's manual.
fn socks5_advice(code: u8) -> (Fault, Retry) {
    match code {
        1 => (Fault::Proxy, Retry::Soon),
        // Its rules forbid it; with Tor, those of the exit, which is another one next time.
        2 => (Fault::Proxy, Retry::Seldom),
        7 | 8 => (Fault::Proxy, Retry::Ask),
        3 | 4 | 6 => (Fault::Network, Retry::Soon),
        5 => (Fault::Relay, Retry::Soon),
        // The descriptor of an onion service is missing or invalid.
        0xf0 | 0xf1 => (Fault::Relay, Retry::Seldom),
        0xf2 | 0xf3 | 0xf7 => (Fault::Network, Retry::Soon),
        // A client authorization is missing or wrong; not an onion address.
        0xf4..=0xf6 => (Fault::Caller, Retry::Ask),
        _ => (Fault::Proxy, Retry::Seldom),
    }
}

impl ConnectError {
    /// Who most probably caused it.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// assert_eq!(ConnectError::OwnKey.fault(), Fault::Caller);
    /// ```
    #[must_use]
    pub fn fault(&self) -> Fault {
        if matches!(self, Self::Io(_)) { Fault::Network } else { Fault::Caller }
    }

    /// Whether another try may help.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// assert_eq!(ConnectError::OwnKey.retry(), Retry::Ask);
    /// ```
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => Retry::Seldom,
            // The network may come back; other connections end.
            Self::Io(_) | Self::AlreadyConnected(_) | Self::SameSharedKey(_) | Self::TooManyConnections => {
                Retry::Soon
            }
            Self::Address(_)
            | Self::BeyondProxy { .. }
            | Self::NameWithoutProxy(_)
            | Self::LowOrderKey
            | Self::NonCanonicalKey
            | Self::TooManyAddresses
            | Self::ConnectTimeout
            | Self::OwnKey => Retry::Ask,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Server;
    use crate::phrase::Phrase;

    const STAGES: [Stage; 5] =
        [Stage::Connecting, Stage::Tunnelling, Stage::Handshaking, Stage::Confirming, Stage::Connected];

    fn transport(stage: Stage, kind: io::ErrorKind) -> DisconnectReason {
        DisconnectReason::Transport { stage, party: Party::Relay, hint: None, kind, code: None }
    }

    #[test]
    fn faults_and_retries_are_displayed_as_one_word() {
        assert_eq!([Fault::Caller, Fault::Network].map(|fault| fault.to_string()), ["caller", "network"]);
        assert_eq!([Fault::Proxy, Fault::Relay].map(|fault| fault.to_string()), ["proxy", "relay"]);
        let retries = [Retry::Soon, Retry::Seldom, Retry::Ask];
        assert_eq!(retries.map(|retry| format!("{retry:>6}")), ["  soon", "seldom", "   ask"]);
    }

    #[test]
    fn each_reason_returns_its_stage_except_that_of_the_caller() {
        for stage in STAGES {
            let (party, hint) = (Party::Tunnel, None);
            for reason in [
                DisconnectReason::NoPong(stage),
                DisconnectReason::TimedOut { stage, party, hint },
                DisconnectReason::Closed { stage, party, hint },
                transport(stage, io::ErrorKind::ConnectionReset),
            ] {
                assert_eq!(reason.stage(), Some(stage), "{reason}");
            }
        }
        for (reason, stage) in [
            (DisconnectReason::Refused(Party::Proxy), Stage::Connecting),
            (DisconnectReason::Proxy(ProxyError::Credentials), Stage::Tunnelling),
            (DisconnectReason::Impostor(Impostor::WrongKey), Stage::Handshaking),
            (DisconnectReason::Impostor(Impostor::Replay), Stage::Confirming),
            (DisconnectReason::Protocol(Violation::Forged), Stage::Connected),
            (DisconnectReason::PingFlood, Stage::Connected),
        ] {
            assert_eq!(reason.stage(), Some(stage), "{reason}");
        }
        assert_eq!(DisconnectReason::ClosedByCaller.stage(), None);
    }

    #[test]
    fn each_reason_returns_its_fault() {
        let (stage, hint) = (Stage::Handshaking, None);
        let closed = |party, hint| DisconnectReason::Closed { stage, party, hint };
        let kind = io::ErrorKind::ConnectionReset;
        let reset = |party, hint| DisconnectReason::Transport { stage, party, hint, kind, code: None };
        for (reason, fault) in [
            (DisconnectReason::ClosedByCaller, Fault::Caller),
            (DisconnectReason::Refused(Party::Relay), Fault::Relay),
            (DisconnectReason::Refused(Party::Proxy), Fault::Proxy),
            (
                DisconnectReason::TimedOut { stage: Stage::Connecting, party: Party::Proxy, hint },
                Fault::Network,
            ),
            (DisconnectReason::TimedOut { stage, party: Party::Relay, hint }, Fault::Relay),
            (closed(Party::Tunnel, None), Fault::Relay),
            (closed(Party::Tunnel, Some(Hint::NotReached)), Fault::Proxy),
            (closed(Party::Relay, Some(Hint::OtherKey)), Fault::Relay),
            (transport(stage, io::ErrorKind::NetworkUnreachable), Fault::Network),
            (DisconnectReason::NoPong(Stage::Connected), Fault::Network),
            (DisconnectReason::NoPong(Stage::Confirming), Fault::Relay),
            (reset(Party::Relay, Some(Hint::OtherKey)), Fault::Relay),
            (reset(Party::Tunnel, Some(Hint::NotReached)), Fault::Proxy),
            (reset(Party::Relay, None), Fault::Network),
            (DisconnectReason::Impostor(Impostor::Reflection), Fault::Relay),
            (DisconnectReason::Proxy(ProxyError::Socks5 { code: 5 }), Fault::Relay),
            (DisconnectReason::Proxy(ProxyError::Socks5 { code: 0xf5 }), Fault::Caller),
        ] {
            assert_eq!(reason.fault(), fault, "{reason}");
        }
    }

    #[test]
    fn each_reason_and_connect_error_returns_its_retry() {
        let http = |status| DisconnectReason::Proxy(ProxyError::Http { status, reason: Phrase::new("no") });
        let socks4 = |code| DisconnectReason::Proxy(ProxyError::Socks4 { code });
        let socks5 = |code| DisconnectReason::Proxy(ProxyError::Socks5 { code });
        let (stage, party) = (Stage::Handshaking, Party::Relay);
        let closed = |hint| DisconnectReason::Closed { stage, party, hint };
        for (reason, retry) in [
            (DisconnectReason::NoPong(Stage::Connected), Retry::Soon),
            (DisconnectReason::Refused(Party::Relay), Retry::Soon),
            (transport(Stage::Connecting, io::ErrorKind::NetworkUnreachable), Retry::Soon),
            (transport(Stage::Connecting, io::ErrorKind::PermissionDenied), Retry::Seldom),
            (DisconnectReason::Impostor(Impostor::OtherServer(Server::Http)), Retry::Soon),
            (DisconnectReason::Impostor(Impostor::Replay), Retry::Seldom),
            (closed(None), Retry::Soon),
            (closed(Some(Hint::OtherKey)), Retry::Soon),
            (DisconnectReason::Impostor(Impostor::WrongKey), Retry::Ask),
            (DisconnectReason::Protocol(Violation::Forged), Retry::Soon),
            (DisconnectReason::Protocol(Violation::PingId), Retry::Seldom),
            (DisconnectReason::PingFlood, Retry::Seldom),
            (DisconnectReason::Proxy(ProxyError::Credentials), Retry::Ask),
            (socks4(91), Retry::Soon),
            (socks4(92), Retry::Ask),
            (socks4(93), Retry::Ask),
            (socks4(95), Retry::Seldom),
            (socks5(1), Retry::Soon),
            (socks5(2), Retry::Seldom),
            (socks5(3), Retry::Soon),
            (socks5(5), Retry::Soon),
            (socks5(7), Retry::Ask),
            (socks5(8), Retry::Ask),
            (socks5(0xf0), Retry::Seldom),
            (socks5(0xf2), Retry::Soon),
            (socks5(0xf4), Retry::Ask),
            (socks5(0xf6), Retry::Ask),
            (socks5(0xf7), Retry::Soon),
            (socks5(0xff), Retry::Seldom),
            (http(302), Retry::Seldom),
            (http(400), Retry::Ask),
            (http(403), Retry::Seldom),
            (http(407), Retry::Ask),
            (http(429), Retry::Soon),
            (http(502), Retry::Soon),
            (http(503), Retry::Soon),
        ] {
            assert_eq!(reason.retry(), Some(retry), "{reason}");
        }
        assert_eq!(DisconnectReason::ClosedByCaller.retry(), None);
        assert!(Retry::Soon < Retry::Seldom && Retry::Seldom < Retry::Ask);
        for (error, fault, retry) in [
            (ConnectError::OwnKey, Fault::Caller, Retry::Ask),
            (ConnectError::TooManyConnections, Fault::Caller, Retry::Soon),
            (ConnectError::Io(io::ErrorKind::NetworkUnreachable.into()), Fault::Network, Retry::Soon),
        ] {
            assert_eq!((error.fault(), error.retry()), (fault, retry), "{error}");
        }
    }
}
