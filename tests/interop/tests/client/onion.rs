//! Onion and forward requests through the relay to a node on UDP, and the answers of the node.

use std::net::{SocketAddr, SocketAddrV4, UdpSocket};

use interop::Bootstrapd;
use tox_relay_client::{Destination, SendError};

use crate::driver::{End, LIMIT, ReceivedEvent, RustEnd, numbered};

/// What the relay sends to the node for an onion request: kind, nonce, the rest of the request, encrypted return path.
const ONION_SEND_1: u8 = 0x81;
/// The node's answer: kind, return path, data. The data begin with their own kind.
const ONION_RECV_1: u8 = 0x8e;
const ANNOUNCE_RESPONSE: u8 = 0x84;
const RETURN_PATH_LEN: usize = 59;
/// A nonce, and an address with a fixed length: kind, 16 bytes, port.
const ONION_HEADER_LEN: usize = 24 + 1 + 16 + 2;

/// What the relay sends to the node for a forward request: kind, length of the return path, return path, data.
const FORWARDING: u8 = 0x91;
/// The node's answer, with the same fields.
const FORWARD_REPLY: u8 = 0x92;

#[test]
fn onion_requests_of_all_lengths_reach_the_next_node_and_its_answers_reach_us() {
    let relay = Bootstrapd::start().unwrap();
    let mut ours = RustEnd::new(&relay);
    let node = Node::new();
    for length in [178, 179, 500, 1358, 1359] {
        let nonce: [u8; 24] = numbered(length, 24).try_into().unwrap();
        let data = numbered(length + 1, length - ONION_HEADER_LEN);
        let request = onion_request(&nonce, node.addr(), &data);
        assert_eq!(request.len(), length);
        ours.client.send_onion_request(ours.relay, &request).unwrap();
        ours.client.flush();

        let (packet, from) = node.receive();
        let expected = [&[ONION_SEND_1], &nonce[..], &data].concat();
        let (forwarded, return_path) = packet.split_at(packet.len() - RETURN_PATH_LEN);
        assert_eq!(forwarded, expected);

        // The relay discards larger answers.
        for length in [1, 2, 1000, 1340] {
            let answer = [&[ANNOUNCE_RESPONSE], &numbered(length, length)[1..]].concat();
            node.send(&[&[ONION_RECV_1], return_path, &answer].concat(), from);
            assert_eq!(ours.next(), ReceivedEvent::Onion(answer));
        }
    }
    ours.fence();
}

#[test]
fn an_onion_request_to_an_unreachable_node_does_no_harm() {
    let relay = Bootstrapd::start().unwrap();
    let mut ours = RustEnd::new(&relay);
    for length in [178, 600, 1359] {
        // All zeros are not a valid address.
        ours.client.send_onion_request(ours.relay, &vec![0; length]).unwrap();
        ours.client.send_onion_request(ours.relay, &vec![0xff; length]).unwrap();
        ours.fence();
    }
    for length in [0, 177, 1360] {
        let sent = ours.client.send_onion_request(ours.relay, &vec![0; length]);
        assert!(matches!(sent, Err(SendError::Length { .. })), "{sent:?}");
    }
    ours.fence();
}

#[test]
fn forward_requests_of_all_lengths_reach_their_node_and_its_replies_reach_us() {
    let relay = Bootstrapd::start().unwrap();
    let mut ours = RustEnd::new(&relay);
    let node = Node::new();
    for length in [1, 2, 1000, 1791, 1792] {
        let data = numbered(length, length);
        let destination = Destination::Udp(node.addr().into());
        ours.client.send_forward_request(ours.relay, destination, &data).unwrap();
        ours.client.flush();

        let (packet, from) = node.receive();
        assert_eq!(packet[0], FORWARDING);
        let (return_path, forwarded) = packet[1..].split_at(1 + usize::from(packet[1]));
        assert_eq!(forwarded, data);

        // The last length is the largest that fits the relay's buffer for a datagram.
        for length in [1, 2, 1400, 2048 - 1 - return_path.len()] {
            let reply = numbered(length, length);
            node.send(&[&[FORWARD_REPLY], return_path, &reply].concat(), from);
            assert_eq!(ours.next(), ReceivedEvent::Forwarding(reply));
        }
    }
    ours.fence();
}

/// A node may answer with no data, and the relay passes that on.
#[test]
fn an_empty_forward_reply_is_an_event_like_the_others() {
    let relay = Bootstrapd::start().unwrap();
    let mut ours = RustEnd::new(&relay);
    let node = Node::new();
    let destination = Destination::Udp(node.addr().into());
    ours.client.send_forward_request(ours.relay, destination, b"?").unwrap();
    ours.client.flush();
    let (packet, from) = node.receive();
    let return_path = &packet[1..][..1 + usize::from(packet[1])];
    node.send(&[&[FORWARD_REPLY], return_path].concat(), from);
    assert_eq!(ours.next(), ReceivedEvent::Forwarding(Vec::new()));
    ours.fence();
}

#[test]
fn a_forward_request_to_an_unreachable_node_does_no_harm() {
    let relay = Bootstrapd::start().unwrap();
    let mut ours = RustEnd::new(&relay);
    let closed = Node::new().addr();
    let relay_udp = SocketAddr::new(relay.addr().ip(), relay.addr().port() - 1);
    let ipv6 = "[::1]:9".parse().unwrap(); // this relay does not use IPv6
    for addr in [closed.into(), relay_udp, ipv6] {
        for length in [1, 1792] {
            let data = vec![7; length];
            ours.client.send_forward_request(ours.relay, Destination::Udp(addr), &data).unwrap();
        }
        ours.fence();
    }
    for length in [0, 1793] {
        let sent = ours.client.send_forward_request(ours.relay, Destination::Udp(ipv6), &vec![0; length]);
        assert!(matches!(sent, Err(SendError::Length { .. })), "{sent:?}");
    }
    ours.fence();
}

/// A UDP socket that plays the part of a Tox node.
struct Node(UdpSocket);

impl Node {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        Self(socket)
    }

    fn addr(&self) -> SocketAddrV4 {
        match self.0.local_addr().unwrap() {
            SocketAddr::V4(addr) => addr,
            SocketAddr::V6(addr) => panic!("{addr}"),
        }
    }

    fn receive(&self) -> (Vec<u8>, SocketAddr) {
        let mut packet = vec![0; 4096];
        let (length, from) = self.0.recv_from(&mut packet).expect("a packet in time");
        packet.truncate(length);
        (packet, from)
    }

    fn send(&self, packet: &[u8], to: SocketAddr) {
        assert_eq!(self.0.send_to(packet, to).unwrap(), packet.len());
    }
}

/// An onion request: nonce, address of the next node, data.
fn onion_request(nonce: &[u8; 24], next: SocketAddrV4, data: &[u8]) -> Vec<u8> {
    const UDP_IPV4: u8 = 2;
    let address = [&next.ip().octets()[..], &[0; 12], &next.port().to_be_bytes()].concat();
    [&nonce[..], &[UDP_IPV4], &address[..], data].concat()
}
