//! The pool: each peer is reached through several relays, and to the caller it looks like one connection.
//!
//! A [`Pool`] owns a [`Client`](crate::Client) and is used like it. The caller adds relays, by the hundred if it has
//! them, and peers, and [ties](Pool::tie) to each peer the relays on which it is thought to be: those that the peer has
//! named. The pool keeps three of them connected for each peer, with routes open, sends data by the fastest, and moves
//! to the next when that one ends or falls silent. Two methods of the client are missing, since a pool does this by
//! itself: it makes its own sockets (`connect_with`), and asks relays that do not answer (`ping`);
//! [`Pool::network_changed`] asks all of them at once.
//!
//! # Which relays are connected
//!
//! - Three for each peer that is awake, or as many as are tied to it; the fewest relays that give every peer its three,
//!   and of those the ones with the best [score](RelayStatus::score). A peer has at most six routes
//!   ([`Pool::set_relays_per_peer`]). Three relays are connected even if there is no peer; [`Pool::set_onion_relays`]
//!   asks for more. In all there are at most 128 ([`Pool::set_max_connections`]); a relay has at most 240 routes, and one
//!   that is full is passed over.
//! - If more relays are wanted than may be connected, each peer gets one before any gets its second.
//! - A peer that stays offline on the relays that are connected for it is looked for on its others: at most four are tried
//!   at a time, with the common pings, and then the pauses between rounds grow from a minute to four hours. A relay that
//!   has no route for the peer, or is paused since it has failed, is left to the next round.
//! - A relay without which nothing would be missing is disconnected after 10 s, or up to a minute later, when all is sent
//!   that was queued there. A route that is online is given up only if the peer is online on three others.
//! - A relay that fails is tried again when it is needed, after 1 s, and then pauses that are 1.6 times as long each, up
//!   to 120 s, give or take a fifth. (After an hour, if another try [hardly helps](crate::Retry).) This is forgotten when
//!   it was connected for a minute. If no relay at all is connected, it is our own network, unless the last one has just
//!   given up its place to another: then no relay is blamed or paused for an hour, not even for what failed in the 40 s
//!   before, and all are tried again as soon as one of them works. (A relay that ends within a minute after it was
//!   connected is blamed all the same, and one to which no attempt [can begin](PoolEvent::RelayRefused) keeps its pause.)
//!   Another address of a relay, another proxy and another network end the pauses.
//! - At most 16 attempts begin at once, and one every two seconds in the long run; relays that were tried in vain leave
//!   them to others. A relay that is not connected after 1 s is tried further, and another one besides it.
//! - A peer adds at most 24 relays, with 4 addresses each, and none in a local network ([`Origin::Peer`]); the user and
//!   lists add 4096.
//!
//! # The search for offline peers
//!
//! It begins at the second common ping after a peer went offline, 29 to 58 s later, and goes in rounds. In a round, each
//! common ping connects one more of the peer's relays for 20 s; relays are tried for all offline peers at once that are
//! tied to them. So a round with 24 relays takes ten minutes, and longer if the peers have different ones. The relays that
//! were chosen first stay connected meanwhile; but if there are as many connections as are allowed, each relay that is
//! tried replaces one that carries no data.
//!
//! A peer that comes online on a relay that is connected for it is found at once. If it is a pool as well, and our relays
//! are tied to us there, it looks for us, too, and finds us in its first round, within 11 minutes. Otherwise it is found
//! in our next round: at worst after four and a half hours, if it was offline for as long before.
//!
//! # Order, loss and duplicates
//!
//! One relay at a time carries the data to a peer, so their order is kept: the fastest, but one that has failed since it
//! was last connected for a minute only if there is no other. It changes when the relay
//! ends, is silent (5 s after data were sent, in which nothing was heard; on a slow line 3 s and two round trips, at
//! most 11 s), is full, loses data according to [`Pool::report`], or another one was faster by a third for a minute;
//! then [`PoolEvent::PeerMoved`] tells which. Around a change, data may be lost if the old relay has ended or is
//! silent (everything that it had not passed on: in the [status](crate::ConnectionStatus) that
//! [`PoolEvent::RelayDown`] carries, `queued` is what never left, and `unconfirmed` contains what it may not have
//! read; only the peer knows more), and data by the new relay may overtake those by the old: often, if the caller
//! always fills the queues ([`Pool::send`]). Nothing is sent twice, and no numbers are added to the packets.
//!
//! # Power
//!
//! The pings of all relays leave together, 29 s after the last ones, and whatever else the pool does regularly is done
//! then: an idle pool wakes up for these and their pongs, and for what relays send. (A relay pings each client every 30
//! s, too, at a time of its own.) Peers that sleep have no routes.
//!
//! # Memory over a restart
//!
//! [`Pool::remember`] returns what is known of relays and which peers are tied to them, as plain data, and
//! [`Pool::recall`] puts it in again, so that the next start tries first what was good.
//!
//! # Inside
//!
//! The plan decides, without IO, and is driven in tests by events and virtual time; [`Pool`] carries out what it decides,
//! with the public interface of the client.

mod driver;
mod error;
mod event;
mod events;
mod exchange;
mod id;
mod interface;
mod lookup;
mod main_loop;
mod origin;
mod plan;
mod registry;
mod remembered;
mod settings;
mod status;

pub use error::{AddRelayError, PoolSendError, TieError};
pub use event::{MoveCause, OwnedPoolEvent, PoolEvent, PoolEventWith};
pub use events::{Iter, PoolEvents};
pub use id::{PeerId, RelayId};
pub use interface::Pool;
pub use origin::Origin;
pub use remembered::{Remembered, RememberedOrigin, RememberedPeer, RememberedRelay};
pub use status::{PeerStatus, RelayStatus};
