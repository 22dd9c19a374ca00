//! The send queue once more: a list of packets for each flow, and a list of turns.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The longest packet on the stream, which is what each turn adds to the credit of a flow.
const QUANTUM: usize = 2_050;

/// What a packet costs on the stream beside its plaintext.
const ON_STREAM: usize = 18;

/// What it costs in the queue beside that.
const IN_QUEUE: usize = 2;

/// Packets by flow: the number of their route, or 0 if they belong to none.
#[derive(Default)]
pub struct SendQueue {
    packets: BTreeMap<u8, VecDeque<Vec<u8>>>,
    /// Who has packets, and what each may send, in the order of their turns.
    turns: VecDeque<(u8, usize)>,
    /// Whose packets were refused.
    refused: BTreeSet<u8>,
}

impl SendQueue {
    pub fn len(&self) -> usize {
        self.packets.keys().map(|flow| self.len_of(*flow)).sum()
    }

    fn len_of(&self, flow: u8) -> usize {
        self.packets.get(&flow).into_iter().flatten().map(|packet| IN_QUEUE + packet.len()).sum()
    }

    /// A flow may hold as much as is free beside it.
    pub fn push(&mut self, packet: Vec<u8>, bound: usize) -> bool {
        let flow = if packet[0] < 16 { 0 } else { packet[0] };
        if self.len_of(flow) + IN_QUEUE + packet.len() > bound.saturating_sub(self.len()) {
            self.refused.insert(flow);
            return false;
        }
        if !self.turns.iter().any(|(other, _)| *other == flow) {
            self.turns.push_back((flow, QUANTUM));
        }
        self.packets.entry(flow).or_default().push_back(packet);
        true
    }

    pub fn pop(&mut self) -> Option<Vec<u8>> {
        let (flow, mut credit) = self.turns.pop_front()?;
        let packets = self.packets.get_mut(&flow)?;
        let packet = packets.pop_front()?;
        credit -= ON_STREAM + packet.len();
        match packets.front() {
            None => {}
            Some(next) if ON_STREAM + next.len() <= credit => self.turns.push_front((flow, credit)),
            Some(_) => self.turns.push_back((flow, credit + QUANTUM)),
        }
        Some(packet)
    }

    /// Throws the packets of a route away. Returns how many bytes of data were in them.
    pub fn remove(&mut self, route: u8) -> usize {
        self.turns.retain(|(flow, _)| *flow != route);
        self.packets.remove(&route).into_iter().flatten().map(|packet| packet.len() - 1).sum()
    }

    /// Whether one who was refused has half of what it may hold free, and room for any packet.
    pub fn take_writable(&mut self, bound: usize) -> bool {
        let free = bound.saturating_sub(self.len());
        let waiting = self.refused.len();
        let mut refused = std::mem::take(&mut self.refused);
        refused.retain(|flow| {
            let len = self.len_of(*flow);
            3 * len > free || len + IN_QUEUE + 2_032 > free
        });
        self.refused = refused;
        self.refused.len() < waiting
    }
}
