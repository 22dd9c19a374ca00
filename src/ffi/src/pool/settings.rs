//! Settings of a pool, which can be changed at any time.

use std::ffi::c_char;
use std::time::Duration;

use crate::config::{proxy, window};
use crate::error::trc_error;
use crate::handle::run;
use crate::pool::trc_pool;

/// How many relays are connected for each awake peer at least, if as many are tied to it: 3 by default; numbers beyond 1
/// to 6 become 1 or 6. (It has routes on up to six of its relays that are connected anyway.) Each of two peers chooses
/// by itself: with four relays in common, at least two are the same. Two peers who are both tied to more than five relays,
/// and cannot tell each other which they use, meet at once only if each has more than half of them; otherwise once one of
/// them has tried the other's.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_set_relays_per_peer(pool: *mut trc_pool, count: usize) -> trc_error {
    run(pool, |state| {
        state.pool.set_relays_per_peer(count);
        Ok(())
    })
}

/// How many relays are kept connected for onion packets; three are connected in any case.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_set_onion_relays(pool: *mut trc_pool, count: usize) -> trc_error {
    run(pool, |state| {
        state.pool.set_onion_relays(count);
        Ok(())
    })
}

/// The most connections that there are at a time: 128 by default; 0 becomes 1. If there are more, the relays that carry no
/// data are disconnected first. If more are wanted, each peer gets one relay before any gets its second: for a peer that
/// has none, one is disconnected without which all others still have one. While an offline peer is looked for, a relay
/// that carries no data may give up its place; the last one that is connected and answers does so only if there is but one
/// place. With one place, a relay that has failed eight times takes turns with others: while another one works, it is
/// tried every ten minutes at most.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_set_max_connections(pool: *mut trc_pool, count: usize) -> trc_error {
    run(pool, |state| {
        state.pool.set_max_connections(count);
        Ok(())
    })
}

/// Call this when the network has changed (see `trc_client_network_changed`): relays must answer within seconds, and those
/// that have failed are tried at once. Attempts that are under way begin anew, and up to 16 may begin at once; but if this
/// was called in the last 32 s, attempts go on, and no more than otherwise may begin.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_network_changed(pool: *mut trc_pool) -> trc_error {
    run(pool, |state| {
        state.pool.network_changed();
        Ok(())
    })
}

/// Changes the ping interval, for all connections: see `trc_config_set_ping_interval`. The pings of all relays leave
/// together, a thirtieth of the interval early, so that they wake up the device only once. Offline peers are looked for,
/// and speeds are compared, at the same times: a longer interval saves power, but it delays that, and it takes longer to
/// find that a connection is dead.
///
/// Errors: `TRC_ERROR_PING_INTERVAL` if it is 0. Then nothing has changed.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_set_ping_interval(pool: *mut trc_pool, milliseconds: u64) -> trc_error {
    run(pool, |state| Ok(state.pool.set_ping_interval(Duration::from_millis(milliseconds))?))
}

/// Changes the pong timeout, for all connections, from their next ping on: see `trc_config_set_pong_timeout`. A ping that
/// is not answered yet keeps its time.
///
/// Errors: `TRC_ERROR_PONG_TIMEOUT` if it is 0. Then nothing has changed.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_set_pong_timeout(pool: *mut trc_pool, milliseconds: u64) -> trc_error {
    run(pool, |state| Ok(state.pool.set_pong_timeout(Duration::from_millis(milliseconds))?))
}

/// Changes the connect timeout, for attempts that begin from now on: see `trc_config_set_connect_timeout`. Those that have
/// begun keep their time.
///
/// Errors: `TRC_ERROR_CONNECT_TIMEOUT` if it is 0. Then nothing has changed.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_set_connect_timeout(pool: *mut trc_pool, milliseconds: u64) -> trc_error {
    run(pool, |state| Ok(state.pool.set_connect_timeout(Duration::from_millis(milliseconds))?))
}

/// Changes the bound of the window, for all connections: see `trc_config_set_window`. It bounds what each relay has not
/// read, and not what the peers have not.
///
/// Errors: `TRC_ERROR_WINDOW` if it is too small. Then nothing has changed.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_set_window(pool: *mut trc_pool, bytes: usize) -> trc_error {
    run(pool, |state| Ok(state.pool.set_window(window(bytes))?))
}

/// Changes the proxy, for what connects from now on: see `trc_config_set_proxy`. `url` may be NULL, for direct connections.
/// Existing connections stay as they are, also those that are being opened. Relays that have failed are tried at once, if
/// they use this proxy: it may resolve their names, or let through what the last one has refused.
///
/// Errors: `TRC_ERROR_PROXY_...`. Then nothing has changed.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_set_proxy(pool: *mut trc_pool, url: *const c_char) -> trc_error {
    run(pool, |state| {
        state.pool.set_proxy(if url.is_null() { None } else { Some(proxy(url)?) });
        Ok(())
    })
}
