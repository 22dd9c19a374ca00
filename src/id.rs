//! The names of things that come and go. Each carries a generation, so that a stale one is an error and never
//! another connection.

use std::fmt;

/// Names one relay connection of one [`Client`](crate::Client), from [`connect`](crate::Client::connect) until it ends, of
/// which [`Disconnected`](crate::Event::Disconnected) tells then or in one of the next polls.
///
/// An id is never given out twice (its generation would have to pass through 2³² connections first), so an id that
/// was kept too long is answered with an error.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelayId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// Names one route: what a relay keeps for this client and one peer.
///
/// It knows the connection it belongs to, so a route can't be used with the wrong relay by accident.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId {
    relay: RelayId,
    pub(crate) slot: u8,
    pub(crate) generation: u32,
}

impl RouteId {
    pub(crate) fn new(relay: RelayId, slot: u8, generation: u32) -> Self {
        Self { relay, slot, generation }
    }

    /// The connection that this route belongs to.
    pub fn relay(self) -> RelayId {
        self.relay
    }
}

impl fmt::Debug for RelayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelayId({self})")
    }
}

/// `index.generation`, as it stands in log lines.
impl fmt::Display for RelayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

impl fmt::Debug for RouteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RouteId({self})")
    }
}

/// `relay/slot.generation`, as it stands in log lines.
impl fmt::Display for RouteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.{}", self.relay, self.slot, self.generation)
    }
}
