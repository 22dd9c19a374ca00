//! The kinds of plaintext: their first byte.

use std::ops::RangeInclusive;

/// From a client: open a route to the peer with this key.
pub const ROUTING_REQUEST: u8 = 0x00;
/// To a client: the number of the route it asked for, or 0 for a refusal.
pub const ROUTING_RESPONSE: u8 = 0x01;
/// To a client: the peer of a route has asked for it too.
pub const CONNECTION_NOTIFICATION: u8 = 0x02;
/// Both ways: a route ends, or its peer has gone.
pub const DISCONNECT_NOTIFICATION: u8 = 0x03;
/// Both ways: is anyone there?
pub const PING: u8 = 0x04;
/// Both ways: yes.
pub const PONG: u8 = 0x05;
/// From a client: data for a key, without a route.
pub const OOB_SEND: u8 = 0x06;
/// To a client: data from a key, without a route.
pub const OOB_RECEIVE: u8 = 0x07;
/// From a client: a packet for the onion.
pub const ONION_REQUEST: u8 = 0x08;
/// To a client: what the onion answered.
pub const ONION_RESPONSE: u8 = 0x09;
/// From a client: a packet for any address.
pub const FORWARD_REQUEST: u8 = 0x0a;
/// To a client: what came back from there.
pub const FORWARDING: u8 = 0x0b;

/// The kinds that are data, each being the number of a route.
pub const ROUTES: RangeInclusive<u8> = 16..=255;

/// Whether a full socket only delays a packet of this kind. All others are discarded then.
pub fn is_kept(kind: u8) -> bool {
    matches!(kind, ROUTING_RESPONSE | CONNECTION_NOTIFICATION | DISCONNECT_NOTIFICATION | PING | PONG)
}
