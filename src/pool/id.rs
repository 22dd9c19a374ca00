//! Ids of peers and relays of a pool.

use std::fmt;

/// A relay of one [`Pool`](crate::pool::Pool), from [`add_relay`](crate::pool::Pool::add_relay) until it is removed,
/// whether it is connected or not. It is not used again, and converts to a `u64` and back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelayId(pub(super) u64);

/// A peer of one [`Pool`](crate::pool::Pool), from [`add_peer`](crate::pool::Pool::add_peer) until it is removed. It is
/// not used again, and converts to a `u64` and back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub(super) u64);

macro_rules! number {
    ($id:ident) => {
        impl From<$id> for u64 {
            fn from(id: $id) -> Self {
                id.0
            }
        }

        /// Any number is accepted; one that is not an id is treated as a stale one.
        impl From<u64> for $id {
            fn from(number: u64) -> Self {
                Self(number)
            }
        }

        /// `index.generation`, as in log lines.
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}.{}", self.0 as u32, self.0 >> 32)
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($id), "({})"), self)
            }
        }
    };
}

number!(RelayId);
number!(PeerId);
