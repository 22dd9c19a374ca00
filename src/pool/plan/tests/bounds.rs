//! More relays wanted than connections allowed.

use std::time::Duration;

use super::World;
use super::world::Conduct;
use crate::pool::event::MoveCause;
use crate::pool::id::{PeerId, RelayId};
use crate::pool::origin::Origin;
use crate::pool::plan::Notice;

const SECOND: Duration = Duration::from_secs(1);

fn with_bound(seed: u64, bound: usize) -> World {
    let mut world = World::new(seed);
    world.plan.set_bound(world.now, bound);
    world
}

fn is_online(world: &World, peer: PeerId) -> bool {
    world.plan.used(peer).is_some()
}

#[test]
fn fewer_connections_may_be_allowed_at_any_time() {
    let mut world = World::new(14);
    let relays = world.relays(12);
    let peer = world.peer(&relays[..1]);
    world.plan.set_onion_relays(12);
    world.pass(60 * SECOND);
    assert_eq!(world.connected().len(), 12);
    world.plan.set_bound(world.now, 2);
    world.pass(SECOND);
    assert_eq!(world.connected().len(), 2);
    assert!(world.plan.used(peer).is_some(), "the relay that carries data stays");
    world.pass(3600 * SECOND);
    assert_eq!(world.connected().len(), 2);
    world.plan.set_bound(world.now, 128);
    world.pass(60 * SECOND);
    assert_eq!(world.connected().len(), 12);
}

#[test]
fn a_peer_gets_the_place_of_a_relay_that_nobody_needs() {
    for bound in 1..5 {
        let mut world = with_bound(1, bound);
        world.relays(4);
        world.pass(60 * SECOND);
        assert_eq!(world.connected().len(), bound.min(3));
        let relay = world.relay(Origin::List);
        let peer = world.peer(&[relay]);
        world.pass(SECOND);
        assert!(is_online(&world, peer), "of {bound}");
    }
}

#[test]
fn each_peer_has_a_relay_before_one_has_its_second() {
    let mut world = with_bound(2, 3);
    let relays = world.relays(9);
    for count in 1..4 {
        world.peer(&relays[3 * count - 3..3 * count]);
        world.pass(5 * SECOND); // before any search begins
        assert!(world.plan.peers().all(|(_, peer)| peer.used.is_some()), "{count} peers");
        assert_eq!(world.connected().len(), 3);
    }
    // The fourth finds no place, and does not take one from another.
    let fourth = world.relays(3);
    world.peer(&fourth);
    let attempts = world.attempts.len();
    world.pass(3_600 * SECOND);
    assert_eq!(world.plan.peers().filter(|(_, peer)| peer.used.is_some()).count(), 3);
    assert_eq!(world.attempts.len(), attempts);
}

#[test]
fn a_relay_that_fails_again_and_again_makes_no_other_come_and_go() {
    let mut world = with_bound(3, 3);
    let relays = world.relays(4);
    let peer = world.peer(&relays[..3]);
    world.pass(60 * SECOND);
    let dead = relays[3];
    world.set(dead, Conduct::Refuses);
    world.peer(&[dead]);
    world.pass(10 * SECOND);
    let (connected, attempts) = (world.connected(), world.attempts.len());
    assert_eq!(connected.len(), 2);
    world.pass(3_600 * SECOND);
    assert!(is_online(&world, peer));
    assert_eq!(world.connected(), connected);
    let others: Vec<RelayId> = world.attempts[attempts..].iter().map(|(_, relay)| *relay).collect();
    assert!(others.len() > 20 && others.iter().all(|relay| *relay == dead), "{others:?}");
}

/// How many seconds of an hour no relay is connected.
fn seconds_without_a_relay(world: &mut World) -> usize {
    let is_without = |world: &mut World| {
        world.pass(SECOND);
        world.connected().is_empty()
    };
    (0..3_600).filter(|_| is_without(world)).count()
}

#[test]
fn a_search_leaves_one_relay_connected() {
    for bound in 2..7 {
        let mut world = with_bound(4, bound);
        let good: Vec<RelayId> = (0..3).map(|_| world.relay(Origin::User)).collect();
        world.pass(60 * SECOND);
        for silent in world.relays(8) {
            world.set(silent, Conduct::IsSilent);
            world.peer_on(&[silent, good[0], good[1]], &[]);
        }
        assert_eq!(seconds_without_a_relay(&mut world), 0, "{bound} connections");
        assert!(world.attempts.len() > 30);
    }
}

#[test]
fn peers_whose_only_relays_do_not_work_leave_one_connected() {
    for bound in 2..4 {
        let mut world = with_bound(5, bound);
        world.relays(3);
        world.pass(60 * SECOND);
        for silent in world.relays(8) {
            world.set(silent, Conduct::IsSilent);
            world.peer(&[silent]);
        }
        assert_eq!(seconds_without_a_relay(&mut world), 0, "{bound} connections");
        assert!(world.attempts.len() > 100);
    }
}

#[test]
fn the_only_place_is_not_kept_for_a_peer_whose_relay_does_not_work() {
    for conduct in [Conduct::Refuses, Conduct::IsSilent, Conduct::Closes, Conduct::CannotBeTried] {
        let mut world = with_bound(6, 1);
        let dead = world.relay(Origin::User);
        world.set(dead, conduct);
        let works = world.relays(5);
        let peer = world.peer(&[dead]);
        let seconds = seconds_without_a_relay(&mut world);
        assert!(seconds < 3_600 / 10, "{conduct:?}: {seconds} s");
        let attempts = world.attempts.iter().filter(|(_, relay)| works.contains(relay)).count();
        assert!(attempts <= 12, "{conduct:?}: others come and go with its tries: {attempts} times");
        // It is found once its relay works again.
        world.set(dead, Conduct::Works);
        world.pass(2 * 600 * SECOND);
        if conduct != Conduct::CannotBeTried {
            assert!(is_online(&world, peer), "{conduct:?}");
        }
    }
}

#[test]
fn the_only_place_is_not_kept_for_a_relay_that_is_tried_once_an_hour() {
    for conduct in [Conduct::Refuses, Conduct::IsSilent, Conduct::Closes] {
        let mut world = with_bound(8, 1);
        let [dead, named] = [world.relay(Origin::User), world.relay(Origin::User)];
        world.set(dead, conduct);
        world.set(named, Conduct::CannotBeTried);
        world.peer(&[dead, named]);
        world.relays(5);
        let seconds = seconds_without_a_relay(&mut world);
        assert!(seconds < 3_600 / 10, "{conduct:?}: {seconds} s");
    }
}

#[test]
fn a_relay_that_is_tried_once_an_hour_does_not_keep_the_others_of_a_peer_from_being_tried() {
    let mut world = with_bound(9, 1);
    let [own, named, silent] = [(); 3].map(|()| world.relay(Origin::User));
    world.set(own, Conduct::Refuses);
    world.set(named, Conduct::CannotBeTried);
    world.set(silent, Conduct::IsSilent);
    let peer = world.peer_on(&[own, named], &[own]);
    world.pass(1_200 * SECOND);
    world.set(own, Conduct::Works);
    world.pass(300 * SECOND);
    assert!(is_online(&world, peer));
}

#[test]
fn a_relay_that_restarts_has_the_only_place_again_before_those_that_no_peer_is_on() {
    let mut world = with_bound(6, 1);
    let relay = world.relay(Origin::User);
    world.relays(5);
    let peer = world.peer(&[relay]);
    world.pass(60 * SECOND);
    world.set(relay, Conduct::Refuses);
    world.pass(2 * SECOND);
    world.set(relay, Conduct::Works);
    world.pass(3 * SECOND);
    assert!(is_online(&world, peer));
}

#[test]
fn many_peers_on_relays_that_do_not_work_leave_the_only_place_to_others_after_a_while() {
    let mut world = with_bound(7, 1);
    world.relays(1);
    for dead in world.relays(15) {
        world.set(dead, Conduct::IsSilent);
        world.peer(&[dead]);
    }
    world.pass(2 * 3_600 * SECOND);
    let seconds = seconds_without_a_relay(&mut world);
    assert!(seconds < 3_600 / 10, "{seconds} s");
    assert!(world.attempts.len() > 15 * 8 + 6, "others are tried again");
}

/// Adds a peer that is online on a fast relay, which carries its data, and on a slow one. Returns these relays.
fn with_a_fast_and_a_slow_relay(world: &mut World) -> [RelayId; 2] {
    let [fast, slow] = [world.relay(Origin::User), world.relay(Origin::User)];
    world.round_trips.insert(fast, SECOND / 100);
    world.round_trips.insert(slow, SECOND / 3);
    world.peer(&[fast, slow]);
    [fast, slow]
}

/// Lets a day pass, in which no relay ends that carries data.
#[track_caller]
fn pass_without_moves(world: &mut World) {
    world.pass(20 * SECOND); // before any search begins
    world.notices();
    let attempts = world.attempts.len();
    world.pass(24 * 3_600 * SECOND);
    assert!(world.attempts.len() > attempts);
    let notices = world.notices();
    let is_end = |notice: &&Notice| match notice {
        Notice::PeerMoved(_, moved) => moved.cause == MoveCause::Offline,
        notice => matches!(notice, Notice::PeerOffline(_)),
    };
    assert_eq!(notices.iter().find(is_end), None);
}

#[test]
fn a_relay_that_a_search_has_displaced_does_not_displace_one_that_carries_data() {
    let mut world = with_bound(6, 3);
    let [_, slow] = with_a_fast_and_a_slow_relay(&mut world);
    let others = world.relays(2);
    world.peer_on(&others[..1], &[]);
    world.peer_on(&[slow, others[1]], &[]);
    pass_without_moves(&mut world);
}

#[test]
fn relays_that_fail_again_and_again_at_the_same_time_do_not_displace_one_that_carries_data() {
    let mut world = with_bound(7, 3);
    let [_, slow] = with_a_fast_and_a_slow_relay(&mut world);
    world.peer(&[slow]);
    for dead in world.relays(2) {
        world.set(dead, Conduct::IsSilent);
        world.peer(&[dead]);
    }
    pass_without_moves(&mut world);
}
