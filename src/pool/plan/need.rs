//! Which relays are needed: which of them a peer may count on, and without which nothing would be missing.

use std::time::{Duration, Instant};

use crate::pool::id::{PeerId, RelayId};
use crate::pool::plan::peer::{Peer, Route};
use crate::pool::plan::relay::{Known, State};
use crate::pool::plan::state::Plan;

/// The relays that are connected even if there is no peer.
const WITHOUT_PEERS: usize = 3;

/// If a relay is not connected by then, another one is tried besides it. Most need a few hundred milliseconds.
pub(crate) const STAGGER: Duration = Duration::from_secs(1);

/// The most routes of a relay.
pub(crate) const MAX_ROUTES: usize = 240;

/// A relay with so many is left to peers that have fewer than they want, and to those that are looked for.
pub(crate) const MANY_ROUTES: usize = 180;

impl Plan {
    /// The relays that are kept connected whatever the peers want.
    pub(crate) fn always(&self) -> usize {
        self.onion_relays.max(WITHOUT_PEERS).min(self.bound)
    }

    /// How many more connections there may be.
    pub(crate) fn places(&self) -> usize {
        self.bound.saturating_sub(self.relays().filter(|(_, known)| !known.is_idle()).count())
    }

    /// Whether no relay of this peer is connected or about to be, though one of them may soon be.
    pub(crate) fn has_none(&self, peer: &Peer, now: Instant) -> bool {
        let mut relays = peer.ties.iter().filter_map(|tie| self.relay(tie.relay));
        relays.clone().all(Known::is_idle) && relays.any(|known| !known.failures.are_lasting(now))
    }

    /// Whether a peer may count on this tie. Relays that are tried for offline peers count only for those that are there.
    pub(crate) fn covers_tie(&self, relay: RelayId, route: Route, now: Instant) -> bool {
        let is_there = |known: &Known| known.is_tried(now) && route.online().is_some();
        self.relay(relay)
            .is_some_and(|known| can_have_route(known, route, now) && (covers(known, now) || is_there(known)))
    }

    /// How many relays count as wanted ones, and how many of them are connected.
    pub(crate) fn covering(&self, now: Instant) -> (usize, usize) {
        let covering = self.relays().filter(|(_, known)| covers(known, now));
        covering.fold((0, 0), |(all, connected), (_, known)| {
            (all + 1, connected + usize::from(known.is_connected()))
        })
    }

    /// How much would be lost without a relay: the peers whose data it carries, those that are online there, those that
    /// are tied to it, its rank.
    pub(crate) fn value(&self, id: RelayId) -> Option<impl Ord + use<>> {
        let known = self.relay(id)?;
        let awake = known.tied.iter().filter_map(|peer| self.peer(*peer)).filter(|peer| peer.is_awake);
        let (mut carried, mut online, mut tied) = (0_usize, 0_usize, 0_usize);
        for peer in awake {
            carried += usize::from(peer.used == Some(id));
            online += usize::from(peer.tie(id).is_some_and(|tie| tie.route.online().is_some()));
            tied += 1;
        }
        Some((carried, online, tied, known.rank()))
    }

    /// Whether nothing would be missing without this relay. A route that is online is replaced only by one that is
    /// online, and a connected relay only by a connected one: make before break.
    pub(crate) fn is_surplus(&self, id: RelayId, now: Instant, (all, connected): (usize, usize)) -> bool {
        let Some(known) = self.relay(id).filter(|known| !known.is_idle()) else { return false };
        let others = if known.is_connected() { connected } else { all } - usize::from(covers(known, now));
        others >= self.always() && self.leaves(known, id, now, self.wanted)
    }

    /// The relay that is worth the least, of those without which every peer still has one.
    pub(crate) fn least_missed(&self, now: Instant) -> Option<RelayId> {
        self.least(now, |id, known| self.leaves(known, id, now, 1))
    }

    /// The relay that is worth the least, of those that carry no data.
    pub(crate) fn least_used(&self, now: Instant) -> Option<RelayId> {
        let carries = |id, peer: &PeerId| self.peer(*peer).is_some_and(|peer| peer.used == Some(id));
        self.least(now, |id, known| !known.tied.iter().any(|peer| carries(id, peer)))
    }

    /// The relay that is worth the least, of those that are in use, not just being tried for a search, and chosen. The last
    /// one that is connected and answers stays, unless there is only one place.
    fn least(&self, now: Instant, is_chosen: impl Fn(RelayId, &Known) -> bool) -> Option<RelayId> {
        let (_, connected) = self.covering(now);
        let is_last = |known: &Known| connected == 1 && known.is_connected() && covers(known, now);
        let used = self.relays().filter(|(_, known)| !known.is_idle() && !known.is_tried(now));
        let used = used.filter(|(_, known)| self.bound == 1 || !is_last(known));
        used.filter(|(id, known)| is_chosen(*id, known)).map(|(id, _)| id).min_by_key(|id| self.value(*id))
    }

    /// Whether each awake peer that is tied to this relay has so many others that are as good. Those that are just tried for
    /// a search do not count yet: they come and go.
    fn leaves(&self, known: &Known, id: RelayId, now: Instant, count: usize) -> bool {
        let as_good = |other: &Known| {
            !other.is_tried(now) && if known.is_connected() { other.is_connected() } else { !other.is_idle() }
        };
        known.tied.iter().filter_map(|peer| self.peer(*peer)).filter(|peer| peer.is_awake).all(|peer| {
            let is_online = peer.tie(id).is_some_and(|tie| tie.route.online().is_some());
            let others = peer.ties.iter().filter(|tie| {
                let is_online = !is_online || tie.route.online().is_some();
                tie.relay != id && is_online && self.relay(tie.relay).is_some_and(&as_good)
            });
            others.filter(|tie| self.covers_tie(tie.relay, tie.route, now)).count() >= count
        })
    }
}

/// Whether a peer has a route on this relay, or can have one.
pub(crate) fn can_have_route(known: &Known, route: Route, now: Instant) -> bool {
    match route {
        Route::None { not_before } => not_before.is_none_or(|at| at <= now) && known.routes < MAX_ROUTES,
        _ => true,
    }
}

/// Whether a relay counts as one of those that are wanted: it is connected and answers, or is just being connected; and
/// not only for a search.
pub(crate) fn covers(known: &Known, now: Instant) -> bool {
    match known.state {
        _ if known.is_tried(now) => false,
        State::Idle => false,
        State::Connecting { since, .. } => now.saturating_duration_since(since) < STAGGER,
        State::Connected { .. } => !known.is_silent,
    }
}
