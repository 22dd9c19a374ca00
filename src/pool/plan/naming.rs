//! Which relays are known, and who has named them.

use std::time::Instant;

use rand::Rng;

use crate::address::Address;
use crate::config::Relay;
use crate::pool::error::AddRelayError;
use crate::pool::id::{PeerId, RelayId};
use crate::pool::origin::Origin;
use crate::pool::plan::peer::MAX_RELAYS_OF_PEER;
use crate::pool::plan::relay::Known;
use crate::pool::plan::state::Plan;

/// The most relays that the user and lists have named.
const MAX_OWN: usize = 4_096;

impl Plan {
    /// Adds a relay. If it is known, it keeps its id: see [`Known::describe`].
    pub(crate) fn add_relay(&mut self, relay: Relay, origin: Origin) -> Result<RelayId, AddRelayError> {
        let key = relay.public_key();
        let known = self.by_relay_key.get(&key).copied();
        // What a peer says of a relay of our own counts for nothing.
        let is_own = known.is_some_and(|id| self.own.contains(&id));
        let is_ignored = is_own && matches!(origin, Origin::Peer { .. });
        let is_wrong = |address: &&Address| !is_ignored && !origin.allows(address);
        if let Some(address) = relay.addresses()?.iter().find(is_wrong) {
            return Err(AddRelayError::LocalAddress(address.clone()));
        }
        self.check_room(known, origin)?;
        let id = if let Some(id) = known {
            self.describe(id, relay, origin);
            id
        } else {
            let id = RelayId(self.relays.insert(Known::new(relay, origin, self.random.next_u32())));
            self.by_relay_key.insert(key, id);
            id
        };
        match origin {
            Origin::User | Origin::List => _ = self.own.insert(id),
            Origin::Peer { peer, .. } if !self.own.contains(&id) => {
                self.peers.get_mut(peer.0).into_iter().for_each(|peer| _ = peer.named.insert(id));
            }
            Origin::Peer { .. } => {}
        }
        self.is_outdated = true;
        Ok(id)
    }

    /// Whether there is room for another relay from there. One that is counted already needs none, and what a peer says
    /// of a relay of our own counts for nothing.
    fn check_room(&self, known: Option<RelayId>, origin: Origin) -> Result<(), AddRelayError> {
        let is_own = known.is_some_and(|id| self.own.contains(&id));
        let has_room = match origin {
            Origin::User | Origin::List => is_own || self.own.len() < MAX_OWN,
            Origin::Peer { peer, .. } => {
                let named = &self.peer(peer).ok_or(AddRelayError::UnknownPeer)?.named;
                is_own || known.is_some_and(|id| named.contains(&id)) || named.len() < MAX_RELAYS_OF_PEER
            }
        };
        if has_room { Ok(()) } else { Err(AddRelayError::TooMany) }
    }

    /// Somebody has named a relay that is known.
    fn describe(&mut self, id: RelayId, relay: Relay, origin: Origin) {
        let Some(known) = self.relays.get_mut(id.0) else { return };
        let before: Vec<PeerId> = known.namers().collect();
        known.describe(relay, origin);
        if known.namers().next().is_none() {
            // It is one of our own now.
            for peer in before {
                self.peers.get_mut(peer.0).into_iter().for_each(|peer| _ = peer.named.remove(&id));
            }
        }
    }

    /// Removes a relay, and ends its connection.
    pub(crate) fn remove_relay(&mut self, now: Instant, id: RelayId) -> bool {
        let Some(known) = self.relay(id) else { return false };
        if known.connection().is_some() {
            self.removed.insert(id, known.relay.token);
        }
        self.end(id, now);
        self.handle_removed(now, id);
        self.own.remove(&id);
        if let Some(known) = self.relays.remove(id.0) {
            self.by_relay_key.remove(&known.relay.public_key());
            for peer in known.namers() {
                self.peers.get_mut(peer.0).into_iter().for_each(|peer| _ = peer.named.remove(&id));
            }
            for peer in known.tied {
                self.peers
                    .get_mut(peer.0)
                    .into_iter()
                    .for_each(|peer| peer.ties.retain(|tie| tie.relay != id));
            }
        }
        true
    }

    /// Removes a relay that nobody is tied to, and that only peers have named who were removed.
    pub(crate) fn remove_if_orphan(&mut self, now: Instant, id: RelayId) {
        let has_nobody = |known: &Known| known.tied.is_empty() && known.namers().next().is_none();
        if !self.own.contains(&id) && self.relay(id).is_some_and(has_nobody) {
            self.remove_relay(now, id);
        }
    }
}
