//! Why a pool has refused something.

use crate::address::{Address, AddressError};
use crate::wire::packet::OOB_DATA;

/// Why a relay was not added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddRelayError {
    /// What was given to [`Relay::new`](crate::Relay::new) is not an address.
    #[error("not an address: {0}")]
    Address(#[from] AddressError),
    /// A peer has told us about it, and it is not an address of the Internet.
    #[error("{0} is not an address of the Internet, and was learnt from a peer elsewhere")]
    LocalAddress(Address),
    /// The peer has added 24 relays, or 4096 were added by the user and from lists.
    #[error("too many relays were learnt from there")]
    TooMany,
    /// The peer that is named as its origin was removed.
    #[error("the peer was removed")]
    UnknownPeer,
}

/// Why a relay was not tied to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TieError {
    /// The peer was removed.
    #[error("the peer was removed")]
    UnknownPeer,
    /// The relay was removed.
    #[error("the relay was removed")]
    UnknownRelay,
    /// 24 relays are tied to the peer.
    #[error("a peer is tied to at most 24 relays")]
    TooMany,
}

/// Why data were not sent. Nothing of them was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolSendError {
    /// The relays that could send it are full. If it was for a peer,
    /// [`PoolEvent::Writable`](crate::pool::PoolEvent::Writable) follows: when one of them has room, or others are there;
    /// if all of them end, once one is connected. Otherwise
    /// [`RelayWritable`](crate::pool::PoolEvent::RelayWritable) follows for each of them, or its end
    /// ([`RelayDown`](crate::pool::PoolEvent::RelayDown)); a relay that has just connected has room as well.
    #[error("the relays that could send it are full")]
    WouldBlock,
    /// No relay that could send it is connected: none is tied to the peer, or none could be reached yet.
    #[error("no relay that could send it is connected")]
    Unreachable,
    /// The peer is offline, and these data are too long for a packet out of band: they have more than 1024 bytes.
    #[error("the peer is offline, and a packet out of band has at most {} bytes", OOB_DATA.end())]
    Offline,
    /// The data are too short or too long for this kind of packet: see [`SendError::Length`](crate::SendError::Length).
    #[error("the data have a wrong length: {0}")]
    Length(#[source] crate::error::SendError),
    /// The peer or relay was removed.
    #[error("the peer or relay was removed")]
    Unknown,
}
