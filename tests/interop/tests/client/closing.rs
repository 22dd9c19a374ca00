//! Routes are closed in each of their states, and opened again at once.

use interop::{Bootstrapd, CEvent, CSend};
use tox_relay_client::{RouteError, RouteId, SecretKey, SendError};

use crate::c_end::CEnd;
use crate::driver::{End, ReceivedEvent, RustEnd, open_routes, pair};

#[test]
fn a_peer_of_ours_sees_that_the_route_was_closed() {
    a_peer_sees_that_the_route_was_closed::<RustEnd>();
}

#[test]
fn a_c_peer_sees_that_the_route_was_closed() {
    a_peer_sees_that_the_route_was_closed::<CEnd>();
}

#[test]
fn closing_an_offline_route_removes_it_at_the_relay() {
    let relay = Bootstrapd::start().unwrap();
    let (mut ours, mut theirs) = connect_both(&relay);
    ours.open(theirs.key());
    ours.close();
    ours.fence();

    theirs.open(ours.key());
    theirs.fence(); // fails if the route is reported online
    ours.open(theirs.key());
    ours.expect_online();
    theirs.expect_online();
}

#[test]
fn closing_a_route_after_its_peer_has_left_removes_it_at_the_relay() {
    let relay = Bootstrapd::start().unwrap();
    let (mut ours, mut theirs) = pair::<RustEnd, CEnd>(&relay);
    theirs.close();
    ours.expect_offline();
    ours.close();
    ours.fence();

    theirs.open(ours.key());
    theirs.fence(); // fails if the route is reported online
    ours.fence();
}

#[test]
fn a_route_that_is_closed_before_the_answer_is_closed_after_it() {
    let relay = Bootstrapd::start().unwrap();
    let (mut ours, mut theirs) = connect_both(&relay);
    let route = open(&mut ours, &theirs);
    close(&mut ours, route);
    ours.fence();
    assert_eq!(ours.client.connection(ours.relay).unwrap().routes, 0);
    theirs.open(ours.key());
    theirs.fence(); // fails if the route is reported online

    // The same while the peer has requested a route to us: it is reported online, then offline.
    let route = open(&mut ours, &theirs);
    close(&mut ours, route);
    ours.fence();
    theirs.expect_online();
    theirs.expect_offline();
    theirs.fence();
    assert_eq!(ours.client.connection(ours.relay).unwrap().routes, 0);
}

#[test]
fn a_route_that_is_closed_before_the_answer_can_be_opened_again_at_once() {
    let relay = Bootstrapd::start().unwrap();
    let (mut ours, mut theirs) = connect_both(&relay);
    theirs.open(ours.key());
    let old = open(&mut ours, &theirs);
    ours.client.flush(); // the request is in flight
    close(&mut ours, old);
    let new = open(&mut ours, &theirs);
    assert_eq!(ours.next(), ReceivedEvent::Opened(new));
    assert_eq!(ours.next(), ReceivedEvent::Online(new));
    theirs.expect_online();
    theirs.expect_offline();
    theirs.expect_online();
    exchange_data(&mut ours, new, &mut theirs);
}

#[test]
fn a_route_that_is_opened_and_closed_repeatedly_ends_in_its_last_state() {
    let relay = Bootstrapd::start().unwrap();
    let (mut ours, mut theirs) = connect_both(&relay);
    theirs.open(ours.key());
    for _ in 0..50 {
        let route = open(&mut ours, &theirs);
        close(&mut ours, route);
    }
    let last = open(&mut ours, &theirs);
    assert_eq!(ours.next(), ReceivedEvent::Opened(last));
    assert_eq!(ours.next(), ReceivedEvent::Online(last));
    assert_eq!(ours.client.connection(ours.relay).unwrap().routes, 1);
    theirs.expect_online();
    theirs.expect_offline();
    theirs.expect_online();
    exchange_data(&mut ours, last, &mut theirs);
}

#[test]
fn an_online_route_can_be_closed_and_opened_again_at_once() {
    let relay = Bootstrapd::start().unwrap();
    let (mut ours, mut theirs) = pair::<RustEnd, CEnd>(&relay);
    for _ in 0..10 {
        let old = ours.client.find_route(ours.relay, &theirs.key()).unwrap();
        close(&mut ours, old);
        let new = open(&mut ours, &theirs);
        assert_ne!(new, old);
        assert_eq!(ours.next(), ReceivedEvent::Opened(new));
        assert_eq!(ours.next(), ReceivedEvent::Online(new));
        theirs.expect_offline();
        theirs.expect_online();
        assert_eq!(ours.client.send_data(old, b"stale"), Err(SendError::UnknownRoute));
        exchange_data(&mut ours, new, &mut theirs);
    }
}

#[test]
fn an_offline_route_can_be_closed_and_opened_again_at_once() {
    let relay = Bootstrapd::start().unwrap();
    let (mut ours, mut theirs) = connect_both(&relay);
    let old = ours.open_route(theirs.key());
    close(&mut ours, old);
    let new = open(&mut ours, &theirs);
    assert_eq!(ours.next(), ReceivedEvent::Opened(new));
    theirs.open(ours.key());
    theirs.expect_online();
    assert_eq!(ours.next(), ReceivedEvent::Online(new));
    exchange_data(&mut ours, new, &mut theirs);
}

/// The relay would drop us for data on a route that no longer exists.
#[test]
fn queued_data_of_a_route_are_sent_before_it_is_closed() {
    let relay = Bootstrapd::start().unwrap();
    let (mut ours, mut theirs) = pair::<RustEnd, CEnd>(&relay);
    let their_key = theirs.key();
    let route = ours.client.find_route(ours.relay, &their_key).unwrap();
    ours.client.send_data(route, b"one").unwrap();
    ours.client.send_oob(ours.relay, their_key, b"not on the route").unwrap();
    ours.client.send_data(route, b"two").unwrap();
    close(&mut ours, route);
    let new = open(&mut ours, &theirs);
    assert_eq!(ours.next(), ReceivedEvent::Opened(new));
    assert_eq!(ours.next(), ReceivedEvent::Online(new));
    theirs.expect_data(b"one");
    theirs.expect_data(b"two");
    theirs.expect_oob(ours.key(), b"not on the route");
    theirs.expect_offline();
    theirs.expect_online();
    exchange_data(&mut ours, new, &mut theirs);
}

#[test]
fn data_that_arrive_for_a_route_that_was_just_closed_do_no_harm() {
    let relay = Bootstrapd::start().unwrap();
    let (mut ours, mut theirs) = pair::<RustEnd, CEnd>(&relay);
    theirs.send_data(b"late");
    theirs.send_oob(ours.key(), b"not on the route");
    theirs.fence(); // they have arrived in our socket
    ours.close();
    ours.expect_oob(theirs.key(), b"not on the route");
    ours.fence();
    theirs.expect_offline();
    ours.open(theirs.key());
    ours.expect_online();
    theirs.expect_online();
}

#[test]
fn both_ends_close_at_the_same_time() {
    let relay = Bootstrapd::start().unwrap();
    let (mut ours, mut theirs) = pair::<RustEnd, CEnd>(&relay);
    for _ in 0..10 {
        theirs.close();
        ours.close();
        ours.fence(); // their close causes no event here, since our route is closed already
        // Their route is reported offline only if the relay reads our notification before theirs.
        let fence = SecretKey::generate().public_key();
        assert_eq!(theirs.client.request_route(fence.as_bytes()), CSend::Sent);
        loop {
            match theirs.next() {
                CEvent::Offline { .. } => {}
                CEvent::RoutingResponse { connection_id, peer } if peer == *fence.as_bytes() => {
                    assert_eq!(theirs.client.disconnect_route(connection_id), CSend::Sent);
                    break;
                }
                event => panic!("{event:?}"),
            }
        }
        open_routes(&mut ours, &mut theirs);
    }
}

fn a_peer_sees_that_the_route_was_closed<P: End>() {
    let relay = Bootstrapd::start().unwrap();
    let (mut ours, mut peer) = pair::<RustEnd, P>(&relay);
    let route = ours.client.find_route(ours.relay, &peer.key()).unwrap();
    ours.close();
    peer.expect_offline();
    assert_eq!(ours.client.find_route(ours.relay, &peer.key()), None);
    assert_eq!(ours.client.send_data(route, b"stale"), Err(SendError::UnknownRoute));
    assert_eq!(ours.client.close_route(route), Err(RouteError::UnknownRoute));

    // The peer's route still exists, so opening ours puts both online again. Then the peer closes its route.
    ours.open(peer.key());
    ours.expect_online();
    peer.expect_online();
    peer.close();
    ours.expect_offline();
    ours.fence();
    peer.fence();
}

fn connect_both(relay: &Bootstrapd) -> (RustEnd, CEnd) {
    (RustEnd::new(relay), CEnd::connected(relay, SecretKey::generate()))
}

/// Requests a route. Unlike [`End::open`], it does not wait for the answer.
fn open(ours: &mut RustEnd, theirs: &CEnd) -> RouteId {
    ours.client.open_route(ours.relay, theirs.key()).unwrap()
}

/// Closes a route. Unlike [`End::close`], it sends nothing yet.
fn close(ours: &mut RustEnd, route: RouteId) {
    ours.client.close_route(route).unwrap();
}

fn exchange_data(ours: &mut RustEnd, route: RouteId, theirs: &mut CEnd) {
    ours.client.send_data(route, b"ping").unwrap();
    ours.client.flush();
    theirs.expect_data(b"ping");
    theirs.send_data(b"pong");
    assert_eq!(ours.next(), ReceivedEvent::Data(route, b"pong".to_vec()));
}
