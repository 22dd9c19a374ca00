//! What a poll of a pool reports.

use std::ptr::null;

use tox_relay_client::pool::{MoveCause, PoolEvent};

use crate::event::Ended;
use crate::pointer::TRC_KEY_SIZE;
use crate::reason::trc_end;
use crate::status::trc_connection_status;

/// What has happened in a pool. The numbers never change; later versions add others, which a program ignores.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum trc_pool_event_kind {
    /// An event that has no number of its own yet.
    Other = 0,
    /// The peer can be reached through a relay: `relay` carries its data. Reported once for all of its relays.
    PeerOnline = 1,
    /// The peer is on no relay of ours any more. What was sent shortly before may be lost.
    PeerOffline = 2,
    /// Another relay carries the data to the peer now: `relay`. If the last one has ended, is silent or loses data,
    /// what was sent shortly before may be lost. What is sent from now on may overtake what was sent before.
    PeerMoved = 3,
    /// Data from a peer: 0 to 2031 bytes. Relays can read, change and invent data, so peers must encrypt and authenticate
    /// them end to end.
    Data = 4,
    /// A packet of 1 to 1024 bytes from a stranger, whose public key is `sender`: who has no route to us, and is not a peer
    /// that is tied to this relay. An answer is sent by the same relay (`trc_pool_send_oob`).
    Oob = 5,
    /// After `trc_pool_send` has returned `TRC_ERROR_WOULD_BLOCK`, there may be room for data to this peer.
    Writable = 6,
    /// A relay is connected, and has proved that it holds its key.
    RelayUp = 7,
    /// There is no connection to a relay any more. It may mean three things. If the reason in `end` is CLOSED_BY_CALLER,
    /// nothing is wrong with the relay: the pool has ended its connection, or the attempt, since enough others are
    /// connected, or to begin anew on another network; or the relay was removed, and its id is stale. Otherwise, if
    /// `connected_since` in `status` is not 0, a connection was lost; if it is 0, an attempt to connect has failed. After
    /// these two, the relay is tried again when it is needed, after a pause (`retry_in` in its status).
    RelayDown = 8,
    /// An answer to an onion request, unchecked: 1 to 2031 bytes.
    OnionResponse = 9,
    /// A packet that a relay forwarded to us, unchecked: 0 to 2031 bytes.
    Forwarding = 10,
    /// The relay has refused a route to the peer, as it does when it has no room, or when the peer's key is our own. It is
    /// asked again after a minute.
    RouteRefused = 11,
    /// No attempt to connect to the relay could begin: it has only a host name, and there is no proxy to resolve it;
    /// its key is our own; the system has no socket for it. `trc_pool_refusal` returns why. It is tried again after a
    /// pause, which is an hour if a person must change something.
    RelayRefused = 12,
    /// Data that were accepted for the peer will never be sent by this relay: the peer has gone offline there, or was
    /// untied, or sleeps. `length` is how many bytes: the plaintext of each packet and 2 bytes. `data` is NULL. (What a
    /// relay has left unsent when it ended is in the status of RELAY_DOWN; for a peer that was removed, nothing is
    /// reported.)
    Unsent = 13,
    /// After a function that sends by this relay, or by any, has returned `TRC_ERROR_WOULD_BLOCK`, there may be room here.
    RelayWritable = 14,
}

/// Why another relay carries the data of a peer. The numbers never change.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum trc_move_cause {
    /// None, or one that has no number of its own yet.
    Other = 0,
    /// The last one has ended, or the peer is not online there any more.
    Offline = 1,
    /// Nothing was heard of the last one for five seconds after data were sent.
    Silent = 2,
    /// The last one loses data: `trc_pool_report`.
    Loses = 3,
    /// The last one can take no more.
    Full = 4,
    /// The new one was faster by a third for a minute.
    Faster = 5,
}

impl From<MoveCause> for trc_move_cause {
    fn from(cause: MoveCause) -> Self {
        match cause {
            MoveCause::Offline => Self::Offline,
            MoveCause::Silent => Self::Silent,
            MoveCause::Loses => Self::Loses,
            MoveCause::Full => Self::Full,
            MoveCause::Faster => Self::Faster,
            _ => Self::Other,
        }
    }
}

/// One thing that happened in a pool. Its ids may already be stale.
///
/// What its pointers point to is valid until the next poll of the pool, or until the pool is freed. The program may call
/// all other functions meanwhile, and must not write there.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct trc_pool_event {
    /// What has happened.
    pub kind: trc_pool_event_kind,
    /// The peer, in PEER_..., DATA, WRITABLE, ROUTE_REFUSED and UNSENT; otherwise 0. (0 may be the id of a peer: the kind
    /// says whether it is.)
    pub peer: u64,
    /// The relay, in all kinds but PEER_OFFLINE and WRITABLE, in which it is 0.
    pub relay: u64,
    /// In PEER_MOVED: the relay that has carried the data; its id is stale if it was removed. Otherwise 0.
    pub from: u64,
    /// In PEER_MOVED: why. Otherwise OTHER.
    pub cause: trc_move_cause,
    /// The token of the peer; in events without a peer, that of the relay. (The token in `status` is the relay's id.)
    pub token: u64,
    /// In OOB: the public key of the sender, according to the relay. Otherwise zeros.
    pub sender: [u8; TRC_KEY_SIZE],
    /// The payload. NULL if the event has none; never NULL if it has one, even if that is empty.
    pub data: *const u8,
    /// The length of the payload in bytes. In UNSENT: how many bytes were not sent.
    pub length: usize,
    /// In RELAY_DOWN: why the connection has ended. Otherwise NULL.
    pub end: *const trc_end,
    /// In RELAY_DOWN: its final status; `queued` bytes were accepted and never sent. Otherwise NULL.
    pub status: *const trc_connection_status,
}

impl trc_pool_event {
    /// Converts an event. The pointers are those of the event's own payload; those of an end are in the box that is
    /// returned.
    pub(crate) fn new(event: PoolEvent<'_>) -> (Self, Option<Box<Ended>>) {
        let of = |kind, token| {
            let (sender, data, end, status) = ([0; TRC_KEY_SIZE], null(), null(), null());
            let cause = trc_move_cause::Other;
            Self { kind, peer: 0, relay: 0, from: 0, cause, token, sender, data, length: 0, end, status }
        };
        let with = |mut event: Self, data: &[u8]| {
            (event.data, event.length) = (data.as_ptr(), data.len());
            event
        };
        let of_peer = |kind, peer: u64, token, relay: u64| {
            let mut event = of(kind, token);
            (event.peer, event.relay) = (peer, relay);
            event
        };
        let of_relay = |kind, relay: u64, token| of_peer(kind, 0, token, relay);
        let event = match event {
            PoolEvent::PeerOnline { peer, token, relay } => {
                of_peer(trc_pool_event_kind::PeerOnline, peer.into(), token, relay.into())
            }
            PoolEvent::PeerOffline { peer, token } => {
                of_peer(trc_pool_event_kind::PeerOffline, peer.into(), token, 0)
            }
            PoolEvent::PeerMoved { peer, token, from, relay, cause } => {
                let mut event = of_peer(trc_pool_event_kind::PeerMoved, peer.into(), token, relay.into());
                (event.from, event.cause) = (from.into(), cause.into());
                event
            }
            PoolEvent::RouteRefused { peer, token, relay } => {
                of_peer(trc_pool_event_kind::RouteRefused, peer.into(), token, relay.into())
            }
            PoolEvent::RelayRefused { relay, token } => {
                of_relay(trc_pool_event_kind::RelayRefused, relay.into(), token)
            }
            PoolEvent::Unsent { peer, token, relay, bytes } => {
                let mut event = of_peer(trc_pool_event_kind::Unsent, peer.into(), token, relay.into());
                event.length = bytes;
                event
            }
            PoolEvent::Data { peer, token, relay, data } => {
                with(of_peer(trc_pool_event_kind::Data, peer.into(), token, relay.into()), data)
            }
            PoolEvent::Oob { relay, token, sender, data } => {
                let mut event = of_relay(trc_pool_event_kind::Oob, relay.into(), token);
                event.sender = *sender.as_bytes();
                with(event, data)
            }
            PoolEvent::Writable { peer, token } => {
                of_peer(trc_pool_event_kind::Writable, peer.into(), token, 0)
            }
            PoolEvent::RelayUp { relay, token } => {
                of_relay(trc_pool_event_kind::RelayUp, relay.into(), token)
            }
            PoolEvent::RelayWritable { relay, token } => {
                of_relay(trc_pool_event_kind::RelayWritable, relay.into(), token)
            }
            PoolEvent::RelayDown { relay, token, reason, status } => {
                let ended = Ended::new(reason, status);
                let mut event = of_relay(trc_pool_event_kind::RelayDown, relay.into(), token);
                (event.end, event.status) = (&raw const ended.end, &raw const ended.status);
                return (event, Some(ended));
            }
            PoolEvent::OnionResponse { relay, token, data } => {
                with(of_relay(trc_pool_event_kind::OnionResponse, relay.into(), token), data)
            }
            PoolEvent::Forwarding { relay, token, data } => {
                with(of_relay(trc_pool_event_kind::Forwarding, relay.into(), token), data)
            }
            _ => of(trc_pool_event_kind::Other, 0),
        };
        (event, None)
    }
}
