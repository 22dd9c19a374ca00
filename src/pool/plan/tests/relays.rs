//! Which relays are connected.

use std::time::Duration;

use super::World;
use crate::config::Relay;
use crate::key::SecretKey;
use crate::pool::error::{AddRelayError, TieError};
use crate::pool::id::RelayId;
use crate::pool::origin::Origin;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn three_relays_are_connected_without_a_peer_and_nothing_changes_for_an_hour() {
    let mut world = World::new(1);
    world.relays(40);
    world.pass(3600 * SECOND);
    assert_eq!((world.connected().len(), world.attempts.len()), (3, 3));
}

#[test]
fn the_users_own_relays_come_first() {
    let mut world = World::new(1);
    world.relays(40);
    let own: Vec<RelayId> = (0..3).map(|_| world.relay(Origin::User)).collect();
    world.pass(SECOND);
    assert!(own.iter().all(|relay| world.connected().contains(relay)));
}

#[test]
fn old_and_fast_relays_of_a_peer_come_after_new_ones_of_a_list() {
    let mut world = World::new(16);
    let peer = world.peer(&[]);
    let old: Vec<RelayId> = (0..3).map(|_| world.relay(Origin::Peer { peer, is_local: false })).collect();
    old.iter().for_each(|relay| _ = world.round_trips.insert(*relay, SECOND / 1_000));
    world.pass(4_000 * SECOND);
    assert_eq!(world.connected().len(), 3);
    let new = world.relays(3);
    old.iter().for_each(|relay| world.plan.end(*relay, world.now));
    world.pass(SECOND);
    assert_eq!(world.connected(), new.into_iter().collect());
}

#[test]
fn twenty_four_relays_of_a_peer_open_three_connections() {
    let mut world = World::new(2);
    let relays = world.relays(24);
    let peer = world.peer(&relays);
    world.pass(60 * SECOND);
    assert_eq!((world.connected().len(), world.attempts.len()), (3, 3));
    assert_eq!(world.plan.peer(peer).unwrap().routes(), 3);
}

#[test]
fn relays_that_many_peers_share_serve_all_of_them() {
    let mut world = World::new(3);
    let relays = world.relays(40);
    for n in 0..30 {
        let own = relays[3 + n];
        world.peer(&[relays[0], own, relays[1], relays[2]]);
    }
    world.pass(60 * SECOND);
    assert_eq!(world.connected(), relays[..3].iter().copied().collect());
}

#[test]
fn an_awake_peer_keeps_the_relay_that_it_shares_with_a_sleeping_one() {
    let mut world = World::new(4);
    let relays = world.relays(6);
    let both = world.peer(&relays[..4]);
    let sleeper = world.peer(&relays[2..]);
    world.pass(60 * SECOND);
    for _ in 0..10 {
        world.plan.set_awake(sleeper, false);
        world.plan.set_awake(sleeper, false);
        world.pass(60 * SECOND);
        assert!(relays[..4].iter().filter(|relay| world.connected().contains(relay)).count() >= 3);
        assert_eq!(world.connected().len(), 3);
        world.plan.set_awake(sleeper, true);
        world.pass(60 * SECOND);
        assert!(relays[2..].iter().filter(|relay| world.connected().contains(relay)).count() >= 3);
    }
    assert!(world.plan.peer(both).unwrap().used.is_some());
}

#[test]
fn a_surplus_relay_goes_after_ten_seconds_and_not_before() {
    let mut world = World::new(5);
    let relays = world.relays(6);
    let peers = [world.peer(&relays[..3]), world.peer(&relays[3..])];
    world.pass(60 * SECOND);
    assert_eq!(world.connected().len(), 6);
    world.plan.remove_peer(world.now, peers[1]);
    world.pass(9 * SECOND);
    assert_eq!(world.connected().len(), 6);
    world.pass(2 * SECOND);
    assert_eq!(world.connected(), relays[..3].iter().copied().collect());
}

/// A user's three relays, which are not needed any more, and three that a peer has named, which are worth less, with data
/// in their queues.
fn with_queues_at_the_worse(world: &mut World) -> [Vec<RelayId>; 2] {
    let friend = world.peer(&[]);
    let [user, named] = [Origin::User, Origin::Peer { peer: friend, is_local: false }]
        .map(|origin| (0..3).map(|_| world.relay(origin)).collect::<Vec<_>>());
    let peers = [world.peer(&user), world.peer(&named)];
    world.pass(60 * SECOND);
    assert_eq!(world.connected().len(), 6);
    named.iter().for_each(|relay| _ = world.queued.insert(*relay, 1));
    peers.iter().for_each(|peer| _ = world.plan.set_awake(*peer, false));
    [user, named]
}

#[test]
fn a_surplus_relay_goes_when_its_queue_is_sent_and_no_better_one_goes_instead() {
    let mut world = World::new(5);
    let [user, _] = with_queues_at_the_worse(&mut world);
    world.pass(30 * SECOND);
    assert_eq!(world.connected().len(), 6);
    world.queued.clear();
    world.pass(2 * SECOND);
    assert_eq!(world.connected(), user.into_iter().collect());
}

#[test]
fn while_a_surplus_relay_sends_its_queue_a_peer_that_leaves_a_better_one_does_not_end_that() {
    let mut world = World::new(5);
    world.plan.set_wanted(1);
    world.plan.set_onion_relays(4);
    let friend = world.peer(&[]);
    let user: Vec<RelayId> = (0..3).map(|_| world.relay(Origin::User)).collect();
    let named = world.relay(Origin::Peer { peer: friend, is_local: false });
    let peer = world.peer(&user);
    world.pass(60 * SECOND);
    world.queued.insert(named, 1);
    world.plan.set_onion_relays(0);
    world.pass(30 * SECOND);
    assert_eq!(world.connected().len(), 4);
    let used = world.plan.peer(peer).unwrap().used;
    let other = *user.iter().find(|relay| used != Some(**relay)).unwrap();
    world.leave(other, peer);
    assert!(world.connected().contains(&other));
}

#[test]
fn a_surplus_relay_that_reads_too_slowly_goes_after_a_minute() {
    let mut world = World::new(5);
    let [user, _] = with_queues_at_the_worse(&mut world);
    world.pass(90 * SECOND);
    assert_eq!(world.connected(), user.into_iter().collect());
}

#[test]
fn a_removed_peer_that_is_added_again_gets_its_routes() {
    let mut world = World::new(6);
    let relays = world.relays(3);
    let peer = world.peer(&relays);
    let key = world.plan.peer(peer).unwrap().key;
    world.pass(SECOND / 50); // before a relay has answered
    world.plan.remove_peer(world.now, peer);
    let again = world.plan.add_peer(key, 0);
    assert_ne!(peer, again);
    relays.iter().for_each(|relay| world.plan.tie(again, *relay).unwrap());
    world.pass(60 * SECOND);
    assert_eq!(world.plan.peer(again).unwrap().routes(), 3);
    assert!(!world.plan.remove_peer(world.now, peer));
}

#[test]
fn a_full_relay_is_passed_over() {
    let mut world = World::new(7);
    world.plan.set_wanted(1);
    let best: Vec<RelayId> = (0..3).map(|_| world.relay(Origin::User)).collect();
    let other = world.relay(Origin::List);
    (0..240).for_each(|_| _ = world.peer(&[best[0]]));
    world.pass(60 * SECOND);
    assert!(!world.connected().contains(&other), "nobody needs it");
    (0..60).for_each(|_| _ = world.peer(&[best[0], other]));
    world.pass(10 * SECOND);
    let routes = |relay| world.plan.relay(relay).unwrap().routes;
    assert_eq!((routes(best[0]), routes(other)), (240, 60));
    assert!(world.plan.peers().all(|(_, peer)| peer.used.is_some()));
}

#[test]
fn peers_for_which_a_relay_has_no_route_left_get_one_on_another() {
    let mut world = World::new(14);
    world.plan.set_wanted(1);
    let own = [(); 3].map(|()| world.relay(Origin::User));
    let other = world.relay(Origin::List);
    let peers: Vec<_> = (0..300).map(|_| world.peer(&[own[0], other])).collect();
    world.pass(10 * SECOND);
    let online = peers.iter().filter(|peer| world.plan.used(**peer).is_some()).count();
    assert_eq!(online, 300);
}

#[test]
fn a_peer_adds_at_most_24_relays_and_none_of_a_local_network() {
    let mut world = World::new(8);
    let peer = world.peer(&[]);
    let origin = Origin::Peer { peer, is_local: false };
    let mut added = 0;
    for _ in 0..10_000 {
        let key = world.key();
        match world.plan.add_relay(Relay::new("8.8.8.8:443", key), origin) {
            Ok(_) => added += 1,
            Err(error) => assert_eq!(error, AddRelayError::TooMany),
        }
    }
    assert_eq!(added, 24);
    let key = world.key();
    let local = world.plan.add_relay(Relay::new("192.168.1.1:443", key), origin);
    assert!(matches!(local, Err(AddRelayError::LocalAddress(_))));
    // They go with it.
    world.plan.remove_peer(world.now, peer);
    assert_eq!(world.plan.relays().count(), 0);
    assert_eq!(world.plan.add_relay(Relay::new("8.8.8.8:443", key), origin), Err(AddRelayError::UnknownPeer));
}

#[test]
fn a_peer_cannot_give_the_users_relay_another_address() {
    let mut world = World::new(9);
    let own = world.relay(Origin::User);
    let peer = world.peer(&[]);
    let key = world.plan.relay(own).unwrap().relay.public_key();
    let same = world.plan.add_relay(Relay::new("9.9.9.9:443", key), Origin::Peer { peer, is_local: false });
    assert_eq!(same, Ok(own));
    assert_eq!(world.plan.relay(own).unwrap().relay.addresses().unwrap().len(), 1);
    assert_eq!(world.plan.add_relay(Relay::new("9.9.9.9:443", key), Origin::User), Ok(own));
    assert_eq!(world.plan.relay(own).unwrap().relay.addresses().unwrap().len(), 2);
}

#[test]
fn at_most_24_relays_are_tied_to_a_peer() {
    let mut world = World::new(10);
    let relays = world.relays(25);
    let peer = world.peer(&relays[..24]);
    assert_eq!(world.plan.tie(peer, relays[24]), Err(TieError::TooMany));
    assert_eq!(world.plan.tie(peer, relays[0]), Ok(()));
    world.plan.remove_relay(world.now, relays[0]);
    assert_eq!(world.plan.tie(peer, relays[0]), Err(TieError::UnknownRelay));
    assert_eq!(world.plan.tie(peer, relays[24]), Ok(()));
}

#[test]
fn relays_to_share_are_those_that_are_connected_and_differ() {
    let mut world = World::new(11);
    world.relays(10);
    world.plan.set_onion_relays(8);
    assert_eq!(world.plan.share(3).len(), 0);
    world.pass(SECOND);
    let chosen: Vec<_> = (0..20).map(|_| world.plan.share(3)).collect();
    assert!(chosen.iter().all(|relays| relays.len() == 3));
    assert!(chosen.iter().any(|relays| relays[0].public_key() != chosen[0][0].public_key()));
    assert_eq!(world.plan.share(100).len(), 8);
}

#[test]
fn relays_with_an_identity_or_a_proxy_of_their_own_are_not_shared() {
    let mut world = World::new(13);
    let keys = [(); 3].map(|()| world.key());
    let [plain, named, direct] = keys.map(|key| Relay::new("8.8.8.8:443", key));
    for relay in [plain, named.identity(SecretKey::from([1; 32])), direct.direct()] {
        world.plan.add_relay(relay, Origin::User).unwrap();
    }
    world.pass(SECOND);
    assert_eq!(world.connected().len(), 3);
    let shared: Vec<_> = world.plan.share(3).iter().map(Relay::public_key).collect();
    assert_eq!(shared, [keys[0]]);
}

#[test]
fn a_sleeping_peer_keeps_its_routes_for_ten_seconds_and_then_costs_nothing() {
    let mut world = World::new(12);
    let relays = world.relays(3);
    let [sleeper, other] = [world.peer(&relays), world.peer(&relays)];
    world.pass(60 * SECOND);
    let routes = |world: &World, peer| world.plan.peer(peer).unwrap().routes();
    for _ in 0..10 {
        world.plan.set_awake(sleeper, false);
        world.pass(5 * SECOND);
        world.plan.set_awake(sleeper, true);
        world.pass(5 * SECOND);
        assert!(world.plan.used(sleeper).is_some(), "a short sleep is not noticed");
    }
    world.plan.set_awake(sleeper, false);
    world.pass(11 * SECOND);
    assert_eq!((routes(&world, sleeper), routes(&world, other)), (0, 3));
    assert_eq!(world.plan.used(sleeper), None);
    world.plan.set_awake(sleeper, true);
    world.pass(SECOND);
    assert_eq!(routes(&world, sleeper), 3);
    assert!(world.plan.used(sleeper).is_some());
    assert_eq!(world.attempts.len(), 3, "all relays stayed connected for the other");
}

#[test]
fn a_peer_that_is_untied_from_its_relays_leaves_them() {
    let mut world = World::new(13);
    let relays = world.relays(6);
    let peer = world.peer(&relays[3..]);
    world.pass(60 * SECOND);
    assert!(world.plan.used(peer).is_some());
    assert!(!world.plan.untie(world.now, peer, relays[0]));
    relays[3..].iter().for_each(|relay| assert!(world.plan.untie(world.now, peer, *relay)));
    assert_eq!(world.plan.used(peer), None);
    assert!(!world.plan.untie(world.now, peer, relays[3]));
    world.pass(60 * SECOND);
    assert_eq!(world.connected().len(), 3);
}

#[test]
fn relays_that_a_removed_peer_has_named_go_with_the_last_peer_that_is_tied_to_them() {
    let mut world = World::new(15);
    for is_untied in [true, false] {
        let namer = world.peer(&[]);
        let named: Vec<RelayId> =
            (0..24).map(|_| world.relay(Origin::Peer { peer: namer, is_local: false })).collect();
        let other = world.peer(&named);
        world.plan.remove_peer(world.now, namer);
        assert_eq!(world.plan.relays().count(), 24);
        if is_untied {
            named.iter().for_each(|relay| assert!(world.plan.untie(world.now, other, *relay)));
        } else {
            world.plan.remove_peer(world.now, other);
        }
        assert_eq!(world.plan.relays().count(), 0);
    }
}
