//! What a poll does: it waits for sockets and deadlines, gives each connection its turn, looks at the time, writes, and
//! reports.
//!
//! Three rules hold for all of it:
//!
//! - **Everybody gets a turn.** Connections that have something to read wait in one queue, and each may fill its share of
//!   the room in [`Events`]. Nobody's input keeps others from being read.
//! - **Only time with turns counts.** While a connection has something to read and is given no turn, since the program
//!   is away or others are being served, nothing is charged to its relay. It is judged after its turn, not before.
//! - **Input comes before the time**, so that nobody is late whose answer has arrived.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::time::{Duration, Instant};

use mio::{Interest, Poll, Token};

use crate::client::keys;
use crate::client::notices::Notices;
use crate::client::slot::{Read, Slot};
use crate::client::table::Table;
use crate::client::timers::{NEVER, Timers};
use crate::client::waker::Waker;
use crate::crypto::KeyStream;
use crate::error::DisconnectReason;
use crate::event::Events;
use crate::id::RelayId;
use crate::stage::Stage;
use crate::status::RelayStatus;

/// The most that one connection reads in a turn, and that is sealed for one write. From here on, system calls cost little
/// compared with the packets that they move.
const BUFFER_LEN: usize = 64 * 1024;

/// The most sockets whose readiness one system call reports; the next one reports others.
const READINESS: usize = 1024;

/// The waker's token; those of connections are their indices.
const WAKER: Token = Token(usize::MAX);

/// So short an absence of the program is charged, which saves asking the poller twice.
const MOMENT: Duration = Duration::from_millis(1);

/// See the module.
pub(super) struct Loop {
    pub(super) poller: Poll,
    readiness: mio::Events,
    pub(super) waker: Waker,
    pub(super) table: Table,
    timers: Timers,
    /// Connections that wait for their turn to read. Each stands here at most once: `Slot::is_ready`.
    ready: VecDeque<Waiting>,
    /// Connections that may have something to write. Each stands here at most once: `Slot::is_unflushed`.
    unflushed: Vec<RelayId>,
    pub(super) notices: Notices,
    /// Whether notices came before turns in the last round.
    notices_first: bool,
    buffers: Buffers,
    /// When the poller was asked last.
    looked: Instant,
}

/// A connection that waits for its turn.
struct Waiting {
    id: RelayId,
    /// It may have had something to read since then.
    since: Instant,
}

/// What the poller has answered.
struct Look {
    found: bool,
    /// Whether there was a signal or a call of a waker.
    is_interrupted: bool,
}

/// Memory that all connections share, each while it has its turn.
struct Buffers {
    input: Box<[u8]>,
    /// Input of one connection that found its share of events full.
    leftover: Option<Leftover>,
    /// For packets while they are sealed; and for reading while `input` holds a leftover.
    scratch: Box<[u8]>,
    key_stream: Box<KeyStream>,
}

/// A range of `Buffers::input` that is still to be handled.
struct Leftover {
    id: RelayId,
    range: Range<usize>,
}

impl Loop {
    pub(super) fn new() -> io::Result<Self> {
        let poller = Poll::new()?;
        let now = Instant::now();
        Ok(Self {
            waker: Waker::new(poller.registry(), WAKER)?,
            poller,
            readiness: mio::Events::with_capacity(READINESS),
            table: Table::new(keys::first_generation()?),
            timers: Timers::new(now),
            ready: VecDeque::new(),
            unflushed: Vec::new(),
            notices: Notices::default(),
            notices_first: false,
            buffers: Buffers {
                input: vec![0; BUFFER_LEN].into_boxed_slice(),
                leftover: None,
                scratch: vec![0; BUFFER_LEN].into_boxed_slice(),
                key_stream: Box::new(KeyStream::new()),
            },
            looked: now,
        })
    }

    /// Takes in a connection that was made with [`Table::next_id`].
    pub(super) fn add(&mut self, mut slot: Slot) -> io::Result<()> {
        let id = slot.connection.id();
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poller.registry().register(&mut slot.stream, Token(id.index as usize), interest)?;
        self.table.insert(slot);
        self.settle(id);
        Ok(())
    }

    /// See [`Client::poll`](crate::Client::poll).
    pub(super) fn poll(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.clear();
        self.notices.forget();
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.flush_all();
        let mut now = Instant::now();
        // The first time, all that wait get their turn, however long it takes; after that the time is looked at.
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

    /// How long nothing has to be done, unless a socket becomes ready. `None` while there is nothing to wait for.
    pub(super) fn next_timeout(&self, now: Instant) -> Option<Duration> {
        if self.ready.is_empty() && self.unflushed.is_empty() && self.notices.is_empty() {
            return self.timers.next(now);
        }
        Some(Duration::ZERO)
    }

    /// Waits until a socket is ready. `true` if a signal or a waker ended the wait.
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        // Who is ready at once may have been so ever since the poller was asked last. Who becomes ready during the wait has
        // waited for nobody.
        let since = self.looked;
        if timeout == Some(Duration::ZERO) || since.elapsed() > MOMENT {
            let look = self.look(Some(Duration::ZERO), Some(since))?;
            if look.is_interrupted || look.found || timeout == Some(Duration::ZERO) {
                return Ok(look.is_interrupted);
            }
        }
        Ok(self.look(timeout, None)?.is_interrupted)
    }

    /// Asks the poller which sockets are ready. They have been so from `since` on at the earliest; without it, from the
    /// poller's answer on.
    fn look(&mut self, mut timeout: Option<Duration>, since: Option<Instant>) -> io::Result<Look> {
        let mut look = Look { found: false, is_interrupted: false };
        // Until every ready socket has been reported, so that no relay is judged late while its answer is unread. Some
        // systems report reading and writing one by one.
        for _ in 0..=2 * self.table.len() / READINESS {
            match self.poller.poll(&mut self.readiness, timeout) {
                Ok(()) => self.looked = Instant::now(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    look.is_interrupted = true;
                    break;
                }
                Err(error) => return Err(error),
            }
            let since = since.unwrap_or(self.looked);
            let mut count = 0;
            for event in &self.readiness {
                count += 1;
                look.is_interrupted |= event.token() == WAKER;
                let Some(slot) = self.table.at_mut(event.token().0) else {
                    continue;
                };
                let id = slot.connection.id();
                if slot.handle_readiness(event) && slot.mark_ready() {
                    self.ready.push_back(Waiting { id, since });
                }
                if slot.connection.has_output() && slot.mark_unflushed() {
                    self.unflushed.push(id);
                }
            }
            look.found |= count > 0;
            if count < READINESS {
                break;
            }
            timeout = Some(Duration::ZERO);
        }
        Ok(look)
    }

    /// Gives everybody a turn who waits for one, as far as `events` has room and time has not come to `until`.
    fn work(&mut self, events: &mut Events, until: Option<Instant>) {
        // Notices and turns can each fill `events`, and neither may always come first.
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
        if let Some(id) = self.buffers.leftover.as_ref().map(|leftover| leftover.id) {
            // What the others left free.
            let result = self.receive_leftover(id, Instant::now(), events);
            self.conclude(id, result);
        }
        self.handle_deadlines();
        self.flush_all();
        self.notices.report(&mut self.table, events);
    }

    /// Reads one connection, and judges it.
    fn give_turn(&mut self, Waiting { id, since }: Waiting, events: &mut Events) {
        let Some(slot) = self.table.get_mut(id) else {
            return;
        };
        slot.is_ready = false;
        let now = Instant::now();
        slot.connection.handle_turn(now, since);
        let result = self.read(id, now, events);
        let Some(slot) = self.table.get_mut(id) else {
            return;
        };
        let has_leftover = self.buffers.leftover.as_ref().is_some_and(|leftover| leftover.id == id);
        let is_unread = has_leftover || slot.may_read();
        let result = result.and_then(|()| {
            if slot.connection.deadline() > now {
                return Ok(());
            }
            slot.judge(now, is_unread, ping_id())
        });
        if is_unread && result.is_ok() {
            // It may have more, and gets its next turn after the others.
            slot.is_ready = true;
            self.ready.push_back(Waiting { id, since: Instant::now() });
        }
        self.conclude(id, result);
    }

    /// Reads a connection once, and once more where that may not have been all.
    fn read(&mut self, id: RelayId, now: Instant, events: &mut Events) -> Result<(), DisconnectReason> {
        let Some(slot) = self.table.get_mut(id) else {
            return Ok(());
        };
        if slot.connection.stage() == Stage::Connecting && !slot.finish_connecting(now)? {
            return Ok(());
        }
        self.receive_leftover(id, now, events)?;
        let Some(slot) = self.table.get_mut(id) else {
            return Ok(());
        };
        let Buffers { input, leftover, scratch, key_stream } = &mut self.buffers;
        let mut budget = BUFFER_LEN;
        if let Some(leftover) = leftover {
            // Its own: there is no room for more. Another one's: only as much is read as surely leaves nothing over.
            while leftover.id != id && slot.may_read() && budget > 0 && events.has_room() {
                let most = slot.connection.input_of_packets(events.room_for_packets()).min(budget);
                let Read::Bytes(len) = slot.read(&mut scratch[..most])? else {
                    break;
                };
                budget -= len;
                let taken = slot.connection.receive(now, &mut scratch[..len], key_stream, events)?;
                debug_assert_eq!(taken, len);
            }
            return Ok(());
        }
        for _ in 0..2 {
            if !slot.may_read() || budget == 0 || !events.has_room() {
                break;
            }
            let Read::Bytes(len) = slot.read(&mut input[..budget])? else {
                break;
            };
            budget -= len;
            let taken = slot.connection.receive(now, &mut input[..len], key_stream, events)?;
            if taken < len {
                *leftover = Some(Leftover { id, range: taken..len });
                break;
            }
        }
        Ok(())
    }

    /// Hands a connection what its last turn has left over.
    fn receive_leftover(
        &mut self,
        id: RelayId,
        now: Instant,
        events: &mut Events,
    ) -> Result<(), DisconnectReason> {
        let Buffers { input, leftover, key_stream, .. } = &mut self.buffers;
        let Some(Leftover { range, .. }) = leftover.take_if(|leftover| leftover.id == id) else {
            return Ok(());
        };
        let Some(slot) = self.table.get_mut(id) else {
            return Ok(());
        };
        let taken = slot.connection.receive(now, &mut input[range.clone()], key_stream, events)?;
        if taken < range.len() {
            *leftover = Some(Leftover { id, range: range.start + taken..range.end });
        }
        Ok(())
    }

    /// Ends the connection, or does what follows from what happened to it.
    fn conclude(&mut self, id: RelayId, result: Result<(), DisconnectReason>) {
        match result {
            Ok(()) => self.settle(id),
            Err(reason) => self.end(id, reason),
        }
    }

    /// Judges those whose deadline has come. Who waits for a turn is judged there.
    fn handle_deadlines(&mut self) {
        let now = Instant::now();
        while let Some(index) = self.timers.pop_due(now) {
            let Some(slot) = self.table.at_mut(index as usize) else {
                continue;
            };
            let id = slot.connection.id();
            slot.scheduled = NEVER;
            if !slot.is_ready && slot.has_hidden_input() {
                slot.is_ready = true;
                self.ready.push_back(Waiting { id, since: now });
            }
            if slot.is_ready {
                continue;
            }
            let result = slot.judge(now, false, ping_id());
            self.conclude(id, result);
        }
    }

    /// Draws the conclusions when something happened to a connection: its deadline may be another one, it may have
    /// something to write, and its queue may have room again.
    pub(super) fn settle(&mut self, id: RelayId) {
        let Some(slot) = self.table.get_mut(id) else {
            return;
        };
        let tick = self.timers.tick(slot.connection.deadline());
        if slot.scheduled != tick {
            slot.scheduled = tick;
            self.timers.schedule(id.index, tick);
        }
        if slot.mark_writable() {
            self.notices.push_writable(id);
        }
        if slot.connection.has_output() {
            self.mark_unflushed(id);
        }
    }

    /// Has a connection flushed next, unless its socket is full: when it no longer is, the poller says so.
    pub(super) fn mark_unflushed(&mut self, id: RelayId) {
        if self.table.get_mut(id).is_some_and(Slot::mark_unflushed) {
            self.unflushed.push(id);
        }
    }

    /// Writes what all connections have, as far as their sockets take it.
    pub(super) fn flush_all(&mut self) {
        while let Some(id) = self.unflushed.pop() {
            if let Some(slot) = self.table.get_mut(id) {
                slot.is_unflushed = false;
            }
            self.flush(id);
        }
    }

    /// Writes what one connection has, as far as its socket takes it.
    pub(super) fn flush(&mut self, id: RelayId) {
        let Some(slot) = self.table.get_mut(id) else {
            return;
        };
        let Buffers { scratch, key_stream, .. } = &mut self.buffers;
        if !slot.flush(key_stream, scratch) && slot.mark_ready() {
            self.ready.push_back(Waiting { id, since: Instant::now() });
        }
        if slot.mark_writable() {
            self.notices.push_writable(id);
        }
    }

    /// Takes a connection out and closes its socket. Its end is reported after the events that are there.
    pub(super) fn end(&mut self, id: RelayId, reason: DisconnectReason) {
        if let Some(slot) = self.table.get_mut(id) {
            let status = slot.status();
            self.end_with(id, reason, status);
        }
    }

    /// As [`end`](Self::end), with this as its final status.
    pub(super) fn end_with(&mut self, id: RelayId, reason: DisconnectReason, status: RelayStatus) {
        let Some(mut slot) = self.table.remove(id) else {
            return;
        };
        self.timers.cancel(id.index);
        if let Err(error) = self.poller.registry().deregister(&mut slot.stream) {
            log::warn!("relay {id}: the poller did not let go of its socket: {error}");
        }
        self.buffers.leftover.take_if(|leftover| leftover.id == id);
        log::debug!("relay {id}: {reason}");
        self.notices.push_end(id, reason, status);
    }
}

/// A ping id that no relay can know beforehand. (After a fork both processes draw the same ones. A relay that both are
/// connected to could foresee them, and gain nothing: a pong counts only once its ping has left.)
pub(super) fn ping_id() -> NonZeroU64 {
    rand::random()
}

#[cfg(test)]
mod tests;
