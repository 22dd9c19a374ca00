//! What is sent through a pool.

use std::ffi::c_char;

use tox_relay_client::PublicKey;

use crate::destination::destination;
use crate::error::trc_error;
use crate::failure::Failure;
use crate::handle::run;
use crate::pointer;
use crate::pool::trc_pool;

/// Sends 1 to 2031 bytes to a peer, by the relay that carries its data; if that one is full, by another. While the peer is
/// offline, 1 to 1024 bytes go out of band by one of its relays, another one each time, since the peer may be there. The
/// data are copied, and leave with the next poll or `trc_pool_flush`. Writes the relay's id to `*relay`, for
/// `trc_pool_report`. (`relay` may be NULL.)
///
/// Who sends until TRC_ERROR_WOULD_BLOCK fills one relay after the other, so data of one overtake those of another:
/// packets of a bulk transfer need numbers. Who waits until the peer has confirmed what it has got keeps to one relay, and
/// its data stay in order. Nothing bounds what waits for a peer that does not read: relays discard it.
///
/// After TRC_ERROR_WOULD_BLOCK, WRITABLE follows when one of the peer's relays has room, or others are there.
///
/// Errors: `TRC_ERROR_WOULD_BLOCK`, `TRC_ERROR_UNREACHABLE`, `TRC_ERROR_LENGTH`, `TRC_ERROR_UNKNOWN_PEER`;
/// `TRC_ERROR_ROUTE_OFFLINE` if the peer is offline, and the data are too long to go out of band. Then nothing was queued.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_send(
    pool: *mut trc_pool,
    peer: u64,
    data: *const u8,
    length: usize,
    relay: *mut u64,
) -> trc_error {
    run(pool, |state| {
        let data = pointer::bytes(data, length)?;
        let sent = state.pool.send(peer.into(), data);
        let by = sent.map_err(|error| Failure::of_pool(error, trc_error::UnknownPeer))?;
        if let Ok(place) = pointer::out(relay) {
            place.write(by.into());
        }
        Ok(())
    })
}

/// Sends 1 to 1024 bytes to someone on this relay, by public key (32 bytes), who need not be a peer: for example an answer
/// to an event of the kind OOB.
///
/// Errors: `TRC_ERROR_WOULD_BLOCK` (RELAY_WRITABLE or RELAY_DOWN follows), `TRC_ERROR_UNREACHABLE`, `TRC_ERROR_LENGTH`,
/// `TRC_ERROR_UNKNOWN_RELAY`. Then nothing was queued.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_send_oob(
    pool: *mut trc_pool,
    relay: u64,
    receiver: *const u8,
    data: *const u8,
    length: usize,
) -> trc_error {
    run(pool, |state| {
        let receiver = PublicKey::from_bytes(pointer::key(receiver)?);
        let data = pointer::bytes(data, length)?;
        state.pool.send_oob(relay.into(), receiver, data).map_err(of_relay)
    })
}

/// Sends an onion request (178 to 1359 bytes: see `trc_client_send_onion_request`) by any of the connected relays that have
/// room, each with the same chance; by a silent one only if there is no other. Writes the relay's id to `*relay`. (`relay`
/// may be NULL.)
///
/// Errors: `TRC_ERROR_WOULD_BLOCK` if all are full (RELAY_WRITABLE or RELAY_DOWN follows for each),
/// `TRC_ERROR_UNREACHABLE`, `TRC_ERROR_LENGTH`. Then nothing was queued.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_send_onion_request(
    pool: *mut trc_pool,
    request: *const u8,
    length: usize,
    relay: *mut u64,
) -> trc_error {
    run(pool, |state| {
        let request = pointer::bytes(request, length)?;
        let by = state.pool.send_onion_request(request).map_err(of_relay)?;
        if let Ok(place) = pointer::out(relay) {
            place.write(by.into());
        }
        Ok(())
    })
}

/// Sends an onion request by this relay.
///
/// Errors: those of `trc_pool_send_onion_request`; `TRC_ERROR_UNKNOWN_RELAY`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_send_onion_request_by(
    pool: *mut trc_pool,
    relay: u64,
    request: *const u8,
    length: usize,
) -> trc_error {
    run(pool, |state| {
        let request = pointer::bytes(request, length)?;
        state.pool.send_onion_request_by(relay.into(), request).map_err(of_relay)
    })
}

/// Sends a forward request (1 to 1792 bytes: see `trc_client_send_forward_request`) by any of the connected relays that
/// have room, each with the same chance; by a silent one only if there is no other. Writes the relay's id to `*relay`.
/// (`relay` may be NULL.)
///
/// Errors: those of `trc_pool_send_onion_request`; `TRC_ERROR_ARGUMENT` if it is not a destination.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_send_forward_request(
    pool: *mut trc_pool,
    transport: i32,
    address: *const c_char,
    data: *const u8,
    length: usize,
    relay: *mut u64,
) -> trc_error {
    run(pool, |state| {
        let destination = destination(transport, address)?;
        let data = pointer::bytes(data, length)?;
        let by = state.pool.send_forward_request(destination, data).map_err(of_relay)?;
        if let Ok(place) = pointer::out(relay) {
            place.write(by.into());
        }
        Ok(())
    })
}

/// Sends a forward request by this relay.
///
/// Errors: those of `trc_pool_send_forward_request`; `TRC_ERROR_UNKNOWN_RELAY`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_send_forward_request_by(
    pool: *mut trc_pool,
    relay: u64,
    transport: i32,
    address: *const c_char,
    data: *const u8,
    length: usize,
) -> trc_error {
    run(pool, |state| {
        let destination = destination(transport, address)?;
        let data = pointer::bytes(data, length)?;
        state.pool.send_forward_request_by(relay.into(), destination, data).map_err(of_relay)
    })
}

fn of_relay(error: tox_relay_client::pool::PoolSendError) -> Failure {
    Failure::of_pool(error, trc_error::UnknownRelay)
}
