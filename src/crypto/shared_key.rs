//! What the long-term keys of a client and a relay come to: the key of the boxes of their handshakes.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::crypto::secretbox::{Key, hsalsa20};
use crate::key::{KeyPair, PublicKey, SecretKey};

/// Costs a scalar multiplication to make, 25 to 50 microseconds. Wiped when dropped.
pub struct SharedKey {
    pub(super) client: PublicKey,
    pub(super) key: Key,
}

impl SharedKey {
    /// `None` for a relay's key of low order, which it can't have.
    pub fn new(client: &KeyPair, relay: &PublicKey) -> Option<Self> {
        Some(Self { client: client.public, key: box_key(&client.secret, relay)? })
    }
}

/// By the shared key alone, which tells what can be led to each other: a hello that was sealed with it is a good
/// response to any other hello that was. Both sides have the same one, and all forms of a public key come to the same
/// one.
impl Hash for SharedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.0.hash(state);
    }
}

/// The key that NaCl makes of a secret and a public one; `None` where the public one is of low order: it has only a few
/// multiples, so that anybody could find this key. No honest side has such a key, and RFC 7748, section 6.1, says to
/// refuse it.
pub(super) fn box_key(secret: &SecretKey, public: &PublicKey) -> Option<Key> {
    secret.with_shared_point(public, |point| hsalsa20(&Key::from(point), &[0; 16]))
}

/// The most relays that are remembered: some 100 KiB.
const MAX_REMEMBERED: usize = 1024;

/// The keys of one identity, kept for the next connection to the same relay.
#[derive(Default)]
pub(crate) struct SharedKeys(HashMap<PublicKey, Arc<SharedKey>>);

impl SharedKeys {
    /// As [`SharedKey::new`], for the one `client` that this belongs to.
    pub(crate) fn get(&mut self, client: &KeyPair, relay: &PublicKey) -> Option<Arc<SharedKey>> {
        if let Some(known) = self.0.get(relay) {
            return Some(Arc::clone(known));
        }
        let new = Arc::new(SharedKey::new(client, relay)?);
        if self.0.len() == MAX_REMEMBERED
            && let Some(any) = self.0.keys().next().copied()
        {
            self.0.remove(&any);
        }
        self.0.insert(*relay, Arc::clone(&new));
        Some(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_relay_costs_nothing_and_there_is_a_bound() {
        let client = KeyPair::from(SecretKey::from([1; 32]));
        // Not of low order, and cheaper than true keys.
        let relay = |number: u32| PublicKey::from(std::array::from_fn(|at| number.to_le_bytes()[at % 4] | 2));
        let mut keys = SharedKeys::default();
        let first = keys.get(&client, &relay(0)).expect("a good key");
        assert!(Arc::ptr_eq(&first, &keys.get(&client, &relay(0)).expect("a good key")));
        for number in 0..3000 {
            keys.get(&client, &relay(number)).expect("a good key");
            assert!(keys.0.len() <= MAX_REMEMBERED);
        }
        assert!(keys.get(&client, &[0; 32].into()).is_none());
    }
}
