//! Tokens of the caller, stale ids, and the client's own identity given for a connection.

mod support;

use std::time::{Duration, Instant};

use support::{GUARD, Peer, Reported, address, any_key, honest};
use tox_relay_client::{
    Client, Config, ConnectError, DisconnectReason, Event, Events, OwnedEvent, RouteError, RouteId,
    SecretKey, SendError,
};

/// Polls both clients until `is_last` returns true for the last event of the first one. All its events are added to
/// `kept`.
#[track_caller]
fn until(clients: &mut [Client; 2], kept: &mut Vec<OwnedEvent>, is_last: impl Fn(Event<'_>) -> bool) {
    let guard = Instant::now() + GUARD;
    let mut events = Events::with_capacity(16);
    while !kept.last().is_some_and(|event| is_last(event.as_event())) {
        assert!(Instant::now() < guard, "{kept:?}");
        for (number, client) in clients.iter_mut().enumerate() {
            client.poll(&mut events, Some(Duration::from_millis(1))).unwrap();
            if number == 0 {
                kept.extend(events.iter().map(OwnedEvent::from));
            }
        }
    }
}

#[test]
fn tokens_are_in_every_event_and_status() {
    let relay = honest();
    let mut clients = [(); 2].map(|()| Client::new(Config::new(SecretKey::generate())).unwrap());
    let [a_key, b_key] = clients.each_ref().map(Client::public_key);
    let at_a = clients[0].connect(address(&relay).token(u64::MAX)).unwrap();
    let at_b = clients[1].connect(address(&relay)).unwrap();
    let to_b = clients[0].open_route_with_token(at_a, b_key, 7).unwrap();
    let to_a = clients[1].open_route(at_b, a_key).unwrap();
    let mut kept = Vec::new();
    until(&mut clients, &mut kept, |event| matches!(event, Event::RouteOnline { .. }));
    let guard = Instant::now() + GUARD;
    while clients[1].send_data(to_a, b"data") == Err(SendError::RouteOffline) {
        assert!(Instant::now() < guard, "the route is not online");
        clients[1].poll(&mut Events::with_capacity(16), Some(Duration::from_millis(1))).unwrap();
    }
    until(&mut clients, &mut kept, |event| matches!(event, Event::Data { data: b"data", .. }));
    clients[1].send_oob(at_b, a_key, b"out of band").unwrap();
    until(&mut clients, &mut kept, |event| matches!(event, Event::Oob { data: b"out of band", .. }));
    clients[1].close_route(to_a).unwrap();
    until(&mut clients, &mut kept, |event| matches!(event, Event::RouteOffline { .. }));
    let status = clients[0].route(to_b).unwrap();
    assert_eq!((status.connection, status.peer, status.token), (at_a, b_key, 7));
    assert_eq!(clients[0].connection(at_a).unwrap().token, u64::MAX);
    assert_eq!(clients[0].disconnect_all(), 1);
    until(
        &mut clients,
        &mut kept,
        |event| matches!(event, Event::Disconnected { status, .. } if status.token == u64::MAX),
    );
    for event in &kept {
        assert_eq!(event.connection(), at_a, "{event:?}");
        assert_eq!(event.token(), event.route().map_or(u64::MAX, |_| 7), "{event:?}");
    }
    assert_eq!(kept.len(), 7);
}

/// The index and the slot are the same for all of these routes. Only the generation differs.
#[test]
fn a_stale_route_is_never_a_route_of_a_later_connection() {
    let relay = honest();
    let mut peer = Peer::new();
    let mut stale = Vec::new();
    for _ in 0..5 {
        let id = peer.connect(&relay);
        let route = peer.client.open_route(id, any_key()).unwrap();
        for old in &stale {
            assert_ne!(route, *old);
            assert_eq!(peer.client.route(*old), None);
            assert_eq!(peer.client.send_data(*old, b"data"), Err(SendError::UnknownRoute));
            assert_eq!(peer.client.close_route(*old), Err(RouteError::UnknownRoute));
        }
        assert_eq!(peer.client.route(RouteId::from(u64::from(route))).unwrap().connection, id);
        stale.push(route);
        peer.client.disconnect_all();
        assert_eq!(peer.end(id), DisconnectReason::ClosedByCaller);
    }
}

#[test]
fn an_identity_that_is_the_clients_own_is_recognised() {
    let relay = honest();
    let secret = SecretKey::generate();
    let mut peer = Peer::new();
    peer.client = Client::new(Config::new(secret.clone())).unwrap();
    let with_own = address(&relay).identity(secret);
    let id = peer.client.connect(&with_own).unwrap();
    peer.until("connected", |peer| peer.reported == [Reported::Connected(id)]);
    assert_eq!(peer.client.connection(id).unwrap().identity, peer.client.public_key());
    for again in [address(&relay), with_own] {
        let result = peer.client.connect(again);
        assert!(matches!(result, Err(ConnectError::AlreadyConnected(other)) if other == id), "{result:?}");
    }
}
