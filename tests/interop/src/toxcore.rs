//! A safe wrapper of the relay client of the C library (libtoxcore 0.2.18).
//!
//! These functions are internal to the library and have no public header, so the prototypes are declared in
//! `functions`. They are correct only for this version, so [`CClient::connect`] checks the version before it calls any of
//! them.
//!
//! # Why this file contains unsafe code
//!
//! Rust can call C functions only in unsafe code. All unsafe code of this crate is in this file, in `functions` and
//! `layer` below it, and in `sodium`. It is sound because:
//!
//! - Each [`CClient`] is the only owner of its C objects and frees them once, in `Drop`; an object is freed before
//!   those that it uses. `CClient` is neither `Send` nor `Sync`, since it contains raw pointers. Clients share only the
//!   library's tables of functions, which are never written.
//! - The library holds one pointer of ours, to a boxed `Shared`, which is freed after the C objects that hold it. It is
//!   the first argument of each callback. Callbacks run only inside [`CClient::iterate_without_clock`], the clock also
//!   inside [`CClient::iterate`] and `connect`. No reference to the `Shared` exists during these calls: each method and
//!   each callback creates its own reference, and drops it before it returns.
//! - The library copies what it needs from our other pointers during the call. Lengths are checked before they are
//!   converted to 16 bits. A connection id has 8 bits, and the library checks it against its table.
//! - A callback that panics ends the process (`extern "C"`) instead of unwinding into C.
#![allow(unsafe_code)]

mod functions;
mod layer;

use std::collections::{VecDeque, vec_deque};
use std::ffi::{c_int, c_void};
use std::net::SocketAddr;
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};
use std::{error, fmt, slice};

use crate::event::{CEvent, CSend, CStatus, ReceivedData};
use functions::*;

pub use layer::{CLayer, CPeer};

/// The connection id of the first route on the wire, and in this crate. The C client numbers routes from 0.
const FIRST_CONNECTION_ID: u8 = 16;

/// The most bytes of data in a packet, after its kind. Checked here, since larger lengths could overflow 16 bits in C.
const MAX_DATA: usize = 2031;

/// The version of the library that the prototypes in `functions` belong to.
const VERSION: (u32, u32, u32) = (0, 2, 18);

/// A connection of the C client to a relay.
///
/// [`iterate`](Self::iterate) does all of its reading and most of its writing, so it must be called regularly;
/// [`next_event`](Self::next_event) returns the resulting events. The client gives no access to its socket, so it
/// cannot be waited for: call `iterate` again after a short pause, like [`wait_for`](crate::wait_for).
///
/// Its limitations:
///
/// - It notices a closed connection only when a pong is missing, up to 40 s later, and a refused connection after 10 s.
///   [`advance`](Self::advance) shortens both.
/// - A refused route (connection id 0) causes no event, and neither does the answer to a request for a peer that
///   already has a route.
/// - A data packet without data ends its connection.
#[derive(Debug)]
pub struct CClient {
    connection: *mut Connection,
    clock: *mut MonoTime,
    logger: *mut Logger,
    shared: *mut Shared,
    public_key: [u8; 32],
}

impl CClient {
    /// Starts to connect, without a proxy; [`status`](Self::status) returns the progress.
    /// `relay_key` is the relay's DHT public key, `secret_key` the client's DHT secret key.
    pub fn connect(
        relay_addr: SocketAddr,
        relay_key: [u8; 32],
        secret_key: [u8; 32],
    ) -> Result<Self, ConnectError> {
        initialise()?;
        Self::connect_as(relay_addr, relay_key, public_key_of(&secret_key), secret_key)
    }

    /// The same with both keys of the key pair, so that the public one is not computed for each connection.
    pub fn connect_as(
        relay_addr: SocketAddr,
        relay_key: [u8; 32],
        public_key: [u8; 32],
        secret_key: [u8; 32],
    ) -> Result<Self, ConnectError> {
        let random = initialise()?;
        let shared = Box::into_raw(Box::new(Shared::new()));
        let mut client =
            Self { connection: null_mut(), clock: null_mut(), logger: null_mut(), shared, public_key };
        let relay = IpPort::from(relay_addr);
        // SAFETY: if any pointer is null, the client is dropped; the functions that `Drop` calls accept null. The keys
        // and the address are copied. `shared` outlives the clock and the connection, see `Drop`.
        unsafe {
            // A logger without a callback logs nothing; without a logger, the library would log to stderr.
            client.logger = logger_new();
            client.clock = mono_time_new(on_clock, shared.cast());
            if client.logger.is_null() || client.clock.is_null() {
                return Err(ConnectError::Setup);
            }
            client.connection = new_TCP_connection(
                client.logger,
                client.clock,
                random,
                system_network(),
                &relay,
                relay_key.as_ptr(),
                public_key.as_ptr(),
                secret_key.as_ptr(),
                null(),
            );
            if client.connection.is_null() {
                return Err(ConnectError::NotStarted);
            }
            routing_response_handler(client.connection, on_routing_response, shared.cast());
            routing_status_handler(client.connection, on_routing_status, shared.cast());
            routing_data_handler(client.connection, on_data, shared.cast());
            oob_data_handler(client.connection, on_oob, shared.cast());
            onion_response_handler(client.connection, on_onion_response, shared.cast());
        }
        Ok(client)
    }

    /// One iteration of a C program's main loop: reads the clock, writes pending data, sends pings, and reads all data
    /// that have arrived. It takes the same time as in C.
    #[inline]
    pub fn iterate(&mut self) {
        // SAFETY: the pointer is from `connect`, and no reference to the `Shared` exists.
        unsafe { mono_time_update(self.clock) };
        self.iterate_without_clock();
    }

    /// The same without reading the clock. The connections of a C program share one clock, which it reads only once per
    /// iteration of its main loop.
    #[inline]
    pub fn iterate_without_clock(&mut self) {
        // SAFETY: the pointers are from `connect`, and no reference to the `Shared` exists.
        unsafe { do_TCP_connection(self.logger, self.clock, self.connection, null_mut()) };
    }

    /// The stage of the connection.
    #[inline]
    pub fn status(&self) -> CStatus {
        // SAFETY: the pointer is from `connect`.
        match unsafe { tcp_con_status(self.connection) } {
            6 => CStatus::Connected,
            7 => CStatus::Disconnected,
            _ => CStatus::Connecting,
        }
    }

    /// Removes and returns all pending events, oldest first. Dropping the iterator drops those that are left.
    pub fn events(&mut self) -> vec_deque::Drain<'_, CEvent> {
        // SAFETY: the iterator borrows `self`, so no other method of this client can run while it exists.
        let shared = unsafe { &mut *self.shared };
        shared.events.drain(..)
    }

    /// Removes and returns the oldest pending event.
    pub fn next_event(&mut self) -> Option<CEvent> {
        // SAFETY: no other reference to the `Shared` exists.
        let shared = unsafe { &mut *self.shared };
        shared.events.pop_front()
    }

    /// From now on, data packets that arrive on routes are only counted and cause no events, so that a measurement does
    /// not include copying the data for events.
    pub fn count_data_only(&mut self) {
        // SAFETY: as in `connect`.
        unsafe {
            routing_data_handler(self.connection, on_counted_data, self.shared.cast());
        }
    }

    /// The data packets that have arrived on routes so far.
    #[inline]
    pub fn received_data(&self) -> ReceivedData {
        // SAFETY: nothing changes it while `self` is borrowed.
        unsafe { (*self.shared).received_data }
    }

    /// Moves this client's clock forward, for its pings and timeouts. They are in whole seconds.
    pub fn advance(&mut self, by: Duration) {
        // SAFETY: no other reference to the `Shared` exists.
        let shared = unsafe { &mut *self.shared };
        shared.clock_offset += by;
    }

    /// The client's public key, with which peers request routes to it.
    pub fn public_key(&self) -> [u8; 32] {
        self.public_key
    }

    /// Requests a route to `peer`. Never blocks: if the socket is full, the client queues the request.
    /// Returns [`CSend::Error`] unless connected.
    pub fn request_route(&mut self, peer: &[u8; 32]) -> CSend {
        self.if_connected(|client| {
            // SAFETY: the pointers are from `connect`, and the key is copied.
            unsafe { send_routing_request(client.logger, client.connection, peer.as_ptr()) }
        })
    }

    /// Closes a route. Never blocks: if the socket is full, the client queues the notification. It is sent for any id
    /// from 16 on, and the relay ends the connection of a client that closes a route it does not have. Returns
    /// [`CSend::Error`] unless connected, or if the id is below 16.
    pub fn disconnect_route(&mut self, connection_id: u8) -> CSend {
        let Some(number) = connection_id.checked_sub(FIRST_CONNECTION_ID) else {
            return CSend::Error;
        };
        self.if_connected(|client| {
            // SAFETY: the pointers are from `connect`.
            unsafe { send_disconnect_request(client.logger, client.connection, number) }
        })
    }

    /// Sends data, at most 2031 bytes, on a route that is online.
    /// Returns [`CSend::Error`] for any other id or length.
    #[inline]
    pub fn send_data(&mut self, connection_id: u8, data: &[u8]) -> CSend {
        let number = connection_id.checked_sub(FIRST_CONNECTION_ID);
        let (Some(number), Some(length)) = (number, length_of(data)) else { return CSend::Error };
        // SAFETY: the pointers are from `connect`; `length` is that of the data, which are copied. The function itself
        // checks that the route is online, so the handshake is complete.
        CSend::from_return(unsafe { send_data(self.logger, self.connection, number, data.as_ptr(), length) })
    }

    /// Sends data out of band, 1 to 1024 bytes, to the client that is connected to the relay with this key.
    /// Returns [`CSend::Error`] unless connected, or for any other length.
    #[inline]
    pub fn send_oob(&mut self, peer: &[u8; 32], data: &[u8]) -> CSend {
        let Some(length) = length_of(data) else { return CSend::Error };
        self.if_connected(|client| {
            let (peer, data) = (peer.as_ptr(), data.as_ptr());
            // SAFETY: the pointers are from `connect`; `length` is that of the data; data and key are copied.
            unsafe { send_oob_packet(client.logger, client.connection, peer, data, length) }
        })
    }

    /// Sends an onion request: nonce and data in their wire format, at most 2031 bytes.
    /// Returns [`CSend::Error`] unless connected, or for a larger length.
    pub fn send_onion(&mut self, request: &[u8]) -> CSend {
        let Some(length) = length_of(request) else { return CSend::Error };
        self.if_connected(|client| {
            let request = request.as_ptr();
            // SAFETY: the pointers are from `connect`; `length` is that of the request, which is copied.
            unsafe { send_onion_request(client.logger, client.connection, request, length) }
        })
    }

    /// Sends only if connected. Otherwise the C functions would write an encrypted packet during the handshake.
    #[inline]
    fn if_connected(&mut self, send: impl FnOnce(&mut Self) -> c_int) -> CSend {
        match self.status() {
            CStatus::Connected => CSend::from_return(send(self)),
            CStatus::Connecting | CStatus::Disconnected => CSend::Error,
        }
    }
}

impl Drop for CClient {
    fn drop(&mut self) {
        // SAFETY: each pointer was created in `connect`, or is null, which these functions accept. The `Shared` is
        // freed last, when no C object points to it any more.
        unsafe {
            kill_TCP_connection(self.connection);
            mono_time_free(self.clock);
            logger_kill(self.logger);
            drop(Box::from_raw(self.shared));
        }
    }
}

/// Why no C client could be created.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The linked library has another version (major, minor, patch) than this crate supports.
    Version(u32, u32, u32),
    /// There is no memory, or no source of random numbers.
    Setup,
    /// No socket could be created, or connecting failed at once. (That is rare: a refused connection is noticed only
    /// after 10 s.)
    NotStarted,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(major, minor, patch) => {
                let (a, b, c) = VERSION;
                write!(f, "libtoxcore has version {major}.{minor}.{patch}, but {a}.{b}.{c} is required")
            }
            Self::Setup => f.write_str("libtoxcore has no memory or no source of random numbers"),
            Self::NotStarted => f.write_str("libtoxcore could not start to connect"),
        }
    }
}

impl error::Error for ConnectError {}

/// The state of one client that its callbacks and its methods share.
struct Shared {
    events: VecDeque<CEvent>,
    received_data: ReceivedData,
    started: Instant,
    /// How far [`CClient::advance`] has moved the clock forward.
    clock_offset: Duration,
}

impl Shared {
    fn new() -> Self {
        Self {
            events: VecDeque::new(),
            received_data: ReceivedData::default(),
            started: Instant::now(),
            clock_offset: Duration::ZERO,
        }
    }

    fn count(&mut self, bytes: u16) {
        self.received_data.packets += 1;
        self.received_data.bytes += u64::from(bytes);
    }
}

/// Checks the library's version and initialises the library. Must be called before any other of its functions, and may
/// be called repeatedly.
fn initialise() -> Result<*const Random, ConnectError> {
    // SAFETY: these are public functions of `tox.h`, with the same prototypes in every version.
    let (major, minor, patch) = unsafe { (tox_version_major(), tox_version_minor(), tox_version_patch()) };
    if (major, minor, patch) != VERSION {
        return Err(ConnectError::Version(major, minor, patch));
    }
    // SAFETY: the function has no arguments. It also initialises libsodium.
    let random = unsafe { system_random() };
    if random.is_null() { Err(ConnectError::Setup) } else { Ok(random) }
}

pub(crate) fn public_key_of(secret_key: &[u8; 32]) -> [u8; 32] {
    let mut public_key = [0; 32];
    // SAFETY: libsodium writes 32 bytes to the first argument and reads 32 from the second. It cannot fail.
    unsafe { crypto_scalarmult_base(public_key.as_mut_ptr(), secret_key.as_ptr()) };
    public_key
}

#[inline]
fn length_of(data: &[u8]) -> Option<u16> {
    (data.len() <= MAX_DATA).then_some(data.len() as u16)
}

// SAFETY of all callbacks: `shared` is the pointer that `CClient::connect` has passed. It is valid as long as the
// client exists, and there is no other reference to it while C code runs. `data` points to `length` bytes. Data and
// keys are only read during the call.

unsafe extern "C" fn on_clock(shared: *mut c_void) -> u64 {
    let shared = unsafe { &*shared.cast::<Shared>() };
    (shared.started.elapsed() + shared.clock_offset).as_millis() as u64
}

unsafe extern "C" fn on_routing_response(shared: *mut c_void, number: u8, peer: *const u8) -> c_int {
    let shared = unsafe { &mut *shared.cast::<Shared>() };
    let peer = unsafe { *peer.cast::<[u8; 32]>() };
    let connection_id = number + FIRST_CONNECTION_ID;
    shared.events.push_back(CEvent::RoutingResponse { connection_id, peer });
    0
}

unsafe extern "C" fn on_routing_status(shared: *mut c_void, _custom: u32, number: u8, status: u8) -> c_int {
    let shared = unsafe { &mut *shared.cast::<Shared>() };
    let connection_id = number + FIRST_CONNECTION_ID;
    shared.events.push_back(match status {
        2 => CEvent::Online { connection_id },
        _ => CEvent::Offline { connection_id },
    });
    0
}

unsafe extern "C" fn on_data(
    shared: *mut c_void,
    _custom: u32,
    number: u8,
    data: *const u8,
    length: u16,
    _userdata: *mut c_void,
) -> c_int {
    let shared = unsafe { &mut *shared.cast::<Shared>() };
    let data = unsafe { slice::from_raw_parts(data, length.into()) }.to_vec();
    shared.count(length);
    let connection_id = number + FIRST_CONNECTION_ID;
    shared.events.push_back(CEvent::Data { connection_id, data });
    0
}

unsafe extern "C" fn on_counted_data(
    shared: *mut c_void,
    _custom: u32,
    _number: u8,
    _data: *const u8,
    length: u16,
    _userdata: *mut c_void,
) -> c_int {
    let shared = unsafe { &mut *shared.cast::<Shared>() };
    shared.count(length);
    0
}

unsafe extern "C" fn on_oob(
    shared: *mut c_void,
    sender: *const u8,
    data: *const u8,
    length: u16,
    _userdata: *mut c_void,
) -> c_int {
    let shared = unsafe { &mut *shared.cast::<Shared>() };
    let sender = unsafe { *sender.cast::<[u8; 32]>() };
    let data = unsafe { slice::from_raw_parts(data, length.into()) }.to_vec();
    shared.events.push_back(CEvent::Oob { sender, data });
    0
}

unsafe extern "C" fn on_onion_response(
    shared: *mut c_void,
    data: *const u8,
    length: u16,
    _userdata: *mut c_void,
) -> c_int {
    let shared = unsafe { &mut *shared.cast::<Shared>() };
    let data = unsafe { slice::from_raw_parts(data, length.into()) }.to_vec();
    shared.events.push_back(CEvent::OnionResponse { data });
    0
}
