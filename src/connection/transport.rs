//! The functions of a connection for its transports and its deadlines.

use std::fmt;
use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

use crate::address::Address;
use crate::config::Settings;
use crate::connection::common::Common;
use crate::connection::ending::End;
use crate::connection::keepalive::NETWORK_CHANGE_TIMEOUT;
use crate::connection::opening::{Opening, Parameters};
use crate::connection::outbox::{FlushParameters, Flushed, MIN_BATCH, Outbox};
use crate::connection::routes::Routes;
use crate::connection::session::Session;
use crate::connection::shared::Shared;
use crate::connection::times::Times;
use crate::crypto::Entropy;
use crate::error::DisconnectReason;
use crate::events::Events;
use crate::id::{AttemptId, ConnectionId};
use crate::stage::Stage;
use crate::status::Traffic;
use crate::wire::Packet;
use crate::wire::frame::MIN_FRAME;

/// One relay connection, without a socket: [the module](crate::proto) says in which order a driver calls its functions.
///
/// | per connection | bound |
/// | --- | --- |
/// | incomplete input | one packet: 2050 bytes; from an HTTP proxy, an answer of 16 KiB |
/// | queued | the bytes of the [send queue](crate::Config::send_queue), 273 important packets and the rest of a packet |
/// | sent and not confirmed | the [window](crate::Config::window) |
/// | routes | 240 |
///
/// Dropping it wipes its keys, and does not notify the relay: call [`close_all_routes`](Self::close_all_routes) and
/// [`flush`](Self::flush) before.
pub struct Connection {
    pub(super) state: State,
    pub(super) common: Common,
    /// The generation of the last route that a test opened.
    #[cfg(test)]
    pub(super) generation: u32,
}

/// The shortest buffer in which [`Connection::flush`] can seal packets: the longest one, and a ping after it.
pub const MIN_SCRATCH: usize = MIN_BATCH;

/// Boxed, since an opening takes memory only for a short time, and since keys that are not moved leave no copies.
pub(super) enum State {
    /// The relay has not proved that it holds its key.
    Unconfirmed(Box<Unconfirmed>),
    /// It has. Packets are exchanged on the transport of this attempt.
    Established(Box<Session>, AttemptId),
}

/// The opening, and the session with whoever has responded first.
///
/// ```text
///           response               first packet
/// attempts ─────────► candidate ────────────────► Established
///     ▲                   │
///     └───────────────────┘
///    failure, if an address is left
/// ```
pub(super) struct Unconfirmed {
    pub(super) opening: Opening,
    candidate: Option<Candidate>,
}

struct Candidate {
    session: Box<Session>,
    attempt: AttemptId,
}

/// What handles input and output now.
pub(super) enum Handler<O, S> {
    /// The attempts to reach the relay.
    Attempts(O),
    /// The session, on the transport of this attempt.
    Session(S, AttemptId),
}

impl State {
    pub(super) fn handler(&self) -> Handler<&Opening, &Session> {
        match self {
            Self::Established(session, attempt) => Handler::Session(session, *attempt),
            Self::Unconfirmed(unconfirmed) => match &unconfirmed.candidate {
                None => Handler::Attempts(&unconfirmed.opening),
                Some(candidate) => Handler::Session(&candidate.session, candidate.attempt),
            },
        }
    }

    fn handler_mut(&mut self) -> Handler<&mut Opening, &mut Session> {
        match self {
            Self::Established(session, attempt) => Handler::Session(session, *attempt),
            Self::Unconfirmed(unconfirmed) => match &mut unconfirmed.candidate {
                None => Handler::Attempts(&mut unconfirmed.opening),
                Some(candidate) => Handler::Session(&mut candidate.session, candidate.attempt),
            },
        }
    }
}

impl Connection {
    /// Creates a connection whose first attempt is due at `now`.
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
            state: State::Unconfirmed(Box::new(Unconfirmed { opening, candidate: None })),
            common,
            #[cfg(test)]
            generation: 0,
        }
    }

    /// The id that the caller has chosen.
    pub fn id(&self) -> ConnectionId {
        self.common.id
    }

    /// The token that the caller has chosen.
    pub fn token(&self) -> u64 {
        self.common.token
    }

    /// How far the connection has come; with several attempts, the one that has come furthest.
    pub fn stage(&self) -> Stage {
        match self.state.handler() {
            Handler::Attempts(opening) => opening.stage(),
            Handler::Session(session, _) => session.stage(&self.common),
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), or, while the connection is opened,
    /// [`begin_attempt`](Self::begin_attempt). Each call of this type's functions may change it.
    pub fn deadline(&self) -> Instant {
        match self.state.handler() {
            Handler::Attempts(opening) => opening.deadline(),
            Handler::Session(session, _) => session.deadline(&self.common),
        }
    }

    /// Begins a turn, in which the driver reads what has arrived on the transport of an attempt. That has been ready
    /// since `since` at the earliest (the last time that the driver looked): the relay did not cause this delay, so the
    /// deadline excludes it, up to ten times the timeout. A driver that reads everything as soon as it arrives passes
    /// `now` twice. An attempt at whose transport nothing is ready, or that is over, has no turn.
    pub fn handle_turn(&mut self, now: Instant, attempt: AttemptId, since: Instant) {
        match self.state.handler_mut() {
            Handler::Attempts(opening) => opening.handle_turn(now, attempt, since),
            Handler::Session(session, winner) if winner == attempt => {
                session.handle_turn(now, since, &mut self.common);
            }
            Handler::Session(..) => {}
        }
    }

    /// The most bytes of input that are certainly used up if `events` has room for this many packets.
    pub(crate) fn input_of_packets(&self, packets: usize) -> usize {
        match self.state.handler() {
            // No events result from what arrives before the first packet.
            Handler::Attempts(_) => packets * MIN_FRAME,
            Handler::Session(session, _) => session.input_of_packets(packets),
        }
    }

    /// Whether [`begin_attempt`](Self::begin_attempt) begins an attempt: 250 ms after the last one began, or as soon as
    /// that has failed (RFC 8305, section 5).
    pub fn is_attempt_due(&self, now: Instant) -> bool {
        match self.state.handler() {
            Handler::Attempts(opening) => opening.is_attempt_due(now),
            Handler::Session(..) => false,
        }
    }

    /// Begins the next attempt, if one is due. Returns its id and the relay's address that it is for: the driver
    /// connects a transport to this address, or to the [proxy](Self::proxy), which is then asked for a tunnel to it.
    pub fn begin_attempt(&mut self, now: Instant, entropy: Entropy) -> Option<(AttemptId, &Address)> {
        match self.state.handler_mut() {
            Handler::Attempts(opening) => opening.begin_attempt(now, entropy, &self.common),
            Handler::Session(..) => None,
        }
    }

    /// Whether the transport of this attempt is in use. If it is not, the driver closes it: the attempt has failed, or
    /// another one has completed the handshake.
    pub fn is_open(&self, attempt: AttemptId) -> bool {
        match self.state.handler() {
            Handler::Attempts(opening) => opening.is_open(attempt),
            Handler::Session(_, winner) => winner == attempt,
        }
    }

    /// The transport of an attempt is connected: queues the request to the proxy, or the hello to the relay. A second
    /// call does nothing.
    pub fn handle_connected(&mut self, now: Instant, attempt: AttemptId) {
        if let Handler::Attempts(opening) = self.state.handler_mut() {
            opening.handle_connected(now, attempt);
        }
    }

    /// Handles bytes read from the transport of an attempt, and adds events. Returns how many bytes were used: fewer
    /// than all only if `events` is full. The driver passes the rest again, before the bytes that are read next. What
    /// was used is overwritten with the decrypted packets. `shared` must be the same in each call with the connections
    /// of one driver.
    ///
    /// # Errors
    ///
    /// Why the connection has ended: the relay or the proxy has broken the protocol, refused, or is not the one that
    /// holds the key.
    pub fn receive(
        &mut self,
        now: Instant,
        attempt: AttemptId,
        mut input: &mut [u8],
        shared: &mut Shared,
        events: &mut Events,
    ) -> Result<usize, DisconnectReason> {
        let given = input.len();
        let result = self.receive_messages(now, attempt, &mut input, shared, events);
        shared.key_stream.wipe();
        let taken = given - input.len();
        self.common.traffic.bytes_in += taken as u64;
        shared.counters.all.bytes_in += taken as u64;
        result.map(|()| taken)
    }

    fn receive_messages(
        &mut self,
        now: Instant,
        attempt: AttemptId,
        input: &mut &mut [u8],
        shared: &mut Shared,
        events: &mut Events,
    ) -> Result<(), DisconnectReason> {
        if let State::Unconfirmed(unconfirmed) = &mut self.state
            && unconfirmed.candidate.is_none()
            && events.has_room()
            && let Some(won) = unconfirmed.opening.receive(now, attempt, input)?
        {
            let session = Box::new(won.into_session(now, &mut self.common));
            unconfirmed.candidate = Some(Candidate { session, attempt });
        }
        match self.state.handler_mut() {
            Handler::Attempts(_) => Ok(()),
            Handler::Session(_, winner) if winner != attempt => {
                *input = &mut [];
                Ok(())
            }
            Handler::Session(session, _) => {
                if !input.is_empty() {
                    self.common.times.set_heard(now);
                }
                let result = session.receive(now, input, shared, &mut self.common, events);
                self.confirm();
                if result.is_err() {
                    *input = &mut [];
                }
                result.or_else(|reason| self.end_session(reason))
            }
        }
    }

    /// The opening is over if the relay has proved that it holds its key.
    fn confirm(&mut self) {
        if let State::Unconfirmed(unconfirmed) = &mut self.state
            && self.common.times.connected.is_known()
            && let Some(Candidate { session, attempt }) = unconfirmed.candidate.take()
        {
            self.state = State::Established(session, attempt);
        }
    }

    /// The session has failed. If the relay has not proved itself on it, that concerns only one address: an attacker
    /// may have replayed an old response there. Then the opening goes on with the others, and routes are requested
    /// again.
    fn end_session(&mut self, reason: DisconnectReason) -> Result<(), DisconnectReason> {
        let State::Unconfirmed(unconfirmed) = &mut self.state else {
            return Err(reason);
        };
        unconfirmed.candidate = None;
        unconfirmed.opening.handle_session_end(reason, &mut self.common)?;
        self.common.outbox.restart();
        for peer in self.common.routes.restart() {
            self.common.outbox.push_important(Packet::RoutingRequest { peer });
        }
        Ok(())
    }

    /// Checks the deadline. A call too early or twice does no harm. `unread`: a transport may have input that was not
    /// passed to [`receive`](Self::receive). `ping` is the id of the next ping, a random number; it is used only if a
    /// ping is due.
    ///
    /// # Errors
    ///
    /// Why the connection has ended: [`DisconnectReason::TimedOut`] or [`NoPong`](DisconnectReason::NoPong), or, after
    /// the last of several attempts, the most hopeful reason.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        unread: bool,
        ping: NonZeroU64,
    ) -> Result<(), DisconnectReason> {
        match self.state.handler_mut() {
            Handler::Attempts(opening) => opening.handle_timeout(now, unread),
            Handler::Session(session, _) => {
                let result = session.handle_timeout(now, unread, ping, &mut self.common);
                result.or_else(|reason| self.end_session(reason))
            }
        }
    }

    /// Queues a ping with this id, a random number, if the connection is established and has no unanswered ping.
    /// Returns whether it did.
    pub fn ping(&mut self, now: Instant, ping: NonZeroU64) -> bool {
        match self.state.handler_mut() {
            Handler::Attempts(_) => false,
            Handler::Session(session, _) => session.ping(now, ping, &mut self.common),
        }
    }

    /// The network has changed, so the transports may be dead: answers have 5 s, or the pong timeout if that is shorter
    /// (but a proxy that was asked for a tunnel has the time that it had). `ping` is the id of the ping that an
    /// established connection queues, unless one is still queued.
    pub fn handle_network_changed(&mut self, now: Instant, ping: NonZeroU64) {
        match self.state.handler_mut() {
            Handler::Attempts(opening) => opening.handle_network_changed(now + NETWORK_CHANGE_TIMEOUT),
            Handler::Session(session, _) => {
                let time_limit = NETWORK_CHANGE_TIMEOUT.min(self.common.settings.pong_timeout);
                session.handle_network_changed(now, ping, time_limit, &mut self.common)
            }
        }
    }

    /// Replaces the settings. A new ping interval counts from the last ping. Attempts that have begun and an unanswered
    /// ping keep their timeouts.
    pub fn set_settings(&mut self, settings: Arc<Settings>) {
        self.common.settings = settings;
        if let Handler::Session(session, _) = self.state.handler_mut() {
            session.handle_settings(&self.common.settings);
        }
    }

    /// The transport of an attempt has ended.
    ///
    /// # Errors
    ///
    /// Why the connection has ended with it. If another attempt is open or follows, it goes on.
    pub fn handle_end(&mut self, attempt: AttemptId, end: End) -> Result<(), DisconnectReason> {
        match self.state.handler_mut() {
            Handler::Attempts(opening) => opening.handle_end(attempt, end),
            Handler::Session(_, winner) if winner != attempt => Ok(()),
            Handler::Session(session, _) => {
                let reason = session.handle_end(end, &self.common);
                self.end_session(reason)
            }
        }
    }

    /// Whether there is something to write to the transport of this attempt now. While the
    /// [window](crate::Config::window) is full, queued data are not: a pong of the relay changes that.
    pub fn has_output(&self, attempt: AttemptId) -> bool {
        match self.state.handler() {
            Handler::Attempts(opening) => opening.has_output(attempt),
            Handler::Session(_, winner) => {
                winner == attempt && self.common.outbox.may_send(self.common.settings.window)
            }
        }
    }

    /// Passes what is to be written to the transport of an attempt to `write`, until all is written that may be sent
    /// now (`true`) or the transport is full (`false`).
    ///
    /// `write` is like [`Write::write`](io::Write::write) of a non-blocking stream: it returns how many bytes it took,
    /// or [`WouldBlock`](io::ErrorKind::WouldBlock). Packets that it did not take stay in the queue as plaintext, and
    /// are sealed again. `ping` is a random number, the id of the first of the pings that are sent between data.
    /// `scratch` is where packets are sealed, as many as fit for one call of `write`: 64 KiB are enough.
    ///
    /// # Errors
    ///
    /// Those of `write` other than `WouldBlock` and `Interrupted`, and [`WriteZero`](io::ErrorKind::WriteZero) if it
    /// takes nothing.
    ///
    /// # Panics
    ///
    /// If `scratch` is shorter than [`MIN_SCRATCH`].
    pub fn flush(
        &mut self,
        now: Instant,
        attempt: AttemptId,
        ping: NonZeroU64,
        shared: &mut Shared,
        scratch: &mut [u8],
        write: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<bool> {
        assert!(
            scratch.len() >= MIN_SCRATCH,
            "a buffer of {} bytes is too short for a packet",
            scratch.len()
        );
        let mut flushed = Flushed::default();
        let result = match self.state.handler_mut() {
            Handler::Attempts(opening) => opening.flush(attempt, write, &mut flushed),
            Handler::Session(_, winner) if winner != attempt => Ok(true),
            Handler::Session(session, _) => {
                let parameters = FlushParameters { now, window: self.common.settings.window, ping, scratch };
                let result = session.flush(shared, parameters, write, &mut self.common, &mut flushed);
                shared.key_stream.wipe();
                result
            }
        };
        self.common.traffic.bytes_out += flushed.bytes as u64;
        shared.counters.all.bytes_out += flushed.bytes as u64;
        self.common.traffic.packets_out += flushed.packets as u64;
        result
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id())
            .field("stage", &self.stage())
            .finish_non_exhaustive()
    }
}
