//! Packets that keep their order: those of one route, or all those without a route.

use crate::connection::queue::pages::{Cursor, Pages};
use crate::wire::frame::{MAX_FRAME, OVERHEAD};
use crate::wire::{Packet, RouteNumber};

/// The length field of each packet in the queue, in bytes.
pub(super) const LENGTH: usize = 2;

/// The credit that each turn adds, in bytes on the stream, so that flows get equal shares whatever the size of their
/// packets. It is enough for the longest packet.
pub(super) const QUANTUM: usize = MAX_FRAME;

/// A flow that has packets, each as `length (2) | plaintext`.
#[derive(Clone, Copy)]
pub(super) struct Flow {
    pub(super) route: Option<RouteNumber>,
    /// Bytes in use, including length fields.
    len: usize,
    packets: usize,
    /// The bytes that the flow may send in its turn: enough for its first packet, and less than two quanta.
    credit: usize,
    /// The length of the first packet.
    first: usize,
    /// Where the plaintext of the first packet begins.
    start: Cursor,
    /// Where the last packet ends.
    end: Cursor,
}

/// Whether a flow may send more after a packet was taken.
#[derive(PartialEq, Eq)]
pub(super) enum Turn {
    Continues,
    /// Its credit does not cover the next packet.
    Over,
    /// It has no more packets.
    Empty,
}

impl Flow {
    /// A new flow with its first packet.
    pub(super) fn new(
        route: Option<RouteNumber>,
        packet: &Packet<'_>,
        len: usize,
        pages: &mut Pages,
    ) -> Self {
        let start = pages.begin();
        let mut flow = Self { route, len: 0, packets: 0, credit: QUANTUM, first: 0, start, end: start };
        flow.push(packet, len, pages);
        flow.read_length(pages);
        flow
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The bytes of data: without length fields and kinds.
    pub(super) fn data_len(&self) -> usize {
        self.len - self.packets * (LENGTH + 1)
    }

    /// The length of the first packet.
    pub(super) fn first(&self) -> usize {
        self.first
    }

    /// Adds a packet of this length at the end.
    pub(super) fn push(&mut self, packet: &Packet<'_>, len: usize, pages: &mut Pages) {
        let prefix = (len as u16).to_be_bytes();
        if let Some(room) = pages.write_at_once(&mut self.end, LENGTH + len) {
            let (length, plaintext) = room.split_at_mut(LENGTH);
            length.copy_from_slice(&prefix);
            packet.emit(plaintext);
        } else {
            pages.write(&mut self.end, &prefix);
            packet.emit_pieces(|piece| pages.write(&mut self.end, piece));
        }
        self.len += LENGTH + len;
        self.packets += 1;
    }

    /// Takes the first packet; `plaintext` has its length.
    pub(super) fn take(&mut self, plaintext: &mut [u8], pages: &mut Pages) -> Turn {
        pages.read(&mut self.start, plaintext);
        self.advance(pages)
    }

    /// As [`take`](Self::take), for a packet that was read before: skips its plaintext.
    pub(super) fn take_again(&mut self, pages: &mut Pages) -> Turn {
        pages.skip(&mut self.start, self.first);
        self.advance(pages)
    }

    fn advance(&mut self, pages: &mut Pages) -> Turn {
        self.len -= LENGTH + self.first;
        self.credit -= OVERHEAD + self.first;
        self.packets -= 1;
        if self.packets == 0 {
            pages.finish(self.end);
            return Turn::Empty;
        }
        self.read_length(pages);
        if self.credit >= OVERHEAD + self.first {
            return Turn::Continues;
        }
        self.credit += QUANTUM;
        Turn::Over
    }

    /// Frees all pages of the flow.
    pub(super) fn free(&self, pages: &mut Pages) {
        pages.free(self.start, self.end);
    }

    fn read_length(&mut self, pages: &mut Pages) {
        self.first = u16::from_be_bytes(pages.read_pair(&mut self.start)).into();
    }
}
