//! One connection: its socket, its stage, and the bytes queued for the socket.

use std::{
    io::{self, ErrorKind, Write},
    net::Shutdown,
    sync::Arc,
    time::Instant,
};

use mio::net::TcpStream;

use crate::{
    conduct::Conduct,
    session::{HELLO_LENGTH, Key, Session},
};

/// With this many bytes queued, a connection takes no more packets that may be discarded. It is
/// what a few hundred clients send in one turn of the loop, and far more than any one answer.
const FULL: usize = 256 * 1024;
/// A client is dropped when this many bytes have been queued for it while it read nothing: 9,000
/// pongs.
const MAX_KEPT: usize = 256 * 1024;
/// Memory that a connection keeps while nothing is queued.
const IDLE_CAPACITY: usize = 16 * 1024;

pub(crate) struct Connection {
    pub stream: TcpStream,
    pub stage: Stage,
    pub reading: Reading,
    pub conduct: Arc<Conduct>,
    /// The key in the client's hello, which may not be its own.
    pub key: Option<Key>,
    /// In the list of connections that have something to write.
    pub dirty: bool,
    waiting: Vec<u8>,
    /// How many of the queued bytes are written.
    taken: usize,
    /// Bytes of packets that were queued while the socket was full, since the queue was last empty.
    kept: usize,
    /// The last write found the socket full.
    blocked: bool,
}

/// How far a connection has come.
pub(crate) enum Stage {
    /// Waiting for the hello, of which this has come.
    Hello(Vec<u8>),
    /// Encrypted packets both ways.
    Talking { session: Session, confirmed: bool },
    /// Reading and discarding.
    Ignoring,
    /// Writing what is queued, then the end of the stream. Then reading until the client closes: to
    /// close with bytes unread would reset the connection, and the client might lose the rest.
    Closing { since: Instant, ended: bool },
}

/// Whether the relay reads from a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As soon as there is input.
    On,
    /// Not before the test allows it. What has arrived by then will be read.
    Paused,
    /// Never: when the client disconnects, what it has sent is lost.
    Never,
}

impl Connection {
    pub fn new(stream: TcpStream, conduct: Arc<Conduct>) -> Self {
        let reading = if *conduct == Conduct::Deaf { Reading::Never } else { Reading::On };
        Self {
            stream,
            stage: Stage::Hello(Vec::with_capacity(HELLO_LENGTH)),
            reading,
            conduct,
            key: None,
            dirty: false,
            waiting: Vec::new(),
            taken: 0,
            kept: 0,
            blocked: false,
        }
    }

    /// Queues a packet, if there is a session to seal it with. Nothing is written before
    /// [`flush`](Connection::flush).
    pub fn send(&mut self, plaintext: &[u8]) -> bool {
        let Stage::Talking { session, .. } = &mut self.stage else { return false };
        session.seal(plaintext, &mut self.waiting);
        true
    }

    /// Queues bytes.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// Whether there is no room for packets that may be discarded.
    pub fn is_full(&self) -> bool {
        self.waiting.len() - self.taken >= FULL
    }

    /// Counts a packet that is kept although the socket is full.
    pub fn count_kept(&mut self, bytes: usize) {
        if self.blocked {
            self.kept += bytes;
        }
    }

    /// Whether the client makes the relay answer and does not read.
    pub fn has_kept_too_much(&self) -> bool {
        self.kept > MAX_KEPT
    }

    /// The socket is writable again.
    pub fn unblock(&mut self) {
        self.blocked = false;
    }

    /// Writes as much as the socket accepts. Returns how much.
    pub fn flush(&mut self) -> io::Result<usize> {
        let before = self.taken;
        while !self.blocked && self.taken < self.waiting.len() {
            let bytes = &self.waiting[self.taken..];
            let bytes = if *self.conduct == Conduct::OneByte { &bytes[..1] } else { bytes };
            match self.stream.write(bytes) {
                Ok(n) => self.taken += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.blocked = true,
                Err(error) => return Err(error),
            }
        }
        let took = self.taken - before;
        self.forget_taken();
        if let Stage::Closing { ended: ended @ false, .. } = &mut self.stage
            && self.waiting.is_empty()
        {
            self.stream.shutdown(Shutdown::Write)?;
            *ended = true;
        }
        Ok(took)
    }

    fn forget_taken(&mut self) {
        if self.taken == self.waiting.len() {
            self.waiting.clear();
            self.waiting.shrink_to(IDLE_CAPACITY);
            self.taken = 0;
            self.kept = 0;
        } else if self.taken > self.waiting.len() / 2 {
            // Only when that halves the buffer, so that each byte is moved once on average.
            self.waiting.drain(..self.taken);
            self.taken = 0;
        }
    }
}
