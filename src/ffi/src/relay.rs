//! Relays to connect to.

use std::ffi::c_char;
use std::net::SocketAddr;
use std::time::Duration;

use tox_relay_client::{Address, PublicKey, Relay, SecretKey};

use crate::config::proxy;
use crate::error::trc_error;
use crate::handle::{Handle, catch, free, handles, run, value};
use crate::pointer;
use crate::text::{TRC_ADDRESS_SIZE, fixed};

/// The most addresses of a relay: `Client::connect` refuses more.
const MAX_ADDRESSES: usize = 16;

/// A relay: its public key, its addresses, and settings for its connection alone.
pub struct trc_relay(Handle<Relay>);

handles!(trc_relay: Relay);

/// Describes the relay at this address with this public key (32 bytes). The address is an IP address and a port
/// (`198.51.100.7:33445`, `[2001:db8::7]:33445`) or, if there is a proxy that resolves it, a host name and a port. Writes
/// the relay to `*relay`: free it with `trc_relay_free`.
///
/// Errors: `TRC_ERROR_ADDRESS_...`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_relay_new(
    address: *const c_char,
    public_key: *const u8,
    relay: *mut *mut trc_relay,
) -> trc_error {
    catch(|| {
        let place = pointer::out(relay)?;
        let address: Address = pointer::text(address)?.parse()?;
        let public_key = PublicKey::from_bytes(pointer::key(public_key)?);
        place.write(trc_relay::new(Relay::new(address, public_key)));
        Ok(())
    })
}

/// Frees a relay. Connections to it are not affected: clients and pools copy it. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn trc_relay_free(relay: *mut trc_relay) {
    free(relay);
}

/// Adds another address of the same relay: another port, or IPv6 in addition to IPv4; at most 16 in all. They are tried
/// 250 ms apart, IPv4 and IPv6 in turns, and the first that completes the handshake is used. One that is there already
/// is not added again.
///
/// Errors: `TRC_ERROR_ADDRESS_...`, `TRC_ERROR_TOO_MANY_ADDRESSES`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_relay_add_address(relay: *mut trc_relay, address: *const c_char) -> trc_error {
    run(relay, |relay: &mut Relay| {
        let address: Address = pointer::text(address)?.parse()?;
        let changed = relay.clone().address(address);
        if changed.addresses()?.len() > MAX_ADDRESSES {
            return Err(trc_error::TooManyAddresses.into());
        }
        *relay = changed;
        Ok(())
    })
}

/// A number of the caller's for this connection, which comes back in its events and its status, so that the program
/// needs no map from connections to its own objects. Default: 0.
#[unsafe(no_mangle)]
pub extern "C" fn trc_relay_set_token(relay: *mut trc_relay, token: u64) -> trc_error {
    run(relay, |relay: &mut Relay| {
        *relay = relay.clone().token(token);
        Ok(())
    })
}

/// Connects with this secret key (32 bytes, which are copied, and wiped with the relay) instead of the client's own.
#[unsafe(no_mangle)]
pub extern "C" fn trc_relay_set_identity(relay: *mut trc_relay, secret_key: *const u8) -> trc_error {
    run(relay, |relay: &mut Relay| {
        let secret_key = SecretKey::from(pointer::key(secret_key)?);
        *relay = relay.clone().identity(secret_key);
        Ok(())
    })
}

/// Reaches this relay through this proxy instead of the client's: see `trc_config_set_proxy`.
///
/// Errors: `TRC_ERROR_PROXY_...`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_relay_set_proxy(relay: *mut trc_relay, url: *const c_char) -> trc_error {
    run(relay, |relay: &mut Relay| {
        let proxy = proxy(url)?;
        *relay = relay.clone().proxy(proxy);
        Ok(())
    })
}

/// Reaches this relay without a proxy, even if the client has one.
#[unsafe(no_mangle)]
pub extern "C" fn trc_relay_set_direct(relay: *mut trc_relay) -> trc_error {
    run(relay, |relay: &mut Relay| {
        *relay = relay.clone().direct();
        Ok(())
    })
}

/// How long connecting, the exchange with a proxy and the handshake may take together, for each address, in
/// milliseconds. Default: as the client's settings say. An onion service may need a minute.
///
/// Errors: `TRC_ERROR_CONNECT_TIMEOUT` if it is 0.
#[unsafe(no_mangle)]
pub extern "C" fn trc_relay_set_connect_timeout(relay: *mut trc_relay, milliseconds: u64) -> trc_error {
    run(relay, |relay: &mut Relay| {
        if milliseconds == 0 {
            return Err(trc_error::ConnectTimeout.into());
        }
        *relay = relay.clone().connect_timeout(Duration::from_millis(milliseconds));
        Ok(())
    })
}

/// Connects from this local IP address, for example that of one network interface: `192.0.2.10:0`, where port 0 is any
/// port. Default: the operating system chooses.
///
/// Errors: `TRC_ERROR_ARGUMENT` if it is not an IP address and a port.
#[unsafe(no_mangle)]
pub extern "C" fn trc_relay_set_local_address(relay: *mut trc_relay, address: *const c_char) -> trc_error {
    run(relay, |relay: &mut Relay| {
        let address: SocketAddr = pointer::text(address)?.parse().map_err(|_| trc_error::Argument)?;
        *relay = relay.clone().local_address(address);
        Ok(())
    })
}

/// Writes the relay's public key to `public_key` (32 bytes).
#[unsafe(no_mangle)]
pub extern "C" fn trc_relay_public_key(relay: *const trc_relay, public_key: *mut u8) -> trc_error {
    run(relay, |relay: &mut Relay| Ok(pointer::write_key(public_key, relay.public_key().as_bytes())?))
}

/// How many addresses the relay has; 0 if `relay` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn trc_relay_addresses(relay: *const trc_relay) -> usize {
    value(relay, |relay: &mut Relay| Ok(relay.addresses()?.len())).unwrap_or(0)
}

/// Writes the address with this index, from 0, as text to `address`, which has room for `TRC_ADDRESS_SIZE` bytes.
///
/// Errors: `TRC_ERROR_ARGUMENT` if there are not so many.
#[unsafe(no_mangle)]
pub extern "C" fn trc_relay_address(
    relay: *const trc_relay,
    index: usize,
    address: *mut c_char,
) -> trc_error {
    run(relay, |relay: &mut Relay| {
        let place = pointer::out(address.cast::<[c_char; TRC_ADDRESS_SIZE]>())?;
        place.write(fixed(relay.addresses()?.get(index).ok_or(trc_error::Argument)?));
        Ok(())
    })
}
