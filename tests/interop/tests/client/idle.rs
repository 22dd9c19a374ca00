//! Connections on which nothing happens but pings.

use std::time::{Duration, Instant};

use interop::Bootstrapd;
use tox_relay_client::SecretKey;

use crate::c_end::CEnd;
use crate::driver::{AT_ONCE, LIMIT, RustEnd, Told, pair, relay_of};

/// The relay pings after 30 s and after 60 s, and so do we. Without a pong, the connection would end 10 s after a ping.
const IDLE: Duration = Duration::from_secs(75);

/// The time from one ping to the next, and the time for its pong.
const PING: Duration = Duration::from_secs(30 + 10);

#[test]
fn an_idle_connection_stays_up_by_the_pings_of_both_sides() {
    let relay = Bootstrapd::start().unwrap();
    let mut ours = RustEnd::new(&relay);
    // The peer is another identity of the same client, so that one poll waits for both.
    let identity = SecretKey::generate();
    let (our_key, peer_key) = (ours.client.public_key(), identity.public_key());
    let peer = ours.client.connect(relay_of(&relay).identity(identity)).unwrap();
    assert_eq!(ours.next(), Told::Connected(peer));
    let to_peer = ours.open_route(peer_key);
    let back = ours.client.open_route(peer, our_key).unwrap();
    let mut told = [ours.next(), ours.next(), ours.next()];
    told.sort_by_key(|told| matches!(told, Told::Online(route) if *route == to_peer));
    assert_eq!(told, [Told::Opened(back), Told::Online(back), Told::Online(to_peer)]);

    let before = [ours.relay, peer].map(|relay| ours.client.relay(relay).unwrap());
    let start = Instant::now();
    while let Some(left) = IDLE.checked_sub(start.elapsed()) {
        assert_eq!(ours.next_within(left), None);
    }

    for before in before {
        let now = ours.client.relays().filter_map(|relay| ours.client.relay(relay));
        let now = now.into_iter().find(|now| now.identity == before.identity).unwrap();
        // Two pings and two pongs in each direction, and nothing else.
        assert_eq!(now.traffic.packets_in - before.traffic.packets_in, 4, "{now:?}");
        assert_eq!(now.traffic.packets_out - before.traffic.packets_out, 4, "{now:?}");
        assert!(now.round_trips.latest.is_some_and(|time| !time.is_zero() && time < AT_ONCE), "{now:?}");
        assert_ne!(now.round_trips.latest, before.round_trips.latest, "it is that of the last ping");
    }
    ours.client.send_data(to_peer, b"still there?").unwrap();
    assert_eq!(ours.next(), Told::Data(back, b"still there?".to_vec()));
}

/// The relay doesn't check whether its socket was closed.
#[test]
fn a_peer_that_is_gone_without_a_word_is_offline_when_its_ping_has_no_answer() {
    let relay = Bootstrapd::start().unwrap();
    let (mut ours, peer) = pair::<RustEnd, CEnd>(&relay);
    let route = ours.client.find_route(ours.relay, &peer.client.public_key().into()).unwrap();
    drop(peer);
    let start = Instant::now();
    let told = loop {
        let left = (PING + LIMIT).checked_sub(start.elapsed()).expect("an event in time");
        if let Some(told) = ours.next_within(left) {
            break told;
        }
    };
    assert_eq!(told, Told::Offline(route));
}
