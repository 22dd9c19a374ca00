//! A handle that lets another thread end the wait of a poll.

use std::io;
use std::sync::Arc;

use mio::{Registry, Token};

/// Ends the wait of a [`poll`](crate::Client::poll) from another thread: see [`Client::waker`](crate::Client::waker).
#[derive(Debug, Clone)]
pub struct Waker(Arc<mio::Waker>);

impl Waker {
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        Ok(Self(Arc::new(mio::Waker::new(registry, token)?)))
    }

    /// Makes the current [`poll`](crate::Client::poll) return, or the next one if none is waiting. Several calls before
    /// that have the effect of one.
    ///
    /// # Errors
    ///
    /// The error of the operating system. It is not expected to fail here.
    pub fn wake(&self) -> io::Result<()> {
        self.0.wake()
    }
}
