//! The outputs of the switch, in order.

use crate::reason::Reason;

/// The number of a client, chosen by the owner of the connections. It may be used again after the client has left.
pub type ClientId = usize;

/// One thing to do for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// Encrypt this packet and send it.
    Send {
        /// The receiver.
        client: ClientId,
        /// The packet. Its first byte determines whether it is kept or discarded if the socket is full, see
        /// [`is_kept`](crate::kind::is_kept).
        plaintext: &'a [u8],
    },
    /// Close the connection. The switch has already removed the client.
    Drop {
        /// The client of this connection.
        client: ClientId,
        /// Why it is dropped.
        reason: Reason,
    },
}

/// A list of outputs, which is used again and again, so that it no longer allocates once it has grown.
#[derive(Default)]
pub struct Outbox {
    entries: Vec<Entry>,
    /// All plaintexts, one after the other.
    plaintexts: Vec<u8>,
}

enum Entry {
    Send { client: ClientId, length: usize },
    Drop { client: ClientId, reason: Reason },
}

impl Outbox {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// All outputs, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Output<'_>> {
        let mut plaintexts = &self.plaintexts[..];
        self.entries.iter().map(move |entry| match *entry {
            Entry::Send { client, length } => {
                let (plaintext, rest) = plaintexts.split_at(length);
                plaintexts = rest;
                Output::Send { client, plaintext }
            }
            Entry::Drop { client, reason } => Output::Drop { client, reason },
        })
    }

    /// Removes all outputs.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.plaintexts.clear();
    }

    /// Whether there are no outputs.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn send(&mut self, client: ClientId, parts: &[&[u8]]) {
        let before = self.plaintexts.len();
        for part in parts {
            self.plaintexts.extend_from_slice(part);
        }
        let length = self.plaintexts.len() - before;
        self.entries.push(Entry::Send { client, length });
    }

    pub(crate) fn drop(&mut self, client: ClientId, reason: Reason) {
        self.entries.push(Entry::Drop { client, reason });
    }
}
