//! The values that toxcore passes to its TCP client, and what they are here.
//!
//! Layouts and numbers were observed: by calling the functions, and from the machine code of their callers. They are the
//! same in 0.2.18, 0.2.20 and 0.2.22.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;
use std::net::{IpAddr, SocketAddr};

use tox_relay_client::{Destination, Proxy, SendError};

/// The status of a connection that is being opened. toxcore only tells the next two from all others.
pub(crate) const CONNECTING: c_int = 4;
/// Routes can be requested.
pub(crate) const CONFIRMED: c_int = 6;
/// The connection has ended.
pub(crate) const DISCONNECTED: c_int = 7;

/// The packet was sent or queued.
pub(crate) const SENT: c_int = 1;
/// There is no room: toxcore tries again, or another relay.
pub(crate) const WOULD_BLOCK: c_int = 0;
/// It cannot be sent, or there is no such route.
pub(crate) const FAILED: c_int = -1;

/// The peer of a route is not connected to the relay.
pub(crate) const OFFLINE: u8 = 1;
/// The peer of a route can receive data.
pub(crate) const ONLINE: u8 = 2;

/// Gets the number of a route that the relay has registered, and the key of its peer.
pub type OnResponse = extern "C" fn(object: *mut c_void, number: u8, peer: *const u8) -> c_int;
/// Gets toxcore's number for a route, the route's own, and its new status.
pub type OnStatus = extern "C" fn(object: *mut c_void, peer: u32, number: u8, status: u8) -> c_int;
/// Gets toxcore's number for a route, the route's own, and what its peer has sent.
pub type OnData = extern "C" fn(
    object: *mut c_void,
    peer: u32,
    number: u8,
    data: *const u8,
    length: u16,
    userdata: *mut c_void,
) -> c_int;
/// Gets an out-of-band packet and the key of its sender.
pub type OnOob = extern "C" fn(
    object: *mut c_void,
    sender: *const u8,
    data: *const u8,
    length: u16,
    userdata: *mut c_void,
) -> c_int;
/// Gets an onion response.
pub type OnOnion =
    extern "C" fn(object: *mut c_void, data: *const u8, length: u16, userdata: *mut c_void) -> c_int;
/// Gets a forwarded packet.
pub type OnForwarding =
    extern "C" fn(object: *mut c_void, data: *const u8, length: u16, userdata: *mut c_void);

/// An address and a port. What C has not written of it has any value, and is never looked at.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct IpPort {
    /// One of the constants below.
    family: u8,
    /// Aligned to 8 bytes. IPv4 uses the first four of them.
    address: Address,
    /// In the byte order of the network.
    port: [u8; 2],
}

#[repr(C, align(8))]
#[derive(Debug, Clone, Copy)]
struct Address([u8; 16]);

const _: () = assert!(size_of::<IpPort>() == 32 && offset_of!(IpPort, address) == 8);
const _: () = assert!(offset_of!(IpPort, port) == 24);

const IPV4: u8 = 2;
const IPV6: u8 = 10;
/// A node that is reached by TCP. (In packets, these are 130 and 138.)
const TCP_IPV4: u8 = 12;
const TCP_IPV6: u8 = 13;

impl IpPort {
    /// What is returned if there is no connection.
    pub(crate) const NONE: Self = Self { family: 0, address: Address([0; 16]), port: [0; 2] };

    /// An address of IPv4.
    #[cfg(test)]
    pub(crate) fn ipv4(ip: [u8; 4], port: u16) -> Self {
        let mut address = Address([0; 16]);
        address.0[..4].copy_from_slice(&ip);
        Self { family: IPV4, address, port: port.to_be_bytes() }
    }

    /// `None` if it is neither IPv4 nor IPv6.
    pub(crate) fn socket_address(&self) -> Option<SocketAddr> {
        let Address([a, b, c, d, ..]) = self.address;
        let ip: IpAddr = match self.family {
            IPV4 | TCP_IPV4 => [a, b, c, d].into(),
            IPV6 | TCP_IPV6 => self.address.0.into(),
            _ => return None,
        };
        Some(SocketAddr::new(ip, u16::from_be_bytes(self.port)))
    }

    pub(crate) fn destination(&self) -> Option<Destination> {
        let address = self.socket_address()?;
        Some(match self.family {
            TCP_IPV4 | TCP_IPV6 => Destination::Tcp(address),
            _ => Destination::Udp(address),
        })
    }
}

/// A proxy, or none.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ProxyInfo {
    address: IpPort,
    kind: u8,
}

const _: () = assert!(size_of::<ProxyInfo>() == 40);

const NO_PROXY: u8 = 0;
const HTTP: u8 = 1;
const SOCKS5: u8 = 2;

impl ProxyInfo {
    /// An unknown kind is an error: to connect without a proxy then would show who connects.
    pub(crate) fn proxy(&self) -> Result<Option<Proxy>, UnknownProxy> {
        let proxy = match self.kind {
            NO_PROXY => return Ok(None),
            HTTP => Proxy::http,
            SOCKS5 => Proxy::socks5,
            _ => return Err(UnknownProxy),
        };
        self.address.socket_address().map(proxy).map(Some).ok_or(UnknownProxy)
    }
}

/// A kind of proxy, or of address, that toxcore does not have.
#[derive(Debug, PartialEq)]
pub(crate) struct UnknownProxy;

/// What a send returns.
pub(crate) fn sent(result: Result<(), SendError>) -> c_int {
    match result {
        Ok(()) => SENT,
        Err(SendError::WouldBlock) => WOULD_BLOCK,
        Err(_) => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip_port(family: u8) -> IpPort {
        let mut address = [0; 16];
        address[..4].copy_from_slice(&[127, 0, 0, 1]);
        address[15] = 9;
        IpPort { family, address: Address(address), port: [1, 2] }
    }

    #[test]
    fn only_known_families_are_addresses() {
        let ipv4 = "127.0.0.1:258".parse().unwrap();
        let ipv6 = "[7f00:1::9]:258".parse().unwrap();
        for (family, destination) in [
            (IPV4, Some(Destination::Udp(ipv4))),
            (IPV6, Some(Destination::Udp(ipv6))),
            (TCP_IPV4, Some(Destination::Tcp(ipv4))),
            (TCP_IPV6, Some(Destination::Tcp(ipv6))),
            (0, None),
            (130, None), // as in packets
            (0xff, None),
        ] {
            assert_eq!(ip_port(family).destination(), destination);
        }
    }

    #[test]
    fn an_unknown_proxy_is_not_bypassed() {
        let proxy = |kind, family| ProxyInfo { address: ip_port(family), kind }.proxy();
        let address = "127.0.0.1:258".parse().unwrap();
        assert_eq!(proxy(NO_PROXY, 0), Ok(None));
        assert_eq!(proxy(HTTP, IPV4), Ok(Some(Proxy::http(address))));
        assert_eq!(proxy(SOCKS5, IPV4), Ok(Some(Proxy::socks5(address))));
        assert_eq!(proxy(SOCKS5, 0), Err(UnknownProxy));
        assert_eq!(proxy(3, IPV4), Err(UnknownProxy));
    }
}
