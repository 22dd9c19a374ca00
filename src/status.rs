//! What can be asked about a connection or a route at any time.

use std::net::SocketAddr;
use std::time::Duration;

use crate::address::Address;
use crate::id::RouteId;
use crate::key::PublicKey;
use crate::stage::Stage;

/// A connection as it is now. Counting costs nothing: the numbers are kept anyway.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RelayStatus {
    /// How far the connection has come.
    pub stage: Stage,
    /// The relay's address.
    pub address: Address,
    /// The address of the proxy that leads to the relay; `None` without one.
    pub proxy: Option<SocketAddr>,
    /// The relay's public key.
    pub public_key: PublicKey,
    /// The public key that we are connected with.
    pub identity: PublicKey,
    /// From the last answered ping's leaving to its pong.
    pub round_trip: Option<Duration>,
    /// How long each step of connecting took.
    pub times: ConnectTimes,
    /// What came in and went out.
    pub traffic: Traffic,
    /// Bytes of plaintext that wait in the send queue, 2 for each packet included.
    pub queued: usize,
    /// Routes that are opened or asked for, and closed ones of which the relay wasn't told yet.
    pub routes: usize,
}

/// When the steps of connecting were done, each counted from the call of [`connect`](crate::Client::connect). `None` until
/// then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ConnectTimes {
    /// TCP was there, to the relay or to its proxy.
    pub transport: Option<Duration>,
    /// The proxy's tunnel was there. `None` without a proxy.
    pub tunnel: Option<Duration>,
    /// The handshake response had come.
    pub handshake: Option<Duration>,
    /// The relay had proved itself: [`Connected`](crate::Event::Connected).
    pub connected: Option<Duration>,
}

/// Counters of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Traffic {
    /// Bytes read from the relay, handshake and overhead included.
    pub bytes_in: u64,
    /// Bytes written to the socket, handshake and overhead included.
    pub bytes_out: u64,
    /// Packets of the relay that opened.
    pub packets_in: u64,
    /// Packets that left, or whose first byte did.
    pub packets_out: u64,
}

/// How far a route has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RouteState {
    /// The relay was asked, or will be, and hasn't answered.
    Requested,
    /// The relay has registered it; the peer isn't there.
    Offline,
    /// The peer is there: data can be sent.
    Online,
}

/// A route as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteStatus {
    /// The route.
    pub route: RouteId,
    /// The peer that it leads to.
    pub peer: PublicKey,
    /// How far it has come.
    pub state: RouteState,
}
