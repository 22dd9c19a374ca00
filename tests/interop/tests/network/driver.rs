//! Two connections of ours to the relay, with a route to each other, and what they tell.
//!
//! They are two identities of one client, so that one poll waits for both.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tox_relay_client::{Client, Config, DisconnectReason, Event, Events};
use tox_relay_client::{RelayId, RouteId, SecretKey};

use crate::testbed::Testbed;

/// For whatever takes some seconds on such a line, on a machine that is busy with other tests as well: a guard, which no
/// test waits for.
pub const LIMIT: Duration = Duration::from_secs(60);

/// What Tox sends at most.
pub const LENGTH: usize = 1400;

/// The packets that may be on their way, each way. The relay throws away what it can't write to a socket, and stalls for
/// good when more than 64 KiB wait for it.
const WINDOW: usize = 12;

/// An event, with data of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Connected(RelayId),
    Disconnected(RelayId, DisconnectReason),
    Opened(RouteId),
    Online(RouteId),
    Offline(RouteId),
    Data(RouteId, Vec<u8>),
    Writable(RelayId),
}

/// A client of ours, and the two identities that it connects with.
pub struct Ours {
    pub client: Client,
    pub identities: [SecretKey; 2],
    events: Events,
    told: VecDeque<Told>,
}

/// One route, seen from both of its ends.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    pub there: RouteId,
    pub back: RouteId,
}

impl Ours {
    pub fn new(configure: impl FnOnce(Config) -> Config) -> Self {
        let identities = [SecretKey::generate(), SecretKey::generate()];
        let client = Client::new(configure(Config::new(identities[0].clone()))).unwrap();
        Self { client, identities, events: Events::with_capacity(256), told: VecDeque::new() }
    }

    /// Connects both identities, with a route between them.
    pub fn meet(&mut self, testbed: &Testbed) -> Route {
        let both = self.identities.clone().map(|identity| self.connect(testbed, &identity));
        self.expect_all(both.map(Told::Connected));
        self.join(both[0], both[1])
    }

    /// Begins to connect with this identity.
    pub fn connect(&mut self, testbed: &Testbed, identity: &SecretKey) -> RelayId {
        self.client.connect(testbed.relay().identity(identity.clone())).unwrap()
    }

    /// Opens a route from each of the two to the other.
    pub fn join(&mut self, near: RelayId, far: RelayId) -> Route {
        let route = self.request(near, far);
        self.expect_all(route.told());
        route
    }

    /// Requests a route from each of the two to the other.
    pub fn request(&mut self, near: RelayId, far: RelayId) -> Route {
        let [near_key, far_key] = [near, far].map(|relay| self.client.relay(relay).unwrap().identity);
        let there = self.client.open_route(near, far_key).unwrap();
        let back = self.client.open_route(far, near_key).unwrap();
        Route { there, back }
    }

    /// Waits for these events, in any order, and takes no others.
    pub fn expect_all(&mut self, events: impl IntoIterator<Item = Told>) {
        let mut expected: Vec<_> = events.into_iter().collect();
        while !expected.is_empty() {
            let told = self.next();
            let place = expected.iter().position(|event| *event == told);
            expected.swap_remove(place.unwrap_or_else(|| panic!("{told:?} instead of {expected:?}")));
        }
    }

    /// The next event, which is waited for.
    pub fn next(&mut self) -> Told {
        self.next_before(Instant::now() + LIMIT).unwrap_or_else(|| panic!("no event within {LIMIT:?}"))
    }

    /// The next event, if there is one before that time.
    pub fn next_before(&mut self, deadline: Instant) -> Option<Told> {
        loop {
            // Looked at first, so that a machine that was busy until then polls once more.
            let left = deadline.saturating_duration_since(Instant::now());
            if self.told.is_empty() {
                self.client.poll(&mut self.events, Some(left)).unwrap();
                self.told.extend(self.events.iter().map(Told::from));
            }
            if !self.told.is_empty() || left.is_zero() {
                return self.told.pop_front();
            }
        }
    }

    /// Sends so many packets each way, and waits until all of them have arrived, once and in order.
    pub fn exchange(&mut self, route: Route, packets: usize) {
        let ends = [route.there, route.back];
        let (mut sent, mut arrived) = ([0; 2], [0; 2]);
        while arrived != [packets; 2] {
            for way in 0..2 {
                while sent[way] < packets.min(arrived[way] + WINDOW) {
                    self.client.send_data(ends[way], &numbered(sent[way])).unwrap();
                    sent[way] += 1;
                }
            }
            match self.next() {
                Told::Data(end, data) => {
                    let way = usize::from(end == route.there); // what comes here was sent on the way back
                    assert_numbered(&data, arrived[way]);
                    arrived[way] += 1;
                }
                told => panic!("{told:?} after {arrived:?} packets"),
            }
        }
    }
}

impl Route {
    /// What is told of it until both ends are online.
    pub fn told(self) -> impl Iterator<Item = Told> {
        [self.there, self.back].into_iter().flat_map(|end| [Told::Opened(end), Told::Online(end)])
    }
}

impl From<Event<'_>> for Told {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Connected { relay } => Self::Connected(relay),
            Event::Disconnected { relay, reason } => Self::Disconnected(relay, reason),
            Event::RouteOpened { route, .. } => Self::Opened(route),
            Event::RouteOnline { route, .. } => Self::Online(route),
            Event::RouteOffline { route, .. } => Self::Offline(route),
            Event::Data { route, data, .. } => Self::Data(route, data.to_vec()),
            Event::Writable { relay } => Self::Writable(relay),
            other => panic!("an event that these tests don't know: {other:?}"),
        }
    }
}

/// Data that tell one packet from the others.
pub fn numbered(number: usize) -> Vec<u8> {
    (number as u64).to_be_bytes().into_iter().cycle().take(LENGTH).collect()
}

/// They have arrived whole, and next after those before. (All of them would be too long to print.)
pub fn assert_numbered(data: &[u8], number: usize) {
    assert!(data == numbered(number), "{:?} instead of packet {number}", data.get(..size_of::<u64>()));
}
