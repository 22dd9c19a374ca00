//! What a poll of a client reports.

use std::ptr::null;

use tox_relay_client::{ConnectionStatus, DisconnectReason, Event, PublicKey};

use crate::pointer::TRC_KEY_SIZE;
use crate::reason::trc_end;
use crate::status::trc_connection_status;

/// What has happened. The numbers never change; later versions add others, which a program ignores.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum trc_event_kind {
    /// An event that has no number of its own yet.
    Other = 0,
    /// The relay has proved in this connection that it holds its secret key.
    Connected = 1,
    /// The connection has ended, for the reason in `end`; its id and those of its routes are stale. Reported exactly once
    /// for each connection, and last.
    Disconnected = 2,
    /// The relay has registered a route. The peer is offline until ROUTE_ONLINE follows.
    RouteOpened = 3,
    /// The relay has refused a route: it has no free ones, or the peer's key is our own. The route's id is stale.
    RouteRefused = 4,
    /// The peer is connected to the relay and has a route to us: data can be sent on this route.
    RouteOnline = 5,
    /// The peer has closed its route or its connection. Our route stays: ROUTE_ONLINE follows when the peer returns.
    /// `unsent` bytes of accepted data were removed.
    RouteOffline = 6,
    /// A data packet from a peer: 0 to 2031 bytes. The relay can read, change and invent data, so peers must encrypt and
    /// authenticate them end to end.
    Data = 7,
    /// An out-of-band packet from a client of the same relay, with or without a route: 1 to 1024 bytes.
    Oob = 8,
    /// An answer to an onion request, unchecked: 1 to 2031 bytes.
    OnionResponse = 9,
    /// A packet that the relay forwarded to us, unchecked: 0 to 2031 bytes.
    Forwarding = 10,
    /// After `TRC_ERROR_WOULD_BLOCK`, there is room again on at least one of the refused routes.
    Writable = 11,
}

/// One thing that happened. Its ids may already be stale: later events of the same poll may report why.
///
/// What its pointers point to is valid until the next poll of the client, or until the client is freed. The program may
/// call all other functions meanwhile, and must not write there.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct trc_event {
    /// What has happened.
    pub kind: trc_event_kind,
    /// The connection.
    pub connection: u64,
    /// The route, in events of routes and data; otherwise 0, which is never the id of a route.
    pub route: u64,
    /// The token of the route; in events without a route, that of the connection.
    pub token: u64,
    /// The public key of the peer, in events of routes, data and out-of-band packets, according to the relay. Otherwise
    /// zeros.
    pub peer: [u8; TRC_KEY_SIZE],
    /// The payload. NULL if the event has none; never NULL if it has one, even if that is empty.
    pub data: *const u8,
    /// The length of the payload in bytes.
    pub length: usize,
    /// In ROUTE_OFFLINE: how many bytes of accepted data were removed and never sent; usually 0.
    pub unsent: usize,
    /// In DISCONNECTED: why the connection has ended. Otherwise NULL.
    pub end: *const trc_end,
    /// In DISCONNECTED: its final status. Otherwise NULL.
    pub status: *const trc_connection_status,
}

/// The end of a connection, at an address that does not change until the next poll.
pub(crate) struct Ended {
    pub(crate) end: trc_end,
    pub(crate) status: trc_connection_status,
}

impl Ended {
    pub(crate) fn new(reason: DisconnectReason, status: &ConnectionStatus) -> Box<Self> {
        Box::new(Self { end: reason.into(), status: status.into() })
    }
}

impl trc_event {
    /// Converts an event. The pointers are those of the event's own payload; those of an end are in the box that is
    /// returned.
    pub(crate) fn new(event: Event<'_>) -> (Self, Option<Box<Ended>>) {
        let base = Self {
            kind: trc_event_kind::Other,
            connection: event.connection().into(),
            route: event.route().map_or(0, u64::from),
            token: event.token(),
            peer: [0; TRC_KEY_SIZE],
            data: null(),
            length: 0,
            unsent: 0,
            end: null(),
            status: null(),
        };
        let of = |kind| {
            let mut event = base;
            event.kind = kind;
            event
        };
        let of_peer = |kind, peer: PublicKey| {
            let mut event = of(kind);
            event.peer = *peer.as_bytes();
            event
        };
        let with = |mut event: Self, data: &[u8]| {
            (event.data, event.length) = (data.as_ptr(), data.len());
            event
        };
        let event = match event {
            Event::Connected { .. } => of(trc_event_kind::Connected),
            Event::Disconnected { reason, status, .. } => {
                let ended = Ended::new(reason, status);
                let (end, status) = (&raw const ended.end, &raw const ended.status);
                let mut event = of(trc_event_kind::Disconnected);
                (event.end, event.status) = (end, status);
                return (event, Some(ended));
            }
            Event::RouteOpened { peer, .. } => of_peer(trc_event_kind::RouteOpened, peer),
            Event::RouteRefused { peer, .. } => of_peer(trc_event_kind::RouteRefused, peer),
            Event::RouteOnline { peer, .. } => of_peer(trc_event_kind::RouteOnline, peer),
            Event::RouteOffline { peer, unsent, .. } => {
                let mut event = of_peer(trc_event_kind::RouteOffline, peer);
                event.unsent = unsent;
                event
            }
            Event::Data { peer, data, .. } => with(of_peer(trc_event_kind::Data, peer), data),
            Event::Oob { sender, data, .. } => with(of_peer(trc_event_kind::Oob, sender), data),
            Event::OnionResponse { data, .. } => with(of(trc_event_kind::OnionResponse), data),
            Event::Forwarding { data, .. } => with(of(trc_event_kind::Forwarding), data),
            Event::Writable { .. } => of(trc_event_kind::Writable),
            _ => base,
        };
        (event, None)
    }
}
