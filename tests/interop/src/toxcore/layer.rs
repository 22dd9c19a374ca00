//! The C library's layer above its relay client: peers that are reached through several relays. What the parent module
//! says about unsafe code holds here as well: each [`CLayer`] owns its C objects and its `Shared`.

use std::ffi::{c_int, c_uint, c_void};
use std::net::SocketAddr;
use std::ptr::null_mut;
use std::slice;

use super::{
    ConnectError, IpPort, Logger, MonoTime, Network, Random, Shared, initialise, length_of, logger_kill,
    logger_new, mono_time_free, mono_time_new, mono_time_update, on_clock, public_key_of, system_network,
};
use crate::event::CEvent;

/// The layer above the relay client of the C library. Call [`iterate`](Self::iterate) regularly, as with
/// [`CClient`](crate::CClient).
#[derive(Debug)]
pub struct CLayer {
    connections: *mut TcpConnections,
    clock: *mut MonoTime,
    logger: *mut Logger,
    shared: *mut Shared,
    public_key: [u8; 32],
}

/// A peer of a [`CLayer`], until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CPeer(c_int);

impl CLayer {
    /// Creates a layer without relays and peers.
    pub fn new(secret_key: [u8; 32]) -> Result<Self, ConnectError> {
        let random = initialise()?;
        let shared = Box::into_raw(Box::new(Shared::new()));
        let public_key = public_key_of(&secret_key);
        let mut layer =
            Self { connections: null_mut(), clock: null_mut(), logger: null_mut(), shared, public_key };
        let no_proxy = ProxyInfo { address: IpPort::NONE, kind: 0, _end: [0; 7] };
        // SAFETY: if any pointer is null, the layer is dropped, which accepts null pointers. Keys and proxy are copied. `shared` outlives the clock and the connections, see `Drop`.
        unsafe {
            layer.logger = logger_new();
            layer.clock = mono_time_new(on_clock, shared.cast());
            if layer.logger.is_null() || layer.clock.is_null() {
                return Err(ConnectError::Setup);
            }
            layer.connections = new_tcp_connections(
                layer.logger,
                random,
                system_network(),
                layer.clock,
                secret_key.as_ptr(),
                &no_proxy,
            );
            if layer.connections.is_null() {
                return Err(ConnectError::Setup);
            }
            set_packet_tcp_connection_callback(layer.connections, on_packet, shared.cast());
            set_oob_packet_tcp_connection_callback(layer.connections, on_stranger, shared.cast());
        }
        Ok(layer)
    }

    /// The public key under which peers know it.
    pub fn public_key(&self) -> [u8; 32] {
        self.public_key
    }

    /// One iteration of a C program's main loop.
    pub fn iterate(&mut self) {
        // SAFETY: the pointers are from `new`, and no reference to the `Shared` exists.
        unsafe {
            mono_time_update(self.clock);
            do_tcp_connections(self.logger, self.connections, null_mut());
        }
    }

    /// Adds a peer. Its data arrive as [`CEvent::Data`] with this id. `None` if it is there already.
    pub fn add_peer(&mut self, public_key: &[u8; 32], id: u8) -> Option<CPeer> {
        // SAFETY: the pointer is from `new`, and the key is copied.
        let number = unsafe { new_tcp_connection_to(self.connections, public_key.as_ptr(), id.into()) };
        (number >= 0).then_some(CPeer(number))
    }

    /// Removes a peer. Whether it was there.
    pub fn remove_peer(&mut self, peer: CPeer) -> bool {
        // SAFETY: the pointer is from `new`; the number is checked against a table.
        unsafe { kill_tcp_connection_to(self.connections, peer.0) == 0 }
    }

    /// Offers a relay for a peer. Whether it was taken.
    pub fn add_relay(&mut self, peer: CPeer, address: SocketAddr, key: &[u8; 32]) -> bool {
        let address = IpPort::from(address);
        // SAFETY: as in `remove_peer`; address and key are copied.
        unsafe { add_tcp_relay_connection(self.connections, peer.0, &address, key.as_ptr()) == 0 }
    }

    /// Whether a peer is to be reached through relays. Returns whether this has changed.
    pub fn set_awake(&mut self, peer: CPeer, is_awake: bool) -> bool {
        // SAFETY: as in `remove_peer`.
        unsafe { set_tcp_connection_to_status(self.connections, peer.0, is_awake) == 0 }
    }

    /// Sends data to a peer. Whether they were accepted.
    pub fn send(&mut self, peer: CPeer, data: &[u8]) -> bool {
        let Some(length) = length_of(data) else { return false };
        // SAFETY: as in `remove_peer`; `length` is that of the data, which are copied.
        unsafe { send_packet_tcp_connection(self.connections, peer.0, data.as_ptr(), length) == 0 }
    }

    /// Removes and returns the oldest pending event.
    pub fn next_event(&mut self) -> Option<CEvent> {
        // SAFETY: no other reference to the `Shared` exists.
        let shared = unsafe { &mut *self.shared };
        shared.events.pop_front()
    }

    /// How many relays it takes for connected.
    pub fn connected_relays(&self) -> u32 {
        // SAFETY: the pointer is from `new`.
        unsafe { tcp_connected_relays_count(self.connections) }
    }

    /// On how many relays a peer is online.
    pub fn online_relays(&self, peer: CPeer) -> u32 {
        // SAFETY: as in `remove_peer`.
        unsafe { tcp_connection_to_online_tcp_relays(self.connections, peer.0) }
    }
}

impl Drop for CLayer {
    fn drop(&mut self) {
        // SAFETY: each object is freed once, and before those that it uses. `shared` is from `Box::into_raw`.
        unsafe {
            if !self.connections.is_null() {
                kill_tcp_connections(self.connections);
            }
            mono_time_free(self.clock);
            logger_kill(self.logger);
            drop(Box::from_raw(self.shared));
        }
    }
}

unsafe extern "C" fn on_packet(
    shared: *mut c_void,
    id: c_int,
    data: *const u8,
    length: u16,
    _userdata: *mut c_void,
) -> c_int {
    // SAFETY: as for the callbacks of the parent module.
    let (shared, data) =
        unsafe { (&mut *shared.cast::<Shared>(), slice::from_raw_parts(data, length.into())) };
    shared.events.push_back(CEvent::Data { connection_id: id as u8, data: data.to_vec() });
    0
}

/// Packets of those who are no peers are not used.
unsafe extern "C" fn on_stranger(
    _shared: *mut c_void,
    _sender: *const u8,
    _relay: c_uint,
    _data: *const u8,
    _length: u16,
    _userdata: *mut c_void,
) -> c_int {
    0
}

/// The library's type for a proxy.
#[repr(C)]
struct ProxyInfo {
    address: IpPort,
    /// 0 is none.
    kind: u8,
    _end: [u8; 7],
}

const _: () = assert!(size_of::<ProxyInfo>() == 40);

/// An opaque type of the library.
#[repr(C)]
struct TcpConnections {
    _opaque: [u8; 0],
}

type OnPacket = unsafe extern "C" fn(*mut c_void, c_int, *const u8, u16, userdata: *mut c_void) -> c_int;
type OnStranger =
    unsafe extern "C" fn(*mut c_void, *const u8, c_uint, *const u8, u16, userdata: *mut c_void) -> c_int;

unsafe extern "C" {
    fn new_tcp_connections(
        logger: *const Logger,
        random: *const Random,
        network: *const Network,
        clock: *mut MonoTime,
        secret_key: *const u8,
        proxy: *const ProxyInfo,
    ) -> *mut TcpConnections;
    fn kill_tcp_connections(connections: *mut TcpConnections);
    fn do_tcp_connections(logger: *const Logger, connections: *mut TcpConnections, userdata: *mut c_void);

    fn set_packet_tcp_connection_callback(c: *mut TcpConnections, callback: OnPacket, o: *mut c_void);
    fn set_oob_packet_tcp_connection_callback(c: *mut TcpConnections, callback: OnStranger, o: *mut c_void);

    fn new_tcp_connection_to(connections: *mut TcpConnections, peer: *const u8, id: c_int) -> c_int;
    fn kill_tcp_connection_to(connections: *mut TcpConnections, number: c_int) -> c_int;
    fn set_tcp_connection_to_status(connections: *const TcpConnections, number: c_int, status: bool)
    -> c_int;
    fn add_tcp_relay_connection(
        connections: *mut TcpConnections,
        number: c_int,
        relay: *const IpPort,
        relay_key: *const u8,
    ) -> c_int;
    fn send_packet_tcp_connection(
        connections: *const TcpConnections,
        number: c_int,
        data: *const u8,
        length: u16,
    ) -> c_int;
    fn tcp_connected_relays_count(connections: *const TcpConnections) -> u32;
    fn tcp_connection_to_online_tcp_relays(connections: *const TcpConnections, number: c_int) -> c_uint;
}
