//! Ends of connections and routes.

use std::time::{Duration, Instant};

use rand::RngExt;

use crate::advice::Retry;
use crate::pool::id::{PeerId, RelayId};
use crate::pool::plan::action::Action;
use crate::pool::plan::peer::Route;
use crate::pool::plan::state::Plan;

/// If the last relay that was connected gave its place to another, it is no outage of our own network for so long that none
/// is connected: enough for the attempt, and for the way back. If that relay itself fails, it is one.
const GAVE_WAY: Duration = Duration::from_secs(60);

impl Plan {
    /// The connection, or the attempt, of a relay has ended by itself.
    pub(crate) fn fail(&mut self, now: Instant, id: RelayId, retry: Retry) {
        let in_outage = self.is_outage_without(now, id);
        let jitter = self.random.random_range(0.0..1.0);
        if let Some(known) = self.relays.get_mut(id.0) {
            known.handle_failure(now, retry, jitter, in_outage);
        }
        self.forget_routes(now, id, true, true);
        if in_outage {
            self.handle_outage(now);
        }
    }

    /// A relay was removed: if no other one is connected, all are tried soon, as after the failure of the last one.
    pub(crate) fn handle_removed(&mut self, now: Instant, id: RelayId) {
        if self.is_outage_without(now, id) {
            self.handle_outage(now);
        }
    }

    /// Whether it is an outage of our own network, now that this relay has failed or was removed.
    fn is_outage_without(&mut self, now: Instant, id: RelayId) -> bool {
        self.gave_way.take_if(|(relay, at)| *relay == id || *at + GAVE_WAY <= now);
        self.gave_way.is_none() && !self.has_connected_besides(id)
    }

    fn handle_outage(&mut self, now: Instant) {
        self.relays.values_mut().for_each(|known| known.handle_outage(now));
    }

    /// Whether another relay is connected.
    fn has_connected_besides(&self, id: RelayId) -> bool {
        self.relays().any(|(other, known)| other != id && known.is_connected())
    }

    /// Ends the connection of a relay that is not needed.
    pub(crate) fn end(&mut self, id: RelayId, now: Instant) {
        let Some(known) = self.relays.get_mut(id.0) else { return };
        if let Some(connection) = known.connection() {
            self.by_connection.remove(&connection);
            self.actions.push_back(Action::Disconnect(connection));
        }
        let (is_connected, is_silent) = (known.is_connected(), known.is_silent);
        known.handle_end(now);
        self.forget_routes(now, id, !is_connected, false);
        if is_connected && !is_silent && !self.has_connected_besides(id) {
            self.gave_way = Some((id, now));
        }
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
    fn forget_routes(&mut self, now: Instant, id: RelayId, in_vain: bool, has_failed: bool) {
        let tied: Vec<PeerId> =
            self.relay(id).into_iter().flat_map(|known| known.tied.iter().copied()).collect();
        for peer in tied {
            if let Some(tie) = self.peers.get_mut(peer.0).and_then(|peer| peer.tie_mut(id)) {
                tie.is_tried |= in_vain || tie.route.id().is_some();
                // A relay that has refused a route is not asked sooner because we have ended its connection.
                if has_failed || !matches!(tie.route, Route::None { .. }) {
                    tie.route = Route::CLOSED;
                }
            }
            self.handle_changed_ways(now, peer);
        }
        self.is_outdated = true;
    }
}
