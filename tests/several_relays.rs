//! One client with several connections, to several relays or with several identities, which are never mixed up.

mod support;

use support::{OnlinePair, Peer, Reported, address, honest, numbered, open_routes, until};
use tox_relay_client::{DisconnectReason, RouteError, SecretKey, SendError};

#[test]
fn routes_of_one_relay_are_never_those_of_another() {
    let relays = [(); 4].map(|()| honest());
    let (mut a, mut b) = (Peer::new(), Peer::new());
    // They have routes to each other on all relays, all with the same connection id.
    let routes = relays.each_ref().map(|relay| {
        let (at_a, at_b) = (a.connect(relay), b.connect(relay));
        let (to_b, to_a) = open_routes(&mut a, at_a, &mut b, at_b);
        assert_eq!((a.connection_of(to_b), b.connection_of(to_a)), (at_a, at_b));
        (to_b, to_a)
    });
    for (n, (to_b, _)) in routes.iter().enumerate() {
        assert!(routes[..n].iter().all(|(other, _)| other != to_b));
    }
    a.reported.clear();
    b.reported.clear();
    let mut expected = Vec::new();
    for (n, (to_b, to_a)) in routes.iter().enumerate() {
        for round in 0..20 {
            let data = numbered(round, 10 + n);
            a.client.send_data(*to_b, &data).unwrap();
            expected.push(Reported::Data(*to_a, a.key, data));
        }
    }
    until([&mut a, &mut b], "all data", |[_, b]| b.reported.len() == expected.len());
    // In order on each route; there is no order between routes.
    b.reported.sort_by_key(|reported| {
        routes.iter().position(|(_, to_a)| matches!(reported, Reported::Data(id, ..) if id == to_a))
    });
    assert_eq!(b.reported, expected);

    // One route is closed and one connection ended; the others are not affected.
    a.client.close_route(routes[0].0).unwrap();
    a.client.disconnect(a.connection_of(routes[1].0));
    assert_eq!(a.client.close_route(routes[0].0), Err(RouteError::UnknownRoute));
    assert_eq!(a.client.close_route(routes[1].0), Err(RouteError::UnknownRoute));
    b.reported.clear();
    let offline = [0, 1].map(|n: usize| Reported::Offline(routes[n].1, a.key));
    until([&mut a, &mut b], "two offline", |[_, b]| {
        offline.iter().all(|reported| b.reported.contains(reported))
    });
    assert_eq!(b.reported.len(), 2);
    for (to_b, to_a) in &routes[2..] {
        a.client.send_data(*to_b, b"still here").unwrap();
        let data = Reported::Data(*to_a, a.key, b"still here".to_vec());
        until([&mut a, &mut b], "data", |[_, b]| b.reported.contains(&data));
    }
}

#[test]
fn an_end_removes_all_routes_of_that_connection_and_no_other() {
    let (first, second) = (honest(), honest());
    let mut pair = OnlinePair::on(&first);
    let other = pair.a.connect(&second);
    let kept = pair.a.client.open_route(other, pair.b.key).unwrap();
    pair.a.until("the answer", |a| {
        a.reported.contains(&Reported::Opened(kept, a.client.route(kept).unwrap().peer))
    });
    drop(first);
    assert!(matches!(
        pair.a.end(pair.at_a),
        DisconnectReason::Closed { .. } | DisconnectReason::Transport { .. }
    ));
    assert_eq!(pair.a.client.send_data(pair.to_b, b"data"), Err(SendError::UnknownRoute));
    assert_eq!(pair.a.client.route(pair.to_b), None);
    assert!(pair.a.client.route(kept).is_some());
    // A new connection reuses the table entry of the old one, and the old ids stay invalid.
    let third = honest();
    let new = pair.a.connect(&third);
    let route = pair.a.client.open_route(new, pair.b.key).unwrap();
    assert_ne!(route, pair.to_b);
    assert_eq!(pair.a.client.close_route(pair.to_b), Err(RouteError::UnknownRoute));
    assert!(!pair.a.client.disconnect(pair.at_a));
    assert!(pair.a.client.route(route).is_some());
}

#[test]
fn two_identities_of_one_client_exchange_data() {
    let relay = honest();
    let mut a = Peer::new();
    let secret = SecretKey::generate();
    let other_key = secret.public_key();
    let main = a.connect(&relay);
    let other = a.client.connect(address(&relay).identity(secret)).unwrap();
    a.until("both connected", |a| a.reported.contains(&Reported::Connected(other)));
    assert_eq!(a.client.connection(main).unwrap().identity, a.key);
    assert_eq!(a.client.connection(other).unwrap().identity, other_key);
    let to_other = a.client.open_route(main, other_key).unwrap();
    let to_main = a.client.open_route(other, a.key).unwrap();
    a.until("both online", |a| {
        a.reported.contains(&Reported::Online(to_other, other_key))
            && a.reported.contains(&Reported::Online(to_main, a.key))
    });
    a.client.send_data(to_other, b"to myself").unwrap();
    a.until("data", |a| a.reported.contains(&Reported::Data(to_main, a.key, b"to myself".to_vec())));
    a.client.send_oob(other, a.key, b"from the other").unwrap();
    a.until("OOB", |a| a.reported.contains(&Reported::Oob(main, other_key, b"from the other".to_vec())));
}

#[test]
fn a_client_and_its_events_can_move_to_another_thread() {
    fn assert_send<T: Send>(_: &T) {}
    let relay = honest();
    let mut pair = OnlinePair::on(&relay);
    assert_send(&pair.a.client);
    assert_send(&pair.a.events);
    pair.b.client.send_data(pair.to_a, b"across threads").unwrap();
    pair.b.client.flush();
    let mut a = pair.a;
    let thread = std::thread::spawn(move || {
        a.until("data", |a| a.data() == [b"across threads"]);
    });
    thread.join().unwrap();
}

#[test]
fn a_client_that_is_dropped_closes_its_connections() {
    let relay = honest();
    let mut pair = OnlinePair::on(&relay);
    drop(pair.a);
    pair.b.until("offline", |b| matches!(b.reported[..], [Reported::Offline(..)]));
    drop(pair.b);
    assert!(relay.wait_until(support::GUARD, |statistics| statistics.connected == 0).is_some());
}
