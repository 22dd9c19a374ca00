//! The routes of a connection by the numbers that toxcore knows: from 0 to 239.

use tox_relay_client::RouteId;

/// As many as a relay has for one connection.
const MAX_ROUTES: usize = 240;

/// A route that was requested.
pub(crate) struct Route {
    pub(crate) id: RouteId,
    /// toxcore's number for the peer, from when it has set it, and an argument of the callbacks.
    pub(crate) peer: Option<u32>,
}

/// The place of a route is its number. Closed ones leave free places, which are used again.
#[derive(Default)]
pub(crate) struct Routes(Vec<Option<Route>>);

impl Routes {
    /// The smallest free number; `None` if all are used.
    pub(crate) fn free_number(&self) -> Option<u8> {
        let number = self.0.iter().position(Option::is_none).unwrap_or(self.0.len());
        (number < MAX_ROUTES).then_some(number as u8)
    }

    pub(crate) fn insert(&mut self, number: u8, id: RouteId) {
        let place = usize::from(number);
        if place >= self.0.len() {
            self.0.resize_with(place + 1, || None);
        }
        self.0[place] = Some(Route { id, peer: None });
    }

    pub(crate) fn get(&mut self, number: u8) -> Option<&mut Route> {
        self.0.get_mut(usize::from(number))?.as_mut()
    }

    /// The route with this number, if it is still the one with this id.
    pub(crate) fn get_if(&mut self, number: u8, id: RouteId) -> Option<&mut Route> {
        self.get(number).filter(|route| route.id == id)
    }

    pub(crate) fn remove(&mut self, number: u8) -> Option<Route> {
        self.0.get_mut(usize::from(number))?.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_begin_at_0_and_are_used_again() {
        let mut routes = Routes::default();
        for number in 0..MAX_ROUTES as u8 {
            assert_eq!(routes.free_number(), Some(number));
            routes.insert(number, RouteId::from(u64::from(number)));
        }
        assert_eq!(routes.free_number(), None);
        assert!(routes.remove(7).is_some() && routes.remove(7).is_none());
        assert_eq!(routes.free_number(), Some(7));
        routes.insert(7, RouteId::from(1000));
        assert!(routes.get_if(7, RouteId::from(7)).is_none(), "a stale route");
        assert!(routes.get_if(7, RouteId::from(1000)).is_some());
        assert!(routes.get(MAX_ROUTES as u8).is_none());
    }
}
