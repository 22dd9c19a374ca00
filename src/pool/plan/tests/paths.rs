//! Which relay carries the data to a peer.

use std::time::Duration;

use super::World;
use super::world::Conduct;
use crate::pool::id::{PeerId, RelayId};
use crate::pool::plan::Notice;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

#[test]
fn a_peer_is_online_once_for_all_of_its_relays_and_goes_offline_once() {
    let mut world = World::new(1);
    let relays = world.relays(3);
    let peer = world.peer(&relays);
    world.pass(60 * SECOND);
    let (used, _) = world.plan.used(peer).unwrap();
    let of_peer = |notice: &Notice| !matches!(notice, Notice::RelayUp(_));
    let online: Vec<Notice> = world.notices().into_iter().filter(of_peer).collect();
    assert_eq!(online, [Notice::PeerOnline(peer, used)]);
    let others: Vec<RelayId> = relays.iter().copied().filter(|relay| *relay != used).collect();
    others.into_iter().for_each(|relay| world.leave(relay, peer));
    assert_eq!(world.notices(), []);
    world.leave(used, peer);
    assert_eq!(world.notices(), [Notice::PeerOffline(peer)]);
    assert_eq!(world.plan.used(peer), None);
    assert_eq!(world.plan.out_of_band(peer).len(), 3);
}

#[test]
fn a_faster_relay_takes_over_after_a_minute_and_only_if_it_is_faster_by_a_third() {
    let mut world = World::new(2);
    let relays = world.relays(3);
    relays.iter().for_each(|relay| _ = world.round_trips.insert(*relay, 90 * MS));
    let peer = world.peer(&relays);
    world.pass(300 * SECOND);
    let (used, _) = world.plan.used(peer).unwrap();
    let fast = relays.into_iter().find(|relay| *relay != used).unwrap();
    world.round_trips.insert(fast, 61 * MS);
    world.pass(600 * SECOND);
    assert_eq!(world.plan.used(peer).unwrap().0, used);
    // Not for long enough.
    for _ in 0..20 {
        world.round_trips.insert(fast, 59 * MS);
        world.pass(45 * SECOND);
        world.round_trips.insert(fast, 61 * MS);
        world.pass(45 * SECOND);
    }
    assert_eq!(world.plan.used(peer).unwrap().0, used);
    world.round_trips.insert(fast, 59 * MS);
    world.pass(100 * SECOND);
    assert_eq!(world.plan.used(peer).unwrap().0, fast);
}

#[test]
fn a_slow_relay_gives_way_to_two_that_are_the_fastest_in_turns() {
    let mut world = World::new(6);
    let relays = world.relays(3);
    let peer = world.peer(&relays);
    world.pass(60 * SECOND);
    let (slow, _) = world.plan.used(peer).unwrap();
    world.round_trips.insert(slow, 500 * MS);
    let others = relays.into_iter().filter(|relay| *relay != slow);
    let [first, second] = others.collect::<Vec<_>>()[..] else { panic!() };
    for turn in 0..6 {
        world.round_trips.insert(first, MS * (50 + turn % 2));
        world.round_trips.insert(second, MS * (51 - turn % 2));
        world.pass(29 * SECOND);
    }
    assert_ne!(world.plan.used(peer).unwrap().0, slow);
}

#[test]
fn while_a_peer_is_offline_its_relays_take_turns() {
    let mut world = World::new(3);
    let relays = world.relays(3);
    let peer = world.peer(&relays);
    relays.iter().for_each(|relay| world.leave(*relay, peer));
    world.pass(60 * SECOND);
    let mut first: Vec<RelayId> = (0..3).map(|_| world.plan.out_of_band(peer)[0].0).collect();
    first.sort();
    assert_eq!(first, relays);
}

#[test]
fn room_is_reported_once_to_each_peer_that_was_refused() {
    let mut world = World::new(4);
    let relays = world.relays(3);
    let peers = [world.peer(&relays), world.peer(&relays)];
    world.pass(60 * SECOND);
    world.notices();
    world.plan.handle_refused_data(peers[0]);
    relays.iter().for_each(|relay| world.plan.handle_writable(*relay));
    world.plan.handle_network_changed(world.now); // anything that makes it run
    world.pass(SECOND);
    assert_eq!(world.notices(), [Notice::Writable(peers[0])]);
}

#[test]
fn room_is_reported_when_another_relay_comes_and_to_a_peer_that_sleeps() {
    let mut world = World::new(5);
    let relays = world.relays(2);
    let peer = world.peer(&[]);
    relays.iter().for_each(|relay| world.plan.tie(peer, *relay).unwrap());
    world.set(relays[1], Conduct::Refuses);
    world.pass(10 * SECOND);
    world.plan.handle_refused_data(peer); // out of band, by the first
    world.set(relays[0], Conduct::Refuses);
    world.set(relays[1], Conduct::Works);
    world.pass(600 * SECOND);
    assert!(world.notices().contains(&Notice::Writable(peer)));

    world.plan.set_awake(peer, false);
    world.pass(30 * SECOND);
    world.plan.handle_refused_data(peer);
    relays.iter().for_each(|relay| world.plan.handle_writable(*relay));
    world.pass(SECOND);
    assert!(world.notices().contains(&Notice::Writable(peer)));
}

/// A relay that is full for the data of a peer, and another one that has room, after `change`.
fn has_room_after(is_online: bool, change: impl FnOnce(&mut World, PeerId, [RelayId; 2])) -> bool {
    let mut world = World::new(7);
    let [full, other] = world.relays(2)[..] else { panic!() };
    let there: &[RelayId] = if is_online { &[full] } else { &[] };
    let peer = world.peer_on(&[full], there);
    world.pass(10 * SECOND);
    assert_eq!(world.connected().len(), 2);
    assert_eq!(world.plan.used(peer).is_some(), is_online);
    world.plan.handle_refused_data(peer);
    world.notices();
    change(&mut world, peer, [full, other]);
    world.pass(30 * SECOND);
    world.notices().contains(&Notice::Writable(peer))
}

#[test]
fn room_is_reported_when_a_relay_is_tied_to_a_peer_that_was_refused() {
    for is_online in [false, true] {
        assert!(!has_room_after(is_online, |_, _, _| {}));
        assert!(has_room_after(is_online, |world, peer, [_, other]| world.plan.tie(peer, other).unwrap()));
        assert!(has_room_after(is_online, |world, peer, [_, other]| world.tie_there(peer, other)));
    }
}

#[test]
fn room_is_reported_when_the_full_relay_is_gone_and_another_has_room() {
    let changes: [fn(&mut World, PeerId, RelayId); 5] = [
        |world, peer, full| _ = world.plan.untie(world.now, peer, full),
        |world, _, full| _ = world.plan.remove_relay(world.now, full),
        |world, _, full| world.set(full, Conduct::Refuses),
        |world, peer, full| world.leave(full, peer),
        |world, peer, _| _ = world.plan.set_awake(peer, false),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        for is_online in [false, true] {
            if index >= 3 && !is_online {
                continue; // out of band, only the relay counts
            }
            let has_room = has_room_after(is_online, |world, peer, [full, other]| {
                world.plan.tie(peer, other).unwrap();
                world.pass(SECOND);
                world.plan.handle_refused_data(peer);
                world.notices();
                change(world, peer, full);
            });
            assert!(has_room, "change {index}, online: {is_online}");
        }
    }
}

#[test]
fn room_is_reported_when_the_peer_comes_online_on_another_relay() {
    let has_room = has_room_after(true, |world, peer, [_, other]| {
        world.plan.tie(peer, other).unwrap();
        world.pass(SECOND);
        world.plan.handle_refused_data(peer);
        world.notices();
        world.tie_there(peer, other);
    });
    assert!(has_room);
}

#[test]
fn room_is_reported_once_a_relay_is_connected_if_all_have_ended() {
    let has_room = has_room_after(true, |world, peer, relays| {
        world.set(relays[0], Conduct::Refuses);
        world.pass(600 * SECOND);
        assert!(!world.notices().contains(&Notice::Writable(peer)), "no relay could take data");
        world.set(relays[0], Conduct::Works);
        world.pass(600 * SECOND);
    });
    assert!(has_room);
}
