//! One relay connection without a socket, a clock or a random source: bytes, times and random numbers are arguments.
//!
//! Input goes in through the `handle_*` functions and [`receive`](Connection::receive), output comes out of
//! [`flush`](Connection::flush), and [`Events`] holds what the caller should know. Whoever drives a connection (the
//! loop, or a test) calls them in this order:
//!
//! 1. [`handle_turn`](Connection::handle_turn) when a turn begins;
//! 2. [`handle_connected`](Connection::handle_connected), once, when the transport is connected, and then
//!    [`receive`](Connection::receive) with the bytes that have arrived;
//! 3. [`handle_timeout`](Connection::handle_timeout) when [`deadline`](Connection::deadline) is reached, and after
//!    `receive`, so that an answer which has arrived is never taken for late;
//! 4. [`flush`](Connection::flush) while it [`has_output`](Connection::has_output) and the transport has room.
//!
//! An error of any of them is final: the connection has ended and must not be used again. If the transport ends,
//! [`handle_end`](Connection::handle_end) returns the reason.
//!
//! Each function passes its input to the current state of the connection: an [`Opening`], from the transport to the
//! handshake response, and then a [`Session`]. [`Common`] holds what both states use.

mod common;
mod deadline;
mod ending;
mod keepalive;
mod opening;
mod outbox;
mod queue;
mod round_trips;
mod routes;
mod session;
mod shared;
mod times;

pub use ending::End;
pub use opening::Parameters;
pub use shared::Shared;

use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

use crate::config::Settings;
use crate::connection::common::Common;
use crate::connection::keepalive::NETWORK_CHANGE_TIMEOUT;
use crate::connection::opening::Opening;
use crate::connection::outbox::Outbox;
use crate::connection::queue::LONGEST;
use crate::connection::routes::Routes;
use crate::connection::session::Session;
use crate::connection::times::Times;
use crate::error::{DisconnectReason, RouteError, SendError};
use crate::event::Events;
use crate::id::{RelayId, RouteId};
use crate::key::PublicKey;
use crate::stage::Stage;
use crate::status::{ConnectTimes, RoundTrips, RouteStatus, Traffic};
use crate::wire::frame::MIN_FRAME;
use crate::wire::packet::{FORWARD_DATA, ONION_REQUEST, OOB_DATA, ROUTE_DATA};
use crate::wire::{Destination, Packet};

/// See the module.
pub struct Connection {
    state: State,
    common: Common,
}

/// Boxed, since an opening takes memory only for a short time, and since keys that are not moved leave no copies.
enum State {
    /// There are no session keys yet.
    Opening(Box<Opening>),
    /// Packets are exchanged.
    Established(Box<Session>),
}

impl Connection {
    /// A connection whose transport began to connect at `now`.
    pub fn new(parameters: Parameters, now: Instant) -> Self {
        let common = Common {
            id: parameters.id,
            settings: Arc::clone(&parameters.settings),
            outbox: Outbox::default(),
            routes: Routes::default(),
            traffic: Traffic::default(),
            times: Times::new(now),
        };
        Self { state: State::Opening(Box::new(Opening::new(parameters, now))), common }
    }

    pub fn id(&self) -> RelayId {
        self.common.id
    }

    pub fn stage(&self) -> Stage {
        match &self.state {
            State::Opening(opening) => opening.stage(),
            State::Established(session) => session.stage(&self.common),
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn deadline(&self) -> Instant {
        match &self.state {
            State::Opening(opening) => opening.deadline(),
            State::Established(session) => session.deadline(),
        }
    }

    /// Begins a turn, in which the ready input of the transport is read. It was ready since `since` at the earliest,
    /// and that it was not read earlier is not the relay's fault: deadlines exclude this time.
    pub fn handle_turn(&mut self, now: Instant, since: Instant) {
        match &mut self.state {
            State::Opening(opening) => opening.handle_turn(now, since, &self.common),
            State::Established(session) => session.handle_turn(now, since, &self.common),
        }
    }

    /// The most bytes of input that are certainly used up if `events` has room for this many packets.
    pub fn input_of_packets(&self, packets: usize) -> usize {
        match &self.state {
            // No events result from what arrives before the first packet.
            State::Opening(_) => packets * MIN_FRAME,
            State::Established(session) => session.input_of_packets(packets),
        }
    }

    /// The transport is connected: sends the request to the proxy, or the hello to the relay.
    pub fn handle_connected(&mut self, now: Instant) {
        if let State::Opening(opening) = &mut self.state {
            opening.handle_connected(now, &mut self.common);
        }
    }

    /// Handles bytes read from the transport. Returns how many were used: fewer than all only if `events` is full. The
    /// caller passes the rest again, before the bytes that are read next. The input is overwritten.
    pub fn receive(
        &mut self,
        now: Instant,
        mut input: &mut [u8],
        shared: &mut Shared,
        events: &mut Events,
    ) -> Result<usize, DisconnectReason> {
        let given = input.len();
        if given > 0 {
            self.common.times.set_heard(now);
        }
        let result = self.receive_messages(now, &mut input, shared, events);
        shared.key_stream.wipe();
        let taken = given - input.len();
        self.common.traffic.bytes_in += taken as u64;
        shared.counters.all.bytes_in += taken as u64;
        result.map(|()| taken)
    }

    fn receive_messages(
        &mut self,
        now: Instant,
        input: &mut &mut [u8],
        shared: &mut Shared,
        events: &mut Events,
    ) -> Result<(), DisconnectReason> {
        if let State::Opening(opening) = &mut self.state
            && events.has_room()
            && let Some(session) = opening.receive(now, input, &mut self.common)?
        {
            self.state = State::Established(Box::new(session));
        }
        match &mut self.state {
            State::Opening(_) => Ok(()),
            State::Established(session) => session.receive(now, input, shared, &mut self.common, events),
        }
    }

    /// Checks the deadline; a call too early or twice does no harm. `unread`: the transport may have unread input.
    /// `ping` is the id of the next ping, used only if one is due.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        unread: bool,
        ping: NonZeroU64,
    ) -> Result<(), DisconnectReason> {
        match &mut self.state {
            State::Opening(opening) => opening.handle_timeout(now, unread, &self.common),
            State::Established(session) => session.handle_timeout(now, unread, ping, &mut self.common),
        }
    }

    /// Queues a ping with this id, if the connection is established and has no ping that was not answered yet. Returns
    /// whether it did.
    pub fn ping(&mut self, now: Instant, ping: NonZeroU64) -> bool {
        match &mut self.state {
            State::Opening(_) => false,
            State::Established(session) => session.ping(now, ping, &mut self.common),
        }
    }

    /// The network has changed, so the transport may be dead: whoever does not answer soon is late. `ping` is the id of
    /// the ping that an established connection queues.
    pub fn handle_network_changed(&mut self, now: Instant, ping: NonZeroU64) {
        let patience = NETWORK_CHANGE_TIMEOUT.min(self.common.settings.pong_timeout);
        match &mut self.state {
            State::Opening(opening) => opening.shorten(now + patience),
            State::Established(session) => {
                session.handle_network_changed(now, ping, patience, &mut self.common)
            }
        }
    }

    /// Replaces the settings. A new ping interval counts from the last ping. What is being answered keeps its timeout.
    pub fn set_settings(&mut self, settings: Arc<Settings>) {
        self.common.settings = settings;
        if let State::Established(session) = &mut self.state {
            session.handle_settings(&self.common.settings);
        }
    }

    /// The transport has ended: returns why the connection ended.
    pub fn handle_end(&self, end: End) -> DisconnectReason {
        match &self.state {
            State::Opening(opening) => opening.handle_end(end, &self.common),
            State::Established(session) => session.handle_end(end, &self.common),
        }
    }

    /// Whether there is something to write now. Packets cannot be written before the handshake response has arrived.
    pub fn has_output(&self) -> bool {
        match &self.state {
            State::Opening(_) => self.common.outbox.has_raw(),
            State::Established(_) => !self.common.outbox.is_empty(),
        }
    }

    /// Passes what can be sent to `write`, until all is written (`true`) or the transport is full (`false`).
    /// Packets are sealed in `scratch`.
    pub fn flush(
        &mut self,
        now: Instant,
        shared: &mut Shared,
        scratch: &mut [u8],
        write: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<bool> {
        let flushed = match &mut self.state {
            State::Opening(_) => self.common.outbox.flush(None, shared, scratch, write, |_| {}),
            State::Established(session) => session.flush(now, shared, scratch, write, &mut self.common),
        };
        shared.key_stream.wipe();
        let flushed = flushed?;
        self.common.traffic.bytes_out += flushed.bytes as u64;
        shared.counters.all.bytes_out += flushed.bytes as u64;
        self.common.traffic.packets_out += flushed.packets as u64;
        Ok(flushed.all)
    }

    /// Whether [`Event::Writable`](crate::event::Event::Writable) is due. Returns `true` once for each time that it is.
    pub fn take_writable(&mut self) -> bool {
        let bound = self.send_bound();
        self.common.outbox.take_writable(bound)
    }

    /// Asks the relay for a route to `peer`, in any stage: the request is sent after the first ping.
    pub fn open_route(&mut self, peer: PublicKey) -> Result<RouteId, RouteError> {
        let (route, request) = self.common.routes.open(self.common.id, peer)?;
        if request {
            self.common.outbox.push_important(Packet::RoutingRequest { peer });
        }
        Ok(route)
    }

    /// Closes a route and removes what is queued for it. Returns how many bytes of data were removed.
    pub fn close_route(&mut self, route: RouteId) -> Result<usize, RouteError> {
        let Some(id) = self.common.routes.close(route)? else {
            return Ok(0);
        };
        self.common.outbox.push_important(Packet::DisconnectNotification(id));
        Ok(self.common.outbox.remove(id))
    }

    /// Closes all routes and removes what is queued for them.
    pub fn close_all_routes(&mut self) {
        self.common.outbox.remove_all_routes();
        for RouteStatus { route, .. } in self.routes().collect::<Vec<_>>() {
            // This cannot fail: the route is in the table.
            let _ = self.close_route(route);
        }
    }

    pub fn send_data(&mut self, route: RouteId, data: &[u8]) -> Result<(), SendError> {
        check_len("a data packet", data, ROUTE_DATA)?;
        let Some(connection_id) = self.common.routes.connection_id(route) else {
            let known = self.common.routes.status(route).is_some();
            return Err(if known { SendError::RouteOffline } else { SendError::UnknownRoute });
        };
        self.send(&Packet::Data { connection_id, data })
    }

    pub fn send_oob(&mut self, destination: PublicKey, data: &[u8]) -> Result<(), SendError> {
        check_len("an OOB packet", data, OOB_DATA)?;
        self.send(&Packet::OobSend { destination, data })
    }

    /// Sends as data if the peer is online on a route, since that packet is smaller, and out of band otherwise.
    pub fn send_to(&mut self, peer: PublicKey, data: &[u8]) -> Result<(), SendError> {
        match self.common.routes.online_to(&peer) {
            Some(connection_id) => {
                check_len("a data packet", data, ROUTE_DATA)?;
                self.send(&Packet::Data { connection_id, data })
            }
            None => self.send_oob(peer, data),
        }
    }

    pub fn send_onion_request(&mut self, request: &[u8]) -> Result<(), SendError> {
        check_len("an onion request", request, ONION_REQUEST)?;
        self.send(&Packet::OnionRequest(request))
    }

    pub fn send_forward_request(&mut self, destination: Destination, data: &[u8]) -> Result<(), SendError> {
        check_len("a forward request", data, FORWARD_DATA)?;
        self.send(&Packet::ForwardRequest { destination, data })
    }

    fn send(&mut self, packet: &Packet<'_>) -> Result<(), SendError> {
        let bound = self.send_bound();
        if self.common.outbox.push(packet, bound) { Ok(()) } else { Err(SendError::WouldBlock) }
    }

    /// The most bytes that the data queue may hold. What was sent to a relay that has not proved itself counts until it
    /// has: the holder of an old handshake response gets no more than this out of us, however much it reads.
    fn send_bound(&self) -> usize {
        let bound = self.common.settings.send_queue;
        if self.common.times.connected.is_known() {
            return bound;
        }
        bound.saturating_sub(usize::try_from(self.common.traffic.bytes_out).unwrap_or(usize::MAX))
    }

    pub fn find_route(&self, peer: &PublicKey) -> Option<RouteId> {
        self.common.routes.find(self.common.id, peer)
    }

    pub fn route_status(&self, route: RouteId) -> Option<RouteStatus> {
        self.common.routes.status(route)
    }

    pub fn routes(&self) -> impl Iterator<Item = RouteStatus> {
        self.common.routes.iter(self.common.id)
    }

    /// The number of routes in use, including closed ones whose end the relay does not know yet.
    pub fn route_count(&self) -> usize {
        self.common.routes.len()
    }

    pub fn round_trips(&self) -> RoundTrips {
        match &self.state {
            State::Opening(_) => RoundTrips::default(),
            State::Established(session) => session.round_trips(),
        }
    }

    pub fn traffic(&self) -> Traffic {
        self.common.traffic
    }

    /// Whether the data queue may have no room for the longest packet on some route.
    pub fn is_nearly_full(&self) -> bool {
        // No flow holds more than all flows together.
        2 * self.common.outbox.queued() + LONGEST > self.send_bound()
    }

    /// Whether nothing is queued, neither packets nor the rest of one.
    pub fn has_drained(&self) -> bool {
        self.common.outbox.is_empty()
    }

    /// Bytes in the data queue.
    pub fn queued(&self) -> usize {
        self.common.outbox.queued()
    }

    /// When the transport began to connect.
    pub fn started(&self) -> Instant {
        self.common.times.started()
    }

    /// When anything was last received.
    pub fn last_heard(&self) -> Option<Instant> {
        self.common.times.last_heard()
    }

    pub fn times(&self) -> ConnectTimes {
        self.common.times.get()
    }

    /// The bytes allocated for all buffers, queues and tables, used or not.
    #[cfg(test)]
    fn memory(&self) -> usize {
        self.input_memory() + self.common.outbox.memory() + self.common.routes.memory()
    }

    /// The bytes allocated for an incomplete message, used or not.
    #[cfg(test)]
    fn input_memory(&self) -> usize {
        match &self.state {
            State::Opening(opening) => opening.memory(),
            State::Established(session) => session.memory(),
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

#[cfg(test)]
mod tests;
