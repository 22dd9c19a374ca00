//! Ten thousand connections in one client, all with routes and data. In each round a tenth of them is cut and connects
//! again. `LOAD_SECONDS` is the duration in seconds; the default is 10. At least 24 rounds are run, which takes
//! longer on a slow machine.

#![cfg(unix)]

#[path = "support/counting.rs"]
mod counting;
mod support;

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use counting::held;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::child_process::{child_process, is_child_process};
use support::paired_identities::{LONG, PairedIdentities};
use support::{Options, TestRelay, closed};
use tox_relay_client::{DisconnectReason, PublicKey, Relay, Stage};
use tox_test_relay::switch::Rules;

const CONNECTIONS: usize = 10_000;

/// Descriptors other than those of connections: the poller's, the test harness's.
const OTHERS: usize = 64;

/// Lengths of the packets that each identity sends in a round. The last is the largest that Tox uses.
const LENGTHS: [usize; 4] = [4, 100, 700, 1400];

/// How many more packets each hundredth identity sends: more bytes than its send queue has, and fewer than the relay
/// buffers.
const BURST: usize = 100;

/// The rounds before memory is measured, in which tables and buffers of the client grow to their size.
const WARM_UP: usize = 12;

/// How many bytes the client's own tables and buffers may grow by after that, however many rounds follow. A hash table
/// that had entries removed doubles once in a while, if too many of their places cannot be used again.
const GROWTH: isize = 512 * 1024;

/// What the relay prints before its address and key.
const RELAY_LINE: &str = "The relay is ";

/// How a connection is cut.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Cut {
    Close,
    Reset,
    /// The client itself disconnects.
    Disconnect,
}

const CUTS: [Cut; 3] = [Cut::Close, Cut::Reset, Cut::Disconnect];

impl Cut {
    fn matches(self, reason: DisconnectReason) -> bool {
        match self {
            Self::Close => reason == closed(Stage::Connected),
            Self::Reset => matches!(
                reason,
                DisconnectReason::Transport {
                    stage: Stage::Connected,
                    kind: std::io::ErrorKind::ConnectionReset,
                    ..
                }
            ),
            Self::Disconnect => reason == DisconnectReason::ClosedByCaller,
        }
    }
}

#[test]
fn ten_thousand_connections_with_cuts_do_not_leak_memory() {
    let count = connections();
    let seconds = env::var("LOAD_SECONDS").map_or(10, |seconds| seconds.parse().unwrap());
    let mut relay = RelayProcess::start();
    let (address, key) = (relay.address, relay.key);

    let start = Instant::now();
    let mut pairs = PairedIdentities::connect(count, move || Relay::new(address, key));
    pairs.until("connected", |_, member, _| member.connected);
    for n in 0..count {
        pairs.open(n);
    }
    pairs.until("online", |_, member, _| member.online);
    println!("{count} online after {:.1?}", start.elapsed());

    let mut rounds = 0;
    while rounds < WARM_UP {
        round(&mut pairs, &mut relay, rounds);
        rounds += 1;
    }
    let before = allocated_without_connections(&mut pairs);
    let all: Vec<_> = (0..count).collect();
    all.iter().for_each(|n| pairs.allow_loss(*n));
    pairs.reconnect(&all);
    while start.elapsed() < Duration::from_secs(seconds) || rounds < 2 * WARM_UP {
        round(&mut pairs, &mut relay, rounds);
        rounds += 1;
    }
    let grown = allocated_without_connections(&mut pairs) - before;
    let cuts = (rounds - WARM_UP) * count / 10;
    println!(
        "{rounds} rounds up to {:.1?}; {grown} bytes more than before, after {cuts} cuts",
        start.elapsed()
    );
    assert!(grown <= GROWTH + 8 * cuts as isize, "{grown} bytes more after {cuts} cuts");
    relay.end();
}

/// All send data; meanwhile a tenth of them, a different one in each round, is cut. All others receive everything.
fn round(pairs: &mut PairedIdentities, relay: &mut RelayProcess, number: usize) {
    let count = pairs.members.len();
    let is_cut = |n: usize| n % 10 == number % 10;
    let cut_of = |n: usize| CUTS[(n / 10 + number) % CUTS.len()];
    for n in 0..count {
        for len in LENGTHS {
            pairs.send(n, len);
        }
        for _ in 0..if n.is_multiple_of(100) { BURST } else { 0 } {
            pairs.send(n, 1400);
        }
    }
    let cut: Vec<_> = (0..count).filter(|n| is_cut(*n)).collect();
    for &n in &cut {
        pairs.allow_loss(n);
        match cut_of(n) {
            Cut::Disconnect => assert!(pairs.client.disconnect(pairs.members[n].relay)),
            other => relay.cut(other, &pairs.members[n].key),
        }
    }
    pairs.until_all_is_received("all data between connections that were not cut", |n| {
        !is_cut(n) && !is_cut(n ^ 1)
    });
    pairs.until("cut", |n, member, _| member.ended.is_some() == is_cut(n));
    pairs.until("offline", |n, member, _| !is_cut(n ^ 1) || !member.online);
    for &n in &cut {
        let reason = pairs.members[n].ended.unwrap();
        assert!(cut_of(n).matches(reason), "{reason:?}");
    }
    pairs.reconnect(&cut);
    assert_eq!(pairs.client.connections().count(), count);
}

/// Ends all connections, and returns the bytes that are still allocated. All memory of connections and events is freed
/// then, so what remains more than before has leaked.
fn allocated_without_connections(pairs: &mut PairedIdentities) -> isize {
    for member in &pairs.members {
        assert!(pairs.client.disconnect(member.relay));
    }
    pairs.until("ended", |_, member, _| member.ended == Some(DisconnectReason::ClosedByCaller));
    assert_eq!((pairs.client.connections().count(), pairs.client.next_timeout()), (0, None));
    pairs.free_events();
    held()
}

/// An even number of connections, limited by the number of file descriptors. The limit is raised, and the relay's
/// process inherits it.
fn connections() -> usize {
    // When cut connections reconnect, the relay may still have the old ones.
    let needed = |count: usize| count + count / 5 + OTHERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let most = maximum.unwrap_or(u64::MAX).min(needed(CONNECTIONS) as u64);
    let limit = current.unwrap_or(u64::MAX).max(most);
    setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum }).unwrap();
    let count = (0..=CONNECTIONS).rev().step_by(2).find(|count| needed(*count) as u64 <= limit).unwrap();
    println!("{count} connections with a limit of {limit} file descriptors");
    count
}

/// The relay, in a process of its own, so that it has its own file descriptors.
struct RelayProcess {
    child: Child,
    input: ChildStdin,
    /// Kept open until the end, since the relay prints more later.
    _output: BufReader<ChildStdout>,
    address: SocketAddr,
    key: PublicKey,
}

impl RelayProcess {
    fn start() -> Self {
        let mut command = child_process(&[], "the_relay");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let address_and_key =
            output.by_ref().lines().find_map(|line| Some(line.unwrap().split_once(RELAY_LINE)?.1.to_owned()));
        let (address, key) = address_and_key.as_ref().and_then(|line| line.split_once(' ')).unwrap();
        Self {
            input: child.stdin.take().unwrap(),
            address: address.parse().unwrap(),
            key: key.parse().unwrap(),
            child,
            _output: output,
        }
    }

    fn cut(&mut self, cut: Cut, key: &PublicKey) {
        self.input.write_all(&[&[cut as u8], &key.as_bytes()[..]].concat()).unwrap();
    }

    /// Ends the process, and asserts that it succeeds.
    fn end(mut self) {
        drop(self.input);
        assert!(self.child.wait().unwrap().success());
    }
}

/// The child process: does nothing unless the test above starts it, and ends when the test closes its input.
#[test]
fn the_relay() {
    if !is_child_process("the_relay") {
        return;
    }
    let rules = Rules { pong_within: LONG, ..Rules::default() };
    let relay = TestRelay::start(Options { rules, ..Options::default() }).unwrap();
    println!("{RELAY_LINE}{} {}", relay.addr(), PublicKey::from(relay.public_key()));
    let mut command = [0; 33];
    while std::io::stdin().read_exact(&mut command).is_ok() {
        let [cut, key @ ..] = &command;
        assert!(if *cut == Cut::Close as u8 { relay.close(key) } else { relay.reset(key) });
    }
    let last =
        relay.wait_until(LONG, |statistics| statistics.connected == 0).expect("all clients have closed");
    assert_eq!((last.dropped, last.thrown_away), (0, 0));
}
