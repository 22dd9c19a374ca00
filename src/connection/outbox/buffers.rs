//! The buffers of a connection that has something to send: sealing from them, and removing what was sent.

use std::collections::VecDeque;
use std::num::NonZeroU64;

use zeroize::Zeroizing;

use crate::connection::outbox::batch::{Batch, PING, Pings, following};
use crate::connection::queue::Queue;
use crate::connection::shared::{Counters, Shared};
use crate::connection::window::{Place, Window};
use crate::crypto::Channel;
use crate::wire::Packet;
use crate::wire::frame::{self, OVERHEAD};

/// What the outbox allocates while anything is queued or unconfirmed. See the module of the outbox.
#[derive(Default)]
pub(super) struct Buffers {
    /// Bytes that must be sent next: the rest of one sealed packet, at most `MAX_FRAME` bytes. At first: what the
    /// opening has not written, which may contain secrets of a proxy.
    pub(super) begun: Zeroizing<Vec<u8>>,
    /// At most `MAX_IMPORTANT`.
    pub(super) important: VecDeque<Packet<'static>>,
    /// How many of the important packets are pongs. At most `MAX_PONGS`.
    pub(super) pongs: usize,
    /// At most `Settings::send_queue` bytes.
    pub(super) queue: Queue,
    /// What was sent and is not confirmed.
    pub(super) window: Window,
    /// Whether data were sent, or refused, since the last `Outbox::shrink`.
    pub(super) used: bool,
    /// How many times the size of a batch is halved: a socket that takes few bytes at a time is offered few.
    pub(super) halvings: u8,
}

impl Buffers {
    pub(super) fn is_empty(&self) -> bool {
        self.begun.is_empty() && self.important.is_empty() && self.queue.is_empty()
    }

    /// Whether [`seal_batch`](Self::seal_batch) finds anything to send.
    pub(super) fn may_send(&self, bound: Option<usize>) -> bool {
        let window = &self.window;
        let may_be_next = |len| {
            OVERHEAD + len <= window.room(bound)
                || window.unpinged() >= window.spacing(Place::Full, false, bound)
        };
        !self.begun.is_empty() || !self.important.is_empty() || self.queue.next_len().is_some_and(may_be_next)
    }

    /// Seals as many packets into `scratch` as fit: important ones first, then data for which the window has room, with
    /// pings between them, of which `ping` is the first. Returns the length of all frames together.
    pub(super) fn seal_batch(
        &mut self,
        channel: &Channel,
        shared: &mut Shared,
        scratch: &mut [u8],
        bound: Option<usize>,
        mut ping: NonZeroU64,
    ) -> usize {
        let Shared { key_stream, counters } = shared;
        counters.begin_batch(scratch.len());
        let mut batch = Batch { sealer: channel.sealer(key_stream), counters, scratch, end: 0 };
        for packet in &self.important {
            if !batch.add(packet.emitted_len(), usize::MAX, |plaintext| packet.emit(plaintext)) {
                return batch.end;
            }
        }
        let data_end = self.window.room(bound); // counted from the start of the batch
        let mut spacing = Place::ALL.map(|place| self.window.spacing(place, false, bound));
        let (mut pinged, mut unpinged_before) = (0_usize, self.window.unpinged());
        let important_end = batch.end;
        let limit = data_end.min(batch.scratch.len() - PING); // a ping that is due is in the same batch
        loop {
            let ping_at =
                |place| pinged.saturating_add(spacing[place as usize]).saturating_sub(unpinged_before);
            while batch.end < ping_at(Place::Between)
                && let Some(len) = self.queue.next_len()
                && batch.add(len, limit, |plaintext| self.queue.take(plaintext))
            {}
            let place = match self.queue.next_len() {
                None if batch.end == important_end => break,
                None => Place::End,
                Some(len) if batch.end + OVERHEAD + len > data_end => Place::Full,
                Some(_) => Place::Between,
            };
            if batch.end < ping_at(place) {
                break;
            }
            let packet = Packet::Ping(ping);
            if !batch.add(packet.emitted_len(), usize::MAX, |plaintext| packet.emit(plaintext)) {
                break;
            }
            ping = following(ping);
            (pinged, unpinged_before) = (batch.end, 0);
            spacing = Place::ALL.map(|place| self.window.spacing(place, true, bound));
        }
        batch.end
    }

    /// Removes the packets of the batch in `scratch` of which at least one byte is among the first `taken`, and keeps
    /// the unsent bytes of the last one. Returns how many packets were removed; the others stay queued.
    pub(super) fn commit(
        &mut self,
        taken: usize,
        scratch: &[u8],
        counters: &mut Counters,
        pings: &mut Pings,
        sent: &mut impl FnMut(&Packet<'static>),
    ) -> usize {
        let (mut end, mut count, mut from_queue) = (0, 0, 0);
        while end < taken {
            let len = frame::emitted_len(&scratch[end..]);
            self.window.handle_sent(len);
            match self.important.pop_front() {
                Some(packet) => {
                    self.pongs -= usize::from(matches!(packet, Packet::Pong(_)));
                    if let Packet::Ping(id) = packet {
                        self.window.handle_ping_sent(pings.now, id);
                    }
                    sent(&packet);
                }
                None if counters.is_ping(count) => {
                    let id = pings.next;
                    pings.next = following(id);
                    self.window.handle_ping_sent(pings.now, id);
                    sent(&Packet::Ping(id));
                }
                None => from_queue += 1,
            }
            counters.count_sent(count, len);
            end += len;
            count += 1;
        }
        self.queue.commit(from_queue);
        self.begun.extend_from_slice(&scratch[taken..end]);
        count
    }
}
