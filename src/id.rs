//! Ids of connections and routes. Each has a generation, so that a stale id is an error and never means another
//! connection or route.

use std::fmt;

/// The id of one connection of one [`Client`](crate::Client), from [`connect`](crate::Client::connect) until it ends,
/// which [`Disconnected`](crate::Event::Disconnected) reports in that poll or in one of the next.
///
/// An id is not reused (its generation repeats after 2³² connections), so methods return an error for an id that was
/// kept too long.
///
/// It converts to a `u64` and back, for programs that can only keep a number.
///
/// ```
/// # use tox_relay_client::*;
/// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
/// # let (client, connection, _) = shared::connected();
/// let number: u64 = connection.into();
/// assert_eq!(ConnectionId::from(number), connection);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// The id of one route, on which a relay passes packets between this client and one peer. It is valid from
/// [`open_route`](crate::Client::open_route) until the route is closed or refused, or its connection ends.
///
/// An id is not reused (generations repeat after 2³² routes of a client). It converts to a `u64` and back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId {
    /// The index of the connection in the upper 24 bits, the route's slot in the lower 8.
    place: u32,
    pub(crate) generation: u32,
}

/// One attempt to open a connection. Each has a transport of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub(crate) u8);

/// The number of bits of a connection's index. (By default Linux gives a process at most 2^20 descriptors.)
pub(crate) const INDEX_BITS: u32 = 24;

impl RouteId {
    /// `generation` is that of no other route of the client. Of the connection's index, the lower [`INDEX_BITS`] are
    /// used.
    pub(crate) fn new(connection: ConnectionId, slot: u8, generation: u32) -> Self {
        Self { place: connection.index << 8 | u32::from(slot), generation }
    }

    /// The index of the connection. It may have another connection now.
    pub(crate) fn index(self) -> u32 {
        self.place >> 8
    }

    pub(crate) fn slot(self) -> u8 {
        self.place as u8
    }
}

impl AttemptId {
    /// The first attempt of a connection: the only one, if the relay has one address.
    pub const FIRST: Self = Self(0);

    /// Its number, from 0, in the order in which attempts begin.
    pub fn number(self) -> u8 {
        self.0
    }
}

impl From<ConnectionId> for u64 {
    fn from(id: ConnectionId) -> Self {
        Self::from(id.generation) << 32 | Self::from(id.index)
    }
}

/// The index of the connection is in the lower 32 bits, its generation in the upper. Any number is accepted; one that
/// is not the id of a connection is treated as a stale id.
impl From<u64> for ConnectionId {
    fn from(number: u64) -> Self {
        Self { index: number as u32, generation: (number >> 32) as u32 }
    }
}

impl From<RouteId> for u64 {
    fn from(id: RouteId) -> Self {
        Self::from(id.generation) << 32 | Self::from(id.place)
    }
}

/// Any number is accepted; one that is not the id of a route is treated as a stale id.
impl From<u64> for RouteId {
    fn from(number: u64) -> Self {
        Self { place: number as u32, generation: (number >> 32) as u32 }
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionId({self})")
    }
}

/// `index.generation`, as in log lines.
impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

impl fmt::Debug for RouteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RouteId({self})")
    }
}

/// `index/slot.generation`, as in log lines.
impl fmt::Display for RouteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.{}", self.index(), self.slot(), self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_convert_to_numbers_and_back() {
        for (index, slot, generation) in [(0, 0, 0), (1, 2, 3), ((1 << INDEX_BITS) - 1, 239, u32::MAX)] {
            let connection = ConnectionId { index, generation };
            assert_eq!(ConnectionId::from(u64::from(connection)), connection);
            let route = RouteId::new(connection, slot, generation);
            assert_eq!((route.index(), route.slot()), (index, slot));
            assert_eq!(RouteId::from(u64::from(route)), route);
        }
    }
}
