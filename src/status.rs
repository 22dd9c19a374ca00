//! The status of a connection or a route.

use std::net::SocketAddr;
use std::time::Duration;

use crate::address::Address;
use crate::error::DisconnectReason;
use crate::id::{ConnectionId, RouteId};
use crate::key::PublicKey;
use crate::stage::Stage;

/// The status of a connection. These numbers are always kept, so reading them costs almost nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStatus {
    /// The connection.
    pub connection: ConnectionId,
    /// The token of its [`Relay`](crate::Relay), or 0.
    pub token: u64,
    /// How far the connection has come.
    pub stage: Stage,
    /// The relay's address. While several are tried: the one that has come furthest.
    pub address: Address,
    /// The attempts that have failed, in this order; empty once one has reached the relay.
    pub failed_attempts: Vec<FailedAttempt>,
    /// The address of the proxy; `None` without one.
    pub proxy: Option<SocketAddr>,
    /// The relay's public key.
    pub public_key: PublicKey,
    /// The public key of the identity that this connection uses.
    pub identity: PublicKey,
    /// The time between the last answered ping and its pong.
    pub round_trip: Option<Duration>,
    /// When each step of connecting was complete.
    pub times: ConnectTimes,
    /// Packets and bytes in both directions.
    pub traffic: Traffic,
    /// Bytes in the send queue: the plaintext of each packet and 2 bytes. At the end of a connection: what was never
    /// sent.
    pub queued: usize,
    /// The number of routes that are open or requested, and of closed ones for which the relay has not been notified
    /// yet.
    pub routes: usize,
}

/// The end of an attempt to reach a relay at one of its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedAttempt {
    /// The address that was tried.
    pub address: Address,
    /// Why the attempt failed.
    pub reason: DisconnectReason,
}

/// When each step of connecting was complete, as the time since the call of [`connect`](crate::Client::connect). `None`
/// if it is not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ConnectTimes {
    /// The TCP connection to the relay, or to its proxy.
    pub transport: Option<Duration>,
    /// The proxy's tunnel to the relay. `None` without a proxy.
    pub tunnel: Option<Duration>,
    /// The handshake response.
    pub handshake: Option<Duration>,
    /// The proof that the relay holds its secret key: [`Connected`](crate::Event::Connected).
    pub connected: Option<Duration>,
}

/// Counters of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Traffic {
    /// Bytes read from the socket and handled, including overhead, handshake and the exchange with a proxy.
    pub bytes_in: u64,
    /// Bytes written to the socket, including overhead, handshake and the exchange with a proxy.
    pub bytes_out: u64,
    /// Packets from the relay that were decrypted.
    pub packets_in: u64,
    /// Packets of which at least the first byte was written to the socket.
    pub packets_out: u64,
}

/// The state of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RouteState {
    /// The route was opened, and the relay has not answered its request yet.
    Requested,
    /// The relay has registered the route; the peer is not connected, or has no route to us.
    Offline,
    /// The peer is connected and has a route to us: data can be sent.
    Online,
}

/// The status of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteStatus {
    /// The route.
    pub route: RouteId,
    /// Its connection.
    pub connection: ConnectionId,
    /// The token that it was opened with, or 0.
    pub token: u64,
    /// The peer that it leads to.
    pub peer: PublicKey,
    /// Its state.
    pub state: RouteState,
}
