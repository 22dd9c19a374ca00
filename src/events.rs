//! The buffer for the events of a poll.

use std::fmt;
use std::ops::Range;

use crate::event::{Event, EventWith};
use crate::status::ConnectionStatus;

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
    /// The final statuses of connections that have ended, at most one for each record.
    statuses: Vec<ConnectionStatus>,
    capacity: usize,
    /// The maximum number of events for now: `capacity`, or less while a connection has its turn and may fill only its
    /// share.
    limit: usize,
}

/// The maximum number of events from one packet: the first packet of a connection also reports `Connected`.
const MAX_PER_PACKET: usize = 2;

/// An event; its payload is a range of `Events::payloads`, its status an index in `Events::statuses`.
pub(crate) type Record = EventWith<Range<u32>, u32>;

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
        Self {
            records: Vec::with_capacity(capacity),
            payloads: Vec::new(),
            statuses: Vec::new(),
            capacity,
            limit: capacity,
        }
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

    /// The largest number of events that a poll adds.
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
        self.statuses.clear();
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

    /// Adds an event, and copies of its payload and status.
    pub(crate) fn push(&mut self, event: Event<'_>) {
        debug_assert!(self.records.len() < self.limit);
        let Self { payloads, statuses, .. } = self;
        let record = event.map(
            |data| {
                // The capacity and the length of a packet limit all payloads together to 2 GiB, so 32 bits are enough.
                let start = payloads.len() as u32;
                payloads.extend_from_slice(data);
                start..payloads.len() as u32
            },
            |status| {
                statuses.push((*status).clone());
                statuses.len() as u32 - 1
            },
        );
        self.records.push(record);
    }

    /// The events as they are stored, for who passes them on and leaves their payloads and statuses here.
    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    /// The payload of a record.
    pub(crate) fn payload(&self, range: &Range<u32>) -> &[u8] {
        &self.payloads[range.start as usize..range.end as usize]
    }

    /// The status of a record.
    pub(crate) fn status(&self, index: u32) -> &ConnectionStatus {
        &self.statuses[index as usize]
    }

    fn view(&self, record: &Record) -> Event<'_> {
        record.map(|range| self.payload(range), |index| self.status(*index))
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
    use crate::error::DisconnectReason;
    use crate::id::{ConnectionId, RouteId};
    use crate::key::PublicKey;

    const ID: ConnectionId = ConnectionId { index: 1, generation: 2 };
    const WRITABLE: Event<'static> = Event::Writable { connection: ID, token: 7 };

    fn status(queued: usize) -> ConnectionStatus {
        ConnectionStatus { token: 7, queued, ..ConnectionStatus::example(ID) }
    }

    fn every_event<'a>(data: &'a [u8], statuses: &'a [ConnectionStatus; 2]) -> Vec<Event<'a>> {
        let (connection, token) = (ID, 7);
        let (route, peer) = (RouteId::new(ID, 3, 4), PublicKey::from([5; 32]));
        let ended = |status| {
            let reason = DisconnectReason::ClosedByCaller;
            Event::Disconnected { connection, token, reason, status }
        };
        vec![
            Event::Connected { connection, token },
            Event::RouteOpened { connection, route, token, peer },
            Event::RouteRefused { connection, route, token, peer },
            Event::RouteOnline { connection, route, token, peer },
            ended(&statuses[0]),
            Event::Data { connection, route, token, peer, data },
            Event::Data { connection, route, token, peer, data: &[] },
            Event::Oob { connection, token, sender: peer, data: &data[1..] },
            Event::OnionResponse { connection, token, data: &data[2..] },
            Event::Forwarding { connection, token, data: &data[3..] },
            Event::RouteOffline { connection, route, token, peer, unsent: 6 },
            Event::Writable { connection, token },
            ended(&statuses[1]),
        ]
    }

    #[test]
    fn each_event_has_its_connection_and_its_token_and_five_kinds_have_a_route() {
        let statuses = [status(0), status(1)];
        let events = every_event(b"data", &statuses);
        assert!(events.iter().all(|event| (event.connection(), event.token()) == (ID, 7)));
        let with_route = events.iter().filter(|event| event.route() == Some(RouteId::new(ID, 3, 4)));
        assert_eq!(with_route.count(), 6, "two of them are data");
        assert_eq!(events.iter().filter(|event| event.route().is_none()).count(), 7);
    }

    #[test]
    fn owned_events_are_the_same_events() {
        let statuses = [status(0), status(1)];
        for event in every_event(b"data", &statuses) {
            assert_eq!(event.to_owned().as_event(), event);
            assert_eq!(crate::event::OwnedEvent::from(event), event.to_owned());
        }
    }

    #[test]
    fn events_are_returned_as_they_were_added_with_their_payloads() {
        let mut events = Events::with_capacity(100);
        for data in [b"first".as_slice(), b"the second, and longer"] {
            events.clear();
            assert!(events.is_empty());
            let statuses = [status(data.len()), status(0)];
            let pushed = every_event(data, &statuses);
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
            events.push(WRITABLE);
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
        (0..4).for_each(|_| events.push(WRITABLE));
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
        let statuses = [status(0), status(1)];
        let mut fill = || {
            events.clear();
            every_event(&[7; 2031], &statuses).into_iter().for_each(|event| events.push(event));
            (events.records.capacity(), events.payloads.capacity())
        };
        let first = fill();
        assert_eq!((fill(), fill()), (first, first));
    }
}
