//! The random values of connections, and the hash of a shared key.

use std::io;
use std::num::NonZeroU64;

use rand::rngs::{StdRng, SysRng};
use rand::{RngExt, SeedableRng, TryRng};

use crate::crypto::Entropy;
use crate::key::SecretKey;

/// The hash of the key that a connection shares with its relay, with a secret seed. In two halves: with an index it
/// takes 12 bytes in a table, and not 16.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SharedKeyHash([u32; 2]);

impl From<u64> for SharedKeyHash {
    fn from(hash: u64) -> Self {
        Self([hash as u32, (hash >> 32) as u32])
    }
}

/// The random values for the handshake of one connection, directly from the operating system. After a fork, a random
/// generator inside the program would produce the same values in both processes, and two connections would have the
/// same keys and nonces.
pub(super) fn entropy() -> io::Result<Entropy> {
    let temporary = SecretKey::try_generate()?;
    let mut nonces = [[0; 24]; 2];
    SysRng.try_fill_bytes(nonces.as_flattened_mut())?;
    let [hello_nonce, base_nonce] = nonces;
    Ok(Entropy { temporary, hello_nonce, base_nonce })
}

/// The first generation of ids. It is random, so that the ids of two clients are almost never equal.
pub(super) fn first_generation() -> io::Result<u32> {
    Ok(SysRng.try_next_u32()?)
}

/// Ping ids that no relay can predict. (After a fork, both processes generate the same ids. A relay to which both are
/// connected could predict them, but would gain nothing: a pong counts only after its ping was sent.)
///
/// Not from the generator of the thread: it is gone when programs free a client in `atexit`, or at the end of a thread.
pub(super) struct PingIds(StdRng);

impl PingIds {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(StdRng::try_from_rng(&mut SysRng)?))
    }

    pub(super) fn next(&mut self) -> NonZeroU64 {
        self.0.random()
    }
}
