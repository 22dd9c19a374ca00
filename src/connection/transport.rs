//! The functions of a connection for its transports and its deadlines.

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
use crate::connection::outbox::Outbox;
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
use crate::wire::frame::MIN_FRAME;

/// One relay connection, without a socket: see the module `connection`.
pub struct Connection {
    pub(super) state: State,
    pub(super) common: Common,
    /// The generation of the last route that a test opened.
    #[cfg(test)]
    pub(super) generation: u32,
}

/// Boxed, since an opening takes memory only for a short time, and since keys that are not moved leave no copies.
pub(super) enum State {
    /// There are no session keys yet.
    Opening(Box<Opening>),
    /// Packets are exchanged, on the transport of this attempt.
    Established(Box<Session>, AttemptId),
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

    /// The token that the caller has chosen.
    pub fn token(&self) -> u64 {
        self.common.token
    }

    pub fn stage(&self) -> Stage {
        match &self.state {
            State::Opening(opening) => opening.stage(),
            State::Established(session, _) => session.stage(&self.common),
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn deadline(&self) -> Instant {
        match &self.state {
            State::Opening(opening) => opening.deadline(),
            State::Established(session, _) => session.deadline(),
        }
    }

    /// Begins a turn, in which the ready input of the transport is read. The input has been ready since `since` at the
    /// earliest. The relay did not cause this delay, so deadlines exclude it.
    pub fn handle_turn(&mut self, now: Instant, since: Instant) {
        match &mut self.state {
            State::Opening(opening) => opening.handle_turn(now, since),
            State::Established(session, _) => session.handle_turn(now, since, &self.common),
        }
    }

    /// The most bytes of input that are certainly used up if `events` has room for this many packets.
    pub fn input_of_packets(&self, packets: usize) -> usize {
        match &self.state {
            // No events result from what arrives before the first packet.
            State::Opening(_) => packets * MIN_FRAME,
            State::Established(session, _) => session.input_of_packets(packets),
        }
    }

    /// Whether an attempt is to begin: see [`begin_attempt`](Self::begin_attempt).
    pub fn is_attempt_due(&self, now: Instant) -> bool {
        match &self.state {
            State::Opening(opening) => opening.is_attempt_due(now),
            State::Established(..) => false,
        }
    }

    /// Begins the next attempt, if one is due. Returns its id and the address of the relay: the caller connects a
    /// transport to it, or to the proxy.
    pub fn begin_attempt(&mut self, now: Instant, entropy: Entropy) -> Option<(AttemptId, &Address)> {
        match &mut self.state {
            State::Opening(opening) => opening.begin_attempt(now, entropy, &self.common),
            State::Established(..) => None,
        }
    }

    /// Whether the transport of this attempt is in use. If it is not, the caller closes it.
    pub fn is_open(&self, attempt: AttemptId) -> bool {
        match &self.state {
            State::Opening(opening) => opening.is_open(attempt),
            State::Established(_, winner) => *winner == attempt,
        }
    }

    /// The transport of an attempt is connected: queues the request to the proxy, or the hello to the relay.
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
        if let State::Opening(opening) = &mut self.state
            && events.has_room()
            && let Some(won) = opening.receive(now, attempt, input)?
        {
            self.state = State::Established(Box::new(won.into_session(now, &mut self.common)), attempt);
        }
        match &mut self.state {
            State::Opening(_) => Ok(()),
            State::Established(_, winner) if *winner != attempt => {
                *input = &mut [];
                Ok(())
            }
            State::Established(session, _) => {
                if !input.is_empty() {
                    self.common.times.set_heard(now);
                }
                session.receive(now, input, shared, &mut self.common, events)
            }
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
            State::Established(session, _) => session.handle_timeout(now, unread, ping, &mut self.common),
        }
    }

    /// Queues a ping with this id, if the connection is established and has no unanswered ping. Returns whether it did.
    pub fn ping(&mut self, now: Instant, ping: NonZeroU64) -> bool {
        match &mut self.state {
            State::Opening(_) => false,
            State::Established(session, _) => session.ping(now, ping, &mut self.common),
        }
    }

    /// The network has changed, so the transport may be dead: answers have less time than usual. `ping` is the id of
    /// the ping that an established connection queues, unless one is still queued.
    pub fn handle_network_changed(&mut self, now: Instant, ping: NonZeroU64) {
        let time_limit = NETWORK_CHANGE_TIMEOUT.min(self.common.settings.pong_timeout);
        match &mut self.state {
            State::Opening(opening) => opening.shorten(now + time_limit),
            State::Established(session, _) => {
                session.handle_network_changed(now, ping, time_limit, &mut self.common)
            }
        }
    }

    /// Replaces the settings. A new ping interval counts from the last ping. Attempts that have begun and an unanswered
    /// ping keep their timeouts.
    pub fn set_settings(&mut self, settings: Arc<Settings>) {
        self.common.settings = settings;
        if let State::Established(session, _) = &mut self.state {
            session.handle_settings(&self.common.settings);
        }
    }

    /// The transport of an attempt has ended. Returns the reason as an error if the connection ends with it: no other
    /// attempt is open or follows.
    pub fn handle_end(&mut self, attempt: AttemptId, end: End) -> Result<(), DisconnectReason> {
        match &mut self.state {
            State::Opening(opening) => opening.handle_end(attempt, end),
            State::Established(_, winner) if *winner != attempt => Ok(()),
            State::Established(session, _) => Err(session.handle_end(end, &self.common)),
        }
    }

    /// Whether there is something to write to the transport of this attempt.
    pub fn has_output(&self, attempt: AttemptId) -> bool {
        match &self.state {
            State::Opening(opening) => opening.has_output(attempt),
            State::Established(_, winner) => *winner == attempt && !self.common.outbox.is_empty(),
        }
    }

    /// Passes what is to be written to the transport of an attempt to `write`, until all is written (`true`) or the
    /// transport is full (`false`). Packets are sealed in `scratch`.
    pub fn flush(
        &mut self,
        now: Instant,
        attempt: AttemptId,
        shared: &mut Shared,
        scratch: &mut [u8],
        write: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<bool> {
        let flushed = match &mut self.state {
            State::Opening(opening) => {
                let (all, bytes) = opening.flush(attempt, write)?;
                self.common.traffic.bytes_out += bytes as u64;
                shared.counters.all.bytes_out += bytes as u64;
                return Ok(all);
            }
            State::Established(_, winner) if *winner != attempt => return Ok(true),
            State::Established(session, _) => session.flush(now, shared, scratch, write, &mut self.common),
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

    /// The most bytes that the data queue may have. Until the relay has proved that it holds its key, bytes that were
    /// sent count as well: an impostor that replays an old handshake response receives no more data than this, however
    /// much it reads.
    pub(super) fn send_bound(&self) -> usize {
        let bound = self.common.settings.send_queue;
        if self.common.times.connected.is_known() {
            return bound;
        }
        bound.saturating_sub(usize::try_from(self.common.traffic.bytes_out).unwrap_or(usize::MAX))
    }
}
