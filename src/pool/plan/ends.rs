//! Ends of connections and routes.

use std::time::Instant;

use rand::RngExt;

use crate::advice::Retry;
use crate::pool::id::{PeerId, RelayId};
use crate::pool::plan::action::Action;
use crate::pool::plan::peer::Route;
use crate::pool::plan::relay::Known;
use crate::pool::plan::state::Plan;

impl Plan {
    /// The connection, or the attempt, of a relay has ended by itself.
    pub(crate) fn fail(&mut self, now: Instant, id: RelayId, retry: Retry) {
        let in_outage = !self.relays().any(|(other, known)| other != id && known.is_connected());
        let jitter = self.random.random_range(0.0..1.0);
        if let Some(known) = self.relays.get_mut(id.0) {
            known.handle_failure(now, retry, jitter, in_outage);
        }
        self.forget_routes(now, id, true);
    }

    /// Ends the connection of a relay that is not needed.
    pub(crate) fn end(&mut self, id: RelayId, now: Instant) {
        let Some(known) = self.relays.get_mut(id.0) else { return };
        if let Some(connection) = known.connection() {
            self.by_connection.remove(&connection);
            self.actions.push_back(Action::Disconnect(connection));
        }
        let is_attempt = !known.is_connected();
        known.handle_end(now);
        self.forget_routes(now, id, is_attempt);
    }

    /// Closes a route that is not wanted for now.
    pub(crate) fn close_route(&mut self, id: PeerId, relay: RelayId) {
        let Some(tie) = self.peers.get_mut(id.0).and_then(|peer| peer.tie_mut(relay)) else { return };
        let route = std::mem::replace(&mut tie.route, Route::CLOSED);
        if let (Some(route), Some(known)) = (route.id(), self.relays.get_mut(relay.0)) {
            known.routes -= 1;
            self.actions.push_back(Action::CloseRoute(route));
        }
    }

    /// The routes of a relay have ended with its connection. `in_vain`: the searches for all its peers have tried it.
    fn forget_routes(&mut self, now: Instant, id: RelayId, in_vain: bool) {
        let tied: Vec<PeerId> =
            self.relay(id).into_iter().flat_map(|known| known.tied.iter().copied()).collect();
        for peer in tied {
            if let Some(tie) = self.peers.get_mut(peer.0).and_then(|peer| peer.tie_mut(id)) {
                tie.is_tried |= in_vain || tie.route.id().is_some();
                tie.route = Route::CLOSED;
            }
            self.handle_changed_ways(now, peer);
        }
        if !self.relays().any(|(_, known)| known.is_connected()) {
            self.relays.values_mut().for_each(Known::handle_outage);
        }
        self.is_outdated = true;
    }
}
