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
mod routes;
mod session;
mod times;

pub use ending::End;
pub use opening::Parameters;

use std::io;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use crate::address::Address;
use crate::config::Proxy;
use crate::connection::common::Common;
use crate::connection::opening::Opening;
use crate::connection::outbox::Outbox;
use crate::connection::queue::LONGEST;
use crate::connection::routes::Routes;
use crate::connection::session::Session;
use crate::connection::times::Times;
use crate::crypto::{Entropy, KeyStream};
use crate::error::{DisconnectReason, RouteError, SendError};
use crate::events::Events;
use crate::id::{AttemptId, ConnectionId, RouteId};
use crate::key::PublicKey;
use crate::stage::Stage;
use crate::status::{ConnectTimes, FailedAttempt, RouteStatus, Traffic};
use crate::wire::frame::MIN_FRAME;
use crate::wire::packet::{FORWARD_DATA, ONION_REQUEST, OOB_DATA, ROUTE_DATA};
use crate::wire::{Destination, Packet};

/// See the module.
pub struct Connection {
    state: State,
    common: Common,
    /// The generation of the last route that a test opened.
    #[cfg(test)]
    generation: u32,
}

/// Boxed, since an opening takes memory only for a short time, and since keys that are not moved leave no copies.
enum State {
    /// There are no session keys yet.
    Opening(Box<Opening>),
    /// Packets are exchanged.
    Established(Box<Session>),
}

impl Connection {
    /// A connection whose first attempt is to begin at `now`.
    pub fn new(parameters: Parameters, now: Instant) -> Self {
        let Parameters { id, shared_key, addresses, proxy, settings, connect_timeout, ping, token } =
            parameters;
        let opening = Opening::new(shared_key, addresses, connect_timeout, ping, now);
        let common = Common {
            id,
            token,
            address: opening.first_address().clone(),
            proxy,
            settings,
            outbox: Outbox::default(),
            routes: Routes::default(),
            traffic: Traffic::default(),
            times: Times::new(now),
        };
        Self {
            state: State::Opening(Box::new(opening)),
            common,
            #[cfg(test)]
            generation: 0,
        }
    }

    pub fn id(&self) -> ConnectionId {
        self.common.id
    }

    /// The caller's token.
    pub fn token(&self) -> u64 {
        self.common.token
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
            State::Opening(opening) => opening.handle_turn(now, since),
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

    /// Whether an attempt is to begin: see [`begin_attempt`](Self::begin_attempt).
    pub fn is_attempt_due(&self, now: Instant) -> bool {
        match &self.state {
            State::Opening(opening) => opening.is_attempt_due(now),
            State::Established(_) => false,
        }
    }

    /// Begins the next attempt, if one is due. Returns its id and the address of the relay: the caller connects a
    /// transport to it, or to the proxy.
    pub fn begin_attempt(&mut self, now: Instant, entropy: Entropy) -> Option<(AttemptId, &Address)> {
        match &mut self.state {
            State::Opening(opening) => opening.begin_attempt(now, entropy, &self.common),
            State::Established(_) => None,
        }
    }

    /// Whether the transport of this attempt is in use. If it is not, the caller closes it.
    pub fn is_open(&self, attempt: AttemptId) -> bool {
        match &self.state {
            State::Opening(opening) => opening.is_open(attempt),
            State::Established(session) => session.attempt() == attempt,
        }
    }

    /// The transport of an attempt is connected: writes the request to the proxy, or the hello to the relay.
    pub fn handle_connected(&mut self, now: Instant, attempt: AttemptId) {
        if let State::Opening(opening) = &mut self.state {
            opening.handle_connected(now, attempt);
        }
    }

    /// Handles bytes read from the transport of an attempt. Returns how many were used: fewer than all only if `events`
    /// is full. The caller passes the rest again, before the bytes that are read next. The input is overwritten.
    pub fn receive(
        &mut self,
        now: Instant,
        attempt: AttemptId,
        mut input: &mut [u8],
        key_stream: &mut KeyStream,
        events: &mut Events,
    ) -> Result<usize, DisconnectReason> {
        let given = input.len();
        let result = self.receive_messages(now, attempt, &mut input, key_stream, events);
        key_stream.wipe();
        let taken = given - input.len();
        self.common.traffic.bytes_in += taken as u64;
        result.map(|()| taken)
    }

    fn receive_messages(
        &mut self,
        now: Instant,
        attempt: AttemptId,
        input: &mut &mut [u8],
        key_stream: &mut KeyStream,
        events: &mut Events,
    ) -> Result<(), DisconnectReason> {
        if let State::Opening(opening) = &mut self.state
            && events.has_room()
            && let Some(won) = opening.receive(now, attempt, input)?
        {
            self.state = State::Established(Box::new(won.into_session(now, &mut self.common)));
        }
        match &mut self.state {
            State::Opening(_) => Ok(()),
            State::Established(session) if session.attempt() != attempt => {
                *input = &mut [];
                Ok(())
            }
            State::Established(session) => session.receive(now, input, key_stream, &mut self.common, events),
        }
    }

    /// Checks the deadline; a call too early or twice does no harm. `unread`: a transport may have unread input.
    /// `ping` is the id of the next ping, used only if one is due.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        unread: bool,
        ping: NonZeroU64,
    ) -> Result<(), DisconnectReason> {
        match &mut self.state {
            State::Opening(opening) => opening.handle_timeout(now, unread),
            State::Established(session) => session.handle_timeout(now, unread, ping, &mut self.common),
        }
    }

    /// The transport of an attempt has ended. The error is the reason of the connection's end, unless other attempts
    /// follow.
    pub fn handle_end(&mut self, attempt: AttemptId, end: End) -> Result<(), DisconnectReason> {
        match &mut self.state {
            State::Opening(opening) => opening.handle_end(attempt, end),
            State::Established(session) if session.attempt() != attempt => Ok(()),
            State::Established(session) => Err(session.handle_end(end, &self.common)),
        }
    }

    /// Whether there is something to write to the transport of this attempt.
    pub fn has_output(&self, attempt: AttemptId) -> bool {
        match &self.state {
            State::Opening(opening) => opening.has_output(attempt),
            State::Established(session) => session.attempt() == attempt && !self.common.outbox.is_empty(),
        }
    }

    /// Passes what is to be written to the transport of an attempt to `write`, until all is written (`true`) or the
    /// transport is full (`false`). Packets are sealed in `scratch`.
    pub fn flush(
        &mut self,
        now: Instant,
        attempt: AttemptId,
        key_stream: &mut KeyStream,
        scratch: &mut [u8],
        write: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<bool> {
        let flushed = match &mut self.state {
            State::Opening(opening) => {
                let (all, bytes) = opening.flush(attempt, write)?;
                self.common.traffic.bytes_out += bytes as u64;
                return Ok(all);
            }
            State::Established(session) if session.attempt() != attempt => return Ok(true),
            State::Established(session) => session.flush(now, key_stream, scratch, write, &mut self.common),
        };
        key_stream.wipe();
        let flushed = flushed?;
        self.common.traffic.bytes_out += flushed.bytes as u64;
        self.common.traffic.packets_out += flushed.packets as u64;
        Ok(flushed.all)
    }

    /// Whether [`Event::Writable`](crate::event::Event::Writable) is due. Returns `true` once for each time that it is.
    pub fn take_writable(&mut self) -> bool {
        self.common.outbox.take_writable(self.common.settings.send_queue)
    }

    /// Asks the relay for a route to `peer`. The request is queued until the session begins. `generation` is that of no
    /// other route.
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
        let Some(number) = self.common.routes.number(route) else {
            let known = self.route_status(route).is_some();
            return Err(if known { SendError::RouteOffline } else { SendError::UnknownRoute });
        };
        self.send(&Packet::Data { number, data })
    }

    pub fn send_oob(&mut self, destination: PublicKey, data: &[u8]) -> Result<(), SendError> {
        check_len("an OOB packet", data, OOB_DATA)?;
        self.send(&Packet::OobSend { destination, data })
    }

    /// Sends as data if the peer is online on a route, since that packet is smaller, and out of band otherwise.
    pub fn send_to(&mut self, peer: PublicKey, data: &[u8]) -> Result<(), SendError> {
        match self.common.routes.online_to(&peer) {
            Some(number) => {
                check_len("a data packet", data, ROUTE_DATA)?;
                self.send(&Packet::Data { number, data })
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
        if self.common.outbox.push(packet, self.common.settings.send_queue) {
            Ok(())
        } else {
            Err(SendError::WouldBlock)
        }
    }

    pub fn find_route(&self, peer: &PublicKey) -> Option<RouteId> {
        self.common.routes.find(self.common.id, peer)
    }

    pub fn route_status(&self, route: RouteId) -> Option<RouteStatus> {
        self.common.routes.status(self.common.id, route)
    }

    pub fn routes(&self) -> impl Iterator<Item = RouteStatus> {
        self.common.routes.iter(self.common.id)
    }

    /// The number of routes in use, including closed ones whose end the relay does not know yet.
    pub fn route_count(&self) -> usize {
        self.common.routes.len()
    }

    pub fn round_trip(&self) -> Option<Duration> {
        match &self.state {
            State::Opening(_) => None,
            State::Established(session) => session.round_trip(),
        }
    }

    pub fn traffic(&self) -> Traffic {
        self.common.traffic
    }

    /// Whether the data queue may have no room for the longest packet on some route.
    pub fn is_nearly_full(&self) -> bool {
        // No flow holds more than all flows together.
        2 * self.common.outbox.queued() + LONGEST > self.common.settings.send_queue
    }

    /// Bytes in the data queue.
    pub fn queued(&self) -> usize {
        self.common.outbox.queued()
    }

    pub fn times(&self) -> ConnectTimes {
        match self.progress() {
            Some((_, times)) => times.get(),
            None => self.common.times.get(),
        }
    }

    /// The relay's address: the one that is in use, or the attempt has come furthest with.
    pub fn address(&self) -> &Address {
        self.progress().map_or(&self.common.address, |(address, _)| address)
    }

    /// The attempts that have failed, while none has won.
    pub fn failed_attempts(&self) -> Vec<FailedAttempt> {
        match &self.state {
            State::Opening(opening) => opening.failures().collect(),
            State::Established(_) => Vec::new(),
        }
    }

    pub fn proxy(&self) -> Option<&Proxy> {
        self.common.proxy.as_deref()
    }

    fn progress(&self) -> Option<(&Address, &Times)> {
        match &self.state {
            State::Opening(opening) => opening.progress(),
            State::Established(_) => None,
        }
    }

    /// The bytes allocated for all buffers, queues and tables, used or not.
    #[cfg(test)]
    fn memory(&self) -> usize {
        self.input_memory() + self.common.outbox.memory() + self.common.routes.memory()
    }

    /// The reason if the transport ended like this; nothing ends.
    #[cfg(test)]
    fn reason(&self, end: End) -> DisconnectReason {
        match &self.state {
            State::Opening(opening) => opening.reason(end),
            State::Established(session) => session.handle_end(end, &self.common),
        }
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
