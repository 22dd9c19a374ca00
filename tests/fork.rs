//! A process and its fork have no key and no nonce in common.

#![cfg(unix)]
// Fork is unsafe: if other threads run, the child may find their locks locked forever. Here there are no others, since
// the process that forks runs a single test on its only thread.
#![allow(unsafe_code)]

mod support;

use std::collections::HashSet;
use std::env;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::panic::catch_unwind;
use std::time::Duration;

use rustix::process::{WaitOptions, waitpid};
use support::child_process::{child_process, is_child_process};
use tox_relay_client::{Client, Config, Events, Relay, SecretKey};
use tox_test_relay::session::{HELLO_LENGTH, Hello, Key, public_key};

const TEST: &str = "a_process_and_its_fork_have_no_key_and_no_nonce_in_common";

/// Environment variable with the relay's address, for the child.
const RELAY: &str = "TEST_RELAY";

const RELAY_SECRET: Key = [0x5a; 32];

/// The identity that both processes use. Each also has one of its own.
const IDENTITY: Key = [7; 32];

#[test]
fn a_process_and_its_fork_have_no_key_and_no_nonce_in_common() {
    if is_child_process(TEST) {
        return fork_and_send_hellos();
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let output = child_process(&[], TEST).arg("--test-threads=1").env(RELAY, address).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let (mut identities, mut nonces, mut temporary_keys) = (Vec::new(), HashSet::new(), HashSet::new());
    // All connections have arrived in the backlog.
    listener.set_nonblocking(true).unwrap();
    for _ in 0..5 {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(false).unwrap();
        let mut bytes = [0; HELLO_LENGTH];
        stream.read_exact(&mut bytes).unwrap();
        let hello = Hello::open(&bytes, &RELAY_SECRET).unwrap();
        nonces.extend([bytes[32..][..24].to_vec(), hello.base_nonce().to_vec()]);
        temporary_keys.insert(*hello.temporary_public_key());
        identities.push(*hello.client_public_key());
    }
    assert_eq!(identities.iter().filter(|key| **key == public_key(&IDENTITY)).count(), 2);
    assert_eq!(identities.iter().collect::<HashSet<_>>().len(), 4, "{identities:02x?}");
    assert_eq!(nonces.len(), 10, "{nonces:02x?}");
    assert_eq!(temporary_keys.len(), 5, "{temporary_keys:02x?}");
}

/// Connects once, so that a random source inside the process would already have state; forks; and connects twice in
/// each process.
fn fork_and_send_hellos() {
    let relay = env::var(RELAY).unwrap().parse().unwrap();
    send_hello(relay, SecretKey::generate());
    let send_two_hellos = || {
        send_hello(relay, SecretKey::from(IDENTITY));
        send_hello(relay, SecretKey::generate());
    };
    // SAFETY: no other thread runs, see above.
    match unsafe { libc::fork() } {
        0 => {
            let failed = catch_unwind(send_two_hellos).is_err();
            // SAFETY: this ends the process at once, whatever its state is, and never returns to the test harness.
            unsafe { libc::_exit(failed.into()) }
        }
        child => {
            assert!(child > 0, "{}", std::io::Error::last_os_error());
            send_two_hellos();
            let (_, status) = waitpid(None, WaitOptions::empty()).unwrap().expect("the status of the child");
            assert_eq!(status.exit_status(), Some(0));
        }
    }
}

/// Connects, and ends the connection when the hello is sent.
fn send_hello(relay: SocketAddr, identity: SecretKey) {
    let mut client = Client::new(Config::new(identity)).unwrap();
    let id = client.connect(Relay::new(relay, public_key(&RELAY_SECRET).into())).unwrap();
    let mut events = Events::with_capacity(8);
    while client.connection(id).unwrap().traffic.bytes_out < HELLO_LENGTH as u64 {
        client.poll(&mut events, Some(Duration::from_millis(5))).unwrap();
        assert!(events.is_empty(), "{:?}", events.iter().collect::<Vec<_>>());
    }
}
