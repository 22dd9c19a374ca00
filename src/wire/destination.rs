//! The destination of a forwarded packet: `family (1) | address (4 or 16) | port (2)`.

use std::net::{IpAddr, SocketAddr};

const UDP_IPV4: u8 = 2;
const UDP_IPV6: u8 = 10;
const TCP_IPV4: u8 = 130;
const TCP_IPV6: u8 = 138;

/// Where a relay forwards a packet to: an address of the Tox network.
///
/// The flow label and the scope of an IPv6 address are not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Destination {
    /// A node that listens on UDP.
    Udp(SocketAddr),
    /// A node that is reached through TCP. The relay of toxcore 0.2.18 closes the connection of a client that sends
    /// such a request.
    Tcp(SocketAddr),
}

impl Destination {
    /// The address, whatever the transport.
    pub fn address(&self) -> SocketAddr {
        match *self {
            Self::Udp(address) | Self::Tcp(address) => address,
        }
    }

    pub(super) fn emitted_len(&self) -> usize {
        match self.address() {
            SocketAddr::V4(_) => 1 + 4 + 2,
            SocketAddr::V6(_) => 1 + 16 + 2,
        }
    }

    pub(super) fn emit(&self, put: &mut impl FnMut(&[u8])) {
        put(&[match self {
            Self::Udp(SocketAddr::V4(_)) => UDP_IPV4,
            Self::Udp(SocketAddr::V6(_)) => UDP_IPV6,
            Self::Tcp(SocketAddr::V4(_)) => TCP_IPV4,
            Self::Tcp(SocketAddr::V6(_)) => TCP_IPV6,
        }]);
        match self.address().ip() {
            IpAddr::V4(ip) => put(&ip.octets()),
            IpAddr::V6(ip) => put(&ip.octets()),
        }
        put(&self.address().port().to_be_bytes());
    }

    /// Parses the destination at the beginning of `bytes`. Returns it and the bytes after it.
    pub(super) fn parse(bytes: &[u8]) -> Result<(Self, &[u8]), NoDestination> {
        let (&family, rest) = bytes.split_first().ok_or(NoDestination::TooShort)?;
        let (ip, rest): (IpAddr, _) = match family {
            UDP_IPV4 | TCP_IPV4 => {
                let (&ip, rest) = rest.split_first_chunk::<4>().ok_or(NoDestination::TooShort)?;
                (ip.into(), rest)
            }
            UDP_IPV6 | TCP_IPV6 => {
                let (&ip, rest) = rest.split_first_chunk::<16>().ok_or(NoDestination::TooShort)?;
                (ip.into(), rest)
            }
            other => return Err(NoDestination::Family(other)),
        };
        let (&port, rest) = rest.split_first_chunk::<2>().ok_or(NoDestination::TooShort)?;
        let address = SocketAddr::new(ip, u16::from_be_bytes(port));
        let destination = match family {
            UDP_IPV4 | UDP_IPV6 => Self::Udp(address),
            _ => Self::Tcp(address),
        };
        Ok((destination, rest))
    }
}

/// Why bytes do not begin with a destination.
pub(super) enum NoDestination {
    TooShort,
    /// Not a known address family.
    Family(u8),
}
