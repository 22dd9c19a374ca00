//! The buffer for the events of a poll of a pool.

use std::fmt;
use std::ops::Range;

use crate::events::Events;
use crate::pool::event::{PoolEvent, PoolEventWith};

/// The events of the last [`poll`](crate::pool::Pool::poll), in the order in which they happened. Create it once and
/// reuse it.
pub struct PoolEvents {
    pub(super) of_client: Events,
    pub(super) records: Vec<Record>,
}

/// An event. Its payload and status are in the client's events: see [`Events::records`].
pub(super) type Record = PoolEventWith<Range<u32>, u32>;

impl PoolEvents {
    /// Creates a buffer: a poll reads packets until its connections have so many events. The number is raised to 2 or
    /// lowered to 1,048,576 if needed. What the pool itself has to report comes on top.
    ///
    /// A larger buffer means fewer polls under load, and more memory for payloads: at most 2031 bytes per event.
    ///
    /// ```
    /// # use tox_relay_client::pool::PoolEvents;
    /// let events = PoolEvents::with_capacity(256);
    /// assert!(events.is_empty());
    /// ```
    pub fn with_capacity(events: usize) -> Self {
        Self { of_client: Events::with_capacity(events), records: Vec::new() }
    }

    /// The events, oldest first. `for event in &events` does the same.
    ///
    /// ```
    /// # use tox_relay_client::pool::{PoolEvent, PoolEvents};
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, _) = shared::pool();
    /// # let mut events = PoolEvents::with_capacity(256);
    /// pool.poll(&mut events, Some(std::time::Duration::ZERO))?;
    /// let lost = events.iter().filter(|event| matches!(event, PoolEvent::PeerOffline { .. }));
    /// println!("{} peers have gone offline", lost.count());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// # assert!(index > 0 && index == events.len());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get(&self, index: usize) -> Option<PoolEvent<'_>> {
        self.records.get(index).map(|record| self.view(record))
    }

    /// The number of events. With the pool's own, it may be larger than the [`capacity`](Self::capacity).
    ///
    /// ```
    /// # use tox_relay_client::pool::PoolEvents;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, _) = shared::pool();
    /// # let mut events = PoolEvents::with_capacity(256);
    /// let relay = pool.relays().next().ok_or("no relay")?;
    /// pool.remove_relay(relay);
    /// pool.poll(&mut events, Some(std::time::Duration::ZERO))?;
    /// assert_eq!(events.len(), 2); // the relay is down, and the friend was online only there
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are no events.
    ///
    /// ```
    /// # use tox_relay_client::pool::PoolEvents;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, _) = shared::pool();
    /// # let mut events = PoolEvents::with_capacity(256);
    /// pool.poll(&mut events, Some(std::time::Duration::ZERO))?;
    /// if events.is_empty() {
    ///     println!("nothing happened");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many events of its connections a poll reads at most.
    ///
    /// ```
    /// # use tox_relay_client::pool::PoolEvents;
    /// assert_eq!(PoolEvents::with_capacity(256).capacity(), 256);
    /// assert_eq!(PoolEvents::with_capacity(0).capacity(), 2);
    /// ```
    pub fn capacity(&self) -> usize {
        self.of_client.capacity()
    }

    /// Removes all events. Each poll does this first.
    ///
    /// ```
    /// # use tox_relay_client::pool::PoolEvents;
    /// let mut events = PoolEvents::with_capacity(256);
    /// events.clear();
    /// assert!(events.is_empty());
    /// ```
    pub fn clear(&mut self) {
        self.of_client.clear();
        self.records.clear();
    }

    fn view(&self, record: &Record) -> PoolEvent<'_> {
        record.map(|range| self.of_client.payload(range), |index| self.of_client.status(*index))
    }
}

impl fmt::Debug for PoolEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// An iterator over the events of a poll of a pool.
#[derive(Clone)]
pub struct Iter<'a> {
    events: &'a PoolEvents,
    records: std::slice::Iter<'a, Record>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = PoolEvent<'a>;

    fn next(&mut self) -> Option<PoolEvent<'a>> {
        self.records.next().map(|record| self.events.view(record))
    }

    fn nth(&mut self, n: usize) -> Option<PoolEvent<'a>> {
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

impl<'a> IntoIterator for &'a PoolEvents {
    type Item = PoolEvent<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::DisconnectReason;
    use crate::event::Event;
    use crate::id::ConnectionId;
    use crate::pool::event::{MoveCause, OwnedPoolEvent};
    use crate::pool::id::{PeerId, RelayId};
    use crate::status::ConnectionStatus;

    const CONNECTION: ConnectionId = ConnectionId { index: 1, generation: 2 };
    const PAYLOADS: [&[u8]; 2] = [b"first", b"second one"];

    fn statuses() -> [ConnectionStatus; 2] {
        [0, 1].map(|queued| ConnectionStatus { queued, ..ConnectionStatus::example(CONNECTION) })
    }

    /// One of each kind, of those with a payload or a status two.
    fn every_event(statuses: &[ConnectionStatus; 2]) -> Vec<PoolEvent<'_>> {
        let [peer, relay, from] = [3, 4, 5];
        let (peer, relay, from, token) = (PeerId(peer), RelayId(relay), RelayId(from), 7);
        let (sender, reason, [data, other]) = ([8; 32].into(), DisconnectReason::PingFlood, PAYLOADS);
        vec![
            PoolEvent::RelayUp { relay, token },
            PoolEvent::PeerOnline { peer, token, relay },
            PoolEvent::Data { peer, token, relay, data },
            PoolEvent::Data { peer, token, relay, data: other },
            PoolEvent::Oob { relay, token, sender, data },
            PoolEvent::OnionResponse { relay, token, data },
            PoolEvent::Forwarding { relay, token, data: other },
            PoolEvent::PeerMoved { peer, token, from, relay, cause: MoveCause::Full },
            PoolEvent::Writable { peer, token },
            PoolEvent::RelayWritable { relay, token },
            PoolEvent::Unsent { peer, token, relay, bytes: 9 },
            PoolEvent::PeerOffline { peer, token },
            PoolEvent::RelayDown { relay, token, reason, status: &statuses[0] },
            PoolEvent::RelayDown { relay, token, reason, status: &statuses[1] },
            PoolEvent::RouteRefused { peer, token, relay },
            PoolEvent::RelayRefused { relay, token },
        ]
    }

    #[test]
    fn an_event_tells_its_peer_its_relay_and_its_token() {
        for event in every_event(&statuses()) {
            let shown = format!("{event:?}");
            let has = |field: &str| shown.contains(&format!(" {field}: "));
            assert_eq!(event.peer(), has("peer").then_some(PeerId(3)), "{shown}");
            assert_eq!(event.relay(), has("relay").then_some(RelayId(4)), "{shown}");
            assert_eq!(event.token(), 7, "{shown}");
        }
    }

    #[test]
    fn an_event_that_is_kept_is_the_same() {
        for event in every_event(&statuses()) {
            let kept = event.to_owned();
            assert_eq!(format!("{kept:?}"), format!("{event:?}"));
            assert_eq!(kept.as_event(), event);
            assert_eq!(OwnedPoolEvent::from(event), kept);
        }
    }

    #[test]
    fn events_have_their_payloads_and_statuses_and_are_as_many_as_is_said() {
        let (statuses, mut events) = (statuses(), PoolEvents::with_capacity(8));
        for (data, status) in std::iter::zip(PAYLOADS, &statuses) {
            let (connection, token, reason) = (CONNECTION, 0, DisconnectReason::ClosedByCaller);
            events.of_client.push(Event::OnionResponse { connection, token, data });
            events.of_client.push(Event::Disconnected { connection, token, reason, status });
        }
        assert!(events.is_empty());
        let all = every_event(&statuses);
        let range = |data: &&[u8]| if *data == PAYLOADS[0] { 0..5 } else { 5..15 };
        events.records.extend(all.iter().map(|event| event.map(range, |status| status.queued as u32)));
        assert_eq!(events.iter().collect::<Vec<_>>(), all);
        assert_eq!(format!("{events:?}"), format!("{all:?}"));
        assert_eq!((events.len(), events.iter().len(), events.is_empty()), (all.len(), all.len(), false));
        for index in 0..=all.len() {
            assert_eq!(events.get(index), all.get(index).copied());
            assert_eq!(events.iter().nth(index), events.get(index));
        }
        events.clear();
        assert!(events.is_empty() && events.iter().next().is_none() && events.of_client.is_empty());
    }

    #[test]
    fn a_capacity_has_the_limits_of_the_client() {
        for (asked, given) in [(0, 2), (256, 256), ((1 << 20) + 1, 1 << 20)] {
            assert_eq!(PoolEvents::with_capacity(asked).capacity(), given);
        }
    }
}
