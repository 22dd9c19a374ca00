//! What the caller does: opening and closing routes, sending; and what it can look at.

use std::collections::BTreeSet;

use tox_relay_client::{PublicKey, RouteError, RouteId, RouteState, SendError, Stage};

use super::{DISCONNECT, Model, Route, State};

impl Model {
    /// Whether a route can be opened.
    pub fn may_open(&self, peer: &PublicKey) -> Result<(), RouteError> {
        match self.visible().find(|(_, other, _)| other == peer) {
            Some((id, ..)) => Err(RouteError::Exists(id)),
            None if self.routes.len() == 240 => Err(RouteError::TooMany),
            None => Ok(()),
        }
    }

    /// A route was opened, and has this id.
    pub fn open(&mut self, id: RouteId, peer: PublicKey) {
        assert!(self.all_routes.insert(id), "{id} was used before");
        let closing = |route: &Route| route.peer == peer && matches!(route.state, State::Closing { .. });
        let state = match self.routes.iter().any(closing) {
            true => State::Held,
            false => State::Requested { left: false },
        };
        if state != State::Held {
            self.request(&peer);
        }
        self.routes.push(Route { route: id, peer, state });
    }

    /// Returns the bytes of data that were queued for it.
    pub fn close(&mut self, id: RouteId) -> Result<usize, RouteError> {
        let is_it = |route: &Route| route.route == id && route.state.visible().is_some();
        let at = self.routes.iter().position(is_it).ok_or(RouteError::UnknownRoute)?;
        match self.routes[at].state {
            State::Requested { left } => self.routes[at].state = State::Closing { left },
            State::Offline(id) | State::Online(id) => {
                self.routes[at].state = State::Leaving(id);
                self.important.push_back(vec![DISCONNECT, id]);
                return Ok(self.queue.remove(id));
            }
            _ => drop(self.routes.remove(at)),
        }
        Ok(0)
    }

    /// Data on the route with this id.
    pub fn send_data(&mut self, id: RouteId, data: &[u8]) -> Result<(), SendError> {
        check("a data packet", data, 1, 2031)?;
        let state = self.visible().find(|(other, ..)| *other == id).map(|(.., state)| state);
        match (state, self.online_id(|route| route.route == id)) {
            (None, _) => Err(SendError::UnknownRoute),
            (_, None) => Err(SendError::RouteOffline),
            (_, Some(id)) => self.send(&[&[id], data]),
        }
    }

    pub fn send_to(&mut self, peer: PublicKey, data: &[u8]) -> Result<(), SendError> {
        match self.online_id(|route| route.peer == peer) {
            Some(id) => {
                check("a data packet", data, 1, 2031)?;
                self.send(&[&[id], data])
            }
            None => self.send_oob(peer, data),
        }
    }

    pub fn send_oob(&mut self, destination: PublicKey, data: &[u8]) -> Result<(), SendError> {
        check("an OOB packet", data, 1, 1024)?;
        self.send(&[&[0x06], destination.as_bytes(), data])
    }

    pub fn send_onion_request(&mut self, request: &[u8]) -> Result<(), SendError> {
        check("an onion request", request, 178, 1359)?;
        self.send(&[&[0x08], request])
    }

    /// To a destination in its own bytes.
    pub fn send_forward_request(&mut self, destination: &[u8], data: &[u8]) -> Result<(), SendError> {
        check("a forward request", data, 1, 1792)?;
        self.send(&[&[0x0a], destination, data])
    }

    fn send(&mut self, parts: &[&[u8]]) -> Result<(), SendError> {
        let (packet, bound) = (parts.concat(), self.bound());
        if self.queue.push(packet, bound) { Ok(()) } else { Err(SendError::WouldBlock) }
    }

    /// What the send queue may hold: less before the relay has proved itself, since what was sent counts until then.
    pub(super) fn bound(&self) -> usize {
        let sent = if self.stage == Stage::Connected { 0 } else { self.sent };
        self.send_queue.saturating_sub(sent)
    }

    /// The routes that the caller knows.
    pub fn visible(&self) -> impl Iterator<Item = (RouteId, PublicKey, RouteState)> {
        let visible = |route: &Route| Some((route.route, route.peer, route.state.visible()?));
        self.routes.iter().filter_map(visible)
    }

    /// All routes, closed ones included of which the relay was not notified.
    pub fn route_count(&self) -> usize {
        self.routes.len()
    }

    /// The ids of all routes that were ever opened.
    pub fn all_routes(&self) -> &BTreeSet<RouteId> {
        &self.all_routes
    }
}

fn check(packet: &'static str, data: &[u8], min: usize, max: usize) -> Result<(), SendError> {
    match data.len() {
        length if (min..=max).contains(&length) => Ok(()),
        length => Err(SendError::Length { packet, length, min, max }),
    }
}
