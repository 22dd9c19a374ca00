//! A real `tox-bootstrapd` on loopback: the relay that the network runs.

use std::fs::{self, DirBuilder};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{self, ExitStatus};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, error, fmt};

use crate::process::{CONFIG, Process};
use crate::wait_for;

/// For the key to be printed, and for the port to answer. A start takes some tens of milliseconds.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How often other ports are tried when the program ends at once, as it does when its port is taken.
const START_TRIES: u32 = 5;

/// Where ports are looked for: below the ports that Linux gives to outgoing connections by default
/// (from 32768), so that nothing is given ours while the relay is down between a kill and a restart.
const FIRST_PORT: u16 = 10_000;
const PORT_PAIRS: u16 = 11_000;

/// A running `tox-bootstrapd` with its relay on, in a temporary directory of its own. It knows no
/// other node, so it talks only to who talks to it. It listens on all addresses, as it knows no
/// setting for that.
///
/// Dropped, it takes the process and the directory along, in a panic too. When the whole test
/// process is killed, the kernel ends the relay, and the directory stays.
#[derive(Debug)]
pub struct Bootstrapd {
    // Fields are dropped in this order: first the process, then the directory that it writes to.
    process: Option<Process>,
    directory: Directory,
    addr: SocketAddr,
    public_key: [u8; 32],
}

impl Bootstrapd {
    /// Starts a relay with new keys on a free port of 127.0.0.1, and waits until it answers.
    pub fn start() -> Result<Self, Error> {
        Self::start_on(Ipv4Addr::LOCALHOST.into())
    }

    /// The same with IPv6 enabled, on `[::1]`. The relay then answers on 127.0.0.1, same port, too.
    pub fn start_ipv6() -> Result<Self, Error> {
        Self::start_on(Ipv6Addr::LOCALHOST.into())
    }

    /// Where the relay answers while it runs; stays the same when it is restarted.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The relay's DHT public key; stays the same when it is restarted.
    pub fn public_key(&self) -> [u8; 32] {
        self.public_key
    }

    /// The id of the running process, for measuring it; `None` after [`kill`](Self::kill).
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Ends the process at once, as a crash would, and reaps it. Its connections are closed by the
    /// kernel, its port refuses. Does nothing when it is down already.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts the relay again with the same keys, on the same port, and waits until it answers.
    /// Kills it first if it runs. After an error it is down.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.kill();
        let (mut process, public_key) = start_in(&self.directory)?;
        wait_for(START_LIMIT, || TcpStream::connect_timeout(&self.addr, START_LIMIT).ok())
            .ok_or_else(|| process.not_ready(START_LIMIT))?;
        self.process = Some(process);
        self.public_key = public_key;
        Ok(())
    }

    fn start_on(ip: IpAddr) -> Result<Self, Error> {
        let mut tries = 1;
        loop {
            match Self::try_start(ip) {
                Err(Error::Ended { .. }) if tries < START_TRIES => tries += 1,
                outcome => return outcome,
            }
        }
    }

    fn try_start(ip: IpAddr) -> Result<Self, Error> {
        let directory = Directory::new().map_err(|source| Error::Io { what: "make a directory", source })?;
        let dht_port = free_ports(ip)?;
        let addr = SocketAddr::new(ip, dht_port + 1);
        fs::write(directory.path().join(CONFIG), config(addr, dht_port))
            .map_err(|source| Error::Io { what: "write a configuration", source })?;
        let mut relay = Self { process: None, directory, addr, public_key: [0; 32] };
        relay.restart()?;
        Ok(relay)
    }
}

/// Why there is no relay.
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
    /// The program ended instead of running. When its port is taken it does so with status 1.
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// What it printed.
        output: String,
    },
    /// The program runs, but has not printed its key, or its port has not answered, within `limit`.
    NotReady {
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
            Self::Ended { status, output } => {
                write!(f, "tox-bootstrapd ended with {status} and printed:\n{output}")
            }
            Self::NotReady { limit, output } => {
                write!(f, "tox-bootstrapd was not ready after {limit:?} and printed:\n{output}")
            }
            Self::NoFreePort => {
                let last = FIRST_PORT + 2 * PORT_PAIRS;
                write!(f, "no two free ports between {FIRST_PORT} and {last}")
            }
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

fn start_in(directory: &Directory) -> Result<(Process, [u8; 32]), Error> {
    Process::start("tox-bootstrapd", directory.path(), START_LIMIT)
}

/// Paths are relative to the directory that the program is started in, so none needs quoting.
fn config(relay: SocketAddr, dht_port: u16) -> String {
    let ipv6 = relay.is_ipv6();
    let ipv4_fallback = !ipv6; // rather an error than a relay that does not answer on its address
    let relay_port = relay.port();
    format!(
        "port = {dht_port}\n\
         keys_file_path = \"keys\"\n\
         pid_file_path = \"pid\"\n\
         enable_ipv6 = {ipv6}\n\
         enable_ipv4_fallback = {ipv4_fallback}\n\
         enable_lan_discovery = false\n\
         enable_tcp_relay = true\n\
         tcp_relay_ports = [{relay_port}]\n\
         enable_motd = false\n\
         bootstrap_nodes = ( )\n"
    )
}

/// A UDP port for the DHT, with the TCP port after it free as well. Nothing holds them until the
/// relay does, so a start that loses them to somebody else is tried again with others. Within this
/// process no port is given out twice before all were; other processes begin somewhere else.
fn free_ports(ip: IpAddr) -> Result<u16, Error> {
    static FIRST: OnceLock<u64> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // The standard library's hasher is seeded by the operating system.
    let first = *FIRST.get_or_init(|| RandomState::new().hash_one(0) % u64::from(PORT_PAIRS));
    let any = match ip {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    (0..PORT_PAIRS)
        .map(|_| {
            let pair = first + u64::from(NEXT.fetch_add(1, Ordering::Relaxed));
            FIRST_PORT + 2 * (pair % u64::from(PORT_PAIRS)) as u16
        })
        .find(|&port| UdpSocket::bind((any, port)).is_ok() && TcpListener::bind((any, port + 1)).is_ok())
        .ok_or(Error::NoFreePort)
}

/// A new directory that nobody else can read, since it will hold a secret key; removed on drop.
#[derive(Debug)]
struct Directory(PathBuf);

impl Directory {
    fn new() -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("tox-bootstrapd-{}-{number}", process::id());
            let path = env::temp_dir().join(name);
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                // Left behind by a killed process that had the same id.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{panic, thread};

    #[test]
    fn a_panic_leaves_no_process_and_no_directory() {
        let relay = Bootstrapd::start().unwrap();
        let id = relay.process_id().unwrap();
        let directory = relay.directory.path().to_owned();
        assert!(is_running(id));
        assert!(directory.join("keys").exists());

        let test = thread::spawn(move || {
            let _relay = relay;
            // Unlike `panic!` it prints nothing, which would look like a failure.
            panic::resume_unwind(Box::new("a test that fails"));
        });

        assert!(test.join().is_err());
        assert!(!is_running(id));
        assert!(!directory.exists());
    }

    #[test]
    fn a_port_in_use_is_an_error_that_carries_the_output() {
        let first = Bootstrapd::start().unwrap();
        let directory = Directory::new().unwrap();
        let config = config(first.addr(), first.addr().port() - 1);
        fs::write(directory.path().join(CONFIG), config).unwrap();

        let error = start_in(&directory).unwrap_err();

        assert!(matches!(&error, Error::Ended { output, .. } if output.contains("TCP")), "{error}");
    }

    #[test]
    fn a_kill_ends_the_process_and_a_second_one_does_nothing() {
        let mut relay = Bootstrapd::start().unwrap();
        let id = relay.process_id().unwrap();
        relay.kill();
        assert!(!is_running(id));
        assert_eq!(relay.process_id(), None);
        assert!(TcpStream::connect(relay.addr()).is_err());
        relay.kill();
    }

    /// A process that is dead but not reaped counts as running.
    fn is_running(id: u32) -> bool {
        Path::new(&format!("/proc/{id}")).exists()
    }
}
