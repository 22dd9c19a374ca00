//! What can go wrong, in three families that never share a variant: the caller misused the library
//! ([`ConnectError`], [`RouteError`], [`SendError`]), the transport failed, or the relay broke the protocol (both as
//! [`DisconnectReason`], since both end the connection).

use std::io;

use crate::address::AddressError;
use crate::id::{RelayId, RouteId};
use crate::phrase::Phrase;
use crate::stage::{Party, Stage};

/// Why [`connect`](crate::Client::connect) began nothing. Only [`Io`](ConnectError::Io) may pass by itself, and
/// [`AlreadyConnected`](ConnectError::AlreadyConnected) and [`SameSharedKey`](ConnectError::SameSharedKey) once that
/// connection has ended; to try again after one of the others is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// What was given to [`Relay::new`](crate::Relay::new) is not an address.
    #[error("not an address: {0}")]
    Address(#[source] AddressError),
    /// This kind of proxy can't be asked for such an address.
    #[error("a proxy of the kind {proxy} can't be asked for {target}")]
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
    /// The socket takes no more, and the send queue is full, or this route's share of it;
    /// [`Event::Writable`](crate::Event::Writable) tells when there is room again.
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

/// Why a connection ended. Told once, in [`Event::Disconnected`](crate::Event::Disconnected), and final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The caller called [`disconnect`](crate::Client::disconnect).
    #[error("closed by the caller")]
    ClosedByCaller,
    /// Nothing listens at the address of the relay, or of its proxy.
    #[error("{0} refused the connection: nothing listens at its address")]
    Refused(Party),
    /// The connect timeout ran out.
    #[error("{party} did not answer in time {stage}{}", aside(.hint))]
    TimedOut {
        /// The stage in which it did.
        stage: Stage,
        /// Who was waited for.
        party: Party,
        /// What may have been the cause.
        hint: Option<Hint>,
    },
    /// A ping was not answered in time.
    #[error("no ping was answered in time ({0})")]
    NoPong(Stage),
    /// The other side closed the connection.
    #[error("closed by {party} {stage}{}", aside(.hint))]
    Closed {
        /// The stage in which it did.
        stage: Stage,
        /// Who did.
        party: Party,
        /// What may have been the cause.
        hint: Option<Hint>,
    },
    /// The network or the operating system ended the connection: a reset, an unreachable host.
    #[error("the connection {} failed {stage}: {}{}", way(.party), said(.kind, .code), aside(.hint))]
    Transport {
        /// The stage in which it happened.
        stage: Stage,
        /// To whom the connection led.
        party: Party,
        /// What may have been the cause.
        hint: Option<Hint>,
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

fn way(party: &Party) -> &'static str {
    match party {
        Party::Relay => "to the relay",
        Party::Proxy => "to the proxy",
        Party::Tunnel => "through the proxy",
    }
}

fn said(kind: &io::ErrorKind, code: &Option<i32>) -> io::Error {
    code.map_or_else(|| (*kind).into(), io::Error::from_raw_os_error)
}

fn aside(hint: &Option<Hint>) -> String {
    hint.map(|hint| format!(" ({hint})")).unwrap_or_default()
}

/// What may be behind the end of a connection: a guess from what was seen, where there is one that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Hint {
    /// It took our whole hello and closed without a byte, as a relay does that has another public key than it was asked
    /// for.
    #[error("as a relay does that has another public key")]
    OtherKey,
    /// The proxy was asked for the tunnel, or said that it stands, and nothing came through it.
    #[error("the proxy may not have reached the relay")]
    NotReached,
    /// Our whole hello went into the proxy's tunnel, which closed without a byte: one of the two.
    #[error("the proxy may not have reached the relay, or the relay has another public key")]
    NotReachedOrOtherKey,
    /// So many bytes had come, which is less than the 96 of a handshake response.
    #[error("only {0} of the 96 bytes of a handshake response had come")]
    Incomplete(u8),
    /// A relay keeps one connection for each public key: another one that is made with the same key, by this program or
    /// another, ends this one. Connections that end so again and again, soon after they were made, most probably do.
    #[error("the relay may have ended, or another connection with the same key has taken this one's place")]
    SameKey,
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
        /// The reply, as in RFC 1928, section 6, or from 0xf0 to 0xf7 in Tor's extensions.
        code: u8,
    },
    /// A SOCKS4 reply other than 90.
    #[error("SOCKS4 reply {code}, {}", socks4_reply(*.code))]
    Socks4 {
        /// The reply.
        code: u8,
    },
    /// An HTTP answer other than 2xx and 407.
    #[error("HTTP status {status}{}{reason}", if reason.is_empty() { "" } else { " " })]
    Http {
        /// The status code.
        status: u16,
        /// What it says in words, shortened.
        reason: Phrase,
    },
    /// HTTP status 407: it wants credentials, or other ones. This library can offer Basic ones.
    #[error("HTTP status 407, it wants (other) credentials{}{schemes}", if schemes.is_empty() { "" } else { ": " })]
    Unauthorized {
        /// The names of the schemes that it would take, separated by commas, shortened.
        schemes: Phrase,
    },
    /// It speaks another protocol, or another version.
    #[error("it does not speak {expected}: its answer begins with {first:#04x}{}", guess(*.first))]
    Protocol {
        /// The protocol that was expected.
        expected: &'static str,
        /// The first byte of its answer.
        first: u8,
    },
    /// An answer that the protocol doesn't have.
    #[error("its answer makes no sense: {0}")]
    Malformed(&'static str),
}

/// What an answer may be that begins with this byte.
fn guess(first: u8) -> &'static str {
    match first {
        0 => ", as SOCKS4 answers do",
        5 => ", as SOCKS5 answers do",
        b'H' => ", as HTTP answers do",
        b'S' => ", as SSH servers' answers do",
        0x15 | 0x16 => ", as TLS servers' answers do",
        _ => "",
    }
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
        // The SocksPort's ExtendedErrors in Tor's manual.
        0xf0 => "the onion service's descriptor was not found",
        0xf1 => "the onion service's descriptor is invalid",
        0xf2 => "the introduction to the onion service failed",
        0xf3 => "the rendezvous with the onion service failed",
        0xf4 => "the onion service wants a client authorization",
        0xf5 => "the onion service wants another client authorization",
        0xf6 => "the onion address is invalid",
        0xf7 => "the introduction to the onion service timed out",
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

/// How it showed that the other side is not the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Impostor {
    /// Its handshake response was not sealed with the relay's key.
    #[error("its handshake response was not made with the relay's key")]
    WrongKey,
    /// What it sent is no handshake response, but what servers of another kind send.
    #[error("{0} answers")]
    OtherServer(Server),
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

/// A kind of server that was recognised by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Server {
    /// TLS: such as HTTPS.
    #[error("a TLS server")]
    Tls,
    /// SSH.
    #[error("an SSH server")]
    Ssh,
    /// HTTP.
    #[error("an HTTP server")]
    Http,
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
