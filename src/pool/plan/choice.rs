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

impl Plan {
    /// The other relays and routes that can, the best one first: none that is silent or loses data.
    pub(crate) fn others(&self, id: PeerId) -> Vec<(RelayId, RouteId)> {
        let Some(peer) = self.peer(id) else { return Vec::new() };
        let is_good = |tie: &&Tie| {
            Some(tie.relay) != peer.used
                && self.relay(tie.relay).is_some_and(|known| !known.is_silent && known.lost == 0)
        };
        let good = peer.ties.iter().filter(is_good);
        let mut others: Vec<_> = good.filter_map(|tie| Some((tie.relay, tie.route.online()?))).collect();
        others.sort_by_cached_key(|(relay, _)| Reverse(self.relay(*relay).map(Known::data_rank)));
        others
    }

    /// Whether a relay carries the data of any peer.
    pub(crate) fn carries(&self, id: RelayId) -> bool {
        let tied = self.relay(id).into_iter().flat_map(|known| &known.tied);
        tied.filter_map(|peer| self.peer(*peer)).any(|peer| peer.used == Some(id))
    }

    /// Chooses the relay for the data of this peer again, after something has changed.
    pub(crate) fn choose_again(&mut self, now: Instant, id: PeerId) {
        let Some(peer) = self.peers.get(id.0) else { return };
        let stays = |used: RelayId| {
            let is_online = peer.tie(used).is_some_and(|tie| tie.route.online().is_some());
            is_online && self.relay(used).is_some_and(|known| !known.is_silent && known.lost == 0)
        };
        let used = peer.used.filter(|used| stays(*used));
        let faster = used.and_then(|used| self.faster_than(peer, used));
        let best = if used.is_none() { self.best(peer) } else { None };
        let Some(peer) = self.peers.get_mut(id.0) else { return };
        let chosen = match (used, faster) {
            (Some(_), Some(faster)) if peer.handle_faster(now) => Some(faster),
            (Some(used), faster) => {
                if faster.is_none() {
                    peer.faster_since = None;
                }
                Some(used)
            }
            (None, _) => best,
        };
        if peer.used == chosen {
            return;
        }
        let before = std::mem::replace(&mut peer.used, chosen);
        peer.faster_since = None;
        let was_refused = chosen.is_some() && std::mem::take(&mut peer.was_refused);
        let notice = match (before, chosen) {
            (None, Some(relay)) => Notice::PeerOnline(id, relay),
            (Some(from), Some(to)) => {
                let cause = if used.is_some() { MoveCause::Faster } else { self.cause(id, from) };
                Notice::PeerMoved(id, Move { from, to, cause })
            }
            (_, None) => Notice::PeerOffline(id),
        };
        self.notices.push_back(notice);
        if was_refused {
            self.notices.push_back(Notice::Writable(id));
        }
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

    /// The best relay on which a peer is online.
    fn best(&self, peer: &Peer) -> Option<RelayId> {
        let online = peer.ties.iter().filter(|tie| tie.route.online().is_some());
        let ranked = online.filter_map(|tie| Some((self.relay(tie.relay)?, tie.relay)));
        ranked.max_by_key(|(known, _)| known.data_rank()).map(|(_, relay)| relay)
    }

    /// The fastest relay on which the peer is online, if its round trip is less than two thirds of this one's.
    fn faster_than(&self, peer: &Peer, used: RelayId) -> Option<RelayId> {
        let slow = self.relay(used)?.round_trip?;
        let good = |tie: &Tie| {
            let known = self.relay(tie.relay).filter(|known| !known.is_silent && known.lost == 0)?;
            let time = known.round_trip.filter(|time| *time * 3 < slow * 2)?;
            Some((time, tie.relay))
        };
        let online = peer.ties.iter().filter(|tie| tie.relay != used && tie.route.online().is_some());
        online.filter_map(good).min().map(|(_, relay)| relay)
    }
}
