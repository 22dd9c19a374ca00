//! No secret stays in memory: a child process has secrets and drops them, and this process, which knows them, searches
//! the child's memory.

#![cfg(all(target_os = "linux", target_endian = "little"))]

mod support;

use std::collections::HashMap;
use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::process::{Child, ChildStderr, Stdio};

use curve25519_dalek::MontgomeryPoint;
use support::child_process::{child_process, is_child_process};
use support::{GUARD, Peer, Reported};
use tox_relay_client::{Proxy, Relay, SecretKey};
use tox_test_relay::kind;
use tox_test_relay::session::{Fresh, HELLO_LENGTH, Hello, Key, public_key};
use zeroize::Zeroizing;

/// Environment variable with the relay's address, for the child.
const RELAY: &str = "TEST_RELAY";

const RELAY_SECRET: Key = [0x5a; 32];

/// Enough to make every table grow several times.
const CONNECTIONS: usize = 40;

/// More connections, which end before the relay has answered their hellos.
const UNANSWERED: usize = 10;

#[test]
fn no_key_of_a_connection_is_left_in_memory_when_it_has_ended() {
    let test = "no_key_of_a_connection_is_left_in_memory_when_it_has_ended";
    if is_child_process(test) {
        return connect_and_end();
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut child = SecretHolder::start(test, &listener);
    let (mut of_client, mut of_sessions, mut of_openings) =
        (Secrets::default(), Secrets::default(), Secrets::default());
    let mut streams = Vec::new();
    for number in 0..CONNECTIONS + UNANSWERED {
        let (mut stream, hello) = accept_hello(&listener);
        of_openings.search_secret_of(hello.temporary_public_key(), "a temporary key");
        let of_identity = if number == 0 { &mut of_client } else { &mut of_openings };
        of_identity.search_secret_of(hello.client_public_key(), "an identity");
        of_identity.insert(shared_key(RELAY_SECRET, hello.client_public_key()), "a long-term key");
        if number < CONNECTIONS {
            let keys = answer(&mut stream, &hello);
            keys.into_iter().for_each(|key| of_sessions.insert(key, "a session's key or subkey"));
        }
        streams.push(stream);
    }

    child.wait_for("connected");
    // Secrets in use are found. (Copies on the stack, if there are any, are soon overwritten.)
    let found = child.search(&of_client);
    assert!(found["a long-term key"] >= 1 && found["an identity"] >= 1, "{found:?}");
    let found = child.search(&of_sessions);
    assert!(found["a session's key or subkey"] >= 3 * CONNECTIONS, "{found:?}");
    child.resume();
    child.wait_for("ended");
    assert_eq!(child.search(&of_sessions), [].into());
    assert_eq!(child.search(&of_openings), [].into());
    child.resume();
    child.wait_for("dropped");
    assert_eq!(child.search(&of_client), [].into());
    child.resume();
}

/// What the child process does. The first connection uses the client's identity, each of the others has its own.
fn connect_and_end() {
    let address = env::var(RELAY).unwrap();
    let relay = || Relay::new(address.as_str(), public_key(&RELAY_SECRET).into());
    let mut peer = Peer::new();
    let mut ids = vec![peer.client.connect(relay()).unwrap()];
    for _ in 1..CONNECTIONS + UNANSWERED {
        ids.push(peer.client.connect(relay().identity(SecretKey::generate())).unwrap());
    }
    let answered = &ids[..CONNECTIONS];
    peer.until("connected", |peer| {
        answered.iter().all(|id| peer.reported.contains(&Reported::Connected(*id)))
    });
    report_and_wait("connected");
    ids.iter().for_each(|id| assert!(peer.client.disconnect(*id)));
    peer.until("the ends", |peer| ids.iter().all(|id| !peer.ends(*id).is_empty()));
    report_and_wait("ended");
    drop(peer);
    report_and_wait("dropped");
}

#[test]
fn no_password_of_a_proxy_is_left_in_memory_when_it_is_dropped() {
    let test = "no_password_of_a_proxy_is_left_in_memory_when_it_is_dropped";
    if is_child_process(test) {
        return parse_url_and_drop();
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut child = SecretHolder::start(test, &listener);
    let mut secrets = Secrets::default();
    let password = password();
    let (pieces, _) = password.as_bytes().as_chunks();
    pieces.iter().for_each(|piece| secrets.insert(*piece, "a piece of the password"));
    child.wait_for("read");
    assert_eq!(child.search(&secrets), [("a piece of the password", pieces.len())].into());
    child.resume();
    child.wait_for("dropped");
    assert_eq!(child.search(&secrets), [].into());
    child.resume();
}

/// What the child process does: parses a URL that contains the password, and drops the result.
fn parse_url_and_drop() {
    let mut url = Zeroizing::new(String::with_capacity(1024));
    url.push_str("socks5://user:");
    for (at, letter) in password().bytes().enumerate() {
        // Only some letters are percent-encoded. If all were, the encoded URL would have to be searched for, too.
        match at % 8 {
            0 => url.push_str(&format!("%{letter:02x}")),
            _ => url.push(letter.into()),
        }
    }
    url.push_str("@127.0.0.1:1080");
    // Free blocks of all sizes in the heap, so that a growing buffer has to move, which may leave a copy.
    let block = |number: usize| vec![0_u8; 8 << (number % 6)];
    let (_blocks, holes): (Vec<_>, Vec<_>) = (0..60).map(|number| (block(number), block(number))).unzip();
    drop(holes);
    let proxy: Proxy = url.parse().unwrap();
    drop(url);
    report_and_wait("read");
    drop(proxy);
    report_and_wait("dropped");
}

/// Computed, so that the program itself does not contain it.
fn password() -> Zeroizing<String> {
    let mut password = Zeroizing::new(String::with_capacity(192));
    password.extend((0..192_u32).map(|at| char::from(b'a' + (at * at / 7 % 26) as u8)));
    password
}

/// Called by the child: reports a step to the parent, and waits until the parent has searched this process's memory.
fn report_and_wait(step: &str) {
    eprintln!("{step}");
    io::stdin().read_line(&mut String::new()).unwrap();
}

/// The child process, whose memory contains the secrets.
struct SecretHolder {
    process: Child,
    steps: BufReader<ChildStderr>,
}

/// The secrets to search for, each with a description.
#[derive(Default)]
struct Secrets {
    known: HashMap<Key, &'static str>,
    /// Descriptions of secret keys, by their public keys.
    by_public_key: HashMap<Key, &'static str>,
}

impl Secrets {
    fn insert(&mut self, secret: Key, what: &'static str) {
        self.known.insert(secret, what);
    }

    fn search_secret_of(&mut self, key: &Key, what: &'static str) {
        self.by_public_key.insert(*key, what);
    }

    /// The description of these bytes, if they are one of the secrets.
    fn get(&self, bytes: &Key) -> Option<&'static str> {
        self.known
            .get(bytes)
            .or_else(|| {
                // Nearly every random key has 24 different bytes or more. Most memory has fewer, and is skipped without
                // the slow multiplication.
                let mut occurs = [false; 256];
                bytes.iter().for_each(|byte| occurs[usize::from(*byte)] = true);
                let different = occurs.iter().filter(|occurs| **occurs).count();
                let public_key = || MontgomeryPoint::mul_base_clamped(*bytes).to_bytes();
                (!self.by_public_key.is_empty() && different >= 24)
                    .then(public_key)
                    .and_then(|key| self.by_public_key.get(&key))
            })
            .copied()
    }
}

impl SecretHolder {
    fn start(test: &str, listener: &TcpListener) -> Self {
        let mut process = child_process(&[], test)
            .env(RELAY, listener.local_addr().unwrap().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let steps = BufReader::new(process.stderr.take().unwrap());
        Self { process, steps }
    }

    #[track_caller]
    fn wait_for(&mut self, step: &str) {
        let mut line = String::new();
        self.steps.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), step);
    }

    fn resume(&mut self) {
        self.process.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// How many times each secret occurs in the process's writable memory: heap, stacks, variables.
    fn search(&self, secrets: &Secrets) -> HashMap<&'static str, usize> {
        let file = |name: &str| format!("/proc/{}/{name}", self.process.id());
        let memory = File::open(file("mem")).unwrap();
        let mut found = HashMap::new();
        for mapping in fs::read_to_string(file("maps")).unwrap().lines() {
            // A line is like `00400000-00452000 rw-p ...`.
            let Some((range, "rw")) = mapping.split_once(' ').map(|(range, rest)| (range, &rest[..2])) else {
                continue;
            };
            let ends = range.split('-').map(|end| u64::from_str_radix(end, 16).unwrap());
            let [start, end] = ends.collect::<Vec<_>>()[..] else { panic!("{mapping}") };
            let mut bytes = vec![0; (end - start) as usize];
            memory.read_exact_at(&mut bytes, start).unwrap();
            for bytes in bytes.windows(32) {
                let bytes = bytes.first_chunk().unwrap();
                // Most memory was never written to.
                if *bytes != [0; 32]
                    && let Some(what) = secrets.get(bytes)
                {
                    *found.entry(what).or_default() += 1;
                }
            }
        }
        found
    }
}

impl Drop for SecretHolder {
    fn drop(&mut self) {
        // After a success the process ends by itself.
        if std::thread::panicking() {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

/// Accepts a connection of the child, and returns it with its hello.
fn accept_hello(listener: &TcpListener) -> (TcpStream, Hello) {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(GUARD)).unwrap();
    let mut hello = [0; HELLO_LENGTH];
    stream.read_exact(&mut hello).unwrap();
    (stream, Hello::open(&hello, &RELAY_SECRET).unwrap())
}

/// Acts as the relay until the client is connected. Returns the session's key, and the subkeys of both directions.
fn answer(stream: &mut TcpStream, hello: &Hello) -> [Key; 3] {
    let fresh = Fresh {
        temporary_secret_key: rand::random(),
        base_nonce: rand::random(),
        response_nonce: rand::random(),
    };
    let (response, mut session) = hello.accept(&fresh);
    stream.write_all(&response).unwrap();
    let mut ping = [0; 2 + 16 + 9];
    stream.read_exact(&mut ping).unwrap();
    let ping = session.open(&ping).unwrap().remove(0);
    let mut pong = Vec::new();
    session.seal(&[&[kind::PONG], &ping[1..]].concat(), &mut pong);
    stream.write_all(&pong).unwrap();
    let key = shared_key(fresh.temporary_secret_key, hello.temporary_public_key());
    [key, subkey(key, hello.base_nonce()), subkey(key, &fresh.base_nonce)]
}

/// The shared key that NaCl computes from a secret and a public key.
fn shared_key(secret: Key, public: &Key) -> Key {
    subkey(MontgomeryPoint(*public).mul_clamped(secret).to_bytes(), &[0; 24])
}

/// The subkey of all packets whose nonces begin like this one.
fn subkey(key: Key, nonce: &[u8; 24]) -> Key {
    salsa20::hsalsa::<salsa20::cipher::consts::U10>(&key.into(), nonce[..16].into()).into()
}
