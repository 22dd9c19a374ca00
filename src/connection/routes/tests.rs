//! Each transition in the diagram of the module `routes`, and each input that causes none.

mod model;

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

const ID: ConnectionId = ConnectionId { index: 3, generation: 5 };

fn peer(number: u8) -> PublicKey {
    [number; 32].into()
}

fn id(number: u8) -> RouteNumber {
    RouteNumber::new(number).expect("a route number")
}

/// Opens a route with a new generation, and with the peer's number as its token.
fn open(routes: &mut Routes, peer: PublicKey) -> Result<(RouteId, bool), RouteError> {
    static GENERATION: AtomicU32 = AtomicU32::new(0);
    let generation = GENERATION.fetch_add(1, Ordering::Relaxed);
    routes.open(ID, peer, generation, u64::from(peer.as_bytes()[0]))
}

fn info(route: RouteId, peer: PublicKey) -> RouteInfo {
    RouteInfo { route, peer, token: u64::from(peer.as_bytes()[0]) }
}

/// Opens a route that is requested at once, and marks its request as sent.
fn request(routes: &mut Routes, peer: PublicKey) -> RouteId {
    let (route, now) = open(routes, peer).expect("a free route");
    assert!(now);
    routes.handle_request_sent(&peer);
    route
}

/// Opens a route that is held because of the closing one to the same peer.
fn hold(routes: &mut Routes, peer: PublicKey) -> RouteId {
    let (route, now) = open(routes, peer).expect("a free route");
    assert!(!now);
    route
}

fn respond(routes: &mut Routes, peer: PublicKey, id: Option<RouteNumber>) -> Result<Answer, Violation> {
    routes.handle_response(ID, &peer, id)
}

/// A table with one route, which has a number from the relay.
fn offline(peer: PublicKey, id: RouteNumber) -> (Routes, RouteId) {
    let mut routes = Routes::default();
    let route = request(&mut routes, peer);
    assert_eq!(respond(&mut routes, peer, Some(id)), Ok(Answer::Opened(info(route, peer))));
    (routes, route)
}

fn online(peer: PublicKey, id: RouteNumber) -> (Routes, RouteId) {
    let (mut routes, route) = offline(peer, id);
    assert_eq!(routes.handle_online(ID, id), Some(info(route, peer)));
    (routes, route)
}

fn closing(peer: PublicKey) -> Routes {
    let mut routes = Routes::default();
    let route = request(&mut routes, peer);
    assert_eq!(routes.close(route), Ok(None));
    routes
}

fn leaving(peer: PublicKey, id: RouteNumber) -> (Routes, RouteId) {
    let (mut routes, route) = online(peer, id);
    assert_eq!(routes.close(route), Ok(Some(id)));
    (routes, route)
}

fn state(routes: &Routes, route: RouteId) -> Option<RouteState> {
    routes.status(ID, route).map(|status| status.state)
}

/// Asserts that the caller does not see the route, and that the relay's notifications do not change it.
fn assert_hidden(routes: &mut Routes, route: RouteId, peer: PublicKey, id: RouteNumber) {
    assert_eq!(routes.status(ID, route), None);
    assert_eq!(routes.find(ID, &peer), None);
    assert_eq!(routes.number(route), None);
    assert_eq!(routes.close(route), Err(RouteError::UnknownRoute));
    assert_no_notification(routes, id);
}

fn assert_no_notification(routes: &mut Routes, id: RouteNumber) {
    assert_eq!(routes.handle_online(ID, id), None);
    assert_eq!(routes.online(ID, id), None);
    assert_eq!(routes.handle_offline(ID, id), None);
}

fn assert_empty(routes: &Routes) {
    assert_eq!(routes.len(), 0);
    assert_eq!(routes.iter(ID).count(), 0);
    assert_eq!(routes.memory(), 0);
}

#[test]
fn an_opened_route_is_requested() {
    let mut routes = Routes::default();
    let route = request(&mut routes, peer(1));
    let status = RouteStatus { route, connection: ID, token: 1, peer: peer(1), state: RouteState::Requested };
    assert_eq!(routes.status(ID, route), Some(status));
    assert_eq!(routes.find(ID, &peer(1)), Some(route));
    assert_eq!(routes.iter(ID).collect::<Vec<_>>(), [status]);
    assert_eq!(routes.number(route), None);
    assert_no_notification(&mut routes, id(16));
    assert_eq!(state(&routes, route), Some(RouteState::Requested));
}

#[test]
fn a_peer_has_one_route_that_is_not_closed() {
    let mut routes = Routes::default();
    let route = request(&mut routes, peer(1));
    let exists = Err(RouteError::Exists(route));
    assert_eq!(open(&mut routes, peer(1)), exists);
    respond(&mut routes, peer(1), Some(id(16))).expect("a response");
    assert_eq!(open(&mut routes, peer(1)), exists);
    routes.handle_online(ID, id(16));
    assert_eq!(open(&mut routes, peer(1)), exists);
    assert_eq!(routes.len(), 1);
    request(&mut routes, peer(2));
    assert_eq!(routes.len(), 2);
}

#[test]
fn a_response_moves_a_route_to_offline() {
    let (mut routes, route) = offline(peer(1), id(16));
    assert_eq!(state(&routes, route), Some(RouteState::Offline));
    assert_eq!(routes.number(route), None);
    assert_eq!(routes.online(ID, id(16)), None);
    assert_eq!(routes.handle_offline(ID, id(16)), None, "it is offline already");
    assert_no_notification(&mut routes, id(17));
    assert_eq!(state(&routes, route), Some(RouteState::Offline));
}

#[test]
fn notifications_turn_a_route_online_and_offline() {
    let (mut routes, route) = online(peer(1), id(255));
    for _ in 0..2 {
        assert_eq!(state(&routes, route), Some(RouteState::Online));
        assert_eq!(routes.number(route), Some(id(255)));
        assert_eq!(routes.online(ID, id(255)), Some(info(route, peer(1))));
        assert_eq!(routes.handle_online(ID, id(255)), None, "it is online already");
        assert_eq!(routes.handle_offline(ID, id(255)), Some(info(route, peer(1))));
        assert_eq!(state(&routes, route), Some(RouteState::Offline));
        assert_eq!(routes.handle_online(ID, id(255)), Some(info(route, peer(1))));
    }
    assert_no_notification(&mut routes, id(16));
}

#[test]
fn a_refused_route_is_removed() {
    let mut routes = Routes::default();
    let route = request(&mut routes, peer(1));
    assert_eq!(respond(&mut routes, peer(1), None), Ok(Answer::Refused(info(route, peer(1)))));
    assert_hidden(&mut routes, route, peer(1), id(16));
    assert_empty(&routes);
}

#[test]
fn a_response_without_a_request_is_a_violation() {
    let unsolicited = Err(Violation::UnsolicitedResponse);
    for answer in [None, Some(id(16)), Some(id(17))] {
        assert_eq!(respond(&mut Routes::default(), peer(1), answer), unsolicited, "without any request");
        let mut requested = Routes::default();
        request(&mut requested, peer(1));
        assert_eq!(respond(&mut requested, peer(2), answer), unsolicited, "for another peer");
        let (mut routes, _) = offline(peer(1), id(16));
        assert_eq!(respond(&mut routes, peer(1), answer), unsolicited, "a second one, offline");
        let (mut routes, _) = online(peer(1), id(16));
        assert_eq!(respond(&mut routes, peer(1), answer), unsolicited, "a second one, online");
        let (mut routes, _) = leaving(peer(1), id(16));
        assert_eq!(respond(&mut routes, peer(1), answer), unsolicited, "for a leaving route");
    }
}

#[test]
fn a_response_before_its_request_was_sent_is_a_violation() {
    for close in [false, true] {
        let mut routes = Routes::default();
        let (route, _) = open(&mut routes, peer(1)).expect("a free route");
        if close {
            routes.close(route).expect("an open route");
        }
        for answer in [None, Some(id(16))] {
            assert_eq!(respond(&mut routes, peer(1), answer), Err(Violation::UnsolicitedResponse));
        }
        routes.handle_request_sent(&peer(2));
        assert_eq!(respond(&mut routes, peer(1), None), Err(Violation::UnsolicitedResponse));
        routes.handle_request_sent(&peer(1));
        assert!(respond(&mut routes, peer(1), None).is_ok());
        assert_empty(&routes);
    }
}

#[test]
fn a_response_with_a_connection_id_in_use_is_a_violation() {
    let in_use = Err(Violation::RouteNumberInUse(16));
    let tables = [offline(peer(1), id(16)).0, online(peer(1), id(16)).0, leaving(peer(1), id(16)).0];
    for mut routes in tables {
        let route = request(&mut routes, peer(2));
        assert_eq!(respond(&mut routes, peer(2), Some(id(16))), in_use, "for a request");
        routes.close(route).expect("an open route");
        assert_eq!(respond(&mut routes, peer(2), Some(id(16))), in_use, "for a closed request");
    }
}

#[test]
fn closing_a_route_with_a_connection_id_notifies_the_relay() {
    for (mut routes, route) in [offline(peer(1), id(16)), online(peer(1), id(16))] {
        assert_eq!(routes.close(route), Ok(Some(id(16))));
        assert_hidden(&mut routes, route, peer(1), id(16));
        assert_eq!(routes.len(), 1);
        routes.handle_disconnect_sent(id(16));
        assert_hidden(&mut routes, route, peer(1), id(16));
        assert_empty(&routes);
    }
}

#[test]
fn only_a_leaving_route_is_removed_when_its_notification_is_sent() {
    let mut requested = Routes::default();
    let route = request(&mut requested, peer(1));
    for (mut routes, route) in [offline(peer(1), id(16)), online(peer(1), id(16)), (requested, route)] {
        let before = state(&routes, route);
        routes.handle_disconnect_sent(id(16));
        routes.handle_disconnect_sent(id(17));
        assert_eq!(state(&routes, route), before);
        assert_eq!(routes.len(), 1);
    }
    let (mut routes, _) = leaving(peer(1), id(16));
    routes.handle_disconnect_sent(id(17));
    assert_eq!(routes.len(), 1);
}

#[test]
fn a_route_closed_before_its_response_is_leaving_after_it() {
    let mut routes = Routes::default();
    let route = request(&mut routes, peer(1));
    assert_eq!(routes.close(route), Ok(None));
    assert_hidden(&mut routes, route, peer(1), id(16));
    let closed = Answer::Closed { registered: Some(id(16)), again: None };
    assert_eq!(respond(&mut routes, peer(1), Some(id(16))), Ok(closed));
    assert_hidden(&mut routes, route, peer(1), id(16));
    assert_eq!(routes.len(), 1);
    routes.handle_disconnect_sent(id(16));
    assert_empty(&routes);
}

#[test]
fn a_route_closed_before_its_refusal_is_removed_by_it() {
    let mut routes = closing(peer(1));
    let closed = Answer::Closed { registered: None, again: None };
    assert_eq!(respond(&mut routes, peer(1), None), Ok(closed));
    assert_empty(&routes);
}

#[test]
fn a_held_route_is_requested_after_the_response_to_the_closing_one() {
    for answer in [None, Some(id(16))] {
        let mut routes = closing(peer(1));
        let held = hold(&mut routes, peer(1));
        assert_eq!(state(&routes, held), Some(RouteState::Requested));
        assert_eq!(open(&mut routes, peer(1)), Err(RouteError::Exists(held)));
        assert_no_notification(&mut routes, id(16));

        let closed = Answer::Closed { registered: answer, again: Some(peer(1)) };
        assert_eq!(respond(&mut routes, peer(1), answer), Ok(closed));
        assert_eq!(state(&routes, held), Some(RouteState::Requested));
        // The old route's notification is sent before the new request, so the relay may give the same id again.
        answer.into_iter().for_each(|id| routes.handle_disconnect_sent(id));
        routes.handle_request_sent(&peer(1));
        assert_eq!(respond(&mut routes, peer(1), Some(id(16))), Ok(Answer::Opened(info(held, peer(1)))));
        assert_eq!(routes.len(), 1);
    }
}

#[test]
fn a_held_route_that_is_closed_is_removed_without_a_request() {
    let mut routes = closing(peer(1));
    let held = hold(&mut routes, peer(1));
    assert_eq!(routes.close(held), Ok(None));
    assert_hidden(&mut routes, held, peer(1), id(16));
    assert_eq!(routes.len(), 1);
    let another = hold(&mut routes, peer(1));
    assert_ne!(another, held);
    assert_eq!(routes.close(held), Err(RouteError::UnknownRoute));
    routes.close(another).expect("an open route");
    let closed = Answer::Closed { registered: Some(id(16)), again: None };
    assert_eq!(respond(&mut routes, peer(1), Some(id(16))), Ok(closed));
    routes.handle_disconnect_sent(id(16));
    assert_empty(&routes);
}

#[test]
fn a_route_opened_after_a_leaving_one_is_requested_at_once() {
    let (mut routes, _) = leaving(peer(1), id(16));
    let route = request(&mut routes, peer(1));
    assert_eq!(routes.len(), 2);
    routes.handle_disconnect_sent(id(16));
    assert_eq!(respond(&mut routes, peer(1), Some(id(16))), Ok(Answer::Opened(info(route, peer(1)))));
    assert_eq!(routes.handle_online(ID, id(16)), Some(info(route, peer(1))));
}

#[test]
fn old_ids_stay_invalid_when_their_slot_is_used_again() {
    let mut routes = Routes::default();
    let mut old = Vec::new();
    for _ in 0..10 {
        let route = request(&mut routes, peer(1));
        assert_eq!(route.slot(), 0);
        for stale in &old {
            assert_eq!(routes.status(ID, *stale), None);
            assert_eq!(routes.close(*stale), Err(RouteError::UnknownRoute));
        }
        respond(&mut routes, peer(1), Some(id(16))).expect("a response");
        routes.handle_online(ID, id(16));
        assert!(old.iter().all(|stale| routes.number(*stale).is_none()));
        old.push(route);
        routes.close(route).expect("an open route");
        routes.handle_disconnect_sent(id(16));
    }
    assert_empty(&routes);
}

#[test]
fn there_are_240_routes_and_each_has_its_connection_id() {
    let mut routes = Routes::default();
    let opened: Vec<_> = (0..240).map(|number| request(&mut routes, peer(number))).collect();
    assert_eq!(open(&mut routes, peer(240)), Err(RouteError::TooMany));
    assert_eq!(open(&mut routes, peer(7)), Err(RouteError::Exists(opened[7])));
    // The relay gives the ids in any order; here, the highest first.
    let number_of = |number: u8| 255 - number;
    for number in (16..=255).rev() {
        let of = number_of(number);
        let opened = Answer::Opened(info(opened[usize::from(of)], peer(of)));
        assert_eq!(respond(&mut routes, peer(of), Some(id(number))), Ok(opened));
    }
    assert_eq!(open(&mut routes, peer(240)), Err(RouteError::TooMany));
    for number in 16..=255 {
        let of = number_of(number);
        let expected = Some(info(opened[usize::from(of)], peer(of)));
        assert_eq!(routes.handle_online(ID, id(number)), expected);
        assert_eq!(routes.online(ID, id(number)), expected);
    }
    // A closed route counts until its disconnect notification is sent.
    let first = routes.close(opened[0]).expect("an open route").expect("a registered one");
    assert_eq!(open(&mut routes, peer(240)), Err(RouteError::TooMany));
    routes.handle_disconnect_sent(first);
    request(&mut routes, peer(240));
    assert_eq!(open(&mut routes, peer(241)), Err(RouteError::TooMany));
    assert_eq!(routes.len(), 240);
}
