//! Peers that are only on some of the relays that are tied to them.

use std::time::Duration;

use super::World;
use super::world::Conduct;
use crate::advice::Retry;
use crate::pool::id::{PeerId, RelayId};
use crate::pool::origin::Origin;

const SECOND: Duration = Duration::from_secs(1);

fn is_online(world: &World, peer: PeerId) -> bool {
    world.plan.used(peer).is_some()
}

#[test]
fn a_peer_that_is_only_on_its_fourth_relay_is_found_within_a_minute() {
    let mut world = World::new(1);
    let good: Vec<RelayId> = (0..3).map(|_| world.relay(Origin::User)).collect();
    let peer = world.peer_on(&good, &[]);
    world.pass(600 * SECOND);
    let fourth = world.relay(Origin::List);
    world.tie_there(peer, fourth);
    world.pass(60 * SECOND);
    assert!(is_online(&world, peer));
    assert_eq!(world.connected().len(), 4 - 1);
    // Nothing changes any more.
    let attempts = world.attempts.len();
    world.pass(3_600 * SECOND);
    assert_eq!((world.attempts.len(), is_online(&world, peer)), (attempts, true));
}

#[test]
fn a_peer_that_is_only_on_the_last_of_its_relays_is_found_whatever_else_is_connected() {
    for (wanted, bound, is_shared) in [
        (3, 128, false),
        (6, 128, false),
        (1, 1, false),
        (3, 3, false),
        (6, 6, true),
        (3, 128, true),
        (6, 128, true),
    ] {
        let mut world = World::new(2);
        world.plan.set_wanted(wanted);
        world.plan.set_bound(world.now, bound);
        let better: Vec<RelayId> = (0..23).map(|_| world.relay(Origin::User)).collect();
        let last = world.relay(Origin::List);
        if is_shared {
            world.plan.set_onion_relays(24); // all are connected anyway, as far as there are places
        }
        let peer = world.peer_on(&better, &[]);
        world.tie_there(peer, last);
        world.pass(900 * SECOND);
        assert!(is_online(&world, peer), "{wanted} wanted, {bound} connections, shared: {is_shared}");
    }
}

#[test]
fn the_relays_that_were_chosen_first_stay_while_others_are_tried() {
    let mut world = World::new(3);
    let relays = world.relays(12);
    world.peer_on(&relays, &[]);
    world.pass(SECOND);
    let chosen = world.connected();
    for _ in 0..600 {
        world.pass(SECOND);
        assert!(chosen.is_subset(&world.connected()));
        assert!(world.connected().len() <= chosen.len() + 1, "one is tried at a time for a peer");
    }
    assert!(world.attempts.len() >= 12);
}

#[test]
fn the_search_for_peers_that_stay_offline_becomes_rare() {
    let mut world = World::new(4);
    let relays = world.relays(48);
    (0..50).for_each(|index| _ = world.peer_on(&relays[index % 25..][..24], &[]));
    let mut attempts = Vec::new();
    for _ in 0..3 {
        let before = world.attempts.len();
        world.pass(24 * 3_600 * SECOND);
        attempts.push(world.attempts.len() - before);
    }
    assert!(attempts[0] > 48 && attempts[1] < 48 * 6 && attempts[2] < 48 * 6, "{attempts:?}");
    // One that comes is found in the next round.
    let peer = world.plan.peers().next().unwrap().0;
    world.come(relays[23], peer);
    world.pass((15_360 + 24 * 29) * SECOND);
    assert!(is_online(&world, peer));
}

#[test]
fn two_peers_that_are_offline_and_share_one_place_take_turns_seldom() {
    let mut world = World::new(5);
    world.plan.set_bound(world.now, 1);
    let relays = world.relays(2);
    relays.iter().for_each(|relay| _ = world.peer_on(&[*relay], &[]));
    world.pass(24 * 3_600 * SECOND);
    assert!(world.attempts.len() < 40, "{}", world.attempts.len());
    // Once one of them is there, it keeps the place.
    let peer = world.plan.peers().next().unwrap().0;
    world.come(relays[0], peer);
    world.pass(2 * 15_360 * SECOND);
    assert!(is_online(&world, peer));
    let attempts = world.attempts.len();
    world.pass(24 * 3_600 * SECOND);
    assert_eq!((world.attempts.len(), is_online(&world, peer)), (attempts, true));
}

/// Whether a peer is found that is tied to four good relays and to this one, and comes on the one that is not connected.
fn is_found_besides(odd: impl Fn(&mut World) -> RelayId, refuses_routes: bool) -> bool {
    let mut world = World::new(6);
    let mut tied: Vec<RelayId> = (0..4).map(|_| world.relay(Origin::User)).collect();
    let odd = odd(&mut world);
    world.pass(60 * SECOND);
    tied.push(odd);
    let peer = world.peer_on(&tied, &[]);
    let pass = |world: &mut World, seconds: usize| {
        for _ in 0..seconds * 10 {
            world.pass(SECOND / 10);
            if refuses_routes {
                world.refuse_route(odd, peer);
            }
        }
    };
    pass(&mut world, 3_600);
    let late = tied.into_iter().find(|relay| !world.connected().contains(relay)).unwrap();
    world.come(late, peer);
    pass(&mut world, 3 * 3_600);
    is_online(&world, peer)
}

/// A list's relay, wanted by so many other peers.
fn relay_of_others(world: &mut World, conduct: Conduct, peers: usize) -> RelayId {
    let relay = world.relay(Origin::List);
    world.set(relay, conduct);
    (0..peers).for_each(|_| _ = world.peer(&[relay]));
    relay
}

#[test]
fn a_relay_that_cannot_be_tried_does_not_keep_a_peer_from_being_found_on_others() {
    for conduct in [
        Conduct::Refuses,
        Conduct::IsSilent,
        Conduct::Closes,
        Conduct::CannotBeTried,
        Conduct::IsHijacked(Retry::Seldom),
    ] {
        assert!(is_found_besides(|world| relay_of_others(world, conduct, 1), false), "{conduct:?}");
    }
    let is_full = |world: &mut World| relay_of_others(world, Conduct::Works, 240);
    assert!(is_found_besides(is_full, false), "it is full");
    let is_free = |world: &mut World| relay_of_others(world, Conduct::Works, 1);
    assert!(is_found_besides(is_free, true), "it refuses routes to the peer");
}

#[test]
fn a_peer_is_found_on_a_relay_with_many_routes_and_leaves_it_to_others_otherwise() {
    let mut world = World::new(7);
    let busy = relay_of_others(&mut world, Conduct::Works, 200);
    let relays: Vec<RelayId> = (0..3).map(|_| world.relay(Origin::User)).collect();
    relays.iter().for_each(|relay| _ = world.peer(&[*relay]));
    let peers: Vec<PeerId> = (0..100).map(|_| world.peer_on(&relays, &[])).collect();
    world.pass(60 * SECOND);
    peers.iter().for_each(|peer| world.plan.tie(*peer, busy).unwrap());
    world.pass(600 * SECOND);
    assert_eq!(world.plan.relay(busy).unwrap().routes, 200, "none keeps a route in vain");
    peers.iter().for_each(|peer| world.come(busy, *peer));
    world.pass(4 * 3_600 * SECOND);
    assert_eq!(
        peers.iter().filter(|peer| is_online(&world, **peer)).count(),
        40,
        "as many as there are routes"
    );
}

#[test]
fn three_hundred_peers_that_are_tied_to_one_more_relay_are_all_looked_for_there() {
    let mut world = World::new(8);
    let relays: Vec<RelayId> = (0..6).map(|_| world.relay(Origin::User)).collect();
    let more = world.relay(Origin::List);
    let peers: Vec<PeerId> =
        (0..300).map(|index| world.peer_on(&relays[index % 2 * 3..][..3], &[])).collect();
    world.pass(10 * SECOND);
    peers.iter().for_each(|peer| world.plan.tie(*peer, more).unwrap());
    world.pass(10 * SECOND);
    assert!(!world.connected().contains(&more));
    let last = *peers.last().unwrap();
    world.come(more, last);
    world.pass(300 * SECOND);
    assert!(is_online(&world, last));
}

#[test]
fn a_peer_that_is_tied_again_to_the_relay_where_it_is_is_found_at_the_next_common_ping() {
    let mut world = World::new(6);
    let relays = world.relays(24);
    let peer = world.peer_on(&relays, &[]);
    world.pass(24 * 3_600 * SECOND); // until the pauses are long
    let there = *relays.iter().find(|relay| !world.connected().contains(relay)).unwrap();
    world.tie_there(peer, there);
    world.pass(60 * SECOND);
    assert!(is_online(&world, peer));
}

#[test]
fn a_relay_that_is_tied_again_and_again_does_not_take_the_turns_of_others() {
    let mut world = World::new(9);
    let chosen: Vec<RelayId> = (0..3).map(|_| world.relay(Origin::User)).collect();
    let peer = world.peer_on(&chosen, &[]);
    world.pass(20 * SECOND);
    let others = [world.relay(Origin::User), world.relay(Origin::List), world.relay(Origin::List)];
    others.iter().for_each(|relay| world.plan.tie(peer, *relay).unwrap());
    world.pass(24 * 3_600 * SECOND);
    world.come(others[2], peer);
    let attempts = world.attempts.len();
    for _ in 0..5 * 3_600 {
        world.plan.tie(peer, others[0]).unwrap();
        world.pass(SECOND);
    }
    assert!(is_online(&world, peer));
    let attempts = world.attempts.len() - attempts;
    assert!(attempts <= 5 * 3_600 / 29 + 48, "{attempts} attempts in five hours");
}

#[test]
fn changes_of_the_network_do_not_put_off_a_search() {
    for every in [10, 25, 40, 60] {
        let mut world = World::new(24);
        let relays = world.relays(8);
        let peer = world.peer_on(&relays, &[]);
        world.pass(600 * SECOND);
        let late = *relays.iter().find(|relay| !world.connected().contains(relay)).unwrap();
        world.come(late, peer);
        for _ in 0..600 / every {
            world.pass(every * SECOND);
            world.plan.handle_network_changed(world.now);
        }
        assert!(is_online(&world, peer), "a change every {every} s");
    }
}
