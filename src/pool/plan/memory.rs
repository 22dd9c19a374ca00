//! What is remembered over a restart.

use std::cmp::Reverse;
use std::time::Instant;

use crate::config::{ProxyChoice, Relay};
use crate::key::PublicKey;
use crate::pool::error::AddRelayError;
use crate::pool::origin::Origin;
use crate::pool::plan::relay::Known;
use crate::pool::plan::state::Plan;
use crate::pool::remembered::{Remembered, RememberedOrigin, RememberedPeer, RememberedRelay};

impl Plan {
    /// What is known. Relays with an identity or a proxy of their own are left out: without these, they would be
    /// reached in a way that the user does not want.
    pub(crate) fn remember(&self, now: Instant) -> Remembered {
        let is_plain = |relay: &Relay| relay.identity.is_none() && relay.proxy == ProxyChoice::Default;
        let mut known: Vec<&Known> =
            self.relays().map(|(_, known)| known).filter(|known| is_plain(&known.relay)).collect();
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
                Origin::Peer { peer, is_local } => {
                    RememberedOrigin::Peer { public_key: self.peer(peer)?.key, is_local }
                }
            },
            round_trip: known.round_trip,
            failures: known.failures,
            up_time: known.up_time(now),
        })
    }

    /// Adds relays that were remembered, and ties them to the peers that are there. What is known since the start counts
    /// more. Returns the relays that were not added, and why.
    pub(crate) fn recall(&mut self, remembered: &Remembered) -> Vec<(PublicKey, AddRelayError)> {
        let mut refused = Vec::new();
        for entry in &remembered.relays {
            if let Err(error) = self.recall_relay(entry) {
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

    fn recall_relay(&mut self, entry: &RememberedRelay) -> Result<(), AddRelayError> {
        let origin = match entry.origin {
            RememberedOrigin::User => Origin::User,
            RememberedOrigin::List => Origin::List,
            RememberedOrigin::Peer { public_key, is_local } => {
                let peer = self.find_peer(&public_key).ok_or(AddRelayError::UnknownPeer)?;
                Origin::Peer { peer, is_local }
            }
        };
        let id = self.add_relay(entry.relay.clone(), origin)?;
        self.relays.get_mut(id.0).into_iter().for_each(|known| known.recall(entry));
        Ok(())
    }
}
