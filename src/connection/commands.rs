//! The functions of a connection for the commands of a caller: routes, packets, and its state.

use std::time::Instant;

use crate::address::Address;
use crate::config::Proxy;
#[cfg(test)]
use crate::connection::ending::End;
use crate::connection::queue::LONGEST;
use crate::connection::times::Times;
use crate::connection::transport::{Connection, Handler, State};
#[cfg(test)]
use crate::error::DisconnectReason;
use crate::error::{RouteError, SendError};
use crate::id::RouteId;
use crate::key::PublicKey;
use crate::status::{ConnectTimes, FailedAttempt, RoundTrips, RouteStatus, Traffic};
use crate::wire::packet::{FORWARD_DATA, ONION_REQUEST, OOB_DATA, ROUTE_DATA};
use crate::wire::{Destination, Packet};

impl Connection {
    /// Requests a route to `peer` from the relay, with a token of the caller's. Before the handshake response, the
    /// request stays queued. `generation` becomes a part of the route's id: no other route of the driver's connections
    /// may have it.
    ///
    /// # Errors
    ///
    /// [`RouteError::Exists`] or [`TooMany`](RouteError::TooMany). Then nothing was requested.
    pub fn open_route(
        &mut self,
        peer: PublicKey,
        generation: u32,
        token: u64,
    ) -> Result<RouteId, RouteError> {
        let (route, request) = self.common.routes.open(self.common.id, peer, generation, token)?;
        if request {
            self.common.outbox.push_important(Packet::RoutingRequest { peer });
        }
        Ok(route)
    }

    /// Closes a route and removes its data from the queue. Returns how many bytes of data were removed. The relay is
    /// notified; if it has not answered the request yet, after its answer.
    ///
    /// # Errors
    ///
    /// [`RouteError::UnknownRoute`]: it is already closed or refused.
    pub fn close_route(&mut self, route: RouteId) -> Result<usize, RouteError> {
        let Some(id) = self.common.routes.close(route)? else {
            return Ok(0);
        };
        self.common.outbox.push_important(Packet::DisconnectNotification(id));
        Ok(self.common.outbox.remove(id))
    }

    /// Closes all routes and removes their data from the queue, before the connection ends.
    pub fn close_all_routes(&mut self) {
        self.common.outbox.remove_all_routes();
        for RouteStatus { route, .. } in self.routes().collect::<Vec<_>>() {
            // This cannot fail: the route is in the table.
            let _ = self.close_route(route);
        }
    }

    /// Queues 1 to 2031 bytes for the peer of an online route.
    ///
    /// # Errors
    ///
    /// Any [`SendError`] but `UnknownConnection`. Then nothing of the packet was queued.
    pub fn send_data(&mut self, route: RouteId, data: &[u8]) -> Result<(), SendError> {
        check_len("a data packet", data, ROUTE_DATA)?;
        let Some(number) = self.common.routes.number(route) else {
            let known = self.route_status(route).is_some();
            return Err(if known { SendError::RouteOffline } else { SendError::UnknownRoute });
        };
        self.send(&Packet::Data { number, data })
    }

    /// Queues 1 to 1024 bytes for the client with this key, out of band.
    ///
    /// # Errors
    ///
    /// [`SendError::Length`] or [`WouldBlock`](SendError::WouldBlock). Then nothing of the packet was queued.
    pub fn send_oob(&mut self, destination: PublicKey, data: &[u8]) -> Result<(), SendError> {
        check_len("an OOB packet", data, OOB_DATA)?;
        self.send(&Packet::OobSend { destination, data })
    }

    /// Queues data if the peer is online on a route, since that packet is smaller, and an OOB packet otherwise.
    ///
    /// # Errors
    ///
    /// Those of the function that is used.
    pub fn send_to(&mut self, peer: PublicKey, data: &[u8]) -> Result<(), SendError> {
        match self.common.routes.online_to(&peer) {
            Some(number) => {
                check_len("a data packet", data, ROUTE_DATA)?;
                self.send(&Packet::Data { number, data })
            }
            None => self.send_oob(peer, data),
        }
    }

    /// Queues an onion request: a nonce (24 bytes) and onion data, together 178 to 1359 bytes.
    ///
    /// # Errors
    ///
    /// Those of [`send_oob`](Self::send_oob).
    pub fn send_onion_request(&mut self, request: &[u8]) -> Result<(), SendError> {
        check_len("an onion request", request, ONION_REQUEST)?;
        self.send(&Packet::OnionRequest(request))
    }

    /// Queues a request to forward 1 to 1792 bytes to another node.
    ///
    /// # Errors
    ///
    /// Those of [`send_oob`](Self::send_oob).
    pub fn send_forward_request(&mut self, destination: Destination, data: &[u8]) -> Result<(), SendError> {
        check_len("a forward request", data, FORWARD_DATA)?;
        self.send(&Packet::ForwardRequest { destination, data })
    }

    fn send(&mut self, packet: &Packet<'_>) -> Result<(), SendError> {
        let bound = self.send_bound();
        if self.common.outbox.push(packet, bound) { Ok(()) } else { Err(SendError::WouldBlock) }
    }

    /// Whether [`Event::Writable`](crate::event::Event::Writable) is due: the send queue has room again after it
    /// refused a packet. Returns `true` once for each time that it is.
    pub fn take_writable(&mut self) -> bool {
        let bound = self.send_bound();
        self.common.outbox.take_writable(bound)
    }

    /// The most bytes that the data queue may have. Until the relay has proved that it holds its key, bytes that were
    /// sent count as well: an impostor that replays an old handshake response receives no more data than this, however
    /// much it reads.
    fn send_bound(&self) -> usize {
        let bound = self.common.settings.send_queue;
        if self.common.times.connected.is_known() {
            return bound;
        }
        bound.saturating_sub(usize::try_from(self.common.traffic.bytes_out).unwrap_or(usize::MAX))
    }

    /// The route to this peer; `None` if there is not one.
    pub fn find_route(&self, peer: &PublicKey) -> Option<RouteId> {
        self.common.routes.find(self.common.id, peer)
    }

    /// The current status of a route; `None` after it was closed or refused.
    pub fn route_status(&self, route: RouteId) -> Option<RouteStatus> {
        self.common.routes.status(self.common.id, route)
    }

    /// All routes, in no particular order.
    pub fn routes(&self) -> impl Iterator<Item = RouteStatus> {
        self.common.routes.iter(self.common.id)
    }

    /// The number of routes in use, including closed ones whose response or disconnect notification is missing.
    pub fn route_count(&self) -> usize {
        self.common.routes.len()
    }

    /// The round trips of pings.
    pub fn round_trips(&self) -> RoundTrips {
        match self.state.handler() {
            Handler::Attempts(_) => RoundTrips::default(),
            Handler::Session(session, _) => session.round_trips(),
        }
    }

    /// What was sent and received, by all attempts.
    pub fn traffic(&self) -> Traffic {
        self.common.traffic
    }

    /// Whether the send queue may have no room for the longest packet on some route: then a driver flushes before it
    /// queues more.
    pub fn is_nearly_full(&self) -> bool {
        // No flow has more bytes than all flows together.
        2 * self.common.outbox.queued() + LONGEST > self.send_bound()
    }

    /// Whether no packet, and no part of one, is queued.
    pub fn has_drained(&self) -> bool {
        self.common.outbox.is_empty()
    }

    /// Bytes in the send queue.
    pub fn queued(&self) -> usize {
        self.common.outbox.queued()
    }

    /// Bytes that were sent and that the relay has not confirmed with a pong.
    pub fn unconfirmed(&self) -> usize {
        self.common.outbox.unconfirmed()
    }

    /// The most bytes that may be [unconfirmed](Self::unconfirmed) now; `None` if there is no bound.
    pub fn window(&self) -> Option<usize> {
        self.common.outbox.window(self.common.settings.window)
    }

    /// When the connection began.
    pub fn started(&self) -> Instant {
        self.common.times.started()
    }

    /// When the last input was received.
    pub fn last_heard(&self) -> Option<Instant> {
        match self.progress() {
            Some((_, times)) => times.last_heard(),
            None => self.common.times.last_heard(),
        }
    }

    /// How long the steps of connecting took.
    pub fn times(&self) -> ConnectTimes {
        match self.progress() {
            Some((_, times)) => times.get(),
            None => self.common.times.get(),
        }
    }

    /// The relay's address that is in use; before that, the address of the attempt that has progressed furthest.
    pub fn address(&self) -> &Address {
        self.progress().map_or(&self.common.address, |(address, _)| address)
    }

    /// The attempts that have failed; empty once the relay has proved that it holds its key.
    pub fn failed_attempts(&self) -> Vec<FailedAttempt> {
        match &self.state {
            State::Unconfirmed(unconfirmed) => unconfirmed.opening.failures().collect(),
            State::Established(..) => Vec::new(),
        }
    }

    /// The proxy that is asked for a tunnel to each address; `None` if transports connect to the relay.
    pub fn proxy(&self) -> Option<&Proxy> {
        self.common.proxy.as_deref()
    }

    fn progress(&self) -> Option<(&Address, &Times)> {
        match self.state.handler() {
            Handler::Attempts(opening) => opening.progress(),
            Handler::Session(..) => None,
        }
    }

    /// The bytes allocated for all buffers, queues and tables, used or not.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.input_memory() + self.common.outbox.memory() + self.common.routes.memory()
    }

    /// The reason that this end of the transport would have. Changes nothing.
    #[cfg(test)]
    pub(super) fn reason(&self, end: End) -> DisconnectReason {
        match self.state.handler() {
            Handler::Attempts(opening) => opening.reason(end),
            Handler::Session(session, _) => session.handle_end(end, &self.common),
        }
    }

    /// The bytes allocated for an incomplete message, used or not.
    #[cfg(test)]
    pub(super) fn input_memory(&self) -> usize {
        match self.state.handler() {
            Handler::Attempts(opening) => opening.memory(),
            Handler::Session(session, _) => session.memory(),
        }
    }
}

fn check_len(
    packet: &'static str,
    data: &[u8],
    legal: std::ops::RangeInclusive<usize>,
) -> Result<(), SendError> {
    if legal.contains(&data.len()) {
        return Ok(());
    }
    Err(SendError::Length { packet, length: data.len(), min: *legal.start(), max: *legal.end() })
}
