//! What the plan returns, and what it needs to know of a connection.

use std::time::{Duration, Instant};

use crate::id::{ConnectionId, RouteId};
use crate::pool::event::Move;
use crate::pool::id::{PeerId, RelayId};

/// What the driver is to do with the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Connect(RelayId),
    Disconnect(ConnectionId),
    OpenRoute(PeerId, RelayId),
    CloseRoute(RouteId),
    Ping(ConnectionId),
}

/// What is reported to the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    RelayUp(RelayId),
    /// The relay has room again for packets that are not a peer's.
    RelayWritable(RelayId),
    /// No attempt to connect could begin; the error is in its status.
    RelayRefused(RelayId),
    PeerOnline(PeerId, RelayId),
    PeerOffline(PeerId),
    /// Another relay carries the data of this peer now.
    PeerMoved(PeerId, Move),
    /// So many bytes of data that were accepted for this peer will not be sent by this relay.
    Unsent(PeerId, RelayId, usize),
    RouteRefused(PeerId, RelayId),
    /// There is room again for data to this peer.
    Writable(PeerId),
}

/// What the client knows of a connection.
pub(crate) struct Observation {
    pub(crate) last_heard: Option<Instant>,
    pub(crate) round_trip: Option<Duration>,
    /// The bytes that are not written to the socket yet.
    pub(crate) queued: usize,
}
