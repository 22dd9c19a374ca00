//! What is remembered over a restart.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Instant;

use crate::key::PublicKey;
use crate::pool::error::AddRelayError;
use crate::pool::id::PeerId;
use crate::pool::origin::Origin;
use crate::pool::plan::relay::Known;
use crate::pool::plan::state::Plan;
use crate::pool::remembered::{Remembered, RememberedOrigin, RememberedPeer, RememberedRelay};

impl Plan {
    /// What is known. Relays with an identity or a proxy of their own are left out: without these, they would be
    /// reached in a way that the user does not want.
    pub(crate) fn remember(&self, now: Instant) -> Remembered {
        let mut known: Vec<&Known> =
            self.relays().map(|(_, known)| known).filter(|known| known.is_plain()).collect();
        known.sort_by_key(|known| Reverse(known.rank()));
        let relays = known.into_iter().filter_map(|known| self.remember_relay(known, now));
        let peers = self.peers().map(|(_, peer)| RememberedPeer {
            public_key: peer.key,
            relays: peer
                .ties
                .iter()
                .filter_map(|tie| self.relay(tie.relay))
                .map(|known| known.relay.public_key())
                .collect(),
        });
        Remembered { relays: relays.collect(), peers: peers.filter(|peer| !peer.relays.is_empty()).collect() }
    }

    fn remember_relay(&self, known: &Known, now: Instant) -> Option<RememberedRelay> {
        Some(RememberedRelay {
            relay: known.public_part()?,
            origin: match known.origin {
                Origin::User => RememberedOrigin::User,
                Origin::List => RememberedOrigin::List,
                Origin::Peer { is_local, .. } => {
                    // Those who have named it may be gone. Then it belongs to those who use it.
                    let mut peers = known.namers().chain(known.tied.iter().copied());
                    RememberedOrigin::Peer {
                        public_key: peers.find_map(|peer| self.peer(peer))?.key,
                        is_local,
                    }
                }
            },
            round_trip: known.round_trip,
            failures: known.failures.blamed(),
            up_time: known.up_time(now),
        })
    }

    /// Adds relays that were remembered, and ties them to the peers that are there. What is known since the start counts
    /// more. Returns the relays that were not added, and why.
    pub(crate) fn recall(
        &mut self,
        now: Instant,
        remembered: &Remembered,
    ) -> Vec<(PublicKey, AddRelayError)> {
        let mut refused = Vec::new();
        let users = self.users_of(remembered);
        for entry in &remembered.relays {
            if let Err(error) = self.recall_relay(now, entry, &users) {
                refused.push((entry.relay.public_key(), error));
            }
        }
        for entry in &remembered.peers {
            let Some(peer) = self.find_peer(&entry.public_key) else { continue };
            for key in &entry.relays {
                if let Some(relay) = self.by_relay_key.get(key).copied()
                    && self.tie(peer, relay).is_err()
                {
                    break; // it has as many as it may have
                }
            }
        }
        refused
    }

    /// For each relay that was remembered, one of the peers that are there and were tied to it.
    fn users_of(&self, remembered: &Remembered) -> HashMap<PublicKey, PeerId> {
        let peers =
            remembered.peers.iter().filter_map(|entry| Some((entry, self.find_peer(&entry.public_key)?)));
        peers.flat_map(|(entry, peer)| entry.relays.iter().map(move |relay| (*relay, peer))).collect()
    }

    /// If the peer that has named it is not there, it is named by one that was tied to it.
    fn recall_relay(
        &mut self,
        now: Instant,
        entry: &RememberedRelay,
        users: &HashMap<PublicKey, PeerId>,
    ) -> Result<(), AddRelayError> {
        let key = entry.relay.public_key();
        let origin = match entry.origin {
            RememberedOrigin::User => Origin::User,
            RememberedOrigin::List => Origin::List,
            RememberedOrigin::Peer { public_key, is_local } => {
                let peer = self.find_peer(&public_key).or(users.get(&key).copied());
                Origin::Peer { peer: peer.ok_or(AddRelayError::UnknownPeer)?, is_local }
            }
        };
        let known = self.find_relay_by_key(&key).and_then(|id| Some((id, self.relay(id)?)));
        let id = match known {
            Some((id, known)) if known.origin.rank() > origin.rank() => id,
            Some((_, known)) => self.add_relay(known.with_remembered(&entry.relay), origin)?,
            None => self.add_relay(entry.relay.clone(), origin)?,
        };
        self.relays.get_mut(id.0).into_iter().for_each(|known| known.recall(now, entry));
        Ok(())
    }
}
