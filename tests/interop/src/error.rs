//! Why a program is not there for a test.

use std::process::ExitStatus;
use std::time::Duration;
use std::{error, fmt, io};

use crate::ports::PORTS;

/// Why a program is not there for a test.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A program is missing on this machine.
    NotInstalled {
        /// The program's name.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// The program ended instead of running, as most do when their port is taken.
    Ended {
        /// The program's name.
        program: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// What it printed.
        output: String,
    },
    /// The program runs, but its port has not answered within `limit`.
    NotReady {
        /// The program's name.
        program: &'static str,
        /// How long it was given.
        limit: Duration,
        /// What it printed.
        output: String,
    },
    /// None of the ports that were tried is free.
    NoFreePort,
    /// The operating system refused something.
    Io {
        /// What was to be done, to be read after "cannot".
        what: &'static str,
        /// Its reason.
        source: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled { program, package } => {
                write!(f, "{program} is not installed; it is in the Debian package {package}")
            }
            Self::Ended { program, status, output } => {
                write!(f, "{program} ended with {status} and printed:\n{output}")
            }
            Self::NotReady { program, limit, output } => {
                write!(f, "{program} was not ready after {limit:?} and printed:\n{output}")
            }
            Self::NoFreePort => write!(f, "no two free ports in {PORTS:?}"),
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
