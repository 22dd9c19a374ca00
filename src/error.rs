//! What can go wrong: errors of calls ([`ClientError`], [`ConnectError`], [`RouteError`], [`SendError`]), and the ends
//! of connections ([`DisconnectReason`]). A failure of the transport, a refusal by a proxy and a relay that breaks the
//! protocol never share a variant.

use std::io;

use crate::address::AddressError;
use crate::id::{ConnectionId, RouteId};
use crate::phrase::Phrase;
use crate::stage::{Party, Stage};

/// Why [`Client::new`](crate::Client::new) did not create a client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// A setting is not valid.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The operating system did not create a poller, or returned no random numbers.
    #[error("the operating system did not create a poller, or returned no random numbers: {0}")]
    Io(#[source] io::Error),
}

/// Why a setting is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// [`Config::send_queue`](crate::Config::send_queue) has too few bytes: this many.
    #[error("a send queue has at least 4,068 bytes, not {0}")]
    SendQueue(usize),
    /// [`Config::window`](crate::Config::window) has too few bytes: this many.
    #[error("a window has at least 16 KiB, not {0} bytes")]
    Window(usize),
    /// [`Config::connect_timeout`](crate::Config::connect_timeout) is zero.
    #[error("the connect timeout cannot be zero")]
    ConnectTimeout,
    /// [`Config::ping_interval`](crate::Config::ping_interval) is zero.
    #[error("the ping interval cannot be zero")]
    PingInterval,
    /// [`Config::pong_timeout`](crate::Config::pong_timeout) is zero.
    #[error("the pong timeout cannot be zero")]
    PongTimeout,
}

/// Why [`connect`](crate::Client::connect) did not start a connection. [`retry`](ConnectError::retry) returns
/// whether another attempt may succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// What was given to [`Relay::new`](crate::Relay::new) is not an address.
    #[error("not an address: {0}")]
    Address(#[source] AddressError),
    /// This kind of proxy does not support this kind of address.
    #[error("a proxy of the kind {proxy} cannot connect to {target}")]
    BeyondProxy {
        /// The kind of proxy, as in its URL.
        proxy: &'static str,
        /// The kind of address, in words.
        target: &'static str,
    },
    /// The address is a host name, and there is no proxy to resolve it. This library does not resolve names, since that
    /// would show the resolver which relay is used.
    #[error("{0:?} is a host name: without a proxy that resolves it, a relay needs an IP address")]
    NameWithoutProxy(String),
    /// The relay has more than 16 addresses.
    #[error("a relay has at most 16 addresses")]
    TooManyAddresses,
    /// The connect timeout of the relay is zero.
    #[error("the connect timeout cannot be zero")]
    ConnectTimeout,
    /// The client has 16,777,216 connections.
    #[error("the client has as many connections as it can have")]
    TooManyConnections,
    /// The relay's public key is a point of low order: anyone can decrypt what is encrypted for it.
    #[error("the relay's public key is of low order: no honest relay has such a key")]
    LowOrderKey,
    /// The relay's public key is not below 2^255 - 19, but all keys that are derived from a secret key are. It may
    /// stand for another relay's key, because X25519 ignores its highest bit and reduces the rest.
    #[error("no relay has this public key, which is not below 2^255 - 19: are its last digits right?")]
    NonCanonicalKey,
    /// The relay's public key is that of the connection's own identity.
    #[error("the relay's public key is our own")]
    OwnKey,
    /// Another connection has the same shared key with its relay, although the public keys differ: identity and relay
    /// are exchanged, or one relay's key is the other's plus a point of low order, which no honest relay has. An
    /// attacker between the two connections could connect them to each other: both would be
    /// [`Connected`](crate::Event::Connected), without any relay.
    #[error("connection {0} shares the same key with its relay: the two could be connected to each other")]
    SameSharedKey(ConnectionId),
    /// The same identity is already connected, or connecting, to the same relay. The relay would close the older
    /// connection.
    #[error("connection {0} has the same identity and the same relay")]
    AlreadyConnected(ConnectionId),
    /// The operating system did not create a socket, or could not start to connect. With several addresses: the error
    /// of the last attempt, after all have failed at once.
    #[error("the connection could not be started: {0}")]
    Io(#[source] io::Error),
}

/// Why a route was not opened or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// The connection has ended.
    #[error("the relay connection has ended")]
    UnknownConnection,
    /// The route was closed or refused.
    #[error("the route was closed or refused")]
    UnknownRoute,
    /// There is already a route to this peer: this one.
    #[error("there is already a route to this peer: {0}")]
    Exists(RouteId),
    /// All 240 routes of the connection are in use. A closed one counts until the relay has been notified.
    #[error("all 240 routes of this relay connection are in use")]
    TooMany,
}

/// Why a packet was not queued. Nothing of it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The socket accepts no more data, and the send queue, or this route's share of it, is full. Before the connection
    /// is [`Connected`](crate::Event::Connected), what was already sent counts, too.
    /// [`Event::Writable`](crate::Event::Writable) reports when there is room again.
    #[error("the send queue is full: the relay is not connected yet, or reads too slowly")]
    WouldBlock,
    /// The data are too short or too long for a packet of this kind.
    #[error("{packet} has {min} to {max} bytes of data, not {length}")]
    Length {
        /// The kind of packet, in words.
        packet: &'static str,
        /// The length of the data in bytes.
        length: usize,
        /// The smallest length for this kind.
        min: usize,
        /// The largest length for this kind.
        max: usize,
    },
    /// The connection has ended.
    #[error("the relay connection has ended")]
    UnknownConnection,
    /// The route was closed or refused.
    #[error("the route was closed or refused")]
    UnknownRoute,
    /// The route is not online: the relay would discard the packet.
    #[error("the peer is offline on this route")]
    RouteOffline,
}

/// Why a connection ended. Reported exactly once, in [`Event::Disconnected`](crate::Event::Disconnected).
///
/// [`stage`](DisconnectReason::stage), [`fault`](DisconnectReason::fault) and [`retry`](DisconnectReason::retry) return
/// when it ended, who caused it, and whether another try may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The caller called [`disconnect`](crate::Client::disconnect).
    #[error("closed by the caller")]
    ClosedByCaller,
    /// Nothing listens at the address of the relay, or of its proxy.
    #[error("{0} refused the connection: nothing listens at its address")]
    Refused(Party),
    /// The connect timeout has passed.
    #[error("{party} did not answer in time {}{}", when(.stage), in_parentheses(.hint))]
    TimedOut {
        /// The stage in which it passed.
        stage: Stage,
        /// Who did not answer.
        party: Party,
        /// The probable cause, if there is one.
        hint: Option<Hint>,
    },
    /// A ping was not answered in time.
    #[error("no ping was answered in time ({})", when(.0))]
    NoPong(Stage),
    /// The other side closed the connection.
    #[error("closed by {party} {}{}", when(.stage), in_parentheses(.hint))]
    Closed {
        /// The stage in which it was closed.
        stage: Stage,
        /// Who closed it.
        party: Party,
        /// The probable cause, if there is one.
        hint: Option<Hint>,
    },
    /// The network or the operating system ended the connection: a reset, an unreachable host.
    #[error(
        "the connection {} failed {}: {}{}",
        to(.party), when(.stage), os_error(.kind, .code), in_parentheses(.hint)
    )]
    Transport {
        /// The stage in which it happened.
        stage: Stage,
        /// Who was at the other end.
        party: Party,
        /// The probable cause, if there is one.
        hint: Option<Hint>,
        /// The kind of the operating system's error.
        kind: io::ErrorKind,
        /// The number of the operating system's error, if it has one.
        code: Option<i32>,
    },
    /// The proxy did not open a tunnel to the relay.
    #[error("the proxy made no tunnel to the relay: {0}")]
    Proxy(ProxyError),
    /// The server that answers does not have the relay's secret key.
    #[error("not the requested relay: {0}")]
    Impostor(Impostor),
    /// The relay broke the protocol.
    #[error("the relay broke the protocol: {0}")]
    Protocol(Violation),
    /// 32 pongs are queued and the relay sent one more ping: it sends endless pings, or does not read the answers.
    #[error("the relay sends pings and does not read the answers")]
    PingFlood,
}

fn when(stage: &Stage) -> &'static str {
    match stage {
        Stage::Connecting => "while connecting",
        Stage::Tunnelling => "while opening the tunnel",
        Stage::Handshaking => "during the handshake",
        Stage::Confirming => "before the relay's first packet",
        Stage::Connected => "after connecting",
    }
}

fn to(party: &Party) -> &'static str {
    match party {
        Party::Relay => "to the relay",
        Party::Proxy => "to the proxy",
        Party::Tunnel => "through the proxy",
    }
}

fn os_error(kind: &io::ErrorKind, code: &Option<i32>) -> io::Error {
    code.map_or_else(|| (*kind).into(), io::Error::from_raw_os_error)
}

fn in_parentheses(hint: &Option<Hint>) -> String {
    hint.map(|hint| format!(" ({hint})")).unwrap_or_default()
}

/// The probable cause of the end of a connection, if what was observed suggests one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Hint {
    /// Our whole hello was sent, and the server closed the connection without an answer. A relay does that if its
    /// public key is not the one that the hello was created for.
    #[error("the relay may have another public key")]
    OtherKey,
    /// The request for a tunnel was sent to the proxy, or the proxy reported that it is open, but nothing arrived
    /// through it.
    #[error("the proxy may not have reached the relay")]
    NotReached,
    /// Our whole hello was sent through the proxy's tunnel, which was closed without an answer: one of these two
    /// causes.
    #[error("the proxy may not have reached the relay, or the relay has another public key")]
    NotReachedOrOtherKey,
    /// Only this many of the 96 bytes of a handshake response had arrived.
    #[error("only {0} of the 96 bytes of a handshake response had arrived")]
    Incomplete(u8),
    /// A relay keeps one connection per public key. A newer connection with the same key, of this program or another
    /// one, replaces this one. That is the most probable cause if connections end like this again and again, soon after
    /// they started.
    #[error("the relay may have stopped, or a newer connection with the same key has replaced this one")]
    SameKey,
}

/// Why a proxy did not open a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// A SOCKS5 proxy requires a method of authentication that was not offered: user name and password although none
    /// were configured, or a method that this library does not support.
    #[error("it requires a method of authentication that was not offered")]
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
    /// An HTTP answer other than 1xx, 2xx and 407.
    #[error("HTTP status {status}{}{reason}", if reason.is_empty() { "" } else { " " })]
    Http {
        /// The status code.
        status: u16,
        /// Its reason phrase, shortened.
        reason: Phrase,
    },
    /// HTTP status 407: it requires credentials, or other ones. This library supports the scheme Basic.
    #[error("HTTP status 407, it requires (other) credentials{}{schemes}", if schemes.is_empty() { "" } else { ": " })]
    Unauthorized {
        /// The names of the schemes that it accepts, separated by commas, shortened.
        schemes: Phrase,
    },
    /// It uses another protocol, or another version.
    #[error("it does not use {expected}: its answer begins with {first:#04x}{}", guess(*.first))]
    Protocol {
        /// The protocol that was expected.
        expected: &'static str,
        /// The first byte of its answer.
        first: u8,
    },
    /// An answer that is not valid in its protocol.
    #[error("its answer is malformed: {0}")]
    Malformed(&'static str),
}

/// Which protocol an answer may belong to, by its first byte.
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
        0xf4 => "the onion service requires a client authorization",
        0xf5 => "the onion service requires another client authorization",
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

/// What shows that the other side is not the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Impostor {
    /// What it sent as its handshake response was not encrypted with the relay's key. It may be no relay at all.
    #[error("its handshake response was not made with the relay's key")]
    WrongKey,
    /// What it sent is not a handshake response, but what another kind of server sends.
    #[error("{0} answers")]
    OtherServer(Server),
    /// Its handshake response contains our own temporary key: it sent our own bytes back.
    #[error("its handshake response contains our own key, sent back")]
    Reflection,
    /// Its temporary key is a point of low order.
    #[error("its temporary key is of low order")]
    LowOrderKey,
    /// Its temporary key is not below 2^255 - 19, but all keys that are derived from a secret key are. It may stand for
    /// our own.
    #[error("its temporary key is not below 2^255 - 19")]
    NonCanonicalKey,
    /// The handshake response was valid, but the first packet was not: the response is a replay of an old one.
    #[error("its handshake response is a replay of an old one: its first packet cannot be decrypted")]
    Replay,
}

/// A kind of server, recognised by the first bytes that it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Server {
    /// TLS, as in HTTPS.
    #[error("a TLS server")]
    Tls,
    /// SSH.
    #[error("an SSH server")]
    Ssh,
    /// HTTP.
    #[error("an HTTP server")]
    Http,
    /// SMTP or FTP, whose greetings are alike.
    #[error("a mail or FTP server")]
    Mail,
}

/// How a relay broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// The length field of a packet is not within 17 to 2048.
    #[error("a packet of length {0}")]
    PacketLength(u16),
    /// A packet cannot be decrypted: it was changed, or one was lost or repeated on the way.
    #[error("a packet that cannot be decrypted")]
    Forged,
    /// A kind of packet that is reserved, or that only clients send.
    #[error("a packet of kind {0:#04x}, which no relay sends")]
    Kind(u8),
    /// A packet with a length that is not valid for its kind.
    #[error("a packet of kind {kind:#04x} with {length} bytes")]
    Length {
        /// The kind of the packet.
        kind: u8,
        /// The length of its plaintext.
        length: usize,
    },
    /// A route number below 16. (The protocol calls it a connection id.)
    #[error("a packet of kind {kind:#04x} with the route number {id}")]
    RouteNumber {
        /// The kind of the packet.
        kind: u8,
        /// The route number.
        id: u8,
    },
    /// A ping or pong with the id 0.
    #[error("a ping id of 0")]
    PingId,
    /// A routing response for a peer without a pending request.
    #[error("a routing response that answers no request")]
    UnsolicitedResponse,
    /// A routing response with the number of another route.
    #[error("a routing response with the number {0}, which another route has")]
    RouteNumberInUse(u8),
}

impl From<Violation> for DisconnectReason {
    fn from(violation: Violation) -> Self {
        Self::Protocol(violation)
    }
}
