//! What a poll does: it waits for sockets and deadlines, gives each connection a turn to read, checks deadlines,
//! writes, and reports events.
//!
//! It follows three rules:
//!
//! - **Every connection gets a turn.** Readable connections wait in one queue, and each may fill its share of the room
//!   in [`Events`]. The input of one connection never prevents others from being read.
//! - **Only time with turns counts.** While a connection is readable but gets no turn, because the program does not
//!   poll or other connections have their turns, the time is not counted against its relay (up to a bound). Its
//!   timeouts are checked after its turn, not before.
//! - **Input is read before timeouts are checked**, so that a relay whose answer has arrived does not time out.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use mio::{Poll, Token};

use crate::client::buffers::Buffers;
use crate::client::keys::{self, PingIds};
use crate::client::notices::Notices;
use crate::client::slot::Slot;
use crate::client::socket::split_token;
use crate::client::table::Table;
use crate::client::timers::Timers;
use crate::client::waker::Waker;
use crate::error::DisconnectReason;
use crate::events::Events;
use crate::id::ConnectionId;
use crate::key::PublicKey;
use crate::status::ConnectionStatus;

/// The most sockets that one system call reports as ready; the next call reports others.
const READINESS: usize = 1024;

/// The waker's token; those of connections are their indices.
const WAKER: Token = Token(usize::MAX);

/// If the program was away for at most this long and then waits, the time counts against the relays: that saves a
/// second call of the poller.
const SHORT_ABSENCE: Duration = Duration::from_millis(1);

/// See the module.
pub(super) struct Loop {
    /// The client's own public key, for statuses.
    identity: PublicKey,
    pub(super) poller: Poll,
    readiness: mio::Events,
    pub(super) waker: Waker,
    pub(super) table: Table,
    /// The number of sockets of all connections: while a connection is opened, it may have several.
    sockets: usize,
    timers: Timers,
    /// Connections that wait for their turn to read. Each is in the queue at most once: `Slot::is_ready`.
    ready: VecDeque<Waiting>,
    /// Connections that may have something to write. Each is in the list at most once: `Slot::is_unflushed`.
    unflushed: Vec<ConnectionId>,
    pub(super) notices: Notices,
    /// Whether notices were reported before the turns in the last round.
    notices_first: bool,
    pub(super) buffers: Buffers,
    pub(super) ping_ids: PingIds,
    /// When the poller last returned without being interrupted.
    last_polled: Instant,
}

/// A connection that waits for its turn.
struct Waiting {
    id: ConnectionId,
    /// The earliest time from which it may have been readable.
    since: Instant,
}

/// The result of asking the poller.
struct Polled {
    any_ready: bool,
    /// Whether a signal or a waker ended the wait.
    is_interrupted: bool,
}

impl Loop {
    pub(super) fn new(identity: PublicKey) -> io::Result<Self> {
        let poller = Poll::new()?;
        let now = Instant::now();
        Ok(Self {
            identity,
            waker: Waker::new(poller.registry(), WAKER)?,
            poller,
            readiness: mio::Events::with_capacity(READINESS),
            table: Table::new(keys::first_generation()?),
            sockets: 0,
            timers: Timers::new(now),
            ready: VecDeque::new(),
            unflushed: Vec::new(),
            notices: Notices::default(),
            notices_first: false,
            buffers: Buffers::new(),
            ping_ids: PingIds::new()?,
            last_polled: now,
        })
    }

    /// Adds a connection whose id is from [`Table::next_id`], and begins its first attempt.
    pub(super) fn add(&mut self, mut slot: Slot) -> io::Result<()> {
        let id = slot.connection.id();
        slot.update_attempts(self.poller.registry()).map_err(|(_, error)| error)?;
        self.sockets += slot.socket_count();
        self.table.insert(slot);
        self.update(id);
        Ok(())
    }

    /// See [`Client::poll`](crate::Client::poll).
    pub(super) fn poll(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.clear();
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.flush_all();
        let mut now = Instant::now();
        // In the first round all ready connections get their turn while `events` has room, even if that takes longer
        // than the timeout. Later rounds also stop when the timeout has passed.
        let mut turns_until = None;
        loop {
            let time_left = until.map(|until| until.saturating_duration_since(now));
            let wait = [time_left, self.next_timeout(now)].into_iter().flatten().min();
            let is_interrupted = self.wait(wait)?;
            self.work(events, turns_until);
            now = Instant::now();
            if !events.is_empty() || is_interrupted || until.is_some_and(|until| until <= now) {
                return Ok(());
            }
            turns_until = until;
        }
    }

    /// The time until there is work to do, if no socket becomes ready before. `None` if there is no deadline.
    pub(super) fn next_timeout(&self, now: Instant) -> Option<Duration> {
        if self.ready.is_empty() && self.unflushed.is_empty() && self.notices.is_empty() {
            return self.timers.next(now);
        }
        Some(Duration::ZERO)
    }

    /// Waits until a socket is ready. Returns `true` if a signal or a waker ended the wait.
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        // A socket that is ready at once may have been ready since the poller last returned. A socket that becomes
        // ready during the wait has not had to wait for its turn.
        let since = self.last_polled;
        if timeout == Some(Duration::ZERO) || since.elapsed() > SHORT_ABSENCE {
            let result = self.poll_sockets(Some(Duration::ZERO), Some(since))?;
            if result.is_interrupted || result.any_ready || timeout == Some(Duration::ZERO) {
                return Ok(result.is_interrupted);
            }
        }
        Ok(self.poll_sockets(timeout, None)?.is_interrupted)
    }

    /// Asks the poller which sockets are ready. They have been ready since `since` at the earliest; if it is `None`,
    /// since the poller returned.
    fn poll_sockets(&mut self, mut timeout: Option<Duration>, since: Option<Instant>) -> io::Result<Polled> {
        let mut result = Polled { any_ready: false, is_interrupted: false };
        // Repeat until every ready socket has been reported, so that no relay times out while its answer is unread. The
        // factor 2 is for systems that report reading and writing as separate events.
        for _ in 0..=2 * self.sockets / READINESS {
            match self.poller.poll(&mut self.readiness, timeout) {
                Ok(()) => self.last_polled = Instant::now(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    result.is_interrupted = true;
                    break;
                }
                Err(error) => return Err(error),
            }
            let since = since.unwrap_or(self.last_polled);
            let mut count = 0;
            for event in &self.readiness {
                count += 1;
                if event.token() == WAKER {
                    result.is_interrupted = true;
                    continue;
                }
                let (index, attempt) = split_token(event.token());
                let Some(slot) = self.table.at_mut(index) else {
                    continue;
                };
                let id = slot.connection.id();
                if slot.handle_readiness(attempt, event) && slot.mark_ready() {
                    self.ready.push_back(Waiting { id, since });
                }
                if slot.has_output() && slot.mark_unflushed() {
                    self.unflushed.push(id);
                }
            }
            result.any_ready |= count > 0;
            if count < READINESS {
                break;
            }
            timeout = Some(Duration::ZERO);
        }
        Ok(result)
    }

    /// One round: gives each ready connection a turn, while `events` has room and `until` has not been reached, then
    /// checks deadlines and writes. Notices are reported before or after that.
    fn work(&mut self, events: &mut Events, until: Option<Instant>) {
        // Notices and turns can each fill `events`, so they alternate in which of them is first.
        self.notices_first = !self.notices_first;
        if self.notices_first {
            self.notices.report(&mut self.table, events);
        }
        for others in (0..self.ready.len()).rev() {
            let is_over = until.is_some_and(|until| until <= Instant::now());
            if is_over || !events.has_room() {
                break;
            }
            let Some(waiting) = self.ready.pop_front() else {
                break;
            };
            events.limit(events.room() / (1 + others));
            self.give_turn(waiting, events);
            events.unlimit();
        }
        if let Some(slot) = self.buffers.leftover_of().and_then(|id| self.table.get_mut(id)) {
            // The leftover may use the room that the other connections left free.
            let id = slot.connection.id();
            let result = self.buffers.receive_leftover(slot, Instant::now(), events);
            self.finish_turn(id, result);
        }
        // A program that was away may have left a ping unsent: that is not the relay's fault.
        self.flush_all();
        self.handle_deadlines();
        self.flush_all();
        self.notices.report(&mut self.table, events);
    }

    /// Reads one connection, and checks its timeouts.
    fn give_turn(&mut self, Waiting { id, since }: Waiting, events: &mut Events) {
        let Some(slot) = self.table.get_mut(id) else {
            return;
        };
        slot.is_ready = false;
        let now = Instant::now();
        let has_leftover = self.buffers.leftover_of() == Some(id);
        let result = slot.begin_turn(now, since, has_leftover);
        let result = result.and_then(|()| self.buffers.read(slot, now, events));
        let is_unread = self.buffers.leftover_of() == Some(id) || slot.may_read();
        let result = result.and_then(|()| {
            if slot.connection.deadline() > now {
                return Ok(());
            }
            slot.handle_timeout(now, is_unread, self.ping_ids.next())
        });
        if is_unread && result.is_ok() {
            // It may have more to read, and gets its next turn after the others.
            slot.is_ready = true;
            self.ready.push_back(Waiting { id, since: Instant::now() });
        }
        self.finish_turn(id, result);
    }

    /// Ends the connection after an error; otherwise applies what its turn has changed.
    fn finish_turn(&mut self, id: ConnectionId, result: Result<(), DisconnectReason>) {
        let registry = self.poller.registry();
        let result = result.and_then(|()| match self.table.get_mut(id) {
            Some(slot) => {
                let before = slot.socket_count();
                let result = slot.update_attempts(registry).map_err(|(reason, _)| reason);
                self.sockets = self.sockets + slot.socket_count() - before;
                result
            }
            None => Ok(()),
        });
        match result {
            Ok(()) => self.update(id),
            Err(reason) => self.end(id, reason),
        }
    }

    /// Checks the timeouts of connections whose deadline has been reached. If a connection waits for a turn, they are
    /// checked in that turn instead.
    fn handle_deadlines(&mut self) {
        let now = Instant::now();
        while let Some(index) = self.timers.pop_due(now) {
            let Some(slot) = self.table.at_mut(index as usize) else {
                continue;
            };
            let id = slot.connection.id();
            if !slot.is_ready && slot.has_unreported_input() {
                slot.is_ready = true;
                self.ready.push_back(Waiting { id, since: now });
            }
            if slot.is_ready {
                continue;
            }
            let result = slot.handle_timeout(now, false, self.ping_ids.next());
            self.finish_turn(id, result);
        }
    }

    /// Applies what has changed in a connection: schedules its deadline, queues a notice if its send queue has room
    /// again, and marks it for flushing if it has output. Call this after each change that may affect the deadline.
    pub(super) fn update(&mut self, id: ConnectionId) {
        let Some(slot) = self.table.get_mut(id) else {
            return;
        };
        let tick = self.timers.tick(slot.connection.deadline());
        self.timers.schedule(id.index, tick);
        if slot.mark_writable() {
            self.notices.push_writable(id);
        }
        if slot.has_output() {
            self.mark_unflushed(id);
        }
    }

    /// Puts a connection into the list of those to flush, unless its socket is full: the poller reports when the socket
    /// has room again.
    pub(super) fn mark_unflushed(&mut self, id: ConnectionId) {
        if self.table.get_mut(id).is_some_and(Slot::mark_unflushed) {
            self.unflushed.push(id);
        }
    }

    /// Writes the output of all connections that have some, as far as their sockets accept it.
    pub(super) fn flush_all(&mut self) {
        while let Some(id) = self.unflushed.pop() {
            if let Some(slot) = self.table.get_mut(id) {
                slot.is_unflushed = false;
            }
            self.flush(id);
        }
    }

    /// Writes the output of one connection, as far as its socket accepts it.
    pub(super) fn flush(&mut self, id: ConnectionId) {
        let Some(slot) = self.table.get_mut(id) else {
            return;
        };
        if !self.buffers.flush(slot, self.ping_ids.next()) && slot.mark_ready() {
            self.ready.push_back(Waiting { id, since: Instant::now() });
        }
        // What was sent may be a ping, or have filled the window.
        let tick = self.timers.tick(slot.connection.deadline());
        self.timers.schedule(id.index, tick);
        if slot.mark_writable() {
            self.notices.push_writable(id);
        }
    }

    /// Removes a connection and closes its socket. Its end is reported after the events that are already there.
    pub(super) fn end(&mut self, id: ConnectionId, reason: DisconnectReason) {
        if let Some(slot) = self.table.get_mut(id) {
            let status = slot.status(self.identity);
            self.end_with(id, reason, status);
        }
    }

    /// Like [`end`](Self::end), with this final status.
    pub(super) fn end_with(&mut self, id: ConnectionId, reason: DisconnectReason, status: ConnectionStatus) {
        let Some(mut slot) = self.table.remove(id) else {
            return;
        };
        self.timers.cancel(id.index);
        self.sockets -= slot.socket_count();
        slot.deregister(self.poller.registry());
        self.buffers.forget(id);
        log::debug!("connection {id}: {reason}");
        self.notices.push_end(reason, status);
    }
}

#[cfg(test)]
mod tests;
