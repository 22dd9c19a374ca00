//! What the plan knows, and what it is told.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use crate::advice::Retry;
use crate::config::Relay;
use crate::id::{ConnectionId, RouteId};
use crate::key::PublicKey;
use crate::pool::error::{AddRelayError, TieError};
use crate::pool::id::{PeerId, RelayId};
use crate::pool::origin::Origin;
use crate::pool::plan::action::{Action, Notice};
use crate::pool::plan::allowance::Allowance;
use crate::pool::plan::peer::{Peer, Route, Tie};
use crate::pool::plan::relay::{Known, State};
use crate::pool::registry::Registry;

/// The most relays that are known, without those that peers have added.
const MAX_OWN: usize = 4_096;

/// The most relays that a peer adds, and the most that are tied to it.
const MAX_TIES: usize = 24;

/// A relay that has refused a route is asked again after this time.
const REFUSED: Duration = Duration::from_secs(60);

/// The plan: see [the module](crate::pool::plan).
pub(crate) struct Plan {
    pub(crate) relays: Registry<Known>,
    pub(crate) peers: Registry<Peer>,
    pub(crate) by_key: HashMap<PublicKey, PeerId>,
    pub(crate) by_relay_key: HashMap<PublicKey, RelayId>,
    pub(crate) by_connection: HashMap<ConnectionId, RelayId>,
    /// The relays to which data were sent, until they are heard.
    pub(crate) watched: Vec<RelayId>,
    /// Whether there are new ones among them.
    pub(crate) has_sent: bool,
    /// The most connections.
    pub(crate) bound: usize,
    pub(crate) onion_relays: usize,
    pub(crate) allowance: Allowance,
    pub(crate) random: StdRng,
    /// When the next review is due, if nothing happens before.
    pub(crate) review_at: Option<Instant>,
    /// Whether something has happened since the last review.
    pub(crate) is_outdated: bool,
    pub(crate) actions: VecDeque<Action>,
    pub(crate) notices: VecDeque<Notice>,
}

impl Plan {
    /// A plan that knows nothing, for at most so many connections.
    pub(crate) fn new(bound: usize, seed: [u8; 32]) -> Self {
        Self {
            relays: Registry::default(),
            peers: Registry::default(),
            by_key: HashMap::new(),
            by_relay_key: HashMap::new(),
            by_connection: HashMap::new(),
            watched: Vec::new(),
            has_sent: false,
            bound,
            onion_relays: 0,
            allowance: Allowance::default(),
            random: StdRng::from_seed(seed),
            review_at: None,
            is_outdated: true,
            actions: VecDeque::new(),
            notices: VecDeque::new(),
        }
    }

    pub(crate) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(crate) fn next_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    pub(crate) fn relay(&self, id: RelayId) -> Option<&Known> {
        self.relays.get(id.0)
    }

    pub(crate) fn relays(&self) -> impl Iterator<Item = (RelayId, &Known)> {
        self.relays.iter().map(|(id, relay)| (RelayId(id), relay))
    }

    pub(crate) fn peer(&self, id: PeerId) -> Option<&Peer> {
        self.peers.get(id.0)
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = (PeerId, &Peer)> {
        self.peers.iter().map(|(id, peer)| (PeerId(id), peer))
    }

    pub(crate) fn find_peer(&self, key: &PublicKey) -> Option<PeerId> {
        self.by_key.get(key).copied()
    }

    pub(crate) fn find_relay(&self, connection: ConnectionId) -> Option<RelayId> {
        self.by_connection.get(&connection).copied()
    }

    // What the user wants.

    /// Adds a relay. If it is known, it keeps its id, and has more addresses if its new origin is as trusted as the old.
    pub(crate) fn add_relay(&mut self, relay: Relay, origin: Origin) -> Result<RelayId, AddRelayError> {
        if let Some(address) = relay.addresses()?.iter().find(|address| !origin.allows(address)) {
            return Err(AddRelayError::LocalAddress((*address).clone()));
        }
        if let Origin::Peer { peer, .. } = origin {
            self.peer(peer).ok_or(AddRelayError::UnknownPeer)?;
        }
        let key = relay.public_key();
        if let Some(id) = self.by_relay_key.get(&key)
            && let Some(known) = self.relays.get_mut(id.0)
        {
            if origin.rank() >= known.origin.rank() {
                known.merge(&relay);
            }
            if origin.rank() > known.origin.rank() {
                known.origin = origin;
            }
            return Ok(*id);
        }
        let same_source = |other: &Origin| match (origin, *other) {
            (Origin::Peer { peer, .. }, Origin::Peer { peer: other, .. }) => peer == other,
            (Origin::Peer { .. }, _) | (_, Origin::Peer { .. }) => false,
            _ => true,
        };
        let bound = if let Origin::Peer { .. } = origin { MAX_TIES } else { MAX_OWN };
        if self.relays.iter().filter(|(_, known)| same_source(&known.origin)).count() >= bound {
            return Err(AddRelayError::TooMany);
        }
        let id = RelayId(self.relays.insert(Known::new(relay, origin, self.random.next_u32())));
        self.by_relay_key.insert(key, id);
        self.is_outdated = true;
        Ok(id)
    }

    /// Removes a relay, and ends its connection.
    pub(crate) fn remove_relay(&mut self, now: Instant, id: RelayId) -> bool {
        if self.relay(id).is_none() {
            return false;
        }
        self.end(id, now);
        if let Some(known) = self.relays.remove(id.0) {
            self.by_relay_key.remove(&known.relay.public_key());
            for peer in known.tied {
                self.peers
                    .get_mut(peer.0)
                    .into_iter()
                    .for_each(|peer| peer.ties.retain(|tie| tie.relay != id));
            }
        }
        true
    }

    /// Adds a peer, or returns the id that it has.
    pub(crate) fn add_peer(&mut self, key: PublicKey) -> PeerId {
        let peers = &mut self.peers;
        *self.by_key.entry(key).or_insert_with(|| PeerId(peers.insert(Peer::new(key))))
    }

    /// Removes a peer, its routes, and the relays that only it has told us about.
    pub(crate) fn remove_peer(&mut self, now: Instant, id: PeerId) -> bool {
        let Some(peer) = self.peers.remove(id.0) else { return false };
        self.by_key.remove(&peer.key);
        self.is_outdated = true;
        for tie in peer.ties {
            self.actions.extend(tie.route.id().map(Action::CloseRoute));
            if let Some(relay) = self.relays.get_mut(tie.relay.0) {
                relay.tied.remove(&id);
                relay.routes -= usize::from(tie.route.id().is_some());
            }
        }
        let is_its = |known: &Known| matches!(known.origin, Origin::Peer { peer, .. } if peer == id);
        let useless = self.relays().filter(|(_, known)| is_its(known) && known.tied.is_empty());
        let useless: Vec<RelayId> = useless.map(|(id, _)| id).collect();
        useless.into_iter().for_each(|relay| _ = self.remove_relay(now, relay));
        true
    }

    /// The peer is thought to be on this relay.
    pub(crate) fn tie(&mut self, id: PeerId, relay: RelayId) -> Result<(), TieError> {
        let peer = self.peers.get_mut(id.0).ok_or(TieError::UnknownPeer)?;
        let known = self.relays.get_mut(relay.0).ok_or(TieError::UnknownRelay)?;
        if peer.tie(relay).is_some() {
            return Ok(());
        }
        if peer.ties.len() == MAX_TIES {
            return Err(TieError::TooMany);
        }
        peer.ties.push(Tie { relay, route: Route::CLOSED });
        known.tied.insert(id);
        self.is_outdated = true;
        Ok(())
    }

    /// Whether a peer is to be reached through relays.
    pub(crate) fn set_awake(&mut self, id: PeerId, is_awake: bool) -> bool {
        let Some(peer) = self.peers.get_mut(id.0) else { return false };
        self.is_outdated |= peer.is_awake != is_awake;
        peer.is_awake = is_awake;
        true
    }

    /// How many relays are kept connected for onion packets.
    pub(crate) fn set_onion_relays(&mut self, count: usize) {
        self.is_outdated |= self.onion_relays != count;
        self.onion_relays = count;
    }

    /// Pauses are over: what failed on the old network may work on this one.
    pub(crate) fn handle_network_changed(&mut self) {
        let ids: Vec<u64> = self.relays.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.relays.get_mut(id).into_iter().for_each(Known::handle_network_changed);
        }
        self.allowance = Allowance::default();
        self.is_outdated = true;
    }

    /// Whether data of this peer arrived that were sent by the relay that is used now, as those know who read the data.
    pub(crate) fn handle_report(&mut self, now: Instant, id: PeerId, was_delivered: bool) -> bool {
        let Some(peer) = self.peer(id) else { return false };
        if let Some(relay) = peer.used.and_then(|relay| self.relays.get_mut(relay.0)) {
            relay.lost =
                if was_delivered { relay.lost.saturating_sub(1) } else { relay.lost.saturating_add(1) };
            if !was_delivered {
                self.choose_again(now, id);
            }
        }
        true
    }

    // What the driver has done.

    /// `connect` has returned a connection.
    pub(crate) fn handle_connecting(&mut self, id: RelayId, connection: ConnectionId) {
        let known = self.relays.get_mut(id.0);
        if let Some(State::Connecting { connection: new, .. }) = known.map(|known| &mut known.state) {
            *new = Some(connection);
            self.by_connection.insert(connection, id);
            self.is_outdated = true;
        } else {
            self.actions.push_back(Action::Disconnect(connection));
        }
    }

    /// `connect` has failed at once, for a reason of ours.
    pub(crate) fn handle_not_connecting(&mut self, now: Instant, id: RelayId) {
        self.fail(now, id, Retry::Ask);
    }

    /// `open_route` has returned a route, or `None` if the relay has no room for one.
    pub(crate) fn handle_route(&mut self, now: Instant, id: PeerId, relay: RelayId, route: Option<RouteId>) {
        let tie = self.peers.get_mut(id.0).and_then(|peer| peer.tie_mut(relay));
        match (tie, route) {
            (Some(tie), Some(route)) => {
                tie.route = Route::Offline(route);
                self.relays.get_mut(relay.0).into_iter().for_each(|relay| relay.routes += 1);
            }
            (Some(tie), None) => {
                tie.route = Route::None { not_before: Some(now + REFUSED) };
                self.is_outdated = true;
            }
            (None, Some(route)) => self.actions.push_back(Action::CloseRoute(route)),
            (None, None) => {}
        }
    }

    /// Data were sent by this relay.
    pub(crate) fn handle_sent(&mut self, id: RelayId) {
        if let Some(relay) = self.relays.get_mut(id.0)
            && !std::mem::replace(&mut relay.has_sent, true)
            && relay.unheard_since.is_none()
        {
            self.has_sent = true;
            self.watched.push(id);
        }
    }

    /// Data of this peer were refused by all its relays.
    pub(crate) fn handle_refused_data(&mut self, id: PeerId) {
        self.peers.get_mut(id.0).into_iter().for_each(|peer| peer.was_refused = true);
    }

    /// The used relay can take no more, and this one has.
    pub(crate) fn handle_overflow(&mut self, id: PeerId, relay: RelayId) {
        if let Some(peer) = self.peers.get_mut(id.0) {
            (peer.used, peer.faster) = (Some(relay), None);
            self.notices.push_back(Notice::PeerMoved(id, relay));
        }
    }

    // What the client reports.

    pub(crate) fn handle_heard(&mut self, id: RelayId) {
        if let Some(relay) = self.relays.get_mut(id.0) {
            self.is_outdated |= relay.is_silent;
            relay.handle_heard();
        }
    }

    pub(crate) fn handle_connected(&mut self, now: Instant, id: RelayId) {
        let Some(relay) = self.relays.get_mut(id.0) else { return };
        if let State::Connecting { connection: Some(connection), .. } = relay.state {
            relay.state = State::Connected { connection, since: now };
            self.notices.push_back(Notice::RelayUp(id));
            let ids: Vec<u64> = self.relays.iter().map(|(id, _)| id).collect();
            for id in ids {
                self.relays.get_mut(id).into_iter().for_each(Known::handle_end_of_outage);
            }
            self.is_outdated = true;
        }
    }

    /// A connection has ended. `None`: we have closed it.
    pub(crate) fn handle_disconnected(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        retry: Option<Retry>,
    ) -> Option<RelayId> {
        let id = self.by_connection.remove(&connection)?;
        if self.relay(id)?.connection() == Some(connection) {
            self.fail(now, id, retry.unwrap_or(Retry::Soon));
        }
        Some(id)
    }

    pub(crate) fn handle_online(&mut self, now: Instant, id: PeerId, relay: RelayId, route: RouteId) {
        let tie = self.peers.get_mut(id.0).and_then(|peer| peer.tie_mut(relay));
        if let Some(tie) = tie.filter(|tie| tie.route.id() == Some(route)) {
            tie.route = Route::Online(route);
            self.choose_again(now, id);
            self.is_outdated = true;
        }
    }

    pub(crate) fn handle_offline(&mut self, now: Instant, id: PeerId, relay: RelayId, route: RouteId) {
        let tie = self.peers.get_mut(id.0).and_then(|peer| peer.tie_mut(relay));
        if let Some(tie) = tie.filter(|tie| tie.route.id() == Some(route)) {
            tie.route = Route::Offline(route);
            self.choose_again(now, id);
        }
    }

    pub(crate) fn handle_refused(&mut self, now: Instant, id: PeerId, relay: RelayId, route: RouteId) {
        let tie = self.peers.get_mut(id.0).and_then(|peer| peer.tie_mut(relay));
        if let Some(tie) = tie.filter(|tie| tie.route.id() == Some(route)) {
            tie.route = Route::None { not_before: Some(now + REFUSED) };
            self.relays.get_mut(relay.0).into_iter().for_each(|relay| relay.routes -= 1);
            self.choose_again(now, id);
            self.is_outdated = true;
        }
    }

    /// There is room again on a relay.
    pub(crate) fn handle_writable(&mut self, relay: RelayId) {
        let Some(known) = self.relays.get(relay.0) else { return };
        for id in &known.tied {
            let Some(peer) = self.peers.get_mut(id.0) else { continue };
            if peer.tie(relay).is_some_and(|tie| tie.route.id().is_some())
                && std::mem::take(&mut peer.was_refused)
            {
                self.notices.push_back(Notice::Writable(*id));
            }
        }
    }

    // Which relay carries data.

    /// The other relays and routes that can, the best one first.
    pub(crate) fn others(&self, id: PeerId) -> Vec<(RelayId, RouteId)> {
        let Some(peer) = self.peer(id) else { return Vec::new() };
        let online = peer.ties.iter().filter(|tie| Some(tie.relay) != peer.used);
        let mut others: Vec<_> = online.filter_map(|tie| Some((tie.relay, tie.route.online()?))).collect();
        others.sort_by_cached_key(|(relay, _)| std::cmp::Reverse(self.relay(*relay).map(Known::rank)));
        others
    }

    /// Chooses the relay for the data of this peer again, after something has changed.
    pub(crate) fn choose_again(&mut self, now: Instant, id: PeerId) {
        let Some(peer) = self.peers.get(id.0) else { return };
        let online = peer.ties.iter().filter(|tie| tie.route.online().is_some());
        let ranked = online.filter_map(|tie| Some((self.relay(tie.relay)?, tie.relay)));
        let best = ranked.max_by_key(|(known, _)| known.rank()).map(|(_, relay)| relay);
        let stays = |used: RelayId| {
            let is_online = peer.tie(used).is_some_and(|tie| tie.route.online().is_some());
            is_online && self.relay(used).is_some_and(|known| !known.is_silent && known.lost == 0)
        };
        let used = peer.used.filter(|used| stays(*used));
        let faster = used.and_then(|used| self.faster_than(id, used));
        let (relays, Some(peer)) = (&self.relays, self.peers.get_mut(id.0)) else { return };
        debug_assert!(relays.len() > 0 || best.is_none());
        let chosen = match (used, faster) {
            (Some(_), Some(faster)) if peer.handle_faster(now, faster) => Some(faster),
            (Some(used), faster) => {
                if faster.is_none() {
                    peer.faster = None;
                }
                Some(used)
            }
            (None, _) => best,
        };
        if peer.used != chosen {
            let notice = match (peer.used, chosen) {
                (None, Some(relay)) => Notice::PeerOnline(id, relay),
                (Some(_), Some(relay)) => Notice::PeerMoved(id, relay),
                (_, None) => Notice::PeerOffline(id),
            };
            (peer.used, peer.faster) = (chosen, None);
            self.notices.push_back(notice);
            if chosen.is_some() && std::mem::take(&mut peer.was_refused) {
                self.notices.push_back(Notice::Writable(id));
            }
        }
    }

    /// The fastest relay on which the peer is online, if its round trip is less than two thirds of this one's.
    fn faster_than(&self, id: PeerId, used: RelayId) -> Option<RelayId> {
        let slow = self.relay(used)?.round_trip?;
        let good = |(relay, _): &(RelayId, RouteId)| {
            let known = self.relay(*relay)?;
            let time = known
                .round_trip
                .filter(|time| !known.is_silent && known.lost == 0 && *time * 3 < slow * 2)?;
            Some((time, *relay))
        };
        self.others(id).iter().filter_map(good).min().map(|(_, relay)| relay)
    }

    // Ends of connections.

    /// The connection, or the attempt, of a relay has ended by itself.
    pub(crate) fn fail(&mut self, now: Instant, id: RelayId, retry: Retry) {
        let in_outage = !self.relays().any(|(other, known)| other != id && known.is_connected());
        let jitter = self.random.random_range(0.0..1.0);
        if let Some(known) = self.relays.get_mut(id.0) {
            known.handle_failure(now, retry, jitter, in_outage);
        }
        self.forget_routes(now, id);
    }

    /// Ends the connection of a relay that is not needed.
    pub(crate) fn end(&mut self, id: RelayId, now: Instant) {
        let Some(known) = self.relays.get_mut(id.0) else { return };
        if let Some(connection) = known.connection() {
            self.by_connection.remove(&connection);
            self.actions.push_back(Action::Disconnect(connection));
        }
        known.handle_end();
        self.forget_routes(now, id);
    }

    /// The routes of a relay have ended with its connection.
    fn forget_routes(&mut self, now: Instant, id: RelayId) {
        let tied: Vec<PeerId> =
            self.relay(id).into_iter().flat_map(|known| known.tied.iter().copied()).collect();
        for peer in tied {
            if let Some(tie) = self.peers.get_mut(peer.0).and_then(|peer| peer.tie_mut(id)) {
                tie.route = Route::CLOSED;
            }
            self.choose_again(now, peer);
        }
        self.is_outdated = true;
    }
}
