//! Why a program that a test needs could not be started.

use std::process::ExitStatus;
use std::time::Duration;
use std::{error, fmt, io};

use crate::ports::PORTS;

/// Why a program that a test needs could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The program is not installed.
    NotInstalled {
        /// The program's name.
        program: &'static str,
        /// The Debian package that contains it.
        package: &'static str,
    },
    /// The program ended during its start. Most programs do so if their port is in use.
    Ended {
        /// The program's name.
        program: &'static str,
        /// Its exit status.
        status: ExitStatus,
        /// What it printed.
        output: String,
    },
    /// The program is running, but was not ready within `limit`.
    NotReady {
        /// The program's name.
        program: &'static str,
        /// The time limit.
        limit: Duration,
        /// What it printed.
        output: String,
    },
    /// No port in the range is free.
    NoFreePort,
    /// An operation of the operating system failed.
    Io {
        /// The operation, as a verb phrase that follows "cannot" in the message.
        what: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled { program, package } => {
                write!(f, "{program} is not installed: install the Debian package {package}")
            }
            Self::Ended { program, status, output } => {
                write!(f, "{program} ended with {status} and printed:\n{output}")
            }
            Self::NotReady { program, limit, output } => {
                write!(f, "{program} was not ready after {limit:?} and printed:\n{output}")
            }
            Self::NoFreePort => write!(f, "there are no two consecutive free ports in {PORTS:?}"),
            Self::Io { what, source } => write!(f, "cannot {what}: {source}"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
