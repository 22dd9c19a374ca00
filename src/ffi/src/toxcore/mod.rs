//! The interface of toxcore's TCP client, on the client of this library: toxcore above it stays as it is.
//!
//! These are the 23 functions of `TCP_client.o` that `TCP_connection.o` of libtoxcore uses; nothing else in that library
//! uses any. A program that is linked like this has them instead of toxcore's own, which the linker never takes:
//!
//! ```text
//! cargo rustc --release -p tox-relay-client-ffi --features toxcore --crate-type staticlib
//! cc messenger.o -Wl,-u,new_TCP_connection libtoxrelayclient.a libtoxcore.a -lsodium -lpthread -lm -ldl
//! ```
//!
//! `-u` makes the linker take them while nothing uses them yet; without it, toxcore's own would be the first that it
//! finds. All of them are in this file, since a linker takes a whole object, and a compiler makes one of each module.
//!
//! One library serves libtoxcore 0.2.18 to 0.2.22. They differ in three functions, which are here by their old and their
//! new names; the other 20, the callbacks and all values are the same:
//!
//! | libtoxcore | names | arguments of the first |
//! | --- | --- | --- |
//! | 0.2.18 | `new_TCP_connection`, `do_TCP_connection`, `kill_TCP_connection` | 9 |
//! | 0.2.19, 0.2.20 | `new_tcp_connection`, `do_tcp_connection`, `kill_tcp_connection` | 10: the second is new, a memory allocator |
//! | 0.2.21, 0.2.22 | as before | 11: the last is new, a network profile, in which toxcore counts packets and bytes |
//!
//! The network profile is not declared, and nothing is counted in it: in C's calling conventions, the caller puts
//! arguments on the stack and removes them, so one more than the function knows does no harm. 0.2.18, 0.2.20 and 0.2.22
//! are tested (`tests/messenger`); 0.2.19 and 0.2.21 were not tried.
//!
//! What toxcore expects, and how it is met:
//!
//! - A relay that fails while connecting is forgotten, so it is tried again for 45 s, and only then reported
//!   (`link`). A connection that ends is reported at once, and toxcore connects again.
//! - A connection is confirmed after the handshake. (The proof that it is the right relay follows; if it does not, the
//!   connection ends.)
//! - Callbacks may send, end connections and make others. Each event is taken out before toxcore is called, and no lock
//!   is held meanwhile.
//! - What is sent leaves in the same iteration: at once, or at the end of the turn of the connection in whose callback
//!   it was sent.
//! - Routes are numbered from 0; a second request for a route is legal; each connection has its own key pair; all
//!   connections of a Tox instance, which have its clock in common, are on one client, which is polled once an iteration
//!   (`instance`).
//!
//! Unsafe code: none here. Connections are looked up in `registry`. Pointers are turned into values in `pointer`, whose
//! promises toxcore keeps: there are so many bytes as it says. A callback is called only with the object that was set
//! with it.

#![allow(non_snake_case, reason = "the names are toxcore's")]

mod abi;
mod handlers;
mod instance;
mod link;
mod routes;
#[cfg(test)]
mod tests;

use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use tox_relay_client::{Client, ConnectionId, PublicKey, Relay, SecretKey, SendError};

use crate::pointer;
use crate::registry;
use crate::toxcore::abi::{
    DISCONNECTED, FAILED, IpPort, OnData, OnForwarding, OnOnion, OnOob, OnResponse, OnStatus, ProxyInfo, sent,
};
use crate::toxcore::handlers::{Handler, Handlers};
use crate::toxcore::instance::Shared;
use crate::toxcore::link::Link;

/// A connection, as toxcore holds it.
pub struct Connection {
    instance: Shared,
    /// The key of its link in the instance.
    link: u64,
    address: IpPort,
    relay_key: [u8; 32],
    custom_object: AtomicPtr<c_void>,
    custom_number: AtomicU32,
}

impl Connection {
    /// Uses the link. `None` if the connection is gone, or after a panic.
    fn with<R>(&self, call: impl FnOnce(&mut Link) -> R) -> Option<R> {
        self.instance.lock().ok()?.link(self.link).map(call)
    }
}

/// Runs a call, and returns `or` if it is not possible. A panic ends here.
fn run<R>(or: R, call: impl FnOnce() -> Option<R>) -> R {
    catch_unwind(AssertUnwindSafe(call)).ok().flatten().unwrap_or(or)
}

/// Runs a call that sends.
fn send(connection: *const Connection, call: impl FnOnce(&mut Link, &mut Client) -> c_int) -> c_int {
    run(FAILED, || {
        let connection = registry::find(connection).ok()?;
        connection.instance.lock().ok()?.send(connection.link, call)
    })
}

/// Runs a call that sends these bytes.
fn send_bytes(
    connection: *const Connection,
    data: *const u8,
    length: u16,
    send: impl FnOnce(&mut Client, ConnectionId, &[u8]) -> Result<(), SendError>,
) -> c_int {
    let Ok(data) = pointer::bytes(data, length.into()) else { return FAILED };
    self::send(connection, |link, client| match link.confirmed() {
        Some(connection) => sent(send(client, connection, data)),
        None => FAILED,
    })
}

/// Sets a callback.
fn set<F: Copy>(
    connection: *const Connection,
    handler: impl FnOnce(&mut Handlers) -> &mut Handler<F>,
    function: Option<F>,
    object: *mut c_void,
) {
    run((), || {
        registry::find(connection).ok()?.with(|link| handler(&mut link.handlers).set(function, object))
    });
}

#[unsafe(no_mangle)]
pub extern "C" fn new_tcp_connection(
    _logger: *const c_void,
    _memory: *const c_void,
    clock: *const c_void,
    _random: *const c_void,
    _network: *const c_void,
    address: *const IpPort,
    relay_key: *const u8,
    _public_key: *const u8,
    secret_key: *const u8,
    proxy: *const ProxyInfo,
) -> *mut Connection {
    run(null_mut(), || {
        let address = pointer::value(address).ok()?;
        let relay_key = pointer::key(relay_key).ok()?;
        let identity = SecretKey::from(pointer::key(secret_key).ok()?);
        let relay = Relay::new(address.socket_address()?, PublicKey::from(relay_key));
        let proxy = match pointer::value(proxy) {
            Ok(proxy) => proxy.proxy().ok()?,
            Err(_) => None,
        };
        let relay = match proxy {
            Some(proxy) => relay.proxy(proxy),
            None => relay.direct(),
        };
        let instance = instance::of_clock(clock.addr(), &identity)?;
        let first = instance::begin(clock.addr(), PublicKey::from(relay_key));
        let link = instance.lock().ok()?.add(relay.identity(identity), first)?;
        let connection = Connection {
            instance,
            link,
            address,
            relay_key,
            custom_object: AtomicPtr::new(null_mut()),
            custom_number: AtomicU32::new(0),
        };
        Some(registry::add(connection))
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn kill_tcp_connection(connection: *mut Connection) {
    run((), || {
        let connection = registry::remove(connection).ok()?;
        connection.instance.lock().ok()?.remove(connection.link);
        Some(())
    });
}

#[unsafe(no_mangle)]
pub extern "C" fn do_tcp_connection(
    _logger: *const c_void,
    _clock: *const c_void,
    connection: *mut Connection,
    userdata: *mut c_void,
) {
    run((), || {
        // toxcore may end this connection in a callback.
        let connection = registry::find(connection).ok()?;
        instance::take_turn(&connection.instance, connection.link, userdata)
    });
}

/// The name and the arguments in 0.2.18, like the two after it.
#[unsafe(no_mangle)]
pub extern "C" fn new_TCP_connection(
    logger: *const c_void,
    clock: *const c_void,
    random: *const c_void,
    network: *const c_void,
    address: *const IpPort,
    relay_key: *const u8,
    public_key: *const u8,
    secret_key: *const u8,
    proxy: *const ProxyInfo,
) -> *mut Connection {
    let memory = null();
    new_tcp_connection(
        logger, memory, clock, random, network, address, relay_key, public_key, secret_key, proxy,
    )
}

#[unsafe(no_mangle)]
pub extern "C" fn kill_TCP_connection(connection: *mut Connection) {
    kill_tcp_connection(connection);
}

#[unsafe(no_mangle)]
pub extern "C" fn do_TCP_connection(
    logger: *const c_void,
    clock: *const c_void,
    connection: *mut Connection,
    userdata: *mut c_void,
) {
    do_tcp_connection(logger, clock, connection, userdata);
}

#[unsafe(no_mangle)]
pub extern "C" fn tcp_con_status(connection: *const Connection) -> c_int {
    run(DISCONNECTED, || registry::find(connection).ok()?.with(|link| link.status()))
}

#[unsafe(no_mangle)]
pub extern "C" fn tcp_con_public_key(connection: *const Connection) -> *const u8 {
    registry::find(connection).map_or(null(), |connection| connection.relay_key.as_ptr())
}

#[unsafe(no_mangle)]
pub extern "C" fn tcp_con_ip_port(connection: *const Connection) -> IpPort {
    registry::find(connection).map_or(IpPort::NONE, |connection| connection.address)
}

#[unsafe(no_mangle)]
pub extern "C" fn tcp_con_custom_object(connection: *const Connection) -> *mut c_void {
    registry::find(connection)
        .map_or(null_mut(), |connection| connection.custom_object.load(Ordering::Relaxed))
}

#[unsafe(no_mangle)]
pub extern "C" fn tcp_con_set_custom_object(connection: *mut Connection, object: *mut c_void) {
    if let Ok(connection) = registry::find(connection) {
        connection.custom_object.store(object, Ordering::Relaxed);
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn tcp_con_custom_uint(connection: *const Connection) -> u32 {
    registry::find(connection).map_or(0, |connection| connection.custom_number.load(Ordering::Relaxed))
}

#[unsafe(no_mangle)]
pub extern "C" fn tcp_con_set_custom_uint(connection: *mut Connection, number: u32) {
    if let Ok(connection) = registry::find(connection) {
        connection.custom_number.store(number, Ordering::Relaxed);
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn send_routing_request(
    _logger: *const c_void,
    connection: *mut Connection,
    peer: *const u8,
) -> c_int {
    let Ok(peer) = pointer::key(peer) else { return FAILED };
    send(connection, |link, client| link.open_route(client, peer.into()))
}

#[unsafe(no_mangle)]
pub extern "C" fn send_disconnect_request(
    _logger: *const c_void,
    connection: *mut Connection,
    number: u8,
) -> c_int {
    send(connection, |link, client| link.close_route(client, number))
}

#[unsafe(no_mangle)]
pub extern "C" fn set_tcp_connection_number(connection: *mut Connection, number: u8, peer: u32) -> c_int {
    run(FAILED, || registry::find(connection).ok()?.with(|link| link.set_peer(number, peer)))
}

#[unsafe(no_mangle)]
pub extern "C" fn send_data(
    _logger: *const c_void,
    connection: *mut Connection,
    number: u8,
    data: *const u8,
    length: u16,
) -> c_int {
    let Ok(data) = pointer::bytes(data, length.into()) else { return FAILED };
    send(connection, |link, client| link.send_data(client, number, data))
}

#[unsafe(no_mangle)]
pub extern "C" fn send_oob_packet(
    _logger: *const c_void,
    connection: *mut Connection,
    peer: *const u8,
    data: *const u8,
    length: u16,
) -> c_int {
    let Ok(peer) = pointer::key(peer) else { return FAILED };
    send_bytes(connection, data, length, |client, id, data| client.send_oob(id, peer.into(), data))
}

#[unsafe(no_mangle)]
pub extern "C" fn send_onion_request(
    _logger: *const c_void,
    connection: *mut Connection,
    data: *const u8,
    length: u16,
) -> c_int {
    send_bytes(connection, data, length, Client::send_onion_request)
}

#[unsafe(no_mangle)]
pub extern "C" fn send_forward_request_tcp(
    _logger: *const c_void,
    connection: *mut Connection,
    destination: *const IpPort,
    data: *const u8,
    length: u16,
) -> c_int {
    let destination = pointer::value(destination).ok().and_then(|node: IpPort| node.destination());
    let Some(destination) = destination else { return FAILED };
    send_bytes(connection, data, length, |client, id, data| {
        client.send_forward_request(id, destination, data)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn routing_response_handler(
    connection: *mut Connection,
    function: Option<OnResponse>,
    object: *mut c_void,
) {
    set(connection, |handlers| &mut handlers.response, function, object);
}

#[unsafe(no_mangle)]
pub extern "C" fn routing_status_handler(
    connection: *mut Connection,
    function: Option<OnStatus>,
    object: *mut c_void,
) {
    set(connection, |handlers| &mut handlers.status, function, object);
}

#[unsafe(no_mangle)]
pub extern "C" fn routing_data_handler(
    connection: *mut Connection,
    function: Option<OnData>,
    object: *mut c_void,
) {
    set(connection, |handlers| &mut handlers.data, function, object);
}

#[unsafe(no_mangle)]
pub extern "C" fn oob_data_handler(
    connection: *mut Connection,
    function: Option<OnOob>,
    object: *mut c_void,
) {
    set(connection, |handlers| &mut handlers.oob, function, object);
}

#[unsafe(no_mangle)]
pub extern "C" fn onion_response_handler(
    connection: *mut Connection,
    function: Option<OnOnion>,
    object: *mut c_void,
) {
    set(connection, |handlers| &mut handlers.onion, function, object);
}

#[unsafe(no_mangle)]
pub extern "C" fn forwarding_handler(
    connection: *mut Connection,
    function: Option<OnForwarding>,
    object: *mut c_void,
) {
    set(connection, |handlers| &mut handlers.forwarding, function, object);
}
