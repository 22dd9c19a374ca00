//! What is queued for sending, and the only place where packets are sealed and written.
//!
//! Three things are sent in this order: the rest of a packet that the socket took in part, important packets, data.
//! Packets are sealed in batches, and each batch is offered to the socket in one call. Packets that the socket does not
//! take stay here as plaintext and are sealed again later; important packets that were queued meanwhile are sent before
//! data. Only the rest of a packet that was sent in part is kept sealed, since its position on the stream is fixed.
//!
//! Data are sent only as far as the [`Window`] has room, with pings between them.

mod batch;
mod buffers;

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use crate::config::MIN_SEND_QUEUE;
use crate::connection::outbox::batch::{PING, Pings};
use crate::connection::outbox::buffers::Buffers;
use crate::connection::queue::LONGEST;
use crate::connection::routes::MAX_ROUTES;
use crate::connection::shared::Shared;
use crate::connection::window::{Answer, Window};
use crate::crypto::Channel;
use crate::wire::frame::MAX_FRAME;
use crate::wire::{Packet, RouteNumber};

/// The most pongs queued. An honest relay pings every 30 s, so one pong is queued, or a few after a long stall.
const MAX_PONGS: usize = 32;

/// The most important packets queued: a request or a disconnect notification for each route, a ping, and the pongs.
/// Pings between data are not queued, and there is no probe while a ping is.
const MAX_IMPORTANT: usize = MAX_ROUTES + 1 + MAX_PONGS;

/// The shortest batch: of the longest packet, and the ping that may have to follow it.
pub(super) const MIN_BATCH: usize = MAX_FRAME + PING;

/// The most times that the size of a batch is halved. A 16th of 64 KiB is still worth a system call.
const MAX_HALVINGS: u8 = 4;

// A route that is alone may use half of the queue: that has room for any packet.
const _: () = assert!(MIN_SEND_QUEUE / 2 >= LONGEST);

/// See the module. Its buffers are allocated when they are needed and freed by [`shrink`](Self::shrink), since most
/// connections are idle.
#[derive(Default)]
pub(super) struct Outbox {
    buffers: Option<Box<Buffers>>,
}

/// The relay pings faster than the pongs are sent.
pub(super) struct TooManyPongs;

/// What a flush needs besides the packets.
pub(super) struct FlushParameters<'a> {
    pub(super) now: Instant,
    /// The caller's bound of unconfirmed bytes.
    pub(super) window: Option<usize>,
    /// The id of the first ping between data; the others follow it.
    pub(super) ping: NonZeroU64,
    /// Holds the batches, and has room for at least [`MIN_BATCH`] bytes.
    pub(super) scratch: &'a mut [u8],
}

/// What a flush has written, also if it has failed then.
#[derive(Default)]
pub(super) struct Flushed {
    /// The bytes that the socket took.
    pub(super) bytes: usize,
    /// The packets of which it took at least the first byte.
    pub(super) packets: usize,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.buffers.as_ref().is_none_or(|buffers| buffers.is_empty())
    }

    /// Whether anything may be sent now. The caller bounds the unconfirmed bytes.
    pub(super) fn may_send(&self, bound: Option<usize>) -> bool {
        self.buffers.as_ref().is_some_and(|buffers| buffers.may_send(bound))
    }

    /// The bytes that were sent and that the relay has not confirmed.
    pub(super) fn unconfirmed(&self) -> usize {
        self.buffers.as_ref().map_or(0, |buffers| buffers.window.unconfirmed())
    }

    /// The most bytes that may be unconfirmed now.
    pub(super) fn window(&self, bound: Option<usize>) -> Option<usize> {
        match &self.buffers {
            Some(buffers) => buffers.window.size(bound),
            None => Window::default().size(bound),
        }
    }

    /// Whether a ping is queued.
    pub(super) fn has_ping(&self) -> bool {
        let is_ping = |packet: &Packet<'_>| matches!(packet, Packet::Ping(_));
        self.buffers.as_ref().is_some_and(|buffers| buffers.important.iter().any(is_ping))
    }

    /// Handles a pong: see [`Window::handle_pong`].
    pub(super) fn handle_pong(
        &mut self,
        now: Instant,
        id: NonZeroU64,
        smallest: Option<Duration>,
        bound: Option<usize>,
    ) -> Option<Answer> {
        self.buffers.as_mut().and_then(|buffers| buffers.window.handle_pong(now, id, smallest, bound))
    }

    /// See [`Window::handle_turn`].
    pub(super) fn handle_turn(&mut self, now: Instant, since: Instant) {
        if let Some(buffers) = &mut self.buffers {
            buffers.window.handle_turn(now, since);
        }
    }

    /// See [`Window::ping_at`].
    pub(super) fn ping_at(&self) -> Option<Instant> {
        self.buffers.as_ref().and_then(|buffers| buffers.window.ping_at())
    }

    /// Takes the ping that is due: see [`Window::begin_ping`].
    pub(super) fn begin_ping(&mut self, now: Instant, id: NonZeroU64) -> bool {
        let has_ping = self.has_ping();
        self.buffers.as_mut().is_some_and(|buffers| buffers.window.begin_ping(now, id, has_ping))
    }

    /// See [`Window::handle_network_changed`].
    pub(super) fn handle_network_changed(&mut self) {
        if let Some(buffers) = &mut self.buffers {
            buffers.window.handle_network_changed();
        }
    }

    /// Bytes in the data queue.
    pub(super) fn queued(&self) -> usize {
        self.buffers.as_ref().map_or(0, |buffers| buffers.queue.len())
    }

    /// Queues bytes that are not a packet. They are sent before all packets.
    pub(super) fn push_raw(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.buffers().begun.extend_from_slice(bytes);
        }
    }

    /// Queues a packet that must not be refused.
    pub(super) fn push_important(&mut self, packet: Packet<'static>) {
        let important = &mut self.buffers().important;
        important.push_back(packet);
        debug_assert!(important.len() <= MAX_IMPORTANT);
    }

    /// A new session begins on another transport: removes what was for the last one. Data stay queued.
    pub(super) fn restart(&mut self) {
        if let Some(buffers) = &mut self.buffers {
            buffers.begun.clear();
            buffers.important.clear();
            buffers.pongs = 0;
            buffers.window = Window::default();
        }
    }

    /// Queues the first ping, before the routing requests that were queued while the connection was opened.
    pub(super) fn push_first(&mut self, ping: Packet<'static>) {
        self.buffers().important.push_front(ping);
    }

    /// Queues a pong. Their number is limited, since the relay decides how many pings it sends.
    pub(super) fn push_pong(&mut self, pong: Packet<'static>) -> Result<(), TooManyPongs> {
        let pongs = &mut self.buffers().pongs;
        if *pongs == MAX_PONGS {
            return Err(TooManyPongs);
        }
        *pongs += 1;
        self.push_important(pong);
        Ok(())
    }

    /// Adds a packet to the data queue. Returns `false`, and adds nothing, if the queue has no room for it within
    /// `bound`, or if the share of its route is used up.
    pub(super) fn push(&mut self, packet: &Packet<'_>, bound: usize) -> bool {
        let buffers = self.buffers();
        buffers.used = true;
        buffers.queue.push(packet, bound)
    }

    /// Removes what is queued for a route. Returns how many bytes of data were removed.
    pub(super) fn remove(&mut self, route: RouteNumber) -> usize {
        self.buffers.as_mut().map_or(0, |buffers| buffers.queue.remove(route))
    }

    /// Removes what is queued for all routes.
    pub(super) fn remove_all_routes(&mut self) {
        if let Some(buffers) = &mut self.buffers {
            buffers.queue.remove_all_routes();
        }
    }

    /// Whether there is room again for packets that were refused: see [`Queue::take_writable`].
    pub(super) fn take_writable(&mut self, bound: usize) -> bool {
        self.buffers.as_mut().is_some_and(|buffers| buffers.queue.take_writable(bound))
    }

    /// Writes until everything is sent for which the window has room (`true`), or the socket takes no more (`false`).
    /// `sent` is called with each important packet that is sent, and with each ping between data.
    pub(super) fn flush(
        &mut self,
        channel: &mut Channel,
        shared: &mut Shared,
        parameters: FlushParameters<'_>,
        mut write: impl FnMut(&[u8]) -> io::Result<usize>,
        mut sent: impl FnMut(&Packet<'static>),
        flushed: &mut Flushed,
    ) -> io::Result<bool> {
        let FlushParameters { now, window, ping, scratch } = parameters;
        let mut pings = Pings { now, next: ping };
        let Some(buffers) = &mut self.buffers else {
            return Ok(true);
        };
        loop {
            let room = (scratch.len() >> buffers.halvings).max(MIN_BATCH);
            let begun = !buffers.begun.is_empty();
            let batch = if begun {
                &buffers.begun[..]
            } else {
                let len = buffers.seal_batch(channel, shared, &mut scratch[..room], window, pings.next);
                &scratch[..len]
            };
            if batch.is_empty() {
                if !buffers.queue.is_empty() {
                    buffers.window.handle_full(now, pings.next, window);
                }
                return Ok(true);
            }
            let offered = batch.len();
            let written = write(batch);
            let taken = *written.as_ref().unwrap_or(&0);
            flushed.bytes += taken;
            if begun {
                buffers.begun.drain(..taken);
            } else {
                let count = buffers.commit(taken, scratch, &mut shared.counters, &mut pings, &mut sent);
                flushed.packets += count;
                channel.commit(count);
            }
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
            // What was sealed and not taken has to be sealed again: smaller batches waste less.
            if !begun && taken < offered / 2 {
                buffers.halvings = (buffers.halvings + 1).min(MAX_HALVINGS);
            } else if !begun && taken == offered {
                buffers.halvings = buffers.halvings.saturating_sub(1);
            }
            if taken == 0 {
                return Ok(false);
            }
        }
    }

    /// Frees all memory if nothing is queued, everything is confirmed, no data were sent since the last call (more may
    /// follow them), and no room is still to be reported.
    pub(super) fn shrink(&mut self) {
        self.buffers.take_if(|buffers| {
            let used = std::mem::take(&mut buffers.used);
            let is_idle = buffers.is_empty() && buffers.window.unconfirmed() == 0;
            !used && is_idle && !buffers.queue.has_refused()
        });
    }

    fn buffers(&mut self) -> &mut Buffers {
        // An idle connection has one packet at a time: its ping, or a pong.
        let new = || Box::new(Buffers { important: VecDeque::with_capacity(1), ..Buffers::default() });
        self.buffers.get_or_insert_with(new)
    }

    /// The bytes allocated for all buffers, used or not.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.buffers.as_ref().map_or(0, |buffers| {
            size_of::<Buffers>()
                + buffers.begun.capacity()
                + buffers.important.capacity() * size_of::<Packet<'_>>()
                + buffers.queue.memory()
                + buffers.window.memory()
        })
    }
}
