//! A node on UDP of our own: relays pass onion and forward requests on to it, and it answers them.
//!
//! So nobody else gets a packet from a probe. Without a proxy the relay knows our address anyway; through one there is
//! no such node, since the relay would learn it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use tox_relay_client::Address;

/// What a relay sends for an onion request: kind, the request without its destination, return path.
const ONION_REQUEST: u8 = 0x81;
/// The answer: kind, return path, data.
const ONION_ANSWER: u8 = 0x8e;
/// The first byte of the data: an answer to an announcement.
const ANNOUNCE_RESPONSE: u8 = 0x84;
const RETURN_PATH_LEN: usize = 59;

/// What a relay sends for a forward request: kind, length of the return path, return path, data.
const FORWARDING: u8 = 0x91;
/// The answer, with the same fields.
const FORWARD_ANSWER: u8 = 0x92;

/// In an onion request, this kind of address is followed by 16 bytes and a port, whatever its length.
const UDP_IPV4: u8 = 2;
const UDP_IPV6: u8 = 10;

/// Relays discard requests of fewer than 178 bytes.
const ONION_DATA_LEN: usize = 160;

/// For a relay whose address is not known here: a range that is reserved for documentation.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 33445);

/// The node, with a socket for each family that this machine has.
pub struct Node {
    sockets: Vec<UdpSocket>,
}

impl Node {
    /// `direct`: whether relays may know our address.
    pub fn new(direct: bool) -> Self {
        let any: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let any = if direct { &any[..] } else { &[] };
        Self { sockets: any.iter().filter_map(|ip| bind(*ip).ok()).collect() }
    }

    /// Where the relay should send a request to: this node; or, if the relay must not know it, the relay itself, which
    /// ignores what it does not understand.
    pub fn destination(&self, relay: &Address) -> SocketAddr {
        let Some(relay) = relay.socket_addr() else { return NOBODY };
        self.reachable_from(relay).unwrap_or(relay)
    }

    fn reachable_from(&self, relay: SocketAddr) -> Option<SocketAddr> {
        let same_family = |socket: &&UdpSocket| {
            socket.local_addr().is_ok_and(|address| address.is_ipv4() == relay.is_ipv4())
        };
        let port = self.sockets.iter().find(same_family)?.local_addr().ok()?.port();
        // Connecting a UDP socket sends nothing, and shows which of our addresses leads there.
        let any: IpAddr =
            if relay.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let route = UdpSocket::bind((any, 0)).ok()?;
        route.connect(relay).ok()?;
        Some(SocketAddr::new(route.local_addr().ok()?.ip(), port))
    }

    /// Answers all requests that have arrived. What is lost here is a request without an answer.
    pub fn answer(&self) {
        let mut packet = [0; 2048];
        for socket in &self.sockets {
            while let Ok((len, from)) = socket.recv_from(&mut packet) {
                if let Some(answer) = answer(&packet[..len]) {
                    _ = socket.send_to(&answer, from);
                }
            }
        }
    }
}

fn bind(ip: IpAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((ip, 0))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn answer(packet: &[u8]) -> Option<Vec<u8>> {
    let (kind, rest) = packet.split_first()?;
    match *kind {
        ONION_REQUEST => {
            let return_path = &rest[rest.len().checked_sub(RETURN_PATH_LEN)?..];
            Some([&[ONION_ANSWER], return_path, &[ANNOUNCE_RESPONSE]].concat())
        }
        FORWARDING => {
            let return_path = rest.get(..1 + usize::from(*rest.first()?))?;
            Some([&[FORWARD_ANSWER], return_path, b"tox-relay probe"].concat())
        }
        _ => None,
    }
}

/// A legal onion request to this node: nonce, address, data. Only a node of the DHT could tell that the data are none.
pub fn onion_request(nonce: &[u8; 24], to: SocketAddr) -> Vec<u8> {
    let mut request = nonce.to_vec();
    match to.ip() {
        IpAddr::V4(ip) => request.extend([&[UDP_IPV4][..], &ip.octets(), &[0; 12]].concat()),
        IpAddr::V6(ip) => request.extend([&[UDP_IPV6][..], &ip.octets()].concat()),
    }
    request.extend(to.port().to_be_bytes());
    request.extend([0; ONION_DATA_LEN]);
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_onion_request_has_a_legal_length_for_both_families() {
        for to in ["192.0.2.1:33445", "[2001:db8::7]:33445"] {
            assert_eq!(onion_request(&[7; 24], to.parse().unwrap()).len(), 24 + 1 + 16 + 2 + ONION_DATA_LEN);
        }
        assert!((178..=1359).contains(&(24 + 19 + ONION_DATA_LEN)));
    }

    #[test]
    fn an_answer_has_the_return_path_of_its_request() {
        let return_path: Vec<u8> = (0..59).collect();
        let request = [&[ONION_REQUEST][..], &[9; 200], &return_path].concat();
        assert_eq!(
            answer(&request),
            Some([&[ONION_ANSWER][..], &return_path, &[ANNOUNCE_RESPONSE]].concat())
        );
        let request = [&[FORWARDING, 3, 1, 2, 3][..], b"data"].concat();
        assert_eq!(answer(&request), Some([&[FORWARD_ANSWER, 3, 1, 2, 3][..], b"tox-relay probe"].concat()));
    }

    #[test]
    fn packets_of_strangers_are_ignored() {
        for packet in
            [&[][..], &[ONION_REQUEST], &[ONION_REQUEST; 59], &[FORWARDING], &[FORWARDING, 9, 1], &[0; 100]]
        {
            assert_eq!(answer(packet), None, "{packet:?}");
        }
    }

    #[test]
    fn through_a_proxy_the_relay_does_not_learn_our_address() {
        let relay = "127.0.0.1:33445".parse::<Address>().unwrap();
        assert_eq!(Node::new(false).destination(&relay), "127.0.0.1:33445".parse().unwrap());
        assert_eq!(Node::new(false).destination(&"relay.example:1".parse().unwrap()), NOBODY);
        let own = Node::new(true).destination(&relay);
        assert!(own.ip().is_loopback() && own.port() != 33445, "{own}");
    }
}
