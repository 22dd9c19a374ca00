//! What the C client tells: of itself, of packets to send, and of the relay.

use std::ffi::c_int;

/// How far a connection of the C client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CStatus {
    /// TCP connection or handshake are under way.
    Connecting,
    /// The handshake is over.
    Connected,
    /// It is over, for good.
    Disconnected,
}

/// What has become of a packet that was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum CSend {
    /// The socket or the client has it.
    Sent,
    /// The socket takes no more now; the packet is dropped.
    WouldBlock,
    /// It can never be sent like this.
    Error,
}

impl CSend {
    #[inline]
    pub(crate) fn from_return(value: c_int) -> Self {
        match value {
            1 => Self::Sent,
            0 => Self::WouldBlock,
            _ => Self::Error,
        }
    }
}

/// Something that the relay told the C client. Ids are those of the wire, from 16.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CEvent {
    /// There is a route to `peer` now; it is not online yet.
    RoutingResponse {
        /// The route.
        connection_id: u8,
        /// Whose route it is.
        peer: [u8; 32],
    },
    /// The route's peer is there and wants the route as well.
    Online {
        /// The route.
        connection_id: u8,
    },
    /// The route's peer has gone; the route stays.
    Offline {
        /// The route.
        connection_id: u8,
    },
    /// Data on a route. The C client lets it through even when it never heard of the route.
    Data {
        /// The route.
        connection_id: u8,
        /// What the peer sent.
        data: Vec<u8>,
    },
    /// Data outside of any route.
    Oob {
        /// Who sent it.
        sender: [u8; 32],
        /// What it sent.
        data: Vec<u8>,
    },
    /// The response to an onion request.
    OnionResponse {
        /// Its data.
        data: Vec<u8>,
    },
}

/// How many data packets have arrived on routes, and how many bytes in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// The number of packets.
    pub packets: u64,
    /// The bytes in them, without ids.
    pub bytes: u64,
}
