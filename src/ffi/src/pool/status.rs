//! What a pool knows about its peers and relays.

use std::time::Instant;

use tox_relay_client::ConnectError;
use tox_relay_client::pool::{PeerStatus, RelayStatus};

use crate::error::trc_error;
use crate::failure::{Failure, trc_error_details};
use crate::handle::{run, value};
use crate::pointer::{self, TRC_KEY_SIZE};
use crate::pool::members::trc_origin;
use crate::pool::{PoolState, trc_pool};
use crate::relay::trc_relay;
use crate::status::micros;

/// A peer of a pool.
#[repr(C)]
pub struct trc_peer_status {
    /// Its id.
    pub peer: u64,
    /// Its token.
    pub token: u64,
    /// Its public key.
    pub public_key: [u8; TRC_KEY_SIZE],
    /// Whether it is to be reached through relays.
    pub is_awake: bool,
    /// Whether it is online on at least one relay: `trc_pool_is_online` costs less.
    pub is_online: bool,
    /// The relay that carries its data, if it is online; otherwise 0.
    pub used: u64,
    /// On how many relays it is online: `trc_pool_online_relays` returns them.
    pub online: usize,
    /// How many relays are tied to it: `trc_pool_tied_relays` returns them.
    pub tied: usize,
}

/// A relay of a pool. `trc_pool_connection` returns the status of its connection.
#[repr(C)]
pub struct trc_relay_status {
    /// Its id.
    pub relay: u64,
    /// Its public key. (`trc_pool_relay_copy` returns its addresses.)
    pub public_key: [u8; TRC_KEY_SIZE],
    /// Where it was learnt.
    pub origin: trc_origin,
    /// The peer that has told us about it, with an origin that has one; otherwise 0.
    pub origin_peer: u64,
    /// Whether it is connected.
    pub is_connected: bool,
    /// Whether data were sent, and it has not answered a ping for two seconds. Others are preferred.
    pub is_silent: bool,
    /// What it is worth, above 0 and at most 1. The relays with the highest scores are connected, as far as they serve as
    /// many peers. It is the product of:
    ///
    /// - the origin: 1 for the user, 1/4 for a list, 1/16 for a peer;
    /// - its speed: 1 / (1 + round trip / 200 ms), or 1/2 if that is not known;
    /// - its reliability: 1 / (1 + `failures`);
    /// - its constancy: 1/2, growing to 1 in an hour of `up_time`;
    /// - data that were lost: 10^-6 / `lost`, if that is 2 or more;
    /// - its silence: 10^-3, if `is_silent`.
    pub score: f64,
    /// The smoothed round trip, now or when it was connected last, in microseconds; 0 if it is not known.
    pub round_trip: u64,
    /// How long it was connected, all in all, with what was recalled, in microseconds.
    pub up_time: u64,
    /// How often it has failed since it was last connected for a minute, without failures while no relay at all was
    /// connected, or up to 40 s before: those are our own network's.
    pub failures: u32,
    /// Its next attempt begins no sooner than this, in microseconds from now, because the last one failed; then, if it is
    /// needed. 0 if it may be tried now, or is connected. Another address, another proxy and another network end the
    /// pause, and so does the end of an outage of our own network.
    pub retry_in: u64,
    /// How many peers lose data here, according to `trc_pool_report`.
    pub lost: u32,
    /// Why no attempt to connect could begin the last time (RELAY_REFUSED): `trc_pool_refusal` returns more about it. 0
    /// once one has begun.
    pub refused: trc_error,
    /// How many peers are tied to it.
    pub tied: usize,
}

impl From<PeerStatus> for trc_peer_status {
    fn from(status: PeerStatus) -> Self {
        Self {
            peer: status.id.into(),
            token: status.token,
            public_key: *status.public_key.as_bytes(),
            is_awake: status.is_awake,
            is_online: status.used.is_some(),
            used: status.used.map_or(0, u64::from),
            online: status.online.len(),
            tied: status.tied.len(),
        }
    }
}

impl From<RelayStatus> for trc_relay_status {
    fn from(status: RelayStatus) -> Self {
        let (origin, origin_peer) = trc_origin::of(status.origin);
        Self {
            relay: status.id.into(),
            public_key: *status.relay.public_key().as_bytes(),
            origin,
            origin_peer,
            is_connected: status.is_connected,
            is_silent: status.is_silent,
            score: status.score,
            round_trip: micros(status.round_trip),
            up_time: u64::try_from(status.up_time.as_micros()).unwrap_or(u64::MAX),
            failures: status.failures,
            retry_in: micros(status.retry_at.map(|at| at.saturating_duration_since(Instant::now()))),
            lost: status.lost,
            refused: refusal(status.refused.as_deref()).error,
            tied: status.tied,
        }
    }
}

/// Writes what is known about a peer to `*status`.
///
/// Errors: `TRC_ERROR_UNKNOWN_PEER`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_peer(pool: *const trc_pool, peer: u64, status: *mut trc_peer_status) -> trc_error {
    run(pool, |state| {
        let place = pointer::out(status)?;
        place.write(self::peer(state, peer)?.into());
        Ok(())
    })
}

/// Whether a peer is online on a relay that is connected, and so its data are sent on a route; false if there is no such
/// peer. It costs less than `trc_pool_peer`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_is_online(pool: *const trc_pool, peer: u64) -> bool {
    value(pool, |state| Ok(state.pool.is_online(peer.into()))).unwrap_or(false)
}

/// Writes the ids of the relays on which a peer is online to the array `relays`, as many as it has room for (`capacity`),
/// and returns how many there are; 0 if there is no such peer. `relays` may be NULL if `capacity` is 0.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_online_relays(
    pool: *const trc_pool,
    peer: u64,
    relays: *mut u64,
    capacity: usize,
) -> usize {
    let all = value(pool, |state| {
        Ok(pointer::fill(relays, capacity, self::peer(state, peer)?.online.into_iter().map(u64::from))?)
    });
    all.unwrap_or(0)
}

/// The same for the relays that are tied to a peer.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_tied_relays(
    pool: *const trc_pool,
    peer: u64,
    relays: *mut u64,
    capacity: usize,
) -> usize {
    let all = value(pool, |state| {
        Ok(pointer::fill(relays, capacity, self::peer(state, peer)?.tied.into_iter().map(u64::from))?)
    });
    all.unwrap_or(0)
}

fn peer(state: &PoolState, peer: u64) -> Result<PeerStatus, Failure> {
    Ok(state.pool.peer(peer.into()).ok_or(trc_error::UnknownPeer)?)
}

/// Writes what is known about a relay to `*status`.
///
/// Errors: `TRC_ERROR_UNKNOWN_RELAY`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_relay(
    pool: *const trc_pool,
    relay: u64,
    status: *mut trc_relay_status,
) -> trc_error {
    run(pool, |state| {
        let place = pointer::out(status)?;
        place.write(state.pool.relay(relay.into()).ok_or(trc_error::UnknownRelay)?.into());
        Ok(())
    })
}

/// Writes why no attempt to connect to a relay could begin the last time to `*details`; without an error once one has
/// begun.
///
/// Errors: `TRC_ERROR_UNKNOWN_RELAY`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_refusal(
    pool: *const trc_pool,
    relay: u64,
    details: *mut trc_error_details,
) -> trc_error {
    run(pool, |state| {
        let place = pointer::out(details)?;
        let status = state.pool.relay(relay.into()).ok_or(trc_error::UnknownRelay)?;
        place.write(refusal(status.refused.as_deref()));
        Ok(())
    })
}

fn refusal(error: Option<&ConnectError>) -> trc_error_details {
    (&error.map_or(trc_error::None.into(), Failure::from)).into()
}

/// Copies a relay, with its addresses, and writes the copy to `*copy`: free it with `trc_relay_free`.
///
/// Errors: `TRC_ERROR_UNKNOWN_RELAY`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_relay_copy(
    pool: *const trc_pool,
    relay: u64,
    copy: *mut *mut trc_relay,
) -> trc_error {
    run(pool, |state| {
        let place = pointer::out(copy)?;
        let status = state.pool.relay(relay.into()).ok_or(trc_error::UnknownRelay)?;
        place.write(trc_relay::new(status.relay));
        Ok(())
    })
}

/// Copies up to `capacity` relays to tell a peer about, with nothing but their addresses and keys, and writes the copies
/// to the array `copies`: free each with `trc_relay_free`. They are some of those that are connected, others each time.
/// Those that have an identity or a proxy of their own are not for others to know. Returns how many these are; 0 if no
/// other one is connected. `copies` may be NULL if `capacity` is 0.
///
/// Addresses of the local network are told, too: who receives one from elsewhere may try the sender's address instead.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_relays_to_share(
    pool: *mut trc_pool,
    copies: *mut *mut trc_relay,
    capacity: usize,
) -> usize {
    let all = value(pool, |state| {
        if copies.is_null() && capacity > 0 {
            return Err(trc_error::Null.into());
        }
        let relays = state.pool.relays_to_share(capacity).into_iter();
        Ok(pointer::fill(copies, capacity, relays.take(capacity).map(trc_relay::new))?)
    });
    all.unwrap_or(0)
}
