//! The statuses of connections and routes, and counters.

use std::ffi::c_char;
use std::time::{Duration, Instant};

use tox_relay_client::{ConnectionStatus, FailedAttempt, RouteStatus, Traffic, TrafficByKind};

use crate::advice::{trc_route_state, trc_stage};
use crate::config::TRC_NO_BOUND;
use crate::pointer::TRC_KEY_SIZE;
use crate::reason::trc_end;
use crate::text::{TRC_ADDRESS_SIZE, fixed};

/// Bytes and packets in both directions. Bytes include overhead, handshakes and the exchange with proxies.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct trc_traffic {
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Packets that were decrypted.
    pub packets_in: u64,
    /// Packets of which at least the first byte was written.
    pub packets_out: u64,
}

/// What all connections of a client have sent and received, those that have ended included, by kind of packet.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct trc_traffic_by_kind {
    /// All bytes, those of handshakes and proxies included, and all packets.
    pub all: trc_traffic,
    /// Data packets on routes.
    pub data: trc_traffic,
    /// Out-of-band packets.
    pub oob: trc_traffic,
    /// Onion requests and responses.
    pub onion: trc_traffic,
    /// Forward requests, and what relays have forwarded to this client.
    pub forward: trc_traffic,
    /// Routing requests and responses.
    pub routing: trc_traffic,
    /// Connect and disconnect notifications.
    pub notifications: trc_traffic,
    /// Pings and pongs.
    pub pings: trc_traffic,
}

/// The status of a connection. Times are in microseconds; 0 means that it has not happened, or is not known.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct trc_connection_status {
    /// The connection.
    pub connection: u64,
    /// The token of its relay, or 0. (In a pool: the id of the relay.)
    pub token: u64,
    /// How far it has progressed.
    pub stage: trc_stage,
    /// The relay's public key.
    pub public_key: [u8; TRC_KEY_SIZE],
    /// The public key of the identity that this connection uses.
    pub identity: [u8; TRC_KEY_SIZE],
    /// The relay's address. While several are tried: that of the attempt that has progressed furthest; if all have
    /// failed, that of the attempt whose failure is the reason.
    pub address: [c_char; TRC_ADDRESS_SIZE],
    /// The address of the proxy; empty without one.
    pub proxy: [c_char; TRC_ADDRESS_SIZE],
    /// How many attempts have failed: `trc_client_failed_attempt` returns them.
    pub failed_attempts: usize,
    /// The time since the connection was asked for.
    pub age: u64,
    /// The time since the relay has proved that it holds its key.
    pub connected_since: u64,
    /// The time since anything that the relay or its proxy has sent was handled.
    pub last_heard: u64,
    /// The time from a ping to its pong: the last one.
    pub round_trip: u64,
    /// The smallest one, which is nearest to the round trip of the network.
    pub smallest_round_trip: u64,
    /// A moving average.
    pub smoothed_round_trip: u64,
    /// How many pings were sent.
    pub pings: u32,
    /// How many of them were answered.
    pub pongs: u32,
    /// After which time there was a TCP connection to the relay or its proxy.
    pub time_of_transport: u64,
    /// After which time there was a tunnel through the proxy; 0 without one.
    pub time_of_tunnel: u64,
    /// After which time there was a handshake response.
    pub time_of_handshake: u64,
    /// After which time the relay had proved that it holds its key.
    pub time_of_connected: u64,
    /// Packets and bytes in both directions.
    pub traffic: trc_traffic,
    /// Bytes in the send queue. At the end of a connection: what was never sent.
    pub queued: usize,
    /// Bytes that were sent and that the relay has not confirmed.
    pub unconfirmed: usize,
    /// The most bytes that may be unconfirmed now; `TRC_NO_BOUND` without a bound.
    pub window: usize,
    /// The number of routes that are open or requested, and of closed ones for which the relay was not notified yet.
    pub routes: usize,
}

/// The end of an attempt to reach a relay at one of its addresses.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct trc_failed_attempt {
    /// The address that was tried.
    pub address: [c_char; TRC_ADDRESS_SIZE],
    /// How the attempt ended.
    pub end: trc_end,
}

/// The status of a route.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct trc_route_status {
    /// The route.
    pub route: u64,
    /// Its connection.
    pub connection: u64,
    /// The token that it was opened with.
    pub token: u64,
    /// The public key of the peer at its other end.
    pub peer: [u8; TRC_KEY_SIZE],
    /// Its state.
    pub state: trc_route_state,
}

/// A time that is known is at least 1.
pub(crate) fn micros(time: Option<Duration>) -> u64 {
    time.map_or(0, |time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1))
}

impl From<Traffic> for trc_traffic {
    fn from(traffic: Traffic) -> Self {
        let Traffic { bytes_in, bytes_out, packets_in, packets_out, .. } = traffic;
        Self { bytes_in, bytes_out, packets_in, packets_out }
    }
}

impl From<TrafficByKind> for trc_traffic_by_kind {
    fn from(traffic: TrafficByKind) -> Self {
        Self {
            all: traffic.all.into(),
            data: traffic.data.into(),
            oob: traffic.oob.into(),
            onion: traffic.onion.into(),
            forward: traffic.forward.into(),
            routing: traffic.routing.into(),
            notifications: traffic.notifications.into(),
            pings: traffic.pings.into(),
        }
    }
}

impl From<&ConnectionStatus> for trc_connection_status {
    fn from(status: &ConnectionStatus) -> Self {
        let now = Instant::now();
        let since = |time: Option<Instant>| micros(time.map(|time| now.saturating_duration_since(time)));
        Self {
            connection: status.connection.into(),
            token: status.token,
            stage: Some(status.stage).into(),
            public_key: *status.public_key.as_bytes(),
            identity: *status.identity.as_bytes(),
            address: fixed(&status.address),
            proxy: fixed(&status.proxy.map(|proxy| proxy.to_string()).unwrap_or_default()),
            failed_attempts: status.failed_attempts.len(),
            age: since(Some(status.started)),
            connected_since: since(status.connected_at),
            last_heard: since(status.last_heard),
            round_trip: micros(status.round_trips.latest),
            smallest_round_trip: micros(status.round_trips.smallest),
            smoothed_round_trip: micros(status.round_trips.smoothed),
            pings: status.round_trips.pings,
            pongs: status.round_trips.pongs,
            time_of_transport: micros(status.times.transport),
            time_of_tunnel: micros(status.times.tunnel),
            time_of_handshake: micros(status.times.handshake),
            time_of_connected: micros(status.times.connected),
            traffic: status.traffic.into(),
            queued: status.queued,
            unconfirmed: status.unconfirmed,
            window: status.window.unwrap_or(TRC_NO_BOUND),
            routes: status.routes,
        }
    }
}

impl From<&FailedAttempt> for trc_failed_attempt {
    fn from(attempt: &FailedAttempt) -> Self {
        Self { address: fixed(&attempt.address), end: attempt.reason.into() }
    }
}

impl From<RouteStatus> for trc_route_status {
    fn from(status: RouteStatus) -> Self {
        Self {
            route: status.route.into(),
            connection: status.connection.into(),
            token: status.token,
            peer: *status.peer.as_bytes(),
            state: status.state.into(),
        }
    }
}
