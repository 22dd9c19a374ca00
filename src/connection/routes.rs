//! The route table of one connection: the state of the route to each peer.
//!
//! ```text
//!             open                     response                  notifications
//! (nothing) ────────► Requested ─────────────────────► Offline ◄──────────────► Online
//!                         │ close                          │ close                 │ close
//!                         ▼            response            ▼                       │
//!                      Closing ────────────────────────► Leaving ◄─────────────────┘
//!                                                          │ the disconnect notification is sent
//!                                                          ▼
//!                                                      (nothing)
//! ```
//!
//! The caller may open a new route to a peer whose old route is still `Closing`. The relay would answer a request now
//! with the old route, and then see that one closed. So the new route is `Held` until the old one is `Leaving`, and its
//! request is sent after the old one's disconnect notification.

use crate::error::{RouteError, Violation};
use crate::id::{RelayId, RouteId};
use crate::key::PublicKey;
use crate::status::{RouteState, RouteStatus};
use crate::wire::ConnectionId;

/// Connection ids are 16..=255, so a relay has this many routes for a client.
pub(super) const MAX_ROUTES: usize = 240;

/// The value in `by_connection_id` for an id without a route. No slot has this number.
const NO_SLOT: u8 = u8::MAX;

/// The route table. While it is empty, it has no memory allocated.
#[derive(Default)]
pub(super) struct Routes {
    /// At most [`MAX_ROUTES`].
    slots: Vec<Option<Route>>,
    /// The slots of offline and online routes, by connection id minus 16. Allocated at the first response.
    by_connection_id: Option<Box<[u8; MAX_ROUTES]>>,
    /// How many slots are in use.
    used: u8,
    /// The generation of the last route that was opened.
    generation: u32,
}

struct Route {
    peer: PublicKey,
    generation: u32,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not requested yet: the closing route to the same peer is still without a response.
    Held,
    /// The request is queued or sent. There can be a response only after it was sent.
    Requested {
        sent: bool,
    },
    /// As `Requested`, but the caller has closed the route.
    Closing {
        sent: bool,
    },
    Offline(ConnectionId),
    Online(ConnectionId),
    /// The disconnect notification is queued for sending.
    Leaving(ConnectionId),
}

/// What an accepted routing response means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Opened(RouteId),
    Refused(RouteId),
    /// The route was closed before the response. If `registered`, the caller sends a disconnect notification for that
    /// id, and then, if `again`, a new request for that peer.
    Closed {
        registered: Option<ConnectionId>,
        again: Option<PublicKey>,
    },
}

impl Routes {
    pub(super) fn len(&self) -> usize {
        usize::from(self.used)
    }

    /// Adds a route to `peer`. Returns its id, and whether its request is to be queued now.
    pub(super) fn open(&mut self, relay: RelayId, peer: PublicKey) -> Result<(RouteId, bool), RouteError> {
        if let Some(route) = self.find(relay, &peer) {
            return Err(RouteError::Exists(route));
        }
        if self.len() == MAX_ROUTES {
            return Err(RouteError::TooMany);
        }
        let closing = self.position(&peer, |state| matches!(state, State::Closing { .. })).is_some();
        let state = if closing { State::Held } else { State::Requested { sent: false } };
        self.generation = self.generation.wrapping_add(1);
        let route = Route { peer, generation: self.generation, state };
        let slot = match self.slots.iter().position(Option::is_none) {
            Some(free) => {
                self.slots[free] = Some(route);
                free
            }
            None => {
                self.slots.push(Some(route));
                self.slots.len() - 1
            }
        };
        self.used += 1;
        Ok((RouteId::new(relay, slot as u8, self.generation), !closing))
    }

    /// Closes a route. Returns the id for which a disconnect notification is to be queued, if the relay has given one.
    pub(super) fn close(&mut self, id: RouteId) -> Result<Option<ConnectionId>, RouteError> {
        let route = self.live(id).ok_or(RouteError::UnknownRoute)?;
        match route.state {
            State::Held => self.free(usize::from(id.slot)),
            State::Offline(connection_id) | State::Online(connection_id) => {
                route.state = State::Leaving(connection_id);
                self.remove_id(connection_id);
                return Ok(Some(connection_id));
            }
            State::Requested { sent } => route.state = State::Closing { sent },
            State::Closing { .. } | State::Leaving(_) => return Err(RouteError::UnknownRoute),
        }
        Ok(None)
    }

    /// The routing request for this peer was sent: a response can arrive.
    pub(super) fn handle_request_sent(&mut self, peer: &PublicKey) {
        let waits =
            |state| matches!(state, State::Requested { sent: false } | State::Closing { sent: false });
        if let Some(slot) = self.position(peer, waits)
            && let Some(Route { state: State::Requested { sent } | State::Closing { sent }, .. }) =
                &mut self.slots[slot]
        {
            *sent = true;
        }
    }

    /// Handles a routing response. It is accepted only if it answers a request, and if its id is not in use.
    pub(super) fn handle_response(
        &mut self,
        relay: RelayId,
        peer: &PublicKey,
        connection_id: Option<ConnectionId>,
    ) -> Result<Answer, Violation> {
        let asked = |state| matches!(state, State::Requested { sent: true } | State::Closing { sent: true });
        let slot = self.position(peer, asked).ok_or(Violation::UnsolicitedResponse)?;
        if let Some(id) = connection_id
            && self.is_in_use(id)
        {
            return Err(Violation::ConnectionIdInUse(id.get()));
        }
        let Some(route) = &mut self.slots[slot] else {
            return Err(Violation::UnsolicitedResponse);
        };
        let id = RouteId::new(relay, slot as u8, route.generation);
        let closed = route.state == State::Closing { sent: true };
        match (connection_id, closed) {
            (Some(connection_id), false) => {
                route.state = State::Offline(connection_id);
                self.insert_id(connection_id, slot as u8);
                return Ok(Answer::Opened(id));
            }
            (Some(connection_id), true) => route.state = State::Leaving(connection_id),
            (None, _) => self.free(slot),
        }
        if !closed {
            return Ok(Answer::Refused(id));
        }
        let held = self.position(peer, |state| state == State::Held);
        let again = held.and_then(|slot| self.slots[slot].as_mut()).map(|held| {
            held.state = State::Requested { sent: false };
            held.peer
        });
        Ok(Answer::Closed { registered: connection_id, again })
    }

    /// The peer is online. `None` if it was online already, or if there is no such route: the client may have closed
    /// it, and the relay did not know yet.
    pub(super) fn handle_online(&mut self, relay: RelayId, id: ConnectionId) -> Option<(RouteId, PublicKey)> {
        self.change_state(relay, State::Offline(id), State::Online(id), id)
    }

    /// The peer is offline. `None` as in [`handle_online`](Self::handle_online), if it was offline already.
    pub(super) fn handle_offline(
        &mut self,
        relay: RelayId,
        id: ConnectionId,
    ) -> Option<(RouteId, PublicKey)> {
        self.change_state(relay, State::Online(id), State::Offline(id), id)
    }

    /// The online route with this connection id.
    pub(super) fn online(&self, relay: RelayId, id: ConnectionId) -> Option<(RouteId, PublicKey)> {
        let slot = self.by_connection_id.as_ref()?[index(id)];
        let route = self.slots.get(usize::from(slot))?.as_ref()?;
        (route.state == State::Online(id))
            .then_some((RouteId::new(relay, slot, route.generation), route.peer))
    }

    /// The connection id of the route to this peer, if it is online.
    pub(super) fn online_to(&self, peer: &PublicKey) -> Option<ConnectionId> {
        self.slots.iter().flatten().find_map(|route| match route.state {
            State::Online(id) if route.peer == *peer => Some(id),
            _ => None,
        })
    }

    /// The disconnect notification for this connection id was sent: its route is removed.
    pub(super) fn handle_disconnect_sent(&mut self, id: ConnectionId) {
        let leaving =
            |route: &Option<Route>| matches!(route, Some(route) if route.state == State::Leaving(id));
        if let Some(slot) = self.slots.iter().position(leaving) {
            self.free(slot);
        }
    }

    /// The routes that the caller sees: all but those it has closed.
    pub(super) fn iter(&self, relay: RelayId) -> impl Iterator<Item = RouteStatus> {
        self.slots.iter().enumerate().filter_map(move |(slot, route)| {
            let route = route.as_ref()?;
            let state = route.state.visible()?;
            Some(RouteStatus {
                route: RouteId::new(relay, slot as u8, route.generation),
                peer: route.peer,
                state,
            })
        })
    }

    /// The route to this peer, unless it was closed.
    pub(super) fn find(&self, relay: RelayId, peer: &PublicKey) -> Option<RouteId> {
        self.iter(relay).find(|status| status.peer == *peer).map(|status| status.route)
    }

    /// One route; `None` if the id is stale.
    pub(super) fn status(&self, id: RouteId) -> Option<RouteStatus> {
        let route = self.slots.get(usize::from(id.slot))?.as_ref()?;
        let state = route.state.visible()?;
        (route.generation == id.generation).then_some(RouteStatus { route: id, peer: route.peer, state })
    }

    /// The connection id of a route while its peer is online.
    pub(super) fn connection_id(&self, id: RouteId) -> Option<ConnectionId> {
        match self.slots.get(usize::from(id.slot))? {
            Some(Route { generation, state: State::Online(connection_id), .. })
                if *generation == id.generation =>
            {
                Some(*connection_id)
            }
            _ => None,
        }
    }

    fn live(&mut self, id: RouteId) -> Option<&mut Route> {
        let route = self.slots.get_mut(usize::from(id.slot))?.as_mut()?;
        (route.generation == id.generation && route.state.visible().is_some()).then_some(route)
    }

    /// The slot of the route to this peer whose state matches.
    fn position(&self, peer: &PublicKey, matches: impl Fn(State) -> bool) -> Option<usize> {
        let wanted = |route: &Route| route.peer == *peer && matches(route.state);
        self.slots.iter().position(|route| route.as_ref().is_some_and(wanted))
    }

    fn is_in_use(&self, id: ConnectionId) -> bool {
        self.slots.iter().flatten().any(|route| {
            matches!(route.state, State::Offline(other) | State::Online(other) | State::Leaving(other) if other == id)
        })
    }

    /// Moves the route with this connection id from one state to another; `None` if it is not in the first one.
    fn change_state(
        &mut self,
        relay: RelayId,
        from: State,
        to: State,
        id: ConnectionId,
    ) -> Option<(RouteId, PublicKey)> {
        let slot = self.by_connection_id.as_ref()?[index(id)];
        let route = self.slots.get_mut(usize::from(slot))?.as_mut()?;
        if route.state != from {
            return None;
        }
        route.state = to;
        Some((RouteId::new(relay, slot, route.generation), route.peer))
    }

    fn insert_id(&mut self, id: ConnectionId, slot: u8) {
        self.by_connection_id.get_or_insert_with(|| Box::new([NO_SLOT; MAX_ROUTES]))[index(id)] = slot;
    }

    fn remove_id(&mut self, id: ConnectionId) {
        if let Some(slots) = &mut self.by_connection_id {
            slots[index(id)] = NO_SLOT;
        }
    }

    fn free(&mut self, slot: usize) {
        self.slots[slot] = None;
        self.used -= 1;
        if self.used == 0 {
            *self = Self { generation: self.generation, ..Self::default() };
        }
    }

    /// The bytes allocated for the table, used or not.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        let by_connection_id = self.by_connection_id.as_ref().map_or(0, |slots| slots.len());
        self.slots.capacity() * size_of::<Option<Route>>() + by_connection_id
    }
}

impl State {
    /// The state as the caller sees it; `None` for a route that the caller has closed.
    fn visible(self) -> Option<RouteState> {
        match self {
            Self::Held | Self::Requested { .. } => Some(RouteState::Requested),
            Self::Offline(_) => Some(RouteState::Offline),
            Self::Online(_) => Some(RouteState::Online),
            Self::Closing { .. } | Self::Leaving(_) => None,
        }
    }
}

fn index(id: ConnectionId) -> usize {
    usize::from(id.get() - ConnectionId::MIN)
}

#[cfg(test)]
mod tests;
