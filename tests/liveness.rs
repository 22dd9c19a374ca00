//! Whether relays still answer: pings on demand, a network that has changed, and settings that are changed meanwhile.

mod support;

use std::time::{Duration, Instant};

use support::scripted_proxy::{ScriptedProxy, Then};
use support::scripted_relay::ScriptedRelay;
use support::{AT_ONCE, Conduct, OnlinePair, Peer, SHORT, address, any_key, honest, relay};
use tox_relay_client::DisconnectReason::{NoPong, TimedOut};
use tox_relay_client::{Proxy, SendError, SettingError, Stage, TrafficByKind};
use tox_test_relay::kind;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn pongs(peer: &Peer, id: tox_relay_client::ConnectionId) -> u32 {
    peer.client.connection(id).unwrap().round_trips.pongs
}

#[test]
fn a_requested_ping_is_sent_at_once_and_its_round_trip_is_measured() {
    let relay = honest();
    let mut peer = Peer::new();
    let id = peer.connect(&relay);
    let before = peer.client.connection(id).unwrap();
    assert_eq!(before.round_trips.pongs, 1);
    assert!(peer.client.ping(id).unwrap());
    assert_eq!(peer.client.has_drained(id), Some(true), "sent without a poll");
    assert!(!peer.client.ping(id).unwrap(), "one is not answered yet");
    peer.until("the pong", |peer| pongs(peer, id) == 2);
    let status = peer.client.connection(id).unwrap();
    assert_eq!(status.round_trips.pings, 2);
    assert!(status.round_trips.smallest <= status.round_trips.latest);
    assert!(status.started <= status.connected_at.unwrap());
    assert!(status.connected_at <= status.last_heard);
    assert!(before.last_heard < status.last_heard);
    assert!(peer.client.ping(id).unwrap());
    peer.client.disconnect(id);
    assert_eq!(peer.client.ping(id), Err(SendError::UnknownConnection));
}

#[test]
fn a_dead_line_ends_within_seconds_of_a_network_change_and_a_good_one_stays() {
    // The relay answers no ping after the first one, as if the line were cut.
    let mut peer = Peer::with(|config| config.pong_timeout(4 * SHORT).ping_interval(DAY));
    let (mut dead, dead_id) = ScriptedRelay::connect(&mut peer);
    let relay = honest();
    let good = peer.connect(&relay);
    let start = Instant::now();
    peer.client.network_changed();
    assert!(peer.client.all_drained(), "both pings are sent");
    assert_eq!(peer.end(dead_id), NoPong(Stage::Connected));
    assert!((4 * SHORT..AT_ONCE).contains(&start.elapsed()));
    assert_eq!(dead.receive(&mut peer)[0], kind::PING);
    peer.until("the good one answers", |peer| pongs(peer, good) == 2);
    assert_eq!(peer.client.stage(good), Some(Stage::Connected));
}

#[test]
fn a_pong_for_a_ping_before_the_change_does_not_count() {
    let mut peer = Peer::with(|config| config.pong_timeout(4 * SHORT).ping_interval(DAY));
    let (mut relay, id) = ScriptedRelay::connect(&mut peer);
    assert!(peer.client.ping(id).unwrap());
    let old = relay.receive(&mut peer);
    peer.client.network_changed();
    let new = relay.receive(&mut peer);
    assert_ne!(old, new);
    relay.send(&[&[kind::PONG], &old[1..]].concat());
    assert_eq!(peer.end(id), NoPong(Stage::Connected));
}

/// As on a phone that sleeps for longer than the timeout, while the pong is in the socket.
#[test]
fn a_pong_that_arrived_while_the_program_slept_is_in_time() {
    let mut peer = Peer::with(|config| config.pong_timeout(SHORT).ping_interval(DAY));
    let (mut relay, id) = ScriptedRelay::connect(&mut peer);
    peer.client.network_changed();
    let mut ping = None;
    while ping.is_none() {
        relay.read();
        ping = relay.received.pop_front();
    }
    relay.send(&[&[kind::PONG], &ping.unwrap()[1..]].concat());
    std::thread::park_timeout(2 * SHORT); // the program does not poll
    peer.poll(Duration::ZERO);
    peer.until("the pong", |peer| pongs(peer, id) == 2);
    assert_eq!(peer.ends(id), []);
}

#[test]
fn a_connection_being_opened_when_the_network_changes_has_the_same_timeout() {
    let relay = relay(Conduct::Mute);
    let mut peer = Peer::with(|config| config.pong_timeout(SHORT));
    let id = peer.begin(&relay);
    peer.client.network_changed();
    let end = peer.end(id);
    assert!(matches!(end, TimedOut { stage: Stage::Connecting | Stage::Handshaking, .. }), "{end}");
}

#[test]
fn intervals_change_while_connected() {
    let relay = honest();
    let mut peer = Peer::with(|config| config.ping_interval(DAY));
    let id = peer.connect(&relay);
    peer.client.set_ping_interval(Duration::from_millis(1)).unwrap();
    peer.until("pings", |peer| pongs(peer, id) > 5);
    peer.client.set_ping_interval(DAY).unwrap();
    peer.until("the last pong", |peer| {
        let trips = peer.client.connection(id).unwrap().round_trips;
        trips.pings == trips.pongs
    });
    let before = pongs(&peer, id);
    peer.poll(SHORT);
    assert_eq!(pongs(&peer, id), before, "the next ping is due in a day");
    // Later connections have the new settings, too.
    let silent = support::relay(Conduct::NoPong);
    peer.client.set_pong_timeout(SHORT).unwrap();
    let id = peer.begin(&silent);
    assert!(matches!(peer.end(id), NoPong(_)));
    let mute = support::relay(Conduct::Mute);
    peer.client.set_connect_timeout(SHORT).unwrap();
    let id = peer.begin(&mute);
    assert!(matches!(peer.end(id), TimedOut { .. }));
}

#[test]
fn zero_durations_are_refused_and_change_nothing() {
    let mut peer = Peer::new();
    let zero = Duration::ZERO;
    assert_eq!(peer.client.set_ping_interval(zero), Err(SettingError::PingInterval));
    assert_eq!(peer.client.set_pong_timeout(zero), Err(SettingError::PongTimeout));
    assert_eq!(peer.client.set_connect_timeout(zero), Err(SettingError::ConnectTimeout));
    assert_eq!(peer.client.set_connect_timeout(Duration::MAX), Ok(()));
    peer.connect(&honest());
}

#[test]
fn a_changed_proxy_is_used_by_later_connections() {
    let relay = honest();
    let mut peer = Peer::new();
    let direct = peer.connect(&relay);
    let proxy = ScriptedProxy::start(vec![], Then::Close);
    let url: Proxy = format!("socks5://{}", proxy.address).parse().unwrap();
    peer.client.set_proxy(Some(url));
    let other = honest();
    let proxied = peer.client.connect(address(&other)).unwrap();
    assert_eq!(peer.client.connection(proxied).unwrap().proxy, Some(proxy.address));
    peer.end(proxied);
    assert_eq!(peer.client.stage(direct), Some(Stage::Connected), "the existing connection stays");
    peer.client.set_proxy(None);
    peer.connect(&other);
}

#[test]
fn a_clients_counters_by_kind_include_ended_connections() {
    let relay = honest();
    let mut pair = OnlinePair::on(&relay);
    pair.a.client.send_data(pair.to_b, &[1; 100]).unwrap();
    pair.a.client.send_oob(pair.at_a, pair.b.key, &[2; 50]).unwrap();
    pair.until("both packets", |pair| pair.b.reported.len() == 2);
    let TrafficByKind { all, data, oob, routing, pings, .. } = pair.a.client.traffic();
    assert_eq!(all, pair.a.client.connection(pair.at_a).unwrap().traffic);
    assert_eq!((data.packets_out, data.bytes_out, data.packets_in), (1, 18 + 101, 0));
    assert_eq!((oob.packets_out, oob.bytes_out), (1, 18 + 1 + 32 + 50));
    assert_eq!((routing.packets_out, routing.packets_in), (1, 1));
    assert_eq!((pings.packets_out, pings.packets_in), (1, 1));
    let received = pair.b.client.traffic();
    assert_eq!((received.data.bytes_in, received.oob.bytes_in), (data.bytes_out, oob.bytes_out));
    pair.a.client.disconnect(pair.at_a);
    pair.a.connect(&honest());
    let after = pair.a.client.traffic();
    assert_eq!((after.data, after.oob), (data, oob));
    assert_eq!(after.pings.packets_out, 2, "one for each connection");
}

#[test]
fn has_drained_and_all_drained_return_whether_everything_is_sent() {
    let relay = honest();
    let mut peer = Peer::new();
    assert!(peer.client.all_drained(), "there are no connections");
    let id = peer.connect(&relay);
    assert!(peer.client.all_drained());
    peer.client.open_route(id, any_key()).unwrap();
    assert_eq!((peer.client.queued(id), peer.client.has_drained(id)), (Some(0), Some(false)));
    peer.client.send_oob(id, any_key(), b"x").unwrap();
    assert_eq!(peer.client.queued(id), Some(2 + 1 + 32 + 1));
    assert!(!peer.client.all_drained());
    peer.client.flush();
    assert!(peer.client.all_drained());
    peer.client.disconnect(id);
    assert_eq!(
        (peer.client.queued(id), peer.client.has_drained(id), peer.client.stage(id)),
        (None, None, None)
    );
}
