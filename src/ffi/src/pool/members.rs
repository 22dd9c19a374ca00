//! Peers and relays of a pool.

use tox_relay_client::PublicKey;
use tox_relay_client::Relay;
use tox_relay_client::pool::Origin;

use crate::error::trc_error;
use crate::handle::{run, value};
use crate::pointer;
use crate::pool::trc_pool;
use crate::relay::trc_relay;

/// Where a relay was learnt. Relays of the user's own are preferred to those of a list, and these to a peer's.
#[repr(i32)]
#[allow(dead_code, reason = "for C programs")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum trc_origin {
    /// The user has named it.
    User = 1,
    /// A list of public nodes.
    List = 2,
    /// A peer has told us about it. Its addresses must be global, or the peer would learn what can be reached from here.
    /// A peer can add 24 relays, and 4 addresses of each.
    Peer = 3,
    /// A peer that was seen at an address of the local network has told us about it: it may be there, too.
    LocalPeer = 4,
}

impl trc_origin {
    /// The number of an origin, and the peer that it names, or 0.
    pub(crate) fn of(origin: Origin) -> (Self, u64) {
        match origin {
            Origin::User => (Self::User, 0),
            Origin::List => (Self::List, 0),
            Origin::Peer { peer, is_local: false } => (Self::Peer, peer.into()),
            Origin::Peer { peer, is_local: true } => (Self::LocalPeer, peer.into()),
        }
    }
}

fn origin(number: i32, peer: u64) -> Result<Origin, trc_error> {
    let is = |origin: trc_origin| origin as i32 == number;
    if is(trc_origin::User) {
        Ok(Origin::User)
    } else if is(trc_origin::List) {
        Ok(Origin::List)
    } else if is(trc_origin::Peer) || is(trc_origin::LocalPeer) {
        Ok(Origin::Peer { peer: peer.into(), is_local: is(trc_origin::LocalPeer) })
    } else {
        Err(trc_error::Argument)
    }
}

/// Adds a relay, which is copied, or finds the one with this key, and writes its id to `*id`. It is connected when it
/// is of use. Its token (`trc_relay_set_token`) comes back in its events. `origin` is a `trc_origin`; `peer` is who has
/// told us about it, and is not used with the other origins.
///
/// If the relay is known, the user's last description of it counts, with the addresses of the others; lists and peers add
/// addresses to what others like them have told, up to 16, of which each peer adds 4 at most, until it is removed; what
/// peers have told counts no more when the user or a list names it. If it has failed, another address ends its pause.
///
/// Errors: `TRC_ERROR_LOCAL_ADDRESS`, `TRC_ERROR_TOO_MANY_RELAYS`, `TRC_ERROR_UNKNOWN_PEER`; `TRC_ERROR_ARGUMENT` if it is
/// not an origin.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_add_relay(
    pool: *mut trc_pool,
    relay: *const trc_relay,
    origin: i32,
    peer: u64,
    id: *mut u64,
) -> trc_error {
    run(pool, |state| {
        let place = pointer::out(id)?;
        let origin = self::origin(origin, peer)?;
        let relay = value(relay, |relay: &mut Relay| Ok(relay.clone()))?;
        place.write(state.pool.add_relay(relay, origin)?.into());
        Ok(())
    })
}

/// Removes a relay and ends its connection.
///
/// Errors: `TRC_ERROR_UNKNOWN_RELAY`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_remove_relay(pool: *mut trc_pool, relay: u64) -> trc_error {
    run(pool, |state| known(state.pool.remove_relay(relay.into()), trc_error::UnknownRelay))
}

/// Adds a peer by its public key (32 bytes), or finds the one with this key, and writes its id to `*id`. `token` comes
/// back in all events of this peer; one that is there already has it from now on. The peer is awake.
///
/// Our own key is accepted, too, but relays open no route from a client to itself: ROUTE_REFUSED follows for each relay
/// that is tied to this peer.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_add_peer(
    pool: *mut trc_pool,
    public_key: *const u8,
    token: u64,
    id: *mut u64,
) -> trc_error {
    run(pool, |state| {
        let place = pointer::out(id)?;
        let key = PublicKey::from_bytes(pointer::key(public_key)?);
        place.write(state.pool.add_peer_with_token(key, token).into());
        Ok(())
    })
}

/// Removes a peer, closes its routes, and forgets the relays that only it has told us about.
///
/// Errors: `TRC_ERROR_UNKNOWN_PEER`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_remove_peer(pool: *mut trc_pool, peer: u64) -> trc_error {
    run(pool, |state| known(state.pool.remove_peer(peer.into()), trc_error::UnknownPeer))
}

/// The peer is thought to be on this relay: the pool may reach it there. If they are tied already, it is a hint: between
/// the rounds in which the peer is looked for, this relay is tried at the next common ping.
///
/// A peer with our own key is tied, too; then the relay refuses the route (ROUTE_REFUSED).
///
/// Errors: `TRC_ERROR_UNKNOWN_PEER`, `TRC_ERROR_UNKNOWN_RELAY`, `TRC_ERROR_TOO_MANY_TIES`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_tie(pool: *mut trc_pool, peer: u64, relay: u64) -> trc_error {
    run(pool, |state| Ok(state.pool.tie(peer.into(), relay.into())?))
}

/// The peer is not on this relay any more: closes the route to it there. That the peer has told us about this relay counts
/// no more: if nobody else has, and no other peer is tied to it, it is removed.
///
/// Errors: `TRC_ERROR_UNKNOWN_PEER`; `TRC_ERROR_UNKNOWN_RELAY` if they were not tied.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_untie(pool: *mut trc_pool, peer: u64, relay: u64) -> trc_error {
    run(pool, |state| {
        known(state.pool.peer(peer.into()).is_some(), trc_error::UnknownPeer)?;
        known(state.pool.untie(peer.into(), relay.into()), trc_error::UnknownRelay)
    })
}

/// Whether a peer is to be reached through relays. One that is reached directly may sleep: ten seconds later its routes
/// are closed, so that it goes offline here, and relays that only sleeping peers use are disconnected. Once it is awake,
/// its routes are requested as if its relays had just been tied. Data that are sent to one that sleeps without routes go
/// out of band.
///
/// Errors: `TRC_ERROR_UNKNOWN_PEER`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_set_awake(pool: *mut trc_pool, peer: u64, is_awake: bool) -> trc_error {
    run(pool, |state| known(state.pool.set_awake(peer.into(), is_awake), trc_error::UnknownPeer))
}

/// Whether data arrived that this relay carried to a peer, or are missing, as those know who read the data: a relay that
/// says that a peer is online and drops its data cannot be found out by the pool. One that loses the data of a peer is
/// used for it only if there is no other; once two peers have reported it, for all. A packet that was delivered makes up
/// for one that was lost; half of the losses are forgotten after ten minutes, and all at the end of the program.
///
/// Errors: `TRC_ERROR_UNKNOWN_PEER`; `TRC_ERROR_ROUTE_OFFLINE` if the peer is not online on this relay now: then nobody has
/// said that the data would arrive, and nothing is counted.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_report(
    pool: *mut trc_pool,
    peer: u64,
    relay: u64,
    was_delivered: bool,
) -> trc_error {
    run(pool, |state| {
        let missing = if state.pool.peer(peer.into()).is_some() {
            trc_error::RouteOffline
        } else {
            trc_error::UnknownPeer
        };
        known(state.pool.report(peer.into(), relay.into(), was_delivered), missing)
    })
}

/// Writes the id of the peer with this public key (32 bytes) to `*id`.
///
/// Errors: `TRC_ERROR_UNKNOWN_PEER`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_find_peer(
    pool: *const trc_pool,
    public_key: *const u8,
    id: *mut u64,
) -> trc_error {
    run(pool, |state| {
        let place = pointer::out(id)?;
        let found = state.pool.find_peer(&PublicKey::from_bytes(pointer::key(public_key)?));
        place.write(found.ok_or(trc_error::UnknownPeer)?.into());
        Ok(())
    })
}

/// Writes the id of the relay with this public key (32 bytes) to `*id`.
///
/// Errors: `TRC_ERROR_UNKNOWN_RELAY`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_find_relay(
    pool: *const trc_pool,
    public_key: *const u8,
    id: *mut u64,
) -> trc_error {
    run(pool, |state| {
        let place = pointer::out(id)?;
        let found = state.pool.find_relay(&PublicKey::from_bytes(pointer::key(public_key)?));
        place.write(found.ok_or(trc_error::UnknownRelay)?.into());
        Ok(())
    })
}

/// Writes the ids of all peers, in no particular order, to the array `peers`, as many as it has room for (`capacity`), and
/// returns how many there are. `peers` may be NULL if `capacity` is 0.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_peers(pool: *const trc_pool, peers: *mut u64, capacity: usize) -> usize {
    let all = value(pool, |state| Ok(pointer::fill(peers, capacity, state.pool.peers().map(u64::from))?));
    all.unwrap_or(0)
}

/// Writes the ids of all relays, connected or not, in no particular order, to the array `relays`: see `trc_pool_peers`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_relays(pool: *const trc_pool, relays: *mut u64, capacity: usize) -> usize {
    let all = value(pool, |state| Ok(pointer::fill(relays, capacity, state.pool.relays().map(u64::from))?));
    all.unwrap_or(0)
}

fn known(is_known: bool, error: trc_error) -> Result<(), crate::failure::Failure> {
    if is_known { Ok(()) } else { Err(error.into()) }
}
