//! How a transport ends, and the reason for a disconnect that follows from it.

use std::io::ErrorKind::{self, BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset};

use crate::error::{DisconnectReason, Hint};
use crate::stage::{Party, Stage};

/// How a transport ends.
#[derive(Debug, Clone, Copy)]
pub enum End {
    /// The other side closed it.
    Closed,
    /// It failed: the kind of the error, and its number in the operating system if it has one.
    Failed(ErrorKind, Option<i32>),
    /// It was given up after a timeout: [`handle_timeout`](super::Connection::handle_timeout) does so, and a driver
    /// may.
    Late,
}

impl From<&std::io::Error> for End {
    fn from(error: &std::io::Error) -> Self {
        Self::Failed(error.kind(), error.raw_os_error())
    }
}

impl End {
    /// Whether the other side has ended it, cleanly or not.
    pub(super) fn is_close(self) -> bool {
        matches!(self, Self::Closed | Self::Failed(ConnectionReset | ConnectionAborted | BrokenPipe, _))
    }

    /// Why the connection ended, if nothing but the end of the transport is known.
    pub(super) fn reason(self, stage: Stage, party: Party, hint: Option<Hint>) -> DisconnectReason {
        match self {
            Self::Failed(ConnectionRefused, _) if stage == Stage::Connecting => {
                DisconnectReason::Refused(party)
            }
            Self::Failed(kind, code) => DisconnectReason::Transport { stage, party, hint, kind, code },
            Self::Closed => DisconnectReason::Closed { stage, party, hint },
            Self::Late => DisconnectReason::TimedOut { stage, party, hint },
        }
    }
}
