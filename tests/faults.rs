//! Faults of the machine: no file descriptors left, and system calls that are interrupted or find no memory. The
//! failure is reported, and everything else continues. Each test runs itself again in a child process with fewer
//! resources; strace makes its system calls fail.

#![cfg(unix)]

mod support;

use std::env;
use std::io::{self, ErrorKind};
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::child_process::{child_process, is_child_process};
use support::{GUARD, Peer, Reported, numbered, open_routes, until};
use tox_relay_client::{
    Client, ClientError, Config, ConnectError, ConnectionId, DisconnectReason, Event, Events, PublicKey,
    Relay, SecretKey,
};

/// Environment variable with the relay's address and key, for the child. The relay runs in the parent, which has no
/// faults.
const RELAY: &str = "TEST_RELAY";

/// Runs `body` in a child process, once for each of `starts`. Each is an optional command that starts the process.
#[track_caller]
fn in_child_process(starts: &[&[&str]], test: &str, body: impl FnOnce()) {
    if is_child_process(test) {
        return body();
    }
    for start in starts {
        let relay = support::honest();
        let address_and_key = format!("{} {}", relay.addr(), PublicKey::from(relay.public_key()));
        let output = child_process(start, test).env(RELAY, address_and_key).output().unwrap();
        let texts = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert!(output.status.success(), "{start:?}: {}\n{}", output.status, texts.concat());
    }
}

/// Runs `body` in a process whose system calls fail, once for each of these fault specifications of strace: which
/// calls, with which error, and at which of each thread's calls.
#[track_caller]
fn with_failing_calls(faults: &[&str], test: &str, body: impl FnOnce()) {
    let mut trial = Command::new("strace");
    trial.args(["-o", "/dev/null", "true"]);
    if !is_child_process(test) && !trial.output().is_ok_and(|output| output.status.success()) {
        return println!("skipped: strace is missing or not allowed");
    }
    let faults: Vec<_> = faults.iter().map(|fault| format!("inject={fault}")).collect();
    let starts = faults.iter().map(|fault| ["strace", "-f", "-qq", "-o", "/dev/null", "-e", fault]);
    let starts: Vec<_> = starts.collect();
    let starts: Vec<_> = starts.iter().map(|start| &start[..]).collect();
    in_child_process(&starts, test, body);
}

fn relay() -> Relay {
    let address_and_key = env::var(RELAY).unwrap();
    let (address, key) = address_and_key.split_once(' ').unwrap();
    Relay::new(address, key.parse().unwrap())
}

fn connect(peer: &mut Peer, relay: Relay) -> ConnectionId {
    let id = peer.client.connect(relay).unwrap();
    peer.until("connected", |peer| peer.reported.contains(&Reported::Connected(id)));
    id
}

/// Two connected clients exchange data, and one disconnects: shows that everything still works.
#[track_caller]
fn assert_two_clients_work(a: &mut Peer, at_a: ConnectionId, b: &mut Peer, at_b: ConnectionId) {
    let (to_b, to_a) = open_routes(a, at_a, b, at_b);
    let packets: Vec<_> = (0..100).map(|n| numbered(n, 20 * n as usize + 1)).collect();
    for packet in &packets {
        a.client.send_data(to_b, packet).unwrap();
        b.client.send_data(to_a, packet).unwrap();
        until([&mut *a, &mut *b], "a packet each", |[a, b]| {
            [&a, &b].iter().all(|peer| peer.data().last() == Some(&&packet[..]))
        });
    }
    assert!(a.data() == packets && b.data() == packets);
    assert!(a.client.disconnect(at_a));
    until([&mut *a, &mut *b], "the end", |[a, b]| {
        a.ends(at_a) == [DisconnectReason::ClosedByCaller]
            && b.reported.contains(&Reported::Offline(to_a, a.key))
    });
    assert_eq!(b.ends(at_b), []);
}

#[test]
fn without_descriptors_connect_fails_and_everything_else_goes_on() {
    in_child_process(&[&[]], "without_descriptors_connect_fails_and_everything_else_goes_on", || {
        let (mut a, mut b) = (Peer::new(), Peer::new());
        let (at_a, at_b) = (connect(&mut a, relay()), connect(&mut b, relay()));
        let other = || relay().identity(SecretKey::generate());

        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..limit }).unwrap();
        for _ in 0..1000 {
            assert!(matches!(a.client.connect(other()), Err(ConnectError::Io(_))));
        }
        assert!(Client::new(Config::new(SecretKey::generate())).is_err());
        assert_eq!(a.client.connections().collect::<Vec<_>>(), [at_a]);
        assert_two_clients_work(&mut a, at_a, &mut b, at_b);
        assert!(a.client.connect(relay()).is_err());
        setrlimit(Resource::Nofile, limit).unwrap();

        a.reported.clear();
        let again = connect(&mut a, relay());
        connect(&mut a, other());
        assert_eq!(a.reported.len(), 2, "refused connections cause no event");
        let to_a = b.client.find_route(at_b, &a.key).unwrap();
        let to_b = a.client.open_route(again, b.key).unwrap();
        let online = Reported::Online(to_b, b.key);
        until([&mut a, &mut b], "online again", |[a, _]| a.reported.contains(&online));
        b.client.send_data(to_a, b"again").unwrap();
        until([&mut a, &mut b], "data again", |[a, _]| a.data().last() == Some(&&b"again"[..]));
    });
}

/// Every third call is interrupted, as by a signal.
#[test]
fn interrupted_calls_are_made_again() {
    let faults = ["?epoll_wait,epoll_pwait,recvfrom,sendto:error=EINTR:when=1+3"];
    with_failing_calls(&faults, "interrupted_calls_are_made_again", || {
        let (mut a, mut b) = (Peer::new(), Peer::new());
        let (at_a, at_b) = (connect(&mut a, relay()), connect(&mut b, relay()));
        assert_two_clients_work(&mut a, at_a, &mut b, at_b);
    });
}

#[test]
fn a_poller_that_fails_is_reported_and_no_event_is_lost() {
    let faults = ["?epoll_wait,epoll_pwait:error=ENOMEM:when=1+2"];
    with_failing_calls(&faults, "a_poller_that_fails_is_reported_and_no_event_is_lost", || {
        let mut client = Client::new(Config::new(SecretKey::generate())).unwrap();
        let key = client.public_key();
        let relay = client.connect(relay()).unwrap();
        let (mut events, mut reported, mut failures) = (Events::with_capacity(16), Vec::new(), 0);
        let mut until = |client: &mut Client, last: Reported| {
            while reported.last() != Some(&last) {
                match client.poll(&mut events, Some(GUARD)) {
                    Ok(()) => reported.extend(events.iter().map(Reported::from)),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
                        assert!(events.is_empty());
                        failures += 1;
                    }
                }
            }
        };
        until(&mut client, Reported::Connected(relay));
        for n in 0..100 {
            let data = numbered(n, 1000);
            client.send_oob(relay, key, &data).unwrap();
            until(&mut client, Reported::Oob(relay, key, data));
        }
        client.disconnect(relay);
        until(&mut client, Reported::Disconnected(relay, DisconnectReason::ClosedByCaller));
        assert_eq!(reported.len(), 1 + 100 + 1);
        assert!(failures >= 50, "{failures}");
    });
}

/// The next client or connection is created.
#[test]
fn a_client_or_connection_without_kernel_memory_is_refused() {
    let faults = [
        "epoll_create1:error=ENOMEM:when=1",
        "?eventfd2:error=ENOMEM:when=1",
        "epoll_ctl:error=ENOMEM:when=1", // the waker's
        "epoll_ctl:error=ENOMEM:when=2", // the connection's
        "socket:error=ENOMEM:when=1",
        "connect:error=ENOMEM:when=1",
    ];
    with_failing_calls(&faults, "a_client_or_connection_without_kernel_memory_is_refused", || {
        let mut refused = 0;
        let mut note = |error: io::Error| {
            assert_eq!(error.kind(), ErrorKind::OutOfMemory);
            refused += 1;
        };
        let new = || Client::new(Config::new(SecretKey::generate()));
        let mut client = new().or_else(|error| {
            let ClientError::Io(error) = error else { panic!("{error}") };
            note(error);
            new()
        });
        let client = client.as_mut().unwrap();
        let id = client.connect(relay()).or_else(|error| {
            let ConnectError::Io(error) = error else { panic!("{error}") };
            note(error);
            assert_eq!((client.connections().count(), client.next_timeout()), (0, None));
            client.connect(relay())
        });
        assert_eq!(refused, 1);

        let id = id.unwrap();
        let mut events = Events::with_capacity(16);
        while events.is_empty() {
            client.poll(&mut events, Some(GUARD)).unwrap();
        }
        assert_eq!(events.iter().collect::<Vec<_>>(), [Event::Connected { connection: id, token: 0 }]);
    });
}

#[test]
fn a_socket_that_fails_ends_its_connection_and_no_other() {
    let faults = [
        "getpeername:error=ENOMEM:when=3",
        "recvfrom:error=ENOMEM:when=1",
        "recvfrom:error=ENOMEM:when=7",
        "sendto:error=ENOMEM:when=1",
        "sendto:error=ENOMEM:when=7",
    ];
    with_failing_calls(&faults, "a_socket_that_fails_ends_its_connection_and_no_other", || {
        let mut a = Peer::new();
        let others = [(); 6].map(|()| relay().identity(SecretKey::generate()));
        let others = others.map(|relay| a.client.connect(relay).unwrap());
        a.until("all are connected, or have ended", |a| {
            others.iter().all(|id| a.reported.contains(&Reported::Connected(*id)) || !a.ends(*id).is_empty())
        });
        let is_failure = |reason: &DisconnectReason| {
            matches!(reason, DisconnectReason::Transport { kind: ErrorKind::OutOfMemory, .. })
        };
        let reasons: Vec<_> = others.iter().flat_map(|id| a.ends(*id)).collect();
        assert!(reasons.len() == 1 && is_failure(&reasons[0]), "{reasons:?}");

        let mut b = Peer::new();
        let (at_a, at_b) = (connect(&mut a, relay()), connect(&mut b, relay()));
        assert_two_clients_work(&mut a, at_a, &mut b, at_b);
        let alive: Vec<_> = a.client.connections().collect();
        assert!(alive.len() == 5 && alive.iter().all(|id| others.contains(id)));
    });
}

/// Without TCP_NODELAY a connection is only slower, and a closed socket leaves the poller without being deregistered.
#[test]
fn optional_system_calls_may_fail() {
    let faults = ["setsockopt:error=ENOMEM:when=1+", "epoll_ctl:error=ENOMEM:when=5+"];
    with_failing_calls(&faults, "optional_system_calls_may_fail", || {
        let (mut a, mut b) = (Peer::new(), Peer::new());
        let (at_a, at_b) = (connect(&mut a, relay()), connect(&mut b, relay()));
        assert_two_clients_work(&mut a, at_a, &mut b, at_b);
    });
}
