//! Which relays are connected and which routes are open: computed from the whole state, never counted up and down.
//!
//! Each peer that is awake wants three of its relays; three are connected even if there is no peer. The
//! relays that most peers lack come first, so few serve many. A relay without which nothing would be missing is
//! disconnected after [`SURPLUS`]: by then its routes are open elsewhere.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::pool::id::{PeerId, RelayId};
use crate::pool::plan::action::Action;
use crate::pool::plan::need::{MAX_ROUTES, STAGGER, covers};
use crate::pool::plan::peer::{MAX_ROUTES_OF_PEER, Peer, Route};
use crate::pool::plan::relay::{Known, State};
use crate::pool::plan::state::Plan;

/// How long a relay is kept without which nothing would be missing.
const SURPLUS: Duration = Duration::from_secs(10);

/// A relay with so many is left to peers that have fewer than they want.
const MANY_ROUTES: usize = 180;

impl Plan {
    /// When [`advance`](Self::advance) is due: at once, if something has happened.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.is_outdated || self.has_sent || !self.doubtful.is_empty() {
            return Some(now);
        }
        [self.review_at, self.beat_at].into_iter().flatten().min()
    }

    /// Whether a deadline has passed.
    pub(crate) fn is_late(&self, now: Instant) -> bool {
        self.review_at.is_some_and(|at| at <= now)
    }

    /// Compares what there is with what is wanted.
    pub(crate) fn review(&mut self, now: Instant) {
        self.is_outdated = false;
        self.doubtful.clear();
        self.connect(now);
        self.drop_surplus(now, self.relays().map(|(id, _)| id).collect());
        self.close_routes_of_slow(now);
        self.open_routes(now);
        self.close_routes_of_sleepers(now);
    }

    /// The same where nothing has happened but that routes came online or went offline: whether a relay is surplus is all
    /// that depends on it.
    pub(crate) fn review_doubtful(&mut self, now: Instant) {
        let doubtful = std::mem::take(&mut self.doubtful);
        if !doubtful.is_empty() {
            self.drop_surplus(now, doubtful.into_iter().collect());
        }
    }

    pub(crate) fn wake(&mut self, at: Instant) {
        self.review_at = Some(self.review_at.map_or(at, |other| other.min(at)));
    }

    /// Looks for better relays, after the round trips were taken down.
    pub(crate) fn compare(&mut self, now: Instant) {
        self.relays.iter_mut().for_each(|(_, known)| known.losses.forget(now));
        let several = |peer: &Peer| peer.ties.iter().filter(|tie| tie.route.online().is_some()).count() > 1;
        let peers: Vec<PeerId> = self.peers().filter(|(_, peer)| several(peer)).map(|(id, _)| id).collect();
        peers.into_iter().for_each(|peer| self.choose_again(now, peer));
    }

    /// Connects what is missing.
    fn connect(&mut self, now: Instant) {
        let mut missing = self.missing(now);
        let covering = self.relays().filter(|(_, known)| covers(known, now)).count();
        self.wake_for_slow(now);
        let mut spare = self.least().saturating_sub(covering);
        let mut candidates = self.candidates(now, &missing, spare > 0);
        let mut in_use = self.relays().filter(|(_, known)| !known.is_idle()).count();
        while in_use < self.bound
            && let Some(best) = candidates.iter().max_by_key(|(id, lacking)| (**lacking, self.rank(**id)))
        {
            let (id, lacking) = (*best.0, *best.1);
            if lacking == 0 && spare == 0 {
                return;
            }
            if let Err(at) = self.allowance.take(now) {
                return self.wake(at);
            }
            candidates.remove(&id);
            self.begin(now, id);
            (in_use, spare) = (in_use + 1, spare.saturating_sub(1));
            let Some(known) = self.relay(id) else { continue };
            for peer in &known.tied {
                if let Some(count) = missing.get_mut(peer) {
                    *count -= 1;
                    if *count == 0 {
                        missing.remove(peer);
                        let ties = self.peer(*peer).map_or(&[][..], |peer| &peer.ties);
                        for tie in ties {
                            candidates.get_mut(&tie.relay).into_iter().for_each(|lacking| *lacking -= 1);
                        }
                    }
                }
            }
        }
    }

    fn begin(&mut self, now: Instant, id: RelayId) {
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

    /// How many relays each awake peer lacks.
    fn missing(&mut self, now: Instant) -> HashMap<PeerId, usize> {
        let covered =
            |peer: &Peer| peer.ties.iter().filter(|tie| self.covers_tie(tie.relay, tie.route, now)).count();
        let awake = self.peers().filter(|(_, peer)| peer.is_awake);
        let lacking = awake.map(|(id, peer)| (id, self.wanted.saturating_sub(covered(peer))));
        lacking.filter(|(_, count)| *count > 0).collect()
    }

    /// The relays that may be tried now, with the number of peers that lack one of them; `others`: also those that no
    /// peer lacks. If some cannot be tried yet, a review is due when they can.
    fn candidates(
        &mut self,
        now: Instant,
        missing: &HashMap<PeerId, usize>,
        others: bool,
    ) -> HashMap<RelayId, usize> {
        let mut lacking: HashMap<RelayId, usize> = HashMap::new();
        for peer in missing.keys().filter_map(|id| self.peer(*id)) {
            peer.ties.iter().for_each(|tie| *lacking.entry(tie.relay).or_default() += 1);
        }
        let mut candidates = HashMap::new();
        let mut later: Option<Instant> = None;
        for (id, known) in self.relays().filter(|(_, known)| known.is_idle()) {
            let lacking = lacking.get(&id).copied().unwrap_or(0);
            if lacking == 0 && !others {
                continue;
            }
            match known.retry_at(now) {
                None => _ = candidates.insert(id, lacking),
                Some(at) => later = Some(later.map_or(at, |other| other.min(at))),
            }
        }
        later.into_iter().for_each(|at| self.wake(at));
        candidates
    }

    fn rank(&self, id: RelayId) -> Option<impl Ord + use<>> {
        self.relay(id).map(Known::rank)
    }

    /// Disconnects those of these relays without which nothing was missing for a while, the worst one first.
    fn drop_surplus(&mut self, now: Instant, relays: Vec<RelayId>) {
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
            if due_at <= now {
                due.push(id);
            } else {
                self.wake(due_at);
            }
        }
        due.sort_by_cached_key(|id| self.value(*id));
        for id in due {
            // Without one of them, another may not be surplus any more.
            if self.is_surplus(id, now, self.covering(now)) {
                self.end(id, now);
            }
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
    /// then more, as long as a relay has many left.
    fn open_routes(&mut self, now: Instant) {
        let mut planned = Vec::new();
        for (id, peer) in self.peers().filter(|(_, peer)| peer.is_awake) {
            let mut routes = peer.routes();
            for tie in &peer.ties {
                let is_ready = self.relay(tie.relay).is_some_and(|known| is_ready(known, now));
                let Route::None { not_before } = tie.route else { continue };
                if is_ready && routes < MAX_ROUTES_OF_PEER {
                    routes += 1;
                    planned.push((routes > self.wanted, id, tie.relay, not_before));
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
            if *taken < if is_more { MANY_ROUTES } else { MAX_ROUTES }
                && let Some(tie) = self.peers.get_mut(id.0).and_then(|peer| peer.tie_mut(relay))
            {
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
