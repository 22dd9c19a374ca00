//! One connection with its socket: the socket's known state, and how it is read and written.

use std::io::{self, Read as _, Write as _};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

use mio::net::TcpStream;

use crate::address::Address;
use crate::client::socket;
use crate::client::timers::{NEVER, Tick};
use crate::config::Proxy;
use crate::connection::{Connection, End, Shared};
use crate::error::DisconnectReason;
use crate::key::PublicKey;
use crate::stage::Stage;
use crate::status::RelayStatus;

/// See the module.
pub(super) struct Slot {
    pub(super) connection: Connection,
    pub(super) stream: TcpStream,
    pub(super) address: Address,
    /// The proxy, if the connection uses one.
    proxy: Option<Arc<Proxy>>,
    pub(super) keys: ConnectionKeys,
    /// The tick at which its deadline is scheduled on the wheel.
    pub(super) scheduled: Tick,
    reading: Reading,
    writing: Writing,
    /// Whether it is in `Loop::ready`.
    pub(super) is_ready: bool,
    /// Whether it is in `Loop::unflushed`.
    pub(super) is_unflushed: bool,
    /// Whether a `Notice::Writable` for it is queued.
    pub(super) is_notice_queued: bool,
}

/// The keys that identify a connection: no two connections have the same ones.
pub(super) struct ConnectionKeys {
    /// The public key this connection uses.
    pub(super) identity: PublicKey,
    /// The relay's public key.
    pub(super) relay: PublicKey,
    /// The hash of the key that the two share: see [`Table::hash`](crate::client::table::Table::hash).
    pub(super) shared_key_hash: u64,
}

/// Whether the socket is readable, as far as is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Drained,
    Readable,
    /// The poller has reported an error or the end of the stream. Only reading finds out after which bytes.
    Ending,
}

/// Whether the socket is writable, as far as is known.
enum Writing {
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
            is_notice_queued: false,
        }
    }

    /// Stores what the poller reports about the socket. Returns `true` if the connection needs a turn.
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
        // After a failed write, the connection is read until reading fails, too.
        self.reading != Reading::Drained || self.is_broken()
    }

    /// Whether there is input that the poller has not reported. A read also stops before urgent data, and no poller
    /// reports what comes after these.
    pub(super) fn has_unreported_input(&mut self) -> bool {
        let has_input = self.stream.peek(&mut [0]).is_ok_and(|len| len > 0);
        if has_input && self.reading == Reading::Drained {
            self.reading = Reading::Readable;
        }
        has_input
    }

    /// Returns `true` if the caller must add it to `Loop::ready`: it is not there yet.
    pub(super) fn mark_ready(&mut self) -> bool {
        !std::mem::replace(&mut self.is_ready, true)
    }

    /// Returns `true` if the caller must add it to `Loop::unflushed`: it is not there yet, and its socket is not full.
    /// (The poller reports when a full socket has room again.)
    pub(super) fn mark_unflushed(&mut self) -> bool {
        self.may_flush() && !std::mem::replace(&mut self.is_unflushed, true)
    }

    /// Returns `true` if the caller must queue a notice that the send queue has room again: no such notice is queued
    /// yet.
    pub(super) fn mark_writable(&mut self) -> bool {
        self.connection.take_writable() && !std::mem::replace(&mut self.is_notice_queued, true)
    }

    fn may_flush(&self) -> bool {
        matches!(self.writing, Writing::Writable)
    }

    fn is_broken(&self) -> bool {
        matches!(self.writing, Writing::Broken(_))
    }

    /// The failure of a write, if there was one.
    fn broken(&self) -> Option<End> {
        match &self.writing {
            Writing::Broken(end) => Some(*end),
            _ => None,
        }
    }

    /// Checks whether the socket is connected. Returns `true` if it is connected now, and an error if connecting has
    /// failed.
    pub(super) fn finish_connecting(&mut self, now: Instant) -> Result<bool, DisconnectReason> {
        let result = match self.stream.peer_addr() {
            // Either it is still connecting, or connecting has failed: then the socket has an error.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => match self.stream.take_error() {
                Ok(Some(error)) | Err(error) => Err(error),
                Ok(None) => Err(error),
            },
            result => result,
        };
        match result {
            Ok(_) => {
                // If an option cannot be set, the socket has already failed, and the next read returns the reason.
                if let Err(error) = socket::prepare(&self.stream) {
                    log::debug!("relay {}: no socket options: {error}", self.connection.id());
                }
                self.connection.handle_connected(now);
                self.writing = Writing::Writable;
                log::trace!("relay {}: TCP is connected", self.connection.id());
                Ok(true)
            }
            // A spurious wake-up: it is still connecting.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(self.connection.handle_end(End::from(&error))),
        }
    }

    /// Reads once. The end of the stream is an error, like all other ends of a connection.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<Read, DisconnectReason> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => {
                    // If a write has failed because of a reset, the read looks like a clean end.
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

    /// Checks timeouts. If one has passed and a write has failed before, the connection ends with that failure.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        unread: bool,
        ping: NonZeroU64,
    ) -> Result<(), DisconnectReason> {
        let result = self.connection.handle_timeout(now, unread, ping);
        result.map_err(|reason| self.broken().map_or(reason, |end| self.connection.handle_end(end)))
    }

    /// Writes the connection's output, as far as the socket accepts it. Returns `false` if writing has failed: the
    /// relay may have sent something before that shows the reason, so the connection gets another turn and ends there.
    pub(super) fn flush(&mut self, shared: &mut Shared, scratch: &mut [u8]) -> bool {
        if !self.may_flush() {
            return true;
        }
        // Take the time here and not at the start of the turn: the round trip of a ping is measured from here.
        let (now, stream) = (Instant::now(), &mut self.stream);
        match self.connection.flush(now, shared, scratch, |bytes| stream.write(bytes)) {
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
        let (started, times) = (self.connection.started(), self.connection.times());
        RelayStatus {
            stage: self.connection.stage(),
            address: self.address.clone(),
            proxy: self.proxy.as_ref().map(|proxy| proxy.address()),
            public_key: self.keys.relay,
            identity: self.keys.identity,
            started,
            connected_at: times.connected.map(|time| started + time),
            last_heard: self.connection.last_heard(),
            round_trips: self.connection.round_trips(),
            times,
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

    /// The memory of an idle connection is this struct, its socket, and an entry in each table.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn an_idle_connection_takes_few_bytes() {
        assert!(size_of::<Slot>() <= 560, "{}", size_of::<Slot>());
        assert!(size_of::<Connection>() <= 408);
    }
}
