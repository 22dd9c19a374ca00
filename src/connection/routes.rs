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
//! A refusal removes a route that is `Requested` or `Closing`.
//!
//! The caller may open a new route to a peer whose old route is still `Closing`. If its request were sent now, the
//! relay would answer it with the old route's number, and then remove that route at the disconnect notification. So the
//! new route is `Held` until the response for the old one, and its request is sent after the disconnect notification.

use crate::error::{RouteError, Violation};
use crate::id::{ConnectionId, RouteId};
use crate::key::PublicKey;
use crate::status::{RouteState, RouteStatus};
use crate::wire::RouteNumber;

/// Route numbers (connection ids in the specification) are 16..=255, so a relay has this many routes for a client.
pub(super) const MAX_ROUTES: usize = 240;

/// The value in `by_number` for a number without a route. No slot has this index.
const NO_SLOT: u8 = u8::MAX;

/// The route table. While it is empty, it has no memory allocated: most connections are idle.
#[derive(Default)]
pub(super) struct Routes(Option<Box<Table>>);

#[derive(Default)]
struct Table {
    /// At most [`MAX_ROUTES`].
    slots: Vec<Option<Route>>,
    /// The slots of offline and online routes, by route number minus 16. Allocated when the first route is accepted.
    by_number: Option<Box<[u8; MAX_ROUTES]>>,
    /// How many slots are in use.
    used: u8,
}

struct Route {
    peer: PublicKey,
    generation: u32,
    token: u64,
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
    Offline(RouteNumber),
    Online(RouteNumber),
    /// The disconnect notification is queued for sending.
    Leaving(RouteNumber),
}

/// A route, as events show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RouteInfo {
    pub(super) route: RouteId,
    pub(super) peer: PublicKey,
    pub(super) token: u64,
}

/// What an accepted routing response means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Opened(RouteInfo),
    Refused(RouteInfo),
    /// The route was closed before the response. If `registered`, the caller sends a disconnect notification for that
    /// number, and then, if `again`, a new request for that peer.
    Closed {
        registered: Option<RouteNumber>,
        again: Option<PublicKey>,
    },
}

impl Routes {
    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |table| usize::from(table.used))
    }

    /// Adds a route to `peer`, with a generation that no other route has. Returns its id, and whether its request is to
    /// be queued now.
    pub(super) fn open(
        &mut self,
        connection: ConnectionId,
        peer: PublicKey,
        generation: u32,
        token: u64,
    ) -> Result<(RouteId, bool), RouteError> {
        if let Some(route) = self.find(connection, &peer) {
            return Err(RouteError::Exists(route));
        }
        if self.len() == MAX_ROUTES {
            return Err(RouteError::TooMany);
        }
        let closing = self.position(&peer, |state| matches!(state, State::Closing { .. })).is_some();
        let state = if closing { State::Held } else { State::Requested { sent: false } };
        let route = Route { peer, generation, token, state };
        let Table { slots, used, .. } = &mut **self.0.get_or_insert_default();
        let slot = match slots.iter().position(Option::is_none) {
            Some(free) => {
                slots[free] = Some(route);
                free
            }
            None => {
                slots.push(Some(route));
                slots.len() - 1
            }
        };
        *used += 1;
        Ok((RouteId::new(connection, slot as u8, generation), !closing))
    }

    /// Closes a route. Returns the number for which a disconnect notification is to be queued, if the relay has given
    /// one.
    pub(super) fn close(&mut self, id: RouteId) -> Result<Option<RouteNumber>, RouteError> {
        let route = self.live(id).ok_or(RouteError::UnknownRoute)?;
        match route.state {
            State::Held => self.free(usize::from(id.slot())),
            State::Offline(number) | State::Online(number) => {
                route.state = State::Leaving(number);
                self.remove_id(number);
                return Ok(Some(number));
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
                &mut self.slots_mut()[slot]
        {
            *sent = true;
        }
    }

    /// A new session begins with a relay that knows no routes. Removes closed routes, and returns the peers of the
    /// others: their requests are to be queued again. Call this only before the first response.
    pub(super) fn restart(&mut self) -> Vec<PublicKey> {
        let closed = |route: &Route| route.state.visible().is_none();
        while let Some(slot) = self.slots().iter().position(|route| route.as_ref().is_some_and(closed)) {
            self.free(slot);
        }
        let routes = self.slots_mut().iter_mut().flatten();
        routes
            .map(|route| {
                route.state = State::Requested { sent: false };
                route.peer
            })
            .collect()
    }

    /// Handles a routing response. It is accepted only if it answers a request, and if its number is not in use.
    pub(super) fn handle_response(
        &mut self,
        connection: ConnectionId,
        peer: &PublicKey,
        number: Option<RouteNumber>,
    ) -> Result<Answer, Violation> {
        let asked = |state| matches!(state, State::Requested { sent: true } | State::Closing { sent: true });
        let slot = self.position(peer, asked).ok_or(Violation::UnsolicitedResponse)?;
        if let Some(id) = number
            && self.is_in_use(id)
        {
            return Err(Violation::RouteNumberInUse(id.get()));
        }
        let Some(route) = &mut self.slots_mut()[slot] else {
            return Err(Violation::UnsolicitedResponse);
        };
        let info = route.info(connection, slot as u8);
        let closed = route.state == State::Closing { sent: true };
        match (number, closed) {
            (Some(number), false) => {
                route.state = State::Offline(number);
                self.insert_id(number, slot as u8);
                return Ok(Answer::Opened(info));
            }
            (Some(number), true) => route.state = State::Leaving(number),
            (None, _) => self.free(slot),
        }
        if !closed {
            return Ok(Answer::Refused(info));
        }
        let held = self.position(peer, |state| state == State::Held);
        let again = held.and_then(|slot| self.slots_mut()[slot].as_mut()).map(|held| {
            held.state = State::Requested { sent: false };
            held.peer
        });
        Ok(Answer::Closed { registered: number, again })
    }

    /// The peer is online. `None` if it was online already, or if there is no such route: the client may have closed
    /// it, and the relay did not know yet.
    pub(super) fn handle_online(&mut self, connection: ConnectionId, id: RouteNumber) -> Option<RouteInfo> {
        self.change_state(connection, State::Offline(id), State::Online(id), id)
    }

    /// The peer is offline. `None` if it was offline already, or if there is no such route: see
    /// [`handle_online`](Self::handle_online).
    pub(super) fn handle_offline(&mut self, connection: ConnectionId, id: RouteNumber) -> Option<RouteInfo> {
        self.change_state(connection, State::Online(id), State::Offline(id), id)
    }

    /// The online route with this number.
    pub(super) fn online(&self, connection: ConnectionId, id: RouteNumber) -> Option<RouteInfo> {
        let slot = self.slot_of(id);
        let route = self.slots().get(usize::from(slot))?.as_ref()?;
        (route.state == State::Online(id)).then(|| route.info(connection, slot))
    }

    /// The number of the route to this peer, if it is online.
    pub(super) fn online_to(&self, peer: &PublicKey) -> Option<RouteNumber> {
        self.slots().iter().flatten().find_map(|route| match route.state {
            State::Online(id) if route.peer == *peer => Some(id),
            _ => None,
        })
    }

    /// The disconnect notification for this number was sent: its route is removed.
    pub(super) fn handle_disconnect_sent(&mut self, id: RouteNumber) {
        let leaving =
            |route: &Option<Route>| matches!(route, Some(route) if route.state == State::Leaving(id));
        if let Some(slot) = self.slots().iter().position(leaving) {
            self.free(slot);
        }
    }

    /// The routes that the caller sees: all but those it has closed.
    pub(super) fn iter(&self, connection: ConnectionId) -> impl Iterator<Item = RouteStatus> {
        self.slots()
            .iter()
            .enumerate()
            .filter_map(move |(slot, route)| route.as_ref()?.status(connection, slot as u8))
    }

    /// The route to this peer, unless it was closed.
    pub(super) fn find(&self, connection: ConnectionId, peer: &PublicKey) -> Option<RouteId> {
        self.iter(connection).find(|status| status.peer == *peer).map(|status| status.route)
    }

    /// One route; `None` if the id is stale.
    pub(super) fn status(&self, connection: ConnectionId, id: RouteId) -> Option<RouteStatus> {
        let route = self.slots().get(usize::from(id.slot()))?.as_ref()?;
        route.status(connection, id.slot()).filter(|status| status.route == id)
    }

    /// The number of a route while its peer is online.
    pub(super) fn number(&self, id: RouteId) -> Option<RouteNumber> {
        match self.slots().get(usize::from(id.slot()))? {
            Some(Route { generation, state: State::Online(number), .. }) if *generation == id.generation => {
                Some(*number)
            }
            _ => None,
        }
    }

    fn live(&mut self, id: RouteId) -> Option<&mut Route> {
        let route = self.slots_mut().get_mut(usize::from(id.slot()))?.as_mut()?;
        (route.generation == id.generation && route.state.visible().is_some()).then_some(route)
    }

    /// The slot of the route to this peer whose state matches.
    fn position(&self, peer: &PublicKey, matches: impl Fn(State) -> bool) -> Option<usize> {
        let wanted = |route: &Route| route.peer == *peer && matches(route.state);
        self.slots().iter().position(|route| route.as_ref().is_some_and(wanted))
    }

    fn is_in_use(&self, id: RouteNumber) -> bool {
        self.slots().iter().flatten().any(|route| {
            matches!(route.state, State::Offline(other) | State::Online(other) | State::Leaving(other) if other == id)
        })
    }

    /// Moves the route with this number from one state to another; `None` if it is not in the first one.
    fn change_state(
        &mut self,
        connection: ConnectionId,
        from: State,
        to: State,
        id: RouteNumber,
    ) -> Option<RouteInfo> {
        let slot = self.slot_of(id);
        let route = self.slots_mut().get_mut(usize::from(slot))?.as_mut()?;
        if route.state != from {
            return None;
        }
        route.state = to;
        Some(route.info(connection, slot))
    }

    fn insert_id(&mut self, id: RouteNumber, slot: u8) {
        if let Some(table) = &mut self.0 {
            table.by_number.get_or_insert_with(|| Box::new([NO_SLOT; MAX_ROUTES]))[index(id)] = slot;
        }
    }

    fn remove_id(&mut self, id: RouteNumber) {
        if let Some(slots) = self.0.as_mut().and_then(|table| table.by_number.as_mut()) {
            slots[index(id)] = NO_SLOT;
        }
    }

    fn free(&mut self, slot: usize) {
        if let Some(table) = &mut self.0 {
            table.slots[slot] = None;
            table.used -= 1;
        }
        self.0.take_if(|table| table.used == 0);
    }

    fn slots(&self) -> &[Option<Route>] {
        self.0.as_ref().map_or(&[], |table| &table.slots)
    }

    fn slots_mut(&mut self) -> &mut [Option<Route>] {
        self.0.as_mut().map_or(&mut [], |table| &mut table.slots)
    }

    /// The slot of the offline or online route with this number, or [`NO_SLOT`].
    fn slot_of(&self, id: RouteNumber) -> u8 {
        let slots = self.0.as_ref().and_then(|table| table.by_number.as_ref());
        slots.map_or(NO_SLOT, |slots| slots[index(id)])
    }

    /// The bytes allocated for the table, used or not.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.0.as_ref().map_or(0, |table| {
            let by_number = table.by_number.as_ref().map_or(0, |slots| slots.len());
            size_of::<Table>() + table.slots.capacity() * size_of::<Option<Route>>() + by_number
        })
    }
}

impl Route {
    fn info(&self, connection: ConnectionId, slot: u8) -> RouteInfo {
        let route = RouteId::new(connection, slot, self.generation);
        RouteInfo { route, peer: self.peer, token: self.token }
    }

    /// `None` for a route that the caller has closed.
    fn status(&self, connection: ConnectionId, slot: u8) -> Option<RouteStatus> {
        let RouteInfo { route, peer, token } = self.info(connection, slot);
        self.state.visible().map(|state| RouteStatus { route, connection, token, peer, state })
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

fn index(id: RouteNumber) -> usize {
    usize::from(id.get() - RouteNumber::MIN)
}

#[cfg(test)]
mod tests;
