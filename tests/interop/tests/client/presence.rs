//! Peers that disconnect and return, and clients that connect again.

use std::time::Instant;

use interop::Bootstrapd;
use tox_relay_client::{DisconnectReason, RouteError, RouteId, RouteState, SecretKey, SendError};

use crate::c_end::CEnd;
use crate::driver::{AT_ONCE, End, ReceivedEvent, RustEnd, open_routes, relay_of};

#[test]
fn a_peer_of_ours_is_gone_and_connects_again() {
    a_peer_is_gone_and_connects_again::<RustEnd>();
}

#[test]
fn a_c_peer_is_gone_and_connects_again() {
    a_peer_is_gone_and_connects_again::<CEnd>();
}

#[test]
fn a_peer_of_ours_closes_its_route_leaves_and_comes_back() {
    a_peer_closes_its_route_leaves_and_comes_back::<RustEnd>();
}

#[test]
fn a_c_peer_closes_its_route_leaves_and_comes_back() {
    a_peer_closes_its_route_leaves_and_comes_back::<CEnd>();
}

#[test]
fn a_second_connection_with_the_same_key_replaces_the_first() {
    let relay = Bootstrapd::start().unwrap();
    let key = SecretKey::generate();
    let mut friend = CEnd::connected(&relay, SecretKey::generate());
    let mut old = RustEnd::connected(&relay, key.clone());
    open_routes(&mut old, &mut friend);

    let mut new = RustEnd::connected(&relay, key);
    assert!(is_closed(old.next_reason()));
    friend.expect_offline();
    assert_eq!(new.client.routes(new.relay).count(), 0);
    assert_eq!(new.client.connection(new.relay).unwrap().routes, 0);

    // The relay has no route either; otherwise its notification would arrive before the answer to this.
    new.fence();
    new.open(friend.key());
    new.expect_online();
    friend.expect_online();
    new.send_data(b"hello again");
    friend.expect_data(b"hello again");
    friend.send_data(b"welcome back");
    new.expect_data(b"welcome back");
    assert_eq!(old.client.connections().count(), 0);
}

#[test]
fn a_client_that_disconnects_or_is_dropped_is_offline_for_its_peers_at_once() {
    let relay = Bootstrapd::start().unwrap();
    let mut friend = CEnd::connected(&relay, SecretKey::generate());
    let mut ours = RustEnd::new(&relay);
    open_routes(&mut ours, &mut friend);
    let start = Instant::now();
    ours.client.disconnect(ours.relay);
    friend.expect_offline();
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());

    assert_eq!(ours.next_reason(), DisconnectReason::ClosedByCaller);
    ours.reconnect(&relay);
    ours.open(friend.key());
    ours.expect_online();
    friend.expect_online();
    let start = Instant::now();
    drop(ours);
    friend.expect_offline();
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
}

#[test]
fn a_client_that_disconnects_can_connect_again_at_once() {
    let relay = Bootstrapd::start().unwrap();
    let mut friend = CEnd::connected(&relay, SecretKey::generate());
    let mut ours = RustEnd::new(&relay);
    open_routes(&mut ours, &mut friend);
    for _ in 0..3 {
        let (old, old_route) = (ours.relay, ours.client.find_route(ours.relay, &friend.key()).unwrap());
        assert!(ours.client.disconnect(old));
        ours.relay = ours.client.connect(relay_of(&relay)).unwrap();
        assert_ne!(ours.relay, old);
        assert_eq!(ours.next(), ReceivedEvent::Disconnected(old, DisconnectReason::ClosedByCaller));
        assert_eq!(ours.next(), ReceivedEvent::Connected(ours.relay));
        friend.expect_offline();

        assert_eq!(ours.client.send_data(old_route, b"stale"), Err(SendError::UnknownRoute));
        assert_eq!(ours.client.close_route(old_route), Err(RouteError::UnknownRoute));
        ours.open(friend.key());
        ours.expect_online();
        friend.expect_online();
        ours.send_data(b"back again");
        friend.expect_data(b"back again");
    }
}

/// The relay does not check whether a client has closed its connection. It notices that a peer has left only when the
/// peer connects again (here), or does not answer a ping (in `idle`).
fn a_peer_is_gone_and_connects_again<P: End>() {
    let relay = Bootstrapd::start().unwrap();
    let key = SecretKey::generate();
    let mut ours = RustEnd::new(&relay);
    let mut peer = P::connected(&relay, key.clone());
    open_routes(&mut ours, &mut peer);
    let route = ours.client.find_route(ours.relay, &peer.key()).unwrap();
    for _ in 0..3 {
        drop(peer);
        peer = P::connected(&relay, key.clone());
        assert_eq!(ours.next(), ReceivedEvent::Offline(route));
        assert_eq!(ours.client.route(route).unwrap().state, RouteState::Offline);
        assert_eq!(ours.client.send_data(route, b"nobody there"), Err(SendError::RouteOffline));
        ours.fence(); // the peer is connected, but has not requested a route to us
        reopen_route(&mut ours, route, &mut peer);
    }
}

fn a_peer_closes_its_route_leaves_and_comes_back<P: End>() {
    let relay = Bootstrapd::start().unwrap();
    let key = SecretKey::generate();
    let mut ours = RustEnd::new(&relay);
    let mut peer = P::connected(&relay, key.clone());
    open_routes(&mut ours, &mut peer);
    let route = ours.client.find_route(ours.relay, &peer.key()).unwrap();
    for _ in 0..3 {
        peer.close();
        assert_eq!(ours.next(), ReceivedEvent::Offline(route));
        drop(peer);
        ours.fence();
        peer = P::connected(&relay, key.clone());
        reopen_route(&mut ours, route, &mut peer);
    }
}

fn reopen_route(ours: &mut RustEnd, route: RouteId, peer: &mut impl End) {
    peer.open(ours.key());
    peer.expect_online();
    assert_eq!(ours.next(), ReceivedEvent::Online(route));
    assert_eq!(ours.client.route(route).unwrap().state, RouteState::Online);
    ours.send_data(b"welcome back");
    peer.expect_data(b"welcome back");
    peer.send_data(b"thank you");
    ours.expect_data(b"thank you");
}

/// Whether a connection ended because the relay closed its socket. The kernel sends a reset if the relay had not read
/// all of our data.
pub fn is_closed(reason: DisconnectReason) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    match reason {
        DisconnectReason::Closed { .. } => true,
        DisconnectReason::Transport { kind, .. } => matches!(kind, ConnectionReset | BrokenPipe),
        _ => false,
    }
}
