//! What the loop does: it waits for sockets and deadlines, reads, looks at the time, writes, and tells.

use std::io::{self, Read, Write};
use std::num::NonZeroU64;
use std::ops::Range;
use std::time::{Duration, Instant};

use slab::Slab;

use crate::client::{BUFFER_LEN, Client, Notice, READINESS, Slot, WAKER};
use crate::error::{DisconnectReason, Stage};
use crate::event::{Event, Events};
use crate::id::RelayId;

/// No tick: the connection is not in the wheel.
const NEVER: u64 = u64::MAX;

/// Whether a read that was given less than it has room for has emptied its socket, and what comes later will be told by
/// the poller: so it is with epoll (its manual page says so) and kqueue. Elsewhere only a read that would block has mio
/// watch the socket again.
#[allow(unexpected_cfgs, reason = "mio's own: it can be made to use poll(2)")]
const EMPTY_BEHIND_A_SHORT_READ: bool = cfg!(all(
    any(
        target_os = "linux",
        target_os = "android",
        target_os = "macos",
        target_os = "ios",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
        target_os = "dragonfly",
    ),
    not(mio_unsupported_force_poll_poll),
));

/// Input of one connection that is still to be handled: a range of `Client::read_buffer`.
pub(super) struct Leftover {
    relay: RelayId,
    range: Range<usize>,
}

impl Client {
    /// Sends what is queued, waits until something happens, and puts what it was into `events`, whose former content is
    /// forgotten. With a timeout it waits no longer than that: zero doesn't wait at all, `None` waits without end.
    ///
    /// Pings, answers and other work of the library's own don't end the wait. A signal and a [`Waker`](crate::Waker) do,
    /// without events and without an error, so that a program can look at what its handler noted. The wait ends without
    /// events, too, when the time is up.
    ///
    /// A program that comes late misses nothing: what has arrived is read before anyone is found to be late.
    ///
    /// # Errors
    ///
    /// What the operating system says when it can't wait. Connections don't make `poll` fail: they end with
    /// [`Disconnected`](Event::Disconnected).
    pub fn poll(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.clear();
        self.ended.clear();
        let mut now = Instant::now();
        let until = timeout.and_then(|timeout| now.checked_add(timeout));
        self.flush_dirty();
        loop {
            let time_left = until.map(|until| until.saturating_duration_since(now));
            let wait = [time_left, self.next_timeout()].into_iter().flatten().min();
            let interrupted = self.wait(wait)?;
            now = Instant::now();
            self.work(now, events);
            if !events.is_empty() || interrupted || until.is_some_and(|until| until <= now) {
                return Ok(());
            }
        }
    }

    /// Sends what is queued now, and not only when [`poll`](Self::poll) is called next. What the sockets don't take
    /// stays queued; what fails is told by `poll`.
    pub fn flush(&mut self) {
        self.flush_dirty();
    }

    /// Whether there is something to do that no socket and no deadline will tell of.
    pub(super) fn has_work(&self) -> bool {
        self.leftover.is_some()
            || !self.attention.is_empty()
            || !self.dirty.is_empty()
            || !self.notices.is_empty()
    }

    /// Learns which sockets are ready; waits for the first of them. `true` if a signal or a waker ended the wait.
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        let mut timeout = timeout;
        let mut interrupted = false;
        // Until every ready socket has been reported, so that no relay is judged late while its answer is unread. Some
        // systems report reading and writing one by one.
        for _ in 0..=2 * self.slots.len() / READINESS {
            match self.poller.poll(&mut self.readiness, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
                Err(error) => return Err(error),
            }
            let mut count = 0;
            for event in &self.readiness {
                count += 1;
                interrupted |= event.token() == WAKER;
                let Some(slot) = self.slots.get_mut(event.token().0) else {
                    continue;
                };
                let relay = slot.connection.id();
                if event.is_writable() {
                    slot.writable = slot.connection.stage() != Stage::Connecting;
                    if slot.writable && slot.connection.has_output() && !slot.dirty {
                        slot.dirty = true;
                        self.dirty.push(relay);
                    }
                }
                slot.ending |= event.is_read_closed() || event.is_error();
                let input = event.is_readable() || slot.ending;
                slot.readable |= input;
                if (input || slot.connection.stage() == Stage::Connecting) && !slot.attentive {
                    slot.attentive = true;
                    self.attention.push_back(relay);
                }
            }
            if count < READINESS {
                break;
            }
            timeout = Some(Duration::ZERO);
        }
        Ok(interrupted)
    }

    /// One turn. Input comes before the time, so that nobody is late whose answer has arrived.
    fn work(&mut self, now: Instant, events: &mut Events) {
        // Notices and input can each fill `events`, and neither may always be first.
        self.notices_first = !self.notices_first;
        if self.notices_first {
            self.tell_notices(events);
        }
        if let Some(Leftover { relay, range }) = self.leftover.take() {
            self.receive(relay, range, now, events);
        }
        for _ in 0..self.attention.len() {
            if self.leftover.is_some() || !events.has_room() {
                break;
            }
            let Some(relay) = self.attention.pop_front() else {
                break;
            };
            self.attend(relay, now, events);
        }
        self.handle_deadlines(now);
        self.flush_dirty();
        self.tell_notices(events);
    }

    /// Gives one connection its turn: reads once, and once more where that may not have been all.
    fn attend(&mut self, relay: RelayId, now: Instant, events: &mut Events) {
        let Some(slot) = find(&mut self.slots, relay) else {
            return;
        };
        slot.attentive = false;
        if slot.connection.stage() == Stage::Connecting && !self.finish_connecting(relay, now) {
            return;
        }
        let mut budget = BUFFER_LEN;
        for _ in 0..2 {
            let Some(slot) = find(&mut self.slots, relay) else {
                return;
            };
            if !slot.may_read() {
                return;
            }
            match slot.stream.read(&mut self.read_buffer[..budget]) {
                Ok(0) => {
                    // A reset that a write has met reads as a clean end.
                    let reset = slot.broken.as_deref().filter(|reason| is_reset(reason));
                    let reason = reset.copied().unwrap_or(DisconnectReason::Closed(slot.connection.stage()));
                    return self.end(relay, reason);
                }
                Ok(len) => {
                    slot.readable = len == budget || slot.ending || !EMPTY_BEHIND_A_SHORT_READ;
                    budget -= len;
                    self.receive(relay, 0..len, now, events);
                    if budget == 0 || self.leftover.is_some() || !events.has_room() {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    slot.readable = false;
                    if let Some(reason) = slot.broken.as_deref().copied() {
                        self.end(relay, reason);
                    }
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let reason = failed(slot, &error);
                    return self.end(relay, reason);
                }
            }
        }
        // It may have more, and gets its next turn behind the others.
        if let Some(slot) = find(&mut self.slots, relay)
            && slot.may_read()
        {
            slot.attentive = true;
            self.attention.push_back(relay);
        }
    }

    /// Looks how the connecting of a socket went. `true` if it is there now.
    fn finish_connecting(&mut self, relay: RelayId, now: Instant) -> bool {
        let Some(slot) = find(&mut self.slots, relay) else {
            return false;
        };
        let result = match slot.stream.peer_addr() {
            // Not connected yet, or never: the socket knows which.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => match slot.stream.take_error() {
                Ok(Some(error)) | Err(error) => Err(error),
                Ok(None) => Err(error),
            },
            result => result,
        };
        match result {
            Ok(_) => {
                // Packets are put together here, not in the kernel. If this fails the socket is already dead, and the
                // next read says why.
                if let Err(error) = slot.stream.set_nodelay(true) {
                    log::debug!("relay {relay}: no TCP_NODELAY: {error}");
                }
                slot.connection.handle_connected(now);
                slot.writable = true;
                log::trace!("relay {relay}: TCP is there");
                self.settle(relay);
                true
            }
            // The poller woke us for nothing.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => false,
            Err(error) => {
                let reason = failed(slot, &error);
                self.end(relay, reason);
                false
            }
        }
    }

    /// Hands a range of `read_buffer` to a connection, and remembers what it leaves over.
    fn receive(&mut self, relay: RelayId, range: Range<usize>, now: Instant, events: &mut Events) {
        let Some(slot) = find(&mut self.slots, relay) else {
            return;
        };
        match slot.connection.receive(now, &mut self.read_buffer[range.clone()], &mut self.ahead, events) {
            Ok(taken) => {
                if taken < range.len() {
                    self.leftover = Some(Leftover { relay, range: range.start + taken..range.end });
                }
                self.settle(relay);
            }
            Err(reason) => self.end(relay, reason),
        }
    }

    fn handle_deadlines(&mut self, now: Instant) {
        let ticks = now.saturating_duration_since(self.epoch).as_millis() as u64;
        while let Some(index) = self.wheel.pop_due(ticks) {
            let Some(slot) = self.slots.get_mut(index as usize) else {
                continue;
            };
            let relay = slot.connection.id();
            let has_leftover = self.leftover.as_ref().is_some_and(|leftover| leftover.relay == relay);
            if !slot.attentive && slot.stream.peek(&mut [0]).is_ok_and(|len| len > 0) {
                // A read stops short in front of urgent data, too, and no poller tells of what lies behind them.
                (slot.attentive, slot.readable) = (true, true);
                self.attention.push_back(relay);
            }
            let unread = slot.attentive || has_leftover;
            let result = slot.connection.handle_timeout(now, unread, ping_id());
            slot.scheduled = NEVER;
            let broken = slot.broken.as_deref().copied();
            match result {
                Ok(()) => self.settle(relay),
                Err(reason) => self.end(relay, broken.unwrap_or(reason)),
            }
        }
    }

    fn flush_dirty(&mut self) {
        while let Some(relay) = self.dirty.pop() {
            self.flush_one(relay);
        }
    }

    /// Writes what a connection has, as far as its socket takes it.
    pub(super) fn flush_one(&mut self, relay: RelayId) {
        let Some(slot) = find(&mut self.slots, relay) else {
            return;
        };
        slot.dirty = false;
        if slot.writable && slot.broken.is_none() {
            // Now, and not when the turn began: the round trip of a ping is counted from here.
            let (now, stream) = (Instant::now(), &mut slot.stream);
            let write = |bytes: &[u8]| stream.write(bytes);
            match slot.connection.flush(now, &mut self.ahead, &mut self.write_buffer, write) {
                Ok(all) => slot.writable = all,
                Err(error) => {
                    // What the relay sent before may tell more, and must not be lost.
                    slot.broken = Some(Box::new(failed(slot, &error)));
                    if !std::mem::replace(&mut slot.attentive, true) {
                        self.attention.push_back(relay);
                    }
                }
            }
        }
        if slot.connection.take_writable() && !std::mem::replace(&mut slot.noticed, true) {
            self.notices.push_back(Notice::Writable(relay));
        }
    }

    /// Draws the conclusions when something happened to a connection: its deadline may be another one, and it may have
    /// something to write.
    fn settle(&mut self, relay: RelayId) {
        let Some(slot) = find(&mut self.slots, relay) else {
            return;
        };
        let scheduled = tick(self.epoch, slot.connection.deadline());
        if slot.scheduled != scheduled {
            slot.scheduled = scheduled;
            self.wheel.schedule(relay.index, scheduled);
        }
        if slot.connection.has_output() {
            self.mark_dirty(relay);
        }
    }

    /// Takes a connection out and closes its socket. Its end is told behind the events that are there.
    pub(super) fn end(&mut self, relay: RelayId, reason: DisconnectReason) {
        let status = self.slots[relay.index as usize].status(&self.identity);
        let mut slot = self.slots.remove(relay.index as usize);
        self.wheel.cancel(relay.index);
        self.shared_keys.remove(&slot.shared_key);
        if let Err(error) = self.poller.registry().deregister(&mut slot.stream) {
            log::warn!("relay {relay}: the poller did not let go of its socket: {error}");
        }
        log::debug!("relay {relay}: {reason}");
        self.notices.push_back(Notice::Ended(relay, reason, Box::new(status)));
    }

    fn tell_notices(&mut self, events: &mut Events) {
        while events.has_room()
            && let Some(notice) = self.notices.pop_front()
        {
            match notice {
                Notice::Ended(relay, reason, status) => {
                    self.ended.push((relay, status));
                    events.push(Event::Disconnected { relay, reason });
                }
                Notice::Writable(relay) => {
                    // A connection that has ended meanwhile has nothing to be written to.
                    if let Some(slot) = find(&mut self.slots, relay) {
                        slot.noticed = false;
                        events.push(Event::Writable { relay });
                    }
                }
            }
        }
    }
}

pub(super) fn find(slots: &mut Slab<Slot>, relay: RelayId) -> Option<&mut Slot> {
    slots.get_mut(relay.index as usize).filter(|slot| slot.connection.id() == relay)
}

/// Why a connection ends whose socket failed.
fn failed(slot: &Slot, error: &io::Error) -> DisconnectReason {
    let stage = slot.connection.stage();
    match error.kind() {
        io::ErrorKind::ConnectionRefused if stage == Stage::Connecting => DisconnectReason::Refused,
        kind => DisconnectReason::Transport { stage, kind, code: error.raw_os_error() },
    }
}

fn is_reset(reason: &DisconnectReason) -> bool {
    matches!(reason, DisconnectReason::Transport { kind: io::ErrorKind::ConnectionReset, .. })
}

/// The first tick that isn't before an instant: to the nanosecond, or a deadline would be due before it has come, and
/// then again and again.
pub(super) fn tick(epoch: Instant, instant: Instant) -> u64 {
    instant.saturating_duration_since(epoch).as_nanos().div_ceil(1_000_000) as u64
}

/// A ping id that no relay can know beforehand. (After a fork both processes draw the same ones. A relay that both are
/// connected to could foresee them, and gain nothing: a pong counts only once its ping has left.)
pub(super) fn ping_id() -> NonZeroU64 {
    rand::random()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An idle connection is this, its socket, and an entry in each of the tables.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn an_idle_connection_takes_few_bytes() {
        assert!(size_of::<Slot>() <= 520, "{}", size_of::<Slot>());
        assert!(size_of::<crate::connection::Connection>() <= 400);
    }

    #[test]
    fn a_tick_is_never_before_its_instant() {
        let epoch = Instant::now();
        let ticks = |nanos| tick(epoch, epoch + Duration::from_nanos(nanos));
        assert_eq!([0, 1, 999, 999_999, 1_000_000].map(ticks), [0, 1, 1, 1, 1]);
        assert_eq!([1_000_001, 5_000_000, 5_000_500].map(ticks), [2, 5, 6]);
    }
}
