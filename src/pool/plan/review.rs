//! Which relays are connected and which routes are open: computed from the whole state, never counted up and down.
//!
//! Each peer that is awake wants three of its relays; three are connected even if there is no peer. The relays that most
//! peers lack come first, so few serve many; but no peer gets its second before each has its first. A relay without which
//! nothing would be missing is disconnected after [`SURPLUS`]: by then its routes are open elsewhere.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::id::ConnectionId;
use crate::pool::id::{PeerId, RelayId};
use crate::pool::plan::action::{Action, Observation};
use crate::pool::plan::need::{MANY_ROUTES, MAX_ROUTES, STAGGER, can_have_route, covers};
use crate::pool::plan::peer::{MAX_ROUTES_OF_PEER, Peer, Route, Tie};
use crate::pool::plan::relay::{Known, State};
use crate::pool::plan::state::Plan;

/// How long a relay is kept without which nothing would be missing.
const SURPLUS: Duration = Duration::from_secs(10);

/// How much longer, while data are queued there, and how often it is looked at then.
const DRAINS: Duration = Duration::from_secs(60);
const LOOKED_AT: Duration = Duration::from_secs(1);

/// If there is only one place, it is left to relays of peers that have none until they have failed so often: in a minute.
/// Then others have their turns, too, each for so long if it works.
const MANY_FAILURES: u32 = 8;
const KEEPS_ONLY_PLACE: Duration = Duration::from_secs(600);

/// What a peer lacks.
struct Missing {
    /// How many relays.
    count: usize,
    /// Whether it has none at all, and may soon have one.
    is_first: bool,
}

/// The peers that lack a relay: those that have none, and all.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Votes {
    of_first: usize,
    of_all: usize,
}

impl Plan {
    /// When [`advance`](Self::advance) is due: at once, if something has happened.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.is_outdated || self.has_sent || !self.doubtful.is_empty() {
            return Some(now);
        }
        [self.review_at, self.beat_at].into_iter().flatten().min()
    }

    /// Whether a review is overdue. After a long absence, what has arrived is read before it.
    pub(crate) fn is_late(&self, now: Instant) -> bool {
        self.review_at.is_some_and(|at| at <= now)
    }

    /// Compares what there is with what is wanted. `observe` looks at a connection.
    pub(crate) fn review(&mut self, now: Instant, observe: impl Fn(ConnectionId) -> Option<Observation>) {
        self.is_outdated = false;
        self.doubtful.clear();
        self.drop_surplus(now, self.relays().map(|(id, _)| id).collect(), observe);
        self.connect(now);
        self.close_routes_of_slow(now);
        self.open_routes(now);
        self.close_routes_of_sleepers(now);
    }

    /// The same where nothing has happened but that routes came online or went offline: whether a relay is surplus is all
    /// that depends on it.
    pub(crate) fn review_doubtful(
        &mut self,
        now: Instant,
        observe: impl Fn(ConnectionId) -> Option<Observation>,
    ) {
        let mut doubtful = std::mem::take(&mut self.doubtful);
        if !doubtful.is_empty() {
            // Worse ones may wait for their queues.
            doubtful
                .extend(self.relays().filter(|(_, known)| known.surplus_since.is_some()).map(|(id, _)| id));
            self.drop_surplus(now, doubtful.into_iter().collect(), observe);
        }
    }

    /// Looks for better relays, after the round trips were taken down.
    pub(crate) fn compare(&mut self, now: Instant) {
        self.relays.values_mut().for_each(|known| known.losses.forget(now));
        let several = |peer: &Peer| peer.ties.iter().filter(|tie| tie.route.online().is_some()).count() > 1;
        let peers: Vec<PeerId> = self.peers().filter(|(_, peer)| several(peer)).map(|(id, _)| id).collect();
        peers.into_iter().for_each(|peer| self.choose_again(now, peer));
    }

    /// Connects what is missing: what peers lack that have none comes first, then what most peers lack.
    fn connect(&mut self, now: Instant) {
        let mut missing = self.missing(now);
        let (covering, _) = self.covering(now);
        self.wake_for_slow(now);
        let mut spare = self.always().saturating_sub(covering);
        let mut candidates = self.candidates(now, &missing, spare > 0);
        let rank = |plan: &Self, (id, votes): &(&RelayId, &Votes)| {
            (if plan.takes_turns(**id) { Votes::default() } else { **votes }, plan.rank(**id))
        };
        while let Some(best) = candidates.iter().max_by_key(|candidate| rank(self, candidate)) {
            let (id, votes) = (*best.0, *best.1);
            if votes == Votes::default() && spare == 0 {
                return;
            }
            let has_place = self.places() > usize::from(self.keeps_last(now, votes, &missing));
            let displaces = !has_place && votes.of_first > 0 && !self.can_wait(id, now);
            let displaced = displaces.then(|| self.least_missed(now)).flatten();
            if !has_place && displaced.is_none() {
                return;
            }
            if let Err(at) = self.allowance.take(now) {
                return self.wake(at);
            }
            displaced.into_iter().for_each(|id| self.end(id, now));
            candidates.remove(&id);
            self.begin(now, id);
            spare = spare.saturating_sub(1);
            let Some(known) = self.relay(id) else { continue };
            for peer in &known.tied {
                let serves = |peer: &Peer| self.wanted_by(peer, now).any(|relay| relay == id);
                let Some(lacks) = missing.get_mut(peer).filter(|_| self.peer(*peer).is_some_and(serves))
                else {
                    continue;
                };
                let was_first = std::mem::take(&mut lacks.is_first);
                lacks.count -= 1;
                let has_all = lacks.count == 0;
                for relay in self.peer(*peer).into_iter().flat_map(|peer| self.wanted_by(peer, now)) {
                    if let Some(votes) = candidates.get_mut(&relay) {
                        votes.of_first -= usize::from(was_first);
                        votes.of_all -= usize::from(has_all);
                    }
                }
                if has_all {
                    missing.remove(peer);
                }
            }
        }
    }

    /// Whether the last place is left to peers that have no relay, or others would come and go with their tries. A relay
    /// that is tried once an hour is not waited for.
    fn keeps_last(&self, now: Instant, votes: Votes, missing: &HashMap<PeerId, Missing>) -> bool {
        let is_seldom_tried =
            |id| self.relay(id).is_some_and(|known: &Known| known.failures.are_lasting(now));
        let is_expected = |tie: &Tie| !is_seldom_tried(tie.relay) && !self.takes_turns(tie.relay);
        let expects_one = |peer: &Peer| peer.ties.iter().any(is_expected);
        let firsts = missing.iter().filter(|(_, missing)| missing.is_first);
        votes.of_first == 0 && firsts.filter_map(|(id, _)| self.peer(*id)).any(expects_one)
    }

    /// Whether a relay takes turns with others in the only place, since it has failed too often to have it for itself.
    fn takes_turns(&self, id: RelayId) -> bool {
        let has_failed = |known: &Known| known.failures.count() >= MANY_FAILURES;
        self.bound == 1 && self.relay(id).is_some_and(has_failed)
    }

    /// Whether a relay waits for a place: a search gives back the one that it has taken, and of the relays that have failed,
    /// one after the other is tried again.
    fn can_wait(&self, id: RelayId, now: Instant) -> bool {
        let is_searching = self.relays().any(|(_, known)| known.is_tried(now));
        let takes_turns = self.takes_turns(id);
        let others_first = |known: &Known| match known.state {
            State::Idle => false,
            State::Connecting { .. } => takes_turns || known.has_failed(),
            State::Connected { since, .. } => takes_turns && now < since + KEEPS_ONLY_PLACE,
        };
        let has_failed = self.relay(id).is_some_and(Known::has_failed);
        is_searching || has_failed && self.relays().any(|(_, known)| others_first(known))
    }

    /// Begins an attempt.
    pub(crate) fn begin(&mut self, now: Instant, id: RelayId) {
        if let Some(known) = self.relays.get_mut(id.0) {
            known.state = State::Connecting { connection: None, since: now };
            self.actions.push_back(Action::Connect(id));
            self.wake(now + STAGGER);
        }
    }

    /// When an attempt takes too long, another one begins besides it.
    fn wake_for_slow(&mut self, now: Instant) {
        let slow_at = |known: &Known| match known.state {
            State::Connecting { since, .. } => Some(since + STAGGER).filter(|at| *at > now),
            _ => None,
        };
        let next = self.relays().filter_map(|(_, known)| slow_at(known)).min();
        next.into_iter().for_each(|at| self.wake(at));
    }

    /// What each awake peer lacks.
    fn missing(&self, now: Instant) -> HashMap<PeerId, Missing> {
        let covered =
            |peer: &Peer| peer.ties.iter().filter(|tie| self.covers_tie(tie.relay, tie.route, now)).count();
        let awake = self.peers().filter(|(_, peer)| peer.is_awake && !peer.ties.is_empty());
        let lacking = awake.map(|(id, peer)| {
            let count = self.wanted.saturating_sub(covered(peer));
            (id, Missing { count, is_first: self.has_none(peer, now) })
        });
        lacking.filter(|(_, missing)| missing.count > 0).collect()
    }

    /// The relays of a peer that may have a route for it.
    fn wanted_by(&self, peer: &Peer, now: Instant) -> impl Iterator<Item = RelayId> {
        let can = move |tie: &&Tie| {
            self.relay(tie.relay).is_some_and(|known| can_have_route(known, tie.route, now))
        };
        peer.ties.iter().filter(can).map(|tie| tie.relay)
    }

    /// The relays that may be tried now, with the peers that lack them; `others`: also those that no peer lacks. If some
    /// cannot be tried yet, a review is due when they can.
    fn candidates(
        &mut self,
        now: Instant,
        missing: &HashMap<PeerId, Missing>,
        others: bool,
    ) -> HashMap<RelayId, Votes> {
        let mut votes: HashMap<RelayId, Votes> = HashMap::new();
        for (id, missing) in missing {
            for relay in self.peer(*id).into_iter().flat_map(|peer| self.wanted_by(peer, now)) {
                let votes = votes.entry(relay).or_default();
                votes.of_first += usize::from(missing.is_first);
                votes.of_all += 1;
            }
        }
        let mut candidates = HashMap::new();
        let mut later: Option<Instant> = None;
        for (id, known) in self.relays().filter(|(_, known)| known.is_idle()) {
            let votes = votes.get(&id).copied().unwrap_or_default();
            if votes == Votes::default() && !others {
                continue;
            }
            match known.failures.retry_at(now) {
                None => _ = candidates.insert(id, votes),
                Some(at) => later = Some(later.map_or(at, |other| other.min(at))),
            }
        }
        later.into_iter().for_each(|at| self.wake(at));
        candidates
    }

    fn rank(&self, id: RelayId) -> Option<impl Ord + use<>> {
        self.relay(id).map(Known::attempt_rank)
    }

    /// Disconnects those of these relays without which nothing was missing for a while, the worst one first. What is queued
    /// there is sent before, and the others wait for it: no better one goes instead.
    fn drop_surplus(
        &mut self,
        now: Instant,
        relays: Vec<RelayId>,
        observe: impl Fn(ConnectionId) -> Option<Observation>,
    ) {
        let mut due = Vec::new();
        let covering = self.covering(now);
        for id in relays {
            let is_surplus = self.is_surplus(id, now, covering);
            let Some(known) = self.relays.get_mut(id.0) else { continue };
            if !is_surplus {
                known.surplus_since = None;
                continue;
            }
            let due_at = *known.surplus_since.get_or_insert(now) + SURPLUS;
            let due_at = known.tried_until.map_or(due_at, |until| until.max(due_at));
            if due_at > now {
                self.wake(due_at);
                continue;
            }
            let has_queue = || known.connection().and_then(&observe).is_some_and(|seen| seen.queued > 0);
            due.push((id, now < due_at + DRAINS && has_queue()));
        }
        due.sort_by_cached_key(|(id, _)| self.value(*id));
        for (id, is_draining) in due {
            // Without one of them, another may not be surplus any more.
            if !self.is_surplus(id, now, self.covering(now)) {
                continue;
            }
            if is_draining {
                return self.wake(now + LOOKED_AT);
            }
            self.end(id, now);
        }
    }

    /// A relay that takes too long to connect must not hold the routes that others could have.
    fn close_routes_of_slow(&mut self, now: Instant) {
        let slow = self.relays().filter(|(_, known)| known.routes > 0 && !is_ready(known, now));
        let routes = slow.flat_map(|(id, known)| known.tied.iter().map(move |peer| (*peer, id)));
        for (peer, relay) in routes.collect::<Vec<_>>() {
            self.close_route(peer, relay);
        }
    }

    /// Requests the routes of awake peers on all relays that are connected or about to be: first those that a peer wants,
    /// and those on which it is looked for; then more, as long as a relay has many left.
    fn open_routes(&mut self, now: Instant) {
        let mut planned = Vec::new();
        for (id, peer) in self.peers().filter(|(_, peer)| peer.is_awake) {
            let mut routes = peer.routes();
            let untried = peer.untried().map(|tie| (tie, MAX_ROUTES_OF_PEER, MAX_ROUTES_OF_PEER));
            let (wanted, most) = (self.wanted, peer.most_routes(self.wanted));
            let others = peer.ties.iter().filter(|tie| !peer.is_untried(tie)).map(|tie| (tie, wanted, most));
            for (tie, wanted, most) in untried.chain(others) {
                let has_room = |known: &Known| is_ready(known, now) && known.routes < MAX_ROUTES;
                let Route::None { not_before } = tie.route else { continue };
                if self.relay(tie.relay).is_some_and(has_room) && routes < most {
                    routes += 1;
                    planned.push((routes > wanted, id, tie.relay, not_before));
                }
            }
        }
        planned.sort_by_key(|(is_more, ..)| *is_more);
        let mut taken: HashMap<RelayId, usize> = HashMap::new();
        for (is_more, id, relay, not_before) in planned {
            if let Some(at) = not_before.filter(|at| *at > now) {
                self.wake(at);
                continue;
            }
            let routes = self.relay(relay).map_or(MAX_ROUTES, |known| known.routes);
            let taken = taken.entry(relay).or_insert(routes);
            if *taken >= if is_more { MANY_ROUTES } else { MAX_ROUTES } {
                // Another relay may have room for what this one has not.
                self.is_outdated |= !is_more;
                continue;
            }
            if let Some(tie) = self.peers.get_mut(id.0).and_then(|peer| peer.tie_mut(relay)) {
                *taken += 1;
                tie.route = Route::Planned;
                self.actions.push_back(Action::OpenRoute(id, relay));
            }
        }
    }
}

/// Whether routes may be requested: a relay is connected, or has just been tried.
fn is_ready(known: &Known, now: Instant) -> bool {
    known.is_connected() || known.connection().is_some() && covers(known, now)
}
