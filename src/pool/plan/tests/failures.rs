//! Relays that fail, fall silent and return.

use std::time::Duration;

use super::World;
use super::world::Conduct;
use crate::pool::event::{Move, MoveCause};
use crate::pool::id::RelayId;
use crate::pool::origin::Origin;
use crate::pool::plan::Notice;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_outage_of_an_hour_forgets_and_blames_no_relay_and_is_over_soon_after_its_end() {
    let mut world = World::new(1);
    let relays = world.relays(3);
    let peer = world.peer(&relays);
    world.pass(90 * SECOND);
    relays.iter().for_each(|relay| world.set(*relay, Conduct::IsSilent));
    world.pass(3600 * SECOND);
    assert!(world.plan.peer(peer).unwrap().used.is_none());
    let failures = |relay: &RelayId| world.plan.relay(*relay).unwrap().failures.blamed();
    assert!(relays.iter().all(|relay| failures(relay) == 0));
    let attempts = world.attempts.len();
    assert!(attempts < 3 * 40, "{attempts}: at most every 96 s for each");
    relays.iter().for_each(|relay| world.set(*relay, Conduct::Works));
    world.pass(160 * SECOND); // the longest pause and a connect timeout
    assert_eq!(world.connected().len(), 3);
    assert!(world.plan.peer(peer).unwrap().used.is_some());
}

#[test]
fn an_outage_that_shows_at_one_relay_after_the_other_blames_none() {
    let mut world = World::new(1);
    let relays = world.relays(3);
    world.peer(&relays);
    world.pass(90 * SECOND);
    for relay in &relays {
        world.set(*relay, Conduct::Refuses);
        world.pass(15 * SECOND);
    }
    let failures = |relay: &RelayId| world.plan.relay(*relay).unwrap().failures.blamed();
    assert!(relays.iter().all(|relay| failures(relay) == 0));
}

#[test]
fn a_relay_that_had_failed_before_an_outage_is_blamed_after_it() {
    let mut world = World::new(1);
    let relays = world.relays(3);
    let dead = world.relay(Origin::User);
    world.set(dead, Conduct::Refuses);
    world.plan.set_wanted(4);
    world.peer(&[relays.clone(), vec![dead]].concat());
    world.pass(10 * SECOND);
    let failures = |world: &World| world.plan.relay(dead).unwrap().failures.blamed();
    let before = failures(&world);
    assert!(before > 1);
    world.pass(40 * SECOND);
    relays.iter().for_each(|relay| world.set(*relay, Conduct::Refuses));
    world.pass(600 * SECOND);
    assert!(failures(&world) >= before);
}

#[test]
fn after_a_change_of_network_all_are_tried_at_once() {
    let mut world = World::new(2);
    let relays = world.relays(3);
    relays.iter().for_each(|relay| world.set(*relay, Conduct::Refuses));
    world.pass(3600 * SECOND);
    relays.iter().for_each(|relay| world.set(*relay, Conduct::Works));
    world.plan.handle_network_changed(world.now);
    world.pass(SECOND);
    assert_eq!(world.connected().len(), 3);
}

#[test]
fn a_relay_that_accepts_and_closes_is_tried_less_and_less_often() {
    let mut world = World::new(3);
    let relays = world.relays(4);
    let peer = world.peer(&relays);
    world.set(relays[0], Conduct::Closes);
    world.pass(3600 * SECOND);
    let attempts = world.attempts.iter().filter(|(_, relay)| *relay == relays[0]).count();
    assert!(attempts < 45, "{attempts}");
    assert!(world.plan.peer(peer).unwrap().used.is_some());
    assert_eq!(world.connected().len(), 3);
}

#[test]
fn relays_that_do_not_answer_delay_the_others_by_a_second_and_hold_no_routes() {
    let mut world = World::new(4);
    let silent: Vec<_> = (0..6).map(|_| world.relay(Origin::User)).collect();
    silent.iter().for_each(|relay| world.set(*relay, Conduct::IsSilent));
    let relays = world.relays(3);
    let peer = world.peer(&[silent, relays.clone()].concat());
    world.pass(SECOND * 9 / 4); // they are the third three
    assert_eq!(world.connected(), relays.into_iter().collect());
    assert_eq!(
        world.plan.peer(peer).unwrap().ties.iter().filter(|tie| tie.route.online().is_some()).count(),
        3
    );
}

#[test]
fn when_a_relay_ends_its_peers_data_go_by_another_at_once() {
    let mut world = World::new(5);
    let relays = world.relays(4);
    let peer = world.peer(&relays);
    world.pass(60 * SECOND);
    let (used, _) = world.plan.used(peer).unwrap();
    world.notices();
    let at = world.now;
    world.set(used, Conduct::Refuses);
    world.pass(Duration::ZERO);
    let (next, _) = world.plan.used(peer).unwrap();
    assert_ne!(next, used);
    let moved = Move { from: used, to: next, cause: MoveCause::Offline };
    assert_eq!(world.notices, [(at, Notice::PeerMoved(peer, moved))]);
    // A fourth takes its place.
    world.pass(SECOND);
    assert_eq!(
        world.plan.peer(peer).unwrap().ties.iter().filter(|tie| tie.route.online().is_some()).count(),
        3
    );
}

#[test]
fn a_relay_that_falls_silent_is_found_out_five_seconds_after_data_were_sent() {
    let mut world = World::new(6);
    let relays = world.relays(4);
    let peer = world.peer(&relays);
    world.pass(60 * SECOND);
    let (used, _) = world.plan.used(peer).unwrap();
    // Data that nobody answers: the relay is asked, and answers.
    world.plan.handle_sent(used);
    world.pass(30 * SECOND);
    assert_eq!(world.plan.used(peer).unwrap().0, used);
    assert_eq!(world.asked(), 1);
    world.set(used, Conduct::IsSilent);
    world.plan.handle_sent(used);
    world.pass(4 * SECOND);
    assert_eq!(world.plan.used(peer).unwrap().0, used);
    assert_eq!(world.asked(), 2);
    world.pass(2 * SECOND);
    assert_ne!(world.plan.used(peer).unwrap().0, used);
    // It is not used, and another one is connected besides it.
    assert_eq!(world.connected().len(), 4);
}

#[test]
fn silence_in_a_steady_flow_is_found_out_within_five_seconds_whenever_it_begins() {
    const STEP: Duration = Duration::from_millis(100);
    for steps in 0..100 {
        let mut world = World::new(8);
        let relays = world.relays(3);
        let peer = world.peer(&relays);
        world.pass(60 * SECOND);
        let (used, _) = world.plan.used(peer).unwrap();
        for _ in 0..steps {
            world.plan.handle_sent(used);
            world.pass(STEP);
        }
        assert!(world.asked() * 30 <= steps + 1, "{} pings in {steps} steps", world.asked());
        world.set(used, Conduct::IsSilent);
        let silent_at = world.now;
        while world.plan.used(peer).unwrap().0 == used {
            world.plan.handle_sent(used);
            world.pass(STEP);
        }
        let found_after = world.now - silent_at;
        assert!((2 * SECOND - STEP..=5 * SECOND + STEP).contains(&found_after), "{steps}: {found_after:?}");
    }
}

#[test]
fn a_relay_is_not_silent_before_it_was_asked_and_had_two_seconds() {
    let mut world = World::new(10);
    let relays = world.relays(3);
    let peer = world.peer(&relays);
    world.pass(60 * SECOND);
    let (used, _) = world.plan.used(peer).unwrap();
    world.plan.handle_sent(used);
    world.pass(Duration::ZERO);
    world.now += 20 * SECOND; // the program does something else
    world.pass(SECOND);
    assert_eq!(world.asked(), 1);
    assert!(!world.plan.relay(used).unwrap().is_silent);
    world.pass(60 * SECOND);
    assert_eq!(world.plan.used(peer).unwrap().0, used);
}

#[test]
fn a_single_burst_of_data_costs_one_ping() {
    let mut world = World::new(9);
    let relays = world.relays(3);
    let peer = world.peer(&relays);
    world.pass(60 * SECOND);
    let (used, _) = world.plan.used(peer).unwrap();
    for _ in 0..10 {
        world.plan.handle_sent(used);
        world.pass(SECOND / 10);
    }
    world.pass(60 * SECOND);
    assert_eq!(world.asked(), 1);
    assert!(world.plan.watched.is_empty());
}

#[test]
fn relays_on_a_slow_line_are_not_taken_for_silent() {
    for round_trip in [SECOND / 2, 2 * SECOND + SECOND / 10, 3 * SECOND] {
        let mut world = World::new(20);
        let relays = world.relays(12);
        relays.iter().for_each(|relay| _ = world.round_trips.insert(*relay, round_trip));
        let peer = world.peer(&relays[..6]);
        world.pass(600 * SECOND);
        let attempts = world.attempts.len();
        world.notices();
        for _ in 0..360 {
            let (used, _) = world.plan.used(peer).unwrap();
            world.plan.handle_sent(used);
            world.pass(10 * SECOND);
        }
        assert_eq!((world.notices(), world.attempts.len()), (vec![], attempts), "{round_trip:?}");
    }
}

#[test]
fn data_go_by_the_relay_that_answers_again_when_the_used_one_is_silent() {
    let mut world = World::new(21);
    world.plan.set_ping_interval(600 * SECOND);
    let relays = world.relays(2);
    let peer = world.peer(&relays);
    world.pass(60 * SECOND);
    let first = world.plan.used(peer).unwrap().0;
    for _ in 0..2 {
        let (used, _) = world.plan.used(peer).unwrap();
        world.set(used, Conduct::IsSilent);
        world.plan.handle_sent(used);
        world.pass(6 * SECOND);
    }
    assert_ne!(world.plan.used(peer).unwrap().0, first);
    world.set(first, Conduct::Works);
    world.plan.handle_heard(world.now, first);
    assert_eq!(world.plan.used(peer).unwrap().0, first);
}

#[test]
fn the_failures_of_a_relay_are_forgotten_while_it_is_connected() {
    let mut world = World::new(22);
    let relays = world.relays(2);
    world.peer(&relays);
    world.pass(90 * SECOND);
    world.set(relays[0], Conduct::Refuses);
    world.pass(300 * SECOND);
    world.set(relays[0], Conduct::Works);
    assert!(world.plan.relay(relays[0]).unwrap().failures.blamed() > 1);
    world.pass(300 * SECOND);
    assert_eq!(world.plan.relay(relays[0]).unwrap().failures.blamed(), 0);
}

#[test]
fn relays_that_refuse_the_routes_of_a_peer_are_not_connected_again_and_again() {
    let mut world = World::new(23);
    let relays = world.relays(12);
    let peer = world.peer_on(&relays, &[]);
    for _ in 0..1_200 {
        relays.iter().for_each(|relay| world.refuse_route(*relay, peer));
        world.pass(SECOND / 2);
    }
    assert!(world.attempts.len() <= 72, "{} attempts in ten minutes", world.attempts.len());
}

#[test]
fn when_a_relay_ends_one_that_stays_takes_over_before_one_that_comes_and_goes() {
    let mut world = World::new(10);
    let relays = world.relays(3);
    let peer = world.peer(&relays);
    for (relay, milliseconds) in relays.iter().zip([20, 30, 300]) {
        world.round_trips.insert(*relay, Duration::from_millis(milliseconds));
    }
    world.pass(300 * SECOND);
    let used = |world: &World| world.plan.used(peer).unwrap().0;
    assert_eq!(used(&world), relays[0]);
    let mut restart = |relay| {
        world.set(relay, Conduct::Refuses);
        world.pass(SECOND / 2);
        let next = used(&world);
        world.set(relay, Conduct::Works);
        world.pass(10 * SECOND);
        next
    };
    assert_eq!(restart(relays[0]), relays[1]);
    assert_eq!(restart(relays[1]), relays[2]);
    // Once they have stayed for a while, the fastest is used again.
    world.pass(180 * SECOND);
    assert_eq!(used(&world), relays[0]);
}

#[test]
fn a_fast_relay_that_fails_again_and_again_does_not_take_over() {
    let mut world = World::new(11);
    let [stays, fails] = [world.relay(Origin::User), world.relay(Origin::User)];
    world.round_trips.insert(stays, SECOND / 3);
    world.round_trips.insert(fails, SECOND / 100);
    let peer = world.peer(&[stays, fails]);
    for _ in 0..20 {
        world.set(fails, Conduct::Refuses);
        world.pass(SECOND / 2);
        world.set(fails, Conduct::Works);
        world.notices();
        let connected = |world: &World| world.connected().contains(&fails);
        while !connected(&world) {
            world.pass(SECOND / 10);
        }
        world.pass(SECOND * 59);
        assert_eq!(world.plan.used(peer).unwrap().0, stays);
    }
}

#[test]
fn when_an_outage_is_over_those_that_had_failed_just_before_it_are_tried_at_once() {
    for seed in 0..10 {
        let mut world = World::new(seed);
        let relays = world.relays(3);
        world.peer(&relays);
        world.pass(90 * SECOND);
        world.set(relays[0], Conduct::Refuses);
        world.pass(15 * SECOND);
        relays.iter().for_each(|relay| world.set(*relay, Conduct::Refuses));
        world.pass(SECOND / 10);
        relays.iter().for_each(|relay| world.set(*relay, Conduct::Works));
        while world.connected().is_empty() {
            world.pass(SECOND / 10);
        }
        world.pass(SECOND / 5);
        assert_eq!(world.connected().len(), 3, "{seed}");
    }
}

#[test]
fn on_another_network_the_pauses_are_short_again() {
    let mut world = World::new(12);
    let relay = world.relay(Origin::User);
    world.set(relay, Conduct::Refuses);
    world.pass(3600 * SECOND);
    world.plan.handle_network_changed(world.now);
    let attempts = world.attempts.len();
    world.pass(5 * SECOND);
    assert!(world.attempts.len() >= attempts + 3);
}
