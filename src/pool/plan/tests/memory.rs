//! What is remembered over a restart, and the score.

use std::time::Duration;

use super::World;
use super::world::Conduct;
use crate::config::{Proxy, Relay};
use crate::key::SecretKey;
use crate::pool::error::AddRelayError;
use crate::pool::id::RelayId;
use crate::pool::origin::Origin;

const SECOND: Duration = Duration::from_secs(1);

fn keys(world: &World, ids: impl IntoIterator<Item = RelayId>) -> Vec<crate::key::PublicKey> {
    ids.into_iter().map(|id| world.plan.relay(id).unwrap().relay.public_key()).collect()
}

#[test]
fn after_a_restart_the_relays_that_were_good_are_tried_first() {
    let mut world = World::new(1);
    let relays = world.relays(40);
    relays[3..].iter().for_each(|relay| world.set(*relay, Conduct::Refuses));
    let peer = world.peer(&relays[..5]);
    let key = world.plan.peer(peer).unwrap().key;
    world.pass(3600 * SECOND);
    let good = keys(&world, relays[..3].iter().copied());
    let remembered = world.plan.remember(world.now);
    assert_eq!(remembered.relays.len(), 40);
    assert!(remembered.relays[..3].iter().all(|entry| good.contains(&entry.relay.public_key())));

    let mut world = World::new(2);
    let peer = world.plan.add_peer(key, 0);
    assert_eq!(world.plan.recall(world.now, &remembered), []);
    assert_eq!(world.plan.peer(peer).unwrap().ties.len(), 5);
    world.pass(SECOND);
    let tried = keys(&world, world.attempts.iter().map(|(_, relay)| *relay));
    assert!(tried.len() == 3 && good.iter().all(|key| tried.contains(key)), "{tried:?}");
}

#[test]
fn what_a_file_says_of_a_peers_relays_has_the_peers_bounds() {
    let mut world = World::new(3);
    let peer = world.peer(&[]);
    let key = world.plan.peer(peer).unwrap().key;
    let origin = Origin::Peer { peer, is_local: false };
    let relay = Relay::new("8.8.8.8:443", world.key());
    world.plan.add_relay(relay, origin).unwrap();
    let mut remembered = world.plan.remember(world.now);
    let entry = remembered.relays[0].clone();
    // Somebody has written more into the file.
    for _ in 0..30 {
        let relay = Relay::new("9.9.9.9:443", world.key());
        remembered.relays.push(crate::pool::RememberedRelay { relay, ..entry.clone() });
    }
    let local = Relay::new("10.0.0.1:443", world.key());
    remembered.relays.insert(0, crate::pool::RememberedRelay { relay: local, ..entry.clone() });

    let mut world = World::new(4);
    let errors = |refused: Vec<(_, AddRelayError)>| -> Vec<AddRelayError> {
        refused.into_iter().map(|(_, error)| error).collect()
    };
    let refused = errors(world.plan.recall(world.now, &remembered));
    assert_eq!(refused, [const { AddRelayError::UnknownPeer }; 32]);
    world.plan.add_peer(key, 0);
    let refused = errors(world.plan.recall(world.now, &remembered));
    assert!(matches!(refused[0], AddRelayError::LocalAddress(_)));
    assert_eq!(refused[1..], [const { AddRelayError::TooMany }; 7]);
    assert_eq!(world.plan.relays().count(), 24);
}

#[test]
fn relays_with_an_identity_or_a_proxy_of_their_own_are_not_remembered() {
    let mut world = World::new(5);
    let [plain, named, direct] = [(); 3].map(|()| world.key());
    let relay = |key| Relay::new("8.8.8.8:443", key);
    let named = relay(named).identity(SecretKey::from([1; 32]));
    for relay in [relay(plain), named, relay(direct).direct()] {
        world.plan.add_relay(relay, Origin::User).unwrap();
    }
    let remembered = world.plan.remember(world.now);
    assert_eq!(remembered.relays.len(), 1);
    assert_eq!(remembered.relays[0].relay.public_key(), plain);
}

#[test]
fn a_score_is_the_product_of_its_factors() {
    let mut world = World::new(6);
    let close =
        |score: f64, expected: f64| assert!((score / expected - 1.0).abs() < 0.01, "{score}, {expected}");
    let own = world.relay(Origin::User);
    let listed = world.relay(Origin::List);
    let score = |world: &World, id| world.plan.relay(id).unwrap().score();
    // Not connected yet: half for the round trip, half for the time.
    close(score(&world, own), 0.25);
    close(score(&world, listed), 0.25 / 4.0);
    world.round_trips.insert(own, Duration::from_millis(50));
    world.pass(7200 * SECOND);
    close(score(&world, own), 0.8);
    let peers = [(); 2].map(|()| world.peer(&[own]));
    world.pass(10 * SECOND);
    world.report(peers[0], false);
    close(score(&world, own), 0.8); // one peer alone may want just that
    world.report(peers[1], false);
    close(score(&world, own), 0.8 * 1e-6 / 2.0);
    world.report(peers[0], true);
    close(score(&world, own), 0.8);
}

#[test]
fn one_that_loses_data_of_several_comes_after_all_that_only_fail() {
    let mut world = World::new(7);
    let relays = world.relays(4);
    let peers = [(); 2].map(|()| world.peer(&relays[..1]));
    world.set(relays[1], Conduct::Refuses);
    world.plan.set_onion_relays(4);
    world.pass(24 * 3600 * SECOND);
    peers.iter().for_each(|peer| assert!(world.report(*peer, false)));
    let failing = world.plan.relay(relays[1]).unwrap();
    let losing = world.plan.relay(relays[0]).unwrap();
    assert!(failing.failures.blamed() > 100 && losing.score() < failing.score());
}

#[test]
fn what_a_broken_file_says_is_bounded() {
    let mut world = World::new(8);
    let relays = world.relays(3);
    let peer = world.peer(&relays);
    let mut remembered = world.plan.remember(world.now);
    for entry in &mut remembered.relays {
        (entry.round_trip, entry.up_time) = (Some(Duration::MAX), Duration::MAX);
        entry.failures = u32::MAX;
    }
    assert_eq!(world.plan.recall(world.now, &remembered), []);
    for entry in world.plan.remember(world.now).relays {
        assert_eq!((entry.round_trip, entry.failures), (Some(60 * SECOND), 1_000));
        assert_eq!(entry.up_time, 10 * 365 * 24 * 3_600 * SECOND);
    }
    // What happens next is added to it.
    world.pass(10 * SECOND);
    relays.iter().for_each(|relay| world.set(*relay, Conduct::Refuses));
    world.pass(3600 * SECOND);
    assert_eq!(world.plan.peer(peer).unwrap().ties.len(), 3);
}

#[test]
fn recalling_again_and_again_does_not_add_up() {
    let mut world = World::new(9);
    world.relays(3);
    world.pass(1000 * SECOND);
    let remembered = world.plan.remember(world.now);
    (0..3).for_each(|_| assert_eq!(world.plan.recall(world.now, &remembered), []));
    let again = world.plan.remember(world.now);
    assert!(again.relays.iter().all(|entry| entry.up_time <= 2000 * SECOND));
}

#[test]
fn recalling_keeps_the_proxy_and_token_that_were_given_since_the_start() {
    let mut world = World::new(10);
    let keys = [(); 2].map(|()| world.key());
    for key in keys {
        let relay = Relay::new("8.8.8.8:443", key).address("8.8.4.4:443");
        world.plan.add_relay(relay, Origin::User).unwrap();
    }
    let remembered = world.plan.remember(world.now);
    let mut world = World::new(11);
    let friend = world.peer(&[]);
    let proxy = "socks5://127.0.0.1:9050".parse::<Proxy>().unwrap();
    let given = Relay::new("9.9.9.9:443", keys[0]).token(7).proxy(proxy).identity(SecretKey::from([1; 32]));
    let own = world.plan.add_relay(given.clone(), Origin::User).unwrap();
    let origin = Origin::Peer { peer: friend, is_local: false };
    let told = world.plan.add_relay(Relay::new("7.7.7.7:443", keys[1]).token(9), origin).unwrap();
    assert_eq!(world.plan.recall(world.now, &remembered), []);
    // Only the addresses of before are new.
    let known = world.plan.relay(own).unwrap();
    assert_eq!(known.relay, given.address("8.8.8.8:443").address("8.8.4.4:443"));
    let known = world.plan.relay(told).unwrap();
    assert_eq!(known.origin, Origin::User);
    assert_eq!(known.relay, Relay::new("8.8.8.8:443", keys[1]).address("8.8.4.4:443").token(9));
}

#[test]
fn a_relay_whose_namer_was_removed_is_remembered_for_those_who_use_it() {
    let mut world = World::new(12);
    let namer = world.peer(&[]);
    let relay = world.relay(Origin::Peer { peer: namer, is_local: false });
    let user = world.peer(&[relay]);
    let user = world.plan.peer(user).unwrap().key;
    let of_namer = world.plan.remember(world.now);
    world.plan.remove_peer(world.now, namer);
    let of_user = world.plan.remember(world.now);
    // The namer may also be removed before the next start.
    for remembered in [of_namer, of_user] {
        let mut world = World::new(13);
        let user = world.plan.add_peer(user, 0);
        assert_eq!(world.plan.recall(world.now, &remembered), []);
        assert_eq!(world.plan.peer(user).unwrap().ties.len(), 1);
        assert_eq!(world.plan.peer(user).unwrap().named.len(), 1);
    }
}

#[test]
fn what_is_remembered_of_a_peer_says_nothing_about_a_relay_of_the_users() {
    let mut world = World::new(14);
    let peer = world.peer(&[]);
    let relay = world.relay(Origin::Peer { peer, is_local: true });
    let key = world.plan.relay(relay).unwrap().relay.public_key();
    let peer = world.plan.peer(peer).unwrap().key;
    let remembered = world.plan.remember(world.now);
    let mut world = World::new(15);
    world.plan.add_peer(peer, 0);
    let own = Relay::new("192.168.1.1:443", key);
    let id = world.plan.add_relay(own.clone(), Origin::User).unwrap();
    assert_eq!(world.plan.recall(world.now, &remembered), []);
    assert_eq!(world.plan.relay(id).unwrap().relay, own);
}

#[test]
fn what_was_just_remembered_adds_no_time_to_a_relay_that_is_still_connected() {
    let mut world = World::new(9);
    let relay = world.relays(1)[0];
    world.pass(600 * SECOND);
    for _ in 0..10 {
        let remembered = world.plan.remember(world.now);
        assert_eq!(world.plan.recall(world.now, &remembered), []);
        world.pass(SECOND);
    }
    assert!(world.plan.relay(relay).unwrap().up_time(world.now) <= world.now - world.start);
}
