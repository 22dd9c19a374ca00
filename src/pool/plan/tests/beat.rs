//! Common wake-ups.

use std::collections::BTreeSet;
use std::time::Duration;

use super::World;
use super::world::Conduct;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_pings_of_ten_relays_leave_together_within_thirty_seconds() {
    let mut world = World::new(1);
    let relays = world.relays(10);
    let peers: Vec<_> = relays.chunks(2).map(|pair| world.peer(pair)).collect();
    for _ in 0..10 {
        world.pass(3 * SECOND); // they are connected at different times
    }
    assert_eq!((world.connected().len(), peers.len()), (10, 5));
    world.pinged.clear();
    let woken = world.woken;
    world.pass(3600 * SECOND);
    assert_eq!(world.woken - woken, 124, "one wake-up of the plan for each ping");
    let times: BTreeSet<_> = world.pinged.iter().map(|(at, _)| *at).collect();
    assert_eq!((times.len(), world.pinged.len()), (124, 1240));
    let times: Vec<_> = times.into_iter().collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 29 * SECOND));
}

#[test]
fn a_relay_that_was_connected_later_joins_the_others() {
    let mut world = World::new(2);
    let relays = world.relays(4);
    world.peer(&relays[..3]);
    world.pass(10 * SECOND);
    world.set(relays[0], Conduct::Refuses);
    world.pass(10 * SECOND);
    world.set(relays[0], Conduct::Works);
    world.pass(300 * SECOND);
    world.pinged.clear();
    world.pass(29 * SECOND);
    assert_eq!(world.pinged.len(), world.connected().len());
    let times: BTreeSet<_> = world.pinged.iter().map(|(at, _)| *at).collect();
    assert_eq!(times.len(), 1);
}

#[test]
fn the_interval_can_be_changed() {
    let mut world = World::new(3);
    world.relays(3);
    world.pass(SECOND);
    let pings = |world: &mut World, interval, time| {
        world.plan.set_ping_interval(interval);
        world.pinged.clear();
        world.pass(time);
        world.pinged.len()
    };
    assert_eq!(pings(&mut world, 120 * SECOND, 3600 * SECOND), 3 * 31, "each 116 s");
    assert_eq!(pings(&mut world, Duration::MAX, 300 * 24 * 3600 * SECOND), 0);
    assert_eq!(pings(&mut world, 30 * SECOND, Duration::ZERO), 3, "they are overdue");
    assert_eq!(pings(&mut world, 30 * SECOND, 290 * SECOND), 3 * 10, "each 29 s");
}

#[test]
fn an_interval_that_is_set_again_and_again_does_not_put_off_the_pings() {
    let mut world = World::new(5);
    world.relays(3);
    for _ in 0..600 {
        world.plan.set_ping_interval(30 * SECOND);
        world.pass(SECOND);
    }
    assert_eq!(world.pinged.len(), 3 * 20);
}

#[test]
fn without_relays_the_plan_never_wakes_up() {
    let mut world = World::new(4);
    (0..100).for_each(|_| _ = world.peer(&[]));
    world.pass(SECOND);
    assert_eq!(world.plan.deadline(world.now), None);
}
