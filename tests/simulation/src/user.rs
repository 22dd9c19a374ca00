//! One client: its connections to all relays, its calls, and the events that it may receive.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tox_relay_client::proto::{Connection, KeyPair, Parameters, SharedKey};
use tox_relay_client::{
    Config, ConnectionId, Destination, Event, Events, PublicKey, Relay, RouteId, RouteState, SecretKey,
    SendError,
};
use tox_test_relay::kind;

use crate::endpoint::{Endpoint, MAX_PER_PACKET, ping};
use crate::link::{Link, Packet};
use crate::relay::STRANGER;
use crate::rng::Rng;

/// At the start of each payload: who sent it to whom over which relay, and a number that only grows.
const LABEL: usize = 2 + 2 + 2 + 8;

pub struct User {
    index: usize,
    pub key: PublicKey,
    /// The keys of all users, by index.
    pub everybody: Rc<[PublicKey]>,
    identity: KeyPair,
    /// By relay: a hello that an attacker has recorded.
    recorded: Vec<Option<Vec<u8>>>,
    /// One for each relay.
    pub endpoints: Vec<Option<Endpoint>>,
    /// It does not poll before then.
    pub asleep_until: Option<Instant>,
    /// The most milliseconds between two of its polls.
    absences: usize,
    /// The time of its last poll.
    last_poll: Instant,
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
    /// Those of them that did not get the first of their addresses.
    pub later_address: u64,
    /// Those of them to which an attacker had replayed a hello before.
    pub replayed: u64,
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
        self.later_address += other.later_address;
        self.replayed += other.replayed;
        self.ended += other.ended;
        self.online += other.online;
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.received += other.received;
    }
}

impl User {
    pub fn new(index: usize, relays: usize, now: Instant, rng: &mut Rng) -> Self {
        let identity = KeyPair::from(SecretKey::from(rng.bytes::<32>()));
        Self {
            index,
            key: identity.public_key(),
            everybody: Rc::default(),
            identity,
            recorded: vec![None; relays],
            endpoints: (0..relays).map(|_| None).collect(),
            asleep_until: None,
            absences: if rng.one_in(3) { 3_000 } else { 0 },
            last_poll: now,
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
        index: usize,
        relay_key: [u8; 32],
        now: Instant,
        rng: &mut Rng,
    ) -> Rc<RefCell<Link>> {
        assert!(self.endpoints[index].is_none());
        self.generation += 1;
        let relay_key = PublicKey::from(relay_key);
        let shared_key = Arc::new(SharedKey::new(&self.identity, &relay_key).expect("a good key"));
        let settings =
            Config::new(SecretKey::from([1; 32])).send_queue(rng.magnitude(4_068, 128 * 1024)).settings();
        let id = ConnectionId::from(u64::from(self.generation) << 32 | index as u64);
        // Only one of the addresses is the relay's.
        let count = if rng.one_in(3) { rng.range(2, 4) } else { 1 };
        let working = 33445 + rng.range(0, count - 1) as u16;
        let relay = Relay::new("192.0.2.1:33445", relay_key);
        let relay = (1..count as u16).fold(relay, |relay, number| {
            relay.address((std::net::Ipv4Addr::new(192, 0, 2, 1), 33445 + number))
        });
        let parameters = Parameters::new(id, shared_key, &relay, ping(rng))
            .expect("a good relay")
            .settings(Arc::new(settings.expect("good settings")));
        let link = Rc::new(RefCell::new(Link::new(now, rng)));
        let connection = Connection::new(parameters, now);
        self.endpoints[index] =
            Some(Endpoint::new(index, connection, working, self.recorded[index].clone(), Rc::clone(&link)));
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
        let since = std::mem::replace(&mut self.last_poll, now);
        for endpoint in self.endpoints.iter_mut().flatten().filter(|endpoint| endpoint.has_input(now)) {
            endpoint.ready_since.get_or_insert(since);
        }
        // The room for events that is left in this poll, in shares for the connections that have not had their turn.
        let mut room = rng.magnitude(2, 300);
        let count = self.endpoints.len();
        for (done, relay) in (self.first..self.first + count).map(|relay| relay % count).enumerate() {
            let Some(mut endpoint) = self.endpoints[relay].take() else { continue };
            if endpoint.ready_since.is_some() && room < MAX_PER_PACKET {
                self.first = relay;
                self.endpoints[relay] = Some(endpoint);
                break;
            }
            let mut events = Events::with_capacity(room / (count - done));
            let end = endpoint.turn(now, &mut events, rng);
            room = room.saturating_sub(events.len());
            for event in &events {
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
                self.totals.later_address += u64::from(endpoint.working > 33445);
                self.totals.replayed += u64::from(endpoint.replayed);
                if endpoint.next_recorded.is_some() {
                    self.recorded[endpoint.relay] = endpoint.next_recorded.take();
                }
            }
            Event::RouteOpened { route, peer, .. } => {
                endpoint.change_route(route, peer, RouteState::Requested, RouteState::Offline)
            }
            Event::RouteOnline { route, peer, .. } => {
                self.totals.online += 1;
                endpoint.change_route(route, peer, RouteState::Offline, RouteState::Online);
            }
            Event::RouteOffline { route, peer, unsent, .. } => {
                endpoint.change_route(route, peer, RouteState::Online, RouteState::Offline);
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
                endpoint.connection.ping(self.last_poll, ping(rng));
                endpoint.flush(self.last_poll, rng); // as the loop does: the program may be absent then
            }
            2 if rng.one_in(6) => {
                endpoint.connection.handle_network_changed(self.last_poll, ping(rng));
                endpoint.flush(self.last_poll, rng);
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
                (endpoint.was_refused, endpoint.awaits_writable) = (true, true);
                self.totals.refused += 1;
            }
            Err(SendError::RouteOffline) => {}
            Err(error) => panic!("{error}"),
        }
    }
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
