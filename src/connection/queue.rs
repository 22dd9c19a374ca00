//! The queue of data, OOB, onion and forward packets. They are kept as plaintexts until they are sent.
//!
//! The packets of each route form a flow, and packets without a route form one more. Each flow keeps the order of its
//! packets. Flows take turns by deficit round robin (Shreedhar and Varghese, 1995): each turn adds a quantum to the
//! credit of a flow and lasts while the credit covers the next packet. Unused credit is kept for the next turn.
//!
//! All flows share one bound, and each flow has a dynamic threshold (Choudhury and Hahne, 1998): it may have as many
//! bytes as are free in the whole queue. So a flow that is alone fills half of the queue, and two flows that keep
//! sending fill a third each.

mod flow;
mod pages;

use std::collections::VecDeque;

use crate::connection::queue::flow::{Flow, LENGTH, Turn};
use crate::connection::queue::pages::Pages;
use crate::wire::frame::MAX_PLAINTEXT;
use crate::wire::{Packet, RouteNumber};

/// The bytes that the longest packet takes in the queue.
pub(super) const LONGEST: usize = LENGTH + MAX_PLAINTEXT;

/// See the module.
#[derive(Default)]
pub(super) struct Queue {
    pages: Pages,
    flows: Flows,
    /// How many packets were taken since the last [`commit`](Self::commit).
    taken: usize,
    /// A copy of the flows from before those packets were taken. Kept after a commit, so that its memory is used again.
    before: Flows,
    refused: Refused,
}

/// The flows that have packets, in the order of their turns. The first one has the current turn.
#[derive(Default)]
struct Flows {
    /// At most one for each route, and one for packets without a route.
    flows: VecDeque<Flow>,
    /// Bytes of all of them.
    len: usize,
}

/// The flows that had a packet refused and have no room yet: one bit for each connection id, and bit 0 for the flow
/// without a route.
#[derive(Default, PartialEq, Eq)]
struct Refused([u64; 4]);

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.flows.len == 0
    }

    /// Bytes in use, including the length field of 2 bytes of each packet.
    pub(super) fn len(&self) -> usize {
        self.flows.len
    }

    /// Adds a packet. Returns `false`, and adds nothing, if there is no room: the flow would have more bytes than are
    /// free now in a queue of `bound` bytes.
    pub(super) fn push(&mut self, packet: &Packet<'_>, bound: usize) -> bool {
        debug_assert_eq!(self.taken, 0);
        let route = RouteNumber::new(packet.kind());
        let len = packet.emitted_len();
        let flow = match self.flows.flows.front_mut() {
            // Usually there is only one flow.
            Some(first) if first.route == route => Some(first),
            _ => self.flows.flows.iter_mut().find(|flow| flow.route == route),
        };
        let queued = flow.as_ref().map_or(0, |flow| flow.len());
        if queued + LENGTH + len > bound.saturating_sub(self.flows.len) {
            self.refused.insert(route);
            return false;
        }
        match flow {
            Some(flow) => flow.push(packet, len, &mut self.pages),
            None => self.flows.flows.push_back(Flow::new(route, packet, len, &mut self.pages)),
        }
        self.flows.len += LENGTH + len;
        true
    }

    /// The length of the next packet.
    pub(super) fn next_len(&self) -> Option<usize> {
        self.flows.flows.front().map(Flow::first)
    }

    /// Takes the next packet; [`commit`](Self::commit) decides whether it was sent. `plaintext` has the length of the
    /// packet.
    pub(super) fn take(&mut self, plaintext: &mut [u8]) {
        if self.taken == 0 {
            self.before.flows.clone_from(&self.flows.flows);
            self.before.len = self.flows.len;
        }
        self.taken += 1;
        self.flows.take(|flow| flow.take(plaintext, &mut self.pages));
    }

    /// Of the packets taken since the last call, the first `count` were sent; the others are put back.
    pub(super) fn commit(&mut self, count: usize) {
        if count < self.taken {
            std::mem::swap(&mut self.flows, &mut self.before);
            self.pages.roll_back();
            for _ in 0..count {
                self.flows.take(|flow| flow.take_again(&mut self.pages));
            }
        }
        self.pages.commit();
        self.taken = 0;
    }

    /// Removes the data of a route. Returns how many bytes of data were removed.
    pub(super) fn remove(&mut self, route: RouteNumber) -> usize {
        self.retain(|flow| flow.route != Some(route))
    }

    /// Removes the data of all routes.
    pub(super) fn remove_all_routes(&mut self) {
        self.retain(|flow| flow.route.is_none());
    }

    /// Removes all flows but those to `keep`. Returns how many bytes of data were removed. The time depends on the
    /// number of flows, and not on their packets.
    fn retain(&mut self, keep: impl Fn(&Flow) -> bool) -> usize {
        debug_assert_eq!(self.taken, 0);
        let Self { pages, flows: Flows { flows, len }, .. } = self;
        let mut data_len = 0;
        flows.retain(|flow| {
            let kept = keep(flow);
            if !kept {
                *len -= flow.len();
                data_len += flow.data_len();
                flow.free(pages);
            }
            kept
        });
        data_len
    }

    /// Whether there is room again for at least one flow that had a packet refused. Each such flow is reported once, by
    /// the first call after it has room; one call may report several.
    ///
    /// A flow has room if it has at most half of the bytes it may have, so that it can send for a while, and if a
    /// packet of any length would be accepted.
    pub(super) fn take_writable(&mut self, bound: usize) -> bool {
        let free = bound.saturating_sub(self.flows.len);
        if !self.has_refused() || free < LONGEST {
            return false;
        }
        // Flows that are empty or were removed have room.
        let mut full = Refused::default();
        for flow in &self.flows.flows {
            if self.refused.contains(flow.route) && flow.len() + LONGEST.max(2 * flow.len()) > free {
                full.insert(flow.route);
            }
        }
        let refused = std::mem::replace(&mut self.refused, full);
        refused != self.refused
    }

    /// Whether there are flows for which room is still to be reported.
    pub(super) fn has_refused(&self) -> bool {
        self.refused != Refused::default()
    }

    /// The bytes allocated for the queue, used or not.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        let flows = self.flows.flows.capacity() + self.before.flows.capacity();
        self.pages.memory() + flows * size_of::<Flow>()
    }
}

impl Flows {
    /// Takes a packet from the flow that has its turn, and ends the turn if that is due.
    fn take(&mut self, take: impl FnOnce(&mut Flow) -> Turn) {
        let flow = self.flows.front_mut().expect("a packet that is next");
        let before = flow.len();
        let turn = take(flow);
        self.len -= before - flow.len();
        if turn != Turn::Continues
            && let Some(flow) = self.flows.pop_front()
            && turn == Turn::Over
        {
            self.flows.push_back(flow);
        }
    }
}

impl Refused {
    fn insert(&mut self, route: Option<RouteNumber>) {
        let (word, bit) = word_and_bit(route);
        self.0[word] |= bit;
    }

    fn contains(&self, route: Option<RouteNumber>) -> bool {
        let (word, bit) = word_and_bit(route);
        self.0[word] & bit != 0
    }
}

fn word_and_bit(route: Option<RouteNumber>) -> (usize, u64) {
    let number = route.map_or(0, RouteNumber::get);
    (usize::from(number / 64), 1 << (number % 64))
}

#[cfg(test)]
mod tests;
