//! Polls a client of this library, and waits for its events.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use interop::Bootstrapd;
use tox_relay_client::{Client, Config, DisconnectReason, Event, Events, PublicKey};
use tox_relay_client::{ConnectionId, Relay, RouteId, SecretKey};

/// The limit for what takes some milliseconds on an idle machine. Only a failing test waits this long.
pub const LIMIT: Duration = Duration::from_secs(30);

/// The limit for what must be reported at once, on a machine that is busy with other tests too. Far less than the 10 s
/// of the protocol's timeouts.
pub const AT_ONCE: Duration = Duration::from_secs(3);

/// The most packets in flight: with 2031 bytes each they stay below the 64 KiB that the C client can read at a time,
/// and far below what the relay can write to a socket. It discards what it cannot write.
pub const WINDOW: usize = 16;

/// One end of a route, so that one test works with both our client and the C client. Each end has one route at a time.
pub trait End {
    /// Connects to the relay with this key, and waits until it is connected.
    fn connected(relay: &Bootstrapd, secret_key: SecretKey) -> Self;
    /// The public key with which peers request a route to it.
    fn key(&self) -> PublicKey;
    /// Requests a route to `peer`, and waits for the relay's answer.
    fn open(&mut self, peer: PublicKey);
    /// Closes the route.
    fn close(&mut self);
    /// Sends data on the route.
    fn send_data(&mut self, data: &[u8]);
    /// Sends data outside of any route.
    fn send_oob(&mut self, peer: PublicKey, data: &[u8]);
    /// Waits for the next event, which must be that the route is online.
    fn expect_online(&mut self);
    /// Waits for the next event, which must be that the route is offline.
    fn expect_offline(&mut self);
    /// Waits for the next event, which must be these data on the route.
    fn expect_data(&mut self, data: &[u8]);
    /// Waits for the next event, which must be these data outside of any route.
    fn expect_oob(&mut self, sender: PublicKey, data: &[u8]);
    /// Waits until the relay has handled everything that was sent, and asserts that no event but its answer has come.
    fn fence(&mut self);
}

/// An event of our client, with a copy of its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceivedEvent {
    Connected(ConnectionId),
    Disconnected(ConnectionId, DisconnectReason),
    Opened(RouteId),
    Refused(RouteId),
    Online(RouteId),
    Offline(RouteId),
    Data(RouteId, Vec<u8>),
    Oob(PublicKey, Vec<u8>),
    Onion(Vec<u8>),
    Forwarding(Vec<u8>),
    Writable(ConnectionId),
}

/// A client of ours with one relay.
pub struct RustEnd {
    pub client: Client,
    pub relay: ConnectionId,
    /// This end's route.
    route: Option<RouteId>,
    events: Events,
    received: VecDeque<ReceivedEvent>,
}

impl RustEnd {
    /// Starts to connect.
    ///
    /// It has no window, since these tests do not poll the sender while they wait for the receiver; `bulk` has one.
    pub fn begin(config: Config, relay: Relay) -> Self {
        let mut client = Client::new(config.window(None)).unwrap();
        let relay = client.connect(relay).unwrap();
        Self { client, relay, route: None, events: Events::with_capacity(256), received: VecDeque::new() }
    }

    /// Connects with this configuration, and waits until it is connected.
    pub fn with_config(bootstrapd: &Bootstrapd, config: Config) -> Self {
        let mut ours = Self::begin(config, relay_of(bootstrapd));
        assert_eq!(ours.next(), ReceivedEvent::Connected(ours.relay));
        ours
    }

    /// Connects with a new key, and waits until it is connected.
    pub fn new(bootstrapd: &Bootstrapd) -> Self {
        Self::connected(bootstrapd, SecretKey::generate())
    }

    /// Connects to the relay again, after the last connection has ended.
    pub fn reconnect(&mut self, bootstrapd: &Bootstrapd) {
        self.relay = self.client.connect(relay_of(bootstrapd)).unwrap();
        assert_eq!(self.next(), ReceivedEvent::Connected(self.relay));
    }

    /// Waits for the next event.
    pub fn next(&mut self) -> ReceivedEvent {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(event) = self.received.pop_front() {
                return event;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no event within {LIMIT:?}: {:?}", self.client.connection(self.relay));
            self.poll(left);
        }
    }

    /// Returns the next event, or `None` after this time. With a time of zero, it returns only an event that has
    /// already arrived.
    pub fn next_within(&mut self, time: Duration) -> Option<ReceivedEvent> {
        if self.received.is_empty() {
            self.poll(time);
        }
        self.received.pop_front()
    }

    /// Opens a route, and waits for the answer, which must be the next event.
    pub fn open_route(&mut self, peer: PublicKey) -> RouteId {
        let route = self.client.open_route(self.relay, peer).unwrap();
        assert_eq!(self.next(), ReceivedEvent::Opened(route));
        route
    }

    /// Waits for the next event, which must be the end of this connection, and returns its reason.
    pub fn next_reason(&mut self) -> DisconnectReason {
        match self.next() {
            ReceivedEvent::Disconnected(relay, reason) if relay == self.relay => reason,
            other => panic!("{other:?}"),
        }
    }

    fn poll(&mut self, timeout: Duration) {
        self.client.poll(&mut self.events, Some(timeout)).unwrap();
        for event in &self.events {
            if let Event::RouteOpened { route, peer, .. }
            | Event::RouteOnline { route, peer, .. }
            | Event::RouteOffline { route, peer, .. }
            | Event::Data { route, peer, .. } = event
                && let Some(status) = self.client.route(route)
            {
                assert_eq!(status.peer, peer, "{event:?}");
            }
            self.received.push_back(ReceivedEvent::from(event));
        }
    }
}

impl End for RustEnd {
    fn connected(relay: &Bootstrapd, secret_key: SecretKey) -> Self {
        Self::with_config(relay, Config::new(secret_key))
    }

    fn key(&self) -> PublicKey {
        self.client.public_key()
    }

    fn open(&mut self, peer: PublicKey) {
        self.route = Some(self.open_route(peer));
    }

    fn close(&mut self) {
        self.client.close_route(self.route.take().unwrap()).unwrap();
        self.client.flush();
    }

    fn send_data(&mut self, data: &[u8]) {
        self.client.send_data(self.route.unwrap(), data).unwrap();
        self.client.flush();
    }

    fn send_oob(&mut self, peer: PublicKey, data: &[u8]) {
        self.client.send_oob(self.relay, peer, data).unwrap();
        self.client.flush();
    }

    fn expect_online(&mut self) {
        assert_eq!(self.next(), ReceivedEvent::Online(self.route.unwrap()));
    }

    fn expect_offline(&mut self) {
        assert_eq!(self.next(), ReceivedEvent::Offline(self.route.unwrap()));
    }

    fn expect_data(&mut self, data: &[u8]) {
        assert_eq!(self.next(), ReceivedEvent::Data(self.route.unwrap(), data.to_vec()));
    }

    fn expect_oob(&mut self, sender: PublicKey, data: &[u8]) {
        assert_eq!(self.next(), ReceivedEvent::Oob(sender, data.to_vec()));
    }

    fn fence(&mut self) {
        let route = self.open_route(SecretKey::generate().public_key());
        self.client.close_route(route).unwrap();
        self.client.flush();
    }
}

impl From<Event<'_>> for ReceivedEvent {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Connected { connection, .. } => Self::Connected(connection),
            Event::Disconnected { connection, reason, .. } => Self::Disconnected(connection, reason),
            Event::RouteOpened { route, .. } => Self::Opened(route),
            Event::RouteRefused { route, .. } => Self::Refused(route),
            Event::RouteOnline { route, .. } => Self::Online(route),
            Event::RouteOffline { route, .. } => Self::Offline(route),
            Event::Data { route, data, .. } => Self::Data(route, data.to_vec()),
            Event::Oob { sender, data, .. } => Self::Oob(sender, data.to_vec()),
            Event::OnionResponse { data, .. } => Self::Onion(data.to_vec()),
            Event::Forwarding { data, .. } => Self::Forwarding(data.to_vec()),
            Event::Writable { connection, .. } => Self::Writable(connection),
            other => panic!("an event that these tests do not handle: {other:?}"),
        }
    }
}

/// Returns the relay as an argument for our client.
pub fn relay_of(bootstrapd: &Bootstrapd) -> Relay {
    Relay::new(bootstrapd.addr(), bootstrapd.public_key().into())
}

/// Returns two connected ends whose routes to each other are online.
pub fn pair<A: End, B: End>(relay: &Bootstrapd) -> (A, B) {
    let mut a = A::connected(relay, SecretKey::generate());
    let mut b = B::connected(relay, SecretKey::generate());
    open_routes(&mut a, &mut b);
    (a, b)
}

/// Opens a route from each end to the other, from `a` first, and waits until both are online.
pub fn open_routes(a: &mut impl End, b: &mut impl End) {
    a.open(b.key());
    b.open(a.key());
    b.expect_online();
    a.expect_online();
}

/// Data that are different for each number, if they have at least four bytes.
pub fn numbered(number: usize, length: usize) -> Vec<u8> {
    (number as u64).to_be_bytes().into_iter().cycle().skip(4).take(length).collect()
}
