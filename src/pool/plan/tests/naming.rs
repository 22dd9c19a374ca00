//! Which relays are known, and who has named them.

use super::World;
use crate::config::Relay;
use crate::key::PublicKey;
use crate::pool::error::AddRelayError;
use crate::pool::id::{PeerId, RelayId};
use crate::pool::origin::Origin;

/// The relay with this key at so many addresses, which begin with these numbers.
fn relay(key: PublicKey, network: &str, addresses: usize) -> Relay {
    let address = |last: usize| format!("{network}.{last}:443");
    (2..=addresses)
        .fold(Relay::new(address(1).as_str(), key), |relay, last| relay.address(address(last).as_str()))
}

fn addresses(world: &World, id: RelayId) -> Vec<String> {
    let addresses = world.plan.relay(id).unwrap().relay.addresses().unwrap();
    addresses.iter().map(ToString::to_string).collect()
}

#[test]
fn one_peer_leaves_room_for_the_addresses_that_others_name() {
    let mut world = World::new(1);
    let key = world.key();
    let [bad, friend] = [world.peer(&[]), world.peer(&[])].map(|peer| Origin::Peer { peer, is_local: false });
    let id = world.plan.add_relay(relay(key, "8.8.1", 16), bad).unwrap();
    assert_eq!(addresses(&world, id).len(), 4);
    world.plan.add_relay(relay(key, "8.8.2", 16), bad).unwrap();
    assert_eq!(addresses(&world, id).len(), 4, "four in all, however often it names some");
    world.plan.add_relay(relay(key, "9.9.9", 1), friend).unwrap();
    assert!(addresses(&world, id).contains(&"9.9.9.1:443".to_owned()));
    world.plan.add_relay(relay(key, "9.9.9", 16), friend).unwrap();
    assert_eq!(addresses(&world, id).len(), 8);
    // Those of a list replace what peers have said, and the user's come first, whoever says what then.
    world.plan.add_relay(relay(key, "7.7.7", 15), Origin::List).unwrap();
    assert_eq!(addresses(&world, id).len(), 15);
    world.plan.add_relay(relay(key, "6.6.6", 3), Origin::User).unwrap();
    world.plan.add_relay(relay(key, "8.8.3", 16), bad).unwrap();
    world.plan.add_relay(relay(key, "7.7.8", 16), Origin::List).unwrap();
    let addresses = addresses(&world, id);
    assert_eq!(addresses.len(), 16);
    assert_eq!(addresses[..4], ["6.6.6.1:443", "6.6.6.2:443", "6.6.6.3:443", "7.7.7.1:443"]);
}

#[test]
fn a_relay_that_two_peers_have_named_stays_until_both_are_removed() {
    let mut world = World::new(2);
    let key = world.key();
    let peers = [world.peer(&[]), world.peer(&[])];
    let origins = peers.map(|peer| Origin::Peer { peer, is_local: false });
    let id = world.plan.add_relay(relay(key, "8.8.8", 1), origins[0]).unwrap();
    assert_eq!(world.plan.add_relay(relay(key, "8.8.8", 1), origins[1]), Ok(id));
    world.plan.remove_peer(world.now, peers[0]);
    assert_eq!(world.plan.relay(id).unwrap().origin, origins[1]);
    assert_eq!(world.plan.remember(world.now).relays.len(), 1);
    world.plan.remove_peer(world.now, peers[1]);
    assert!(world.plan.relay(id).is_none());
}

#[test]
fn what_peers_name_is_counted_for_each_of_them_and_not_if_it_is_our_own() {
    let mut world = World::new(3);
    let peer = world.peer(&[]);
    let named = Origin::Peer { peer, is_local: false };
    let keys: Vec<PublicKey> = (0..25).map(|_| world.key()).collect();
    let mut add = |key, origin| world.plan.add_relay(relay(key, "8.8.8", 1), origin);
    let ids: Vec<RelayId> = keys[..24].iter().map(|key| add(*key, named).unwrap()).collect();
    assert_eq!(add(keys[24], named), Err(AddRelayError::TooMany));
    assert_eq!(add(keys[0], named), Ok(ids[0]), "it is known already");
    assert_eq!(add(keys[0], Origin::List), Ok(ids[0]));
    assert_eq!(add(keys[0], named), Ok(ids[0]));
    assert!(add(keys[24], named).is_ok(), "the first one is not the peer's any more");
    assert!(world.plan.remove_relay(world.now, ids[1]));
    assert!(world.plan.add_relay(relay(keys[1], "8.8.8", 1), named).is_ok());
    world.plan.remove_peer(world.now, peer);
    assert_eq!(world.plan.relays().map(|(id, _)| id).collect::<Vec<_>>(), [ids[0]]);
}

#[test]
fn the_user_and_lists_name_4096_relays() {
    let mut world = World::new(4);
    let peer = world.peer(&[]);
    let own = world.relays(4_096);
    let named = world.relay(Origin::Peer { peer, is_local: false });
    let key = world.plan.relay(named).unwrap().relay.public_key();
    let mut add = |key| world.plan.add_relay(relay(key, "8.8.8", 1), Origin::List);
    assert_eq!(add(key), Err(AddRelayError::TooMany), "it would not be the peer's any more");
    assert!(world.plan.remove_relay(world.now, own[0]));
    let mut add = |key| world.plan.add_relay(relay(key, "8.8.8", 1), Origin::List);
    assert_eq!(add(key), Ok(named));
}

#[test]
fn the_addresses_of_a_removed_peer_leave_room_for_those_of_others() {
    let mut world = World::new(5);
    let key = world.key();
    let peers: Vec<PeerId> = (0..5).map(|_| world.peer(&[])).collect();
    let origin = |peer| Origin::Peer { peer, is_local: false };
    let id = world.plan.add_relay(relay(key, "9.9.9", 2), origin(peers[0])).unwrap();
    for (number, peer) in peers[1..].iter().enumerate() {
        world.plan.add_relay(relay(key, &format!("8.8.{number}"), 8), origin(*peer)).unwrap();
    }
    assert_eq!(addresses(&world, id).len(), 16);
    peers[1..].iter().for_each(|peer| assert!(world.plan.remove_peer(world.now, *peer)));
    assert_eq!(addresses(&world, id), ["9.9.9.1:443", "9.9.9.2:443"]);
    let friend = world.peer(&[]);
    world.plan.add_relay(relay(key, "7.7.7", 1), origin(friend)).unwrap();
    assert!(addresses(&world, id).contains(&"7.7.7.1:443".to_owned()));
}

#[test]
fn an_address_that_two_peers_have_named_stays_when_the_first_of_them_is_removed() {
    let mut world = World::new(6);
    let key = world.key();
    let peers = [world.peer(&[]), world.peer(&[])];
    let origins = peers.map(|peer| Origin::Peer { peer, is_local: false });
    let id = world.plan.add_relay(relay(key, "8.8.8", 3), origins[0]).unwrap();
    world.plan.add_relay(relay(key, "8.8.8", 6), origins[1]).unwrap();
    assert_eq!(addresses(&world, id).len(), 6);
    world.plan.remove_peer(world.now, peers[0]);
    assert_eq!(addresses(&world, id), [1, 2, 3, 4].map(|last| format!("8.8.8.{last}:443")));
}

#[test]
fn relays_of_a_peer_that_were_untied_leave_room_for_others() {
    let mut world = World::new(7);
    let peer = world.peer(&[]);
    let other = world.peer(&[]);
    let origin = Origin::Peer { peer, is_local: false };
    for _ in 0..100 {
        let id = world.relay(origin);
        world.plan.tie(peer, id).unwrap();
        assert!(world.plan.untie(world.now, peer, id));
        assert!(world.plan.relay(id).is_none(), "nobody names it");
    }
    // One that somebody else uses stays.
    let id = world.relay(origin);
    world.plan.tie(peer, id).unwrap();
    world.plan.tie(other, id).unwrap();
    assert!(world.plan.untie(world.now, peer, id));
    assert!(world.plan.relay(id).is_some());
    assert!(world.plan.untie(world.now, other, id));
    assert_eq!(world.plan.relays().count(), 0);
}

#[test]
fn a_peer_that_names_the_users_relay_with_an_address_of_its_own_network_gets_its_id() {
    let mut world = World::new(1);
    let relay = world.relay(Origin::User);
    let known = world.plan.relay(relay).unwrap().relay.clone();
    let peer = world.peer(&[]);
    let named = Relay::new("192.168.1.1:443", known.public_key());
    let origin = Origin::Peer { peer, is_local: false };
    assert_eq!(world.plan.add_relay(named, origin), Ok(relay));
    assert_eq!(world.plan.relay(relay).unwrap().relay, known);
}
