//! What the long-term keys of a client and a relay come to: the box of their handshakes.

use std::collections::HashMap;
use std::sync::Arc;

use crypto_box::{PublicKey as BoxPublicKey, SalsaBox};
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::traits::IsIdentity;

use crate::key::{KEY_LEN, KeyPair, PublicKey, SecretKey};

/// Costs a scalar multiplication to make, some 50 microseconds. Wipes its key when dropped.
pub(crate) struct LongTermBox {
    pub(super) client: PublicKey,
    pub(super) cipher: SalsaBox,
}

impl LongTermBox {
    /// `None` for a relay's key of low order, which it can't have.
    pub(crate) fn new(client: &KeyPair, relay: &PublicKey) -> Option<Self> {
        if is_low_order(relay) {
            return None;
        }
        let secret = BoxSecretKey::new(&client.secret);
        let cipher = SalsaBox::new(&BoxPublicKey::from_bytes(*relay.as_bytes()), &secret.0);
        Some(Self { client: client.public, cipher })
    }
}

/// The most relays that are remembered: some 100 KiB.
const MAX_REMEMBERED: usize = 1024;

/// The boxes of one identity, kept for the next connection to the same relay.
#[derive(Default)]
pub(crate) struct LongTermBoxes(HashMap<PublicKey, Arc<LongTermBox>>);

impl LongTermBoxes {
    /// As [`LongTermBox::new`], for the one `client` that this belongs to.
    pub(crate) fn get(&mut self, client: &KeyPair, relay: &PublicKey) -> Option<Arc<LongTermBox>> {
        if let Some(known) = self.0.get(relay) {
            return Some(Arc::clone(known));
        }
        let new = Arc::new(LongTermBox::new(client, relay)?);
        if self.0.len() == MAX_REMEMBERED {
            self.0.clear();
        }
        self.0.insert(*relay, Arc::clone(&new));
        Some(new)
    }
}

/// Whether this is a point of low order. It has only a few multiples, so anybody can find the key that it shares with a
/// secret one. No honest side has such a key, and RFC 7748, section 6.1, says to refuse it.
pub(super) fn is_low_order(key: &PublicKey) -> bool {
    // Their orders are 1, 2, 4 and 8, so 8 is what takes exactly these points to zero.
    let eight = [true, false, false, false];
    MontgomeryPoint(*key.as_bytes()).mul_bits_be(eight.into_iter()).is_identity()
}

/// A secret key of `crypto_box` that is wiped whole when dropped. Version 0.9.1 itself wipes the scalar and forgets the
/// bytes that it keeps beside it.
pub(super) struct BoxSecretKey(pub(super) crypto_box::SecretKey);

impl BoxSecretKey {
    pub(super) fn new(key: &SecretKey) -> Self {
        Self(crypto_box::SecretKey::from_bytes(*key.as_bytes()))
    }

    pub(super) fn wipe(&mut self) {
        self.0 = crypto_box::SecretKey::from_bytes([0; KEY_LEN]);
        // Or the compiler would drop the assignment to what is about to be dropped.
        std::hint::black_box(&self.0);
    }
}

impl Drop for BoxSecretKey {
    fn drop(&mut self) {
        self.wipe();
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
        let mut boxes = LongTermBoxes::default();
        let first = boxes.get(&client, &relay(0)).expect("a good key");
        assert!(Arc::ptr_eq(&first, &boxes.get(&client, &relay(0)).expect("a good key")));
        for number in 0..3000 {
            boxes.get(&client, &relay(number)).expect("a good key");
            assert!(boxes.0.len() <= MAX_REMEMBERED);
        }
        assert!(boxes.get(&client, &[0; 32].into()).is_none());
    }
}
