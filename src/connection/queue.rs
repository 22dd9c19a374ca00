//! The queue of data, OOB, onion and forward packets: plaintexts, until their place on the stream is certain.
//!
//! The packets of each route are a flow, and those that belong to no route are one more. Within a flow they keep their
//! order. Flows take turns by deficit round robin (Shreedhar and Varghese, 1995): each turn adds a quantum to the credit
//! of a flow and lasts as long as the credit pays for its packets; what is left of it is kept for the next turn.
//!
//! All flows share one bound, and each has one of its own, a dynamic threshold (Choudhury and Hahne, 1998): it may hold as
//! many bytes as are free beside it. So a flow that is alone fills half of the queue, and two that go on
//! sending fill a third each. Each flow leaves free for others as much as it holds.

mod flow;
mod pages;

use std::collections::VecDeque;

use crate::connection::queue::flow::{Flow, LENGTH, Turn};
use crate::connection::queue::pages::Pages;
use crate::wire::frame::MAX_PLAINTEXT;
use crate::wire::{ConnectionId, Packet};

/// What the longest packet costs.
pub(super) const LONGEST: usize = LENGTH + MAX_PLAINTEXT;

/// See the module.
#[derive(Default)]
pub(super) struct Queue {
    pages: Pages,
    flows: Flows,
    /// How many packets were taken since the last [`commit`](Self::commit).
    taken: usize,
    /// The flows before that. Kept when it is over, so that nothing is allocated.
    before: Flows,
    refused: Refused,
}

/// The flows that have packets, in the order of their turns. The first one has its turn.
#[derive(Default)]
struct Flows {
    /// At most one for each route, and one more.
    flows: VecDeque<Flow>,
    /// Bytes of all of them.
    len: usize,
}

/// The flows of which a packet was refused, until there is room for them: by the number of their route, and 0 for the one
/// of no route.
#[derive(Default, PartialEq, Eq)]
struct Refused([u64; 4]);

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.flows.len == 0
    }

    /// Bytes in use, 2 for each packet included.
    pub(super) fn len(&self) -> usize {
        self.flows.len
    }

    /// Adds a packet, or nothing of it and `false` if there is no room: its flow would hold more than was free beside it,
    /// or the queue more than `bound` bytes.
    pub(super) fn push(&mut self, packet: &Packet<'_>, bound: usize) -> bool {
        debug_assert_eq!(self.taken, 0);
        let route = ConnectionId::new(packet.kind());
        let len = packet.emitted_len();
        let flow = match self.flows.flows.front_mut() {
            // As a rule there is no other.
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

    /// The length of the packet that is next.
    pub(super) fn next_len(&self) -> Option<usize> {
        self.flows.flows.front().map(Flow::first)
    }

    /// Takes the packet that is next, until [`commit`](Self::commit) says whether it has left. `plaintext` is as long as
    /// it is.
    pub(super) fn take(&mut self, plaintext: &mut [u8]) {
        if self.taken == 0 {
            self.before.flows.clone_from(&self.flows.flows);
            self.before.len = self.flows.len;
        }
        self.taken += 1;
        self.flows.take(|flow| flow.take(plaintext, &mut self.pages));
    }

    /// Of the packets that were taken since the last call, the first `count` have left; the others were never taken.
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

    /// Removes the data of a route. Returns how many bytes of data that were.
    pub(super) fn remove(&mut self, route: ConnectionId) -> usize {
        self.retain(|flow| flow.route != Some(route))
    }

    /// Removes the data of all routes.
    pub(super) fn remove_all_routes(&mut self) {
        self.retain(|flow| flow.route.is_none());
    }

    /// Removes all flows but those to `keep`. It looks at each flow once, and not at what is in them.
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

    /// Whether there is room again for flows of which packets were refused, whatever made it. True once for each time;
    /// flows that have no room yet are told later.
    ///
    /// There is room when a flow holds no more than half of its share, so that it can go on for a while, and when any
    /// packet would be taken.
    pub(super) fn take_writable(&mut self, bound: usize) -> bool {
        let free = bound.saturating_sub(self.flows.len);
        if !self.has_refused() || free < LONGEST {
            return false;
        }
        // Flows that hold nothing, or are no more, have room.
        let mut full = Refused::default();
        for flow in &self.flows.flows {
            if self.refused.contains(flow.route) && flow.len() + LONGEST.max(2 * flow.len()) > free {
                full.insert(flow.route);
            }
        }
        let refused = std::mem::replace(&mut self.refused, full);
        refused != self.refused
    }

    /// Whether there are flows that are to be told of room.
    pub(super) fn has_refused(&self) -> bool {
        self.refused != Refused::default()
    }

    /// The bytes that the queue holds, used or not.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        let flows = self.flows.flows.capacity() + self.before.flows.capacity();
        self.pages.memory() + flows * size_of::<Flow>()
    }
}

impl Flows {
    /// Has the flow that has its turn take a packet.
    fn take(&mut self, take: impl FnOnce(&mut Flow) -> Turn) {
        let flow = self.flows.front_mut().expect("a packet that is next");
        let before = flow.len();
        let turn = take(flow);
        self.len -= before - flow.len();
        if turn != Turn::Goes
            && let Some(flow) = self.flows.pop_front()
            && turn == Turn::Over
        {
            self.flows.push_back(flow);
        }
    }
}

impl Refused {
    fn insert(&mut self, route: Option<ConnectionId>) {
        let (word, bit) = place(route);
        self.0[word] |= bit;
    }

    fn contains(&self, route: Option<ConnectionId>) -> bool {
        let (word, bit) = place(route);
        self.0[word] & bit != 0
    }
}

fn place(route: Option<ConnectionId>) -> (usize, u64) {
    let number = route.map_or(0, ConnectionId::get);
    (usize::from(number / 64), 1 << (number % 64))
}

#[cfg(test)]
mod tests;
