//! What the driver has done, and what the client has reported to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::advice::Retry;
use crate::error::ConnectError;
use crate::id::{ConnectionId, RouteId};
use crate::pool::event::{Move, MoveCause};
use crate::pool::id::{PeerId, RelayId};
use crate::pool::plan::action::{Action, Notice};
use crate::pool::plan::peer::Route;
use crate::pool::plan::relay::State;
use crate::pool::plan::state::Plan;

/// A relay that has refused a route is asked again after this time.
const REFUSED: Duration = Duration::from_secs(60);

/// What the driver has done.
impl Plan {
    /// `connect` has returned a connection.
    pub(crate) fn handle_connecting(&mut self, id: RelayId, connection: ConnectionId) {
        if let Some(known) = self.relays.get_mut(id.0)
            && let State::Connecting { connection: new, .. } = &mut known.state
        {
            *new = Some(connection);
            known.refused = None;
            self.by_connection.insert(connection, id);
            self.is_outdated = true;
        } else {
            self.actions.push_back(Action::Disconnect(connection));
        }
    }

    /// `connect` has failed at once: there is no connection whose end would be reported.
    pub(crate) fn handle_not_connecting(&mut self, now: Instant, id: RelayId, error: ConnectError) {
        let retry = error.retry();
        if let Some(known) = self.relays.get_mut(id.0) {
            known.refused = Some(Arc::new(error));
            self.notices.push_back(Notice::RelayRefused(id));
        }
        self.fail(now, id, retry);
    }

    /// `open_route` has returned a route, or `None` if the relay has no room for one.
    pub(crate) fn handle_route(&mut self, now: Instant, id: PeerId, relay: RelayId, route: Option<RouteId>) {
        let tie = self.peers.get_mut(id.0).and_then(|peer| peer.tie_mut(relay));
        match (tie, route) {
            (Some(tie), Some(route)) => {
                tie.route = Route::Offline(route);
                self.relays.get_mut(relay.0).into_iter().for_each(|relay| relay.routes += 1);
            }
            (Some(tie), None) => {
                tie.route = Route::None { not_before: Some(now + REFUSED) };
                self.notices.push_back(Notice::RouteRefused(id, relay));
                self.is_outdated = true;
            }
            (None, Some(route)) => self.actions.push_back(Action::CloseRoute(route)),
            (None, None) => {}
        }
    }

    /// Data were sent by this relay.
    pub(crate) fn handle_sent(&mut self, id: RelayId) {
        if let Some(relay) = self.relays.get_mut(id.0)
            && !std::mem::replace(&mut relay.has_sent, true)
            && relay.unheard_since.is_none()
        {
            self.has_sent = true;
            self.watched.push(id);
        }
    }

    /// The used relay can take no more, and this one has.
    pub(crate) fn handle_overflow(&mut self, id: PeerId, relay: RelayId) {
        if let Some(peer) = self.peers.get_mut(id.0) {
            let from = peer.used.replace(relay).unwrap_or(relay);
            peer.faster_since = None;
            self.notices.push_back(Notice::PeerMoved(id, Move { from, to: relay, cause: MoveCause::Full }));
        }
    }
}

/// What the client has reported.
impl Plan {
    pub(crate) fn handle_heard(&mut self, now: Instant, id: RelayId) {
        if let Some(relay) = self.relays.get_mut(id.0) {
            let was_silent = relay.is_silent;
            relay.handle_heard();
            if was_silent {
                self.handle_silence(now, id);
            }
        }
    }

    /// A relay has fallen silent, or answers again.
    pub(crate) fn handle_silence(&mut self, now: Instant, id: RelayId) {
        self.is_outdated = true;
        let tied: Vec<PeerId> =
            self.relay(id).into_iter().flat_map(|known| known.tied.iter().copied()).collect();
        tied.into_iter().for_each(|peer| self.handle_changed_ways(now, peer));
    }

    pub(crate) fn handle_connected(&mut self, now: Instant, id: RelayId) {
        let Some(relay) = self.relays.get_mut(id.0) else { return };
        if let State::Connecting { connection: Some(connection), .. } = relay.state {
            relay.state = State::Connected { connection, since: now };
            self.notices.push_back(Notice::RelayUp(id));
            if relay.failures.connection_ends_outage() {
                self.relays.values_mut().for_each(|known| known.failures.handle_end_of_outage());
            }
            self.handle_writable(id);
            self.is_outdated = true;
        }
    }

    /// A connection has ended. `None`: we have closed it.
    pub(crate) fn handle_disconnected(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        retry: Option<Retry>,
    ) -> Option<RelayId> {
        let id = self.by_connection.remove(&connection)?;
        if self.relay(id)?.connection() == Some(connection) {
            self.fail(now, id, retry.unwrap_or(Retry::Soon));
        }
        Some(id)
    }

    pub(crate) fn handle_online(&mut self, now: Instant, id: PeerId, relay: RelayId, route: RouteId) {
        let Some(peer) = self.peers.get_mut(id.0) else { return };
        if let Some(tie) = peer.tie_mut(relay).filter(|tie| tie.route.id() == Some(route)) {
            tie.route = Route::Online(route);
            self.doubtful.extend(peer.ties.iter().map(|tie| tie.relay));
            self.handle_changed_ways(now, id);
        }
    }

    pub(crate) fn handle_offline(&mut self, now: Instant, id: PeerId, relay: RelayId, route: RouteId) {
        let Some(peer) = self.peers.get_mut(id.0) else { return };
        if let Some(tie) = peer.tie_mut(relay).filter(|tie| tie.route.id() == Some(route)) {
            tie.route = Route::Offline(route);
            self.doubtful.extend(peer.ties.iter().map(|tie| tie.relay));
            self.handle_changed_ways(now, id);
        }
    }

    pub(crate) fn handle_refused(&mut self, now: Instant, id: PeerId, relay: RelayId, route: RouteId) {
        let tie = self.peers.get_mut(id.0).and_then(|peer| peer.tie_mut(relay));
        if let Some(tie) = tie.filter(|tie| tie.route.id() == Some(route)) {
            tie.route = Route::None { not_before: Some(now + REFUSED) };
            self.relays.get_mut(relay.0).into_iter().for_each(|relay| relay.routes -= 1);
            self.notices.push_back(Notice::RouteRefused(id, relay));
            self.handle_changed_ways(now, id);
            self.is_outdated = true;
        }
    }

    /// Data that were accepted for a peer will not be sent by this relay.
    pub(crate) fn handle_unsent(&mut self, id: PeerId, relay: RelayId, bytes: usize) {
        if bytes > 0 && self.peer(id).is_some() {
            self.notices.push_back(Notice::Unsent(id, relay, bytes));
        }
    }
}
