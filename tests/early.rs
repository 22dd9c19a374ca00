//! Routes that are opened and packets that are sent right after `connect`: they leave as soon as the relay can decrypt
//! them.

mod support;

use std::time::Duration;

use support::scripted_relay::ScriptedRelay;
use support::{Conduct, Peer, Reported, SHORT, any_key, honest, relay, until};
use tox_relay_client::{Destination, DisconnectReason, RouteState, SendError, Stage};

#[test]
fn routes_that_are_opened_right_after_connect_come_online_and_are_reported_after_connected() {
    let relay = honest();
    let (mut a, mut b) = (Peer::new(), Peer::new());
    let (at_a, at_b) = (a.begin(&relay), b.begin(&relay));
    let (to_b, to_a) = (a.client.open_route(at_a, b.key).unwrap(), b.client.open_route(at_b, a.key).unwrap());
    assert_eq!(a.client.route(to_b).unwrap().state, RouteState::Requested);
    assert_eq!(a.client.send_data(to_b, b"x"), Err(SendError::RouteOffline));
    until([&mut a, &mut b], "online", |[a, b]| {
        a.reported.contains(&Reported::Online(to_b, b.key))
            && b.reported.contains(&Reported::Online(to_a, a.key))
    });
    assert_eq!(
        a.reported,
        [Reported::Connected(at_a), Reported::Opened(to_b, b.key), Reported::Online(to_b, b.key)]
    );
    assert_eq!(
        b.reported,
        [Reported::Connected(at_b), Reported::Opened(to_a, a.key), Reported::Online(to_a, a.key)]
    );
}

#[test]
fn packets_that_are_sent_right_after_connect_arrive() {
    let relay = honest();
    let (mut a, mut b) = (Peer::new(), Peer::new());
    b.connect(&relay);
    let at_a = a.begin(&relay);
    a.client.send_oob(at_a, b.key, b"one").unwrap();
    a.client.send_to(at_a, b.key, b"two").unwrap();
    a.client.send_onion_request(at_a, &[7; 178]).unwrap();
    a.client.send_forward_request(at_a, Destination::Udp("127.0.0.1:9".parse().unwrap()), b"x").unwrap();
    until([&mut a, &mut b], "both packets", |[_, b]| b.reported.len() == 3);
    let datas: Vec<_> = b.reported[1..].iter().map(support::payload).collect();
    assert_eq!(datas, [b"one", b"two"]);
    let status = a.client.connection(at_a).unwrap();
    assert_eq!((status.queued, status.traffic.packets_out), (0, 5), "the ping and these four packets");
}

/// A main loop that sleeps for `next_timeout` must not spin while packets wait for the handshake.
#[test]
fn packets_that_wait_for_the_handshake_do_not_make_next_timeout_zero() {
    let relay = relay(Conduct::Mute);
    let mut peer = Peer::new();
    let id = peer.begin(&relay);
    let open_and_send = |peer: &mut Peer, friend: u8| {
        peer.client.open_route(id, [friend; 32].into()).unwrap();
        peer.client.send_oob(id, any_key(), b"waits").unwrap();
        assert!(peer.client.next_timeout().unwrap() > SHORT, "{:?}", peer.client.next_timeout());
    };
    open_and_send(&mut peer, 1);
    peer.until("the hello", |peer| peer.client.connection(id).unwrap().traffic.bytes_out == 128);
    assert_eq!(peer.client.stage(id), Some(Stage::Handshaking));
    open_and_send(&mut peer, 2);
    peer.client.flush();
    assert!(peer.client.next_timeout().unwrap() > SHORT);
    peer.poll(SHORT);
    assert_eq!(peer.client.connection(id).unwrap().traffic.bytes_out, 128);
    assert!(!peer.client.all_drained());
}

#[test]
fn a_queue_that_was_filled_before_connecting_is_reported_writable_once_it_has_room() {
    let relay = honest();
    let mut peer = Peer::new();
    let id = peer.begin(&relay);
    while peer.client.send_oob(id, any_key(), &[1; 1024]).is_ok() {}
    peer.until("room", |peer| peer.reported.contains(&Reported::Writable(id)));
    peer.until("connected", |peer| peer.reported.contains(&Reported::Connected(id)));
    peer.until("all is sent", |peer| peer.client.all_drained());
    assert_eq!(peer.client.send_oob(id, any_key(), &[1; 1024]), Ok(()));
}

#[test]
fn a_route_that_is_closed_before_connected_causes_no_event() {
    let relay = honest();
    let (mut a, mut b) = (Peer::new(), Peer::new());
    let at_b = b.connect(&relay);
    let to_a = b.client.open_route(at_b, a.key).unwrap();
    let at_a = a.begin(&relay);
    let to_b = a.client.open_route(at_a, b.key).unwrap();
    assert_eq!(a.client.close_route(to_b), Ok(0));
    until([&mut a, &mut b], "the route is removed", |[a, _]| {
        a.reported.contains(&Reported::Connected(at_a)) && a.client.connection(at_a).unwrap().routes == 0
    });
    assert_eq!(a.reported, [Reported::Connected(at_a)]);
    assert!(!b.reported.contains(&Reported::Disconnected(at_b, DisconnectReason::ClosedByCaller)));
    assert_ne!(b.client.route(to_a).unwrap().state, RouteState::Online);
}

#[test]
fn a_connection_that_ends_during_the_handshake_sends_nothing_more() {
    let mut peer = Peer::new();
    let (mut relay, id) = ScriptedRelay::greet(&mut peer);
    peer.client.open_route(id, any_key()).unwrap();
    peer.client.send_oob(id, any_key(), b"never").unwrap();
    assert!(peer.client.disconnect(id));
    peer.poll(Duration::ZERO);
    assert_eq!(peer.ends(id), [DisconnectReason::ClosedByCaller]);
    relay.read_to_end();
    assert_eq!(relay.received, [b""; 0]);
}
