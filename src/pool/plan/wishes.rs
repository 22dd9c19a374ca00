//! What the user wants.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::key::PublicKey;
use crate::pool::error::TieError;
use crate::pool::id::{PeerId, RelayId};
use crate::pool::plan::action::Action;
use crate::pool::plan::peer::{MAX_RELAYS_OF_PEER, MAX_ROUTES_OF_PEER, Peer, Route, Tie};
use crate::pool::plan::state::Plan;

impl Plan {
    /// Adds a peer, or returns the id that it has, with another token.
    pub(crate) fn add_peer(&mut self, key: PublicKey, token: u64) -> PeerId {
        let peers = &mut self.peers;
        let id = *self.by_key.entry(key).or_insert_with(|| PeerId(peers.insert(Peer::new(key))));
        peers.get_mut(id.0).into_iter().for_each(|peer| peer.token = token);
        id
    }

    /// Removes a peer, its routes, and the relays that only it has told us about.
    pub(crate) fn remove_peer(&mut self, now: Instant, id: PeerId) -> bool {
        let Some(peer) = self.peers.remove(id.0) else { return false };
        self.by_key.remove(&peer.key);
        self.is_outdated = true;
        let relays: BTreeSet<RelayId> = peer.ties.iter().map(|tie| tie.relay).chain(peer.named).collect();
        for tie in peer.ties {
            self.actions.extend(tie.route.id().map(Action::CloseRoute));
            if let Some(relay) = self.relays.get_mut(tie.relay.0) {
                relay.untie(id);
                relay.routes -= usize::from(tie.route.id().is_some());
            }
        }
        for relay in relays {
            self.relays.get_mut(relay.0).into_iter().for_each(|known| known.forget_namer(id));
            self.remove_if_orphan(now, relay);
        }
        true
    }

    /// The peer is thought to be on this relay. If that is known, it is a hint: if the peer is being looked for, and the
    /// next round has not begun, this relay is tried before it.
    pub(crate) fn tie(&mut self, id: PeerId, relay: RelayId) -> Result<(), TieError> {
        let peer = self.peers.get_mut(id.0).ok_or(TieError::UnknownPeer)?;
        let known = self.relays.get_mut(relay.0).ok_or(TieError::UnknownRelay)?;
        let is_in_round = peer.search.as_ref().is_some_and(|search| search.next_at.is_none());
        if let Some(tie) = peer.tie_mut(relay) {
            // During a round it has its turn anyway: again and again, it would take the turns of others.
            tie.is_tried &= is_in_round;
            return Ok(());
        }
        if peer.ties.len() == MAX_RELAYS_OF_PEER {
            return Err(TieError::TooMany);
        }
        peer.ties.push(Tie { relay, route: Route::CLOSED, is_tried: false });
        known.tied.insert(id);
        self.is_outdated = true;
        self.report_room(id);
        Ok(())
    }

    /// The peer is not on this relay any more. If it has named it, that counts no more.
    pub(crate) fn untie(&mut self, now: Instant, id: PeerId, relay: RelayId) -> bool {
        let Some(peer) = self.peers.get_mut(id.0) else { return false };
        let Some(at) = peer.ties.iter().position(|tie| tie.relay == relay) else { return false };
        let tie = peer.ties.remove(at);
        peer.named.remove(&relay);
        self.actions.extend(tie.route.id().map(Action::CloseRoute));
        if let Some(known) = self.relays.get_mut(relay.0) {
            known.untie(id);
            known.routes -= usize::from(tie.route.id().is_some());
            known.forget_namer(id);
        }
        self.handle_changed_ways(now, id);
        self.remove_if_orphan(now, relay);
        self.is_outdated = true;
        true
    }

    /// Whether a peer is to be reached through relays.
    pub(crate) fn set_awake(&mut self, id: PeerId, is_awake: bool) -> bool {
        let Some(peer) = self.peers.get_mut(id.0) else { return false };
        self.is_outdated |= peer.is_awake != is_awake;
        peer.is_awake = is_awake;
        if is_awake {
            peer.sleeps_since = None;
        }
        true
    }

    /// How many relays each awake peer wants: 1 to 6.
    pub(crate) fn set_wanted(&mut self, count: usize) {
        self.wanted = count.clamp(1, MAX_ROUTES_OF_PEER);
        self.is_outdated = true;
    }

    /// How many relays are kept connected for onion packets.
    pub(crate) fn set_onion_relays(&mut self, count: usize) {
        self.is_outdated |= self.onion_relays != count;
        self.onion_relays = count;
    }

    /// The most connections. If there are more, those that carry no data end first.
    pub(crate) fn set_bound(&mut self, now: Instant, bound: usize) {
        self.bound = bound;
        let mut used: Vec<RelayId> =
            self.relays().filter(|(_, known)| !known.is_idle()).map(|(id, _)| id).collect();
        used.sort_by_cached_key(|id| self.value(*id));
        used.truncate(used.len().saturating_sub(bound));
        used.into_iter().for_each(|id| self.end(id, now));
        self.is_outdated = true;
    }

    /// Whether data of this peer arrived that this relay has carried, as those know who read the data. It counts while the
    /// peer is online there: otherwise nobody has said that the data would arrive.
    pub(crate) fn handle_report(
        &mut self,
        now: Instant,
        id: PeerId,
        relay: RelayId,
        was_delivered: bool,
    ) -> bool {
        let tie = self.peer(id).and_then(|peer| peer.tie(relay));
        if tie.and_then(|tie| tie.route.online()).is_none() {
            return false;
        }
        let Some(known) = self.relays.get_mut(relay.0) else { return false };
        known.losses.report(now, id, was_delivered);
        if !was_delivered {
            // Others are concerned, too, once several have reported it.
            let tied: Vec<PeerId> = known.tied.iter().copied().collect();
            tied.into_iter().for_each(|peer| self.choose_again(now, peer));
        }
        true
    }
}
