//! The queue of data, OOB, onion and forward packets: plaintexts, until their place on the stream is certain.

use std::collections::VecDeque;

use crate::wire::{ConnectionId, Packet};

/// What each packet costs beside its plaintext: its length.
pub(super) const LENGTH: usize = 2;

/// Packets in the order in which they were accepted, as `length (2) | plaintext`.
#[derive(Default)]
pub(super) struct Queue {
    bytes: VecDeque<u8>,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes in use, 2 for each packet included.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a packet, or nothing of it and `false` where the queue would come to hold more than `bound` bytes.
    pub(super) fn push(&mut self, packet: &Packet<'_>, bound: usize) -> bool {
        let len = packet.emitted_len();
        if self.bytes.len() + LENGTH + len > bound {
            return false;
        }
        self.bytes.extend((len as u16).to_be_bytes());
        packet.emit_pieces(|piece| self.bytes.extend(piece));
        true
    }

    /// The length of the packet that begins `at` bytes behind the head.
    pub(super) fn len_at(&self, at: usize) -> Option<usize> {
        let high = *self.bytes.get(at)?;
        Some(usize::from(u16::from_be_bytes([high, self.bytes[at + 1]])))
    }

    /// Copies the packet that begins `at` bytes behind the head, and tells where the next one begins.
    pub(super) fn copy_at(&self, at: usize, plaintext: &mut [u8]) -> usize {
        let start = at + LENGTH;
        let (front, back) = self.bytes.as_slices();
        let from_front = front.len().saturating_sub(start).min(plaintext.len());
        let (head, tail) = plaintext.split_at_mut(from_front);
        if !head.is_empty() {
            head.copy_from_slice(&front[start..start + from_front]);
        }
        if !tail.is_empty() {
            let start = (start + from_front) - front.len();
            tail.copy_from_slice(&back[start..start + tail.len()]);
        }
        start + plaintext.len()
    }

    /// Takes the head off, and tells its length.
    pub(super) fn pop(&mut self) -> Option<usize> {
        let len = self.len_at(0)?;
        self.bytes.drain(..LENGTH + len);
        Some(len)
    }

    /// Forgets the data packets of a route. The others keep their order.
    pub(super) fn remove(&mut self, route: ConnectionId) {
        let mut left = self.bytes.len();
        while left > 0 {
            let whole = LENGTH + self.len_at(0).expect("a packet begins where the last one ended");
            if self.bytes[LENGTH] == route.get() {
                self.bytes.drain(..whole);
            } else {
                self.bytes.rotate_left(whole);
            }
            left -= whole;
        }
    }

    /// The bytes that the queue holds, used or not.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests;
