//! Routes that a relay refuses, and the maximum number of routes.

use interop::Bootstrapd;
use tox_relay_client::{ConnectionId, PublicKey, RouteError, RouteId, SecretKey, SendError};

use crate::driver::{End, ReceivedEvent, RustEnd, WINDOW, numbered, relay_of};

/// Connection ids are 16 to 255.
const MAX_ROUTES: usize = 240;

#[test]
fn a_route_to_the_own_key_is_refused() {
    let relay = Bootstrapd::start().unwrap();
    let mut ours = RustEnd::new(&relay);
    let own = ours.key();
    for _ in 0..3 {
        let route = ours.client.open_route(ours.relay, own).unwrap();
        assert_eq!(ours.next(), ReceivedEvent::Refused(route));
        assert_eq!(ours.client.route(route), None);
        assert_eq!(ours.client.close_route(route), Err(RouteError::UnknownRoute));
        assert_eq!(ours.client.send_data(route, b"stale"), Err(SendError::UnknownRoute));
    }
    assert_eq!(ours.client.connection(ours.relay).unwrap().routes, 0);
    ours.fence();
}

#[test]
fn a_relay_has_240_routes_and_each_of_them_works() {
    let relay = Bootstrapd::start().unwrap();
    let mut ours = RustEnd::new(&relay);
    let (mut many, peers) = many_identities(&relay, MAX_ROUTES);

    let mut routes: Vec<RouteId> = Vec::new();
    for (key, _) in &peers {
        routes.push(ours.client.open_route(ours.relay, *key).unwrap());
    }
    let one_more = SecretKey::generate().public_key();
    assert_eq!(ours.client.open_route(ours.relay, one_more), Err(RouteError::TooMany));
    for route in &routes {
        assert_eq!(ours.next(), ReceivedEvent::Opened(*route));
    }
    assert_eq!(ours.client.open_route(ours.relay, one_more), Err(RouteError::TooMany));
    let exists = ours.client.open_route(ours.relay, peers[7].0);
    assert_eq!(exists, Err(RouteError::Exists(routes[7])));

    let mut back: Vec<RouteId> = Vec::new();
    for (_, connection) in &peers {
        back.push(many.client.open_route(*connection, ours.key()).unwrap());
    }
    let opened = back.iter().map(|route| ReceivedEvent::Opened(*route));
    expect_in_any_order(&mut many, opened.chain(back.iter().map(|route| ReceivedEvent::Online(*route))));
    expect_in_any_order(&mut ours, routes.iter().map(|route| ReceivedEvent::Online(*route)));

    // Data on each route reach the right peer, in both directions.
    for numbers in (0..MAX_ROUTES).step_by(WINDOW).map(|first| first..first + WINDOW) {
        for number in numbers.clone() {
            ours.client.send_data(routes[number], &numbered(number, 100)).unwrap();
            many.client.send_data(back[number], &numbered(number, 200)).unwrap();
        }
        ours.client.flush();
        many.client.flush();
        let data = numbers.clone().map(|number| ReceivedEvent::Data(back[number], numbered(number, 100)));
        expect_in_any_order(&mut many, data);
        let data = numbers.map(|number| ReceivedEvent::Data(routes[number], numbered(number, 200)));
        expect_in_any_order(&mut ours, data);
    }

    // After one route is closed, another can be opened.
    ours.client.close_route(routes[100]).unwrap();
    ours.client.flush();
    ours.open(one_more);
    assert_eq!(many.next(), ReceivedEvent::Offline(back[100]));
}

/// Returns a client of ours with this number of connections, each with its own key.
fn many_identities(relay: &Bootstrapd, size: usize) -> (RustEnd, Vec<(PublicKey, ConnectionId)>) {
    let mut many = RustEnd::new(relay);
    let mut peers = vec![(many.key(), many.relay)];
    while peers.len() < size {
        let identity = SecretKey::generate();
        let key = identity.public_key();
        peers.push((key, many.client.connect(relay_of(relay).identity(identity)).unwrap()));
    }
    let connected = peers.iter().skip(1).map(|(_, connection)| ReceivedEvent::Connected(*connection));
    expect_in_any_order(&mut many, connected);
    (many, peers)
}

/// Waits for these events, in any order.
fn expect_in_any_order(ours: &mut RustEnd, expected: impl Iterator<Item = ReceivedEvent>) {
    let mut expected: Vec<ReceivedEvent> = expected.collect();
    while !expected.is_empty() {
        let event = ours.next();
        let found = expected.iter().position(|candidate| *candidate == event);
        let Some(found) = found else { panic!("{event:?}") };
        expected.swap_remove(found);
    }
}
