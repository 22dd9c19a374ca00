//! The kinds of packets: the first byte of the plaintext.

use std::ops::RangeInclusive;

/// From a client: open a route to the peer with this key.
pub const ROUTING_REQUEST: u8 = 0x00;
/// To a client: the number of the requested route, or 0 for a refusal.
pub const ROUTING_RESPONSE: u8 = 0x01;
/// To a client: the peer of a route has requested it, too, so the route is online.
pub const CONNECTION_NOTIFICATION: u8 = 0x02;
/// From a client: a route is closed. To a client: the peer of a route is offline.
pub const DISCONNECT_NOTIFICATION: u8 = 0x03;
/// In both directions: a request for a pong.
pub const PING: u8 = 0x04;
/// In both directions: the answer to a ping.
pub const PONG: u8 = 0x05;
/// From a client: data for a key, without a route.
pub const OOB_SEND: u8 = 0x06;
/// To a client: data from a key, without a route.
pub const OOB_RECEIVE: u8 = 0x07;
/// From a client: a packet for the onion.
pub const ONION_REQUEST: u8 = 0x08;
/// To a client: an answer from the onion.
pub const ONION_RESPONSE: u8 = 0x09;
/// From a client: a packet for an address.
pub const FORWARD_REQUEST: u8 = 0x0a;
/// To a client: an answer from such an address.
pub const FORWARDING: u8 = 0x0b;

/// The kinds of data packets. Each is the number of a route.
pub const ROUTES: RangeInclusive<u8> = 16..=255;

/// Whether a packet of this kind is kept while the client's socket is full. All others are discarded.
pub fn is_kept(kind: u8) -> bool {
    matches!(kind, ROUTING_RESPONSE | CONNECTION_NOTIFICATION | DISCONNECT_NOTIFICATION | PING | PONG)
}

/// Whether a packet of this kind carries data from one client to another.
pub fn is_data(kind: u8) -> bool {
    kind == OOB_RECEIVE || ROUTES.contains(&kind)
}
