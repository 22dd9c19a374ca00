//! The relay client of the C library (libtoxcore 0.2.18), behind a safe face.
//!
//! The library exports these functions for its own modules only and has no header for them, so the
//! prototypes at the end of this file are declared here. They hold for this one version, which
//! [`CClient::connect`] checks before it calls any of them.
//!
//! # Why this file is allowed to be unsafe
//!
//! Calling C cannot be done otherwise; everything unsafe of this crate is in this file and in `sodium`. It is sound
//! because:
//!
//! - Each [`CClient`] owns its C objects alone, frees them once, in `Drop`, in the order of their
//!   use, and is neither `Send` nor `Sync`, as it holds raw pointers. All functions of the library
//!   that share anything between clients (its tables of functions) only read it.
//! - The library holds one pointer of ours, to a boxed `Shared`, which is freed after the client
//!   that holds it. It comes back as the first argument of each callback. Callbacks run only inside
//!   [`CClient::iterate`] (and the clock also inside `connect`), and no reference to the `Shared`
//!   lives across those calls: each method and each callback makes one for itself and lets it go.
//! - What the library reads from a pointer it reads during the call. Lengths are checked before
//!   they become 16 bits wide. An id is 8 bits wide, and the library checks it against its table.
//! - A callback that panics ends the process (`extern "C"`) instead of unwinding into C.
#![allow(unsafe_code)]

use std::collections::{VecDeque, vec_deque};
use std::ffi::{c_int, c_void};
use std::net::{IpAddr, SocketAddr};
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};
use std::{error, fmt, slice};

use crate::event::{CEvent, CSend, CStatus, Counted};

/// The C client numbers routes from 0, the wire (and this crate) from 16.
const FIRST_CONNECTION_ID: u8 = 16;

/// What fits into a packet behind its kind. Checked here, since 65,535 bytes would overflow in C.
const MAX_DATA: usize = 2031;

/// The release that the prototypes below belong to.
const VERSION: (u32, u32, u32) = (0, 2, 18);

/// A connection of the C client to a relay.
///
/// It has to be driven: [`iterate`](Self::iterate) does all of its reading and most of its writing,
/// and [`next_event`](Self::next_event) gives what came of it. It cannot be waited for, since it
/// keeps its socket to itself: call `iterate` again after a short while, as
/// [`wait_for`](crate::wait_for) does.
///
/// What it does differently from what one may expect:
///
/// - A relay that is gone is noticed only when a pong is missing, up to 40 s later; a refused
///   connection after 10 s. [`advance`](Self::advance) makes that short.
/// - A refused route (connection_id 0) gives no event. Nor does the answer to a request for a peer
///   that already has a route.
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
    /// Begins to connect, without a proxy: [`status`](Self::status) tells how that went.
    /// `relay_key` is the relay's DHT public key, `secret_key` the client's DHT secret key.
    pub fn connect(
        relay_addr: SocketAddr,
        relay_key: [u8; 32],
        secret_key: [u8; 32],
    ) -> Result<Self, ConnectError> {
        start()?;
        Self::connect_as(relay_addr, relay_key, public_key_of(&secret_key), secret_key)
    }

    /// The same for who has both halves of the key pair, and does not want the public one to be computed for each
    /// connection.
    pub fn connect_as(
        relay_addr: SocketAddr,
        relay_key: [u8; 32],
        public_key: [u8; 32],
        secret_key: [u8; 32],
    ) -> Result<Self, ConnectError> {
        let random = start()?;
        let shared = Box::into_raw(Box::new(Shared::new()));
        let mut client =
            Self { connection: null_mut(), clock: null_mut(), logger: null_mut(), shared, public_key };
        let relay = IpPort::from(relay_addr);
        // SAFETY: on any null the client is dropped, whose functions accept null. The keys and the
        // address are copied. `shared` outlives the clock and the connection, see `Drop`.
        unsafe {
            // Without a callback it logs nothing; without a logger it would log to stderr.
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

    /// One round of what a C program does in its main loop: looks at the clock, writes what is
    /// pending, sends pings, reads until nothing is left to read. Costs what it costs in C.
    #[inline]
    pub fn iterate(&mut self) {
        // SAFETY: the pointer is from `connect`, and no reference to the `Shared` is held.
        unsafe { mono_time_update(self.clock) };
        self.iterate_at_the_same_time();
    }

    /// The same without looking at the clock, as it is for all connections of a C program but the first of each round:
    /// they share one clock there.
    #[inline]
    pub fn iterate_at_the_same_time(&mut self) {
        // SAFETY: the pointers are from `connect`, and no reference to the `Shared` is held.
        unsafe { do_TCP_connection(self.logger, self.clock, self.connection, null_mut()) };
    }

    /// How far the connection is.
    #[inline]
    pub fn status(&self) -> CStatus {
        // SAFETY: the pointer is from `connect`.
        match unsafe { tcp_con_status(self.connection) } {
            6 => CStatus::Connected,
            7 => CStatus::Disconnected,
            _ => CStatus::Connecting,
        }
    }

    /// All events that have not been taken yet, oldest first. Those that are not taken from the
    /// drain are dropped with it.
    pub fn events(&mut self) -> vec_deque::Drain<'_, CEvent> {
        // SAFETY: the drain borrows `self`, so nothing else of this client runs while it lives.
        let shared = unsafe { &mut *self.shared };
        shared.events.drain(..)
    }

    /// The oldest event that has not been taken yet.
    pub fn next_event(&mut self) -> Option<CEvent> {
        // SAFETY: no other reference to the `Shared` is held.
        let shared = unsafe { &mut *self.shared };
        shared.events.pop_front()
    }

    /// From now on the data packets that arrive on routes are counted and make no events, so that a
    /// measurement contains none of this crate's copies.
    pub fn count_data_only(&mut self) {
        // SAFETY: as in `connect`.
        unsafe {
            routing_data_handler(self.connection, on_data_counted, self.shared.cast());
        }
    }

    /// The data packets that have arrived on routes so far.
    #[inline]
    pub fn counted(&self) -> Counted {
        // SAFETY: nothing changes it while `self` is borrowed.
        unsafe { (*self.shared).counted }
    }

    /// Moves this client's clock ahead: to its pings and time limits it looks as if that much more
    /// time had passed. It counts whole seconds.
    pub fn advance(&mut self, by: Duration) {
        // SAFETY: no other reference to the `Shared` is held.
        let shared = unsafe { &mut *self.shared };
        shared.ahead += by;
    }

    /// The public key that peers know this client by.
    pub fn public_key(&self) -> [u8; 32] {
        self.public_key
    }

    /// Asks the relay for a route to `peer`. Never blocks: what cannot be sent now is kept.
    /// [`CSend::Error`] unless connected.
    pub fn request_route(&mut self, peer: &[u8; 32]) -> CSend {
        self.if_connected(|client| {
            // SAFETY: the pointers are from `connect`; the key is copied.
            unsafe { send_routing_request(client.logger, client.connection, peer.as_ptr()) }
        })
    }

    /// Gives a route up. Never blocks: what cannot be sent now is kept. It is sent for any id, and
    /// the relay drops a client that gives up a route which it does not have.
    /// [`CSend::Error`] unless connected, or when the id is below 16.
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
    /// [`CSend::Error`] on any other id or length.
    #[inline]
    pub fn send_data(&mut self, connection_id: u8, data: &[u8]) -> CSend {
        let number = connection_id.checked_sub(FIRST_CONNECTION_ID);
        let (Some(number), Some(length)) = (number, length_of(data)) else { return CSend::Error };
        // SAFETY: the pointers are from `connect`; `length` is that of the data, which is copied.
        // That the route is online (so the handshake is over) is checked by the function itself.
        CSend::from_return(unsafe { send_data(self.logger, self.connection, number, data.as_ptr(), length) })
    }

    /// Sends data, 1 to 1024 bytes, to whoever is connected to the relay under this key.
    /// [`CSend::Error`] unless connected, or on any other length.
    #[inline]
    pub fn send_oob(&mut self, peer: &[u8; 32], data: &[u8]) -> CSend {
        let Some(length) = length_of(data) else { return CSend::Error };
        self.if_connected(|client| {
            let (peer, data) = (peer.as_ptr(), data.as_ptr());
            // SAFETY: the pointers are from `connect`; `length` is that of the data; both are copied.
            unsafe { send_oob_packet(client.logger, client.connection, peer, data, length) }
        })
    }

    /// Sends an onion request: its nonce and data, at most 2031 bytes, as they are on the wire.
    /// [`CSend::Error`] unless connected, or on a larger length.
    pub fn send_onion(&mut self, request: &[u8]) -> CSend {
        let Some(length) = length_of(request) else { return CSend::Error };
        self.if_connected(|client| {
            let request = request.as_ptr();
            // SAFETY: the pointers are from `connect`; `length` is that of the request, a copied one.
            unsafe { send_onion_request(client.logger, client.connection, request, length) }
        })
    }

    /// The C functions would write an encrypted packet into the middle of the handshake.
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
        // SAFETY: each was made in `connect`, and is null where that failed, which all accept. The
        // `Shared` comes last, when nothing points to it any more.
        unsafe {
            kill_TCP_connection(self.connection);
            mono_time_free(self.clock);
            logger_kill(self.logger);
            drop(Box::from_raw(self.shared));
        }
    }
}

/// Why there is no C client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The linked library is another release (major, minor, patch) than the one this crate knows.
    Version(u32, u32, u32),
    /// No memory, or no source of randomness.
    Setup,
    /// There is no socket to be had, or the system refused to connect at once. (It rarely does: a port
    /// where nobody listens is noticed after 10 s.)
    NotStarted,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(major, minor, patch) => {
                let (a, b, c) = VERSION;
                write!(f, "libtoxcore is {major}.{minor}.{patch}, and only {a}.{b}.{c} will do")
            }
            Self::Setup => f.write_str("libtoxcore found no memory or no randomness"),
            Self::NotStarted => f.write_str("libtoxcore could not begin to connect"),
        }
    }
}

impl error::Error for ConnectError {}

/// What the callbacks and the methods of one client have in common.
struct Shared {
    events: VecDeque<CEvent>,
    counted: Counted,
    started: Instant,
    ahead: Duration,
}

impl Shared {
    fn new() -> Self {
        Self {
            events: VecDeque::new(),
            counted: Counted::default(),
            started: Instant::now(),
            ahead: Duration::ZERO,
        }
    }

    fn count(&mut self, bytes: u16) {
        self.counted.packets += 1;
        self.counted.bytes += u64::from(bytes);
    }
}

/// What comes before whatever else is called, as often as one likes.
fn start() -> Result<*const Random, ConnectError> {
    // SAFETY: public functions of `tox.h`, with these prototypes in each release.
    let (major, minor, patch) = unsafe { (tox_version_major(), tox_version_minor(), tox_version_patch()) };
    if (major, minor, patch) != VERSION {
        return Err(ConnectError::Version(major, minor, patch));
    }
    // SAFETY: it takes nothing, and it starts libsodium.
    let random = unsafe { system_random() };
    if random.is_null() { Err(ConnectError::Setup) } else { Ok(random) }
}

pub(crate) fn public_key_of(secret_key: &[u8; 32]) -> [u8; 32] {
    let mut public_key = [0; 32];
    // SAFETY: libsodium writes 32 bytes to the first and reads 32 from the second. It fails for no
    // secret key.
    unsafe { crypto_scalarmult_base(public_key.as_mut_ptr(), secret_key.as_ptr()) };
    public_key
}

#[inline]
fn length_of(data: &[u8]) -> Option<u16> {
    (data.len() <= MAX_DATA).then_some(data.len() as u16)
}

// SAFETY, of all callbacks: `shared` is the pointer given in `CClient::connect`, alive as long as the
// client, and no other reference to it lives while C runs. `data` and keys are only read during the
// call, and `length` is how many bytes C has there.

unsafe extern "C" fn on_clock(shared: *mut c_void) -> u64 {
    let shared = unsafe { &*shared.cast::<Shared>() };
    (shared.started.elapsed() + shared.ahead).as_millis() as u64
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

unsafe extern "C" fn on_data_counted(
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

/// The library's address of an IPv4 or IPv6 socket. Padding is spelled out, since C copies it too.
#[repr(C, align(8))]
struct IpPort {
    /// 2 is IPv4, 10 is IPv6.
    family: u8,
    _padding: [u8; 7],
    /// IPv4 uses the first 4 bytes.
    address: [u8; 16],
    port: [u8; 2],
    _end: [u8; 6],
}

const _: () = assert!(size_of::<IpPort>() == 32);

impl From<SocketAddr> for IpPort {
    fn from(addr: SocketAddr) -> Self {
        let mut address = [0; 16];
        let family = match addr.ip() {
            IpAddr::V4(ip) => {
                address[..4].copy_from_slice(&ip.octets());
                2
            }
            IpAddr::V6(ip) => {
                address = ip.octets();
                10
            }
        };
        Self { family, _padding: [0; 7], address, port: addr.port().to_be_bytes(), _end: [0; 6] }
    }
}

/// Declares C types of which only pointers are known.
macro_rules! opaque {
    ($($name:ident)*) => {$(
        #[repr(C)]
        struct $name {
            _opaque: [u8; 0],
        }
    )*};
}

opaque! { Connection Logger MonoTime Network Proxy Random }

type OnClock = unsafe extern "C" fn(*mut c_void) -> u64;
type OnRoutingResponse = unsafe extern "C" fn(*mut c_void, u8, *const u8) -> c_int;
type OnRoutingStatus = unsafe extern "C" fn(*mut c_void, u32, u8, u8) -> c_int;
type OnData = unsafe extern "C" fn(*mut c_void, u32, u8, *const u8, u16, userdata: *mut c_void) -> c_int;
type OnOob = unsafe extern "C" fn(*mut c_void, *const u8, *const u8, u16, userdata: *mut c_void) -> c_int;
type OnOnionResponse = unsafe extern "C" fn(*mut c_void, *const u8, u16, userdata: *mut c_void) -> c_int;

unsafe extern "C" {
    fn tox_version_major() -> u32;
    fn tox_version_minor() -> u32;
    fn tox_version_patch() -> u32;

    /// Of libsodium.
    fn crypto_scalarmult_base(public_key: *mut u8, secret_key: *const u8) -> c_int;

    /// Static; null when libsodium does not start.
    fn system_random() -> *const Random;
    /// Static.
    fn system_network() -> *const Network;

    fn logger_new() -> *mut Logger;
    fn logger_kill(logger: *mut Logger);

    fn mono_time_new(callback: OnClock, object: *mut c_void) -> *mut MonoTime;
    fn mono_time_update(clock: *mut MonoTime);
    fn mono_time_free(clock: *mut MonoTime);

    fn new_TCP_connection(
        logger: *const Logger,
        clock: *const MonoTime,
        random: *const Random,
        network: *const Network,
        relay: *const IpPort,
        relay_key: *const u8,
        public_key: *const u8,
        secret_key: *const u8,
        proxy: *const Proxy,
    ) -> *mut Connection;
    fn do_TCP_connection(
        logger: *const Logger,
        clock: *const MonoTime,
        connection: *mut Connection,
        userdata: *mut c_void,
    );
    fn kill_TCP_connection(connection: *mut Connection);
    fn tcp_con_status(connection: *const Connection) -> c_int;

    fn routing_response_handler(c: *mut Connection, callback: OnRoutingResponse, o: *mut c_void);
    fn routing_status_handler(c: *mut Connection, callback: OnRoutingStatus, o: *mut c_void);
    fn routing_data_handler(c: *mut Connection, callback: OnData, o: *mut c_void);
    fn oob_data_handler(c: *mut Connection, callback: OnOob, o: *mut c_void);
    fn onion_response_handler(c: *mut Connection, callback: OnOnionResponse, o: *mut c_void);

    fn send_routing_request(logger: *const Logger, connection: *mut Connection, peer: *const u8) -> c_int;
    fn send_disconnect_request(logger: *const Logger, connection: *mut Connection, number: u8) -> c_int;
    fn send_data(
        logger: *const Logger,
        connection: *mut Connection,
        number: u8,
        data: *const u8,
        length: u16,
    ) -> c_int;
    fn send_oob_packet(
        logger: *const Logger,
        connection: *mut Connection,
        peer: *const u8,
        data: *const u8,
        length: u16,
    ) -> c_int;
    fn send_onion_request(
        logger: *const Logger,
        connection: *mut Connection,
        data: *const u8,
        length: u16,
    ) -> c_int;
}
