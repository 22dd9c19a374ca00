//! What happened: the events of a poll, and the buffer that holds them.

use std::fmt;
use std::ops::Range;

use crate::error::DisconnectReason;
use crate::id::{RelayId, RouteId};
use crate::key::PublicKey;

/// One thing that happened. Payloads are borrowed from the [`Events`] that holds it.
///
/// The ids in it may be stale already: more may have happened in the same poll, and stands further behind. So a call that
/// fails with [`UnknownRelay`](crate::SendError::UnknownRelay), [`UnknownRoute`](crate::SendError::UnknownRoute) or
/// [`RouteOffline`](crate::SendError::RouteOffline) while events are handled is nothing to end a program for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The relay has proved to hold its secret key in this very connection. Routes can be opened and packets sent.
    Connected {
        /// The connection.
        relay: RelayId,
    },
    /// The connection is over and its id is stale, with those of its routes. Told exactly once for each connection, and
    /// last: whatever arrived before the end stands in front of it.
    Disconnected {
        /// The connection that is over.
        relay: RelayId,
        /// Why.
        reason: DisconnectReason,
    },
    /// The relay has registered a route. Its peer isn't there yet, or a [`RouteOnline`](Event::RouteOnline) follows.
    RouteOpened {
        /// The route.
        route: RouteId,
        /// The peer that it leads to.
        peer: PublicKey,
    },
    /// The relay has refused a route: it has no more of them, or the peer's key is our own. The route's id is stale.
    RouteRefused {
        /// The route that was asked for.
        route: RouteId,
        /// The peer that it should have led to.
        peer: PublicKey,
    },
    /// The peer is there, and has a route to us: data can be sent on this one.
    RouteOnline {
        /// The route.
        route: RouteId,
        /// The peer that it leads to.
        peer: PublicKey,
    },
    /// The peer is gone. The route stays: [`RouteOnline`](Event::RouteOnline) tells when it comes back. Data that were
    /// still queued for it are removed, since they would find nobody, or the peer's next session.
    RouteOffline {
        /// The route.
        route: RouteId,
        /// The peer that it leads to.
        peer: PublicKey,
        /// How many bytes of accepted data have not left and never will; usually 0.
        unsent: usize,
    },
    /// A data packet of a peer.
    Data {
        /// The route it came on.
        route: RouteId,
        /// Who sent it, as the relay says: it can read, change and invent data, so peers encrypt among themselves.
        peer: PublicKey,
        /// What was sent: 0 to 2031 bytes.
        data: &'a [u8],
    },
    /// An out-of-band packet of somebody who is connected to the same relay, with or without a route.
    Oob {
        /// The connection it came on.
        relay: RelayId,
        /// Who sent it, as the relay says.
        sender: PublicKey,
        /// What was sent: 1 to 1024 bytes.
        data: &'a [u8],
    },
    /// An answer to an onion request.
    OnionResponse {
        /// The connection it came on.
        relay: RelayId,
        /// The onion data, unread: 1 to 2031 bytes.
        data: &'a [u8],
    },
    /// A packet that the relay forwarded to us.
    Forwarding {
        /// The connection it came on.
        relay: RelayId,
        /// The forwarded data, unread: 0 to 2031 bytes.
        data: &'a [u8],
    },
    /// The send queue has room for any packet of a route again, or of those that belong to none, after it answered
    /// [`WouldBlock`](crate::SendError::WouldBlock).
    Writable {
        /// The connection whose queue has room.
        relay: RelayId,
    },
}

/// The events of the last [`poll`](crate::Client::poll), in the order in which they happened.
///
/// Made once and used again: it grows to what its polls need and then allocates no more. A poll that has filled it
/// stops taking packets in and leaves the rest to the next poll.
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
    /// The payloads of the records, one behind the other; at most 2031 bytes for each of them.
    payloads: Vec<u8>,
    capacity: usize,
    /// The most events for now: `capacity`, or the end of what one connection may fill in its turn.
    limit: usize,
}

/// The most events that one packet makes: a connection's first packet confirms it, too.
const MAX_PER_PACKET: usize = 2;

/// An event without its payload, and where that lies in `Events::payloads`.
struct Record {
    event: Event<'static>,
    payload: Range<u32>,
}

impl Events {
    /// A buffer for some events a poll; at least 2 and at most 1,048,576 whatever is asked for.
    ///
    /// More events mean fewer polls under load, and memory for as many payloads: at worst 2031 bytes each.
    pub fn with_capacity(events: usize) -> Self {
        let capacity = events.clamp(MAX_PER_PACKET, 1 << 20);
        Self { records: Vec::with_capacity(capacity), payloads: Vec::new(), capacity, limit: capacity }
    }

    /// The events, oldest first.
    pub fn iter(&self) -> Iter<'_> {
        Iter { events: self, records: self.records.iter() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The most events that a poll leaves here.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Forgets all events. Each poll does so first.
    pub fn clear(&mut self) {
        self.records.clear();
        self.payloads.clear();
        self.unlimit();
    }

    /// Lets at most so many events be added, but always those of one packet. [`unlimit`](Self::unlimit) ends it.
    pub(crate) fn limit(&mut self, events: usize) {
        self.limit = self.capacity.min(self.records.len() + events.max(MAX_PER_PACKET));
    }

    /// Lets events be added up to the capacity.
    pub(crate) fn unlimit(&mut self) {
        self.limit = self.capacity;
    }

    /// How many events can be added.
    pub(crate) fn room(&self) -> usize {
        self.limit - self.records.len()
    }

    /// Whether whatever one packet, one timer or one failure makes would find room.
    pub(crate) fn has_room(&self) -> bool {
        self.room() >= MAX_PER_PACKET
    }

    /// How many packets of one connection surely find room, while there is room at all: each makes one event at most, but
    /// the first may make two.
    pub(crate) fn room_for_packets(&self) -> usize {
        self.room().saturating_sub(MAX_PER_PACKET).max(1)
    }

    /// Adds an event, and a copy of its payload.
    pub(crate) fn push(&mut self, event: Event<'_>) {
        debug_assert!(self.records.len() < self.limit);
        // `capacity` and the length of a packet bound all payloads to 2 GiB, so 32 bits will do.
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

    /// The same event with another payload; where it has none, just the same.
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
