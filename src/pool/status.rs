//! What a pool knows about its peers and relays.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Relay;
use crate::error::ConnectError;
use crate::id::ConnectionId;
use crate::key::PublicKey;
use crate::pool::id::{PeerId, RelayId};
use crate::pool::origin::Origin;

/// A peer of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStatus {
    /// Its id.
    pub id: PeerId,
    /// Its public key.
    pub public_key: PublicKey,
    /// The token of [`Pool::add_peer_with_token`](crate::pool::Pool::add_peer_with_token), or 0.
    pub token: u64,
    /// Whether it is to be reached through relays.
    pub is_awake: bool,
    /// The relay that carries its data. It is online if there is one: see
    /// [`Pool::is_online`](crate::pool::Pool::is_online), which costs less than this status.
    pub used: Option<RelayId>,
    /// The relays on which it is online.
    pub online: Vec<RelayId>,
    /// The relays that are tied to it.
    pub tied: Vec<RelayId>,
}

/// A relay of a pool.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RelayStatus {
    /// Its id.
    pub id: RelayId,
    /// Its addresses and key.
    pub relay: Relay,
    /// Where it was learnt.
    pub origin: Origin,
    /// Its connection, for [`Client::connection`](crate::Client::connection); `None` if there is none.
    pub connection: Option<ConnectionId>,
    /// Whether it is connected.
    pub is_connected: bool,
    /// Whether data were sent, and it has not answered a ping for two seconds. Others are preferred.
    pub is_silent: bool,
    /// What it is worth, above 0 and at most 1. The relays with the highest scores are connected, as far as they serve
    /// as many peers. It is the product of:
    ///
    /// | factor | because of |
    /// | --- | --- |
    /// | 1, 1/4, 1/16 | the origin: the user, a list, a peer |
    /// | 1 / (1 + round trip / 200 ms) | its speed; 1/2 if that is not known |
    /// | 1 / (1 + `failures`) | its reliability |
    /// | 1/2, growing to 1 in an hour of `up_time` | its constancy |
    /// | 10⁻⁶ / `lost`, if that is 2 or more | data that were lost |
    /// | 10⁻³, if `is_silent` | its silence |
    pub score: f64,
    /// How long it was connected, all in all; with what was [recalled](crate::pool::Pool::recall).
    pub up_time: Duration,
    /// The smoothed round trip, now or when it was connected last.
    pub round_trip: Option<Duration>,
    /// How often it has failed since it was last connected for a minute, without failures while no relay at all was
    /// connected, or up to 40 s before: those are our own network's.
    pub failures: u32,
    /// Its next attempt begins no sooner than this, because the last one failed; then, if it is needed. `None` if it may
    /// be tried now, or is connected. Another address, another proxy and another network end the pause, and so does the
    /// end of an outage of our own network.
    pub retry_at: Option<Instant>,
    /// How many peers lose data here, according to [`Pool::report`](crate::pool::Pool::report).
    pub lost: u32,
    /// Why no attempt to connect could begin the last time: [`PoolEvent::RelayRefused`](crate::pool::PoolEvent). `None`
    /// once one has begun.
    pub refused: Option<Arc<ConnectError>>,
    /// How many peers are tied to it.
    pub tied: usize,
}
