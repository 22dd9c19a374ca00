//! How long a relay that has failed is not tried, and how many attempts begin.

use std::time::Duration;

use super::World;
use super::world::Conduct;
use crate::advice::Retry;
use crate::config::Relay;
use crate::pool::id::{PeerId, RelayId};
use crate::pool::origin::Origin;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

fn set(world: &mut World, relays: &[RelayId], conduct: Conduct) {
    relays.iter().for_each(|relay| world.set(*relay, conduct));
}

/// How long it takes until a peer is online, in steps of a second.
#[track_caller]
fn time_until_online(world: &mut World, peer: PeerId, at_most: Duration) -> Duration {
    let begun = world.now;
    while world.plan.used(peer).is_none() {
        assert!(world.now - begun < at_most, "offline for {:?}", world.now - begun);
        world.pass(SECOND);
    }
    world.now - begun
}

#[test]
fn a_network_that_answers_for_all_relays_pauses_none_for_an_hour() {
    for retry in [Retry::Seldom, Retry::Ask] {
        let mut world = World::new(1);
        let relays = world.relays(20);
        let peer = world.peer(&relays[..6]);
        world.pass(90 * SECOND);
        set(&mut world, &relays, Conduct::IsHijacked(retry));
        world.pass(600 * SECOND);
        assert!(world.plan.relays().all(|(_, known)| known.failures.blamed() == 0), "they are not blamed");
        set(&mut world, &relays, Conduct::Works);
        time_until_online(&mut world, peer, 150 * SECOND);
    }
}

#[test]
fn relays_that_were_paused_for_an_hour_are_tried_when_the_last_other_one_ends() {
    let mut world = World::new(2);
    let relays = world.relays(4);
    let peer = world.peer(&relays[..3]);
    set(&mut world, &relays[..3], Conduct::IsHijacked(Retry::Seldom));
    world.pass(90 * SECOND);
    let attempts = world.attempts.len();
    world.pass(600 * SECOND);
    assert_eq!((world.connected().len(), world.attempts.len()), (1, attempts));
    set(&mut world, &relays[..3], Conduct::Works);
    set(&mut world, &relays[3..], Conduct::Refuses);
    time_until_online(&mut world, peer, 2 * SECOND);
}

#[test]
fn a_relay_that_answers_wrongly_while_others_work_is_tried_once_an_hour() {
    let mut world = World::new(3);
    let relays = world.relays(3);
    set(&mut world, &relays[..1], Conduct::IsHijacked(Retry::Seldom));
    world.pass(HOUR * 10);
    let attempts = world.attempts.iter().filter(|(_, relay)| *relay == relays[0]).count();
    assert!((8..=14).contains(&attempts), "{attempts} attempts in 10 hours");
}

#[test]
fn a_relay_that_cannot_be_tried_is_paused_for_an_hour_also_in_an_outage() {
    let mut world = World::new(4);
    let relays = world.relays(2);
    set(&mut world, &relays[..1], Conduct::CannotBeTried);
    set(&mut world, &relays[1..], Conduct::Refuses);
    world.pass(HOUR / 2);
    let attempts = world.attempts.iter().filter(|(_, relay)| *relay == relays[0]).count();
    assert_eq!(attempts, 1);
    set(&mut world, &relays[1..], Conduct::Works);
    world.pass(200 * SECOND);
    assert_eq!(world.connected().len(), 1);
    let attempts = world.attempts.iter().filter(|(_, relay)| *relay == relays[0]).count();
    assert_eq!(attempts, 1, "the end of an outage does not help it");
}

#[test]
fn relays_that_accept_and_close_are_tried_less_and_less_often_though_no_other_is_connected() {
    for count in 1..5 {
        let mut world = World::new(5);
        let relays = world.relays(count);
        set(&mut world, &relays, Conduct::Closes);
        world.pass(HOUR);
        let attempts = world.attempts.len();
        assert!(attempts < 45 * count, "{attempts} attempts of {count} relays in an hour");
        assert!(
            relays.iter().all(|relay| world.plan.relay(*relay).unwrap().failures.blamed() > 5),
            "they are blamed"
        );
    }
}

#[test]
fn a_relay_that_accepts_and_closes_does_not_end_the_pauses_of_others() {
    let mut world = World::new(6);
    let relays = world.relays(13);
    set(&mut world, &relays[..3], Conduct::Closes);
    set(&mut world, &relays[3..], Conduct::Refuses);
    world.pass(HOUR);
    let attempts = world.attempts.len();
    assert!(attempts < 45 * 13, "{attempts} attempts of 13 relays in an hour");
}

#[test]
fn a_relay_has_proved_itself_after_a_minute_and_not_before() {
    for (time, is_proved) in [(50, false), (70, true)] {
        let mut world = World::new(7);
        let relay = world.relays(1)[0];
        world.set(relay, Conduct::Refuses);
        world.pass(HOUR);
        world.set(relay, Conduct::Works);
        world.plan.handle_new_proxy(); // whatever ends the pause
        world.pass(time * SECOND);
        assert_eq!(world.connected().len(), 1);
        world.set(relay, Conduct::Refuses);
        world.set(relay, Conduct::Works);
        world.pass(2 * SECOND);
        assert_eq!(world.connected().len(), usize::from(is_proved), "after {time} s");
    }
}

#[test]
fn the_user_who_says_again_and_again_that_the_network_has_changed_gets_twice_the_attempts() {
    let mut world = World::new(8);
    let relays = world.relays(20);
    set(&mut world, &relays, Conduct::Refuses);
    for _ in 0..3_200 {
        world.plan.handle_network_changed(world.now);
        world.pass(SECOND / 10);
    }
    let attempts = world.attempts.len();
    assert!(attempts <= 16 + 320, "{attempts} attempts in 320 s");
    let of = |relay: &RelayId| world.attempts.iter().filter(|(_, other)| other == relay).count();
    assert!(relays.iter().all(|relay| of(relay) > 5), "all have their turn");
}

#[test]
fn attempts_of_the_old_network_begin_anew_on_the_new_one() {
    let mut world = World::new(9);
    let relays = world.relays(3);
    let peer = world.peer(&relays);
    set(&mut world, &relays, Conduct::IsSilent);
    world.pass(SECOND);
    set(&mut world, &relays, Conduct::Works); // what was sent before is lost
    world.plan.handle_network_changed(world.now);
    world.pass(SECOND);
    assert!(world.plan.used(peer).is_some());
    assert_eq!(world.attempts.len(), 6);
    // A second report of the same change does not disturb what has begun.
    world.plan.handle_network_changed(world.now);
    world.pass(SECOND);
    assert_eq!((world.attempts.len(), world.connected().len()), (6, 3));
}

#[test]
fn another_proxy_ends_the_pauses_of_relays_that_the_last_one_has_refused() {
    let mut world = World::new(11);
    let relays = world.relays(4);
    set(&mut world, &relays[..3], Conduct::IsHijacked(Retry::Ask));
    world.pass(600 * SECOND);
    assert_eq!(world.connected().len(), 1);
    set(&mut world, &relays[..3], Conduct::Works);
    world.plan.handle_new_proxy();
    world.pass(SECOND);
    assert_eq!(world.connected().len(), 3);
}

#[test]
fn an_attempt_by_the_last_proxy_or_network_that_fails_afterwards_pauses_no_relay_for_an_hour() {
    type Change = fn(&mut World);
    let proxy: Change = |world| world.plan.handle_new_proxy();
    let network: Change = |world| world.plan.handle_network_changed(world.now);
    for change in [proxy, network] {
        let mut world = World::new(13);
        world.relays(1);
        world.pass(SECOND);
        network(&mut world); // so that the next one does not begin attempts anew
        let relay = world.relays(1)[0];
        world.set(relay, Conduct::IsHijacked(Retry::Ask));
        world.pass(SECOND / 100);
        world.set(relay, Conduct::Works);
        change(&mut world);
        world.pass(3 * SECOND);
        assert!(world.connected().contains(&relay));
    }
}

#[test]
fn another_address_ends_the_pause_of_a_relay_and_a_peer_can_end_it_three_times() {
    let mut world = World::new(12);
    let friend = world.peer(&[]);
    let named = Origin::Peer { peer: friend, is_local: false };
    let relays = [world.relay(Origin::User), world.relay(named), world.relays(1)[0]];
    set(&mut world, &relays[..2], Conduct::IsHijacked(Retry::Ask));
    world.pass(600 * SECOND);
    for (relay, origin, most) in [(relays[0], Origin::User, 15), (relays[1], named, 3)] {
        let key = world.plan.relay(relay).unwrap().relay.public_key();
        let attempts = world.attempts.len();
        for last in 1..100 {
            let address = format!("9.9.9.{last}:443");
            // The second time it is not another one.
            for _ in 0..2 {
                world.plan.add_relay(Relay::new(address.as_str(), key), origin).unwrap();
                world.pass(SECOND);
            }
            assert!(last != 1 || world.attempts.len() == attempts + 1, "it is tried at once, and once");
        }
        let attempts = world.attempts.len() - attempts;
        assert!(origin == Origin::User || attempts == most, "{attempts} attempts");
    }
}

#[test]
fn relays_that_never_work_leave_attempts_to_those_that_may() {
    let mut world = World::new(10);
    let bad: Vec<RelayId> = (0..100).map(|_| world.relay(Origin::User)).collect();
    set(&mut world, &bad, Conduct::Refuses);
    world.pass(HOUR);
    let good = world.relay(Origin::List);
    world.pass(10 * SECOND);
    assert!(world.connected().contains(&good));
}

#[test]
fn relays_that_answer_wrongly_are_tried_once_an_hour_however_few_connections_are_allowed() {
    for bound in 1..5 {
        for has_other in [true, false] {
            let mut world = World::new(14);
            world.plan.set_bound(world.now, bound);
            let good = world.relays(3);
            world.pass(60 * SECOND);
            let bad = world.relays(8);
            set(&mut world, &bad, Conduct::IsHijacked(Retry::Seldom));
            bad.iter().for_each(|bad| _ = world.peer_on(&[*bad, good[0]][..1 + usize::from(has_other)], &[]));
            world.pass(10 * HOUR);
            let attempts =
                |relay: &RelayId| world.attempts.iter().filter(|(_, other)| other == relay).count();
            let most = bad.iter().map(attempts).max().unwrap();
            assert!(
                most <= 14,
                "{most} attempts in 10 hours, {bound} connections, another relay: {has_other}"
            );
            assert!(!world.connected().is_empty());
        }
    }
}

#[test]
fn when_the_user_removes_the_last_relay_that_works_those_that_were_paused_for_an_hour_are_tried() {
    let mut world = World::new(15);
    let relays = world.relays(4);
    let peer = world.peer(&relays[..3]);
    set(&mut world, &relays[..3], Conduct::IsHijacked(Retry::Seldom));
    world.pass(600 * SECOND);
    set(&mut world, &relays[..3], Conduct::Works);
    world.plan.remove_relay(world.now, relays[3]);
    time_until_online(&mut world, peer, 2 * SECOND);
}

#[test]
fn an_outage_that_begins_while_the_only_relay_gives_its_place_to_another_pauses_none_for_an_hour() {
    let mut world = World::new(16);
    world.plan.set_bound(world.now, 1);
    let relays = world.relays(2);
    let peer = world.peer_on(&relays, &[]);
    let attempts = world.attempts.len();
    while world.attempts.len() < attempts + 2 {
        world.pass(SECOND / 100);
    }
    set(&mut world, &relays, Conduct::IsHijacked(Retry::Seldom));
    world.pass(600 * SECOND);
    set(&mut world, &relays, Conduct::Works);
    relays.iter().for_each(|relay| world.come(*relay, peer));
    time_until_online(&mut world, peer, 150 * SECOND);
}

#[test]
fn an_outage_that_begins_after_the_user_has_removed_the_only_relay_pauses_none_for_an_hour() {
    let mut world = World::new(17);
    let relays = world.relays(3);
    let connected = world.relays(1)[0];
    let peer = world.peer_on(&relays, &[]);
    set(&mut world, &relays, Conduct::IsHijacked(Retry::Seldom));
    world.pass(SECOND);
    world.plan.remove_relay(world.now, connected);
    world.pass(120 * SECOND);
    set(&mut world, &relays, Conduct::Works);
    relays.iter().for_each(|relay| world.come(*relay, peer));
    time_until_online(&mut world, peer, 150 * SECOND);
}

#[test]
fn the_removal_of_an_unused_relay_ends_no_pause_while_the_only_one_gives_its_place_to_another() {
    let mut world = World::new(18);
    world.plan.set_bound(world.now, 1);
    world.relays(1);
    world.pass(SECOND);
    let wrong = world.relay(Origin::List);
    world.set(wrong, Conduct::IsHijacked(Retry::Seldom));
    world.peer(&[wrong]);
    world.pass(SECOND);
    let [silent, unused] = [world.relay(Origin::List), world.relay(Origin::List)];
    world.set(silent, Conduct::IsSilent);
    world.peer(&[silent]);
    world.pass(SECOND);
    assert!(world.connected().is_empty());
    let pause = |world: &World| world.plan.relay(wrong).unwrap().failures.retry_at(world.now);
    let before = pause(&world);
    world.plan.remove_relay(world.now, unused);
    assert!(before > Some(world.now + 1_800 * SECOND), "about an hour");
    assert_eq!(pause(&world), before);
}
