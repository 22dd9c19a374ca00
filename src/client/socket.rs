//! The socket of one attempt: what is known about it, and how it is read and written.

use std::io::{self, Read as _, Write as _};
use std::num::NonZeroU64;
use std::time::Instant;

use mio::event::Source as _;
use mio::{Interest, Registry, Token};

use crate::client::stream::{SHORT_READ_DRAINS, Transport};
use crate::connection::{Connection, End, Shared};
use crate::id::{AttemptId, INDEX_BITS};

/// See the module.
pub(super) struct Socket {
    pub(super) attempt: AttemptId,
    stream: Transport,
    reading: Reading,
    writing: Writing,
}

/// Whether the socket is readable, as far as is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Drained,
    Readable,
    /// The poller has reported an error or the end of the stream. Only reading shows which bytes come before it.
    Ending,
}

/// Whether the socket is writable, as far as is known.
enum Writing {
    /// Not connected yet.
    Connecting,
    /// Not writable until the poller reports that it is.
    Full,
    Writable,
    /// Writing has failed, and the socket is never writable again. What the relay sent before is still read; then the
    /// connection ends with this failure.
    Broken(End),
}

/// The result of a read.
pub(super) enum Read {
    /// This number of bytes was read.
    Bytes(usize),
    /// There is nothing to read now.
    Nothing,
}

impl Socket {
    pub(super) fn new(attempt: AttemptId, stream: Transport) -> Self {
        Self { attempt, stream, reading: Reading::Drained, writing: Writing::Connecting }
    }

    /// Has the poller report readiness under the token of this connection and attempt.
    pub(super) fn register(&mut self, registry: &Registry, index: u32) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.stream.register(registry, token(index, self.attempt), interest)
    }

    /// Must be called before the socket is closed: the caller may have a duplicate of it, which would keep it
    /// registered.
    pub(super) fn deregister(&mut self, registry: &Registry) {
        if let Err(error) = self.stream.deregister(registry) {
            log::warn!("a socket was not removed from the poller: {error}");
        }
    }

    /// Stores what the poller reports. Returns `true` if the socket needs a turn.
    pub(super) fn handle_readiness(&mut self, event: &mio::event::Event) -> bool {
        if event.is_writable() && matches!(self.writing, Writing::Full) {
            self.writing = Writing::Writable;
        }
        if event.is_read_closed() || event.is_error() {
            self.reading = Reading::Ending;
        } else if event.is_readable() && self.reading == Reading::Drained {
            self.reading = Reading::Readable;
        }
        self.is_connecting() || self.may_read()
    }

    pub(super) fn is_connecting(&self) -> bool {
        matches!(self.writing, Writing::Connecting)
    }

    /// Whether a turn may find something to read.
    pub(super) fn may_read(&self) -> bool {
        // After a failed write, the socket is read until reading fails, too.
        self.reading != Reading::Drained && !self.is_connecting() || self.broken().is_some()
    }

    pub(super) fn may_write(&self) -> bool {
        matches!(self.writing, Writing::Writable)
    }

    /// The failure of a write, if there was one.
    pub(super) fn broken(&self) -> Option<End> {
        match &self.writing {
            Writing::Broken(end) => Some(*end),
            _ => None,
        }
    }

    /// Whether there is input that the poller has not reported. A short read does not always drain the socket: a read
    /// also stops before urgent data, and no poller reports the data after them.
    pub(super) fn has_unreported_input(&mut self) -> bool {
        match self.stream.has_input() {
            Ok(false) => return false,
            Ok(true) if self.reading == Reading::Drained => self.reading = Reading::Readable,
            Ok(true) => {}
            // Only some systems call this an error.
            Err(error) if self.is_connecting() && error.kind() == io::ErrorKind::NotConnected => {
                return false;
            }
            // The system reports an error once. A read that follows would see nothing but the end of the stream.
            Err(error) => self.writing = Writing::Broken(End::from(&error)),
        }
        true
    }

    /// Checks whether the socket is connected. Returns `true` if it has just been connected, and an error if connecting
    /// has failed.
    pub(super) fn finish_connecting(&mut self) -> io::Result<bool> {
        if !self.is_connecting() || !self.stream.is_connected()? {
            return Ok(false); // perhaps a spurious wake-up
        }
        // If an option cannot be set, the socket has already failed, and the next read returns the reason.
        if let Err(error) = self.stream.prepare() {
            log::debug!("no socket options: {error}");
        }
        self.writing = Writing::Writable;
        Ok(true)
    }

    /// Reads once. The end of the stream is an error, like all other ends.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<Read, End> {
        loop {
            match self.stream.read(buffer) {
                // The system has told why the stream ended when a write failed, or when it was asked for input: now
                // reading returns the end of the stream, as after a close.
                Ok(0) => return Err(self.broken().filter(|end| !is_broken_pipe(end)).unwrap_or(End::Closed)),
                Ok(len) => {
                    let is_drained = len < buffer.len() && SHORT_READ_DRAINS;
                    if is_drained && self.reading == Reading::Readable {
                        self.reading = Reading::Drained;
                    }
                    return Ok(Read::Bytes(len));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.reading = Reading::Drained;
                    return self.broken().map_or(Ok(Read::Nothing), Err);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(End::from(&error)),
            }
        }
    }

    /// Writes the output of its attempt, as far as the socket accepts it. Returns `false` if writing has failed: the
    /// relay may have sent something before that shows the reason, so the socket is read again and ends there.
    pub(super) fn flush(
        &mut self,
        connection: &mut Connection,
        ping: NonZeroU64,
        shared: &mut Shared,
        scratch: &mut [u8],
    ) -> bool {
        if !self.may_write() {
            return true;
        }
        // Take the time here and not at the start of the turn: the round trip of a ping is measured from here.
        let (now, stream) = (Instant::now(), &mut self.stream);
        match connection.flush(now, self.attempt, ping, shared, scratch, |bytes| stream.write(bytes)) {
            Ok(true) => true,
            Ok(false) => {
                self.writing = Writing::Full;
                true
            }
            Err(error) => {
                self.writing = Writing::Broken(End::from(&error));
                false
            }
        }
    }
}

/// The system has told the reason before, and this does not.
fn is_broken_pipe(end: &End) -> bool {
    matches!(end, End::Failed(io::ErrorKind::BrokenPipe, _))
}

/// The index of the connection in the lower bits, and the attempt in the upper ones: together 32 bits, the size of a
/// token on small systems.
fn token(index: u32, attempt: AttemptId) -> Token {
    Token(usize::from(attempt.0) << INDEX_BITS | index as usize)
}

/// The index of the connection and the attempt that this token stands for.
pub(super) fn split_token(token: Token) -> (usize, AttemptId) {
    (token.0 & ((1 << INDEX_BITS) - 1), AttemptId((token.0 >> INDEX_BITS) as u8))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use socket2::SockRef;

    use super::*;

    /// It was reported as a close: the system tells an error once, and that was when the socket was asked for input.
    #[test]
    fn a_reset_that_is_found_while_looking_for_input_is_not_lost() -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let stream = TcpStream::connect(listener.local_addr()?)?;
        let (other, _) = listener.accept()?;
        SockRef::from(&other).set_linger(Some(Duration::ZERO))?;
        drop(other);
        stream.set_nonblocking(true)?;
        let mut socket = Socket::new(AttemptId::FIRST, Transport::Tcp(mio::net::TcpStream::from_std(stream)));
        socket.writing = Writing::Writable;
        while !socket.has_unreported_input() {
            std::thread::yield_now();
        }
        assert!(socket.may_read());
        let end = socket.read(&mut [0; 8]).err();
        assert!(matches!(end, Some(End::Failed(io::ErrorKind::ConnectionReset, _))), "{end:?}");
        Ok(())
    }
}
