//! Relays that lose data, as the user reports.

use std::time::Duration;

use super::World;
use super::world::Conduct;
use crate::pool::id::{PeerId, RelayId};
use crate::pool::plan::Notice;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

fn used(world: &World, peer: PeerId) -> RelayId {
    world.plan.used(peer).unwrap().0
}

/// Three relays, of which the first is the fastest, and peers that use it.
fn with_peers<const COUNT: usize>(seed: u64) -> (World, Vec<RelayId>, [PeerId; COUNT]) {
    let mut world = World::new(seed);
    let relays = world.relays(3);
    let peers = [(); COUNT].map(|()| world.peer(&relays));
    relays.iter().for_each(|relay| _ = world.round_trips.insert(*relay, 200 * MS));
    world.round_trips.insert(relays[0], 20 * MS);
    world.pass(300 * SECOND);
    assert!(peers.iter().all(|peer| used(&world, *peer) == relays[0]));
    world.notices();
    (world, relays, peers)
}

#[test]
fn a_relay_that_loses_data_is_used_only_if_there_is_no_other() {
    let mut world = World::new(7);
    let relays = world.relays(3);
    let peer = world.peer(&relays);
    world.pass(60 * SECOND);
    let (used, _) = world.plan.used(peer).unwrap();
    world.report(peer, false);
    let (next, _) = world.plan.used(peer).unwrap();
    assert_ne!(next, used);
    world.report(peer, true);
    assert_eq!(world.plan.used(peer).unwrap().0, next);
    for relay in relays.iter().filter(|relay| **relay != used) {
        world.set(*relay, Conduct::Refuses);
    }
    world.pass(SECOND);
    assert_eq!(world.plan.used(peer).unwrap().0, used);
}

#[test]
fn a_peer_that_confirms_nothing_moves_no_other_peer_and_harms_no_score() {
    let (mut world, relays, [hostile, friend]) = with_peers(1);
    let scores =
        |world: &World| relays.clone().into_iter().map(|id| world.plan.relay(id).unwrap().score()).collect();
    let before: Vec<f64> = scores(&world);
    for _ in 0..1_000 {
        world.report(hostile, false);
    }
    assert_eq!(scores(&world), before);
    assert!(
        world.notices().iter().all(|notice| matches!(notice, Notice::PeerMoved(peer, _) if *peer == hostile))
    );
    assert_eq!(used(&world, friend), relays[0]);
}

#[test]
fn a_relay_that_loses_the_data_of_two_peers_carries_those_of_no_other() {
    let (mut world, relays, peers) = with_peers::<3>(2);
    world.report(peers[0], false);
    assert_eq!(peers.map(|peer| used(&world, peer) == relays[0]), [false, true, true]);
    world.report(peers[1], false);
    assert_eq!(peers.map(|peer| used(&world, peer) == relays[0]), [false; 3]);
    // It is not so any more without one of them.
    world.plan.remove_peer(world.now, peers[1]);
    world.pass(200 * SECOND);
    assert_eq!(used(&world, peers[2]), relays[0]);
}

#[test]
fn a_loss_is_forgotten_after_ten_minutes() {
    let (mut world, relays, [peer]) = with_peers(3);
    world.report(peer, false);
    world.pass(540 * SECOND);
    assert_ne!(used(&world, peer), relays[0]);
    world.pass(180 * SECOND); // then it must have been faster for a minute
    assert_eq!(used(&world, peer), relays[0]);
    // Eight take four times as long.
    let reports = |world: &mut World| {
        let known = world.plan.relays.get_mut(relays[0].0).unwrap();
        (0..8).for_each(|_| known.losses.report(world.now, peer, false));
        world.plan.choose_again(world.now, peer);
    };
    reports(&mut world);
    world.pass(2_300 * SECOND);
    assert_ne!(used(&world, peer), relays[0]);
    world.pass(200 * SECOND);
    assert_eq!(used(&world, peer), relays[0]);
}

#[test]
fn relays_that_all_lose_data_do_not_take_turns() {
    let (mut world, relays, [peer]) = with_peers(4);
    relays.iter().for_each(|_| assert!(world.report(peer, false)));
    world.pass(SECOND);
    world.notices();
    for turn in 0..20 {
        for (index, relay) in relays.iter().enumerate() {
            world.round_trips.insert(*relay, MS * (50 + (turn + index as u32) % 2));
        }
        world.pass(29 * SECOND);
    }
    assert_eq!(world.notices(), []);
    // Nor do they when each one in turn is reported again and again.
    (0..1_000).for_each(|_| _ = world.report(peer, false));
    world.pass(SECOND);
    let moves = world.notices().len();
    assert!((1..50).contains(&moves), "{moves} moves in 1000 reports");
}

#[test]
fn relays_that_are_all_silent_do_not_take_turns() {
    let (mut world, relays, [peer]) = with_peers(5);
    for relay in &relays {
        world.set(*relay, Conduct::IsSilent);
        world.plan.handle_sent(*relay);
    }
    world.pass(10 * SECOND);
    assert!(relays.iter().all(|relay| world.plan.relay(*relay).unwrap().is_silent));
    world.notices();
    for turn in 0..10 {
        world.round_trips.insert(relays[turn % 3], MS * (49 - turn as u32));
        world.pass(2 * SECOND);
        world.plan.compare(world.now);
    }
    assert_eq!(world.notices(), []);
    assert!(world.plan.used(peer).is_some());
}

#[test]
fn what_is_reported_late_concerns_the_relay_that_has_carried_it() {
    let (mut world, relays, [peer]) = with_peers(6);
    let lost = |world: &World| {
        let lost = |relay: &RelayId| world.plan.relay(*relay).unwrap().losses.of(peer);
        relays.iter().map(lost).collect::<Vec<u32>>()
    };
    for _ in 0..5 {
        assert!(world.plan.handle_report(world.now, peer, relays[0], false));
        world.pass(SECOND / 2);
    }
    assert_eq!(lost(&world), [5, 0, 0], "all were sent before the data went by another");
    assert!(world.plan.handle_report(world.now, peer, relays[0], true));
    assert_eq!(lost(&world), [4, 0, 0]);
}

#[test]
fn a_liar_that_takes_over_by_its_speed_gets_no_other_blamed() {
    let (mut world, relays, peers) = with_peers::<3>(7);
    let liar = relays[1];
    world.round_trips.insert(liar, MS);
    world.pass(200 * SECOND);
    assert!(peers.iter().all(|peer| used(&world, *peer) == liar));
    for peer in &peers[..2] {
        assert!(world.plan.handle_report(world.now, *peer, liar, false));
    }
    assert!(peers.iter().all(|peer| used(&world, *peer) == relays[0]));
}

#[test]
fn what_is_reported_of_a_relay_where_the_peer_is_not_counts_for_nothing() {
    let (mut world, relays, [peer, friend]) = with_peers(8);
    world.leave(relays[0], peer);
    assert!(!world.plan.handle_report(world.now, peer, relays[0], false));
    world.plan.untie(world.now, peer, relays[1]);
    assert!(!world.plan.handle_report(world.now, peer, relays[1], false));
    world.plan.remove_peer(world.now, peer);
    assert!(!world.plan.handle_report(world.now, peer, relays[2], false));
    assert!(relays.iter().all(|relay| world.plan.relay(*relay).unwrap().losses.peers() == 0));
    assert!(world.report(friend, true));
}
