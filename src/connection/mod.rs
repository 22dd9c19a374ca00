//! One relay connection without a socket, a clock or a random source: bytes, times and random numbers are arguments.
//!
//! Input goes in through the `handle_*` functions and [`receive`](Connection::receive), output comes out of
//! [`flush`](Connection::flush), and what the caller should know lies in [`Events`] afterwards. In which order, whoever
//! drives a connection (the loop, or a test) keeps to this:
//!
//! 1. [`handle_turn`](Connection::handle_turn) when a turn begins;
//! 2. [`handle_connected`](Connection::handle_connected), once, when the transport is there, and then
//!    [`receive`](Connection::receive) whatever has arrived;
//! 3. [`handle_timeout`](Connection::handle_timeout) when [`deadline`](Connection::deadline) has come, and behind
//!    `receive`, so that nobody is late whose answer was there;
//! 4. [`flush`](Connection::flush) while it [`has_output`](Connection::has_output), and the transport has room.
//!
//! An error of any of them is final: the connection is over and is not to be used again. When it is the transport that
//! ends, [`handle_end`](Connection::handle_end) says why.
//!
//! Each of them passes what it gets to the state that the connection is in: an [`Opening`], from the transport to the
//! handshake response, and then a [`Session`]. What outlives the opening is in [`Common`].

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
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::connection::common::Common;
use crate::connection::opening::Opening;
use crate::connection::outbox::Outbox;
use crate::connection::queue::LONGEST;
use crate::connection::routes::Routes;
use crate::connection::session::Session;
use crate::connection::times::Times;
use crate::crypto::KeyStream;
use crate::error::{DisconnectReason, RouteError, SendError};
use crate::event::Events;
use crate::id::{RelayId, RouteId};
use crate::key::PublicKey;
use crate::stage::Stage;
use crate::status::{ConnectTimes, RouteStatus, Traffic};
use crate::wire::frame::MIN_FRAME;
use crate::wire::packet::{FORWARD_DATA, ONION_REQUEST, OOB_DATA, ROUTE_DATA};
use crate::wire::{Destination, Packet};

/// See the module.
pub struct Connection {
    state: State,
    common: Common,
}

/// Each in a box of its own: an opening is over soon, and keys that are not moved leave no copies.
enum State {
    /// Before there are keys.
    Opening(Box<Opening>),
    /// Packets pass.
    Established(Box<Session>),
}

impl Connection {
    /// A connection whose transport is being made since `now`.
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

    /// Begins a turn: what the transport has had to read, since `since` at the earliest, is read now. That it was not read
    /// before is not the relay's fault.
    pub fn handle_turn(&mut self, now: Instant, since: Instant) {
        match &mut self.state {
            State::Opening(opening) => opening.handle_turn(now, since, &self.common),
            State::Established(session) => session.handle_turn(now, since, &self.common),
        }
    }

    /// The most input that surely finds room, if there is room for so many packets.
    pub fn input_of_packets(&self, packets: usize) -> usize {
        match &self.state {
            // What comes before packets makes no events.
            State::Opening(_) => packets * MIN_FRAME,
            State::Established(session) => session.input_of_packets(packets),
        }
    }

    /// The transport is there: the proxy can be asked, or the relay greeted.
    pub fn handle_connected(&mut self, now: Instant) {
        if let State::Opening(opening) = &mut self.state {
            opening.handle_connected(now, &mut self.common);
        }
    }

    /// Takes what the transport has read. Returns how much of it, which is less than all only where `events` is full:
    /// the rest must come again, in front of what is read next. The input is overwritten.
    pub fn receive(
        &mut self,
        now: Instant,
        mut input: &mut [u8],
        key_stream: &mut KeyStream,
        events: &mut Events,
    ) -> Result<usize, DisconnectReason> {
        let given = input.len();
        let result = self.receive_messages(now, &mut input, key_stream, events);
        key_stream.wipe();
        let taken = given - input.len();
        self.common.traffic.bytes_in += taken as u64;
        result.map(|()| taken)
    }

    fn receive_messages(
        &mut self,
        now: Instant,
        input: &mut &mut [u8],
        key_stream: &mut KeyStream,
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
            State::Established(session) => session.receive(now, input, key_stream, &mut self.common, events),
        }
    }

    /// Looks at the time; too early or twice does no harm. `unread` says that the transport may have more input, and
    /// `ping` is the id of the next ping, should it be time for one.
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

    /// The transport has ended: says why the connection did.
    pub fn handle_end(&self, end: End) -> DisconnectReason {
        match &self.state {
            State::Opening(opening) => opening.handle_end(end, &self.common),
            State::Established(session) => session.handle_end(end, &self.common),
        }
    }

    /// Whether anything waits to leave.
    pub fn has_output(&self) -> bool {
        !self.common.outbox.is_empty()
    }

    /// Hands to `write` what waits, until all has left (`true`) or the transport is full (`false`). `scratch` is for the
    /// packets while they are sealed.
    pub fn flush(
        &mut self,
        now: Instant,
        key_stream: &mut KeyStream,
        scratch: &mut [u8],
        write: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<bool> {
        let flushed = match &mut self.state {
            State::Opening(_) => self.common.outbox.flush(None, key_stream, scratch, write, |_| {}),
            State::Established(session) => session.flush(now, key_stream, scratch, write, &mut self.common),
        };
        key_stream.wipe();
        let flushed = flushed?;
        self.common.traffic.bytes_out += flushed.bytes as u64;
        self.common.traffic.packets_out += flushed.packets as u64;
        Ok(flushed.all)
    }

    /// Whether [`Event::Writable`](crate::event::Event::Writable) is to be told; true once for each time.
    pub fn take_writable(&mut self) -> bool {
        self.common.outbox.take_writable(self.common.settings.send_queue)
    }

    /// Asks the relay for a route to `peer`.
    pub fn open_route(&mut self, peer: PublicKey) -> Result<RouteId, RouteError> {
        if self.stage() != Stage::Connected {
            return Err(RouteError::NotConnected);
        }
        let (route, request) = self.common.routes.open(self.common.id, peer)?;
        if request {
            self.common.outbox.push_important(Packet::RoutingRequest { peer });
        }
        Ok(route)
    }

    /// Closes a route and removes what is queued for it. Returns how many bytes of data that were.
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
            // It was there just now.
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

    /// As data where the peer is online on a route, since that is smaller; out of band where not.
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
        if self.stage() != Stage::Connected {
            return Err(SendError::NotConnected);
        }
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
        self.common.routes.status(route)
    }

    pub fn routes(&self) -> impl Iterator<Item = RouteStatus> {
        self.common.routes.iter(self.common.id)
    }

    /// Routes in use, closed ones that the relay wasn't told of included.
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

    /// Whether there may be no room in the queue of data for the longest packet, whatever it belongs to.
    pub fn is_nearly_full(&self) -> bool {
        // No flow has more than all have together.
        2 * self.common.outbox.queued() + LONGEST > self.common.settings.send_queue
    }

    /// Bytes that wait in the queue of data.
    pub fn queued(&self) -> usize {
        self.common.outbox.queued()
    }

    pub fn times(&self) -> ConnectTimes {
        self.common.times.get()
    }

    /// The bytes that all buffers, queues and tables hold, used or not.
    #[cfg(test)]
    fn memory(&self) -> usize {
        self.input_memory() + self.common.outbox.memory() + self.common.routes.memory()
    }

    /// The bytes that the buffer of a message begun holds, used or not.
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
