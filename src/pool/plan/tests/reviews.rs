//! Reviews with many peers.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::World;
use crate::pool::id::RelayId;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_review_of_all_finds_nothing_that_a_review_of_a_part_has_missed() {
    for seed in 0..20 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut world = World::new(seed);
        let relays = world.relays(30);
        for _ in 0..60 {
            let count = random.random_range(1..7);
            let ties: Vec<_> = (0..count).map(|_| relays[random.random_range(..relays.len())]).collect();
            let peer = world.peer(&ties);
            world.pass(SECOND / 4 * random.random_range(0..40));
            if random.random_range(0..2) == 0 {
                world.leave(ties[0], peer);
            }
            world.pass(SECOND / 4 * random.random_range(0..4));
            let before = surplus(&world);
            world.plan.is_outdated = true;
            world.plan.advance(world.now, |_| None);
            assert_eq!(world.plan.next_action(), None);
            assert_eq!(surplus(&world), before);
        }
    }
}

fn surplus(world: &World) -> Vec<(RelayId, bool)> {
    world.plan.relays().map(|(id, known)| (id, known.surplus_since.is_some())).collect()
}

#[test]
fn a_relay_with_many_routes_is_left_to_peers_that_have_fewer_than_they_want() {
    let mut world = World::new(1);
    let relays = world.relays(4);
    world.plan.set_onion_relays(4);
    (0..200).for_each(|_| _ = world.peer(&relays));
    world.pass(SECOND);
    assert!(world.plan.relay(relays[3]).unwrap().routes >= 180);
    let others: Vec<_> = (0..40).map(|_| world.peer(&relays[3..])).collect();
    world.pass(SECOND);
    assert!(others.iter().all(|peer| world.plan.used(*peer).is_some()));
    assert!(world.plan.relay(relays[3]).unwrap().routes <= 240);
}
