//! The search for peers that are offline on all the relays that are connected for them: the others that are tied to them
//! are tried, too, with the common pings.
//!
//! The relays that were chosen first stay meanwhile, so two peers that search for each other meet. When all of a peer's
//! relays were tried, the next round begins after a pause, and each pause is twice as long as the one before. A relay is
//! tried for all offline peers at once that are tied to it; therefore rounds begin together, at multiples of the pause.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::pool::id::{PeerId, RelayId};
use crate::pool::plan::need::{MANY_ROUTES, can_have_route};
use crate::pool::plan::peer::{MAX_ROUTES_OF_PEER, Peer, Route, Search, Tie};
use crate::pool::plan::relay::Known;
use crate::pool::plan::state::Plan;

/// A relay is tried for so long: the connect timeout, and as long for the peer. It is less than the pings are apart.
const TRIED_FOR: Duration = Duration::from_secs(20);

/// The most relays that are tried at a time. Of the attempts that are allowed, most are left for others.
const MOST_TRIED: usize = 4;

/// The longest pause between rounds, after eight of them: then all relays that are tied to peers who stay offline cost one
/// attempt each in four hours.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 << 8);

impl Plan {
    /// Goes on with all searches.
    pub(crate) fn search(&mut self, now: Instant) {
        if self.relays().any(|(_, known)| known.is_tried(now)) {
            return;
        }
        let mut seekers = self.seekers(now);
        for _ in 0..MOST_TRIED {
            let rank = |id: &RelayId| self.relay(*id).map(|known| known.rank());
            let best = seekers.iter().max_by_key(|(id, peers)| (peers.len(), rank(id)));
            let Some(id) = best.map(|(id, _)| *id).filter(|id| self.try_relay(now, *id)) else { return };
            let peers = seekers.remove(&id).unwrap_or_default();
            seekers.values_mut().for_each(|others| others.retain(|peer| !peers.contains(peer)));
            seekers.retain(|_, others| !others.is_empty());
        }
    }

    /// The relays that can be tried, and for which peers.
    fn seekers(&mut self, now: Instant) -> BTreeMap<RelayId, BTreeSet<PeerId>> {
        let mut seekers: BTreeMap<RelayId, BTreeSet<PeerId>> = BTreeMap::new();
        let mut held_routes = Vec::new();
        let begun = *self.searches_since.get_or_insert(now);
        let (relays, wanted) = (&self.relays, self.wanted);
        for (id, peer) in self.peers.iter_mut() {
            if !peer.is_awake || peer.used.is_some() {
                peer.search = None;
                continue;
            }
            let can_try =
                |tie: &Tie| relays.get(tie.relay.0).is_some_and(|known| can_try(known, tie.route, now));
            search_for(peer, now, begun, can_try);
            let is_idle = |tie: &&Tie| relays.get(tie.relay.0).is_some_and(Known::is_idle);
            for tie in peer.untried().filter(is_idle).filter(|tie| can_try(tie)) {
                seekers.entry(tie.relay).or_default().insert(PeerId(id));
            }
            let most = peer.most_routes(wanted);
            let held = peer.ties.iter().filter(|tie| tie.is_tried && tie.route.id().is_some());
            held_routes.extend(held.enumerate().map(|(at, tie)| (PeerId(id), tie.relay, at >= most)));
            peer.ties.iter_mut().for_each(|tie| tie.is_tried |= tie.route.id().is_some());
        }
        for (peer, relay, is_surplus) in held_routes.into_iter().rev() {
            self.give_back(peer, relay, is_surplus);
        }
        self.relays.values_mut().for_each(|known| known.tried_until = None);
        seekers
    }

    /// An offline peer has had a route here since the last common ping at least. It is closed, if the search needs it
    /// elsewhere, or the relay has many and the peer has more than it wants.
    fn give_back(&mut self, id: PeerId, relay: RelayId, is_surplus: bool) {
        let (Some(peer), Some(known)) = (self.peer(id), self.relay(relay)) else { return };
        let is_full = peer.routes() == MAX_ROUTES_OF_PEER && peer.untried().next().is_some();
        let is_crowded = known.routes > MANY_ROUTES && peer.routes() > self.wanted;
        if is_surplus || is_full || is_crowded {
            self.close_route(id, relay);
        }
    }

    /// Connects a relay for a search. Returns whether that is possible.
    fn try_relay(&mut self, now: Instant, id: RelayId) -> bool {
        let displaced = if self.places() == 0 { self.least_used(now) } else { None };
        if self.places() == 0 && displaced.is_none() || self.allowance.take(now).is_err() {
            return false;
        }
        displaced.into_iter().for_each(|id| self.end(id, now));
        self.relays.get_mut(id.0).into_iter().for_each(|known| known.tried_until = Some(now + TRIED_FOR));
        self.begin(now, id);
        self.wake(now + TRIED_FOR);
        true
    }
}

/// Goes on with the search for an offline peer. `begun` is when the first search began.
fn search_for(peer: &mut Peer, now: Instant, begun: Instant, can_try: impl Fn(&Tie) -> bool) {
    let can_go_on = peer.untried().any(can_try);
    let Peer { search, ties, .. } = peer;
    let Some(search) = search else {
        *search = Some(Search::new(now));
        return ties.iter_mut().for_each(|tie| tie.is_tried = true);
    };
    match search.next_at {
        // Relays that cannot be tried now are left out: there may always be one.
        None if !can_go_on => {
            let pauses = (now - begun).div_duration_f64(search.pause) as u32;
            search.next_at = Some(begun + search.pause * (pauses + 1));
            search.pause = (search.pause * 2).min(LONGEST_PAUSE);
            ties.iter_mut().for_each(|tie| tie.is_tried = true);
        }
        Some(at) if at <= now => {
            search.next_at = None;
            ties.iter_mut().for_each(|tie| tie.is_tried &= tie.route.id().is_some());
        }
        _ => {}
    }
}

/// Whether a peer can get a route on this relay: the relay can be connected, or is connected and has room.
fn can_try(known: &Known, route: Route, now: Instant) -> bool {
    let is_ready = known.is_connected() || known.is_idle() && known.failures.retry_at(now).is_none();
    is_ready && can_have_route(known, route, now)
}
