//! One connection and its socket: what is known of the socket, and how it is read and written.

use std::io::{self, Read as _, Write as _};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

use mio::net::TcpStream;

use crate::address::Address;
use crate::client::socket;
use crate::client::timers::{NEVER, Tick};
use crate::config::Proxy;
use crate::connection::{Connection, End};
use crate::crypto::KeyStream;
use crate::error::DisconnectReason;
use crate::key::PublicKey;
use crate::stage::Stage;
use crate::status::RelayStatus;

/// See the module.
pub(super) struct Slot {
    pub(super) connection: Connection,
    pub(super) stream: TcpStream,
    pub(super) address: Address,
    /// The proxy that leads there.
    proxy: Option<Arc<Proxy>>,
    pub(super) keys: ConnectionKeys,
    /// The tick of its deadline on the wheel.
    pub(super) scheduled: Tick,
    reading: Reading,
    writing: Writing,
    /// Whether it stands in `Loop::ready`.
    pub(super) is_ready: bool,
    /// Whether it stands in `Loop::unflushed`.
    pub(super) is_unflushed: bool,
    /// Whether a `Notice::Writable` of it waits.
    pub(super) is_noticed: bool,
}

/// What makes a connection unique.
pub(super) struct ConnectionKeys {
    /// The public key this connection uses.
    pub(super) identity: PublicKey,
    /// The relay's public key.
    pub(super) relay: PublicKey,
    /// The hash of the key that the two share: see [`Table::hash`](crate::client::table::Table::hash).
    pub(super) shared_key_hash: u64,
}

/// What the socket has to read, as far as is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Drained,
    Readable,
    /// The socket has said that its end is near: only reading shows where.
    Ending,
}

/// What the socket takes, as far as is known.
enum Writing {
    /// Nothing, until the poller says that it is writable.
    Full,
    Writable,
    /// Nothing ever again. What the relay sent before is still read; then this is how the connection ended.
    Broken(End),
}

/// What became of a read.
pub(super) enum Read {
    /// So many bytes.
    Bytes(usize),
    /// There is nothing now.
    Nothing,
}

impl Slot {
    pub(super) fn new(
        connection: Connection,
        stream: TcpStream,
        address: Address,
        proxy: Option<Arc<Proxy>>,
        keys: ConnectionKeys,
    ) -> Self {
        Self {
            connection,
            stream,
            address,
            proxy,
            keys,
            scheduled: NEVER,
            reading: Reading::Drained,
            writing: Writing::Full,
            is_ready: false,
            is_unflushed: false,
            is_noticed: false,
        }
    }

    /// Notes what the poller says of the socket. `true` if the connection wants a turn.
    pub(super) fn handle_readiness(&mut self, event: &mio::event::Event) -> bool {
        let is_connecting = self.connection.stage() == Stage::Connecting;
        if event.is_writable() && !is_connecting && matches!(self.writing, Writing::Full) {
            self.writing = Writing::Writable;
        }
        if event.is_read_closed() || event.is_error() {
            self.reading = Reading::Ending;
        } else if event.is_readable() && self.reading == Reading::Drained {
            self.reading = Reading::Readable;
        }
        is_connecting || self.may_read()
    }

    /// Whether a turn may find something to read.
    pub(super) fn may_read(&self) -> bool {
        // Where writing has failed, reading goes on until it fails, too.
        self.reading != Reading::Drained || self.is_broken()
    }

    /// Whether something may be there although the poller was silent: a read stops short in front of urgent data, too, and
    /// no poller reports what lies behind them.
    pub(super) fn has_hidden_input(&mut self) -> bool {
        let is_hidden = self.stream.peek(&mut [0]).is_ok_and(|len| len > 0);
        if is_hidden && self.reading == Reading::Drained {
            self.reading = Reading::Readable;
        }
        is_hidden
    }

    /// `true` if it is to be put into `Loop::ready`, where it does not stand yet.
    pub(super) fn mark_ready(&mut self) -> bool {
        !std::mem::replace(&mut self.is_ready, true)
    }

    /// `true` if it is to be put into `Loop::unflushed`, where it does not stand yet. A full socket has no place there: the
    /// poller reports when it has room.
    pub(super) fn mark_unflushed(&mut self) -> bool {
        self.may_flush() && !std::mem::replace(&mut self.is_unflushed, true)
    }

    /// `true` if the caller is to be told that the queue has room again, and no notice of it waits yet.
    pub(super) fn mark_writable(&mut self) -> bool {
        self.connection.take_writable() && !std::mem::replace(&mut self.is_noticed, true)
    }

    fn may_flush(&self) -> bool {
        matches!(self.writing, Writing::Writable)
    }

    fn is_broken(&self) -> bool {
        matches!(self.writing, Writing::Broken(_))
    }

    /// How writing has failed, if it has.
    fn broken(&self) -> Option<End> {
        match &self.writing {
            Writing::Broken(end) => Some(*end),
            _ => None,
        }
    }

    /// Looks how the connecting of the socket went. `true` if it is connected now.
    pub(super) fn finish_connecting(&mut self, now: Instant) -> Result<bool, DisconnectReason> {
        let result = match self.stream.peer_addr() {
            // Not connected yet, or never: the socket knows which.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => match self.stream.take_error() {
                Ok(Some(error)) | Err(error) => Err(error),
                Ok(None) => Err(error),
            },
            result => result,
        };
        match result {
            Ok(_) => {
                // If an option fails the socket is already dead, and the next read says why.
                if let Err(error) = socket::prepare(&self.stream) {
                    log::debug!("relay {}: no socket options: {error}", self.connection.id());
                }
                self.connection.handle_connected(now);
                self.writing = Writing::Writable;
                log::trace!("relay {}: TCP is connected", self.connection.id());
                Ok(true)
            }
            // The poller woke us for nothing.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(self.connection.handle_end(End::from(&error))),
        }
    }

    /// Reads once. The end of the stream is an error, as all ends are.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<Read, DisconnectReason> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => {
                    // A reset that a write has met reads as a clean end.
                    let end = self.broken().filter(is_reset).unwrap_or(End::Closed);
                    return Err(self.connection.handle_end(end));
                }
                Ok(len) => {
                    let is_drained = len < buffer.len() && socket::SHORT_READ_DRAINS;
                    if is_drained && self.reading == Reading::Readable {
                        self.reading = Reading::Drained;
                    }
                    return Ok(Read::Bytes(len));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.reading = Reading::Drained;
                    let broken = self.broken().map(|end| self.connection.handle_end(end));
                    return broken.map_or(Ok(Read::Nothing), Err);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.connection.handle_end(End::from(&error))),
            }
        }
    }

    /// Looks at the time. Where writing has failed, that is why the connection ends.
    pub(super) fn judge(
        &mut self,
        now: Instant,
        unread: bool,
        ping: NonZeroU64,
    ) -> Result<(), DisconnectReason> {
        let judged = self.connection.handle_timeout(now, unread, ping);
        judged.map_err(|reason| self.broken().map_or(reason, |end| self.connection.handle_end(end)))
    }

    /// Writes what the connection has, as far as the socket takes it. `false` if writing has failed: what the relay sent
    /// before may say more, so the connection gets another turn and ends there.
    pub(super) fn flush(&mut self, key_stream: &mut KeyStream, scratch: &mut [u8]) -> bool {
        if !self.may_flush() {
            return true;
        }
        // Now, and not when the turn began: the round trip of a ping is counted from here.
        let (now, stream) = (Instant::now(), &mut self.stream);
        match self.connection.flush(now, key_stream, scratch, |bytes| stream.write(bytes)) {
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

    pub(super) fn status(&self) -> RelayStatus {
        RelayStatus {
            stage: self.connection.stage(),
            address: self.address.clone(),
            proxy: self.proxy.as_ref().map(|proxy| proxy.address()),
            public_key: self.keys.relay,
            identity: self.keys.identity,
            round_trip: self.connection.round_trip(),
            times: self.connection.times(),
            traffic: self.connection.traffic(),
            queued: self.connection.queued(),
            routes: self.connection.route_count(),
        }
    }
}

fn is_reset(end: &End) -> bool {
    matches!(end, End::Failed(io::ErrorKind::ConnectionReset, _))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An idle connection is this, its socket, and an entry in each of the tables.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn an_idle_connection_takes_few_bytes() {
        assert!(size_of::<Slot>() <= 552, "{}", size_of::<Slot>());
        assert!(size_of::<Connection>() <= 400);
    }
}
