//! Which keys a connection may begin with, and fresh ones for it.

use std::hash::BuildHasher;
use std::io;
use std::sync::Arc;

use rand::TryRng;
use rand::rngs::SysRng;

use crate::client::Client;
use crate::crypto::{Entropy, LongTermKey};
use crate::error::ConnectError;
use crate::key::{KeyPair, PublicKey, SecretKey};

impl Client {
    /// The key that an identity (the client's own where there is none) shares with a relay, and the hash of it. An
    /// error where the relay can't have its key, or where another connection has the same shared one.
    ///
    /// That one key is all that a handshake is sealed with. So two connections that have it could be led to each other
    /// by somebody without any key: the hello of each is a good response to that of the other.
    pub(super) fn share_key(
        &mut self,
        identity: Option<&KeyPair>,
        relay: &PublicKey,
    ) -> Result<(Arc<LongTermKey>, u64), ConnectError> {
        let own = identity.unwrap_or(&self.identity).public;
        if !relay.is_canonical() {
            return Err(ConnectError::NonCanonicalKey);
        }
        if *relay == own {
            return Err(ConnectError::OwnKey);
        }
        let long_term = match identity {
            None => self.long_term.get(&self.identity, relay),
            Some(identity) => LongTermKey::new(identity, relay).map(Arc::new),
        };
        let long_term = long_term.ok_or(ConnectError::LowOrderKey)?;
        let hash = self.hasher.hash_one(&*long_term);
        let other = match self.shared_keys.contains(&hash) {
            true => self.slots.iter().map(|(_, slot)| slot).find(|slot| slot.shared_key == hash),
            false => None,
        };
        match other {
            None => Ok((long_term, hash)),
            Some(slot) if (slot.identity(&self.identity), slot.relay_key) == (own, *relay) => {
                Err(ConnectError::AlreadyConnected(slot.connection.id()))
            }
            Some(slot) => Err(ConnectError::SameSharedKey(slot.connection.id())),
        }
    }
}

/// What the handshake of one connection needs, straight from the operating system. A random source within the program
/// would go on in the same way in both processes after a fork, and two connections would have the same keys and nonces.
pub(super) fn entropy() -> io::Result<Entropy> {
    let temporary = SecretKey::try_generate()?;
    let mut nonces = [[0; 24]; 2];
    SysRng.try_fill_bytes(nonces.as_flattened_mut())?;
    let [hello_nonce, base_nonce] = nonces.map(Into::into);
    Ok(Entropy { temporary, hello_nonce, base_nonce })
}

/// Where the generations of ids begin: anywhere, so that ids of two clients are hardly ever the same.
pub(super) fn first_generation() -> io::Result<u32> {
    Ok(SysRng.try_next_u32()?)
}
