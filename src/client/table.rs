//! All connections of a client, found by id, by index, or by the key that each shares with its relay.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use slab::Slab;

use crate::client::keys::SharedKeyHash;
use crate::client::slot::Slot;
use crate::crypto::SharedKey;
use crate::id::{ConnectionId, INDEX_BITS, RouteId};

/// The most connections of one client.
pub(super) const MAX_CONNECTIONS: usize = 1 << INDEX_BITS;

/// See the module.
pub(super) struct Table {
    slots: Slab<Slot>,
    /// The generation of the newest connection.
    generation: u32,
    /// The generation of the newest route, of any connection: a route's id contains no other.
    route_generation: u32,
    /// Indices by [`hash`](Self::hash): no two connections may have the same shared key.
    by_shared_key: HashMap<SharedKeyHash, u32>,
    hasher: RandomState,
}

impl Table {
    pub(super) fn new(first_generation: u32) -> Self {
        Self {
            slots: Slab::new(),
            generation: first_generation,
            route_generation: first_generation,
            by_shared_key: HashMap::new(),
            hasher: RandomState::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ConnectionId> {
        self.slots.iter().map(|(_, slot)| slot.connection.id())
    }

    /// `None` for a stale id.
    pub(super) fn get(&self, id: ConnectionId) -> Option<&Slot> {
        self.slots.get(id.index as usize).filter(|slot| slot.connection.id() == id)
    }

    /// `None` for a stale id.
    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Slot> {
        self.slots.get_mut(id.index as usize).filter(|slot| slot.connection.id() == id)
    }

    /// The generation of the next route.
    pub(super) fn next_route_generation(&mut self) -> u32 {
        self.route_generation = self.route_generation.wrapping_add(1);
        self.route_generation
    }

    /// The connection that a route may belong to: the one that has its index now.
    pub(super) fn of_route(&self, route: RouteId) -> Option<&Slot> {
        self.slots.get(route.index() as usize)
    }

    /// The connection that has this index now.
    pub(super) fn at_mut(&mut self, index: usize) -> Option<&mut Slot> {
        self.slots.get_mut(index)
    }

    /// The hash of a shared key: 64 bits, with a secret seed. In about one of 10^11 clients with 10,000
    /// keys, two have the same hash.
    pub(super) fn hash(&self, shared_key: &SharedKey) -> SharedKeyHash {
        self.hasher.hash_one(shared_key).into()
    }

    /// The connection whose shared key has this hash.
    ///
    /// Both messages of a handshake are sealed with this key alone. If two connections had the same one, an attacker
    /// without any key could connect them to each other: the hello of each is a valid response to the hello of the
    /// other.
    pub(super) fn with_shared_key(&self, hash: SharedKeyHash) -> Option<&Slot> {
        self.slots.get(*self.by_shared_key.get(&hash)? as usize)
    }

    /// The id of the next connection; `None` if there are already as many as possible.
    pub(super) fn next_id(&self) -> Option<ConnectionId> {
        let index = self.slots.vacant_key();
        let generation = self.generation.wrapping_add(1);
        (index < MAX_CONNECTIONS).then_some(ConnectionId { index: index as u32, generation })
    }

    /// Adds the connection whose id is from [`next_id`](Self::next_id).
    pub(super) fn insert(&mut self, slot: Slot) {
        let id = slot.connection.id();
        let shared_key = slot.keys.shared_key_hash;
        let index = self.slots.insert(slot);
        debug_assert_eq!(
            id,
            ConnectionId { index: index as u32, generation: self.generation.wrapping_add(1) }
        );
        self.generation = id.generation;
        self.by_shared_key.insert(shared_key, id.index);
    }

    /// Removes a connection.
    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Slot> {
        self.get(id)?;
        let slot = self.slots.remove(id.index as usize);
        self.by_shared_key.remove(&slot.keys.shared_key_hash);
        Some(slot)
    }
}
