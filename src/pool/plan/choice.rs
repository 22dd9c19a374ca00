//! Which relay carries the data of a peer: one at a time.

use std::cmp::Reverse;
use std::time::Instant;

use crate::id::RouteId;
use crate::pool::event::{Move, MoveCause};
use crate::pool::id::{PeerId, RelayId};
use crate::pool::plan::action::Notice;
use crate::pool::plan::peer::{Peer, Tie};
use crate::pool::plan::relay::Known;
use crate::pool::plan::state::Plan;

/// The faults of a relay that has none.
const GOOD: (bool, u32) = (false, 0);

impl Plan {
    /// The relays besides the used one that can carry the data of this peer, with the routes to it, the best one first:
    /// none that is silent or loses data.
    pub(crate) fn others(&self, id: PeerId) -> Vec<(RelayId, RouteId)> {
        let Some(peer) = self.peer(id) else { return Vec::new() };
        let good =
            self.online(peer).filter(|(tie, known)| Some(tie.relay) != peer.used && known.faults(id) == GOOD);
        let mut others: Vec<_> = good.collect();
        others.sort_by_cached_key(|(_, known)| Reverse(known.data_rank(id)));
        others.into_iter().filter_map(|(tie, _)| Some((tie.relay, tie.route.online()?))).collect()
    }

    /// A way to this peer has come or gone: a route, or a relay that is tied to it.
    pub(crate) fn handle_changed_ways(&mut self, now: Instant, id: PeerId) {
        self.choose_again(now, id);
        self.report_room(id);
    }

    /// Chooses the relay for the data of this peer again, after something has changed.
    pub(crate) fn choose_again(&mut self, now: Instant, id: PeerId) {
        let Some(peer) = self.peers.get(id.0) else { return };
        let used = peer.used.filter(|used| self.online(peer).any(|(tie, _)| tie.relay == *used));
        let better =
            self.best(id, peer).filter(|best| used.is_none_or(|used| self.has_fewer_faults(id, *best, used)));
        let faster = used.and_then(|used| self.faster_than(id, peer, used));
        let Some(peer) = self.peers.get_mut(id.0) else { return };
        if faster.is_none() {
            peer.faster_since = None;
        }
        let faster = faster.filter(|_| peer.handle_faster(now));
        let chosen = better.or(faster).or(used);
        if peer.used == chosen {
            return;
        }
        let before = std::mem::replace(&mut peer.used, chosen);
        peer.faster_since = None;
        let notice = match (before, chosen) {
            (None, Some(relay)) => Notice::PeerOnline(id, relay),
            (Some(from), Some(to)) => {
                let cause = if better.is_none() { MoveCause::Faster } else { self.cause(id, from) };
                Notice::PeerMoved(id, Move { from, to, cause })
            }
            (_, None) => Notice::PeerOffline(id),
        };
        self.notices.push_back(notice);
        self.report_room(id);
    }

    /// Why a relay carries the data of a peer no longer.
    fn cause(&self, id: PeerId, relay: RelayId) -> MoveCause {
        let is_online =
            self.peer(id).and_then(|peer| peer.tie(relay)).is_some_and(|tie| tie.route.online().is_some());
        match self.relay(relay) {
            Some(known) if is_online && known.is_silent => MoveCause::Silent,
            Some(_) if is_online => MoveCause::Loses,
            _ => MoveCause::Offline,
        }
    }

    /// The relays on which a peer is online.
    fn online<'a>(&'a self, peer: &'a Peer) -> impl Iterator<Item = (&'a Tie, &'a Known)> {
        let online = peer.ties.iter().filter(|tie| tie.route.online().is_some());
        online.filter_map(|tie| Some((tie, self.relay(tie.relay)?)))
    }

    /// The best relay on which a peer is online.
    fn best(&self, id: PeerId, peer: &Peer) -> Option<RelayId> {
        self.online(peer).max_by_key(|(_, known)| known.data_rank(id)).map(|(tie, _)| tie.relay)
    }

    /// Whether this relay takes over at once: the used one is silent and it is not, or it has lost less than two thirds.
    /// If all lose data, they do not take turns.
    fn has_fewer_faults(&self, peer: PeerId, relay: RelayId, used: RelayId) -> bool {
        let (Some(known), Some(old)) = (self.relay(relay), self.relay(used)) else { return false };
        let ((is_silent, lost), (was_silent, had_lost)) = (known.faults(peer), old.faults(peer));
        if is_silent == was_silent { u64::from(lost) * 3 < u64::from(had_lost) * 2 } else { was_silent }
    }

    /// The fastest relay on which the peer is online, if its round trip is less than two thirds of this one's, and it has no
    /// more faults. One that has failed proves itself first.
    fn faster_than(&self, id: PeerId, peer: &Peer, used: RelayId) -> Option<RelayId> {
        let known = self.relay(used)?;
        let (slow, faults) = (known.round_trip?, known.faults(id));
        let time = |known: &Known| {
            let has_more = known.faults(id) > faults || known.has_failed();
            known.round_trip.filter(|time| *time * 3 < slow * 2 && !has_more)
        };
        let faster = self.online(peer).filter_map(|(tie, known)| Some((time(known)?, tie.relay)));
        faster.min().map(|(_, relay)| relay)
    }
}
