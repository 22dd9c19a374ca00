//! One connection with its sockets: one, or one for each attempt while it is opened.

use std::io;
use std::num::NonZeroU64;
use std::time::Instant;

use mio::Registry;

use crate::client::keys::{self, SharedKeyHash};
use crate::client::socket::{Read, Socket};
use crate::client::sockets::{Sockets, Source};
use crate::connection::{Connection, End, Shared};
use crate::error::DisconnectReason;
use crate::events::Events;
use crate::id::AttemptId;
use crate::key::PublicKey;
use crate::stage::{Party, Stage};
use crate::status::ConnectionStatus;

/// See the module.
pub(super) struct Slot {
    pub(super) connection: Connection,
    sockets: Sockets,
    /// The attempt whose socket was read last.
    last_read: AttemptId,
    pub(super) keys: ConnectionKeys,
    /// Whether it is in `Loop::ready`.
    pub(super) is_ready: bool,
    /// Whether it is in `Loop::unflushed`.
    pub(super) is_unflushed: bool,
    /// Whether a `Notice::Writable` for it is queued.
    pub(super) is_notice_queued: bool,
}

/// The keys that identify a connection: no two connections have the same ones.
pub(super) struct ConnectionKeys {
    /// The public key this connection uses, if it is not the client's.
    pub(super) identity: Option<Box<PublicKey>>,
    /// The relay's public key.
    pub(super) relay: PublicKey,
    /// The hash of the key that the two share.
    pub(super) shared_key_hash: SharedKeyHash,
}

impl Slot {
    pub(super) fn new(connection: Connection, source: Source, keys: ConnectionKeys) -> Self {
        Self {
            connection,
            sockets: Sockets::new(source),
            last_read: AttemptId::FIRST,
            keys,
            is_ready: false,
            is_unflushed: false,
            is_notice_queued: false,
        }
    }

    /// Closes the sockets of attempts that are over, and begins the attempts that are due. An error if the last one has
    /// failed: the reason, and the error of the operating system.
    pub(super) fn update_attempts(
        &mut self,
        registry: &Registry,
    ) -> Result<(), (DisconnectReason, io::Error)> {
        let is_open = |attempt| self.connection.is_open(attempt);
        if self.connection.stage() == Stage::Connected {
            self.sockets.keep_one(registry, is_open);
            return Ok(());
        }
        self.sockets.close_unless(registry, is_open);
        while self.connection.is_attempt_due(Instant::now()) {
            self.begin_attempt(registry)?;
        }
        Ok(())
    }

    fn begin_attempt(&mut self, registry: &Registry) -> Result<(), (DisconnectReason, io::Error)> {
        let entropy = match keys::entropy() {
            Ok(entropy) => entropy,
            Err(error) => {
                let (stage, kind, code) = (self.connection.stage(), error.kind(), error.raw_os_error());
                let party = Party::Relay;
                return Err((DisconnectReason::Transport { stage, party, hint: None, kind, code }, error));
            }
        };
        let id = self.connection.id();
        let proxy = self.connection.proxy().map(|proxy| proxy.address());
        let Some((attempt, address)) = self.connection.begin_attempt(Instant::now(), entropy) else {
            return Ok(());
        };
        log::debug!(
            "connection {id}: connecting to {address}{}",
            if proxy.is_some() { " through a proxy" } else { "" }
        );
        let target = proxy.or(address.socket_addr());
        let Err(error) = self.sockets.open(attempt, target, registry, id.index) else {
            return Ok(());
        };
        self.connection.handle_end(attempt, End::from(&error)).map_err(|reason| (reason, error))
    }

    /// Removes its sockets from the poller.
    pub(super) fn deregister(&mut self, registry: &Registry) {
        self.sockets.as_mut_slice().iter_mut().for_each(|socket| socket.deregister(registry));
    }

    /// Stores what the poller reports about a socket. Returns `true` if the connection needs a turn.
    pub(super) fn handle_readiness(&mut self, attempt: AttemptId, event: &mio::event::Event) -> bool {
        let socket = self.sockets.as_mut_slice().iter_mut().find(|socket| socket.attempt == attempt);
        socket.is_some_and(|socket| socket.handle_readiness(event))
    }

    pub(super) fn socket_count(&self) -> usize {
        self.sockets.as_slice().len()
    }

    /// Whether a turn may find something to read.
    pub(super) fn may_read(&self) -> bool {
        self.sockets.as_slice().iter().any(Socket::may_read)
    }

    /// Whether there is input that the poller has not reported.
    pub(super) fn has_unreported_input(&mut self) -> bool {
        let mut any = false;
        for socket in self.sockets.as_mut_slice() {
            any |= socket.has_unreported_input();
        }
        any
    }

    /// Whether anything is to be written.
    pub(super) fn has_output(&self) -> bool {
        self.sockets.as_slice().iter().any(|socket| self.connection.has_output(socket.attempt))
    }

    /// Returns `true` if the caller must add it to `Loop::ready`: it is not there yet.
    pub(super) fn mark_ready(&mut self) -> bool {
        !std::mem::replace(&mut self.is_ready, true)
    }

    /// Returns `true` if the caller must add it to `Loop::unflushed`: it is not there yet, and not all of its sockets
    /// are full. (The poller reports when a full socket has room again.)
    pub(super) fn mark_unflushed(&mut self) -> bool {
        self.sockets.as_slice().iter().any(Socket::may_write)
            && !std::mem::replace(&mut self.is_unflushed, true)
    }

    /// Returns `true` if the caller must queue a notice that the send queue has room again: no such notice is queued
    /// yet.
    pub(super) fn mark_writable(&mut self) -> bool {
        self.connection.take_writable() && !std::mem::replace(&mut self.is_notice_queued, true)
    }

    /// Begins a turn of the sockets that have something to read, or have just been connected, or have failed to: see
    /// [`Connection::handle_turn`]. `has_leftover`: there is input that was read and not handled.
    pub(super) fn begin_turn(
        &mut self,
        now: Instant,
        since: Instant,
        has_leftover: bool,
    ) -> Result<(), DisconnectReason> {
        for socket in self.sockets.as_mut_slice() {
            let attempt = socket.attempt;
            match socket.finish_connecting() {
                Ok(true) => {
                    self.connection.handle_turn(now, attempt, since);
                    self.connection.handle_connected(now, attempt);
                    log::trace!("connection {}: TCP is connected", self.connection.id());
                }
                Ok(false) if socket.may_read() || has_leftover && attempt == self.last_read => {
                    self.connection.handle_turn(now, attempt, since);
                }
                Ok(false) => {}
                Err(error) => self.connection.handle_end(attempt, End::from(&error))?,
            }
        }
        Ok(())
    }

    /// Reads once, from one of its sockets. They take turns.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<Read, DisconnectReason> {
        if let [_, _, ..] = self.sockets.as_slice()
            && let Some(at) =
                self.sockets.as_slice().iter().position(|socket| socket.attempt == self.last_read)
        {
            self.sockets.as_mut_slice().rotate_left(at + 1);
        }
        for socket in self.sockets.as_mut_slice() {
            // The socket of an attempt that has just failed is not closed yet.
            if !socket.may_read() || !self.connection.is_open(socket.attempt) {
                continue;
            }
            match socket.read(buffer) {
                Ok(Read::Nothing) => {}
                Ok(Read::Bytes(len)) => {
                    self.last_read = socket.attempt;
                    return Ok(Read::Bytes(len));
                }
                Err(end) => self.connection.handle_end(socket.attempt, end)?,
            }
        }
        Ok(Read::Nothing)
    }

    /// Passes to the connection what was read last: see [`Connection::receive`].
    pub(super) fn receive(
        &mut self,
        now: Instant,
        input: &mut [u8],
        shared: &mut Shared,
        events: &mut Events,
    ) -> Result<usize, DisconnectReason> {
        self.connection.receive(now, self.last_read, input, shared, events)
    }

    /// Checks timeouts. If one has passed and a write has failed before, the connection ends with that failure.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        unread: bool,
        ping: NonZeroU64,
    ) -> Result<(), DisconnectReason> {
        let is_open = |attempt| self.connection.is_open(attempt);
        let broken = match self.sockets.as_slice() {
            [socket] if is_open(socket.attempt) => socket.broken().map(|end| (socket.attempt, end)),
            _ => None,
        };
        let result = self.connection.handle_timeout(now, unread, ping);
        match (result, broken) {
            (Err(_), Some((attempt, end))) if self.connection.is_open(attempt) => {
                self.connection.handle_end(attempt, end)
            }
            (result, _) => result,
        }
    }

    /// Writes the connection's output, as far as its sockets accept it. Returns `false` if writing has failed: the
    /// relay may have sent something before that shows the reason, so the connection gets another turn and ends there.
    pub(super) fn flush(&mut self, ping: NonZeroU64, shared: &mut Shared, scratch: &mut [u8]) -> bool {
        let mut all = true;
        for socket in self.sockets.as_mut_slice() {
            all &= socket.flush(&mut self.connection, ping, shared, scratch);
        }
        all
    }

    /// The public key that this connection uses. `client` is the client's own.
    pub(super) fn identity(&self, client: PublicKey) -> PublicKey {
        self.keys.identity.as_deref().copied().unwrap_or(client)
    }

    /// `client` is the client's own public key.
    pub(super) fn status(&self, client: PublicKey) -> ConnectionStatus {
        let (started, times) = (self.connection.started(), self.connection.times());
        ConnectionStatus {
            connection: self.connection.id(),
            token: self.connection.token(),
            stage: self.connection.stage(),
            address: self.connection.address().clone(),
            failed_attempts: self.connection.failed_attempts(),
            proxy: self.connection.proxy().map(|proxy| proxy.address()),
            public_key: self.keys.relay,
            identity: self.identity(client),
            started,
            connected_at: times.connected.map(|time| started + time),
            last_heard: self.connection.last_heard(),
            round_trips: self.connection.round_trips(),
            times,
            traffic: self.connection.traffic(),
            queued: self.connection.queued(),
            unconfirmed: self.connection.unconfirmed(),
            window: self.connection.window(),
            routes: self.connection.route_count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The memory of an idle connection is this struct, its session with the channel, its socket, and an entry in each
    /// table.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn an_idle_connection_takes_few_bytes() {
        assert!(size_of::<Slot>() <= 272, "{}", size_of::<Slot>());
        assert!(size_of::<Connection>() <= 176, "{}", size_of::<Connection>());
    }
}
