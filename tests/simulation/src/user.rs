//! One client: its connections to all relays, its calls, and the events that it may receive.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::num::NonZeroU64;
use std::ops::AddAssign;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tox_relay_client::internals::{
    AttemptId, Connection, End, Entropy, EventsInternals, KeyPair, Parameters, Settings, Shared, SharedKey,
    connection_id,
};
use tox_relay_client::{
    Destination, DisconnectReason, Event, Events, PublicKey, RouteError, RouteId, RouteState, SecretKey,
    SendError, Stage,
};
use tox_test_relay::kind;

use crate::link::{Link, Packet, Read};
use crate::relay::STRANGER;
use crate::rng::Rng;

/// The most bytes that one turn reads from a connection, as in the loop.
const BUDGET: usize = 64 * 1024;

/// At the start of each payload: who sent it to whom over which relay, and a number that only grows.
const LABEL: usize = 2 + 2 + 2 + 8;

pub struct User {
    index: usize,
    pub key: PublicKey,
    /// The keys of all users, by index.
    pub everybody: Rc<[PublicKey]>,
    identity: KeyPair,
    /// One for each relay.
    pub endpoints: Vec<Option<Endpoint>>,
    /// It does not poll before then.
    pub asleep_until: Option<Instant>,
    /// The most milliseconds between two of its polls.
    absences: usize,
    /// The time of its last poll.
    looked: Instant,
    /// The endpoint that gets its turn first.
    first: usize,
    generation: u32,
    /// Of the last packet sent.
    number: u64,
    /// What has happened to it.
    pub totals: Totals,
    /// Of the last packet received, by relay, sender, and whether it came on a route.
    seen: BTreeMap<(u16, u16, bool), u64>,
}

/// How often each thing happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Connections that were connected.
    pub connected: u64,
    /// Connections that ended by themselves.
    pub ended: u64,
    /// Routes that came online.
    pub online: u64,
    /// Packets that were accepted for sending.
    pub accepted: u64,
    /// Packets that a full queue refused.
    pub refused: u64,
    /// Packets that arrived with a payload.
    pub received: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.connected += other.connected;
        self.ended += other.ended;
        self.online += other.online;
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.received += other.received;
    }
}

/// One connection.
pub struct Endpoint {
    relay: usize,
    pub connection: Connection,
    pub link: Rc<RefCell<Link>>,
    connected: bool,
    /// Bytes that were read and not handled yet, since `Events` was full.
    leftover: Vec<u8>,
    /// Since when it may have had unread input and no turn.
    ready_since: Option<Instant>,
    /// Every route that was ever opened here.
    names: BTreeSet<RouteId>,
    /// Those that are not closed.
    routes: BTreeMap<RouteId, Known>,
    /// A send was refused after the queue was last empty,
    blocked: bool,
    /// and no `Writable` has followed yet.
    unnotified: bool,
    /// The generation of the last route.
    generation: u32,
}

/// What a user knows of a route.
struct Known {
    peer: PublicKey,
    state: RouteState,
}

impl User {
    pub fn new(index: usize, relays: usize, now: Instant, rng: &mut Rng) -> Self {
        let identity = KeyPair::from(SecretKey::from(rng.bytes::<32>()));
        Self {
            index,
            key: identity.public,
            everybody: Rc::default(),
            identity,
            endpoints: (0..relays).map(|_| None).collect(),
            asleep_until: None,
            absences: if rng.one_in(3) { 3_000 } else { 0 },
            looked: now,
            first: 0,
            generation: 0,
            number: 0,
            totals: Totals::default(),
            seen: BTreeMap::new(),
        }
    }

    /// Begins a connection; the other end of the link is for the relay.
    pub fn connect(
        &mut self,
        relay: usize,
        relay_key: [u8; 32],
        now: Instant,
        rng: &mut Rng,
    ) -> Rc<RefCell<Link>> {
        assert!(self.endpoints[relay].is_none());
        self.generation += 1;
        let settings = Settings { send_queue: rng.magnitude(4_068, 128 * 1024), ..Settings::default() };
        let parameters = Parameters {
            id: connection_id(relay as u32, self.generation),
            shared_key: Arc::new(SharedKey::new(&self.identity, &relay_key.into()).expect("a good key")),
            addresses: vec!["192.0.2.2:33445".parse().expect("an address")],
            proxy: None,
            settings: Arc::new(settings),
            connect_timeout: None,
            ping: ping(rng),
            token: relay as u64,
        };
        let entropy = Entropy {
            temporary: SecretKey::from(rng.bytes::<32>()),
            hello_nonce: rng.bytes::<24>().into(),
            base_nonce: rng.bytes::<24>().into(),
        };
        let mut connection = Connection::new(parameters, now);
        connection.begin_attempt(now, entropy).expect("the first attempt");
        let link = Rc::new(RefCell::new(Link::new(now, rng)));
        self.endpoints[relay] = Some(Endpoint {
            relay,
            connection,
            link: Rc::clone(&link),
            connected: false,
            leftover: Vec::new(),
            ready_since: None,
            names: BTreeSet::new(),
            routes: BTreeMap::new(),
            blocked: false,
            unnotified: false,
            generation: 0,
        });
        link
    }

    /// Ends a connection, as the loop does for a caller.
    pub fn disconnect(&mut self, relay: usize, now: Instant, rng: &mut Rng) {
        if let Some(mut endpoint) = self.endpoints[relay].take() {
            endpoint.flush(now, rng);
            let ids: Vec<_> = endpoint.routes.keys().copied().collect();
            ids.into_iter().for_each(|route| endpoint.close(route));
            endpoint.flush(now, rng);
            endpoint.link.borrow_mut().up.close();
        }
    }

    /// Whether it stays away, so that a relay may find it late.
    pub fn is_absent(&self) -> bool {
        self.asleep_until.is_some() || self.absences > 0
    }

    /// Polls always, from now on.
    pub fn come_back(&mut self) {
        (self.asleep_until, self.absences) = (None, 0);
    }

    /// Polls as the loop does: whoever has something to read gets a turn and its share of the events, in a round that
    /// goes on where the last one ended; the others are judged.
    pub fn turn(&mut self, now: Instant, rng: &mut Rng) {
        if self.asleep_until.is_some_and(|until| now < until) {
            return;
        }
        self.asleep_until = (self.absences > 0).then(|| now + rng.millis(0, self.absences));
        let since = std::mem::replace(&mut self.looked, now);
        for endpoint in self.endpoints.iter_mut().flatten().filter(|endpoint| endpoint.has_input(now)) {
            endpoint.ready_since.get_or_insert(since);
        }
        let mut events = Events::with_capacity(rng.magnitude(2, 300));
        let count = self.endpoints.len();
        for (done, relay) in (self.first..self.first + count).map(|relay| relay % count).enumerate() {
            let Some(mut endpoint) = self.endpoints[relay].take() else { continue };
            if endpoint.ready_since.is_some() && !events.has_room() {
                self.first = relay;
                self.endpoints[relay] = Some(endpoint);
                break;
            }
            events.limit(events.room() / (count - done));
            let before = events.len();
            let end = endpoint.turn(now, &mut events, rng);
            events.unlimit();
            for event in events.iter().skip(before) {
                self.handle_event(&mut endpoint, event);
            }
            match end {
                Ok(()) => self.endpoints[relay] = Some(endpoint),
                Err(_) => {
                    self.totals.ended += 1;
                    let mut link = endpoint.link.borrow_mut();
                    link.up.close();
                    link.cut |= rng.one_in(2);
                }
            }
        }
    }

    /// Checks one event against the events that are possible.
    fn handle_event(&mut self, endpoint: &mut Endpoint, event: Event<'_>) {
        assert_eq!(endpoint.connected, !matches!(event, Event::Connected { .. }), "{event:?}");
        match event {
            Event::Connected { connection: relay, .. } => {
                assert_eq!(relay, endpoint.connection.id());
                endpoint.connected = true;
                self.totals.connected += 1;
            }
            Event::RouteOpened { route, peer, .. } => {
                endpoint.turn_route(route, peer, RouteState::Requested, RouteState::Offline)
            }
            Event::RouteOnline { route, peer, .. } => {
                self.totals.online += 1;
                endpoint.turn_route(route, peer, RouteState::Offline, RouteState::Online);
            }
            Event::RouteOffline { route, peer, unsent, .. } => {
                endpoint.turn_route(route, peer, RouteState::Online, RouteState::Offline);
                endpoint.link.borrow_mut().ledger.withdraw(*peer.as_bytes(), unsent);
            }
            Event::RouteRefused { route, peer, .. } => {
                let known = endpoint.routes.remove(&route).expect("a route that is not closed");
                assert_eq!((known.peer, known.state), (peer, RouteState::Requested));
                assert_eq!(peer, self.key, "a relay refuses nobody but ourselves");
            }
            Event::Data { route, peer, data, .. } => {
                let known = &endpoint.routes[&route];
                assert_eq!((known.peer, known.state), (peer, RouteState::Online));
                self.receive(endpoint.relay, peer, true, data);
            }
            Event::Oob { sender, data, .. } => self.receive(endpoint.relay, sender, false, data),
            // This relay reflects both.
            Event::OnionResponse { data, .. } | Event::Forwarding { data, .. } => {
                self.receive(endpoint.relay, self.key, false, data);
            }
            _ => panic!("the loop's own: {event:?}"),
        }
    }

    /// Checks a payload's label and filling.
    fn receive(&mut self, relay: usize, sender: PublicKey, on_route: bool, data: &[u8]) {
        if sender.as_bytes() == &STRANGER {
            return;
        }
        let word = |at: usize| u16::from_be_bytes([data[at], data[at + 1]]);
        let (from, to, over) = (word(0), word(2), word(4));
        let number = u64::from_be_bytes(data[6..LABEL].try_into().expect("8 bytes"));
        assert_eq!((usize::from(to), usize::from(over)), (self.index, relay), "somebody else's packet");
        assert_eq!(data, payload(from, to, over, number, data.len()));
        assert_eq!(sender, self.everybody[usize::from(from)], "from somebody else than it says");
        self.totals.received += 1;
        let last = self.seen.insert((over, from, on_route), number).unwrap_or(0);
        assert!(last < number, "packet {number} of {from} came after {last}");
    }

    /// Does something at random with one of its connections.
    pub fn act(&mut self, rng: &mut Rng) {
        let relay = rng.range(0, self.endpoints.len() - 1);
        let Some(mut endpoint) = self.endpoints[relay].take() else { return };
        let routes: Vec<_> = endpoint.routes.keys().copied().collect();
        match rng.range(0, 9) {
            0 | 1 => {
                let stranger = PublicKey::from(rng.bytes::<32>());
                let peer = match rng.range(0, 12) {
                    0 => self.key,
                    1 => stranger,
                    _ => self.everybody[rng.range(0, self.everybody.len() - 1)],
                };
                endpoint.open(peer);
            }
            2 if rng.one_in(6) => {
                endpoint.connection.ping(self.looked, ping(rng));
            }
            2 if rng.one_in(3) => {
                if let Some(&route) = rng.pick(&routes) {
                    endpoint.close(route);
                }
            }
            _ => {
                let count = rng.magnitude(1, 60);
                for _ in 0..count {
                    self.send(&mut endpoint, &routes, rng);
                }
            }
        }
        self.endpoints[relay] = Some(endpoint);
    }

    /// Sends one packet of any kind, and enters it into the ledger if it was accepted.
    fn send(&mut self, endpoint: &mut Endpoint, routes: &[RouteId], rng: &mut Rng) {
        let to = rng.range(0, self.everybody.len() - 1);
        let peer = self.everybody[to];
        let label = |to: usize, len| {
            payload(self.index as u16, to as u16, endpoint.relay as u16, self.number + 1, len)
        };
        let (sent, packet) = match rng.range(0, 12) {
            0 => {
                let data = label(self.index, rng.magnitude(178 - 24, 1359 - 24));
                let request = [&[7; 24], &data[..]].concat();
                let plaintext = [&[kind::ONION_REQUEST], &request[..]].concat();
                (endpoint.connection.send_onion_request(&request), Packet::Other { plaintext })
            }
            1 => {
                let data = label(self.index, rng.magnitude(LABEL, 1792));
                let destination = Destination::Udp(([127, 0, 0, 1], 0x102).into());
                let head = [kind::FORWARD_REQUEST, 2, 127, 0, 0, 1, 1, 2];
                let plaintext = [&head, &data[..]].concat();
                (endpoint.connection.send_forward_request(destination, &data), Packet::Other { plaintext })
            }
            2 => {
                let data = label(to, rng.magnitude(LABEL, 1024));
                (endpoint.connection.send_oob(peer, &data), oob(&peer, &data))
            }
            3 => {
                let data = label(to, rng.magnitude(LABEL, 1024));
                let sent = endpoint.connection.send_to(peer, &data);
                let is_online = endpoint
                    .routes
                    .values()
                    .any(|known| known.peer == peer && known.state == RouteState::Online);
                let packet = if is_online { in_band(&peer, data) } else { oob(&peer, &data) };
                (sent, packet)
            }
            _ => {
                let Some(&route) = rng.pick(routes) else { return };
                let known = &endpoint.routes[&route];
                let to = self.everybody.iter().position(|key| *key == known.peer);
                let data = label(to.unwrap_or_default(), rng.magnitude(LABEL, 2031));
                let sent = endpoint.connection.send_data(route, &data);
                let is_online = known.state == RouteState::Online;
                assert_eq!(
                    is_online,
                    sent != Err(SendError::RouteOffline),
                    "sent to nobody, or not to somebody"
                );
                (sent, in_band(&known.peer, data))
            }
        };
        match sent {
            Ok(()) => {
                self.number += 1;
                self.totals.accepted += 1;
                endpoint.link.borrow_mut().ledger.accept(packet);
            }
            Err(SendError::WouldBlock) => {
                (endpoint.blocked, endpoint.unnotified) = (true, true);
                self.totals.refused += 1;
            }
            Err(SendError::RouteOffline) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

impl Endpoint {
    /// Whether a turn would have something to do.
    fn has_input(&self, now: Instant) -> bool {
        let link = self.link.borrow();
        match self.connection.stage() {
            Stage::Connecting => link.established <= now,
            _ => !self.leftover.is_empty() || link.down.has_arrived(now),
        }
    }

    /// What the loop does for a connection in one turn.
    fn turn(&mut self, now: Instant, events: &mut Events, rng: &mut Rng) -> Result<(), DisconnectReason> {
        if self.link.borrow().cut {
            return self.connection.handle_end(AttemptId::FIRST, End::Closed);
        }
        let mut end = Ok(());
        if let Some(since) = self.ready_since.take() {
            self.connection.handle_turn(now, since);
            if self.connection.stage() == Stage::Connecting {
                self.connection.handle_connected(now, AttemptId::FIRST);
            }
            end = self.receive(now, events, rng);
        }
        let end = end.and_then(|()| {
            let unread = self.has_input(now);
            if self.connection.deadline() <= now {
                self.connection.handle_timeout(now, unread, ping(rng))?;
            }
            self.flush(now, rng);
            Ok(())
        });
        if let Err(reason) = end {
            self.judge(reason);
        }
        end
    }

    /// Whether the simulation gave a reason for this end.
    fn judge(&self, reason: DisconnectReason) {
        match reason {
            DisconnectReason::Closed { .. } => {}
            DisconnectReason::TimedOut { .. } | DisconnectReason::NoPong(_) => {
                assert!(self.link.borrow().troubled, "{reason}, and nothing was in the way");
            }
            other => panic!("{other}, and the relay is honest"),
        }
    }

    fn receive(&mut self, now: Instant, events: &mut Events, rng: &mut Rng) -> Result<(), DisconnectReason> {
        let mut budget = BUDGET;
        loop {
            let mut bytes = std::mem::take(&mut self.leftover);
            if bytes.is_empty() {
                let most = rng.magnitude(1, BUDGET).min(budget);
                match self.link.borrow_mut().down.read(now, most) {
                    Read::Bytes(read) => bytes = read,
                    Read::Nothing => return Ok(()),
                    Read::End => return self.connection.handle_end(AttemptId::FIRST, End::Closed),
                }
                budget -= bytes.len();
            }
            let taken =
                self.connection.receive(now, AttemptId::FIRST, &mut bytes, &mut Shared::new(), events)?;
            assert!(taken == bytes.len() || !events.has_room(), "bytes left over, and room for events");
            self.leftover = bytes.split_off(taken);
            if budget == 0 || !self.leftover.is_empty() || !events.has_room() {
                return Ok(());
            }
        }
    }

    fn flush(&mut self, now: Instant, rng: &mut Rng) {
        if self.connection.stage() == Stage::Connecting {
            return;
        }
        let mut link = self.link.borrow_mut();
        let mut scratch = vec![0; rng.magnitude(2_050, BUDGET)];
        let all = self.connection.flush(now, AttemptId::FIRST, &mut Shared::new(), &mut scratch, |bytes| {
            let some = rng.magnitude(1, bytes.len());
            match link.up.write(&bytes[..some], now, rng) {
                0 => Err(io::ErrorKind::WouldBlock.into()),
                taken => Ok(taken),
            }
        });
        assert_eq!(all.expect("no error but a full pipe"), !self.connection.has_output(AttemptId::FIRST));
        drop(link);
        if self.connection.take_writable() {
            assert!(self.blocked, "room, and nobody was refused");
            self.unnotified = false;
        }
        // Before it is connected, what was sent counts, too.
        if self.connected && self.connection.queued() == 0 {
            assert!(!self.unnotified, "an empty queue, and nobody is reported");
            self.blocked = false;
        }
        assert!(self.connection.queued() <= 128 * 1024);
        assert!(self.connection.route_count() <= 240);
    }

    fn open(&mut self, peer: PublicKey) {
        let before = self.connection.find_route(&peer);
        self.generation += 1;
        match self.connection.open_route(peer, self.generation, 0) {
            Ok(route) => {
                assert!(before.is_none());
                assert!(self.names.insert(route), "{route} was given out before");
                self.routes.insert(route, Known { peer, state: RouteState::Requested });
            }
            Err(RouteError::Exists(route)) => {
                assert_eq!((Some(route), self.routes[&route].peer), (before, peer));
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Closes a route, after which its id is invalid.
    pub fn close(&mut self, route: RouteId) {
        let known = self.routes.remove(&route).expect("a route that is not closed");
        let unsent = self.connection.close_route(route).expect("a route that is not closed");
        self.link.borrow_mut().ledger.withdraw(*known.peer.as_bytes(), unsent);
        assert_eq!(self.connection.close_route(route), Err(RouteError::UnknownRoute));
        assert_eq!(self.connection.send_data(route, b"x"), Err(SendError::UnknownRoute));
    }

    pub fn close_all(&mut self) {
        let routes: Vec<_> = self.routes.keys().copied().collect();
        routes.into_iter().for_each(|route| self.close(route));
    }

    fn turn_route(&mut self, route: RouteId, peer: PublicKey, from: RouteState, to: RouteState) {
        let known = self.routes.get_mut(&route).expect("a route that is not closed");
        assert_eq!((known.peer, known.state), (peer, from));
        known.state = to;
    }

    /// The routes by peer, and whether they are online.
    pub fn known_routes(&self) -> BTreeMap<[u8; 32], bool> {
        self.routes
            .values()
            .map(|known| (*known.peer.as_bytes(), known.state == RouteState::Online))
            .collect()
    }

    /// Whether nothing is in flight in either direction, and nothing is queued.
    pub fn is_quiet(&self) -> bool {
        let requested = |known: &Known| known.state == RouteState::Requested;
        self.connected
            && !self.connection.has_output(AttemptId::FIRST)
            && !self.unnotified
            && self.leftover.is_empty()
            && !self.routes.values().any(requested)
            && self.link.borrow().ledger.is_settled()
    }
}

fn ping(rng: &mut Rng) -> NonZeroU64 {
    NonZeroU64::new(rng.number()).unwrap_or(NonZeroU64::MIN)
}

fn in_band(peer: &PublicKey, data: Vec<u8>) -> Packet {
    Packet::Data { peer: *peer.as_bytes(), data }
}

fn oob(destination: &PublicKey, data: &[u8]) -> Packet {
    Packet::Other { plaintext: [&[kind::OOB_SEND], &destination.as_bytes()[..], data].concat() }
}

/// A payload that differs from all others: its label, and a filling that depends on it.
fn payload(from: u16, to: u16, over: u16, number: u64, len: usize) -> Vec<u8> {
    let label =
        [&from.to_be_bytes()[..], &to.to_be_bytes(), &over.to_be_bytes(), &number.to_be_bytes()].concat();
    let filling = (LABEL..len).map(|at| (number as usize + at) as u8);
    label.iter().copied().chain(filling).collect()
}
