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

mod deadline;
mod doorway;
mod ending;
mod inbox;
mod keepalive;
mod outbox;
mod queue;
mod routes;
mod times;

pub use doorway::Opening;
pub use ending::End;

use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::config::{Destination, Settings};
use crate::connection::deadline::Deadline;
use crate::connection::doorway::{Doorway, Step};
use crate::connection::inbox::Inbox;
use crate::connection::keepalive::{Due, KeepAlive};
use crate::connection::outbox::Outbox;
use crate::connection::queue::LONGEST;
use crate::connection::routes::{Answer, Routes};
use crate::connection::times::Times;
use crate::crypto::{Channel, LookAhead, RESPONSE_LEN};
use crate::error::{DisconnectReason, Impostor, RouteError, SendError, Violation};
use crate::event::{Event, Events};
use crate::id::{RelayId, RouteId};
use crate::key::PublicKey;
use crate::proxy::{MAX_REQUEST, Progress, Tunnel};
use crate::stage::Stage;
use crate::status::{ConnectTimes, RouteStatus, Traffic};
use crate::wire::frame::{MIN_FRAME, PREFIX_LEN, frame_len};
use crate::wire::packet::{FORWARD_DATA, ONION_REQUEST, OOB_DATA, ROUTE_DATA};
use crate::wire::{ConnectionId, Packet};

/// See the module.
pub struct Connection {
    id: RelayId,
    settings: Arc<Settings>,
    state: State,
    inbox: Inbox,
    outbox: Outbox,
    routes: Routes,
    traffic: Traffic,
    times: Times,
}

#[allow(clippy::large_enum_variant, reason = "a connection is open nearly all of its life")]
enum State {
    /// On the way to the keys; boxed, since it is over soon.
    Opening(Box<Doorway>),
    /// Packets pass. The relay has proved itself once the first of them has opened.
    Open { channel: Channel, keepalive: KeepAlive, confirmed: bool },
}

impl Connection {
    /// A connection whose transport is being made since `now`.
    pub fn new(opening: Opening, now: Instant) -> Self {
        let settings = Arc::clone(&opening.settings);
        Self {
            id: opening.id,
            state: State::Opening(Box::new(Doorway {
                deadline: Deadline::new(now + settings.connect_timeout),
                opening,
                step: Step::Connecting,
            })),
            settings,
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            routes: Routes::default(),
            traffic: Traffic::default(),
            times: Times::new(now),
        }
    }

    pub fn id(&self) -> RelayId {
        self.id
    }

    pub fn stage(&self) -> Stage {
        match &self.state {
            State::Opening(doorway) => match doorway.step {
                Step::Connecting => Stage::Connecting,
                Step::Tunnelling(_) => Stage::Tunnelling,
                Step::Handshaking(_) => Stage::Handshaking,
            },
            State::Open { confirmed: false, .. } => Stage::Confirming,
            State::Open { confirmed: true, .. } => Stage::Connected,
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn deadline(&self) -> Instant {
        match &self.state {
            State::Opening(doorway) => doorway.deadline.at(),
            State::Open { keepalive, .. } => keepalive.deadline(),
        }
    }

    /// Begins a turn: what the transport has had to read, since `since` at the earliest, is read now. That it was not read
    /// before is not the relay's fault.
    pub fn handle_turn(&mut self, now: Instant, since: Instant) {
        match &mut self.state {
            State::Opening(doorway) => {
                let waited = now.saturating_duration_since(since.max(self.times.started()));
                doorway.deadline.pardon(waited, self.settings.connect_timeout);
            }
            State::Open { keepalive, .. } => keepalive.handle_turn(now, since, &self.settings),
        }
    }

    /// The most input that surely holds no more than so many whole packets.
    pub fn input_of_packets(&self, packets: usize) -> usize {
        let begun = match &self.state {
            State::Open { .. } => self.inbox.missing(frame_len),
            State::Opening(_) => None,
        };
        // A packet whose length is not known has at most one byte here. None of what comes before packets is shorter.
        begun.map_or(packets * MIN_FRAME, |missing| missing + (packets - 1) * MIN_FRAME)
    }

    /// The transport is there: the proxy can be asked, or the relay greeted.
    pub fn handle_connected(&mut self, now: Instant) {
        let State::Opening(doorway) = &mut self.state else {
            return;
        };
        doorway.begin_step(now, self.times.started());
        self.times.transport = self.times.until(now);
        match &doorway.opening.tunnel {
            Some((proxy, target)) => {
                let mut request = Zeroizing::new(Vec::with_capacity(MAX_REQUEST));
                doorway.step = Step::Tunnelling(Tunnel::new(proxy, target, &mut request));
                self.outbox.push_raw(&request);
            }
            None => doorway.greet(&mut self.outbox),
        }
    }

    /// Takes what the transport has read. Returns how much of it, which is less than all only where `events` is full:
    /// the rest must come again, in front of what is read next. The input is overwritten.
    pub fn receive(
        &mut self,
        now: Instant,
        mut input: &mut [u8],
        ahead: &mut LookAhead,
        events: &mut Events,
    ) -> Result<usize, DisconnectReason> {
        let given = input.len();
        let mut inbox = std::mem::take(&mut self.inbox);
        let result = self.receive_messages(now, &mut inbox, &mut input, ahead, events);
        self.inbox = inbox;
        ahead.wipe();
        let taken = given - input.len();
        self.traffic.bytes_in += taken as u64;
        result.map(|()| taken)
    }

    fn receive_messages(
        &mut self,
        now: Instant,
        inbox: &mut Inbox,
        input: &mut &mut [u8],
        ahead: &mut LookAhead,
        events: &mut Events,
    ) -> Result<(), DisconnectReason> {
        while events.has_room() {
            match &mut self.state {
                State::Opening(doorway) => match &mut doorway.step {
                    Step::Connecting => return Ok(()),
                    Step::Tunnelling(tunnel) => {
                        let mut unread = &**input;
                        let mut answer = Zeroizing::new(Vec::with_capacity(MAX_REQUEST));
                        let progress =
                            tunnel.receive(&mut unread, &mut answer).map_err(DisconnectReason::Proxy)?;
                        let taken = input.len() - unread.len();
                        *input = &mut std::mem::take(input)[taken..];
                        self.outbox.push_raw(&answer);
                        if progress == Progress::Waiting {
                            return Ok(());
                        }
                        self.times.tunnel = self.times.until(now);
                        doorway.begin_step(now, self.times.started());
                        doorway.greet(&mut self.outbox);
                    }
                    Step::Handshaking(_) => {
                        let whole = |_: &[u8]| Ok::<_, std::convert::Infallible>(Some(RESPONSE_LEN));
                        let Ok(response) = inbox.next(input, whole);
                        let Some(response) = response else {
                            return Ok(());
                        };
                        self.handle_response(now, response)?;
                    }
                },
                State::Open { channel, confirmed, .. } => {
                    // Until one has opened, what is no packet shows that this isn't the relay.
                    let fault = |violation| match *confirmed {
                        false => DisconnectReason::Impostor(Impostor::Replay),
                        true => DisconnectReason::Protocol(violation),
                    };
                    let Some(frame) = inbox.next(input, frame_len).map_err(fault)? else {
                        return Ok(());
                    };
                    let opened = channel.open(ahead, &mut frame[PREFIX_LEN..]);
                    let plaintext = opened.ok_or_else(|| fault(Violation::Forged))?;
                    self.traffic.packets_in += 1;
                    self.handle_packet(now, plaintext, events)?;
                }
            }
        }
        Ok(())
    }

    /// The handshake response has come. Nothing is proved yet, but a ping can go that will.
    fn handle_response(&mut self, now: Instant, response: &[u8]) -> Result<(), DisconnectReason> {
        let State::Opening(doorway) = &self.state else {
            return Ok(());
        };
        let Step::Handshaking(handshake) = &doorway.step else {
            return Ok(());
        };
        let ping = doorway.opening.ping;
        let response = response.try_into().expect("a message of the length that was asked for");
        let channel = handshake.finish(response).map_err(|impostor| {
            DisconnectReason::Impostor(ending::other_server(response).unwrap_or(impostor))
        })?;
        self.outbox.push_important(Packet::Ping(ping));
        self.times.handshake = self.times.until(now);
        let keepalive = KeepAlive::new(now, ping, &self.settings);
        self.state = State::Open { channel, keepalive, confirmed: false };
        Ok(())
    }

    fn handle_packet(
        &mut self,
        now: Instant,
        plaintext: &[u8],
        events: &mut Events,
    ) -> Result<(), DisconnectReason> {
        let relay = self.id;
        let State::Open { keepalive, confirmed, .. } = &mut self.state else {
            return Ok(());
        };
        if !std::mem::replace(confirmed, true) {
            self.times.connected = self.times.until(now);
            events.push(Event::Connected { relay });
        }
        match Packet::parse(plaintext).map_err(Violation::from)? {
            Packet::Data { connection_id, data } => {
                if let Some((route, peer)) = self.routes.online(relay, connection_id) {
                    events.push(Event::Data { route, peer, data });
                }
            }
            Packet::OobReceive { sender, data } => events.push(Event::Oob { relay, sender, data }),
            Packet::OnionResponse(data) => events.push(Event::OnionResponse { relay, data }),
            Packet::Forwarding(data) => events.push(Event::Forwarding { relay, data }),
            Packet::Ping(id) => self
                .outbox
                .push_pong(Packet::Pong(id))
                .map_err(|outbox::TooManyPongs| DisconnectReason::PingFlood)?,
            Packet::Pong(id) => {
                // An idle connection holds no buffers, not even that of its last ping.
                if keepalive.handle_pong(now, id, &self.settings) {
                    self.outbox.shrink();
                }
            }
            Packet::ConnectNotification(id) => {
                if let Some((route, peer)) = self.routes.handle_online(relay, id) {
                    events.push(Event::RouteOnline { route, peer });
                }
            }
            Packet::DisconnectNotification(id) => {
                if let Some((route, peer)) = self.routes.handle_offline(relay, id) {
                    // A relay throws data away that find nobody, or the peer's next session would get them.
                    let unsent = self.outbox.remove(id);
                    events.push(Event::RouteOffline { route, peer, unsent });
                }
            }
            Packet::RoutingResponse { connection_id, peer } => {
                self.handle_routing_response(peer, connection_id, events)?;
            }
            clients @ (Packet::RoutingRequest { .. }
            | Packet::OobSend { .. }
            | Packet::OnionRequest(_)
            | Packet::ForwardRequest { .. }) => {
                return Err(Violation::Kind(clients.kind()).into());
            }
        }
        Ok(())
    }

    fn handle_routing_response(
        &mut self,
        peer: PublicKey,
        connection_id: Option<ConnectionId>,
        events: &mut Events,
    ) -> Result<(), Violation> {
        match self.routes.handle_response(self.id, &peer, connection_id)? {
            Answer::Opened(route) => events.push(Event::RouteOpened { route, peer }),
            Answer::Refused(route) => events.push(Event::RouteRefused { route, peer }),
            Answer::Closed { registered, again } => {
                if let Some(id) = registered {
                    self.outbox.push_important(Packet::DisconnectNotification(id));
                }
                if let Some(peer) = again {
                    self.outbox.push_important(Packet::RoutingRequest { peer });
                }
            }
        }
        Ok(())
    }

    /// Looks at the time; too early or twice does no harm. `unread` says that the transport may have more input, and
    /// `ping` is the id of the next ping, should it be time for one.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        unread: bool,
        ping: NonZeroU64,
    ) -> Result<(), DisconnectReason> {
        let stage = self.stage();
        let timeout = self.settings.connect_timeout;
        let late = match &mut self.state {
            State::Opening(doorway) => doorway.deadline.has_passed(now, unread, timeout),
            State::Open { keepalive, .. } => {
                match keepalive.handle_timeout(now, unread, ping, &self.settings) {
                    Due::Nothing => {}
                    Due::NoPong => return Err(DisconnectReason::NoPong(stage)),
                    Due::Ping(ping) => {
                        self.inbox.shrink();
                        self.outbox.push_important(Packet::Ping(ping));
                    }
                }
                false
            }
        };
        if late { Err(self.handle_end(End::Late)) } else { Ok(()) }
    }

    /// Whether anything waits to leave.
    pub fn has_output(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Hands to `write` what waits, until all has left (`true`) or the transport is full (`false`). `scratch` is for the
    /// packets while they are sealed.
    pub fn flush(
        &mut self,
        now: Instant,
        ahead: &mut LookAhead,
        scratch: &mut [u8],
        write: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<bool> {
        let (channel, mut keepalive) = match &mut self.state {
            State::Open { channel, keepalive, .. } => (Some(channel), Some(keepalive)),
            _ => (None, None),
        };
        let routes = &mut self.routes;
        let flushed =
            self.outbox.flush(channel, ahead, scratch, write, |packet| match (packet, &mut keepalive) {
                (Packet::RoutingRequest { peer }, _) => routes.handle_request_left(peer),
                (Packet::DisconnectNotification(id), _) => routes.handle_disconnect_left(*id),
                (Packet::Ping(_), Some(keepalive)) => keepalive.handle_ping_left(now),
                _ => {}
            });
        ahead.wipe();
        let flushed = flushed?;
        self.traffic.bytes_out += flushed.bytes as u64;
        self.traffic.packets_out += flushed.packets as u64;
        Ok(flushed.all)
    }

    /// Whether [`Event::Writable`] is to be told; true once for each time.
    pub fn take_writable(&mut self) -> bool {
        self.outbox.take_writable(self.settings.send_queue)
    }

    /// Asks the relay for a route to `peer`.
    pub fn open_route(&mut self, peer: PublicKey) -> Result<RouteId, RouteError> {
        if self.stage() != Stage::Connected {
            return Err(RouteError::NotConnected);
        }
        let (route, request) = self.routes.open(self.id, peer)?;
        if request {
            self.outbox.push_important(Packet::RoutingRequest { peer });
        }
        Ok(route)
    }

    /// Closes a route and removes what is queued for it. Returns how many bytes of data that were.
    pub fn close_route(&mut self, route: RouteId) -> Result<usize, RouteError> {
        let Some(id) = self.routes.close(route)? else {
            return Ok(0);
        };
        self.outbox.push_important(Packet::DisconnectNotification(id));
        Ok(self.outbox.remove(id))
    }

    /// Closes all routes and removes what is queued for them.
    pub fn close_all_routes(&mut self) {
        self.outbox.remove_all_routes();
        for RouteStatus { route, .. } in self.routes().collect::<Vec<_>>() {
            // It was there just now.
            let _ = self.close_route(route);
        }
    }

    pub fn send_data(&mut self, route: RouteId, data: &[u8]) -> Result<(), SendError> {
        check_len("a data packet", data, ROUTE_DATA)?;
        let Some(connection_id) = self.routes.connection_id(route) else {
            let known = self.routes.status(route).is_some();
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
        match self.routes.online_to(&peer) {
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
        if self.outbox.push(packet, self.settings.send_queue) { Ok(()) } else { Err(SendError::WouldBlock) }
    }

    pub fn find_route(&self, peer: &PublicKey) -> Option<RouteId> {
        self.routes.find(self.id, peer)
    }

    pub fn route_status(&self, route: RouteId) -> Option<RouteStatus> {
        self.routes.status(route)
    }

    pub fn routes(&self) -> impl Iterator<Item = RouteStatus> {
        self.routes.iter(self.id)
    }

    /// Routes in use, closed ones that the relay wasn't told of included.
    pub fn route_count(&self) -> usize {
        self.routes.len()
    }

    pub fn round_trip(&self) -> Option<Duration> {
        match &self.state {
            State::Open { keepalive, .. } => keepalive.round_trip(),
            _ => None,
        }
    }

    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Whether there may be no room in the queue of data for the longest packet, whatever it belongs to.
    pub fn is_nearly_full(&self) -> bool {
        // No flow has more than all have together.
        2 * self.outbox.queued() + LONGEST > self.settings.send_queue
    }

    /// Bytes that wait in the queue of data.
    pub fn queued(&self) -> usize {
        self.outbox.queued()
    }

    pub fn times(&self) -> ConnectTimes {
        self.times.get()
    }

    /// The bytes that all buffers, queues and tables hold, used or not.
    #[cfg(test)]
    fn memory(&self) -> usize {
        self.inbox.memory() + self.outbox.memory() + self.routes.memory()
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
