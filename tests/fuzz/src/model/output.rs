//! What is sent, packet by packet.

use std::time::Instant;

use super::{DISCONNECT, Model, PING, ROUTING_REQUEST, State, key};

impl Model {
    pub fn has_output(&self) -> bool {
        let packets = self.unfinished > 0 || !self.important.is_empty() || self.queued() > 0;
        !self.raw.is_empty() || packets && !self.is_opening()
    }

    /// These bytes were sent. Returns those of them that belong to packets.
    pub fn leave<'a>(&mut self, bytes: &'a [u8], now: Instant) -> &'a [u8] {
        self.sent += bytes.len();
        let (raw, sealed) = bytes.split_at(bytes.len().min(self.raw.len()));
        assert!(self.raw.drain(..raw.len()).eq(raw.iter().copied()), "other bytes than those to be written");
        let mut left = sealed.len();
        while left > 0 {
            if self.unfinished == 0 {
                self.begin(now);
            }
            let part = left.min(self.unfinished);
            self.unfinished -= part;
            left -= part;
        }
        sealed
    }

    /// The first byte of the next packet is written.
    fn begin(&mut self, now: Instant) {
        let packet = self.important.pop_front();
        let packet = packet.or_else(|| self.queue.pop()).expect("more was written than was queued");
        match packet[0] {
            ROUTING_REQUEST => {
                let peer = key(&packet[1..]);
                for route in self.routes.iter_mut().filter(|route| route.peer == peer) {
                    if let State::Requested { left } | State::Closing { left } = &mut route.state {
                        *left = true;
                    }
                }
            }
            DISCONNECT => self.routes.retain(|route| route.state != State::Leaving(packet[1])),
            PING => {
                self.keepalive.left = Some(now);
                if self.keepalive.asked == self.keepalive.queued {
                    self.deadline += now - self.keepalive.queued;
                }
            }
            _ => {}
        }
        self.unfinished = 2 + 16 + packet.len();
        self.begun.push_back(packet);
    }

    /// Whether `Writable` is due.
    pub fn take_writable(&mut self) -> bool {
        self.queue.take_writable(self.bound())
    }

    /// The bytes in the send queue.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }
}
