//! What the switch wants done, in order.

use crate::reason::Reason;

/// The number of a client, given by whoever owns the connections. It may be given again after the
/// client has left.
pub type ClientId = usize;

/// One thing to do for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// Seal this and send it.
    Send {
        /// The client that is to get it.
        client: ClientId,
        /// The packet; its first byte tells whether a full socket delays it or loses it, see
        /// [`is_kept`](crate::kind::is_kept).
        plaintext: &'a [u8],
    },
    /// Close the connection. The switch has already forgotten the client.
    Drop {
        /// The client that is to go.
        client: ClientId,
        /// What it did.
        reason: Reason,
    },
}

/// A list of outputs that is used again and again: once it has grown, filling it costs no memory.
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

    /// What is to be done, oldest first.
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

    /// Removes everything, when it has been done.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.plaintexts.clear();
    }

    /// Whether there is nothing to do.
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
