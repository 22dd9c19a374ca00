//! Free ports, for programs whose port must be configured.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::Error;

/// The range of the ports: below those that Linux by default assigns to outgoing connections (from 32768 on). So a
/// program's port stays free between a kill and a restart.
pub(crate) const PORTS: Range<u16> = 10_000..32_000;

/// Returns a free UDP port whose successor is a free TCP port. They are not reserved: another program may bind them
/// first, so callers try a failed start again with other ports. Within this process no port is returned twice before
/// all were; other processes begin at another, random port.
pub(crate) fn free_ports(ip: IpAddr) -> Result<u16, Error> {
    static FIRST: OnceLock<u64> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // A random number without a dependency: the operating system seeds the hasher of the standard library.
    let pairs = u64::from(PORTS.end - PORTS.start) / 2;
    let first = *FIRST.get_or_init(|| RandomState::new().hash_one(0) % pairs);
    let any = match ip {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    (0..pairs)
        .map(|_| {
            let pair = first + u64::from(NEXT.fetch_add(1, Ordering::Relaxed));
            PORTS.start + 2 * (pair % pairs) as u16
        })
        .find(|&port| UdpSocket::bind((any, port)).is_ok() && TcpListener::bind((any, port + 1)).is_ok())
        .ok_or(Error::NoFreePort)
}
