//! What the plan answers, and what it asks to see.

use std::time::{Duration, Instant};

use crate::id::{ConnectionId, RouteId};
use crate::pool::event::Move;
use crate::pool::id::{PeerId, RelayId};

/// What the driver does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Connect(RelayId),
    Disconnect(ConnectionId),
    OpenRoute(PeerId, RelayId),
    CloseRoute(RouteId),
    /// Asks the relay whether it is still there.
    Ping(ConnectionId),
}

/// What the user is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    RelayUp(RelayId),
    /// The relay has room again for packets that are not a peer's.
    RelayWritable(RelayId),
    /// `connect` has refused it: why is in its status.
    RelayRefused(RelayId),
    PeerOnline(PeerId, RelayId),
    PeerOffline(PeerId),
    /// Another relay carries the data of this peer now.
    PeerMoved(PeerId, Move),
    /// Data that were accepted for this peer will not be sent by this relay: so many bytes.
    Unsent(PeerId, RelayId, usize),
    RouteRefused(PeerId, RelayId),
    /// The peer has room for data again.
    Writable(PeerId),
}

/// What the driver sees of a connection.
pub(crate) struct Observation {
    pub(crate) last_heard: Option<Instant>,
    pub(crate) round_trip: Option<Duration>,
}
