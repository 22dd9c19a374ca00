//! Those who are measured: each has one connection to the relay, with one route that is online.

mod bare;
mod ours;
mod theirs;

use std::time::Duration;

pub use bare::Bare;
pub use ours::Ours;
pub use theirs::Theirs;

use crate::address::Target;
use crate::helper::Outcome;
use tox_test_relay::session::Nonce;

/// The secret key of each client: the relay does not mind that it is one.
pub const IDENTITY: [u8; 32] = [0x63; 32];

/// How long anything may take that the relay has to answer.
pub const LIMIT: Duration = Duration::from_secs(30);

pub trait Client: Sized {
    /// Connects to a relay, and opens a route to the peer whose key consists of this byte.
    fn connect(target: Target, peer: u8) -> Outcome<Self>;

    /// Sends a packet so many times, until the socket has all of them.
    fn send(&mut self, data: &[u8], count: usize) -> Outcome<()>;

    /// Takes in so many packets.
    fn receive(&mut self, count: usize) -> Outcome<()>;
}

/// The next nonce: +1 over all 24 bytes, the last one first.
pub fn increment(nonce: &mut Nonce) {
    for byte in nonce.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return;
        }
    }
}
