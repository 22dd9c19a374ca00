//! What a poll of a pool reports.

use crate::error::DisconnectReason;
use crate::key::PublicKey;
use crate::pool::id::{PeerId, RelayId};
use crate::status::ConnectionStatus;

/// One thing that happened in a pool. Its payload and status are borrowed from the
/// [`PoolEvents`](crate::pool::PoolEvents) that contains it; [`to_owned`](PoolEventWith::to_owned) copies them. The
/// variants are those of [`PoolEventWith`].
pub type PoolEvent<'a> = PoolEventWith<&'a [u8], &'a ConnectionStatus>;

/// An event of a pool that can be kept after the next poll, or sent to another thread.
///
/// ```
/// # use tox_relay_client::pool::{OwnedPoolEvent, PoolEvents};
/// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
/// # let (mut pool, _) = shared::pool();
/// # let mut events = PoolEvents::with_capacity(256);
/// # let relay = pool.relays().next().unwrap();
/// # pool.remove_relay(relay);
/// pool.poll(&mut events, None)?;
/// let kept: Vec<OwnedPoolEvent> = events.iter().map(|event| event.to_owned()).collect();
/// assert_eq!(kept[0].as_event(), events.iter().next().unwrap());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type OwnedPoolEvent = PoolEventWith<Vec<u8>, Box<ConnectionStatus>>;

/// An event of a pool, borrowed ([`PoolEvent`]) or owned ([`OwnedPoolEvent`]), with this type of payload and of status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolEventWith<Payload, Status> {
    /// The peer can be reached through a relay: data are sent on a route. Reported once for all of its relays.
    PeerOnline {
        /// The peer.
        peer: PeerId,
        /// Its token.
        token: u64,
        /// The relay that carries its data.
        relay: RelayId,
    },
    /// The peer is on no relay of ours any more. What was sent shortly before may be lost.
    PeerOffline {
        /// The peer.
        peer: PeerId,
        /// Its token.
        token: u64,
    },
    /// Another relay carries the data to the peer now. If the previous one has ended, is silent or loses data, what was
    /// sent shortly before may be lost. What is sent from now on may overtake what was sent before. A peer that leaves its
    /// relays one after the other moves before it goes offline.
    PeerMoved {
        /// The peer.
        peer: PeerId,
        /// Its token.
        token: u64,
        /// The relay that carried its data before; its id is stale if it was removed.
        from: RelayId,
        /// The relay that carries its data now.
        relay: RelayId,
        /// Why.
        cause: MoveCause,
    },
    /// Data that were accepted will never be sent by this relay: the peer has gone offline there, or its route was
    /// closed, since it was untied or sleeps. (What was unsent when the connection to a relay ended is in the status of
    /// [`RelayDown`](Self::RelayDown); for a peer that was removed, nothing is reported.)
    Unsent {
        /// The peer.
        peer: PeerId,
        /// Its token.
        token: u64,
        /// The relay.
        relay: RelayId,
        /// How many bytes: the plaintext of each packet and 2 bytes.
        bytes: usize,
    },
    /// A relay has refused a route to the peer, as it does when it has no room, or when the peer's key is our own. The
    /// route is requested again after a minute.
    RouteRefused {
        /// The peer.
        peer: PeerId,
        /// Its token.
        token: u64,
        /// The relay.
        relay: RelayId,
    },
    /// Data from a peer.
    Data {
        /// Who sent it, according to the relay. Relays can read, change and invent data, so peers must encrypt and
        /// authenticate them end to end.
        peer: PeerId,
        /// The peer's token.
        token: u64,
        /// The relay by which it came.
        relay: RelayId,
        /// What was sent: 0 to 2031 bytes.
        data: Payload,
    },
    /// A packet from a stranger, who has no route to us, and whom [`add_peer`](crate::pool::Pool::add_peer) has not
    /// added or tied to this relay.
    Oob {
        /// The relay by which it came; an answer is sent by the same one.
        relay: RelayId,
        /// The relay's token.
        token: u64,
        /// Who sent it, according to the relay.
        sender: PublicKey,
        /// What was sent: 1 to 1024 bytes.
        data: Payload,
    },
    /// There may be room again for data to this peer, for which [`send`](crate::pool::Pool::send) has returned
    /// [`WouldBlock`](crate::pool::PoolSendError::WouldBlock).
    Writable {
        /// The peer.
        peer: PeerId,
        /// Its token.
        token: u64,
    },
    /// A relay is connected, and has proved that it holds its key.
    RelayUp {
        /// The relay.
        relay: RelayId,
        /// Its token.
        token: u64,
    },
    /// There may be room again for packets on this relay, after a method that sends by it, or by any relay, has returned
    /// [`WouldBlock`](crate::pool::PoolSendError::WouldBlock).
    RelayWritable {
        /// The relay.
        relay: RelayId,
        /// Its token.
        token: u64,
    },
    /// No attempt to connect to a relay could begin, for example because it has only a host name, and there is no proxy to
    /// resolve it; because its key is our own; or because the system has no socket for it. The error is
    /// [`RelayStatus::refused`](crate::pool::RelayStatus::refused). It is tried again after a pause, which is an hour if
    /// a person must change something.
    RelayRefused {
        /// The relay.
        relay: RelayId,
        /// Its token.
        token: u64,
    },
    /// There is no connection to a relay any more. It may mean three things:
    ///
    /// - The `reason` is [`ClosedByCaller`](DisconnectReason::ClosedByCaller): nothing is wrong with the relay. The pool
    ///   has ended its connection, or the attempt, since enough others are connected, or to begin anew on another
    ///   network; or the relay was removed.
    /// - Otherwise, if `status.connected_at` is `Some`, a connection was lost.
    /// - Otherwise, an attempt to connect has failed.
    ///
    /// After the last two, the relay is tried again when it is needed, after a pause
    /// ([`RelayStatus::retry_at`](crate::pool::RelayStatus::retry_at)).
    RelayDown {
        /// The relay; its id is stale if it was removed.
        relay: RelayId,
        /// Its token; that of its connection, in `status`, is the pool's.
        token: u64,
        /// Why it ended.
        reason: DisconnectReason,
        /// Its final status. `queued` is how many bytes were accepted and never sent.
        status: Status,
    },
    /// An answer to an onion request.
    OnionResponse {
        /// The relay by which it came.
        relay: RelayId,
        /// The relay's token.
        token: u64,
        /// The onion data, unchecked: 1 to 2031 bytes.
        data: Payload,
    },
    /// A packet that a relay forwarded to us.
    Forwarding {
        /// The relay by which it came.
        relay: RelayId,
        /// The relay's token.
        token: u64,
        /// The forwarded data, unchecked: 0 to 2031 bytes.
        data: Payload,
    },
}

impl<Payload, Status> PoolEventWith<Payload, Status> {
    /// The peer of this event, if it is about one.
    pub fn peer(&self) -> Option<PeerId> {
        match *self {
            Self::PeerOnline { peer, .. }
            | Self::PeerOffline { peer, .. }
            | Self::PeerMoved { peer, .. }
            | Self::Unsent { peer, .. }
            | Self::RouteRefused { peer, .. }
            | Self::Data { peer, .. }
            | Self::Writable { peer, .. } => Some(peer),
            _ => None,
        }
    }

    /// The relay of this event; of a [`PeerMoved`](Self::PeerMoved), the new one.
    pub fn relay(&self) -> Option<RelayId> {
        match *self {
            Self::PeerOnline { relay, .. }
            | Self::PeerMoved { relay, .. }
            | Self::Unsent { relay, .. }
            | Self::RouteRefused { relay, .. }
            | Self::Data { relay, .. }
            | Self::Oob { relay, .. }
            | Self::RelayUp { relay, .. }
            | Self::RelayWritable { relay, .. }
            | Self::RelayRefused { relay, .. }
            | Self::RelayDown { relay, .. }
            | Self::OnionResponse { relay, .. }
            | Self::Forwarding { relay, .. } => Some(relay),
            Self::PeerOffline { .. } | Self::Writable { .. } => None,
        }
    }

    /// The token of the peer, or of the relay if the event is not about a peer; 0 if none was given.
    pub fn token(&self) -> u64 {
        match *self {
            Self::PeerOnline { token, .. }
            | Self::PeerOffline { token, .. }
            | Self::PeerMoved { token, .. }
            | Self::Unsent { token, .. }
            | Self::RouteRefused { token, .. }
            | Self::Data { token, .. }
            | Self::Oob { token, .. }
            | Self::Writable { token, .. }
            | Self::RelayUp { token, .. }
            | Self::RelayWritable { token, .. }
            | Self::RelayRefused { token, .. }
            | Self::RelayDown { token, .. }
            | Self::OnionResponse { token, .. }
            | Self::Forwarding { token, .. } => token,
        }
    }

    /// The same event with the payload and the status that these functions return.
    pub(super) fn map<'a, P, S>(
        &'a self,
        payload: impl FnOnce(&'a Payload) -> P,
        status: impl FnOnce(&'a Status) -> S,
    ) -> PoolEventWith<P, S> {
        match *self {
            Self::PeerOnline { peer, token, relay } => PoolEventWith::PeerOnline { peer, token, relay },
            Self::PeerOffline { peer, token } => PoolEventWith::PeerOffline { peer, token },
            Self::PeerMoved { peer, token, from, relay, cause } => {
                PoolEventWith::PeerMoved { peer, token, from, relay, cause }
            }
            Self::Unsent { peer, token, relay, bytes } => PoolEventWith::Unsent { peer, token, relay, bytes },
            Self::RouteRefused { peer, token, relay } => PoolEventWith::RouteRefused { peer, token, relay },
            Self::Data { peer, token, relay, ref data } => {
                PoolEventWith::Data { peer, token, relay, data: payload(data) }
            }
            Self::Oob { relay, token, sender, ref data } => {
                PoolEventWith::Oob { relay, token, sender, data: payload(data) }
            }
            Self::Writable { peer, token } => PoolEventWith::Writable { peer, token },
            Self::RelayUp { relay, token } => PoolEventWith::RelayUp { relay, token },
            Self::RelayWritable { relay, token } => PoolEventWith::RelayWritable { relay, token },
            Self::RelayRefused { relay, token } => PoolEventWith::RelayRefused { relay, token },
            Self::RelayDown { relay, token, reason, status: ref ended } => {
                PoolEventWith::RelayDown { relay, token, reason, status: status(ended) }
            }
            Self::OnionResponse { relay, token, ref data } => {
                PoolEventWith::OnionResponse { relay, token, data: payload(data) }
            }
            Self::Forwarding { relay, token, ref data } => {
                PoolEventWith::Forwarding { relay, token, data: payload(data) }
            }
        }
    }
}

impl PoolEvent<'_> {
    /// A copy that can be kept.
    #[must_use]
    pub fn to_owned(&self) -> OwnedPoolEvent {
        self.map(|data| data.to_vec(), |status| Box::new((*status).clone()))
    }
}

impl OwnedPoolEvent {
    /// The same event, borrowed.
    pub fn as_event(&self) -> PoolEvent<'_> {
        self.map(Vec::as_slice, |status| &**status)
    }
}

impl From<PoolEvent<'_>> for OwnedPoolEvent {
    fn from(event: PoolEvent<'_>) -> Self {
        event.to_owned()
    }
}

/// Why another relay carries the data of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MoveCause {
    /// The previous one has ended, or the peer is not online there any more.
    Offline,
    /// Nothing was heard from the previous one for five seconds after data were sent, or longer on a slow line.
    Silent,
    /// The previous one loses data, according to [`Pool::report`](crate::pool::Pool::report).
    Loses,
    /// The queue of the previous one is full.
    Full,
    /// The new one was faster by a third for a minute.
    Faster,
}

/// From which relay to which, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) from: RelayId,
    pub(super) to: RelayId,
    pub(super) cause: MoveCause,
}
