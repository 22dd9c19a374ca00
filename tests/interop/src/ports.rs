//! Ports for programs that have to be told theirs.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::Error;

/// Where ports are looked for: below the ports that Linux gives to outgoing connections by default
/// (from 32768), so that nothing is given one while its program is down between a kill and a restart.
pub(crate) const PORTS: Range<u16> = 10_000..32_000;

/// A UDP port, with the TCP port after it free as well. Nothing holds them until the
/// program does, so a start that loses them to somebody else is tried again with others. Within this
/// process no port is given out twice before all were; other processes begin somewhere else.
pub(crate) fn free_ports(ip: IpAddr) -> Result<u16, Error> {
    static FIRST: OnceLock<u64> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // The standard library's hasher is seeded by the operating system.
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
