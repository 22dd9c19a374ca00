//! What waits to leave, and the one place where packets are sealed and written.
//!
//! Three things leave in this order: the rest of a packet that the socket took in part, important packets, data. A batch
//! of them is sealed and offered to the socket in one call; what it does not take stays here as plaintext, to be sealed
//! again behind whatever has become more important since. Only the rest of a packet begun is kept sealed, since its
//! place on the stream is certain.

use std::collections::VecDeque;
use std::io;

use zeroize::Zeroizing;

use crate::config::MIN_SEND_QUEUE;
use crate::connection::queue::{LONGEST, Queue};
use crate::connection::routes::MAX_ROUTES;
use crate::crypto::{Channel, KeyStream};
use crate::wire::frame::{self, MAX_FRAME, OVERHEAD, PREFIX_LEN};
use crate::wire::{ConnectionId, Packet};

/// The most pongs that wait. An honest relay pings every 30 s, so one waits, or a few after a long stall.
const MAX_PONGS: usize = 32;

/// The most important packets that wait: a request or a disconnect notification for each route, a ping, the pongs.
const MAX_IMPORTANT: usize = MAX_ROUTES + 1 + MAX_PONGS;

/// A batch of a 16th of 64 KiB is still worth a system call.
const MAX_HALVINGS: u8 = 4;

// Half of a queue, the share of a route that is alone, has room for any packet.
const _: () = assert!(MIN_SEND_QUEUE / 2 >= LONGEST);

/// See the module. While nothing waits, it takes few bytes: most connections are idle.
#[derive(Default)]
pub(super) struct Outbox {
    waiting: Option<Box<Waiting>>,
    /// Whether data were sent since the last [`shrink`](Self::shrink).
    used: bool,
    /// A socket that takes little at a time is offered little: this often the room for a batch is halved.
    halvings: u8,
}

#[derive(Default)]
struct Waiting {
    /// Bytes that must leave next: the rest of one sealed packet, at most [`MAX_FRAME`]; before there are packets, the
    /// hello or what a proxy is told, which may be secret.
    begun: Zeroizing<Vec<u8>>,
    /// At most [`MAX_IMPORTANT`].
    important: VecDeque<Packet<'static>>,
    /// How many of them are pongs. At most [`MAX_PONGS`].
    pongs: usize,
    /// At most `Settings::send_queue` bytes.
    queue: Queue,
}

/// The relay pings faster than the answers leave.
pub(super) struct TooManyPongs;

/// What became of a flush.
pub(super) struct Flushed {
    /// Whether the socket took all there was; if not, it is full.
    pub(super) all: bool,
    /// The bytes it took.
    pub(super) bytes: usize,
    /// The packets of which it took at least the first byte.
    pub(super) packets: usize,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.as_ref().is_none_or(|waiting| waiting.is_empty())
    }

    /// Bytes in the queue of data.
    pub(super) fn queued(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.queue.len())
    }

    /// Bytes that are no packet: the hello, or a message to a proxy. They leave before all packets.
    pub(super) fn push_raw(&mut self, bytes: &[u8]) {
        let waiting = self.waiting();
        debug_assert!(waiting.important.is_empty() && waiting.queue.is_empty());
        // A vector that grows would leave what it held behind.
        let mut begun = Zeroizing::new(Vec::with_capacity(waiting.begun.len() + bytes.len()));
        begun.extend_from_slice(&waiting.begun);
        begun.extend_from_slice(bytes);
        waiting.begun = begun;
    }

    /// A packet that must not be lost.
    pub(super) fn push_important(&mut self, packet: Packet<'static>) {
        let important = &mut self.waiting().important;
        important.push_back(packet);
        debug_assert!(important.len() <= MAX_IMPORTANT);
    }

    /// As [`push_important`](Self::push_important), but as many as the relay likes to ask for.
    pub(super) fn push_pong(&mut self, pong: Packet<'static>) -> Result<(), TooManyPongs> {
        let pongs = &mut self.waiting().pongs;
        if *pongs == MAX_PONGS {
            return Err(TooManyPongs);
        }
        *pongs += 1;
        self.push_important(pong);
        Ok(())
    }

    /// A packet that may have to wait, or `false` and nothing of it if the queue has no room for it within `bound`, or the
    /// share of its route is used up.
    pub(super) fn push(&mut self, packet: &Packet<'_>, bound: usize) -> bool {
        self.used = true;
        self.waiting().queue.push(packet, bound)
    }

    /// Removes what is queued for a route. Returns how many bytes of data that were.
    pub(super) fn remove(&mut self, route: ConnectionId) -> usize {
        self.waiting.as_mut().map_or(0, |waiting| waiting.queue.remove(route))
    }

    /// Removes what is queued for all routes.
    pub(super) fn remove_all_routes(&mut self) {
        if let Some(waiting) = &mut self.waiting {
            waiting.queue.remove_all_routes();
        }
    }

    /// Whether packets were refused that would be taken now: see [`Queue::take_writable`].
    pub(super) fn take_writable(&mut self, bound: usize) -> bool {
        self.waiting.as_mut().is_some_and(|waiting| waiting.queue.take_writable(bound))
    }

    /// Writes until all has left or the socket takes no more. `scratch` holds the batches and has room for at least one
    /// packet; `left` sees each important packet that leaves. Without a `channel`, there are no packets.
    pub(super) fn flush(
        &mut self,
        mut channel: Option<&mut Channel>,
        key_stream: &mut KeyStream,
        scratch: &mut [u8],
        mut write: impl FnMut(&[u8]) -> io::Result<usize>,
        mut left: impl FnMut(&Packet<'static>),
    ) -> io::Result<Flushed> {
        debug_assert!(scratch.len() >= MAX_FRAME);
        let mut flushed = Flushed { all: false, bytes: 0, packets: 0 };
        let Some(waiting) = &mut self.waiting else {
            return Ok(Flushed { all: true, ..flushed });
        };
        loop {
            let room = (scratch.len() >> self.halvings).max(MAX_FRAME);
            let begun = !waiting.begun.is_empty();
            let batch = match &channel {
                _ if begun => &waiting.begun[..],
                Some(channel) => {
                    let len = waiting.seal_batch(channel, key_stream, &mut scratch[..room]);
                    &scratch[..len]
                }
                None => &[][..],
            };
            if batch.is_empty() {
                flushed.all = true;
                return Ok(flushed);
            }
            let offered = batch.len();
            let written = write(batch);
            let taken = *written.as_ref().unwrap_or(&0);
            flushed.bytes += taken;
            if begun {
                waiting.begun.drain(..taken);
            } else {
                let count = waiting.commit(taken, scratch, &mut left);
                flushed.packets += count;
                if let Some(channel) = &mut channel {
                    channel.commit(count);
                }
            }
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
            // What was sealed and not taken will be sealed again.
            if !begun && taken < offered / 2 {
                self.halvings = (self.halvings + 1).min(MAX_HALVINGS);
            } else if !begun && taken == offered {
                self.halvings = self.halvings.saturating_sub(1);
            }
            if taken == 0 {
                return Ok(flushed);
            }
        }
    }

    /// Gives all memory back, unless data were sent since the last call: then they may go on. Whoever is to be told of
    /// room is not forgotten.
    pub(super) fn shrink(&mut self) {
        let used = std::mem::take(&mut self.used);
        self.waiting.take_if(|waiting| !used && waiting.is_empty() && !waiting.queue.has_refused());
    }

    fn waiting(&mut self) -> &mut Waiting {
        self.waiting.get_or_insert_default()
    }

    /// The bytes that all buffers hold, used or not.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| {
            size_of::<Waiting>()
                + waiting.begun.capacity()
                + waiting.important.capacity() * size_of::<Packet<'_>>()
                + waiting.queue.memory()
        })
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.begun.is_empty() && self.important.is_empty() && self.queue.is_empty()
    }

    /// Seals as many packets into `scratch` as fit, important ones first, and tells the length of all.
    fn seal_batch(&mut self, channel: &Channel, key_stream: &mut KeyStream, scratch: &mut [u8]) -> usize {
        let mut sealer = channel.sealer(key_stream);
        let mut end = 0;
        for packet in &self.important {
            let Some(frame) = scratch.get_mut(end..end + OVERHEAD + packet.emitted_len()) else {
                return end;
            };
            packet.emit(&mut frame[OVERHEAD..]);
            frame::emit_prefix(frame);
            sealer.seal(&mut frame[PREFIX_LEN..]);
            end += frame.len();
        }
        while let Some(len) = self.queue.next_len()
            && let Some(frame) = scratch.get_mut(end..end + OVERHEAD + len)
        {
            self.queue.take(&mut frame[OVERHEAD..]);
            frame::emit_prefix(frame);
            sealer.seal(&mut frame[PREFIX_LEN..]);
            end += frame.len();
        }
        end
    }

    /// Takes the packets out that `taken` bytes of the batch in `scratch` belong to, keeps the rest of the last one, and
    /// tells how many there were. The others of the batch stay.
    fn commit(&mut self, taken: usize, scratch: &[u8], left: &mut impl FnMut(&Packet<'static>)) -> usize {
        let (mut end, mut count, mut from_queue) = (0, 0, 0);
        while end < taken {
            match self.important.pop_front() {
                Some(packet) => {
                    self.pongs -= usize::from(matches!(packet, Packet::Pong(_)));
                    left(&packet);
                }
                None => from_queue += 1,
            }
            end += frame::emitted_len(&scratch[end..]);
            count += 1;
        }
        self.queue.commit(from_queue);
        self.begun.extend_from_slice(&scratch[taken..end]);
        count
    }
}
