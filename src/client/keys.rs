//! Which keys a connection may begin with, and fresh ones for it.

use std::io;

use rand::TryRng;
use rand::rngs::SysRng;

use crate::crypto::Entropy;
use crate::error::ConnectError;
use crate::key::{PublicKey, SecretKey};

/// Refuses a relay's key that no relay has, or that is our own.
pub(super) fn check(identity: &PublicKey, relay: &PublicKey) -> Result<(), ConnectError> {
    if !relay.is_canonical() {
        Err(ConnectError::NonCanonicalKey)
    } else if relay == identity {
        Err(ConnectError::OwnKey)
    } else {
        Ok(())
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
