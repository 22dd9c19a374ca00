//! The sockets of a connection: one for each attempt while it is opened, and then one.

use std::io;
use std::net::SocketAddr;
use std::slice;

use mio::Registry;

use crate::client::socket::Socket;
use crate::client::stream::Transport;
use crate::id::AttemptId;

/// See the module. In established connections, which are many, the one socket is not on the heap.
pub(super) enum Sockets {
    Opening(Box<Opening>),
    Established(Socket),
}

pub(super) struct Opening {
    source: Source,
    /// One for each attempt that is not over.
    sockets: Vec<Socket>,
}

/// Where the sockets of attempts come from.
pub(super) enum Source {
    /// They are created, and bound to this local address if there is one.
    New(Option<SocketAddr>),
    /// The caller has made the only one; `None` once it is in use.
    Caller(Option<Transport>),
}

impl Sockets {
    pub(super) fn new(source: Source) -> Self {
        Self::Opening(Box::new(Opening { source, sockets: Vec::with_capacity(1) }))
    }

    pub(super) fn as_slice(&self) -> &[Socket] {
        match self {
            Self::Opening(opening) => &opening.sockets,
            Self::Established(socket) => slice::from_ref(socket),
        }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [Socket] {
        match self {
            Self::Opening(opening) => &mut opening.sockets,
            Self::Established(socket) => slice::from_mut(socket),
        }
    }

    /// Opens the socket of a new attempt. The target is `None` for a host name without a proxy: `connect` refuses that,
    /// unless the caller has made the socket.
    pub(super) fn open(
        &mut self,
        attempt: AttemptId,
        target: Option<SocketAddr>,
        registry: &Registry,
        index: u32,
    ) -> io::Result<()> {
        let Self::Opening(opening) = self else {
            return Ok(()); // no attempt begins after that
        };
        let transport = match &mut opening.source {
            Source::New(local) => Transport::connect(target.ok_or(io::ErrorKind::InvalidInput)?, *local)?,
            Source::Caller(transport) => transport.take().ok_or(io::ErrorKind::NotConnected)?,
        };
        let mut socket = Socket::new(attempt, transport);
        socket.register(registry, index)?;
        opening.sockets.push(socket);
        Ok(())
    }

    /// Closes the sockets of all attempts that are not open.
    pub(super) fn close_unless(&mut self, registry: &Registry, is_open: impl Fn(AttemptId) -> bool) {
        if let Self::Opening(opening) = self {
            for mut socket in opening.sockets.extract_if(.., |socket| !is_open(socket.attempt)) {
                socket.deregister(registry);
            }
        }
    }

    /// The relay has proved itself on one of them: closes all others.
    pub(super) fn keep_one(&mut self, registry: &Registry, is_open: impl Fn(AttemptId) -> bool) {
        self.close_unless(registry, is_open);
        if let Self::Opening(opening) = self
            && let Some(socket) = opening.sockets.pop()
        {
            *self = Self::Established(socket);
        }
    }
}
