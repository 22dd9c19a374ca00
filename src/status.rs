//! The status of a connection or a route.

use std::fmt;
use std::net::SocketAddr;
use std::ops::AddAssign;
use std::time::{Duration, Instant};

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
    /// How far the connection has progressed.
    pub stage: Stage,
    /// The relay's address. While several are tried: that of the attempt that has progressed furthest; if all have
    /// failed, that of the attempt whose failure is the reason.
    pub address: Address,
    /// The attempts that have failed, in this order; empty once the relay has proved itself.
    pub failed_attempts: Vec<FailedAttempt>,
    /// The address of the proxy; `None` without one.
    pub proxy: Option<SocketAddr>,
    /// The relay's public key.
    pub public_key: PublicKey,
    /// The public key of the identity that this connection uses.
    pub identity: PublicKey,
    /// When [`connect`](crate::Client::connect) was called.
    pub started: Instant,
    /// When the relay proved that it holds its secret key: [`Connected`](crate::Event::Connected).
    pub connected_at: Option<Instant>,
    /// When the client last handled anything that the relay, or its proxy, has sent.
    pub last_heard: Option<Instant>,
    /// The times between pings and their pongs, and how many there were.
    pub round_trips: RoundTrips,
    /// When each step of connecting was complete.
    pub times: ConnectTimes,
    /// Packets and bytes in both directions.
    pub traffic: Traffic,
    /// Bytes in the send queue: the plaintext of each packet and 2 bytes. At the end of a connection: what was never
    /// sent.
    pub queued: usize,
    /// Bytes that were sent and that the relay has not confirmed with a pong: some of them may wait there.
    pub unconfirmed: usize,
    /// The most bytes that may be unconfirmed now; `None` without a [bound](crate::Config::window). Data that have to wait
    /// for it stay in the send queue.
    pub window: Option<usize>,
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

/// When each step of connecting was complete, as the time since the call of [`connect`](crate::Client::connect): 1 µs
/// to 71 minutes. `None` if it is not complete.
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

/// The times between pings and their pongs, from 1 µs to 71 minutes; `None` before the first pong. They include delays
/// at both ends: a ping waits for the bytes that the system has already accepted, and a pong until the relay and then
/// this program handle it. A relay that polls every 30 ms may answer one ping after 0.1 ms and the next after 30 ms, so
/// do not rely on the latest one alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RoundTrips {
    /// The last one.
    pub latest: Option<Duration>,
    /// The smallest one, which is nearest to the round trip of the network.
    pub smallest: Option<Duration>,
    /// A moving average, in which each new one has a share of one eighth, as in RFC 6298.
    pub smoothed: Option<Duration>,
    /// How many pings were sent.
    pub pings: u32,
    /// How many pongs were received that answered one of them. Any other pong is ignored.
    pub pongs: u32,
}

/// Bytes and packets in both directions, of one connection or of several.
///
/// ```
/// # use tox_relay_client::*;
/// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
/// # let (client, _, _) = shared::connected();
/// let mut sum = Traffic::default();
/// for connection in client.connections() {
///     sum += client.connection(connection).map(|status| status.traffic).unwrap_or_default();
/// }
/// # assert_eq!(sum, client.traffic().all);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.packets_in += other.packets_in;
        self.packets_out += other.packets_out;
    }
}

/// What all connections of a client have sent and received, by kind of packet: see
/// [`Client::traffic`](crate::Client::traffic).
///
/// The bytes of a packet are those on the stream, its 18 bytes of overhead included. A packet counts in full as soon as
/// its first byte was sent, or once all of it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TrafficByKind {
    /// All bytes, those of handshakes and proxies included, and all packets.
    pub all: Traffic,
    /// Data packets on routes.
    pub data: Traffic,
    /// Out-of-band packets.
    pub oob: Traffic,
    /// Onion requests and responses.
    pub onion: Traffic,
    /// Forward requests, and what relays have forwarded to this client.
    pub forward: Traffic,
    /// Routing requests and responses.
    pub routing: Traffic,
    /// Connect and disconnect notifications.
    pub notifications: Traffic,
    /// Pings and pongs.
    pub pings: Traffic,
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
    /// The peer at its other end.
    pub peer: PublicKey,
    /// Its state.
    pub state: RouteState,
}

/// One line: the address, the stage, and the most important of the other values. For people, and not to be parsed.
impl fmt::Display for ConnectionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, stage, public_key, routes, queued, .. } = self;
        write!(f, "{address} ({public_key:.8}")?;
        if let Some(proxy) = self.proxy {
            write!(f, " through {proxy}")?;
        }
        write!(f, "): {stage}")?;
        if let Some(round_trip) = self.round_trips.latest {
            write!(f, ", ping {round_trip:.1?}")?;
        }
        write!(f, ", {routes} routes, {queued} bytes queued")
    }
}

/// The address and the reason. For people, and not to be parsed.
impl fmt::Display for FailedAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address, self.reason)
    }
}

/// Such as `latest 31.2ms, smallest 30.1ms, smoothed 30.7ms, 3 of 4 answered`. For people, and not to be parsed.
impl fmt::Display for RoundTrips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, time) in
            [("latest", self.latest), ("smallest", self.smallest), ("smoothed", self.smoothed)]
        {
            if let Some(time) = time {
                write!(f, "{name} {time:.1?}, ")?;
            }
        }
        write!(f, "{} of {} answered", self.pongs, self.pings)
    }
}

/// The steps that are complete, such as `transport 12.1ms, handshake 25.0ms`. For people, and not to be parsed.
impl fmt::Display for ConnectTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { transport, tunnel, handshake, connected } = *self;
        let steps = [
            ("transport", transport),
            ("tunnel", tunnel),
            ("handshake", handshake),
            ("connected", connected),
        ];
        let mut separator = "";
        for (name, time) in steps {
            if let Some(time) = time {
                write!(f, "{separator}{name} {time:.1?}")?;
                separator = ", ";
            }
        }
        if separator.is_empty() { f.write_str("no step is complete") } else { Ok(()) }
    }
}

/// One word: `requested`, `offline` or `online`.
impl fmt::Display for RouteState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Requested => "requested",
            Self::Offline => "offline",
            Self::Online => "online",
        })
    }
}

/// The route, its peer and its state. For people, and not to be parsed.
impl fmt::Display for RouteStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "route {} to {:.8}: {}", self.route, self.peer, self.state)
    }
}

#[cfg(test)]
impl ConnectionStatus {
    /// A status for tests.
    pub(crate) fn example(connection: ConnectionId) -> Self {
        Self {
            connection,
            token: 0,
            stage: Stage::Connected,
            address: "relay.example:33445".parse().expect("an address"),
            failed_attempts: Vec::new(),
            proxy: None,
            public_key: [0xab; 32].into(),
            identity: [7; 32].into(),
            started: Instant::now(),
            connected_at: None,
            last_heard: None,
            round_trips: RoundTrips::default(),
            times: ConnectTimes::default(),
            traffic: Traffic::default(),
            queued: 0,
            unconfirmed: 0,
            window: None,
            routes: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_is_displayed_as_one_line() {
        let connection = ConnectionId { index: 3, generation: 5 };
        let mut status = ConnectionStatus {
            stage: Stage::Handshaking,
            proxy: Some(([127, 0, 0, 1], 9050).into()),
            ..ConnectionStatus::example(connection)
        };
        assert_eq!(
            status.to_string(),
            "relay.example:33445 (ABABABAB through 127.0.0.1:9050): handshake, 0 routes, 0 bytes queued"
        );
        assert_eq!(status.times.to_string(), "no step is complete");
        (status.stage, status.proxy) = (Stage::Connected, None);
        status.round_trips.latest = Some(Duration::from_micros(31_240));
        (status.routes, status.queued) = (2, 1500);
        assert_eq!(
            status.to_string(),
            "relay.example:33445 (ABABABAB): connected, ping 31.2ms, 2 routes, 1500 bytes queued"
        );
        let millis = |millis| Some(Duration::from_millis(millis));
        let times = ConnectTimes { transport: millis(12), handshake: millis(25), ..ConnectTimes::default() };
        assert_eq!(times.to_string(), "transport 12.0ms, handshake 25.0ms");
        let (latest, pings, pongs) = (millis(30), 2, 1);
        let round_trips = RoundTrips { latest, smallest: latest, smoothed: latest, pings, pongs };
        assert_eq!(
            round_trips.to_string(),
            "latest 30.0ms, smallest 30.0ms, smoothed 30.0ms, 1 of 2 answered"
        );
        assert_eq!(RoundTrips::default().to_string(), "0 of 0 answered");
        let reason = DisconnectReason::ClosedByCaller;
        let failed = FailedAttempt { address: ConnectionStatus::example(connection).address, reason };
        assert_eq!(failed.to_string(), format!("relay.example:33445: {reason}"));
        let route = RouteId::new(connection, 7, 9);
        let (peer, state) = ([0xcd; 32].into(), RouteState::Online);
        let status = RouteStatus { route, connection, peer, token: 0, state };
        assert_eq!(status.to_string(), "route 3/7.9 to CDCDCDCD: online");
        assert_eq!(status, status.clone());
    }
}
