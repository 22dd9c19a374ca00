//! Settings that can be changed while there are connections.

use std::ffi::c_char;
use std::time::Duration;

use crate::client::trc_client;
use crate::config::{proxy, window};
use crate::error::trc_error;
use crate::handle::run;

/// Changes the ping interval, for all connections: see `trc_config_set_ping_interval`. It counts from the last ping: one
/// that is overdue now is sent in the next poll. A longer one saves power, but it takes longer to find that a connection
/// is dead.
///
/// Errors: `TRC_ERROR_PING_INTERVAL` if it is 0. Then nothing has changed.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_set_ping_interval(client: *mut trc_client, milliseconds: u64) -> trc_error {
    run(client, |state| Ok(state.client.set_ping_interval(Duration::from_millis(milliseconds))?))
}

/// Changes the pong timeout, for all connections, from their next ping on: see `trc_config_set_pong_timeout`. A ping that
/// is not answered yet keeps its time.
///
/// Errors: `TRC_ERROR_PONG_TIMEOUT` if it is 0. Then nothing has changed.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_set_pong_timeout(client: *mut trc_client, milliseconds: u64) -> trc_error {
    run(client, |state| Ok(state.client.set_pong_timeout(Duration::from_millis(milliseconds))?))
}

/// Changes the connect timeout, for attempts that begin from now on: see `trc_config_set_connect_timeout`. Those that have
/// begun keep their time.
///
/// Errors: `TRC_ERROR_CONNECT_TIMEOUT` if it is 0. Then nothing has changed.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_set_connect_timeout(client: *mut trc_client, milliseconds: u64) -> trc_error {
    run(client, |state| Ok(state.client.set_connect_timeout(Duration::from_millis(milliseconds))?))
}

/// Changes the bound of the window, for all connections: see `trc_config_set_window`.
///
/// Errors: `TRC_ERROR_WINDOW` if it is too small. Then nothing has changed.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_set_window(client: *mut trc_client, bytes: usize) -> trc_error {
    run(client, |state| Ok(state.client.set_window(window(bytes))?))
}

/// Changes the proxy, for what connects from now on: see `trc_config_set_proxy`. `url` may be NULL, for direct connections.
/// Existing connections stay as they are, also those that are being opened: disconnect those that must not continue.
///
/// Errors: `TRC_ERROR_PROXY_...`. Then nothing has changed.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_set_proxy(client: *mut trc_client, url: *const c_char) -> trc_error {
    run(client, |state| {
        state.client.set_proxy(if url.is_null() { None } else { Some(proxy(url)?) });
        Ok(())
    })
}
