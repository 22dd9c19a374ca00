//! Connections of a client.

use std::ffi::c_int;

use tox_relay_client::{ConnectError, ConnectionId, Relay};

use crate::advice::trc_stage;
use crate::client::trc_client;
use crate::error::trc_error;
use crate::failure::Failure;
use crate::handle::{run, value};
use crate::pointer::{self, Out};
use crate::relay::trc_relay;
use crate::status::{trc_connection_status, trc_failed_attempt, trc_traffic_by_kind};

/// Starts to connect to a relay, which is copied, and writes the id of the connection to `*connection`. CONNECTED or
/// DISCONNECTED reports the result within the connect timeout (for each address) plus the pong timeout. Exactly one event
/// of the kind DISCONNECTED follows for each connection. The library does not reconnect: call this again after that event,
/// after a pause that grows with each attempt; `event.end->retry` says whether that may help.
///
/// Routes may be opened and packets sent without a route at once.
///
/// Errors: `TRC_ERROR_ALREADY_CONNECTED` and `TRC_ERROR_SAME_SHARED_KEY` (then `*connection` is the other connection),
/// `TRC_ERROR_BEYOND_PROXY`, `TRC_ERROR_NAME_WITHOUT_PROXY`, `TRC_ERROR_TOO_MANY_CONNECTIONS`,
/// `TRC_ERROR_LOW_ORDER_KEY`, `TRC_ERROR_NON_CANONICAL_KEY`, `TRC_ERROR_OWN_KEY`, `TRC_ERROR_IO`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_connect(
    client: *mut trc_client,
    relay: *const trc_relay,
    connection: *mut u64,
) -> trc_error {
    run(client, |state| {
        let place = pointer::out(connection)?;
        let relay = copy(relay)?;
        report(&place, state.client.connect(relay))
    })
}

/// The same with a stream socket of the caller's, on Unix: connected or connecting, to the relay's first address or, if
/// it has a proxy, to that. The descriptor is duplicated, so close it afterwards: the connection cannot end while a copy
/// of it is open. The library makes it non-blocking.
///
/// Only the first address of the relay is used, for the request to a proxy and in the status, and its local address is
/// ignored. If there is a proxy, so is its address: the socket may lead to one that has none, for example through a Unix
/// socket.
///
/// Errors: those of `trc_client_connect`; `TRC_ERROR_IO` if it is not an open stream socket; `TRC_ERROR_UNSUPPORTED` on
/// other systems.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_connect_with(
    client: *mut trc_client,
    relay: *const trc_relay,
    socket: c_int,
    connection: *mut u64,
) -> trc_error {
    run(client, |state| {
        let place = pointer::out(connection)?;
        let relay = copy(relay)?;
        #[cfg(unix)]
        return report(&place, state.client.connect_with(relay, pointer::duplicate(socket)?));
        #[cfg(not(unix))]
        return Err(((state, place, relay, socket), trc_error::Unsupported).1.into());
    })
}

fn copy(relay: *const trc_relay) -> Result<Relay, trc_error> {
    value(relay, |relay: &mut Relay| Ok(relay.clone()))
}

fn report(place: &Out<u64>, result: Result<ConnectionId, ConnectError>) -> Result<(), Failure> {
    match result {
        Ok(id) => place.write(id.into()),
        Err(error) => {
            if let ConnectError::AlreadyConnected(other) | ConnectError::SameSharedKey(other) = error {
                place.write(other.into());
            }
            return Err(error.into());
        }
    }
    Ok(())
}

/// Ends a connection; DISCONNECTED follows in the next poll that has room for it. Queued packets are sent first, and then a
/// disconnect notification for each route: as far as the socket accepts them without waiting, and data as far as the
/// window has room. They may still be lost. `event.status->queued` is how many bytes were never sent.
///
/// Errors: `TRC_ERROR_UNKNOWN_CONNECTION` if it has ended already.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_disconnect(client: *mut trc_client, connection: u64) -> trc_error {
    run(client, |state| known(state.client.disconnect(connection.into()).then_some(())))
}

/// Ends all connections. Returns how many these were.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_disconnect_all(client: *mut trc_client) -> usize {
    value(client, |state| Ok(state.client.disconnect_all())).unwrap_or(0)
}

/// Sends a ping now, for example to measure the round trip, or to find out soon whether a connection is alive: it ends
/// with NO_PONG if the relay does not answer within the pong timeout. The next ping follows one ping interval later. Does
/// nothing if the relay has not answered the last ping yet, and while the connection is being opened: then the first ping
/// is sent without this call.
///
/// Errors: `TRC_ERROR_UNKNOWN_CONNECTION`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_ping(client: *mut trc_client, connection: u64) -> trc_error {
    run(client, |state| {
        state.client.ping(connection.into())?;
        Ok(())
    })
}

/// Call this when the network has changed: another Wi-Fi, a telephone that wakes up, a VPN that is turned on or off. Each
/// connection sends a ping, and ends with NO_PONG if it is not answered within 5 s, or the pong timeout if that is shorter.
/// Otherwise it takes up to the ping interval and the pong timeout together to find a dead connection, 40 s by default, in
/// which sending still succeeds. If the network changes again meanwhile, the time begins anew, but a relay that answers no
/// ping has at most the pong timeout and 5 s together.
///
/// While a connection is opened, the attempts that have begun have at most 5 s, but a proxy that was already asked for a
/// tunnel has its full time.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_network_changed(client: *mut trc_client) -> trc_error {
    run(client, |state| {
        state.client.network_changed();
        Ok(())
    })
}

/// Writes the status of a connection to `*status`; until the next poll also the final one of a connection whose end the
/// last poll has reported.
///
/// Errors: `TRC_ERROR_UNKNOWN_CONNECTION`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_connection(
    client: *const trc_client,
    connection: u64,
    status: *mut trc_connection_status,
) -> trc_error {
    run(client, |state| {
        let place = pointer::out(status)?;
        let current = state.client.connection(connection.into());
        known(current.as_ref().or(state.ended(connection)).map(|status| place.write(status.into())))
    })
}

/// Writes one of the attempts that have failed, in this order from 0, to `*attempt`: for the same connections as
/// `trc_client_connection`, whose status has their number.
///
/// Errors: `TRC_ERROR_UNKNOWN_CONNECTION`; `TRC_ERROR_ARGUMENT` if there are not so many.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_failed_attempt(
    client: *const trc_client,
    connection: u64,
    index: usize,
    attempt: *mut trc_failed_attempt,
) -> trc_error {
    run(client, |state| {
        let place = pointer::out(attempt)?;
        let current = state.client.connection(connection.into());
        let status = current.as_ref().or(state.ended(connection)).ok_or(trc_error::UnknownConnection)?;
        place.write(status.failed_attempts.get(index).ok_or(trc_error::Argument)?.into());
        Ok(())
    })
}

/// The stage of a connection; `TRC_STAGE_NONE` after it has ended. Cheaper than the whole status.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_stage(client: *const trc_client, connection: u64) -> trc_stage {
    value(client, |state| Ok(state.client.stage(connection.into()).into())).unwrap_or(trc_stage::None)
}

/// Bytes in the send queue of a connection; 0 after it has ended.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_queued(client: *const trc_client, connection: u64) -> usize {
    value(client, |state| Ok(state.client.queued(connection.into()).unwrap_or(0))).unwrap_or(0)
}

/// Whether everything that was accepted for this connection was written to its socket; also true after it has ended.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_has_drained(client: *const trc_client, connection: u64) -> bool {
    value(client, |state| Ok(state.client.has_drained(connection.into()).unwrap_or(true))).unwrap_or(true)
}

/// Whether all connections have drained.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_all_drained(client: *const trc_client) -> bool {
    value(client, |state| Ok(state.client.all_drained())).unwrap_or(true)
}

/// Writes the ids of all connections that have not ended, in no particular order, to the array `connections`, as many as
/// it has room for (`capacity`), and returns how many there are. `connections` may be NULL if `capacity` is 0.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_connections(
    client: *const trc_client,
    connections: *mut u64,
    capacity: usize,
) -> usize {
    let count = value(client, |state| {
        Ok(pointer::fill(connections, capacity, state.client.connections().map(u64::from))?)
    });
    count.unwrap_or(0)
}

/// Writes what all connections have sent and received to `*traffic`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_traffic(
    client: *const trc_client,
    traffic: *mut trc_traffic_by_kind,
) -> trc_error {
    run(client, |state| {
        pointer::out(traffic)?.write(state.client.traffic().into());
        Ok(())
    })
}

fn known<T>(found: Option<T>) -> Result<T, Failure> {
    Ok(found.ok_or(trc_error::UnknownConnection)?)
}
