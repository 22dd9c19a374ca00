//! One connection: its socket, its stage, and the bytes that wait for the socket.

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

/// With this many bytes waiting, a connection takes no more packets that may be thrown away. It is
/// what a few hundred clients send in one turn of the loop, and far more than any one answer.
const FULL: usize = 256 * 1024;
/// A client is let go when this many bytes have been kept for it while it read nothing: 9,000
/// pongs.
const MAX_KEPT: usize = 256 * 1024;
/// Memory that a connection holds on to while nothing waits.
const IDLE_CAPACITY: usize = 16 * 1024;

pub(crate) struct Connection {
    pub stream: TcpStream,
    pub stage: Stage,
    pub reading: Reading,
    pub conduct: Arc<Conduct>,
    /// The key that the client said in its hello, which need not be its own.
    pub key: Option<Key>,
    /// On the list of those that have something to write.
    pub dirty: bool,
    waiting: Vec<u8>,
    /// How many of the waiting bytes the socket has taken.
    taken: usize,
    /// Bytes of packets that were kept while the socket was full, since nothing waited last.
    kept: usize,
    /// The socket has said that it is full.
    blocked: bool,
}

/// How far a connection has come.
pub(crate) enum Stage {
    /// Waiting for the hello; this much has come.
    Hello(Vec<u8>),
    /// Encrypted packets both ways.
    Talking { session: Session, confirmed: bool },
    /// Reading and forgetting.
    Ignoring,
    /// Writing what waits, then the end of the stream. Then reading until the client closes: to
    /// close with bytes unread would reset the connection, and the client might lose the rest.
    Closing { since: Instant, ended: bool },
}

/// Whether the relay reads from a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As soon as there is something.
    On,
    /// Not until told to. What has come by then will be read.
    Paused,
    /// Never: when the client goes, so does what it has sent.
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

    /// Puts a packet behind what waits, if there is a session to seal it with. The socket is not
    /// asked: that is for [`flush`](Connection::flush).
    pub fn send(&mut self, plaintext: &[u8]) -> bool {
        let Stage::Talking { session, .. } = &mut self.stage else { return false };
        session.seal(plaintext, &mut self.waiting);
        true
    }

    /// Puts bytes behind what waits.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// Whether there is no room for packets that may be thrown away.
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

    /// The socket takes bytes again.
    pub fn unblock(&mut self) {
        self.blocked = false;
    }

    /// Lets the socket take as much as it likes. Returns how much it took.
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
            // Only when it halves what is there, so that each byte is moved once on average.
            self.waiting.drain(..self.taken);
            self.taken = 0;
        }
    }
}
