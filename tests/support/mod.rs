//! Shared by the tests of the loop: clients that record their events, polled together until a condition holds.

#![allow(dead_code, reason = "each test file uses its part of it")]

pub mod child_process;
pub mod paired_identities;
pub mod scripted_proxy;
pub mod scripted_relay;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use tox_relay_client::{
    Client, Config, ConnectionId, ConnectionStatus, Destination, DisconnectReason, Event, Events, Hint,
    Party, PublicKey, Relay, RouteError, RouteId, SecretKey, SendError, Stage,
};
pub use tox_test_relay::{Conduct, Options, Relay as TestRelay};

/// Only a failing test waits this long.
pub const GUARD: Duration = Duration::from_secs(20);

/// The longest time in which something is reported "at once": less than the default timeouts, which are 10 s.
pub const AT_ONCE: Duration = Duration::from_secs(5);

/// A timeout that tests wait for.
pub const SHORT: Duration = Duration::from_millis(150);

/// The timeout of a poll when several clients are polled in turn.
const TURN: Duration = Duration::from_millis(1);

/// An event that owns its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reported {
    Connected(ConnectionId),
    Disconnected(ConnectionId, DisconnectReason),
    Opened(RouteId, PublicKey),
    Refused(RouteId, PublicKey),
    Online(RouteId, PublicKey),
    Offline(RouteId, PublicKey),
    Data(RouteId, PublicKey, Vec<u8>),
    Oob(ConnectionId, PublicKey, Vec<u8>),
    Onion(ConnectionId, Vec<u8>),
    Forwarding(ConnectionId, Vec<u8>),
    Writable(ConnectionId),
}

impl From<Event<'_>> for Reported {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Connected { connection, .. } => Self::Connected(connection),
            Event::Disconnected { connection, reason, .. } => Self::Disconnected(connection, reason),
            Event::RouteOpened { route, peer, .. } => Self::Opened(route, peer),
            Event::RouteRefused { route, peer, .. } => Self::Refused(route, peer),
            Event::RouteOnline { route, peer, .. } => Self::Online(route, peer),
            Event::RouteOffline { route, peer, .. } => Self::Offline(route, peer),
            Event::Data { route, peer, data, .. } => Self::Data(route, peer, data.to_vec()),
            Event::Oob { connection, sender, data, .. } => Self::Oob(connection, sender, data.to_vec()),
            Event::OnionResponse { connection, data, .. } => Self::Onion(connection, data.to_vec()),
            Event::Forwarding { connection, data, .. } => Self::Forwarding(connection, data.to_vec()),
            Event::Writable { connection, .. } => Self::Writable(connection),
            event => panic!("a kind of event without a case here: {event:?}"),
        }
    }
}

/// A client, and all events that it has reported.
pub struct Peer {
    pub client: Client,
    pub key: PublicKey,
    /// Oldest first.
    pub reported: Vec<Reported>,
    /// The final statuses of connections, oldest first.
    pub ended: Vec<ConnectionStatus>,
    pub events: Events,
}

impl Peer {
    pub fn new() -> Self {
        Self::with(|config| config)
    }

    /// A client with settings that differ from the defaults.
    pub fn with(settings: impl FnOnce(Config) -> Config) -> Self {
        let client = Client::new(settings(Config::new(SecretKey::generate()))).unwrap();
        Self {
            key: client.public_key(),
            client,
            reported: Vec::new(),
            ended: Vec::new(),
            events: Events::with_capacity(256),
        }
    }

    /// With room for this many events in each poll.
    #[must_use]
    pub fn capacity(mut self, events: usize) -> Self {
        self.events = Events::with_capacity(events);
        self
    }

    /// Begins to connect.
    pub fn begin(&mut self, relay: &TestRelay) -> ConnectionId {
        self.client.connect(address(relay)).unwrap()
    }

    /// Connects, and returns when it is connected.
    #[track_caller]
    pub fn connect(&mut self, relay: &TestRelay) -> ConnectionId {
        let id = self.begin(relay);
        self.until("connected", |peer| peer.reported.contains(&Reported::Connected(id)));
        id
    }

    /// Polls once, and records the events.
    pub fn poll(&mut self, timeout: Duration) {
        self.client.poll(&mut self.events, Some(timeout)).unwrap();
        self.reported.extend(self.events.iter().map(Reported::from));
        self.ended.extend(self.events.iter().filter_map(|event| match event {
            Event::Disconnected { status, .. } => Some(status.clone()),
            _ => None,
        }));
    }

    /// Polls until `holds` returns true. Fails with `what` if that takes too long.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let guard = Instant::now() + GUARD;
        while !holds(self) {
            assert!(Instant::now() < guard, "not within {GUARD:?}: {what}; reported: {:?}", self.tail());
            self.poll(Duration::from_millis(10));
        }
    }

    /// Polls until a connection has ended, and returns the reason.
    #[track_caller]
    pub fn end(&mut self, relay: ConnectionId) -> DisconnectReason {
        let mut reason = None;
        self.until("the end", |peer| {
            reason = peer.ends(relay).first().copied();
            reason.is_some()
        });
        reason.unwrap()
    }

    /// The final status of a connection that has ended.
    #[track_caller]
    pub fn final_status(&self, connection: ConnectionId) -> &ConnectionStatus {
        self.ended.iter().find(|status| status.connection == connection).expect("an end that was reported")
    }

    /// The connection of a route that is not closed.
    #[track_caller]
    pub fn connection_of(&self, route: RouteId) -> ConnectionId {
        self.client.route(route).expect("a route").connection
    }

    /// All reported ends of a connection.
    pub fn ends(&self, relay: ConnectionId) -> Vec<DisconnectReason> {
        let end = |reported: &Reported| match *reported {
            Reported::Disconnected(id, reason) if id == relay => Some(reason),
            _ => None,
        };
        self.reported.iter().filter_map(end).collect()
    }

    /// The data received on all routes, in order.
    pub fn data(&self) -> Vec<&[u8]> {
        let data = |reported: &'_ Reported| matches!(reported, Reported::Data(..));
        self.reported.iter().filter(|reported| data(reported)).map(payload).collect()
    }

    /// The key in the type that the test relay uses.
    pub fn raw_key(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// The last events, for messages of failed tests.
    fn tail(&self) -> &[Reported] {
        &self.reported[self.reported.len().saturating_sub(20)..]
    }
}

/// The data of an event; empty if it has none.
pub fn payload(reported: &Reported) -> &[u8] {
    match reported {
        Reported::Data(_, _, data)
        | Reported::Oob(_, _, data)
        | Reported::Onion(_, data)
        | Reported::Forwarding(_, data) => data,
        _ => &[],
    }
}

/// Polls several clients in turn until `holds` returns true. Fails with `what` if that takes too long.
#[track_caller]
pub fn until<const N: usize>(
    mut peers: [&mut Peer; N],
    what: &str,
    mut holds: impl FnMut(&mut [&mut Peer; N]) -> bool,
) {
    let guard = Instant::now() + GUARD;
    while !holds(&mut peers) {
        if Instant::now() >= guard {
            let reported: Vec<_> = peers.iter().map(|peer| peer.tail()).collect();
            panic!("not within {GUARD:?}: {what}; reported: {reported:#?}");
        }
        for peer in &mut peers {
            peer.poll(TURN);
        }
    }
}

/// Opens a route in both directions, and returns when both are online.
#[track_caller]
pub fn open_routes(a: &mut Peer, at_a: ConnectionId, b: &mut Peer, at_b: ConnectionId) -> (RouteId, RouteId) {
    let to_b = a.client.open_route(at_a, b.key).unwrap();
    let to_a = b.client.open_route(at_b, a.key).unwrap();
    until([&mut *a, &mut *b], "both routes are online", |[a, b]| {
        a.reported.contains(&Reported::Online(to_b, b.key))
            && b.reported.contains(&Reported::Online(to_a, a.key))
    });
    (to_b, to_a)
}

/// Two clients that are connected to one relay, and online to each other.
pub struct OnlinePair {
    pub a: Peer,
    pub b: Peer,
    pub at_a: ConnectionId,
    pub at_b: ConnectionId,
    pub to_b: RouteId,
    pub to_a: RouteId,
}

impl OnlinePair {
    #[track_caller]
    pub fn on(relay: &TestRelay) -> Self {
        Self::of(relay, Peer::new(), Peer::new())
    }

    #[track_caller]
    pub fn of(relay: &TestRelay, mut a: Peer, mut b: Peer) -> Self {
        let (at_a, at_b) = (a.connect(relay), b.connect(relay));
        let (to_b, to_a) = open_routes(&mut a, at_a, &mut b, at_b);
        a.reported.clear();
        b.reported.clear();
        Self { a, b, at_a, at_b, to_b, to_a }
    }

    /// Polls both until `holds` returns true.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let guard = Instant::now() + GUARD;
        while !holds(self) {
            let reported = [self.a.tail(), self.b.tail()];
            assert!(Instant::now() < guard, "not within {GUARD:?}: {what}; reported: {reported:#?}");
            self.a.poll(TURN);
            self.b.poll(TURN);
        }
    }
}

/// The end of a direct connection that the relay closes in this stage, without sending anything more.
pub fn closed(stage: Stage) -> DisconnectReason {
    let hint = if stage == Stage::Handshaking { Hint::OtherKey } else { Hint::SameKey };
    DisconnectReason::Closed { stage, party: Party::Relay, hint: Some(hint) }
}

/// The end of a direct connection on which nothing arrives.
pub fn timed_out(stage: Stage) -> DisconnectReason {
    DisconnectReason::TimedOut { stage, party: Party::Relay, hint: None }
}

/// A relay with this conduct.
pub fn relay(conduct: Conduct) -> TestRelay {
    TestRelay::start(Options { conduct, ..Options::default() }).unwrap()
}

pub fn honest() -> TestRelay {
    relay(Conduct::Honest)
}

/// The relay's address and key, as `connect` needs them.
pub fn address(relay: &TestRelay) -> Relay {
    Relay::new(relay.addr(), relay.public_key().into())
}

/// Waits until the relay has written everything that it was asked to send so far.
#[track_caller]
pub fn wait_until_sent(relay: &TestRelay) {
    relay.wait_until(GUARD, |_| true).expect("an answer of the relay");
}

/// A port on which nothing listens, reserved as long as the socket exists.
pub fn dead_port() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

pub fn any_key() -> PublicKey {
    SecretKey::generate().public_key()
}

/// Data that begin with the packet's number.
pub fn numbered(number: u32, len: usize) -> Vec<u8> {
    let mut data = number.to_be_bytes().repeat(len.div_ceil(4));
    data.truncate(len);
    data
}

/// Every call with the id of a connection that has ended returns the error for that, and its end is not reported again.
#[track_caller]
pub fn assert_ended(peer: &mut Peer, relay: ConnectionId) {
    let anyone = any_key();
    assert!(peer.client.connection(relay).is_none());
    assert!(peer.client.connections().all(|id| id != relay));
    assert_eq!(peer.client.routes(relay).count(), 0);
    assert_eq!(peer.client.find_route(relay, &anyone), None);
    assert_eq!(peer.client.open_route(relay, anyone), Err(RouteError::UnknownConnection));
    assert_eq!(peer.client.send_oob(relay, anyone, b"data"), Err(SendError::UnknownConnection));
    assert_eq!(peer.client.send_to(relay, anyone, b"data"), Err(SendError::UnknownConnection));
    assert_eq!(peer.client.send_onion_request(relay, &[0; 200]), Err(SendError::UnknownConnection));
    let destination = Destination::Udp(([127, 0, 0, 1], 1).into());
    assert_eq!(
        peer.client.send_forward_request(relay, destination, b"data"),
        Err(SendError::UnknownConnection)
    );
    assert!(!peer.client.disconnect(relay));
    peer.poll(Duration::from_millis(5));
    assert_eq!(peer.ends(relay).len(), 1, "the end is reported once");
    assert!(
        matches!(peer.reported.last(), Some(Reported::Disconnected(id, _)) if *id == relay),
        "the end is the last event"
    );
}

/// Connects to a relay with this conduct, and asserts the reason of the end.
#[track_caller]
pub fn assert_end(conduct: Conduct, settings: impl FnOnce(Config) -> Config, expected: DisconnectReason) {
    let description = format!("{conduct:?}");
    let relay = relay(conduct);
    let mut peer = Peer::with(settings);
    let start = Instant::now();
    let id = peer.begin(&relay);
    assert_eq!(peer.end(id), expected, "{description}");
    assert!(start.elapsed() < AT_ONCE, "{description}: {:?}", start.elapsed());
    assert_ended(&mut peer, id);
}
