//! Ids of connections and routes. Each has a generation, so that a stale id is an error and never means another
//! connection.

use std::fmt;

/// The id of one relay connection of one [`Client`](crate::Client). It is valid from
/// [`connect`](crate::Client::connect) until the connection ends, which [`Disconnected`](crate::Event::Disconnected)
/// reports in the same poll or a later one.
///
/// An id is not reused (its generation repeats after 2³² connections), so methods return an error for an id that was
/// kept too long.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelayId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// The id of one route: a relay passes packets between this client and one peer on it.
///
/// It contains the id of its connection, so a route cannot be used with the wrong relay by mistake.
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

    /// The connection of this route.
    pub fn relay(self) -> RelayId {
        self.relay
    }
}

impl fmt::Debug for RelayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelayId({self})")
    }
}

/// `index.generation`, as in log lines.
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

/// `relay/slot.generation`, as in log lines.
impl fmt::Display for RouteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.{}", self.relay, self.slot, self.generation)
    }
}
