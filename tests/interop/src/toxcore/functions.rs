//! The functions and types of libtoxcore 0.2.18 that its relay client uses, declared from what the library exports: it
//! has no header for them.

use std::ffi::{c_int, c_void};
use std::net::{IpAddr, SocketAddr};

/// The library's type for an IP address and port. Its padding is explicit, so that C never copies uninitialised bytes.
#[repr(C, align(8))]
pub(super) struct IpPort {
    /// 2 is IPv4, 10 is IPv6.
    family: u8,
    _padding: [u8; 7],
    /// IPv4 uses the first 4 bytes.
    address: [u8; 16],
    port: [u8; 2],
    _end: [u8; 6],
}

const _: () = assert!(size_of::<IpPort>() == 32);

impl IpPort {
    pub(super) const NONE: Self =
        Self { family: 0, _padding: [0; 7], address: [0; 16], port: [0; 2], _end: [0; 6] };
}

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

/// Declares opaque C types, which are only used through pointers.
macro_rules! opaque {
    ($($name:ident)*) => {$(
        #[repr(C)]
        pub(super) struct $name {
            _opaque: [u8; 0],
        }
    )*};
}

opaque! { Connection Logger MonoTime Network Proxy Random }

pub(super) type OnClock = unsafe extern "C" fn(*mut c_void) -> u64;
pub(super) type OnRoutingResponse = unsafe extern "C" fn(*mut c_void, u8, *const u8) -> c_int;
pub(super) type OnRoutingStatus = unsafe extern "C" fn(*mut c_void, u32, u8, u8) -> c_int;
pub(super) type OnData =
    unsafe extern "C" fn(*mut c_void, u32, u8, *const u8, u16, userdata: *mut c_void) -> c_int;
pub(super) type OnOob =
    unsafe extern "C" fn(*mut c_void, *const u8, *const u8, u16, userdata: *mut c_void) -> c_int;
pub(super) type OnOnionResponse =
    unsafe extern "C" fn(*mut c_void, *const u8, u16, userdata: *mut c_void) -> c_int;

unsafe extern "C" {
    pub(super) fn tox_version_major() -> u32;
    pub(super) fn tox_version_minor() -> u32;
    pub(super) fn tox_version_patch() -> u32;

    /// From libsodium.
    pub(super) fn crypto_scalarmult_base(public_key: *mut u8, secret_key: *const u8) -> c_int;

    /// Returns a static object, or null if libsodium cannot be initialised.
    pub(super) fn system_random() -> *const Random;
    /// Returns a static object.
    pub(super) fn system_network() -> *const Network;

    pub(super) fn logger_new() -> *mut Logger;
    pub(super) fn logger_kill(logger: *mut Logger);

    pub(super) fn mono_time_new(callback: OnClock, object: *mut c_void) -> *mut MonoTime;
    pub(super) fn mono_time_update(clock: *mut MonoTime);
    pub(super) fn mono_time_free(clock: *mut MonoTime);

    pub(super) fn new_TCP_connection(
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
    pub(super) fn do_TCP_connection(
        logger: *const Logger,
        clock: *const MonoTime,
        connection: *mut Connection,
        userdata: *mut c_void,
    );
    pub(super) fn kill_TCP_connection(connection: *mut Connection);
    pub(super) fn tcp_con_status(connection: *const Connection) -> c_int;

    pub(super) fn routing_response_handler(c: *mut Connection, callback: OnRoutingResponse, o: *mut c_void);
    pub(super) fn routing_status_handler(c: *mut Connection, callback: OnRoutingStatus, o: *mut c_void);
    pub(super) fn routing_data_handler(c: *mut Connection, callback: OnData, o: *mut c_void);
    pub(super) fn oob_data_handler(c: *mut Connection, callback: OnOob, o: *mut c_void);
    pub(super) fn onion_response_handler(c: *mut Connection, callback: OnOnionResponse, o: *mut c_void);

    pub(super) fn send_routing_request(
        logger: *const Logger,
        connection: *mut Connection,
        peer: *const u8,
    ) -> c_int;
    pub(super) fn send_disconnect_request(
        logger: *const Logger,
        connection: *mut Connection,
        number: u8,
    ) -> c_int;
    pub(super) fn send_data(
        logger: *const Logger,
        connection: *mut Connection,
        number: u8,
        data: *const u8,
        length: u16,
    ) -> c_int;
    pub(super) fn send_oob_packet(
        logger: *const Logger,
        connection: *mut Connection,
        peer: *const u8,
        data: *const u8,
        length: u16,
    ) -> c_int;
    pub(super) fn send_onion_request(
        logger: *const Logger,
        connection: *mut Connection,
        data: *const u8,
        length: u16,
    ) -> c_int;
}
