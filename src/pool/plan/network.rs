//! The user has another network or another proxy.

use std::time::Instant;

use crate::config::ProxyChoice;
use crate::pool::id::RelayId;
use crate::pool::plan::relay::{Known, State};
use crate::pool::plan::state::Plan;

impl Plan {
    /// The network has changed: what failed on the old one may work on this one, so all pauses are over. Everything starts
    /// over, unless it has just done so: attempts of the old network begin anew, and as many as at the start are allowed.
    pub(crate) fn handle_network_changed(&mut self, now: Instant) {
        self.relays.values_mut().for_each(Known::end_pause);
        for search in self.peers.values_mut().filter_map(|peer| peer.search.as_mut()) {
            search.begin_soon(now);
        }
        if self.allowance.refill(now) {
            let is_tried = |known: &Known| matches!(known.state, State::Connecting { .. });
            let tried = self.relays().filter(|(_, known)| is_tried(known)).map(|(id, _)| id);
            tried.collect::<Vec<RelayId>>().into_iter().for_each(|id| self.end(id, now));
            self.relays.values_mut().for_each(|known| known.failures.handle_network_changed());
        }
        self.is_outdated = true;
    }

    /// Another proxy is used from now on: what failed without it may work with it.
    pub(crate) fn handle_new_proxy(&mut self) {
        let with_it = |known: &&mut Known| known.relay.proxy == ProxyChoice::Default;
        self.relays.values_mut().filter(with_it).for_each(Known::end_pause);
        self.is_outdated = true;
    }
}
