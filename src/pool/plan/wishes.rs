//! What the user wants.

use std::time::Instant;

use rand::Rng;

use crate::config::Relay;
use crate::key::PublicKey;
use crate::pool::error::{AddRelayError, TieError};
use crate::pool::id::{PeerId, RelayId};
use crate::pool::origin::Origin;
use crate::pool::plan::action::Action;
use crate::pool::plan::allowance::Allowance;
use crate::pool::plan::peer::{MAX_ROUTES_OF_PEER, Peer, Route, Tie};
use crate::pool::plan::relay::Known;
use crate::pool::plan::state::Plan;

/// The most relays that are known, without those that peers have added.
const MAX_OWN: usize = 4_096;

/// The most relays that a peer adds, and the most that are tied to it.
const MAX_TIES: usize = 24;

impl Plan {
    /// Adds a relay. If it is known, it keeps its id: see [`Known::describe`].
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
            known.describe(relay, origin);
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
        let Some(known) = self.relay(id) else { return false };
        if known.connection().is_some() {
            self.removed.insert(id, known.relay.token);
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
        for tie in peer.ties {
            self.actions.extend(tie.route.id().map(Action::CloseRoute));
            if let Some(relay) = self.relays.get_mut(tie.relay.0) {
                relay.untie(id);
                relay.routes -= usize::from(tie.route.id().is_some());
            }
        }
        self.remove_orphans(now);
        true
    }

    /// Removes the relays that nobody is tied to, and that only peers have told us about who were removed.
    fn remove_orphans(&mut self, now: Instant) {
        let is_orphan = |known: &Known| match known.origin {
            Origin::Peer { peer, .. } => known.tied.is_empty() && self.peer(peer).is_none(),
            Origin::User | Origin::List => false,
        };
        let orphans: Vec<RelayId> =
            self.relays().filter(|(_, known)| is_orphan(known)).map(|(id, _)| id).collect();
        orphans.into_iter().for_each(|relay| _ = self.remove_relay(now, relay));
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
        peer.ties.push(Tie { relay, route: Route::CLOSED, is_tried: false });
        known.tied.insert(id);
        self.is_outdated = true;
        Ok(())
    }

    /// The peer is not on this relay any more.
    pub(crate) fn untie(&mut self, now: Instant, id: PeerId, relay: RelayId) -> bool {
        let Some(peer) = self.peers.get_mut(id.0) else { return false };
        let Some(at) = peer.ties.iter().position(|tie| tie.relay == relay) else { return false };
        let tie = peer.ties.remove(at);
        self.actions.extend(tie.route.id().map(Action::CloseRoute));
        if let Some(known) = self.relays.get_mut(relay.0) {
            known.untie(id);
            known.routes -= usize::from(tie.route.id().is_some());
        }
        self.choose_again(now, id);
        self.remove_orphans(now);
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

    /// Pauses are over: what failed on the old network may work on this one.
    pub(crate) fn handle_network_changed(&mut self) {
        let ids: Vec<u64> = self.relays.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.relays.get_mut(id).into_iter().for_each(Known::handle_network_changed);
        }
        self.peers.iter_mut().for_each(|(_, peer)| peer.search = None);
        self.allowance = Allowance::default();
        self.is_outdated = true;
    }

    /// Another proxy is used from now on: what was refused before may work with it.
    pub(crate) fn handle_new_proxy(&mut self) {
        let refused = self.relays.iter().filter(|(_, known)| known.refused.is_some());
        for id in refused.map(|(id, _)| id).collect::<Vec<_>>() {
            self.relays.get_mut(id).into_iter().for_each(Known::handle_network_changed);
            self.is_outdated = true;
        }
    }

    /// Whether data of this peer arrived that were sent by the relay that is used now, as those know who read the data.
    pub(crate) fn handle_report(&mut self, now: Instant, id: PeerId, was_delivered: bool) -> bool {
        let Some(peer) = self.peer(id) else { return false };
        if let Some(relay) = peer.used.and_then(|relay| self.relays.get_mut(relay.0)) {
            relay.losses.report(now, id, was_delivered);
            if !was_delivered {
                // Others are concerned, too, once several have reported it.
                let tied: Vec<PeerId> = relay.tied.iter().copied().collect();
                tied.into_iter().for_each(|peer| self.choose_again(now, peer));
            }
        }
        true
    }
}
