//! Routes of a client, and what it sends.

use std::ffi::c_char;

use tox_relay_client::{Destination, PublicKey, RouteError};

use crate::client::trc_client;
use crate::destination::destination;
use crate::error::trc_error;
use crate::handle::{run, value};
use crate::pointer;
use crate::status::trc_route_status;

/// Opens a route to a peer (a public key of 32 bytes), and writes its id to `*route`. `token` comes back in the events
/// of the route. ROUTE_OPENED or ROUTE_REFUSED follows after CONNECTED, and ROUTE_ONLINE when the peer has a route to us as
/// well: then data can be sent.
///
/// Legal as soon as `trc_client_connect` has returned: then the request leaves right after the first ping, which saves a
/// round trip. It is encrypted for the relay alone.
///
/// Errors: `TRC_ERROR_ROUTE_EXISTS` (then `*route` is the existing one), `TRC_ERROR_UNKNOWN_CONNECTION`,
/// `TRC_ERROR_TOO_MANY_ROUTES`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_open_route(
    client: *mut trc_client,
    connection: u64,
    peer: *const u8,
    token: u64,
    route: *mut u64,
) -> trc_error {
    run(client, |state| {
        let place = pointer::out(route)?;
        let peer = PublicKey::from_bytes(pointer::key(peer)?);
        match state.client.open_route_with_token(connection.into(), peer, token) {
            Ok(route) => place.write(route.into()),
            Err(error) => {
                if let RouteError::Exists(route) = error {
                    place.write(route.into());
                }
                return Err(error.into());
            }
        }
        Ok(())
    })
}

/// Closes a route, online or not. Its id is stale from now on, and no event about it follows. Queued data are sent first
/// as far as the socket accepts them without waiting; how many bytes were removed, usually 0, is written to `*unsent`.
/// (`unsent` may be NULL.) Then the relay is notified.
///
/// Errors: `TRC_ERROR_UNKNOWN_ROUTE`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_close_route(
    client: *mut trc_client,
    route: u64,
    unsent: *mut usize,
) -> trc_error {
    run(client, |state| {
        let removed = state.client.close_route(route.into())?;
        if let Ok(place) = pointer::out(unsent) {
            place.write(removed);
        }
        Ok(())
    })
}

/// Writes the status of a route to `*status`.
///
/// Errors: `TRC_ERROR_UNKNOWN_ROUTE`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_route(
    client: *const trc_client,
    route: u64,
    status: *mut trc_route_status,
) -> trc_error {
    run(client, |state| {
        let place = pointer::out(status)?;
        place.write(state.client.route(route.into()).ok_or(trc_error::UnknownRoute)?.into());
        Ok(())
    })
}

/// Writes the id of the route to this peer (a public key of 32 bytes) to `*route`.
///
/// Errors: `TRC_ERROR_UNKNOWN_ROUTE` if there is none, or the connection has ended.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_find_route(
    client: *const trc_client,
    connection: u64,
    peer: *const u8,
    route: *mut u64,
) -> trc_error {
    run(client, |state| {
        let place = pointer::out(route)?;
        let peer = PublicKey::from_bytes(pointer::key(peer)?);
        let found = state.client.find_route(connection.into(), &peer);
        place.write(found.ok_or(trc_error::UnknownRoute)?.into());
        Ok(())
    })
}

/// Writes the ids of all routes of a connection to the array `routes`, as many as it has room for (`capacity`), and
/// returns how many there are. `routes` may be NULL if `capacity` is 0.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_routes(
    client: *const trc_client,
    connection: u64,
    routes: *mut u64,
    capacity: usize,
) -> usize {
    let count = value(client, |state| {
        let all = state.client.routes(connection.into());
        Ok(pointer::fill(routes, capacity, all.map(|status| status.route.into()))?)
    });
    count.unwrap_or(0)
}

/// Sends 1 to 2031 bytes to the peer of an online route. (Tox itself sends at most 1400.) The data are copied. Packets on
/// one route are sent in order, and so are packets without a route. The routes of a connection take turns.
///
/// Errors: `TRC_ERROR_WOULD_BLOCK`, `TRC_ERROR_LENGTH`, `TRC_ERROR_UNKNOWN_ROUTE`, `TRC_ERROR_ROUTE_OFFLINE`. Then nothing
/// was queued. All of these are normal while events are handled.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_send_data(
    client: *mut trc_client,
    route: u64,
    data: *const u8,
    length: usize,
) -> trc_error {
    run(client, |state| Ok(state.client.send_data(route.into(), pointer::bytes(data, length)?)?))
}

/// Sends 1 to 1024 bytes out of band to the client with the public key `peer` (32 bytes), with or without a route. The
/// relay does not report whether they arrived. What is sent before CONNECTED is queued, and leaves right after the first
/// ping and the routing requests.
///
/// Errors: `TRC_ERROR_WOULD_BLOCK`, `TRC_ERROR_LENGTH`, `TRC_ERROR_UNKNOWN_CONNECTION`. Then nothing was queued.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_send_oob(
    client: *mut trc_client,
    connection: u64,
    peer: *const u8,
    data: *const u8,
    length: usize,
) -> trc_error {
    run(client, |state| {
        let peer = PublicKey::from_bytes(pointer::key(peer)?);
        Ok(state.client.send_oob(connection.into(), peer, pointer::bytes(data, length)?)?)
    })
}

/// Sends to a peer as the specification prescribes: like `trc_client_send_data` if there is a route to it that is
/// online, otherwise like `trc_client_send_oob`.
///
/// Errors: those of the function that is used: more than 1024 bytes are `TRC_ERROR_LENGTH` while the peer is not online.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_send_to(
    client: *mut trc_client,
    connection: u64,
    peer: *const u8,
    data: *const u8,
    length: usize,
) -> trc_error {
    run(client, |state| {
        let peer = PublicKey::from_bytes(pointer::key(peer)?);
        Ok(state.client.send_to(connection.into(), peer, pointer::bytes(data, length)?)?)
    })
}

/// Sends an onion request: a nonce (24 bytes) and onion data, together 178 to 1359 bytes, which are not checked.
///
/// Errors: those of `trc_client_send_oob`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_send_onion_request(
    client: *mut trc_client,
    connection: u64,
    request: *const u8,
    length: usize,
) -> trc_error {
    run(client, |state| {
        Ok(state.client.send_onion_request(connection.into(), pointer::bytes(request, length)?)?)
    })
}

/// Asks the relay to forward 1 to 1792 bytes to another node: `transport` is a `trc_transport`, `address` an IP address
/// and a port, such as `192.0.2.7:33445`. A relay older than toxcore 0.2.18, or one without the DHT, closes the
/// connection when it receives this.
///
/// Errors: those of `trc_client_send_oob`; `TRC_ERROR_ARGUMENT` if it is not a destination.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_send_forward_request(
    client: *mut trc_client,
    connection: u64,
    transport: i32,
    address: *const c_char,
    data: *const u8,
    length: usize,
) -> trc_error {
    run(client, |state| {
        let destination: Destination = destination(transport, address)?;
        let data = pointer::bytes(data, length)?;
        Ok(state.client.send_forward_request(connection.into(), destination, data)?)
    })
}
