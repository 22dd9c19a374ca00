//! Settings of a pool, which can be changed at any time.

use std::ffi::c_char;
use std::time::Duration;

use crate::config::{proxy, window};
use crate::error::trc_error;
use crate::handle::run;
use crate::pool::trc_pool;

/// How many relays are connected for each awake peer at least, if as many are tied to it: 3 by default; numbers beyond 1
/// to 6 become 1 or 6. Two peers who are both tied to more than five relays, and cannot tell each other which they use,
/// meet at once only if each has more than half of them; otherwise once one of them has tried the other's.
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

/// The most connections that there are at a time: 128 by default, and at least one.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_set_max_connections(pool: *mut trc_pool, count: usize) -> trc_error {
    run(pool, |state| {
        state.pool.set_max_connections(count);
        Ok(())
    })
}

/// Call this when the network has changed: relays must answer soon, and those that have failed are tried at once.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_network_changed(pool: *mut trc_pool) -> trc_error {
    run(pool, |state| {
        state.pool.network_changed();
        Ok(())
    })
}

/// Changes the ping interval, for all connections: see `trc_config_set_ping_interval`. It counts from the last ping. A
/// longer one saves power, but it takes longer to find that a connection is dead.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_set_ping_interval(pool: *mut trc_pool, milliseconds: u64) -> trc_error {
    run(pool, |state| Ok(state.pool.set_ping_interval(Duration::from_millis(milliseconds))?))
}

/// Changes the pong timeout, for all connections, from their next ping on: see `trc_config_set_pong_timeout`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_set_pong_timeout(pool: *mut trc_pool, milliseconds: u64) -> trc_error {
    run(pool, |state| Ok(state.pool.set_pong_timeout(Duration::from_millis(milliseconds))?))
}

/// Changes the connect timeout, for attempts that begin from now on: see `trc_config_set_connect_timeout`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_set_connect_timeout(pool: *mut trc_pool, milliseconds: u64) -> trc_error {
    run(pool, |state| Ok(state.pool.set_connect_timeout(Duration::from_millis(milliseconds))?))
}

/// Changes the bound of the window, for all connections: see `trc_config_set_window`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_set_window(pool: *mut trc_pool, bytes: usize) -> trc_error {
    run(pool, |state| Ok(state.pool.set_window(window(bytes))?))
}

/// Changes the proxy, for what connects from now on: see `trc_config_set_proxy`. NULL for direct connections. Existing
/// connections stay as they are.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_set_proxy(pool: *mut trc_pool, url: *const c_char) -> trc_error {
    run(pool, |state| {
        state.pool.set_proxy(if url.is_null() { None } else { Some(proxy(url)?) });
        Ok(())
    })
}
