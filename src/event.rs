//! What a poll reports.

use crate::error::DisconnectReason;
use crate::id::{ConnectionId, RouteId};
use crate::key::PublicKey;
use crate::status::ConnectionStatus;

/// One thing that happened. Its payload and status are borrowed from the [`Events`](crate::Events) that contains it;
/// [`to_owned`](EventWith::to_owned) copies them. The variants are those of [`EventWith`].
///
/// Its ids may already be stale: later events of the same poll may report why. So
/// [`UnknownConnection`](crate::SendError::UnknownConnection), [`UnknownRoute`](crate::SendError::UnknownRoute) and
/// [`RouteOffline`](crate::SendError::RouteOffline) are normal while events are handled, and not a reason to end a
/// program.
pub type Event<'a> = EventWith<&'a [u8], &'a ConnectionStatus>;

/// An event that can be kept after the next poll, or sent to another thread.
///
/// ```
/// # use tox_relay_client::*;
/// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
/// # let (mut client, connection, _) = shared::connected();
/// # let mut events = Events::with_capacity(256);
/// # client.disconnect(connection);
/// client.poll(&mut events, None)?;
/// let kept: Vec<OwnedEvent> = events.iter().map(|event| event.to_owned()).collect();
/// assert_eq!(kept[0].as_event(), events.iter().next().unwrap());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type OwnedEvent = EventWith<Vec<u8>, Box<ConnectionStatus>>;

/// An event, borrowed ([`Event`]) or owned ([`OwnedEvent`]), with this type of payload and of status.
///
/// In events of a route, `token` is that of the route
/// ([`open_route_with_token`](crate::Client::open_route_with_token)); in all others, that of the connection
/// ([`Relay::token`](crate::Relay::token)). It is 0 if none was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventWith<Payload, Status> {
    /// The relay has proved in this connection that it holds its secret key.
    Connected {
        /// The connection.
        connection: ConnectionId,
        /// The connection's token.
        token: u64,
    },
    /// The connection has ended; its id and those of its routes are stale. Reported exactly once for each connection,
    /// and last: everything that arrived before the end is reported before it.
    Disconnected {
        /// The connection that has ended.
        connection: ConnectionId,
        /// The connection's token.
        token: u64,
        /// Why it ended.
        reason: DisconnectReason,
        /// Its final status: its last stage, how long each step took, and its traffic. If no attempt has reached the
        /// relay, it lists why each of them failed.
        status: Status,
    },
    /// The relay has registered a route. The peer is offline until [`RouteOnline`](Self::RouteOnline) follows.
    RouteOpened {
        /// The connection.
        connection: ConnectionId,
        /// The route.
        route: RouteId,
        /// The route's token.
        token: u64,
        /// The peer at its other end.
        peer: PublicKey,
    },
    /// The relay has refused a route: it has no free ones, or the peer's key is our own. The route's id is stale.
    RouteRefused {
        /// The connection.
        connection: ConnectionId,
        /// The route that was requested.
        route: RouteId,
        /// The route's token.
        token: u64,
        /// The peer to which it was requested.
        peer: PublicKey,
    },
    /// The peer is connected to the relay and has a route to us: data can be sent on this route.
    RouteOnline {
        /// The connection.
        connection: ConnectionId,
        /// The route.
        route: RouteId,
        /// The route's token.
        token: u64,
        /// The peer at its other end.
        peer: PublicKey,
    },
    /// The peer has closed its route or its connection. Our route stays: [`RouteOnline`](Self::RouteOnline) follows
    /// when the peer returns. Data that were still queued for it are removed, since the relay would discard them or
    /// deliver them to the peer's next session.
    RouteOffline {
        /// The connection.
        connection: ConnectionId,
        /// The route.
        route: RouteId,
        /// The route's token.
        token: u64,
        /// The peer at its other end.
        peer: PublicKey,
        /// How many bytes of accepted data were removed and never sent; usually 0.
        unsent: usize,
    },
    /// A data packet from a peer.
    Data {
        /// The connection on which it arrived.
        connection: ConnectionId,
        /// The route on which it arrived.
        route: RouteId,
        /// The route's token.
        token: u64,
        /// Who sent it, according to the relay. The relay can read, change and invent data, so peers must encrypt and
        /// authenticate them end to end.
        peer: PublicKey,
        /// What was sent: 0 to 2031 bytes.
        data: Payload,
    },
    /// An out-of-band packet from a client of the same relay, with or without a route.
    Oob {
        /// The connection on which it arrived.
        connection: ConnectionId,
        /// The connection's token.
        token: u64,
        /// Who sent it, according to the relay.
        sender: PublicKey,
        /// What was sent: 1 to 1024 bytes.
        data: Payload,
    },
    /// An answer to an onion request.
    OnionResponse {
        /// The connection on which it arrived.
        connection: ConnectionId,
        /// The connection's token.
        token: u64,
        /// The onion data, unchecked: 1 to 2031 bytes.
        data: Payload,
    },
    /// A packet that the relay forwarded to us.
    Forwarding {
        /// The connection on which it arrived.
        connection: ConnectionId,
        /// The connection's token.
        token: u64,
        /// The forwarded data, unchecked: 0 to 2031 bytes.
        data: Payload,
    },
    /// After [`WouldBlock`](crate::SendError::WouldBlock), there is room again: on at least one of the refused routes
    /// (or for packets without a route), a packet of any length would be accepted. The only event that may be reported
    /// before `Connected`, apart from the end.
    Writable {
        /// The connection whose queue has room.
        connection: ConnectionId,
        /// The connection's token.
        token: u64,
    },
}

impl<Payload, Status> EventWith<Payload, Status> {
    /// The connection of this event.
    pub fn connection(&self) -> ConnectionId {
        match *self {
            Self::Connected { connection, .. }
            | Self::Disconnected { connection, .. }
            | Self::RouteOpened { connection, .. }
            | Self::RouteRefused { connection, .. }
            | Self::RouteOnline { connection, .. }
            | Self::RouteOffline { connection, .. }
            | Self::Data { connection, .. }
            | Self::Oob { connection, .. }
            | Self::OnionResponse { connection, .. }
            | Self::Forwarding { connection, .. }
            | Self::Writable { connection, .. } => connection,
        }
    }

    /// The route of this event, if it is about one.
    pub fn route(&self) -> Option<RouteId> {
        match *self {
            Self::RouteOpened { route, .. }
            | Self::RouteRefused { route, .. }
            | Self::RouteOnline { route, .. }
            | Self::RouteOffline { route, .. }
            | Self::Data { route, .. } => Some(route),
            _ => None,
        }
    }

    /// The token of the route, or of the connection if the event is not about a route; 0 if none was given.
    pub fn token(&self) -> u64 {
        match *self {
            Self::Connected { token, .. }
            | Self::Disconnected { token, .. }
            | Self::RouteOpened { token, .. }
            | Self::RouteRefused { token, .. }
            | Self::RouteOnline { token, .. }
            | Self::RouteOffline { token, .. }
            | Self::Data { token, .. }
            | Self::Oob { token, .. }
            | Self::OnionResponse { token, .. }
            | Self::Forwarding { token, .. }
            | Self::Writable { token, .. } => token,
        }
    }

    /// The same event with the payload and the status that these functions return.
    pub(crate) fn map<'a, P, S>(
        &'a self,
        payload: impl FnOnce(&'a Payload) -> P,
        status: impl FnOnce(&'a Status) -> S,
    ) -> EventWith<P, S> {
        match *self {
            Self::Connected { connection, token } => EventWith::Connected { connection, token },
            Self::Disconnected { connection, token, reason, status: ref ended } => {
                EventWith::Disconnected { connection, token, reason, status: status(ended) }
            }
            Self::RouteOpened { connection, route, token, peer } => {
                EventWith::RouteOpened { connection, route, token, peer }
            }
            Self::RouteRefused { connection, route, token, peer } => {
                EventWith::RouteRefused { connection, route, token, peer }
            }
            Self::RouteOnline { connection, route, token, peer } => {
                EventWith::RouteOnline { connection, route, token, peer }
            }
            Self::RouteOffline { connection, route, token, peer, unsent } => {
                EventWith::RouteOffline { connection, route, token, peer, unsent }
            }
            Self::Data { connection, route, token, peer, ref data } => {
                EventWith::Data { connection, route, token, peer, data: payload(data) }
            }
            Self::Oob { connection, token, sender, ref data } => {
                EventWith::Oob { connection, token, sender, data: payload(data) }
            }
            Self::OnionResponse { connection, token, ref data } => {
                EventWith::OnionResponse { connection, token, data: payload(data) }
            }
            Self::Forwarding { connection, token, ref data } => {
                EventWith::Forwarding { connection, token, data: payload(data) }
            }
            Self::Writable { connection, token } => EventWith::Writable { connection, token },
        }
    }
}

impl Event<'_> {
    /// A copy that can be kept.
    #[must_use]
    pub fn to_owned(&self) -> OwnedEvent {
        self.map(|data| data.to_vec(), |status| Box::new((*status).clone()))
    }
}

impl OwnedEvent {
    /// The same event, borrowed.
    pub fn as_event(&self) -> Event<'_> {
        self.map(Vec::as_slice, |status| &**status)
    }
}

impl From<Event<'_>> for OwnedEvent {
    fn from(event: Event<'_>) -> Self {
        event.to_owned()
    }
}
