//! The events of a poll, and the buffer that holds them.

use std::fmt;
use std::ops::Range;

use crate::error::DisconnectReason;
use crate::id::{RelayId, RouteId};
use crate::key::PublicKey;

/// One thing that happened. Payloads are borrowed from the [`Events`] that holds it.
///
/// Its ids may already be stale: later events of the same poll may report why. So
/// [`UnknownRelay`](crate::SendError::UnknownRelay), [`UnknownRoute`](crate::SendError::UnknownRoute) and
/// [`RouteOffline`](crate::SendError::RouteOffline) are normal while events are handled, and not a reason to end a
/// program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The relay has proved in this connection that it holds its secret key. Everything that it sends is reported after
    /// this. Routes can be opened and packets sent even earlier: see [`open_route`](crate::Client::open_route).
    Connected {
        /// The connection.
        relay: RelayId,
    },
    /// The connection has ended; its id and those of its routes are stale. Reported exactly once for each connection,
    /// and last: everything that arrived before the end is reported before it.
    Disconnected {
        /// The connection that has ended.
        relay: RelayId,
        /// Why it ended.
        reason: DisconnectReason,
    },
    /// The relay has registered a route. The peer is offline until [`RouteOnline`](Event::RouteOnline) follows.
    RouteOpened {
        /// The route.
        route: RouteId,
        /// The peer that it leads to.
        peer: PublicKey,
    },
    /// The relay has refused a route: it has no free ones, or the peer's key is our own. The route's id is stale.
    RouteRefused {
        /// The route that was asked for.
        route: RouteId,
        /// The peer that it should have led to.
        peer: PublicKey,
    },
    /// The peer is connected to the relay and has a route to us: data can be sent on this route.
    RouteOnline {
        /// The route.
        route: RouteId,
        /// The peer that it leads to.
        peer: PublicKey,
    },
    /// The peer has closed its route or its connection. Our route stays: [`RouteOnline`](Event::RouteOnline) follows
    /// when the peer comes back. Data that were still queued for it are removed, since the relay would discard them or
    /// deliver them to the peer's next session.
    RouteOffline {
        /// The route.
        route: RouteId,
        /// The peer that it leads to.
        peer: PublicKey,
        /// How many bytes of accepted data were removed and never sent; usually 0.
        unsent: usize,
    },
    /// A data packet from a peer.
    Data {
        /// The route it came on.
        route: RouteId,
        /// Who sent it, according to the relay. The relay can read, change and invent data, so peers must encrypt and
        /// authenticate them end to end.
        peer: PublicKey,
        /// What was sent: 0 to 2031 bytes.
        data: &'a [u8],
    },
    /// An out-of-band packet from a client of the same relay, with or without a route.
    Oob {
        /// The connection it came on.
        relay: RelayId,
        /// Who sent it, according to the relay.
        sender: PublicKey,
        /// What was sent: 1 to 1024 bytes.
        data: &'a [u8],
    },
    /// An answer to an onion request.
    OnionResponse {
        /// The connection it came on.
        relay: RelayId,
        /// The onion data, unchecked: 1 to 2031 bytes.
        data: &'a [u8],
    },
    /// A packet that the relay forwarded to us.
    Forwarding {
        /// The connection it came on.
        relay: RelayId,
        /// The forwarded data, unchecked: 0 to 2031 bytes.
        data: &'a [u8],
    },
    /// After [`WouldBlock`](crate::SendError::WouldBlock), the send queue again has room for any packet on a route, or
    /// for any packet without a route. The only event that may come before [`Connected`](Event::Connected).
    Writable {
        /// The connection whose queue has room.
        relay: RelayId,
    },
}

/// The events of the last [`poll`](crate::Client::poll), in the order in which they happened.
///
/// Create it once and reuse it: it grows to the size that its polls need and then does not allocate. A poll that has
/// filled it stops reading packets and leaves the rest to the next poll.
///
/// ```
/// use tox_relay_client::Events;
///
/// let events = Events::with_capacity(256);
/// assert!(events.is_empty());
/// for event in &events {
///     println!("{event:?}");
/// }
/// ```
pub struct Events {
    records: Vec<Record>,
    /// The payloads of the records, one after the other; at most 2031 bytes for each of them.
    payloads: Vec<u8>,
    capacity: usize,
    /// The maximum number of events for now: `capacity`, or less while a connection has its turn and may fill only its
    /// share.
    limit: usize,
}

/// The maximum number of events from one packet: the first packet of a connection also reports `Connected`.
const MAX_PER_PACKET: usize = 2;

/// An event without its payload, and the range of its payload in `Events::payloads`.
struct Record {
    event: Event<'static>,
    payload: Range<u32>,
}

impl Events {
    /// Creates a buffer for at most this number of events per poll; it is raised to 2 or lowered to 1,048,576 if
    /// needed.
    ///
    /// A larger buffer means fewer polls under load, and more memory for payloads: at most 2031 bytes per event.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// let events = Events::with_capacity(256);
    /// assert!(events.is_empty());
    /// ```
    pub fn with_capacity(events: usize) -> Self {
        let capacity = events.clamp(MAX_PER_PACKET, 1 << 20);
        Self { records: Vec::with_capacity(capacity), payloads: Vec::new(), capacity, limit: capacity }
    }

    /// The events, oldest first. `for event in &events` does the same.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, relay, _) = shared::connected();
    ///
    /// # let mut events = Events::with_capacity(256);
    /// # client.disconnect(relay);
    /// client.poll(&mut events, None)?;
    /// let ended = events.iter().filter(|event| matches!(event, Event::Disconnected { .. }));
    /// println!("{} connections have ended", ended.count());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> Iter<'_> {
        Iter { events: self, records: self.records.iter() }
    }

    /// The number of events.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, relay, _) = shared::connected();
    ///
    /// # let mut events = Events::with_capacity(256);
    /// client.disconnect(relay);
    /// client.poll(&mut events, None)?;
    /// assert_eq!(events.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are no events.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    ///
    /// # use std::time::Duration;
    /// # let mut client = shared::client();
    /// # let mut events = Events::with_capacity(256);
    /// client.poll(&mut events, Some(Duration::ZERO))?;
    /// if events.is_empty() {
    ///     println!("nothing happened");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The largest number of events that a poll puts here.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// assert_eq!(Events::with_capacity(256).capacity(), 256);
    /// assert_eq!(Events::with_capacity(0).capacity(), 2);
    /// ```
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Removes all events. Each poll does this first.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// let mut events = Events::with_capacity(256);
    /// events.clear();
    /// assert!(events.is_empty());
    /// ```
    pub fn clear(&mut self) {
        self.records.clear();
        self.payloads.clear();
        self.unlimit();
    }

    /// Until [`unlimit`](Self::unlimit), at most this number of events can be added, but always those of one packet.
    pub(crate) fn limit(&mut self, events: usize) {
        self.limit = self.capacity.min(self.records.len() + events.max(MAX_PER_PACKET));
    }

    /// Removes the limit: events can be added up to the capacity.
    pub(crate) fn unlimit(&mut self) {
        self.limit = self.capacity;
    }

    /// How many events can be added.
    pub(crate) fn room(&self) -> usize {
        self.limit - self.records.len()
    }

    /// Whether there is room for the events of any packet, timer or failure.
    pub(crate) fn has_room(&self) -> bool {
        self.room() >= MAX_PER_PACKET
    }

    /// How many packets of one connection certainly fit, at least 1. Each packet results in at most one event, except
    /// the first, which may result in two. Call this only if [`has_room`](Self::has_room).
    pub(crate) fn room_for_packets(&self) -> usize {
        self.room().saturating_sub(MAX_PER_PACKET).max(1)
    }

    /// Adds an event, and a copy of its payload.
    pub(crate) fn push(&mut self, event: Event<'_>) {
        debug_assert!(self.records.len() < self.limit);
        // The capacity and the length of a packet limit all payloads together to 2 GiB, so 32 bits are enough.
        let start = self.payloads.len() as u32;
        self.payloads.extend_from_slice(event.payload());
        let payload = start..self.payloads.len() as u32;
        self.records.push(Record { event: event.with_payload(&[]), payload });
    }

    fn view(&self, Record { event, payload }: &Record) -> Event<'_> {
        event.with_payload(&self.payloads[payload.start as usize..payload.end as usize])
    }
}

impl Event<'_> {
    fn payload(&self) -> &[u8] {
        match *self {
            Event::Data { data, .. }
            | Event::Oob { data, .. }
            | Event::OnionResponse { data, .. }
            | Event::Forwarding { data, .. } => data,
            _ => &[],
        }
    }

    /// The same event with another payload, if it has one.
    fn with_payload<'b>(&self, data: &'b [u8]) -> Event<'b> {
        match *self {
            Event::Connected { relay } => Event::Connected { relay },
            Event::Disconnected { relay, reason } => Event::Disconnected { relay, reason },
            Event::RouteOpened { route, peer } => Event::RouteOpened { route, peer },
            Event::RouteRefused { route, peer } => Event::RouteRefused { route, peer },
            Event::RouteOnline { route, peer } => Event::RouteOnline { route, peer },
            Event::RouteOffline { route, peer, unsent } => Event::RouteOffline { route, peer, unsent },
            Event::Data { route, peer, .. } => Event::Data { route, peer, data },
            Event::Oob { relay, sender, .. } => Event::Oob { relay, sender, data },
            Event::OnionResponse { relay, .. } => Event::OnionResponse { relay, data },
            Event::Forwarding { relay, .. } => Event::Forwarding { relay, data },
            Event::Writable { relay } => Event::Writable { relay },
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// An iterator over the events of a poll.
#[derive(Clone)]
pub struct Iter<'a> {
    events: &'a Events,
    records: std::slice::Iter<'a, Record>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Event<'a>> {
        self.records.next().map(|record| self.events.view(record))
    }

    fn nth(&mut self, n: usize) -> Option<Event<'a>> {
        self.records.nth(n).map(|record| self.events.view(record))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.records.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl fmt::Debug for Iter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<'a> IntoIterator for &'a Events {
    type Item = Event<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELAY: RelayId = RelayId { index: 1, generation: 2 };

    fn every_event(data: &[u8]) -> Vec<Event<'_>> {
        let (relay, route, peer) = (RELAY, RouteId::new(RELAY, 3, 4), PublicKey::from([5; 32]));
        vec![
            Event::Connected { relay },
            Event::RouteOpened { route, peer },
            Event::RouteRefused { route, peer },
            Event::RouteOnline { route, peer },
            Event::Data { route, peer, data },
            Event::Data { route, peer, data: &[] },
            Event::Oob { relay, sender: peer, data: &data[1..] },
            Event::OnionResponse { relay, data: &data[2..] },
            Event::Forwarding { relay, data: &data[3..] },
            Event::RouteOffline { route, peer, unsent: 6 },
            Event::Writable { relay },
            Event::Disconnected { relay, reason: DisconnectReason::ClosedByCaller },
        ]
    }

    #[test]
    fn events_come_out_as_they_went_in_with_their_payloads() {
        let mut events = Events::with_capacity(100);
        for data in [b"first".as_slice(), b"the second, and longer"] {
            events.clear();
            assert!(events.is_empty());
            let pushed = every_event(data);
            pushed.iter().for_each(|event| events.push(*event));
            assert_eq!(events.len(), pushed.len());
            assert_eq!(events.iter().len(), pushed.len());
            assert_eq!(events.iter().collect::<Vec<_>>(), pushed);
            assert_eq!(events.into_iter().collect::<Vec<_>>(), pushed);
            assert_eq!(format!("{events:?}"), format!("{pushed:?}"));
        }
    }

    #[test]
    fn there_is_room_while_two_more_fit() {
        let mut events = Events::with_capacity(4);
        for len in 0..4 {
            assert_eq!(events.has_room(), len <= 2, "{len} events");
            events.push(Event::Writable { relay: RELAY });
        }
        assert!(!events.has_room());
        assert_eq!(events.len(), events.capacity());
        events.clear();
        assert!(events.has_room());
    }

    #[test]
    fn a_limit_leaves_room_for_others_and_always_for_one_packet() {
        let mut events = Events::with_capacity(10);
        events.limit(4);
        assert_eq!((events.room(), events.room_for_packets()), (4, 2));
        (0..4).for_each(|_| events.push(Event::Writable { relay: RELAY }));
        assert!(!events.has_room());
        for asked in 0..=2 {
            events.limit(asked);
            assert_eq!((events.room(), events.has_room(), events.room_for_packets()), (2, true, 1));
        }
        events.limit(100);
        assert_eq!(events.room(), 6);
        events.limit(0);
        events.unlimit();
        assert_eq!(events.room(), 6);
        events.limit(0);
        events.clear();
        assert_eq!(events.room(), 10);
    }

    #[test]
    fn a_capacity_has_its_limits() {
        for (asked, given) in [(0, 2), (1, 2), (2, 2), (256, 256), ((1 << 20) + 1, 1 << 20)] {
            assert_eq!(Events::with_capacity(asked).capacity(), given);
        }
        assert!(Events::with_capacity(0).has_room());
    }

    #[test]
    fn events_used_again_keep_their_memory() {
        let mut events = Events::with_capacity(100);
        let mut fill = || {
            events.clear();
            every_event(&[7; 2031]).into_iter().for_each(|event| events.push(event));
            (events.records.capacity(), events.payloads.capacity())
        };
        let first = fill();
        assert_eq!((fill(), fill()), (first, first));
    }
}
