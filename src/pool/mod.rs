//! The pool: each peer is reached through several relays, and to the caller it looks like one connection.
//!
//! A [`Pool`] owns a [`Client`](crate::Client) and is used like it. The caller adds relays, by the hundred if it has
//! them, and peers, and [ties](Pool::tie) to each peer the relays on which it is thought to be: those that the peer has
//! named. The pool keeps three of them connected for each peer, with routes open, sends data by the fastest, and moves
//! to the next when that one ends or falls silent.
//!
//! # Which relays are connected
//!
//! - Three for each peer that is awake, or as many as are tied to it; the fewest relays that give every peer its three.
//!   A peer has at most six routes. Three relays are connected even if there is no peer; [`Pool::set_onion_relays`] asks
//!   for more.
//! - A relay without which nothing would be missing is disconnected after 10 s. A route that is online is given up only
//!   if the peer is online on three others.
//! - A relay that fails is tried again when it is needed, after 1 s, and then pauses that are 1.6 times as long each, up
//!   to 120 s, give or take a fifth. (After an hour, if another try [hardly helps](crate::Retry).) This is forgotten when
//!   it was connected for a minute. If no relay at all is connected, it is our own network: then no relay is blamed, and
//!   all are tried again as soon as one of them works.
//! - At most 16 attempts begin at once, and one every two seconds in the long run.
//!
//! # Order, loss and duplicates
//!
//! One relay at a time carries the data to a peer, so their order is kept. It changes when the relay ends, is silent,
//! is full, loses data according to [`Pool::report`], or another one was faster by a third for a minute; then
//! [`PoolEvent::PeerMoved`] is reported. Around a change, data may be lost if the old relay has ended or is silent
//! (everything that it had not passed on, of which [`PoolEvent::RelayDown`] shows what never left), and data by the new
//! relay may overtake those by the old. Nothing is sent twice, and no numbers are added to the packets.
//!
//! # Not yet
//!
//! What is known about relays is not kept over a restart, the pings of several relays are not joined in common wake-ups,
//! forward requests cannot be sent, and a peer is not asked which relay it prefers.
//!
//! Its parts: the plan decides, without IO, and is driven in tests by events and virtual time; [`Pool`] carries out
//! what it decides, with the public interface of the client.

mod driver;
mod error;
mod event;
mod id;
mod origin;
mod plan;
mod registry;
mod status;

pub use driver::Pool;
pub use error::{AddRelayError, PoolSendError, TieError};
pub use event::{PoolEvent, PoolEvents};
pub use id::{PeerId, RelayId};
pub use origin::Origin;
pub use status::{PeerStatus, RelayStatus};
