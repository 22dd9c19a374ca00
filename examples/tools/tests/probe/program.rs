//! The program, and what it is tried on.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tox_relay_client::{PublicKey, SecretKey};
use tox_test_relay::{Conduct, Options, Relay};

/// Only a failing test waits this long.
pub const GUARD: Duration = Duration::from_secs(20);

/// What the program has printed, and its status.
pub struct Ended {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// The lines of `--format json`, as values.
    #[track_caller]
    pub fn json(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
    }
}

pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tox-relay"));
    command.arg("probe").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs `tox-relay probe` to its end.
pub fn probe(arguments: &[&str]) -> Ended {
    probe_with_input(arguments, "")
}

/// The same with a text on standard input.
pub fn probe_with_input(arguments: &[&str], input: &str) -> Ended {
    let mut child = command(arguments).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Ended {
        status: output.status.code().expect("no signal"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Probes one relay quickly, and returns its object and the status.
#[track_caller]
pub fn probe_one(address: SocketAddr, key: PublicKey, others: &[&str]) -> (Value, i32) {
    let (address, key) = (address.to_string(), key.to_string());
    let quick = ["-c", "2", "-i", "0.01", "-W", "1", "--format", "json"];
    let ended = probe(&[&[address.as_str(), &key][..], &quick, others].concat());
    let [object] = &ended.json()[..] else { panic!("{}\n{}", ended.stdout, ended.stderr) };
    (object.clone(), ended.status)
}

/// Probes all of these at once and quickly. Returns their objects in this order.
#[track_caller]
pub fn probe_all(targets: &[(SocketAddr, PublicKey)], others: &[&str]) -> Vec<Value> {
    let list: String = targets.iter().map(|(address, key)| format!("{address} {key}\n")).collect();
    let quick = ["-f", "-", "-c", "2", "-i", "0.01", "-W", "1", "--format", "json"];
    let ended = probe_with_input(&[&quick, others].concat(), &list);
    let objects = ended.json();
    let find = |(address, key): &(SocketAddr, PublicKey)| {
        let (address, key) = (address.to_string(), key.to_string());
        let found = objects.iter().find(|object| object["address"] == *address && object["key"] == *key);
        found.unwrap_or_else(|| panic!("{address} in {}\n{}", ended.stdout, ended.stderr)).clone()
    };
    targets.iter().map(find).collect()
}

/// The same for an embedded relay with this conduct.
#[track_caller]
pub fn probe_conduct(conduct: Conduct, others: &[&str]) -> (Value, i32) {
    let relay = relay(conduct);
    probe_one(relay.addr(), relay.public_key().into(), others)
}

pub fn relay(conduct: Conduct) -> Relay {
    Relay::start(Options { conduct, ..Options::default() }).unwrap()
}

/// `ADDRESS KEY`, as in a list.
pub fn line(relay: &Relay) -> String {
    format!("{} {}", relay.addr(), PublicKey::from(relay.public_key()))
}

pub fn any_key() -> PublicKey {
    SecretKey::generate().public_key()
}

/// A port on which nothing listens, reserved as long as the socket exists.
pub fn dead_port() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// A port that accepts connections, and never says a word: nobody takes them from the kernel.
pub fn silent_port() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Serves each connection on a thread of its own, as long as the test runs.
pub fn serve(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let (listener, address) = silent_port();
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || {
                _ = socket.set_read_timeout(Some(GUARD));
                serve(socket);
            });
        }
    });
    address
}

/// Reads until the other side ends the connection.
pub fn drain(mut socket: TcpStream) {
    let mut buffer = [0; 4096];
    while socket.read(&mut buffer).is_ok_and(|len| len > 0) {}
}

/// A relay that is reached through a server which passes bytes on late.
pub struct Slowed {
    _relay: Relay,
    pub address: SocketAddr,
    pub key: PublicKey,
}

pub fn slowed(relay: Relay) -> Slowed {
    let (to, key) = (relay.addr(), relay.public_key().into());
    let address =
        serve(move |client| pass(client, TcpStream::connect(to).unwrap(), Duration::from_millis(5)));
    Slowed { _relay: relay, address, key }
}

/// Passes bytes on in both directions, each after this delay.
pub fn pass(client: TcpStream, server: TcpStream, delay: Duration) {
    let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let back = thread::spawn(move || copy(from, to, delay));
    copy(client, server, delay);
    back.join().unwrap();
}

fn copy(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let mut buffer = [0; 65_536];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        thread::sleep(delay);
        if to.write_all(&buffer[..len]).is_err() {
            break;
        }
    }
    _ = to.shutdown(std::net::Shutdown::Both);
}
