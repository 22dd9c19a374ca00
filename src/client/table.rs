//! All connections of a client: by id, by index, and by the two keys that make one unique.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use slab::Slab;

use crate::client::slot::Slot;
use crate::id::RelayId;
use crate::key::PublicKey;

/// See the module.
pub(super) struct Table {
    slots: Slab<Slot>,
    /// Of the last connection that was begun.
    generation: u32,
    /// Indices by the hash of both public keys: 64 bits, since the keys themselves stand in the slots.
    by_keys: HashMap<u64, u32>,
    hasher: RandomState,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            slots: Slab::new(),
            // Anywhere, so that ids of two clients are hardly ever the same.
            generation: rand::random(),
            by_keys: HashMap::new(),
            hasher: RandomState::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = RelayId> {
        self.slots.iter().map(|(_, slot)| slot.connection.id())
    }

    /// `None` for a stale id.
    pub(super) fn get(&self, id: RelayId) -> Option<&Slot> {
        self.slots.get(id.index as usize).filter(|slot| slot.connection.id() == id)
    }

    /// `None` for a stale id.
    pub(super) fn get_mut(&mut self, id: RelayId) -> Option<&mut Slot> {
        self.slots.get_mut(id.index as usize).filter(|slot| slot.connection.id() == id)
    }

    /// The connection that has this index now.
    pub(super) fn at_mut(&mut self, index: usize) -> Option<&mut Slot> {
        self.slots.get_mut(index)
    }

    /// The connection of this identity to this relay.
    pub(super) fn find(&self, identity: &PublicKey, relay: &PublicKey) -> Option<RelayId> {
        let index = self.by_keys.get(&self.hash(identity, relay))?;
        let slot = self.slots.get(*index as usize)?;
        ((slot.identity, slot.relay_key) == (*identity, *relay)).then(|| slot.connection.id())
    }

    /// The id that the next connection will have.
    pub(super) fn next_id(&self) -> RelayId {
        let index = self.slots.vacant_key() as u32;
        RelayId { index, generation: self.generation.wrapping_add(1) }
    }

    /// Adds the connection that was made with [`next_id`](Self::next_id).
    pub(super) fn insert(&mut self, slot: Slot) {
        let id = slot.connection.id();
        let keys = self.hash(&slot.identity, &slot.relay_key);
        let index = self.slots.insert(slot);
        debug_assert_eq!(id, RelayId { index: index as u32, generation: self.generation.wrapping_add(1) });
        self.generation = id.generation;
        self.by_keys.insert(keys, id.index);
    }

    /// Takes a connection out.
    pub(super) fn remove(&mut self, id: RelayId) -> Option<Slot> {
        self.get(id)?;
        let slot = self.slots.remove(id.index as usize);
        let keys = self.hash(&slot.identity, &slot.relay_key);
        if self.by_keys.get(&keys) == Some(&id.index) {
            self.by_keys.remove(&keys);
        }
        Some(slot)
    }

    fn hash(&self, identity: &PublicKey, relay: &PublicKey) -> u64 {
        self.hasher.hash_one((identity, relay))
    }
}
