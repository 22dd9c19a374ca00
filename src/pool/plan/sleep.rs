//! Peers that sleep: they are reached directly, and their routes are closed.

use std::time::{Duration, Instant};

use crate::pool::id::PeerId;
use crate::pool::plan::state::Plan;

/// The routes of a peer are closed after it has slept for so long: one that wakes up earlier keeps them.
const CLOSED_AFTER: Duration = Duration::from_secs(10);

impl Plan {
    /// Closes the routes of peers that have slept for a while.
    pub(crate) fn close_routes_of_sleepers(&mut self, now: Instant) {
        let sleepers = self.peers().filter(|(_, peer)| !peer.is_awake && peer.routes() > 0);
        for id in sleepers.map(|(id, _)| id).collect::<Vec<_>>() {
            let Some(peer) = self.peers.get_mut(id.0) else { continue };
            let due_at = *peer.sleeps_since.get_or_insert(now) + CLOSED_AFTER;
            if due_at > now {
                self.wake(due_at);
            } else {
                self.close_routes(now, id);
            }
        }
    }

    fn close_routes(&mut self, now: Instant, id: PeerId) {
        let tied = self.peer(id).into_iter().flat_map(|peer| peer.ties.iter().map(|tie| tie.relay));
        for relay in tied.collect::<Vec<_>>() {
            self.close_route(id, relay);
        }
        self.handle_changed_ways(now, id);
    }
}
