//! Where a relay was learnt.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::address::Address;
use crate::pool::id::PeerId;

/// Where a relay was learnt. Relays of the user's own are preferred to those of a list, and these to a peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The user has named it.
    User,
    /// A list of public nodes.
    List,
    /// A peer has told us about it. Its addresses must be global, or the peer would learn what can be reached from
    /// here; unless the peer is in the same local network. A peer can add 24 relays, and 4 addresses of each.
    Peer {
        /// Who has.
        peer: PeerId,
        /// Whether the peer was seen at an address of the local network.
        is_local: bool,
    },
}

impl Origin {
    /// The larger, the more it is trusted.
    pub(super) fn rank(self) -> u8 {
        match self {
            Self::User => 2,
            Self::List => 1,
            Self::Peer { .. } => 0,
        }
    }

    /// Whether a relay from here may have this address.
    pub(super) fn allows(self, address: &Address) -> bool {
        match self {
            Self::User | Self::List | Self::Peer { is_local: true, .. } => true,
            // The name could be one of a local network.
            Self::Peer { is_local: false, .. } => {
                address.socket_addr().is_some_and(|addr| is_global(addr.ip()))
            }
        }
    }
}

/// Whether an address is one of the Internet: not private, shared, local to a link or a host, documentation, a
/// benchmark's, multicast or reserved (RFC 6890).
fn is_global(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_global_v4(ip),
        IpAddr::V6(ip) => is_global_v6(ip),
    }
}

fn is_global_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_local = ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_documentation();
    let is_shared = a == 100 && b & 0xc0 == 64; // RFC 6598
    let is_special = a == 0 || a >= 224 || (a, b, c) == (192, 0, 0) || a == 198 && b & 0xfe == 18;
    !is_local && !is_shared && !is_special
}

fn is_global_v6(ip: Ipv6Addr) -> bool {
    let is_documentation = ip.segments()[..2] == [0x2001, 0xdb8];
    // Others than 2000::/3 are not assigned to hosts of the Internet; these embed an IPv4 address.
    match ip.segments() {
        [0x2002, high, low, ..] => is_global_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))),
        [0x2001, 0, ..] => false, // Teredo
        [first, ..] => first & 0xe000 == 0x2000 && !is_documentation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_cannot_make_us_connect_to_a_local_network() {
        let peer = PeerId(0);
        let local = [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.2.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "2002:a00:1::",
            "2001::1",
            "64:ff9b::a00:1",
            "2001:db8::1",
        ];
        for ip in local {
            let address = Address::try_from((ip.parse::<IpAddr>().unwrap(), 443)).unwrap();
            assert!(!Origin::Peer { peer, is_local: false }.allows(&address), "{ip}");
            assert!(Origin::Peer { peer, is_local: true }.allows(&address), "{ip}");
            assert!(Origin::User.allows(&address), "{ip}");
        }
        for ip in ["8.8.8.8", "100.128.0.1", "2a00::1", "2002:808:808::"] {
            let address = Address::try_from((ip.parse::<IpAddr>().unwrap(), 443)).unwrap();
            assert!(Origin::Peer { peer, is_local: false }.allows(&address), "{ip}");
        }
    }
}
