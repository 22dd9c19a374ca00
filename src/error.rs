//! What can go wrong, in three families that never share a variant: the caller misused the library
//! ([`ConnectError`], [`RouteError`], [`SendError`]), the transport failed, or the relay broke the protocol (both as
//! [`DisconnectReason`], since both end the connection).

use std::fmt;
use std::io;

use crate::id::{RelayId, RouteId};

/// Why [`connect`](crate::Client::connect) began nothing. Only [`Io`](ConnectError::Io) may pass by itself, and
/// [`AlreadyConnected`](ConnectError::AlreadyConnected) and [`SameSharedKey`](ConnectError::SameSharedKey) once that
/// connection has ended; to try again after one of the others is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address could not be read.
    #[error("not an address: {0}")]
    Address(#[source] io::Error),
    /// The host name is empty, longer than 255 bytes, or has other characters than ASCII letters, digits, dots, hyphens and
    /// underscores. (An international name has such a form, too: its `xn--` one.)
    #[error("{0:?} is no host name that a proxy can be told")]
    Name(String),
    /// This kind of proxy can't be asked for such an address.
    #[error("a {proxy} proxy can't be asked for {target}")]
    BeyondProxy {
        /// The kind of proxy, as in its URL.
        proxy: &'static str,
        /// The kind of address, in words.
        target: &'static str,
    },
    /// The address is a host name, and only a proxy may resolve names: a resolver would learn who is asked for.
    #[error("{0:?} is a host name: without a proxy to resolve it, a relay needs an IP address")]
    NameWithoutProxy(String),
    /// The relay's public key is a point of low order: everybody can compute what is encrypted for it.
    #[error("the relay's public key is of low order, which no honest relay has")]
    LowOrderKey,
    /// The relay's public key is not a number below 2^255 - 19, as keys are that were made of a secret one. It may
    /// stand for another relay's key, since X25519 ignores its highest bit and reduces the rest.
    #[error("no relay has this public key, which is not below 2^255 - 19: are its last digits right?")]
    NonCanonicalKey,
    /// The relay's public key is that of the connection's own identity.
    #[error("the relay's public key is our own")]
    OwnKey,
    /// Another connection shares the same secret with its relay, although the public keys are not the same: identity
    /// and relay have changed places, or one relay's key is the other's and a point of low order, which no honest relay
    /// has. Somebody in between could lead the two connections to each other: both would be
    /// [`Connected`](crate::Event::Connected), and no relay would be there.
    #[error("connection {0} shares the same key with its relay: the two could be led to each other")]
    SameSharedKey(RelayId),
    /// The same identity is connected, or connecting, to the same relay. The relay would drop the older connection.
    #[error("connection {0} has the same identity and the same relay")]
    AlreadyConnected(RelayId),
    /// The operating system gave no socket, or could not begin to connect.
    #[error("no connection could be begun: {0}")]
    Io(#[source] io::Error),
}

/// Why a route was not opened or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// The connection has ended.
    #[error("the relay connection has ended")]
    UnknownRelay,
    /// The connection isn't [`Connected`](crate::Event::Connected) yet.
    #[error("the relay is not connected yet")]
    NotConnected,
    /// The route was closed or refused.
    #[error("the route was closed or refused")]
    UnknownRoute,
    /// There is a route to this peer already: this one.
    #[error("there is a route to this peer already: {0}")]
    Exists(RouteId),
    /// All 240 routes of the connection are in use; closed ones count until the relay was told.
    #[error("all 240 routes of this relay connection are in use")]
    TooMany,
}

/// Why a packet was not taken. Nothing of it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The socket takes no more and the queue is full; [`Event::Writable`](crate::Event::Writable) tells when there is room
    /// again.
    #[error("the relay reads too slowly: the send queue is full")]
    WouldBlock,
    /// The data are too short or too long for a packet of this kind.
    #[error("{length} bytes of data; {packet} carries {min} to {max}")]
    Length {
        /// The kind of packet, in words.
        packet: &'static str,
        /// The bytes that were given.
        length: usize,
        /// The least that such a packet carries.
        min: usize,
        /// The most that such a packet carries.
        max: usize,
    },
    /// The connection has ended.
    #[error("the relay connection has ended")]
    UnknownRelay,
    /// The connection isn't [`Connected`](crate::Event::Connected) yet.
    #[error("the relay is not connected yet")]
    NotConnected,
    /// The route was closed or refused.
    #[error("the route was closed or refused")]
    UnknownRoute,
    /// The route is offline, and the relay would throw the packet away.
    #[error("the peer is not on this route now")]
    RouteOffline,
}

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
            Stage::Tunnelling => "during the exchange with the proxy",
            Stage::Handshaking => "during the handshake",
            Stage::Confirming => "before the relay's first packet",
            Stage::Connected => "after it was connected",
        })
    }
}

/// Why a connection ended. Told once, in [`Event::Disconnected`](crate::Event::Disconnected), and final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The caller called [`disconnect`](crate::Client::disconnect).
    #[error("closed by the caller")]
    ClosedByCaller,
    /// Nothing listens at the address of the relay, or of its proxy.
    #[error("connection refused: nothing listens at this address")]
    Refused,
    /// The connect timeout ran out in this stage.
    #[error("timed out {0}")]
    TimedOut(Stage),
    /// A ping was not answered in time.
    #[error("the relay answered no ping in time ({0})")]
    NoPong(Stage),
    /// The relay closed the connection, or the proxy, which can't be told apart behind it. During the handshake that most
    /// often means that the relay has another public key than it was asked for.
    #[error("closed by the {closer} {0}{hint}", closer = closer(*.0), hint = wrong_key_hint(*.0))]
    Closed(Stage),
    /// The network or the operating system ended the connection: a reset, an unreachable host.
    #[error("{} {stage}", code.map_or_else(|| (*kind).into(), io::Error::from_raw_os_error))]
    Transport {
        /// The stage in which it happened.
        stage: Stage,
        /// What the operating system said.
        kind: io::ErrorKind,
        /// Its number for that, if it gave one.
        code: Option<i32>,
    },
    /// The proxy made no tunnel to the relay.
    #[error("the proxy made no tunnel to the relay: {0}")]
    Proxy(ProxyError),
    /// Whoever answers does not hold the relay's secret key.
    #[error("not the relay that was asked for: {0}")]
    Impostor(Impostor),
    /// The relay broke the protocol.
    #[error("the relay broke the protocol: {0}")]
    Protocol(Violation),
    /// 32 pongs wait to leave and the relay sent one more ping: it pings without end, or does not read the answers.
    #[error("the relay sends more pings than it takes answers")]
    PingFlood,
}

fn closer(stage: Stage) -> &'static str {
    if stage == Stage::Tunnelling { "proxy" } else { "relay" }
}

fn wrong_key_hint(stage: Stage) -> &'static str {
    match stage {
        Stage::Handshaking => ", as a relay does that has another public key",
        _ => "",
    }
}

/// Why a proxy made no tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// A SOCKS5 proxy wants another authentication than was offered: user name and password where there were none, or
    /// something that this library doesn't know.
    #[error("it wants another authentication than it was offered")]
    NoAcceptableMethod,
    /// A SOCKS5 proxy rejected the user name or the password.
    #[error("it rejected the user name or the password")]
    Credentials,
    /// A SOCKS5 reply other than 0.
    #[error("SOCKS5 reply {code}, {}", socks5_reply(*.code))]
    Socks5 {
        /// The reply, as in RFC 1928, section 6.
        code: u8,
    },
    /// A SOCKS4 reply other than 90.
    #[error("SOCKS4 reply {code}, {}", socks4_reply(*.code))]
    Socks4 {
        /// The reply.
        code: u8,
    },
    /// An HTTP answer other than 2xx; 407 means that it wants (other) credentials.
    #[error("HTTP status {status} {reason}")]
    Http {
        /// The status code.
        status: u16,
        /// What it says in words, shortened.
        reason: Phrase,
    },
    /// An answer in another protocol version, or in no such protocol at all.
    #[error("it answers with version {version}, which is not that of {protocol}")]
    Version {
        /// The protocol that was expected.
        protocol: &'static str,
        /// The version byte that came.
        version: u8,
    },
    /// An answer that the protocol doesn't have.
    #[error("its answer makes no sense: {0}")]
    Malformed(&'static str),
}

fn socks5_reply(code: u8) -> &'static str {
    match code {
        1 => "general failure",
        2 => "connection not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "time to live expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "an unknown one",
    }
}

fn socks4_reply(code: u8) -> &'static str {
    match code {
        91 => "rejected or failed",
        92 => "rejected: no identd answers on our machine",
        93 => "rejected: identd knows another user id",
        _ => "an unknown one",
    }
}

/// A few words that came from outside: up to 47 bytes of printable ASCII, everything else replaced by `?`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Phrase {
    len: u8,
    bytes: [u8; Phrase::MAX],
}

impl Phrase {
    const MAX: usize = 47;

    pub(crate) fn new(text: &str) -> Self {
        let mut phrase = Self { len: 0, bytes: [0; Self::MAX] };
        for (place, letter) in phrase.bytes.iter_mut().zip(text.chars()) {
            *place = if matches!(letter, ' '..='~') { letter as u8 } else { b'?' };
            phrase.len += 1;
        }
        phrase
    }

    /// The words.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// How it showed that the other side is not the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Impostor {
    /// Its handshake response was not sealed with the relay's key.
    #[error("its handshake response was not made with the relay's key")]
    WrongKey,
    /// Its handshake response holds our own temporary key: our own bytes came back.
    #[error("its handshake response is our own, sent back")]
    Reflection,
    /// Its temporary key is a point of low order.
    #[error("its temporary key is of low order")]
    LowOrderKey,
    /// Its temporary key is not a number below 2^255 - 19, as keys are that were made of a secret one: it may stand for
    /// our own.
    #[error("its temporary key is not below 2^255 - 19")]
    NonCanonicalKey,
    /// The handshake response was good and the first packet was not: an old response, played again.
    #[error("its handshake response was an old one, played again: its first packet does not open")]
    Replay,
}

/// What a relay did that the protocol forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// The length field of a packet, which isn't within 17 to 2048.
    #[error("a packet of length {0}")]
    PacketLength(u16),
    /// A packet does not open: it was changed, lost or repeated on the way.
    #[error("a packet that does not open")]
    Forged,
    /// A kind of packet that is reserved, or that only clients send.
    #[error("a packet of kind {0:#04x}, which no relay sends")]
    Kind(u8),
    /// A packet with a length that its kind can't have.
    #[error("a packet of kind {kind:#04x} with {length} bytes")]
    Length {
        /// The kind of the packet.
        kind: u8,
        /// The length of its plaintext.
        length: usize,
    },
    /// A connection id below 16.
    #[error("a packet of kind {kind:#04x} with the connection id {id}")]
    ConnectionId {
        /// The kind of the packet.
        kind: u8,
        /// The connection id.
        id: u8,
    },
    /// A ping or pong with the id 0.
    #[error("a ping id of 0")]
    PingId,
    /// A routing response for a peer that none was asked for.
    #[error("a routing response that answers no request")]
    UnsolicitedResponse,
    /// A routing response that gives out a connection id which another route has.
    #[error("a routing response with the connection id {0}, which another route has")]
    ConnectionIdInUse(u8),
}

impl From<Violation> for DisconnectReason {
    fn from(violation: Violation) -> Self {
        Self::Protocol(violation)
    }
}
