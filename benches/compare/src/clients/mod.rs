//! The clients that are measured. Each has one connection to the relay, with one route that is online.

mod bare;
mod ours;
mod toxcore;

use std::time::Duration;

pub use bare::BareLoop;
pub use ours::OurClient;
pub use toxcore::ToxcoreClient;

use crate::address::Target;
use crate::helper::Outcome;
use tox_test_relay::session::Nonce;

/// The secret key of all clients: the relay accepts several clients with the same key.
pub const IDENTITY: [u8; 32] = [0x63; 32];

/// The limit for each wait; whatever takes longer has failed.
pub const LIMIT: Duration = Duration::from_secs(30);

pub trait Client: Sized {
    /// Connects to a relay, and opens a route to the peer whose key consists of this byte.
    fn connect(target: Target, peer: u8) -> Outcome<Self>;

    /// Sends a packet `count` times, and returns when the socket has accepted all of them.
    fn send(&mut self, data: &[u8], count: usize) -> Outcome<()>;

    /// What was sent has been read by the relay: handles what the relay answers to it.
    fn settle(&mut self) -> Outcome<()> {
        Ok(())
    }

    /// Receives this number of packets.
    fn receive(&mut self, count: usize) -> Outcome<()>;
}

/// Adds 1 to a nonce: one big-endian number of 24 bytes.
pub fn increment(nonce: &mut Nonce) {
    for byte in nonce.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return;
        }
    }
}
