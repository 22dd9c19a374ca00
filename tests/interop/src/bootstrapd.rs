//! A real `tox-bootstrapd` on loopback: the relay that is used in the Tox network.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use crate::directory::Directory;
use crate::error::Error;
use crate::ports::free_ports;
use crate::process::{Process, Program};

/// The limit for printing the key, and for the port to accept connections. A start takes some tens of milliseconds.
const START_LIMIT: Duration = Duration::from_secs(20);

const PROGRAM: Program = Program { name: "tox-bootstrapd", package: "toxcore-utils" };

/// The name of the configuration file in the program's working directory.
const CONFIG: &str = "conf";

/// The directory holds a secret key.
const PRIVATE: u32 = 0o700;

/// The most starts, each with other ports: the program ends at once if its port is in use.
const START_TRIES: u32 = 5;

/// A running `tox-bootstrapd` with TCP relay, in its own temporary directory. It knows no other nodes, so it contacts
/// nobody by itself. It listens on all addresses, since it has no setting for one of them.
///
/// Dropping it ends the process and removes the directory, also during a panic. If the whole test process is killed,
/// the kernel ends the relay, but the directory remains.
#[derive(Debug)]
pub struct Bootstrapd {
    // Fields are dropped in this order: the process ends before the directory that it writes to is removed.
    process: Option<Process>,
    directory: Directory,
    addr: SocketAddr,
    public_key: [u8; 32],
}

impl Bootstrapd {
    /// Starts a relay with new keys on a free port of 127.0.0.1, and waits until it accepts connections.
    pub fn start() -> Result<Self, Error> {
        Self::start_on(Ipv4Addr::LOCALHOST.into())
    }

    /// The same with IPv6 enabled, on `[::1]`. The relay then also accepts connections on 127.0.0.1, on the same port.
    pub fn start_ipv6() -> Result<Self, Error> {
        Self::start_on(Ipv6Addr::LOCALHOST.into())
    }

    /// The relay's address. It stays the same after a restart.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The port for UDP, on which it is a node of the DHT. It stays the same after a restart.
    pub fn dht_port(&self) -> u16 {
        self.addr.port() - 1
    }

    /// The relay's DHT public key. It stays the same after a restart.
    pub fn public_key(&self) -> [u8; 32] {
        self.public_key
    }

    /// The id of the running process; `None` after [`kill`](Self::kill).
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Ends the process at once, like a crash, and reaps it. The kernel closes its connections, and its port
    /// refuses new ones. Does nothing if the process is not running.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts the relay again with the same keys, on the same port, and waits until it accepts connections.
    /// Kills it first if it is running. After an error it is not running.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.kill();
        let (mut process, public_key) = start_in(self.directory.path())?;
        process.wait_until_listening(self.addr, START_LIMIT)?;
        self.process = Some(process);
        self.public_key = public_key;
        Ok(())
    }

    /// Stops the process: it falls silent, and its connections last. The kernel still accepts new ones for it.
    pub fn suspend(&self) -> Result<(), Error> {
        self.signal("STOP")
    }

    /// Continues a suspended process.
    pub fn resume(&self) -> Result<(), Error> {
        self.signal("CONT")
    }

    /// Sends a signal, if the process is running.
    fn signal(&self, name: &str) -> Result<(), Error> {
        self.process.as_ref().map_or(Ok(()), |process| process.signal(name))
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
        let directory = Directory::new(PROGRAM.name, PRIVATE)
            .map_err(|source| Error::Io { what: "create a directory", source })?;
        let dht_port = free_ports(ip)?;
        let addr = SocketAddr::new(ip, dht_port + 1);
        fs::write(directory.path().join(CONFIG), config(addr, dht_port))
            .map_err(|source| Error::Io { what: "write a configuration", source })?;
        let mut relay = Self { process: None, directory, addr, public_key: [0; 32] };
        relay.restart()?;
        Ok(relay)
    }
}

/// Starts the program in the directory with its configuration, and waits for its public key. It prints the key last,
/// after it has bound the relay's port.
fn start_in(directory: &Path) -> Result<(Process, [u8; 32]), Error> {
    let arguments = [&format!("--config={CONFIG}"), "--foreground", "--log-backend=stdout"];
    let (mut process, keys) = Process::start(PROGRAM, &arguments, directory, parse_key)?;
    match keys.recv_timeout(START_LIMIT) {
        Ok(key) => Ok((process, key)),
        Err(RecvTimeoutError::Timeout) => Err(process.not_ready(START_LIMIT)),
        // Its output has ended, so the process has ended or will end soon.
        Err(RecvTimeoutError::Disconnected) => Err(process.end_error(START_LIMIT)),
    }
}

/// The public key, if this line of the output contains it.
fn parse_key(line: &str) -> Option<[u8; 32]> {
    let (digits, []) = line.strip_prefix("Public Key: ")?.trim().as_bytes().as_chunks::<2>() else {
        return None;
    };
    let bytes: Option<Vec<u8>> =
        digits.iter().map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    bytes?.try_into().ok()
}

/// The configuration file. Paths are relative to the program's working directory, so they need no quoting.
fn config(relay: SocketAddr, dht_port: u16) -> String {
    let ipv6 = relay.is_ipv6();
    let ipv4_fallback = !ipv6; // without IPv6 the start must fail, or the relay would not listen on its address
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;
    use std::{panic, thread};

    #[test]
    fn a_panic_removes_the_process_and_the_directory() {
        let relay = Bootstrapd::start().unwrap();
        let id = relay.process_id().unwrap();
        let directory = relay.directory.path().to_owned();
        assert!(is_running(id));
        assert!(directory.join("keys").exists());

        let test = thread::spawn(move || {
            let _relay = relay;
            // Unlike `panic!` it prints no message, which would look like a failed test.
            panic::resume_unwind(Box::new("a test that fails"));
        });

        assert!(test.join().is_err());
        assert!(!is_running(id));
        assert!(!directory.exists());
    }

    #[test]
    fn a_port_in_use_is_an_error_with_the_programs_output() {
        let first = Bootstrapd::start().unwrap();
        let directory = Directory::new(PROGRAM.name, PRIVATE).unwrap();
        let config = config(first.addr(), first.addr().port() - 1);
        fs::write(directory.path().join(CONFIG), config).unwrap();

        let error = start_in(directory.path()).unwrap_err();

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

    #[test]
    fn keys_are_64_hex_digits() {
        let parse = |digits: &str| parse_key(&format!("Public Key: {digits}"));
        assert_eq!(parse(&"aB".repeat(32)), Some([0xab; 32]));
        for bad in ["", "a", &"ab".repeat(31), &"ab".repeat(33), &"xy".repeat(32)] {
            assert_eq!(parse(bad), None);
        }
        assert_eq!(parse_key(&"ab".repeat(32)), None);
    }

    /// A process that has ended but was not reaped counts as running.
    fn is_running(id: u32) -> bool {
        Path::new(&format!("/proc/{id}")).exists()
    }
}
