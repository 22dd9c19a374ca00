//! The shared key of a client and a relay, computed from their long-term keys. It seals the boxes of their handshakes.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::crypto::secretbox::{Key, hsalsa20};
use crate::error::ConnectError;
use crate::key::{KeyPair, PublicKey, SecretKey};

/// The shared key of a client and a relay, computed from their long-term keys.
///
/// Computing it takes one scalar multiplication, 25 to 50 microseconds: keep it for the next connection to the same
/// relay. It is wiped when it is dropped.
pub struct SharedKey {
    pub(super) client: PublicKey,
    pub(super) key: Key,
}

impl SharedKey {
    /// The shared key of these two.
    ///
    /// # Errors
    ///
    /// No relay can have this key, or it is the client's own: [`ConnectError::NonCanonicalKey`],
    /// [`OwnKey`](ConnectError::OwnKey), [`LowOrderKey`](ConnectError::LowOrderKey).
    pub fn new(client: &KeyPair, relay: &PublicKey) -> Result<Self, ConnectError> {
        if !relay.is_canonical() {
            return Err(ConnectError::NonCanonicalKey);
        }
        if *relay == client.public {
            return Err(ConnectError::OwnKey);
        }
        let key = box_key(&client.secret, relay).ok_or(ConnectError::LowOrderKey)?;
        Ok(Self { client: client.public, key })
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKey(..)")
    }
}

/// Only the shared key is hashed. It decides which connections an attacker can connect to each other: a hello sealed
/// with it is a valid response to any other hello sealed with it. The shared key is the same for both sides, and for
/// all encodings of a public key.
impl Hash for SharedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.0.hash(state);
    }
}

/// The key that NaCl derives from a secret and a public key; `None` if the public key is of low order. With such a key,
/// X25519 returns zero for each secret key, so anyone would know the derived key. No honest side has such a public
/// key, and RFC 7748, section 6.1, allows rejecting it.
pub(super) fn box_key(secret: &SecretKey, public: &PublicKey) -> Option<Key> {
    secret.with_shared_point(public, |point| hsalsa20(&Key::from(point), &[0; 16]))
}

/// The maximum number of cached keys: about 130 KiB. A hash table with one more would be twice as large.
const MAX_CACHED: usize = 896;

/// The shared keys of one identity, cached for the next connection to the same relay.
#[derive(Default)]
pub(crate) struct SharedKeys(HashMap<PublicKey, Arc<SharedKey>>);

impl SharedKeys {
    /// Like [`SharedKey::new`], but cached. `client` must be the same in each call.
    pub(crate) fn get(
        &mut self,
        client: &KeyPair,
        relay: &PublicKey,
    ) -> Result<Arc<SharedKey>, ConnectError> {
        if let Some(known) = self.0.get(relay) {
            return Ok(Arc::clone(known));
        }
        let new = Arc::new(SharedKey::new(client, relay)?);
        if self.0.len() == MAX_CACHED
            && let Some(any) = self.0.keys().next().copied()
        {
            self.0.remove(&any);
        }
        self.0.insert(*relay, Arc::clone(&new));
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_returns_the_same_key_and_is_bounded() {
        let client = KeyPair::from(SecretKey::from([1; 32]));
        // Not of low order, and cheaper to create than real keys.
        let relay = |number: u32| PublicKey::from(std::array::from_fn(|at| number.to_le_bytes()[at % 4] | 2));
        let mut keys = SharedKeys::default();
        let first = keys.get(&client, &relay(0)).expect("a good key");
        assert!(Arc::ptr_eq(&first, &keys.get(&client, &relay(0)).expect("a good key")));
        for number in 0..3000 {
            keys.get(&client, &relay(number)).expect("a good key");
            assert!(keys.0.len() <= MAX_CACHED);
        }
        assert!(keys.get(&client, &[0; 32].into()).is_err());
    }
}
