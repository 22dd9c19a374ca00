//! Connections on which only pings are exchanged.

use std::time::{Duration, Instant};

use interop::Bootstrapd;
use tox_relay_client::SecretKey;

use crate::c_end::CEnd;
use crate::driver::{AT_ONCE, LIMIT, ReceivedEvent, RustEnd, pair, relay_of};

/// The relay and our client send pings after 30 s and after 60 s. Without a pong, the connection would end 10 s later.
const IDLE: Duration = Duration::from_secs(75);

/// The longest time until the relay notices a lost peer: the interval of its pings, and the time for the pong.
const PING_TIME: Duration = Duration::from_secs(30 + 10);

#[test]
fn pings_of_both_sides_keep_an_idle_connection_alive() {
    let relay = Bootstrapd::start().unwrap();
    let mut ours = RustEnd::new(&relay);
    // The peer is another identity of the same client, so that one poll waits for both.
    let identity = SecretKey::generate();
    let (our_key, peer_key) = (ours.client.public_key(), identity.public_key());
    let peer = ours.client.connect(relay_of(&relay).identity(identity)).unwrap();
    assert_eq!(ours.next(), ReceivedEvent::Connected(peer));
    let to_peer = ours.open_route(peer_key);
    let back = ours.client.open_route(peer, our_key).unwrap();
    let mut events = [ours.next(), ours.next(), ours.next()];
    events.sort_by_key(|event| matches!(event, ReceivedEvent::Online(route) if *route == to_peer));
    assert_eq!(
        events,
        [ReceivedEvent::Opened(back), ReceivedEvent::Online(back), ReceivedEvent::Online(to_peer)]
    );

    let before = [ours.relay, peer].map(|relay| ours.client.connection(relay).unwrap());
    let start = Instant::now();
    while let Some(left) = IDLE.checked_sub(start.elapsed()) {
        assert_eq!(ours.next_within(left), None);
    }

    for before in before {
        let now = ours.client.connections().filter_map(|relay| ours.client.connection(relay));
        let now = now.into_iter().find(|now| now.identity == before.identity).unwrap();
        // Two pings and two pongs in each direction, and nothing else.
        assert_eq!(now.traffic.packets_in - before.traffic.packets_in, 4, "{now:?}");
        assert_eq!(now.traffic.packets_out - before.traffic.packets_out, 4, "{now:?}");
        assert!(now.round_trips.latest.is_some_and(|time| !time.is_zero() && time < AT_ONCE), "{now:?}");
        assert_ne!(now.round_trips.latest, before.round_trips.latest, "it must be that of the last ping");
    }
    ours.client.send_data(to_peer, b"still there?").unwrap();
    assert_eq!(ours.next(), ReceivedEvent::Data(back, b"still there?".to_vec()));
}

/// The relay does not check whether the peer has closed the connection.
#[test]
fn a_peer_that_has_vanished_is_offline_when_it_answers_no_ping() {
    let relay = Bootstrapd::start().unwrap();
    let (mut ours, peer) = pair::<RustEnd, CEnd>(&relay);
    let route = ours.client.find_route(ours.relay, &peer.client.public_key().into()).unwrap();
    drop(peer);
    let start = Instant::now();
    let event = loop {
        let left = (PING_TIME + LIMIT).checked_sub(start.elapsed()).expect("an event in time");
        if let Some(event) = ours.next_within(left) {
            break event;
        }
    };
    assert_eq!(event, ReceivedEvent::Offline(route));
}
