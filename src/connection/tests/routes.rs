//! Routes as the caller sees them, and their packets.

use super::*;
use crate::status::RouteState;

const PEER: u8 = 7;

fn disconnect(number: u8) -> Vec<u8> {
    vec![3, number]
}

/// A connection with a route that is requested and not answered.
fn requested() -> (Pair, RouteId) {
    let mut pair = Pair::connected();
    let route = pair.connection.open(key(PEER)).unwrap();
    assert_eq!(pair.sent(), [routing_request(key(PEER))]);
    (pair, route)
}

#[test]
fn a_refusal_is_reported_and_removes_the_route() {
    let (mut pair, route) = requested();
    pair.relay_sends(&[routing_response(0, key(PEER))]).unwrap();
    assert_eq!(
        pair.take_events(),
        [format!(
            "{:?}",
            Event::RouteRefused { connection: ID, route, token: route_token(key(PEER)), peer: key(PEER) }
        )]
    );
    assert_eq!(pair.connection.close_route(route), Err(RouteError::UnknownRoute));
    assert_eq!(pair.connection.route_count(), 0);
    pair.connection.open(key(PEER)).unwrap();
}

/// Peers' keys are compared byte by byte, as the relay does. No honest peer uses another encoding of its key; a route
/// to one does no harm.
#[test]
fn a_peers_key_in_another_encoding_is_another_peer() {
    let mut other = *key(PEER).as_bytes();
    other[31] |= 0x80;
    let other = PublicKey::from(other);
    let (mut pair, route) = Pair::with_route(Settings::default(), key(PEER));
    let to_other = pair.connection.open(other).unwrap();
    assert_eq!(pair.sent(), [routing_request(other)]);
    pair.relay_sends(&[routing_response(17, other)]).unwrap();
    pair.take_events();
    pair.connection.send_to(other, b"out of band").unwrap();
    pair.connection.send_to(key(PEER), b"hello").unwrap();
    let oob = [&[6][..], other.as_bytes(), b"out of band"].concat();
    assert_eq!(pair.sent(), [oob, data(16, b"hello")]);
    assert_eq!(pair.connection.send_data(to_other, b"hello"), Err(SendError::RouteOffline));
    assert_eq!(pair.connection.find_route(&key(PEER)), Some(route));
    assert_eq!(pair.connection.find_route(&other), Some(to_other));

    // A response for one key does not answer the request for the other.
    let (mut pair, _) = requested();
    let answer = pair.relay_sends(&[routing_response(16, other)]);
    assert_eq!(answer, Err(Violation::UnsolicitedResponse.into()));
}

#[test]
fn closing_a_route_notifies_the_relay_whether_online_or_offline() {
    let (mut pair, online) = Pair::with_route(Settings::default(), key(PEER));
    pair.connection.close_route(online).unwrap();
    assert_eq!(pair.sent(), [disconnect(16)]);
    assert_eq!(pair.connection.route_count(), 0);

    let (mut pair, offline) = requested();
    pair.relay_sends(&[routing_response(16, key(PEER))]).unwrap();
    pair.connection.close_route(offline).unwrap();
    assert_eq!(pair.sent(), [disconnect(16)]);
    assert_eq!(pair.connection.route_count(), 0);
}

#[test]
fn a_route_closed_before_its_response_is_closed_at_the_relay_too() {
    let (mut pair, route) = requested();
    pair.connection.close_route(route).unwrap();
    assert_eq!(pair.connection.close_route(route), Err(RouteError::UnknownRoute));
    assert!(!pair.connection.has_output(FIRST));
    pair.relay_sends(&[routing_response(16, key(PEER)), vec![2, 16], data(16, b"late")]).unwrap();
    assert_eq!(pair.take_events(), [""; 0]);
    assert_eq!(pair.sent(), [disconnect(16)]);
    assert_eq!(pair.connection.route_count(), 0);
}

#[test]
fn a_route_closed_before_its_refusal_is_removed_without_a_notification() {
    let (mut pair, route) = requested();
    pair.connection.close_route(route).unwrap();
    pair.relay_sends(&[routing_response(0, key(PEER))]).unwrap();
    assert_eq!(pair.take_events(), [""; 0]);
    assert!(!pair.connection.has_output(FIRST));
    assert_eq!(pair.connection.route_count(), 0);
}

#[test]
fn reopening_before_the_response_requests_again_after_the_disconnect_notification() {
    let (mut pair, first) = requested();
    pair.connection.close_route(first).unwrap();
    let second = pair.connection.open(key(PEER)).unwrap();
    assert_ne!(first, second);
    // If a second request were sent now, the relay would answer it with the first route, which is closing.
    assert_eq!(pair.sent(), [""; 0].map(Vec::from));
    pair.relay_sends(&[routing_response(16, key(PEER))]).unwrap();
    assert_eq!(pair.take_events(), [""; 0]);
    assert_eq!(pair.sent(), [disconnect(16), routing_request(key(PEER))]);
    pair.relay_sends(&[routing_response(16, key(PEER))]).unwrap();
    assert_eq!(
        pair.take_events(),
        [format!(
            "{:?}",
            Event::RouteOpened {
                connection: ID,
                route: second,
                token: route_token(key(PEER)),
                peer: key(PEER)
            }
        )]
    );
}

#[test]
fn reopening_and_closing_before_the_response_sends_no_second_request() {
    let (mut pair, first) = requested();
    pair.connection.close_route(first).unwrap();
    let second = pair.connection.open(key(PEER)).unwrap();
    pair.connection.close_route(second).unwrap();
    pair.relay_sends(&[routing_response(20, key(PEER))]).unwrap();
    assert_eq!(pair.sent(), [disconnect(20)]);
    assert_eq!(pair.take_events(), [""; 0]);
    assert_eq!(pair.connection.route_count(), 0);
}

#[test]
fn reopening_before_a_refusal_requests_again() {
    let (mut pair, first) = requested();
    pair.connection.close_route(first).unwrap();
    pair.connection.open(key(PEER)).unwrap();
    pair.relay_sends(&[routing_response(0, key(PEER))]).unwrap();
    assert_eq!(pair.sent(), [routing_request(key(PEER))]);
}

#[test]
fn a_connection_id_can_be_used_for_another_route_later() {
    let (mut pair, old) = Pair::with_route(Settings::default(), key(PEER));
    pair.connection.close_route(old).unwrap();
    let new = pair.connection.open(key(8)).unwrap();
    assert_eq!(pair.sent(), [disconnect(16), routing_request(key(8))]);
    // The relay sent these packets before it knew that the route is closed.
    let late = [data(16, b"late"), disconnect(16)];
    pair.relay_sends(&late).unwrap();
    assert_eq!(pair.take_events(), [""; 0]);
    pair.relay_sends(&[routing_response(16, key(8)), vec![2, 16], data(16, b"new")]).unwrap();
    let peer = key(8);
    assert_eq!(
        pair.take_events(),
        [
            format!(
                "{:?}",
                Event::RouteOpened { connection: ID, route: new, token: route_token(peer), peer }
            ),
            format!(
                "{:?}",
                Event::RouteOnline { connection: ID, route: new, token: route_token(peer), peer }
            ),
            format!(
                "{:?}",
                Event::Data { connection: ID, route: new, token: route_token(peer), peer, data: b"new" }
            ),
        ]
    );
    assert_eq!(pair.connection.send_data(old, b"x"), Err(SendError::UnknownRoute));
    assert_eq!(pair.connection.close_route(old), Err(RouteError::UnknownRoute));
}

#[test]
fn a_connection_id_is_in_use_until_the_disconnect_notification_is_sent() {
    let (mut pair, old) = Pair::with_route(Settings::default(), key(PEER));
    pair.connection.open(key(8)).unwrap();
    pair.sent();
    pair.connection.close_route(old).unwrap();
    assert_eq!(pair.connection.route_count(), 2);
    assert_eq!(
        pair.relay_sends(&[routing_response(16, key(8))]),
        Err(Violation::RouteNumberInUse(16).into())
    );
}

#[test]
fn responses_without_a_request_end_the_connection() {
    let unsolicited = Err(Violation::UnsolicitedResponse.into());
    let mut pair = Pair::connected();
    assert_eq!(pair.relay_sends(&[routing_response(16, key(PEER))]), unsolicited);

    let (mut pair, _) = requested();
    assert_eq!(pair.relay_sends(&[routing_response(16, key(8))]), unsolicited);

    // A second id for the same key.
    let (mut pair, _) = Pair::with_route(Settings::default(), key(PEER));
    assert_eq!(pair.relay_sends(&[routing_response(17, key(PEER))]), unsolicited);

    // The same id for a second key.
    let (mut pair, _) = Pair::with_route(Settings::default(), key(PEER));
    pair.connection.open(key(8)).unwrap();
    pair.sent();
    assert_eq!(
        pair.relay_sends(&[routing_response(16, key(8))]),
        Err(Violation::RouteNumberInUse(16).into())
    );

    for id in 1..16 {
        let (mut pair, _) = requested();
        let violation = Violation::RouteNumber { kind: 1, id };
        assert_eq!(pair.relay_sends(&[routing_response(id, key(PEER))]), Err(violation.into()));
    }
}

#[test]
fn responses_to_requests_that_were_not_sent_end_the_connection() {
    // If they were accepted, a relay that does not read could make the caller request again and again.
    let mut pair = Pair::connected();
    pair.connection.open(key(PEER)).unwrap();
    assert_eq!(pair.flush_some(0), []);
    let refusal = pair.relay_sends(&[routing_response(0, key(PEER))]);
    assert_eq!(refusal, Err(Violation::UnsolicitedResponse.into()));
}

#[test]
fn notifications_and_data_without_a_route_are_ignored() {
    let (mut pair, route) = requested();
    let early = [vec![2, 16], data(16, b"x"), vec![3, 16], vec![2, 255], vec![3, 255], data(255, b"")];
    pair.relay_sends(&early).unwrap();
    assert_eq!(pair.take_events(), [""; 0]);
    pair.relay_sends(&[routing_response(16, key(PEER)), data(16, b"offline"), vec![3, 16]]).unwrap();
    assert_eq!(
        pair.take_events(),
        [format!(
            "{:?}",
            Event::RouteOpened { connection: ID, route, token: route_token(key(PEER)), peer: key(PEER) }
        )]
    );
    pair.relay_sends(&[vec![2, 16], vec![2, 16], vec![3, 16], vec![3, 16]]).unwrap();
    assert_eq!(pair.take_events().len(), 2);
}

#[test]
fn a_peer_has_at_most_one_route() {
    let (mut pair, route) = requested();
    assert_eq!(pair.connection.open(key(PEER)), Err(RouteError::Exists(route)));
    assert_eq!(pair.connection.find_route(&key(PEER)), Some(route));
    assert_eq!(pair.connection.find_route(&key(8)), None);
    let status = pair.connection.route_status(route).unwrap();
    assert_eq!((status.route, status.peer, status.state), (route, key(PEER), RouteState::Requested));
    assert_eq!(pair.connection.routes().collect::<Vec<_>>(), [status]);
}

#[test]
fn a_connection_has_up_to_240_routes() {
    let mut pair = Pair::connected_with(without_window());
    let peer = |number: u8| key(number);
    let routes: Vec<_> = (0..240).map(|number| pair.connection.open(peer(number)).unwrap()).collect();
    assert_eq!(pair.connection.open(peer(240)), Err(RouteError::TooMany));
    assert_eq!(pair.sent().len(), 240);
    let responses: Vec<_> = (0..240).map(|number| routing_response(16 + number, peer(number))).collect();
    pair.relay_sends(&responses).unwrap();
    pair.relay_sends(&(16..=255).map(|id| vec![2, id]).collect::<Vec<_>>()).unwrap();
    pair.take_events();
    for (number, route) in (0..240).zip(&routes) {
        pair.connection.send_data(*route, &[number]).unwrap();
    }
    let expected: Vec<_> = (0..240).map(|number| data(16 + number, &[number])).collect();
    assert_eq!(pair.sent(), expected);
    // Closed routes count until their disconnect notification is sent.
    pair.connection.close_route(routes[0]).unwrap();
    assert_eq!(pair.connection.open(peer(240)), Err(RouteError::TooMany));
    pair.sent();
    pair.connection.open(peer(240)).unwrap();
}

#[test]
fn a_route_id_of_another_generation_is_unknown() {
    let (mut pair, route) = Pair::with_route(Settings::default(), key(PEER));
    let stale = RouteId::new(ID, route.slot(), route.generation + 1);
    assert_eq!(pair.connection.send_data(stale, b"x"), Err(SendError::UnknownRoute));
    assert_eq!(pair.connection.route_status(stale), None);
    assert_eq!(pair.connection.close_route(stale), Err(RouteError::UnknownRoute));
}
