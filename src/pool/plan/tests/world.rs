//! Relays and peers in virtual time, which the plan acts on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};

use crate::advice::Retry;
use crate::config::Relay;
use crate::error::ConnectError;
use crate::id::{ConnectionId, RouteId};
use crate::key::PublicKey;
use crate::pool::id::{PeerId, RelayId};
use crate::pool::origin::Origin;
use crate::pool::plan::{Action, Notice, Observation, Plan};

/// How a relay treats connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conduct {
    Works,
    /// It refuses connections, and has closed those that it had.
    Refuses,
    /// It never answers.
    IsSilent,
    /// It closes each connection right after it was established.
    Closes,
    /// Somebody else answers in its place, and attempts end with this advice.
    IsHijacked(Retry),
    /// `connect` refuses it.
    CannotBeTried,
}

/// How long a relay takes to answer.
const ANSWER: Duration = Duration::from_millis(50);

/// The connect timeout, and the pong timeout.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) start: Instant,
    pub(super) now: Instant,
    conducts: BTreeMap<RelayId, Conduct>,
    pub(super) round_trips: BTreeMap<RelayId, Duration>,
    /// The bytes that are queued for a relay.
    pub(super) queued: BTreeMap<RelayId, usize>,
    /// The peers that are on a relay.
    there: BTreeSet<(RelayId, PeerId)>,
    /// What happens later, in the order in which it was planned.
    later: BTreeMap<(Instant, u32), Later>,
    /// The relays of the connections that the client has, and whether they are established.
    pub(super) connections: BTreeMap<ConnectionId, (RelayId, bool)>,
    /// When a connection has answered last.
    heard: BTreeMap<ConnectionId, Instant>,
    /// The open routes.
    routes: BTreeMap<RouteId, (PeerId, RelayId)>,
    next: u32,
    /// When attempts began.
    pub(super) attempts: Vec<(Instant, RelayId)>,
    pub(super) notices: Vec<(Instant, Notice)>,
    /// When which connection was pinged.
    pub(super) pinged: Vec<(Instant, ConnectionId)>,
    /// How often the plan has woken up.
    pub(super) woken: usize,
}

#[derive(Clone, Copy)]
enum Later {
    Established(ConnectionId),
    Ended(ConnectionId, Retry),
    Pong(ConnectionId),
    RouteOnline(RouteId),
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let now = Instant::now();
        Self {
            plan: Plan::new(128, Duration::from_secs(30), rand::rngs::StdRng::seed_from_u64(seed).random()),
            start: now,
            now,
            conducts: BTreeMap::new(),
            round_trips: BTreeMap::new(),
            queued: BTreeMap::new(),
            there: BTreeSet::new(),
            later: BTreeMap::new(),
            connections: BTreeMap::new(),
            heard: BTreeMap::new(),
            routes: BTreeMap::new(),
            next: 0,
            attempts: Vec::new(),
            notices: Vec::new(),
            pinged: Vec::new(),
            woken: 0,
        }
    }

    /// Adds relays that work.
    pub(super) fn relays(&mut self, count: usize) -> Vec<RelayId> {
        (0..count).map(|_| self.relay(Origin::List)).collect()
    }

    pub(super) fn relay(&mut self, origin: Origin) -> RelayId {
        let key = self.key();
        let id = self.plan.add_relay(Relay::new("8.8.8.8:443", key), origin).unwrap();
        self.conducts.insert(id, Conduct::Works);
        id
    }

    /// Adds a peer that is on these relays, and tied to them.
    pub(super) fn peer(&mut self, relays: &[RelayId]) -> PeerId {
        let key = self.key();
        let peer = self.plan.add_peer(key, 0);
        relays.iter().for_each(|relay| self.tie_there(peer, *relay));
        peer
    }

    /// Adds a peer that is tied to all of these relays, but only on some.
    pub(super) fn peer_on(&mut self, tied: &[RelayId], there: &[RelayId]) -> PeerId {
        let peer = self.peer(there);
        tied.iter().for_each(|relay| self.plan.tie(peer, *relay).unwrap());
        peer
    }

    /// Whether a peer is on a relay that is tied to it.
    pub(super) fn is_there(&self, peer: PeerId, relay: RelayId) -> bool {
        self.there.contains(&(relay, peer))
    }

    /// Ties a peer to a relay on which it is.
    pub(super) fn tie_there(&mut self, peer: PeerId, relay: RelayId) {
        self.plan.tie(peer, relay).unwrap();
        self.come(relay, peer);
    }

    /// A peer comes to a relay.
    pub(super) fn come(&mut self, relay: RelayId, peer: PeerId) {
        self.there.insert((relay, peer));
        let open = self.routes.iter().find(|(_, ends)| **ends == (peer, relay)).map(|(route, _)| *route);
        open.into_iter().for_each(|route| self.plan_for(ANSWER, Later::RouteOnline(route)));
    }

    pub(super) fn key(&mut self) -> PublicKey {
        self.next += 1;
        let mut key = [7; 32];
        key[..4].copy_from_slice(&self.next.to_be_bytes());
        PublicKey::from(key)
    }

    /// Changes how a relay behaves. If it works no more, its connections end.
    pub(super) fn set(&mut self, relay: RelayId, conduct: Conduct) {
        self.conducts.insert(relay, conduct);
        if conduct == Conduct::Works {
            // It answers now what it was asked before.
            let waiting: Vec<ConnectionId> = self.of_relay(relay).collect();
            waiting.into_iter().for_each(|connection| _ = self.heard.insert(connection, self.now));
        } else {
            let ended: Vec<ConnectionId> = self.of_relay(relay).collect();
            let wait = if conduct == Conduct::IsSilent { 4 * TIMEOUT } else { Duration::ZERO };
            let ended = ended.into_iter().map(|connection| Later::Ended(connection, Retry::Soon));
            ended.for_each(|end| self.plan_for(wait, end));
        }
    }

    /// A peer leaves a relay.
    pub(super) fn leave(&mut self, relay: RelayId, peer: PeerId) {
        self.there.remove(&(relay, peer));
        let route = self.routes.iter().find(|(_, ends)| **ends == (peer, relay)).map(|(route, _)| *route);
        route.into_iter().for_each(|route| self.plan.handle_offline(self.now, peer, relay, route));
        self.run();
    }

    /// Whether data arrived that were sent by the relay that carries them, as the user reports.
    pub(super) fn report(&mut self, peer: PeerId, was_delivered: bool) -> bool {
        let used = self.plan.peer(peer).and_then(|peer| peer.used);
        used.is_some_and(|relay| self.plan.handle_report(self.now, peer, relay, was_delivered))
    }

    /// A relay refuses a route that is open.
    pub(super) fn refuse_route(&mut self, relay: RelayId, peer: PeerId) {
        let route = self.routes.iter().find(|(_, ends)| **ends == (peer, relay)).map(|(route, _)| *route);
        if let Some(route) = route {
            self.routes.remove(&route);
            self.plan.handle_refused(self.now, peer, relay, route);
            self.run();
        }
    }

    fn of_relay(&self, relay: RelayId) -> impl Iterator<Item = ConnectionId> {
        self.connections
            .iter()
            .filter(move |(_, (other, _))| *other == relay)
            .map(|(connection, _)| *connection)
    }

    /// The relays that are connected.
    pub(super) fn connected(&self) -> BTreeSet<RelayId> {
        self.connections.values().filter(|(_, is_up)| *is_up).map(|(relay, _)| *relay).collect()
    }

    /// How often a single relay was asked, besides the common pings.
    pub(super) fn asked(&self) -> usize {
        let mut pings: BTreeMap<Instant, usize> = BTreeMap::new();
        self.pinged.iter().for_each(|(at, _)| *pings.entry(*at).or_default() += 1);
        pings.values().filter(|count| **count == 1).count()
    }

    pub(super) fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices).into_iter().map(|(_, notice)| notice).collect()
    }

    fn plan_for(&mut self, after: Duration, later: Later) {
        self.next += 1;
        self.later.insert((self.now + after, self.next), later);
    }

    /// Lets this much time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.run();
        loop {
            let of_world = self.later.keys().next().map(|(at, _)| *at);
            let next = [of_world, self.plan.deadline(self.now)].into_iter().flatten().min();
            let Some(at) = next.filter(|at| *at <= end) else { break };
            self.woken += usize::from(of_world.is_none_or(|of_world| at < of_world));
            self.now = self.now.max(at);
            while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let later = entry.remove();
                self.happen(later);
            }
            self.run();
        }
        self.now = end;
    }

    fn happen(&mut self, later: Later) {
        match later {
            Later::Established(connection) => {
                if let Some((relay, is_up)) = self.connections.get_mut(&connection) {
                    *is_up = true;
                    let relay = *relay;
                    self.plan.handle_connected(self.now, relay);
                    let routes: Vec<RouteId> = self.routes_of(relay).collect();
                    routes.into_iter().for_each(|route| self.ask(route));
                }
            }
            Later::Pong(connection) => {
                let relay = self.connections.get(&connection).map(|(relay, _)| *relay);
                if relay.is_some_and(|relay| self.conducts.get(&relay) == Some(&Conduct::Works)) {
                    self.heard.insert(connection, self.now);
                }
            }
            Later::Ended(connection, retry) => {
                if let Some((relay, _)) = self.connections.remove(&connection) {
                    self.routes.retain(|_, (_, other)| *other != relay);
                    self.plan.handle_disconnected(self.now, connection, Some(retry));
                }
            }
            Later::RouteOnline(route) => {
                // Before the relay is connected it answers nothing.
                let ends = self.routes.get(&route).copied();
                if let Some((peer, relay)) = ends.filter(|(_, relay)| self.connected().contains(relay)) {
                    self.plan.handle_online(self.now, peer, relay, route);
                }
            }
        }
    }

    fn routes_of(&self, relay: RelayId) -> impl Iterator<Item = RouteId> {
        self.routes.iter().filter(move |(_, (_, other))| *other == relay).map(|(route, _)| *route)
    }

    /// A route is requested from a relay.
    fn ask(&mut self, route: RouteId) {
        let (peer, relay) = self.routes[&route];
        if self.there.contains(&(relay, peer)) && self.conducts[&relay] == Conduct::Works {
            self.plan_for(ANSWER, Later::RouteOnline(route));
        }
    }

    /// Carries out what the plan wants.
    fn run(&mut self) {
        while self.plan.deadline(self.now).is_some_and(|at| at <= self.now) {
            let (connections, heard) = (&self.connections, &self.heard);
            let (round_trips, queued) = (&self.round_trips, &self.queued);
            self.plan.advance(self.now, |connection| {
                let (relay, _) = connections.get(&connection)?;
                let round_trip = round_trips.get(relay).copied().or(Some(ANSWER));
                let queued = queued.get(relay).copied().unwrap_or_default();
                Some(Observation { last_heard: heard.get(&connection).copied(), round_trip, queued })
            });
            while let Some(action) = self.plan.next_action() {
                self.carry_out(action);
            }
        }
        while let Some(notice) = self.plan.next_notice() {
            self.notices.push((self.now, notice));
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Connect(relay) => {
                assert!(self.of_relay(relay).next().is_none(), "{relay} is connected twice");
                self.attempts.push((self.now, relay));
                let conduct = self.conducts.get(&relay).copied().unwrap_or(Conduct::Works);
                if conduct == Conduct::CannotBeTried {
                    return self.plan.handle_not_connecting(self.now, relay, ConnectError::OwnKey);
                }
                self.next += 1;
                let connection = ConnectionId { index: self.next, generation: self.next };
                self.connections.insert(connection, (relay, false));
                self.plan.handle_connecting(relay, connection);
                let ended = Later::Ended(connection, Retry::Soon);
                match conduct {
                    Conduct::CannotBeTried => {}
                    Conduct::Works => self.plan_for(ANSWER, Later::Established(connection)),
                    Conduct::Refuses => self.plan_for(ANSWER, ended),
                    Conduct::IsHijacked(retry) => self.plan_for(ANSWER, Later::Ended(connection, retry)),
                    Conduct::IsSilent => self.plan_for(TIMEOUT, ended),
                    Conduct::Closes => {
                        self.plan_for(ANSWER, Later::Established(connection));
                        self.plan_for(ANSWER, ended);
                    }
                }
            }
            Action::Disconnect(connection) => {
                let (relay, _) = self.connections.remove(&connection).expect("a connection that is there");
                self.routes.retain(|_, (_, other)| *other != relay);
            }
            Action::OpenRoute(peer, relay) => {
                let connection = self.of_relay(relay).next().expect("a connection for the route");
                self.next += 1;
                let route = RouteId::new(connection, 0, self.next);
                let ends = (peer, relay);
                assert!(!self.routes.values().any(|other| *other == ends), "two routes of {peer} on {relay}");
                self.routes.insert(route, ends);
                assert!(self.routes_of(relay).count() <= 240, "{relay} has too many routes");
                self.plan.handle_route(self.now, peer, relay, Some(route));
                if self.connections[&connection].1 {
                    self.ask(route);
                }
            }
            Action::CloseRoute(route) => _ = self.routes.remove(&route).expect("a route that is open"),
            Action::Ping(connection) => {
                self.pinged.push((self.now, connection));
                let relay = self.connections.get(&connection).map(|(relay, _)| *relay);
                let round_trip = relay.and_then(|relay| self.round_trips.get(&relay)).copied();
                self.plan_for(round_trip.unwrap_or(ANSWER), Later::Pong(connection));
            }
        }
    }
}
