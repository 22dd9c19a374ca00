//! The plaintexts of encrypted packets. The first byte is the kind.
//!
//! | kind | name | from | rest of the plaintext | length of the whole |
//! | --- | --- | --- | --- | --- |
//! | 0x00 | routing request | client | peer's public key | 33 |
//! | 0x01 | routing response | relay | connection id or 0, peer's public key | 34 |
//! | 0x02 | connection notification | relay | connection id | 2 |
//! | 0x03 | disconnect notification | both | connection id | 2 |
//! | 0x04 | ping | both | ping id (8), never 0 | 9 |
//! | 0x05 | pong | both | the ping's id (8) | 9 |
//! | 0x06 | OOB send | client | destination's public key, data 1..=1024 | 34..=1057 |
//! | 0x07 | OOB receive | relay | sender's public key, data 1..=1024 | 34..=1057 |
//! | 0x08 | onion request | client | nonce (24), onion data | 179..=1360 |
//! | 0x09 | onion response | relay | onion data | 2..=2032 |
//! | 0x0a | forward request | client | destination (7 or 19), data 1..=1792 | 9..=1812 |
//! | 0x0b | forwarding | relay | data, may be empty | 1..=2032 |
//! | 0x10..=0xff | data | both | data; the kind is the connection id | 1..=2032 |

use std::num::{NonZeroU8, NonZeroU64};

use crate::error::Violation;
use crate::key::{KEY_LEN, PublicKey};
use crate::wire::destination::{Destination, NoDestination};
use crate::wire::frame::MAX_PLAINTEXT;

/// The lengths of OOB data.
pub const OOB_DATA: std::ops::RangeInclusive<usize> = 1..=1024;

/// The lengths of an onion request without its kind. A relay disconnects a client that sends 158 bytes or less, and
/// ignores requests of 159 to 177 bytes and of more than 1359.
pub const ONION_REQUEST: std::ops::RangeInclusive<usize> = 178..=1359;

/// The lengths of the data of a forward request.
pub const FORWARD_DATA: std::ops::RangeInclusive<usize> = 1..=1792;

/// The lengths of data that a client may send on a route. A relay may also deliver data of 0 bytes.
pub(crate) const ROUTE_DATA: std::ops::RangeInclusive<usize> = 1..=MAX_PLAINTEXT - 1;

const ROUTING_REQUEST: u8 = 0x00;
const ROUTING_RESPONSE: u8 = 0x01;
const CONNECT_NOTIFICATION: u8 = 0x02;
const DISCONNECT_NOTIFICATION: u8 = 0x03;
pub(crate) const PING: u8 = 0x04;
const PONG: u8 = 0x05;
const OOB_SEND: u8 = 0x06;
const OOB_RECEIVE: u8 = 0x07;
const ONION_REQUEST_KIND: u8 = 0x08;
const ONION_RESPONSE: u8 = 0x09;
const FORWARD_REQUEST: u8 = 0x0a;
const FORWARDING: u8 = 0x0b;

/// A relay's number for a route: 16..=255. The specification calls it connection id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteNumber(NonZeroU8);

impl RouteNumber {
    pub const MIN: u8 = 16;

    pub fn new(id: u8) -> Option<Self> {
        NonZeroU8::new(id).filter(|id| id.get() >= Self::MIN).map(Self)
    }

    pub fn get(self) -> u8 {
        self.0.get()
    }
}

/// One parsed plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    RoutingRequest {
        peer: PublicKey,
    },
    /// `number` is `None` if the relay refused.
    RoutingResponse {
        number: Option<RouteNumber>,
        peer: PublicKey,
    },
    ConnectNotification(RouteNumber),
    DisconnectNotification(RouteNumber),
    Ping(NonZeroU64),
    Pong(NonZeroU64),
    OobSend {
        destination: PublicKey,
        data: &'a [u8],
    },
    OobReceive {
        sender: PublicKey,
        data: &'a [u8],
    },
    OnionRequest(&'a [u8]),
    OnionResponse(&'a [u8]),
    ForwardRequest {
        destination: Destination,
        data: &'a [u8],
    },
    Forwarding(&'a [u8]),
    Data {
        number: RouteNumber,
        data: &'a [u8],
    },
}

/// Why a plaintext is not a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "internals"), allow(unnameable_types))] // only this crate converts it into a `Violation`
pub enum Malformed {
    /// A kind that the protocol does not define: 0x0c..=0x0f.
    Kind(u8),
    /// A length that is not valid for its kind.
    Length { kind: u8, length: usize },
    /// A connection id that is not valid: 0..=15, or 1..=15 in a routing response.
    RouteNumber { kind: u8, id: u8 },
    /// A ping or pong with the id 0.
    PingId,
    /// A forward request to an unknown address family.
    AddressFamily(u8),
}

impl From<Malformed> for Violation {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Kind(kind) => Self::Kind(kind),
            Malformed::Length { kind, length } => Self::Length { kind, length },
            Malformed::RouteNumber { kind, id } => Self::RouteNumber { kind, id },
            Malformed::PingId => Self::PingId,
            // Relays never send a forward request, so its kind is the violation.
            Malformed::AddressFamily(_) => Self::Kind(FORWARD_REQUEST),
        }
    }
}

impl<'a> Packet<'a> {
    /// Parses a plaintext.
    pub fn parse(plaintext: &'a [u8]) -> Result<Self, Malformed> {
        let Some((&kind, rest)) = plaintext.split_first() else {
            return Err(Malformed::Length { kind: 0, length: 0 });
        };
        let bad_length = Malformed::Length { kind, length: plaintext.len() };
        if plaintext.len() > MAX_PLAINTEXT {
            return Err(bad_length);
        }
        let number = |id: u8| RouteNumber::new(id).ok_or(Malformed::RouteNumber { kind, id });
        let only_id = || match rest {
            &[id] => number(id),
            _ => Err(bad_length),
        };
        let ping_id = || {
            let id = u64::from_be_bytes(rest.try_into().map_err(|_| bad_length)?);
            NonZeroU64::new(id).ok_or(Malformed::PingId)
        };
        let key_and_data = || match rest.split_first_chunk::<KEY_LEN>() {
            Some((&key, data)) if OOB_DATA.contains(&data.len()) => Ok((PublicKey::from(key), data)),
            _ => Err(bad_length),
        };
        let some = || if rest.is_empty() { Err(bad_length) } else { Ok(rest) };

        Ok(match kind {
            ROUTING_REQUEST => {
                let peer: [u8; KEY_LEN] = rest.try_into().map_err(|_| bad_length)?;
                Packet::RoutingRequest { peer: peer.into() }
            }
            ROUTING_RESPONSE => match rest.split_first() {
                Some((&id, peer)) if peer.len() == KEY_LEN => {
                    let peer: [u8; KEY_LEN] = peer.try_into().map_err(|_| bad_length)?;
                    let number = if id == 0 { None } else { Some(number(id)?) };
                    Packet::RoutingResponse { number, peer: peer.into() }
                }
                _ => return Err(bad_length),
            },
            CONNECT_NOTIFICATION => Packet::ConnectNotification(only_id()?),
            DISCONNECT_NOTIFICATION => Packet::DisconnectNotification(only_id()?),
            PING => Packet::Ping(ping_id()?),
            PONG => Packet::Pong(ping_id()?),
            OOB_SEND => {
                let (destination, data) = key_and_data()?;
                Packet::OobSend { destination, data }
            }
            OOB_RECEIVE => {
                let (sender, data) = key_and_data()?;
                Packet::OobReceive { sender, data }
            }
            ONION_REQUEST_KIND if ONION_REQUEST.contains(&rest.len()) => Packet::OnionRequest(rest),
            ONION_RESPONSE => Packet::OnionResponse(some()?),
            FORWARD_REQUEST => parse_forward_request(rest, bad_length)?,
            FORWARDING => Packet::Forwarding(rest),
            ONION_REQUEST_KIND => return Err(bad_length),
            RouteNumber::MIN.. => Packet::Data { number: number(kind)?, data: rest },
            _ => return Err(Malformed::Kind(kind)),
        })
    }

    /// The kind of this packet: its first byte.
    pub fn kind(&self) -> u8 {
        match self {
            Packet::RoutingRequest { .. } => ROUTING_REQUEST,
            Packet::RoutingResponse { .. } => ROUTING_RESPONSE,
            Packet::ConnectNotification(_) => CONNECT_NOTIFICATION,
            Packet::DisconnectNotification(_) => DISCONNECT_NOTIFICATION,
            Packet::Ping(_) => PING,
            Packet::Pong(_) => PONG,
            Packet::OobSend { .. } => OOB_SEND,
            Packet::OobReceive { .. } => OOB_RECEIVE,
            Packet::OnionRequest(_) => ONION_REQUEST_KIND,
            Packet::OnionResponse(_) => ONION_RESPONSE,
            Packet::ForwardRequest { .. } => FORWARD_REQUEST,
            Packet::Forwarding(_) => FORWARDING,
            Packet::Data { number, .. } => number.get(),
        }
    }

    /// The length of the plaintext that [`emit`](Self::emit) writes.
    pub fn emitted_len(&self) -> usize {
        1 + match self {
            Packet::RoutingRequest { .. } => KEY_LEN,
            Packet::RoutingResponse { .. } => 1 + KEY_LEN,
            Packet::ConnectNotification(_) | Packet::DisconnectNotification(_) => 1,
            Packet::Ping(_) | Packet::Pong(_) => 8,
            Packet::OobSend { data, .. } | Packet::OobReceive { data, .. } => KEY_LEN + data.len(),
            Packet::ForwardRequest { destination, data } => destination.emitted_len() + data.len(),
            Packet::OnionRequest(data)
            | Packet::OnionResponse(data)
            | Packet::Forwarding(data)
            | Packet::Data { data, .. } => data.len(),
        }
    }

    /// Writes the plaintext into the first [`emitted_len`](Self::emitted_len) bytes of `out`.
    pub fn emit(&self, mut out: &mut [u8]) {
        self.emit_pieces(|piece| {
            let (head, tail) = std::mem::take(&mut out).split_at_mut(piece.len());
            head.copy_from_slice(piece);
            out = tail;
        });
    }

    /// Passes the plaintext to `put`, piece by piece.
    pub fn emit_pieces(&self, mut put: impl FnMut(&[u8])) {
        put(&[self.kind()]);
        match self {
            Packet::RoutingRequest { peer } => put(peer.as_bytes()),
            Packet::RoutingResponse { number, peer } => {
                put(&[number.map_or(0, RouteNumber::get)]);
                put(peer.as_bytes());
            }
            Packet::ConnectNotification(id) | Packet::DisconnectNotification(id) => put(&[id.get()]),
            Packet::Ping(id) | Packet::Pong(id) => put(&id.get().to_be_bytes()),
            Packet::OobSend { destination: key, data } | Packet::OobReceive { sender: key, data } => {
                put(key.as_bytes());
                put(data);
            }
            Packet::ForwardRequest { destination, data } => {
                destination.emit(&mut put);
                put(data);
            }
            Packet::OnionRequest(data)
            | Packet::OnionResponse(data)
            | Packet::Forwarding(data)
            | Packet::Data { data, .. } => put(data),
        }
    }
}

fn parse_forward_request(rest: &[u8], bad_length: Malformed) -> Result<Packet<'_>, Malformed> {
    match Destination::parse(rest) {
        Ok((destination, data)) if FORWARD_DATA.contains(&data.len()) => {
            Ok(Packet::ForwardRequest { destination, data })
        }
        Ok(_) | Err(NoDestination::TooShort) => Err(bad_length),
        Err(NoDestination::Family(family)) => Err(Malformed::AddressFamily(family)),
    }
}

#[cfg(test)]
mod tests;
