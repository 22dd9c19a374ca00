//! A real `tox-bootstrapd` on loopback: the relay that the network runs.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use crate::directory::Directory;
use crate::error::Error;
use crate::ports::free_ports;
use crate::process::{Process, Program};

/// For the key to be printed, and for the port to answer. A start takes some tens of milliseconds.
const START_LIMIT: Duration = Duration::from_secs(20);

const PROGRAM: Program = Program { name: "tox-bootstrapd", package: "toxcore-utils" };

/// The configuration's name inside the directory that the program is started in.
const CONFIG: &str = "conf";

/// The directory holds a secret key.
const PRIVATE: u32 = 0o700;

/// How often other ports are tried when the program ends at once, as it does when its port is taken.
const START_TRIES: u32 = 5;

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
        let (mut process, public_key) = start_in(self.directory.path())?;
        process.wait_until_it_listens(self.addr, START_LIMIT)?;
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
        let directory = Directory::new(PROGRAM.name, PRIVATE)
            .map_err(|source| Error::Io { what: "make a directory", source })?;
        let dht_port = free_ports(ip)?;
        let addr = SocketAddr::new(ip, dht_port + 1);
        fs::write(directory.path().join(CONFIG), config(addr, dht_port))
            .map_err(|source| Error::Io { what: "write a configuration", source })?;
        let mut relay = Self { process: None, directory, addr, public_key: [0; 32] };
        relay.restart()?;
        Ok(relay)
    }
}

/// Starts it where its configuration is, and waits until it prints its public key, which it does last, with its relay port
/// bound.
fn start_in(directory: &Path) -> Result<(Process, [u8; 32]), Error> {
    let arguments = [&format!("--config={CONFIG}"), "--foreground", "--log-backend=stdout"];
    let (mut process, keys) = Process::start(PROGRAM, &arguments, directory, parse_key)?;
    match keys.recv_timeout(START_LIMIT) {
        Ok(key) => Ok((process, key)),
        Err(RecvTimeoutError::Timeout) => Err(process.not_ready(START_LIMIT)),
        // It has printed its last, so it has ended or is about to.
        Err(RecvTimeoutError::Disconnected) => Err(process.ended(START_LIMIT)),
    }
}

/// The key in a line of the output, if this is the one.
fn parse_key(line: &str) -> Option<[u8; 32]> {
    let (digits, []) = line.strip_prefix("Public Key: ")?.trim().as_bytes().as_chunks::<2>() else {
        return None;
    };
    let bytes: Option<Vec<u8>> =
        digits.iter().map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    bytes?.try_into().ok()
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;
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

    /// A process that is dead but not reaped counts as running.
    fn is_running(id: u32) -> bool {
        Path::new(&format!("/proc/{id}")).exists()
    }
}
