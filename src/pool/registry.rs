//! Peers and relays under ids with generations, so that a stale id never means another peer or relay.

use slab::Slab;

/// Values under ids that are not used twice.
pub(super) struct Registry<T> {
    slots: Slab<Slot<T>>,
    /// The generation of the next value.
    generation: u32,
}

struct Slot<T> {
    generation: u32,
    value: T,
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Self { slots: Slab::new(), generation: 0 }
    }
}

impl<T> Registry<T> {
    /// Adds a value, and returns its id: the generation in the upper 32 bits, an index in the lower.
    pub(super) fn insert(&mut self, value: T) -> u64 {
        let generation = self.generation;
        self.generation = generation.wrapping_add(1);
        id(self.slots.insert(Slot { generation, value }), generation)
    }

    pub(super) fn get(&self, id: u64) -> Option<&T> {
        let (index, generation) = parts(id);
        let slot = self.slots.get(index)?;
        (slot.generation == generation).then_some(&slot.value)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        let (index, generation) = parts(id);
        let slot = self.slots.get_mut(index)?;
        (slot.generation == generation).then_some(&mut slot.value)
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<T> {
        self.get(id)?;
        self.slots.try_remove(parts(id).0).map(|slot| slot.value)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().map(|(_, slot)| &mut slot.value)
    }

    /// All values with their ids, in an order that depends on nothing but the calls before.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.slots.iter().map(|(index, slot)| (id(index, slot.generation), &slot.value))
    }

    /// The same, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut T)> {
        self.slots.iter_mut().map(|(index, slot)| (id(index, slot.generation), &mut slot.value))
    }
}

fn id(index: usize, generation: u32) -> u64 {
    u64::from(generation) << 32 | index as u64
}

fn parts(id: u64) -> (usize, u32) {
    (id as u32 as usize, (id >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_id_never_means_another_value() {
        let mut registry = Registry::default();
        let first = registry.insert('a');
        assert_eq!(registry.remove(first), Some('a'));
        let second = registry.insert('b');
        assert_ne!(first, second);
        assert_eq!(registry.get(first), None);
        assert_eq!(registry.get_mut(first), None);
        assert_eq!(registry.remove(first), None);
        assert_eq!(registry.iter().collect::<Vec<_>>(), [(second, &'b')]);
    }
}
