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

/// With this many bytes queued, packets that may be discarded are discarded. It is what a few hundred clients send in
/// one turn of the loop, and far more than any one answer.
const FULL: usize = 256 * 1024;
/// A client is dropped when more than this many bytes of packets that must be kept have been queued while its socket
/// was full: 29,000 pongs.
const MAX_KEPT: usize = 256 * 1024;
/// Memory that a connection keeps while nothing is queued.
const IDLE_CAPACITY: usize = 16 * 1024;

pub(crate) struct Connection {
    pub stream: TcpStream,
    pub stage: Stage,
    pub reading: Reading,
    pub conduct: Arc<Conduct>,
    /// The key in the client's hello. It is not proved to be the client's own.
    pub key: Option<Key>,
    /// Whether it is in the list of connections that have something to write.
    pub dirty: bool,
    /// Packets of data for the client, discarded ones included.
    pub data_packets: u64,
    queue: Vec<u8>,
    /// How many bytes at the beginning of the queue are already written.
    written: usize,
    /// Bytes of packets that were queued while the socket was full, since the queue was last empty.
    kept: usize,
    /// Whether the last write found the socket full.
    blocked: bool,
}

/// How far a connection has progressed.
pub(crate) enum Stage {
    /// Waiting for the hello, of which these bytes have arrived.
    Hello(Vec<u8>),
    /// Encrypted packets both ways.
    Encrypted { session: Session, confirmed: bool },
    /// Reading and discarding.
    Ignoring,
    /// Writing what is queued, then the end of the stream. Then reading until the client closes: closing a socket with
    /// unread bytes would reset the connection, and the client might lose the last bytes.
    Closing { since: Instant, ended: bool },
}

/// Whether the relay reads from a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As soon as there is input.
    On,
    /// Paused until the test resumes it. What has arrived by then is read.
    Paused,
    /// Never. What the client has sent is lost when it disconnects.
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
            data_packets: 0,
            queue: Vec::new(),
            written: 0,
            kept: 0,
            blocked: false,
        }
    }

    /// Encrypts and queues a packet, and returns `false` if there is no session. Nothing is written before
    /// [`flush`](Connection::flush).
    pub fn send(&mut self, plaintext: &[u8]) -> bool {
        let Stage::Encrypted { session, .. } = &mut self.stage else { return false };
        session.seal(plaintext, &mut self.queue);
        true
    }

    /// Queues bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.queue.extend_from_slice(bytes);
    }

    /// Whether there is no room for packets that may be discarded.
    pub fn is_full(&self) -> bool {
        self.queue.len() - self.written >= FULL
    }

    /// Counts a packet that is kept although the socket is full.
    pub fn count_kept(&mut self, bytes: usize) {
        if self.blocked {
            self.kept += bytes;
        }
    }

    /// Whether the client does not read, and still causes packets that must be kept.
    pub fn has_kept_too_much(&self) -> bool {
        self.kept > MAX_KEPT
    }

    /// To be called when the socket is writable again.
    pub fn unblock(&mut self) {
        self.blocked = false;
    }

    /// Writes as many bytes as the socket accepts, and returns how many.
    pub fn flush(&mut self) -> io::Result<usize> {
        let before = self.written;
        while !self.blocked && self.written < self.queue.len() {
            let bytes = &self.queue[self.written..];
            let bytes = if *self.conduct == Conduct::OneByte { &bytes[..1] } else { bytes };
            match self.stream.write(bytes) {
                Ok(n) => self.written += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.blocked = true,
                Err(error) => return Err(error),
            }
        }
        let count = self.written - before;
        self.remove_written();
        if let Stage::Closing { ended: ended @ false, .. } = &mut self.stage
            && self.queue.is_empty()
        {
            self.stream.shutdown(Shutdown::Write)?;
            *ended = true;
        }
        Ok(count)
    }

    fn remove_written(&mut self) {
        if self.written == self.queue.len() {
            self.queue.clear();
            self.queue.shrink_to(IDLE_CAPACITY);
            self.written = 0;
            self.kept = 0;
        } else if self.written > self.queue.len() / 2 {
            // Only if at least half of the buffer is freed, so that each byte is moved once on average.
            self.queue.drain(..self.written);
            self.written = 0;
        }
    }
}
