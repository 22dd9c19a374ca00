//! Two connections of our client to the relay, with a route between them, and their events.
//!
//! Both belong to one client, with two identities, so that one poll waits for both.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tox_relay_client::{Client, Config, DisconnectReason, Event, Events};
use tox_relay_client::{ConnectionId, RouteId, SecretKey};

use crate::testbed::Testbed;

/// The limit for what takes some seconds on such a line, on a machine that is busy with other tests too. Only a failing
/// test waits this long.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The longest data that Tox sends.
pub const LENGTH: usize = 1400;

/// The most packets in flight, in each direction. The relay discards what it cannot write to a socket, and stops
/// reading forever if more than 64 KiB are queued for it.
const WINDOW: usize = 12;

/// An event of our client, with a copy of its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceivedEvent {
    Connected(ConnectionId),
    Disconnected(ConnectionId, DisconnectReason),
    Opened(RouteId),
    Online(RouteId),
    Offline(RouteId),
    Data(RouteId, Vec<u8>),
    Writable(ConnectionId),
}

/// A client of ours, and the two identities with which it connects.
pub struct TwoIdentities {
    pub client: Client,
    pub identities: [SecretKey; 2],
    events: Events,
    received: VecDeque<ReceivedEvent>,
}

/// A route between the two connections: the id at each of its ends.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The connections of its two ends.
    pub connections: [ConnectionId; 2],
    pub there: RouteId,
    pub back: RouteId,
}

impl Route {
    /// The events until both ends are online.
    pub fn events(&self) -> impl Iterator<Item = ReceivedEvent> + use<> {
        let ends = [self.there, self.back].into_iter();
        ends.flat_map(|end| [ReceivedEvent::Opened(end), ReceivedEvent::Online(end)])
    }
}

impl TwoIdentities {
    pub fn new(configure: impl FnOnce(Config) -> Config) -> Self {
        let identities = [SecretKey::generate(), SecretKey::generate()];
        let client = Client::new(configure(Config::new(identities[0].clone()))).unwrap();
        Self { client, identities, events: Events::with_capacity(256), received: VecDeque::new() }
    }

    /// Connects both identities, and opens a route between them.
    pub fn connect_both(&mut self, testbed: &Testbed) -> Route {
        let both = self.identities.clone().map(|identity| self.connect(testbed, &identity));
        self.expect_all(both.map(ReceivedEvent::Connected));
        self.open_routes(both[0], both[1])
    }

    /// Starts to connect with this identity.
    pub fn connect(&mut self, testbed: &Testbed, identity: &SecretKey) -> ConnectionId {
        self.client.connect(testbed.relay().identity(identity.clone())).unwrap()
    }

    /// Opens a route from each of the two connections to the other, and waits until both are online.
    pub fn open_routes(&mut self, near: ConnectionId, far: ConnectionId) -> Route {
        let route = self.request(near, far);
        self.expect_all(route.events());
        route
    }

    /// Requests a route from each of the two connections to the other.
    pub fn request(&mut self, near: ConnectionId, far: ConnectionId) -> Route {
        let [near_key, far_key] =
            [near, far].map(|connection| self.client.connection(connection).unwrap().identity);
        let there = self.client.open_route(near, far_key).unwrap();
        let back = self.client.open_route(far, near_key).unwrap();
        Route { connections: [near, far], there, back }
    }

    /// Waits for these events, in any order. Any other event is an error.
    pub fn expect_all(&mut self, events: impl IntoIterator<Item = ReceivedEvent>) {
        let mut expected: Vec<_> = events.into_iter().collect();
        while !expected.is_empty() {
            let event = self.next();
            let index = expected.iter().position(|candidate| *candidate == event);
            expected.swap_remove(index.unwrap_or_else(|| panic!("{event:?} instead of {expected:?}")));
        }
    }

    /// Waits for the next event.
    pub fn next(&mut self) -> ReceivedEvent {
        self.next_before(Instant::now() + LIMIT).unwrap_or_else(|| panic!("no event within {LIMIT:?}"))
    }

    /// Waits for the next event, or returns `None` after the deadline.
    pub fn next_before(&mut self, deadline: Instant) -> Option<ReceivedEvent> {
        loop {
            // The clock is read before the poll, so that there is a poll after the deadline, even on a busy machine.
            let left = deadline.saturating_duration_since(Instant::now());
            if self.received.is_empty() {
                self.client.poll(&mut self.events, Some(left)).unwrap();
                self.received.extend(self.events.iter().map(ReceivedEvent::from));
            }
            if !self.received.is_empty() || left.is_zero() {
                return self.received.pop_front();
            }
        }
    }

    /// Sends this number of packets in each direction, and waits until all have arrived, each once and in order.
    pub fn exchange(&mut self, route: Route, packets: usize) {
        let ends = [route.there, route.back];
        let (mut sent, mut arrived) = ([0; 2], [0; 2]);
        while arrived != [packets; 2] {
            for direction in 0..2 {
                while sent[direction] < packets.min(arrived[direction] + WINDOW) {
                    self.client.send_data(ends[direction], &numbered(sent[direction])).unwrap();
                    sent[direction] += 1;
                }
            }
            match self.next() {
                ReceivedEvent::Data(end, data) => {
                    let direction = usize::from(end == route.there); // data received at one end were sent at the other
                    assert_numbered(&data, arrived[direction]);
                    arrived[direction] += 1;
                }
                event => panic!("{event:?} after {arrived:?} packets"),
            }
        }
    }
}

impl From<Event<'_>> for ReceivedEvent {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Connected { connection, .. } => Self::Connected(connection),
            Event::Disconnected { connection, reason, .. } => Self::Disconnected(connection, reason),
            Event::RouteOpened { route, .. } => Self::Opened(route),
            Event::RouteOnline { route, .. } => Self::Online(route),
            Event::RouteOffline { route, .. } => Self::Offline(route),
            Event::Data { route, data, .. } => Self::Data(route, data.to_vec()),
            Event::Writable { connection, .. } => Self::Writable(connection),
            other => panic!("an event that these tests do not handle: {other:?}"),
        }
    }
}

/// Data that are different for each number.
pub fn numbered(number: usize) -> Vec<u8> {
    (number as u64).to_be_bytes().into_iter().cycle().take(LENGTH).collect()
}

/// Asserts that these are the data of this number. The message has only their first bytes, since all would be too long.
pub fn assert_numbered(data: &[u8], number: usize) {
    assert!(data == numbered(number), "{:?} instead of packet {number}", data.get(..size_of::<u64>()));
}
