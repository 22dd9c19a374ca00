//! Connections that have ended before a poll reports it: events wait while a poll has no room for them.

use std::time::{Duration, Instant};

use tox_test_relay::Relay as TestRelay;

use crate::config::{Config, Relay};
use crate::key::{PublicKey, SecretKey};
use crate::pool::error::PoolSendError;
use crate::pool::event::{MoveCause, PoolEvent};
use crate::pool::events::PoolEvents;
use crate::pool::id::{PeerId, RelayId};
use crate::pool::interface::Pool;
use crate::pool::origin::Origin;

struct Node {
    pool: Pool,
    friend: PeerId,
    events: PoolEvents,
}

/// Two nodes that are online for each other on all these relays.
fn friends(relays: &[TestRelay]) -> [Node; 2] {
    let secrets = [SecretKey::generate(), SecretKey::generate()];
    let keys = [secrets[1].public_key(), secrets[0].public_key()];
    let mut nodes = secrets.map(|secret| Pool::new(Config::new(secret)).unwrap()).map(|mut pool| {
        let friend = pool.add_peer(keys[usize::from(pool.public_key() == keys[0])]);
        for relay in relays {
            let relay = Relay::new(relay.addr(), PublicKey::from(relay.public_key()));
            let relay = pool.add_relay(relay, Origin::User).unwrap();
            pool.tie(friend, relay).unwrap();
        }
        Node { pool, friend, events: PoolEvents::with_capacity(64) }
    });
    let is_online = |node: &Node| node.pool.peer(node.friend).unwrap().online.len() == relays.len();
    until(|| {
        nodes.iter_mut().for_each(poll);
        nodes.iter().all(is_online)
    });
    nodes
}

fn poll(node: &mut Node) {
    node.pool.poll(&mut node.events, Some(Duration::from_millis(1))).unwrap();
}

fn until(mut is_done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_done() {
        assert!(Instant::now() < end, "not in time");
    }
}

/// Ends the connection that carries the data, and the pool knows nothing about it yet.
fn end(node: &mut Node) {
    let used = node.pool.peer(node.friend).unwrap().used.unwrap();
    let connection = node.pool.relay(used).unwrap().connection.unwrap();
    assert!(node.pool.client.disconnect(connection));
}

#[test]
fn data_go_by_another_relay_at_once_and_in_order_when_theirs_has_ended() {
    let relays = [(); 2].map(|()| TestRelay::start(Default::default()).unwrap());
    let [mut alice, mut bob] = friends(&relays);
    let used = alice.pool.peer(alice.friend).unwrap().used.unwrap();
    end(&mut alice);
    for number in 0..100_u8 {
        alice.pool.send(alice.friend, &[number; 100]).unwrap();
    }
    let mut causes = Vec::new();
    let mut received = Vec::new();
    until(|| {
        [&mut alice, &mut bob].into_iter().for_each(poll);
        for event in &alice.events {
            match event {
                PoolEvent::PeerMoved { from, relay, cause, .. } => causes.push((from, relay != used, cause)),
                PoolEvent::PeerOnline { .. } | PoolEvent::PeerOffline { .. } => panic!("{event:?}"),
                _ => {}
            }
        }
        received.extend(bob.events.iter().filter_map(|event| match event {
            PoolEvent::Data { data, .. } => Some(data[0]),
            _ => None,
        }));
        received.len() == 100
    });
    assert!(received.into_iter().eq(0..100));
    assert_eq!(causes, [(used, true, MoveCause::Offline)]);
}

#[test]
fn a_peer_is_offline_at_once_when_its_only_relay_has_ended() {
    let relays = [TestRelay::start(Default::default()).unwrap()];
    let [mut alice, _bob] = friends(&relays);
    end(&mut alice);
    assert_eq!(alice.pool.send(alice.friend, b"hello"), Err(PoolSendError::Unreachable));
    assert_eq!(alice.pool.peer(alice.friend).unwrap().used, None);
    let mut offline = 0;
    until(|| {
        poll(&mut alice);
        let events = alice.events.iter();
        offline += events.filter(|event| matches!(event, PoolEvent::PeerOffline { .. })).count();
        alice.events.iter().any(|event| matches!(event, PoolEvent::RelayDown { .. }))
    });
    assert_eq!(offline, 1);
}

#[test]
fn a_relay_that_has_ended_unnoticed_has_refused_no_route() {
    let relays = [TestRelay::start(Default::default()).unwrap()];
    let [mut alice, _bob] = friends(&relays);
    let relay = alice.pool.peer(alice.friend).unwrap().used.unwrap();
    end(&mut alice);
    let other = alice.pool.add_peer(SecretKey::generate().public_key());
    alice.pool.tie(other, relay).unwrap();
    until(|| {
        poll(&mut alice);
        let refused = alice.events.iter().any(|event| matches!(event, PoolEvent::RouteRefused { .. }));
        assert!(!refused);
        alice.events.iter().any(|event| matches!(event, PoolEvent::RelayDown { .. }))
    });
}

/// Then it is asked, if it does not answer.
#[test]
fn a_relay_is_watched_whatever_was_sent_by_it() {
    let relays = [TestRelay::start(Default::default()).unwrap()];
    let [mut alice, _bob] = friends(&relays);
    let relay = alice.pool.peer(alice.friend).unwrap().used.unwrap();
    let sends: [fn(&mut Pool, RelayId) -> bool; 3] = [
        |pool, _| pool.send_onion_request(&[7; 1000]).is_ok(),
        |pool, relay| pool.send_onion_request_by(relay, &[7; 1000]).is_ok(),
        |pool, relay| pool.send_oob(relay, PublicKey::from([9; 32]), b"hello").is_ok(),
    ];
    for send in sends {
        until(|| {
            poll(&mut alice);
            !alice.pool.plan.relay(relay).unwrap().has_sent
        });
        assert!(send(&mut alice.pool, relay));
        assert!(alice.pool.plan.relay(relay).unwrap().has_sent);
        alice.pool.plan.relays.get_mut(relay.into()).unwrap().handle_heard();
    }
}

#[test]
fn removing_a_peer_closes_its_route_at_once_and_leaves_the_review_to_the_next_poll() {
    let relays = [TestRelay::start(Default::default()).unwrap()];
    let [mut alice, _bob] = friends(&relays);
    let relay = alice.pool.peer(alice.friend).unwrap().used.unwrap();
    let connection = alice.pool.relay(relay).unwrap().connection.unwrap();
    let routes = |pool: &Pool| pool.client.routes(connection).count();
    assert_eq!(routes(&alice.pool), 1);
    assert!(alice.pool.remove_peer(alice.friend));
    assert_eq!(routes(&alice.pool), 0, "the route is closed at once");
    assert!(alice.pool.plan.is_outdated, "the review is left to the next poll");
    assert_eq!(alice.pool.next_timeout(), Some(Duration::ZERO));
    poll(&mut alice);
    assert!(!alice.pool.plan.is_outdated);
}
