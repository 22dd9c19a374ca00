//! What a poll of a pool reports.

use crate::error::DisconnectReason;
use crate::event::Event;
use crate::events::Events;
use crate::key::PublicKey;
use crate::pool::id::{PeerId, RelayId};
use crate::status::ConnectionStatus;

/// One thing that happened in a pool. Its payload and status are borrowed from the [`PoolEvents`] that contains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolEvent<'a> {
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
        data: &'a [u8],
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
        data: &'a [u8],
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
    /// A connection to a relay has ended, or could not be established. It is tried again when it is needed, after a
    /// pause.
    RelayDown {
        /// The relay; its id is stale if it was removed.
        relay: RelayId,
        /// Its token; that of its connection, in `status`, is the pool's.
        token: u64,
        /// Why it ended. `ClosedByCaller` if the pool has ended it: it was not needed, or begins anew on another network.
        reason: DisconnectReason,
        /// Its final status. `queued` is how many bytes were accepted and never sent.
        status: &'a ConnectionStatus,
    },
    /// An answer to an onion request.
    OnionResponse {
        /// The relay by which it came.
        relay: RelayId,
        /// The relay's token.
        token: u64,
        /// The onion data, unchecked: 1 to 2031 bytes.
        data: &'a [u8],
    },
    /// A packet that a relay forwarded to us.
    Forwarding {
        /// The relay by which it came.
        relay: RelayId,
        /// The relay's token.
        token: u64,
        /// The forwarded data, unchecked: 0 to 2031 bytes.
        data: &'a [u8],
    },
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

/// The events of the last [`poll`](crate::pool::Pool::poll), in the order in which they happened. Create it once and
/// reuse it.
#[derive(Debug)]
pub struct PoolEvents {
    pub(super) of_client: Events,
    pub(super) records: Vec<Record>,
}

/// An event. Those with a payload have the index of the client's event that contains it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Record {
    PeerOnline(Peer, RelayId),
    PeerOffline(Peer),
    PeerMoved(Peer, Move),
    RouteRefused(Peer, RelayId),
    Writable(Peer),
    Unsent(Peer, RelayId, usize),
    RelayUp(Relay),
    RelayWritable(Relay),
    RelayRefused(Relay),
    Data(Peer, RelayId, usize),
    /// Everything else that a relay has sent, or its end.
    OfRelay(Relay, usize),
}

/// From which relay to which, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) from: RelayId,
    pub(super) to: RelayId,
    pub(super) cause: MoveCause,
}

/// A peer and its token.
pub(super) type Peer = (PeerId, u64);

/// A relay and its token.
pub(super) type Relay = (RelayId, u64);

impl PoolEvents {
    /// Creates a buffer: a poll reads packets until there are so many events of connections.
    pub fn with_capacity(events: usize) -> Self {
        Self { of_client: Events::with_capacity(events), records: Vec::new() }
    }

    /// The events, oldest first.
    pub fn iter(&self) -> Iter<'_> {
        Iter { events: self, records: self.records.iter() }
    }

    /// The event with this index, from 0: for programs that take the events one by one, and cannot keep an iterator.
    ///
    /// ```
    /// # use tox_relay_client::pool::{PoolEvent, PoolEvents};
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, friend) = shared::pool();
    /// # let mut events = PoolEvents::with_capacity(256);
    /// # let relay = pool.relays().next().unwrap();
    /// pool.remove_relay(relay);
    /// pool.poll(&mut events, Some(std::time::Duration::ZERO))?;
    /// let mut index = 0;
    /// while let Some(event) = events.get(index) {
    ///     println!("{event:?}");
    ///     index += 1;
    /// }
    /// # assert!(index > 0 && index == events.iter().count());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get(&self, index: usize) -> Option<PoolEvent<'_>> {
        self.event(*self.records.get(index)?)
    }

    fn event(&self, record: Record) -> Option<PoolEvent<'_>> {
        let at = |index| self.of_client.iter().nth(index);
        Some(match record {
            Record::PeerOnline((peer, token), relay) => PoolEvent::PeerOnline { peer, token, relay },
            Record::PeerOffline((peer, token)) => PoolEvent::PeerOffline { peer, token },
            Record::PeerMoved((peer, token), Move { from, to: relay, cause }) => {
                PoolEvent::PeerMoved { peer, token, from, relay, cause }
            }
            Record::RouteRefused((peer, token), relay) => PoolEvent::RouteRefused { peer, token, relay },
            Record::Writable((peer, token)) => PoolEvent::Writable { peer, token },
            Record::Unsent((peer, token), relay, bytes) => PoolEvent::Unsent { peer, token, relay, bytes },
            Record::RelayUp((relay, token)) => PoolEvent::RelayUp { relay, token },
            Record::RelayWritable((relay, token)) => PoolEvent::RelayWritable { relay, token },
            Record::RelayRefused((relay, token)) => PoolEvent::RelayRefused { relay, token },
            Record::Data((peer, token), relay, index) => {
                PoolEvent::Data { peer, token, relay, data: self.of_client.data(index)? }
            }
            Record::OfRelay((relay, token), index) => match at(index)? {
                Event::Oob { sender, data, .. } => PoolEvent::Oob { relay, token, sender, data },
                Event::OnionResponse { data, .. } => PoolEvent::OnionResponse { relay, token, data },
                Event::Forwarding { data, .. } => PoolEvent::Forwarding { relay, token, data },
                Event::Disconnected { reason, status, .. } => {
                    PoolEvent::RelayDown { relay, token, reason, status }
                }
                _ => return None,
            },
        })
    }
}

/// The events of the last poll.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    events: &'a PoolEvents,
    records: std::slice::Iter<'a, Record>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = PoolEvent<'a>;

    fn next(&mut self) -> Option<PoolEvent<'a>> {
        self.records.find_map(|record| self.events.event(*record))
    }
}

impl<'a> IntoIterator for &'a PoolEvents {
    type Item = PoolEvent<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}
