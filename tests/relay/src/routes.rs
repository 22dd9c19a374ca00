//! The routes of one client.

use crate::{kind, outbox::ClientId, session::Key};

/// Lower numbers are not routes: 0 means "refused", the others are other kinds of packets.
const FIRST: u8 = *kind::ROUTES.start();
/// At most this many routes for one client.
const LIMIT: usize = (*kind::ROUTES.end() - FIRST) as usize + 1;

/// What the relay keeps for one (client, peer) pair.
pub(crate) struct Route {
    pub peer: Key,
    /// The other end while the route is online: the peer, and the number of the peer's route.
    pub other_end: Option<(ClientId, u8)>,
}

/// The routes of one client. The index of the first number is 0; free numbers are `None`.
#[derive(Default)]
pub(crate) struct Routes(Vec<Option<Route>>);

impl Routes {
    /// Opens a route with the lowest free number, and returns the number. `None` if all numbers are in use.
    pub fn open(&mut self, peer: Key) -> Option<u8> {
        let free = self.0.iter().position(Option::is_none);
        let index = free.unwrap_or(self.0.len());
        if index == LIMIT {
            return None;
        }
        if free.is_none() {
            self.0.push(None);
        }
        self.0[index] = Some(Route { peer, other_end: None });
        Some(FIRST + index as u8)
    }

    /// The number of the route to this peer.
    pub fn find(&self, peer: &Key) -> Option<u8> {
        let is_it = |route: &Option<Route>| route.as_ref().is_some_and(|route| route.peer == *peer);
        self.0.iter().position(is_it).map(|index| FIRST + index as u8)
    }

    pub fn get(&self, id: u8) -> Option<&Route> {
        self.0.get(usize::from(id.checked_sub(FIRST)?))?.as_ref()
    }

    pub fn get_mut(&mut self, id: u8) -> Option<&mut Route> {
        self.0.get_mut(usize::from(id.checked_sub(FIRST)?))?.as_mut()
    }

    /// Removes a route and returns it.
    pub fn close(&mut self, id: u8) -> Option<Route> {
        self.0.get_mut(usize::from(id.checked_sub(FIRST)?))?.take()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.0.iter().flatten()
    }

    /// Each route: its number, its peer, and whether it is online.
    pub fn numbered(&self) -> impl Iterator<Item = (u8, Key, bool)> {
        let routes = self.0.iter().zip(FIRST..);
        routes
            .filter_map(|(route, id)| route.as_ref().map(|route| (id, route.peer, route.other_end.is_some())))
    }
}
