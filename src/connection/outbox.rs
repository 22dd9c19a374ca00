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
use crate::connection::queue::Queue;
use crate::connection::routes::MAX_ROUTES;
use crate::crypto::{Channel, LookAhead};
use crate::wire::frame::{self, MAX_FRAME, MAX_PLAINTEXT, OVERHEAD, PREFIX_LEN};
use crate::wire::{ConnectionId, Packet};

/// The most pongs that wait. An honest relay pings every 30 s, so one waits, or a few after a long stall.
const MAX_PONGS: usize = 32;

/// The most important packets that wait: a request or a disconnect notification for each route, a ping, the pongs.
const MAX_IMPORTANT: usize = MAX_ROUTES + 1 + MAX_PONGS;

// Half of a queue has room for any packet, which is when `Writable` is told.
const _: () = assert!(MIN_SEND_QUEUE / 2 >= 2 + MAX_PLAINTEXT);

/// See the module.
#[derive(Default)]
pub(super) struct Outbox {
    /// Bytes that must leave next: the rest of one sealed packet, at most [`MAX_FRAME`]; before there are packets, the
    /// hello or what a proxy is told, which may be secret.
    begun: Zeroizing<Vec<u8>>,
    /// At most [`MAX_IMPORTANT`].
    important: VecDeque<Packet<'static>>,
    /// How many of them are pongs. At most [`MAX_PONGS`].
    pongs: usize,
    /// At most `Settings::send_queue` bytes.
    queue: Queue,
    /// Whether a packet was refused since there was room last.
    refused: bool,
    /// Whether data were sent since the last [`shrink`](Self::shrink).
    used: bool,
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
        self.begun.is_empty() && self.important.is_empty() && self.queue.is_empty()
    }

    /// Bytes in the queue of data.
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Bytes that are no packet: the hello, or a message to a proxy. They leave before all packets.
    pub(super) fn push_raw(&mut self, bytes: &[u8]) {
        debug_assert!(self.important.is_empty() && self.queue.is_empty());
        // A vector that grows would leave what it held behind.
        let mut begun = Zeroizing::new(Vec::with_capacity(self.begun.len() + bytes.len()));
        begun.extend_from_slice(&self.begun);
        begun.extend_from_slice(bytes);
        self.begun = begun;
    }

    /// A packet that must not be lost.
    pub(super) fn push_important(&mut self, packet: Packet<'static>) {
        self.important.push_back(packet);
        debug_assert!(self.important.len() <= MAX_IMPORTANT);
    }

    /// As [`push_important`](Self::push_important), but as many as the relay likes to ask for.
    pub(super) fn push_pong(&mut self, pong: Packet<'static>) -> Result<(), TooManyPongs> {
        if self.pongs == MAX_PONGS {
            return Err(TooManyPongs);
        }
        self.pongs += 1;
        self.push_important(pong);
        Ok(())
    }

    /// A packet that may have to wait, or `false` and nothing of it where the queue holds more than `bound` bytes with it.
    pub(super) fn push(&mut self, packet: &Packet<'_>, bound: usize) -> bool {
        self.used = true;
        let taken = self.queue.push(packet, bound);
        self.refused |= !taken;
        taken
    }

    /// Forgets the data that wait for a route which is being closed.
    pub(super) fn remove(&mut self, route: ConnectionId) {
        self.queue.remove(route);
    }

    /// Whether a packet was refused and there is room for any packet now. True once for each time.
    pub(super) fn take_writable(&mut self, bound: usize) -> bool {
        self.refused && self.queue.len() <= bound / 2 && std::mem::take(&mut self.refused)
    }

    /// Writes until all has left or the socket takes no more. `scratch` holds the batches and has room for at least one
    /// packet; `left` sees each important packet that leaves. Without a `channel`, there are no packets.
    pub(super) fn flush(
        &mut self,
        mut channel: Option<&mut Channel>,
        ahead: &mut LookAhead,
        scratch: &mut [u8],
        mut write: impl FnMut(&[u8]) -> io::Result<usize>,
        mut left: impl FnMut(&Packet<'static>),
    ) -> io::Result<Flushed> {
        debug_assert!(scratch.len() >= MAX_FRAME);
        let mut flushed = Flushed { all: false, bytes: 0, packets: 0 };
        loop {
            let batch = match &channel {
                _ if !self.begun.is_empty() => &self.begun[..],
                Some(channel) => {
                    let len = self.seal_batch(channel, ahead, scratch);
                    &scratch[..len]
                }
                None => &[][..],
            };
            if batch.is_empty() {
                flushed.all = true;
                return Ok(flushed);
            }
            let taken = match write(batch) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(taken) => taken,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(flushed),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            flushed.bytes += taken;
            if self.begun.is_empty() {
                let count = self.commit(taken, scratch, &mut left);
                flushed.packets += count;
                if let Some(channel) = &mut channel {
                    channel.commit(count);
                }
            } else {
                self.begun.drain(..taken);
            }
        }
    }

    /// Seals as many packets into `scratch` as fit, important ones first, and tells the length of all.
    fn seal_batch(&self, channel: &Channel, ahead: &mut LookAhead, scratch: &mut [u8]) -> usize {
        let mut sealer = channel.sealer(ahead);
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
        let mut at = 0;
        while let Some(len) = self.queue.len_at(at)
            && let Some(frame) = scratch.get_mut(end..end + OVERHEAD + len)
        {
            at = self.queue.copy_at(at, &mut frame[OVERHEAD..]);
            frame::emit_prefix(frame);
            sealer.seal(&mut frame[PREFIX_LEN..]);
            end += frame.len();
        }
        end
    }

    /// Takes the packets out that `taken` bytes of the batch in `scratch` belong to, keeps the rest of the last one, and
    /// tells how many there were.
    fn commit(&mut self, taken: usize, scratch: &[u8], left: &mut impl FnMut(&Packet<'static>)) -> usize {
        let (mut end, mut count) = (0, 0);
        while end < taken {
            let len = match self.important.pop_front() {
                Some(packet) => {
                    self.pongs -= usize::from(matches!(packet, Packet::Pong(_)));
                    left(&packet);
                    packet.emitted_len()
                }
                None => self.queue.pop().expect("the batch was made of what waits here"),
            };
            end += OVERHEAD + len;
            count += 1;
        }
        self.begun.extend_from_slice(&scratch[taken..end]);
        count
    }

    /// Gives all memory back, unless data were sent since the last call: then they may go on.
    pub(super) fn shrink(&mut self) {
        if !std::mem::take(&mut self.used) && self.is_empty() {
            self.begun = Zeroizing::default();
            self.important = VecDeque::new();
            self.queue.shrink();
        }
    }

    /// The bytes that all buffers hold, used or not.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.begun.capacity() + self.important.capacity() * size_of::<Packet<'_>>() + self.queue.memory()
    }
}
