//! By which relays data, onion packets and lists of relays go out.

use rand::RngExt;
use rand::seq::SliceRandom;

use crate::config::Relay;
use crate::id::{ConnectionId, RouteId};
use crate::pool::id::{PeerId, RelayId};
use crate::pool::plan::peer::Tie;
use crate::pool::plan::relay::{Known, State};
use crate::pool::plan::state::Plan;

impl Plan {
    /// The relay and route that carry the data of this peer.
    pub(crate) fn used(&self, id: PeerId) -> Option<(RelayId, RouteId)> {
        let peer = self.peer(id)?;
        let relay = peer.used?;
        Some((relay, peer.tie(relay)?.route.online()?))
    }

    /// The connected relays on which the peer may be, though it is offline; the one whose turn it is comes first.
    pub(crate) fn out_of_band(&mut self, id: PeerId) -> Vec<(RelayId, ConnectionId)> {
        let Some(peer) = self.peers.get_mut(id.0) else { return Vec::new() };
        peer.turn = peer.turn.wrapping_add(1);
        let (turn, relays) = (peer.turn, &self.relays);
        let connected = |tie: &Tie| match relays.get(tie.relay.0)?.state {
            State::Connected { connection, .. } => Some((tie.relay, connection)),
            _ => None,
        };
        let mut connected: Vec<_> = peer.ties.iter().filter_map(connected).collect();
        let count = connected.len().max(1);
        connected.rotate_left(turn % count);
        connected.sort_by_key(|(relay, _)| relays.get(relay.0).is_some_and(|relay| relay.is_silent));
        connected
    }

    /// The connected relays for an onion packet, in an order with equal chances; those that are silent come last.
    pub(crate) fn connected_at_random(&mut self) -> Vec<(RelayId, ConnectionId)> {
        let connected = |(id, known): (RelayId, &Known)| match known.state {
            State::Connected { connection, .. } => Some((id, connection)),
            _ => None,
        };
        let mut connected: Vec<_> = self.relays().filter_map(connected).collect();
        connected.shuffle(&mut self.random);
        connected.sort_by_key(|(id, _)| self.relay(*id).is_some_and(|known| known.is_silent));
        connected
    }

    /// Some of the relays that are connected, but not by a way that is only ours: others each time.
    pub(crate) fn share(&mut self, count: usize) -> Vec<Relay> {
        let mut connected: Vec<_> = self
            .relays()
            .filter(|(_, known)| known.is_connected() && known.is_plain())
            .filter_map(|(_, known)| known.public_part())
            .collect();
        let mut chosen = Vec::new();
        while chosen.len() < count && !connected.is_empty() {
            chosen.push(connected.swap_remove(self.random.random_range(..connected.len())));
        }
        chosen
    }
}
