//! What the C client reports: its status, the results of sending, and events.

use std::ffi::c_int;

/// The stage of a C client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CStatus {
    /// The TCP connection or the handshake is in progress.
    Connecting,
    /// The handshake is complete.
    Connected,
    /// The connection has ended.
    Disconnected,
}

/// The result of sending a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum CSend {
    /// The socket or the client's own queue has accepted the packet.
    Sent,
    /// The socket has no room now; the packet is dropped.
    WouldBlock,
    /// The packet is invalid, or the connection or the route is not ready for it.
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

/// An event of the C client. Connection ids are those of the wire, from 16 on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CEvent {
    /// The relay has created a route to `peer`. The route is not online yet.
    RoutingResponse {
        /// The route.
        connection_id: u8,
        /// The public key of the route's peer.
        peer: [u8; 32],
    },
    /// The peer is connected, and has requested a route to this client as well.
    Online {
        /// The route.
        connection_id: u8,
    },
    /// The peer has disconnected or closed its route. The route still exists.
    Offline {
        /// The route.
        connection_id: u8,
    },
    /// Data on a route. The C client does not check whether the route exists.
    Data {
        /// The route.
        connection_id: u8,
        /// The data that the peer sent.
        data: Vec<u8>,
    },
    /// Data without a route, sent out of band.
    Oob {
        /// The public key of the sender.
        sender: [u8; 32],
        /// The data that it sent.
        data: Vec<u8>,
    },
    /// The response to an onion request.
    OnionResponse {
        /// Its data.
        data: Vec<u8>,
    },
}

/// The data packets that have arrived on routes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceivedData {
    /// The number of packets.
    pub packets: u64,
    /// Their bytes of data, without connection ids.
    pub bytes: u64,
}
