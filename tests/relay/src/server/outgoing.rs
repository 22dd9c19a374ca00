//! From the switch to sockets, and the ends of connections.

use std::{
    mem,
    time::{Duration, Instant},
};

use socket2::SockRef;

use super::Server;
use crate::{
    conduct::Conduct,
    connection::{Reading, Stage},
    kind,
    outbox::{ClientId, Outbox, Output},
    reason::Reason,
};

impl Server {
    /// Queues the packets of the switch, and closes the connections that it drops.
    pub(super) fn deliver(&mut self) {
        let mut outbox = mem::take(&mut self.outbox);
        for output in outbox.iter() {
            match output {
                Output::Send { client, plaintext } => self.pass_on(client, plaintext),
                Output::Drop { client, reason } => {
                    self.statistics.dropped += 1;
                    self.statistics.last_drop = Some(reason);
                    self.close(client);
                }
            }
        }
        outbox.clear();
        self.outbox = outbox;
    }

    /// Queues a packet of the switch, unless the conduct or a full socket prevents it.
    fn pass_on(&mut self, id: ClientId, plaintext: &[u8]) {
        let connection = &mut self.connections[id];
        match *connection.conduct {
            Conduct::SilentAfterHandshake => return,
            Conduct::NoPong if plaintext[0] == kind::PONG => return,
            Conduct::DropEvery(nth) if kind::is_data(plaintext[0]) => {
                connection.data_packets += 1;
                if connection.data_packets.is_multiple_of(nth) {
                    return;
                }
            }
            _ => {}
        }
        if kind::is_kept(plaintext[0]) {
            connection.count_kept(plaintext.len());
        } else if connection.is_full() {
            // Nothing has been written in this turn yet, so the socket may have room. An error is ignored here, since
            // the flush at the end of the turn returns it again.
            self.statistics.bytes_out += connection.flush().unwrap_or(0) as u64;
            if connection.is_full() {
                self.statistics.thrown_away += 1;
                return;
            }
        }
        self.send(id, plaintext);
    }

    pub(super) fn send(&mut self, id: ClientId, plaintext: &[u8]) -> bool {
        let sent = self.connections[id].send(plaintext);
        self.statistics.packets_out += u64::from(sent);
        self.mark_dirty(id);
        sent
    }

    pub(super) fn mark_dirty(&mut self, id: ClientId) {
        if !mem::replace(&mut self.connections[id].dirty, true) {
            self.dirty.push(id);
        }
    }

    pub(super) fn flush(&mut self, id: ClientId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.dirty = false;
        match connection.flush() {
            Ok(count) => self.statistics.bytes_out += count as u64,
            Err(_) => return self.remove(id),
        }
        if connection.has_kept_too_much() && self.switch.contains(id) {
            self.expel(id, Reason::NotReading);
        }
    }

    pub(super) fn expel(&mut self, id: ClientId, reason: Reason) {
        self.switch.expel(id, reason, &mut self.outbox);
        self.deliver();
    }

    /// Ends a connection so that the client can read everything up to the end.
    pub(super) fn close(&mut self, id: ClientId) {
        self.forget(id);
        let connection = &mut self.connections[id];
        connection.stage = Stage::Closing { since: Instant::now(), ended: false };
        connection.reading = Reading::On;
        self.unread.push(id);
        self.mark_dirty(id);
    }

    /// Ends a connection at once. What is in flight is lost.
    pub(super) fn reset(&mut self, id: ClientId) {
        // With a linger time of zero, closing the socket sends a reset. If it cannot be set, the socket already has an
        // error.
        let _ = SockRef::from(&self.connections[id].stream).set_linger(Some(Duration::ZERO));
        self.remove(id);
    }

    pub(super) fn remove(&mut self, id: ClientId) {
        self.forget(id);
        let mut connection = self.connections.remove(id);
        // If this fails, closing the socket does the same.
        let _ = self.poll.registry().deregister(&mut connection.stream);
    }

    /// Removes a client from the switch and from `by_key`. Its connection stays.
    fn forget(&mut self, id: ClientId) {
        if let Some(key) = self.connections[id].key
            && self.by_key.get(&key) == Some(&id)
        {
            self.by_key.remove(&key);
        }
        let mut notifications = Outbox::new();
        self.switch.leave(id, &mut notifications);
        for notification in notifications.iter() {
            if let Output::Send { client, plaintext } = notification {
                self.pass_on(client, plaintext);
            }
        }
    }
}
