//! The routes of one connection: what the relay keeps for us and each peer.
//!
//! ```text
//!             open                     response                  notifications
//! (nothing) ────────► Requested ─────────────────────► Offline ◄──────────────► Online
//!                         │ close                          │ close                 │ close
//!                         ▼            response            ▼                       │
//!                      Closing ────────────────────────► Leaving ◄─────────────────┘
//!                                                          │ the disconnect notification is on the stream
//!                                                          ▼
//!                                                      (nothing)
//! ```
//!
//! A peer whose route is `Closing` can be asked for anew. The relay would answer that request with the old route, and
//! then see it closed; so the new route is `Held` until the old one is `Leaving`, and requested behind it.

use crate::error::{RouteError, Violation};
use crate::id::{RelayId, RouteId};
use crate::key::PublicKey;
use crate::status::{RouteState, RouteStatus};
use crate::wire::ConnectionId;

/// Connection ids are 16..=255, so a relay has this many routes for a client.
pub(super) const MAX_ROUTES: usize = 240;

/// Stands in `by_connection_id` where there is no route. No slot has this number.
const NO_SLOT: u8 = u8::MAX;

/// The route table. Empty, it holds no memory.
#[derive(Default)]
pub(super) struct Routes {
    /// At most [`MAX_ROUTES`].
    slots: Vec<Option<Route>>,
    /// The slots of offline and online routes, by connection id less 16; from the first response on.
    by_connection_id: Option<Box<[u8; MAX_ROUTES]>>,
    /// How many slots are in use.
    used: u8,
    /// Of the last route that was opened.
    generation: u32,
}

struct Route {
    peer: PublicKey,
    generation: u32,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Waits until the closing route to the same peer was answered.
    Held,
    /// Asked for. Only once the request has left can there be a response.
    Requested {
        left: bool,
    },
    /// As `Requested`, but the caller has closed it.
    Closing {
        left: bool,
    },
    Offline(ConnectionId),
    Online(ConnectionId),
    /// The disconnect notification waits to leave.
    Leaving(ConnectionId),
}

/// What an accepted routing response means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Opened(RouteId),
    Refused(RouteId),
    /// The route was closed meanwhile. `registered` is to be told to the relay, and then `again` to be requested.
    Closed {
        registered: Option<ConnectionId>,
        again: Option<PublicKey>,
    },
}

impl Routes {
    pub(super) fn len(&self) -> usize {
        usize::from(self.used)
    }

    /// A new route to `peer`, and whether it is to be requested now.
    pub(super) fn open(&mut self, relay: RelayId, peer: PublicKey) -> Result<(RouteId, bool), RouteError> {
        if let Some(route) = self.find(relay, &peer) {
            return Err(RouteError::Exists(route));
        }
        if self.len() == MAX_ROUTES {
            return Err(RouteError::TooMany);
        }
        let closing = self.position(&peer, |state| matches!(state, State::Closing { .. })).is_some();
        let state = if closing { State::Held } else { State::Requested { left: false } };
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

    /// Closes a route for the caller. What the relay has registered is to be told to it.
    pub(super) fn close(&mut self, id: RouteId) -> Result<Option<ConnectionId>, RouteError> {
        let route = self.live(id).ok_or(RouteError::UnknownRoute)?;
        match route.state {
            State::Held => self.free(usize::from(id.slot)),
            State::Offline(connection_id) | State::Online(connection_id) => {
                route.state = State::Leaving(connection_id);
                self.forget(connection_id);
                return Ok(Some(connection_id));
            }
            State::Requested { left } => route.state = State::Closing { left },
            State::Closing { .. } | State::Leaving(_) => return Err(RouteError::UnknownRoute),
        }
        Ok(None)
    }

    /// The routing request for this peer is on the stream: a response can come.
    pub(super) fn handle_request_left(&mut self, peer: &PublicKey) {
        let waits =
            |state| matches!(state, State::Requested { left: false } | State::Closing { left: false });
        if let Some(slot) = self.position(peer, waits)
            && let Some(Route { state: State::Requested { left } | State::Closing { left }, .. }) =
                &mut self.slots[slot]
        {
            *left = true;
        }
    }

    /// A routing response. It is believed only if it answers a request, and gives out an id that is free.
    pub(super) fn handle_response(
        &mut self,
        relay: RelayId,
        peer: &PublicKey,
        connection_id: Option<ConnectionId>,
    ) -> Result<Answer, Violation> {
        let asked = |state| matches!(state, State::Requested { left: true } | State::Closing { left: true });
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
        let closed = route.state == State::Closing { left: true };
        match (connection_id, closed) {
            (Some(connection_id), false) => {
                route.state = State::Offline(connection_id);
                self.remember(connection_id, slot as u8);
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
            held.state = State::Requested { left: false };
            held.peer
        });
        Ok(Answer::Closed { registered: connection_id, again })
    }

    /// The peer has come. `None` if it was there already, or the route is none of ours: closed, and the relay did not
    /// know yet.
    pub(super) fn handle_online(&mut self, relay: RelayId, id: ConnectionId) -> Option<(RouteId, PublicKey)> {
        self.turn(relay, State::Offline(id), State::Online(id), id)
    }

    /// The peer has gone. `None` as in [`handle_online`](Self::handle_online).
    pub(super) fn handle_offline(
        &mut self,
        relay: RelayId,
        id: ConnectionId,
    ) -> Option<(RouteId, PublicKey)> {
        self.turn(relay, State::Online(id), State::Offline(id), id)
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

    /// The disconnect notification for this connection id is on the stream: its route is no more.
    pub(super) fn handle_disconnect_left(&mut self, id: ConnectionId) {
        let leaving =
            |route: &Option<Route>| matches!(route, Some(route) if route.state == State::Leaving(id));
        if let Some(slot) = self.slots.iter().position(leaving) {
            self.free(slot);
        }
    }

    /// What the caller may know of its routes.
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

    /// The slot of the route to this peer that is in such a state.
    fn position(&self, peer: &PublicKey, is_it: impl Fn(State) -> bool) -> Option<usize> {
        let wanted = |route: &Route| route.peer == *peer && is_it(route.state);
        self.slots.iter().position(|route| route.as_ref().is_some_and(wanted))
    }

    fn is_in_use(&self, id: ConnectionId) -> bool {
        self.slots.iter().flatten().any(|route| {
            matches!(route.state, State::Offline(other) | State::Online(other) | State::Leaving(other) if other == id)
        })
    }

    /// Moves the route with this connection id from one state to another, if that is where it is.
    fn turn(
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

    fn remember(&mut self, id: ConnectionId, slot: u8) {
        self.by_connection_id.get_or_insert_with(|| Box::new([NO_SLOT; MAX_ROUTES]))[index(id)] = slot;
    }

    fn forget(&mut self, id: ConnectionId) {
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

    /// The bytes that the table holds, used or not.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        let by_connection_id = self.by_connection_id.as_ref().map_or(0, |slots| slots.len());
        self.slots.capacity() * size_of::<Option<Route>>() + by_connection_id
    }
}

impl State {
    /// The state as the caller sees it; a route that the caller has closed is none.
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
