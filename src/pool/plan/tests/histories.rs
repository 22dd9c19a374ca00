//! Random histories, and what must hold in each of their steps.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::World;
use super::world::Conduct;
use crate::pool::id::{PeerId, RelayId};
use crate::pool::plan::Notice;

const SECOND: Duration = Duration::from_secs(1);

/// Relays fail, lie silent, return; peers come, sleep, leave.
fn history(seed: u8) {
    let mut random = StdRng::from_seed([seed; 32]);
    let mut world = World::new(seed);
    let mut relays = world.relays(20);
    let mut peers: Vec<PeerId> = Vec::new();
    let mut online: BTreeMap<PeerId, RelayId> = BTreeMap::new();
    for _ in 0..300 {
        let relay = relays[random.random_range(..relays.len())];
        match random.random_range(0..9) {
            0 => world.set(relay, Conduct::Refuses),
            1 => world.set(relay, Conduct::IsSilent),
            2 => world.set(relay, Conduct::Closes),
            3 | 4 => world.set(relay, Conduct::Works),
            5 if peers.len() < 30 => {
                let count = random.random_range(0..8);
                let chosen: Vec<RelayId> =
                    (0..count).map(|_| relays[random.random_range(..relays.len())]).collect();
                peers.push(world.peer(&chosen));
            }
            6 if !peers.is_empty() => {
                let peer = peers.swap_remove(random.random_range(..peers.len()));
                world.plan.remove_peer(world.now, peer);
                online.remove(&peer);
            }
            7 if !peers.is_empty() => {
                let peer = peers[random.random_range(..peers.len())];
                world.plan.set_awake(peer, random.random_range(0..2) == 0);
            }
            8 if relays.len() > 10 => {
                relays.retain(|other| *other != relay);
                world.plan.remove_relay(world.now, relay);
            }
            _ => peers.iter().for_each(|peer| {
                if let Some((relay, _)) = world.plan.used(*peer) {
                    world.plan.handle_sent(relay);
                }
            }),
        }
        world.pass(SECOND * random.random_range(0..40));
        check(&mut world, &peers, &mut online);
    }
    let elapsed = world.now - world.start;
    let most = 16 + elapsed.as_secs() as usize / 2;
    assert!(world.attempts.len() <= most, "{} of {most}", world.attempts.len());
    // In the end all work, and everyone gets what he wants.
    relays.iter().for_each(|relay| world.set(*relay, Conduct::Works));
    peers.iter().for_each(|peer| _ = world.plan.set_awake(*peer, true));
    world.plan.handle_network_changed();
    world.pass(300 * SECOND);
    check(&mut world, &peers, &mut online);
    for peer in &peers {
        let ties = &world.plan.peer(*peer).unwrap().ties;
        let reached = ties.iter().filter(|tie| tie.route.online().is_some()).count();
        assert!(reached >= ties.len().min(3), "{peer} is reached by {reached} of {}", ties.len());
    }
    let attempts = world.attempts.len();
    let connected = world.connected();
    world.pass(3600 * SECOND);
    assert_eq!((world.attempts.len(), world.connected()), (attempts, connected), "it flaps");
}

fn check(world: &mut World, peers: &[PeerId], online: &mut BTreeMap<PeerId, RelayId>) {
    assert!(world.connections.len() <= 128);
    for notice in world.notices() {
        match notice {
            Notice::PeerOnline(peer, relay) => assert_eq!(online.insert(peer, relay), None),
            Notice::PeerMoved(peer, relay) => assert_ne!(online.insert(peer, relay).unwrap(), relay),
            Notice::PeerOffline(peer) => assert!(online.remove(&peer).is_some()),
            Notice::RelayUp(_) | Notice::Writable(_) => {}
        }
    }
    for id in peers {
        let used = world.plan.peer(*id).unwrap().used;
        assert_eq!(used, online.get(id).copied(), "what was reported of {id}");
        assert_eq!(world.plan.used(*id).map(|(relay, _)| relay), used, "its route is online");
        assert!(used.is_none_or(|relay| world.connected().contains(&relay)));
        assert!(world.plan.peer(*id).unwrap().routes() <= 6);
    }
    for (id, known) in world.plan.relays() {
        let routes =
            world.plan.peers().filter_map(|(_, peer)| peer.tie(id)).filter(|tie| tie.route.id().is_some());
        assert_eq!(routes.count(), known.routes, "routes of {id}");
        let tied = world.plan.peers().filter(|(_, peer)| peer.tie(id).is_some()).count();
        assert_eq!(tied, known.tied.len(), "peers of {id}");
    }
}

#[test]
fn in_random_histories_reports_agree_with_the_state_and_connects_are_bounded() {
    (0..60).for_each(history);
}
