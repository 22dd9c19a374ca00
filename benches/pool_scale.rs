//! Pools with many peers, each tied to three to six relays: CPU time until all are online, CPU time, wake-ups and memory
//! when idle, and what one change costs.
//!
//! `cargo bench --bench pool_scale`, four minutes. The pool runs on the measuring thread, and only that one's CPU time
//! and memory count, with the kernel's time for it. Two pools are measured:
//!
//! - 1,000 peers on 100 relays. Peers and relays are real: each peer is connected to all its relays, from another
//!   thread.
//! - 10,000 peers on 300 relays. These relays act as if every peer was online.
//!
//! A pool begins an attempt to connect every two seconds. To save time, this calls `network_changed` instead of waiting.
//! Wake-ups are counted on Linux only.

#[path = "support/all_online.rs"]
mod all_online;
#[path = "../tests/support/counting.rs"]
mod counting;
#[path = "support/cpu.rs"]
mod cpu;
#[path = "pool_scale/crowd.rs"]
mod crowd;

use std::time::{Duration, Instant};

use all_online::{BLINK, all_online};
use counting::held;
use cpu::cpu;
use crowd::{Crowd, descriptors};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tox_relay_client::pool::{Origin, PeerId, Pool, PoolEvent, PoolEvents};
use tox_relay_client::{Config, PublicKey, Relay, SecretKey};
use tox_test_relay::{Options, Relay as TestRelay};

/// The relays that each peer is online on, at least.
const WANTED: usize = 3;

/// How long nothing may happen before the pool is told to begin more attempts.
const STALLED: Duration = Duration::from_millis(200);

/// A surplus relay ends after 10 s, and the first common ping follows after 29 s.
const SETTLING: Duration = Duration::from_secs(32);

/// Two common pings.
const IDLE: Duration = Duration::from_secs(58);

/// How long answers of the relays take to arrive, on a busy machine.
const ANSWER: Duration = Duration::from_millis(4);

struct Scale {
    pool: Pool,
    events: PoolEvents,
    peers: Vec<PeerId>,
    /// What the thread held before there was a pool.
    held: isize,
}

fn main() {
    // As in criterion: cargo passes `--bench` for a measurement. With `--test`, it is only a short test run.
    let has_option = |option: &str| std::env::args().any(|argument| argument == option);
    let is_full = has_option("--bench") && !has_option("--test");
    let (of_real, of_all_online) = if is_full { ((1_000, 100), (10_000, 300)) } else { ((20, 8), (40, 8)) };
    real(of_real, is_full);
    large(of_all_online, is_full);
}

/// Peers and relays that are real.
fn real((peers, relays): (usize, usize), is_full: bool) {
    descriptors(peers * 6 * 2 + relays * 6 + 64);
    let started: Vec<_> =
        (0..relays).map(|_| TestRelay::start(Options::default()).expect("a relay")).collect();
    let targets: Vec<_> =
        started.iter().map(|relay| Relay::new(relay.addr(), PublicKey::from(relay.public_key()))).collect();
    let ties = ties(peers, relays);
    let identity = SecretKey::generate();
    let identities: Vec<_> = (0..peers).map(|_| SecretKey::generate()).collect();
    let keys: Vec<_> = identities.iter().map(SecretKey::public_key).collect();
    let crowd = Crowd::connect(identity.public_key(), &identities, &ties, &targets);
    let mut scale = Scale::new(identity, &targets, &keys, &ties, "real peers");
    if is_full {
        scale.idle();
    }
    crowd.end();
}

/// Relays on which all peers are online.
fn large((peers, relays): (usize, usize), is_full: bool) {
    let targets: Vec<_> = (0..relays).map(|_| all_online()).collect();
    let keys: Vec<_> = (0..peers).map(|_| SecretKey::generate().public_key()).collect();
    let ties = ties(peers, relays);
    let mut scale = Scale::new(SecretKey::generate(), &targets, &keys, &ties, "peers");
    scale.changes(if is_full { 200 } else { 3 });
    scale.calls(if is_full { 10_000 } else { 10 });
    if is_full {
        scale.idle();
    }
}

/// For each peer, the indices of three to six relays.
fn ties(peers: usize, relays: usize) -> Vec<Vec<usize>> {
    let mut random = StdRng::from_seed([7; 32]);
    let mut of_peer = || {
        let count = random.random_range(WANTED..=6);
        let mut chosen = Vec::new();
        while chosen.len() < count {
            let relay = random.random_range(..relays);
            if !chosen.contains(&relay) {
                chosen.push(relay);
            }
        }
        chosen
    };
    (0..peers).map(|_| of_peer()).collect()
}

impl Scale {
    /// Creates a pool with these peers, and waits until each is online on three relays.
    fn new(
        identity: SecretKey,
        relays: &[Relay],
        keys: &[PublicKey],
        ties: &[Vec<usize>],
        what: &str,
    ) -> Self {
        let held = held();
        let mut pool = Pool::new(Config::new(identity)).expect("a poller");
        pool.set_max_connections(relays.len());
        let (adding, peers) = cpu(|| {
            let add = |relay: &Relay| pool.add_relay(relay.clone(), Origin::User).expect("room for a relay");
            let relays: Vec<_> = relays.iter().map(add).collect();
            let peers: Vec<_> = keys.iter().map(|key| pool.add_peer(*key)).collect();
            for (peer, ties) in peers.iter().zip(ties) {
                ties.iter().for_each(|relay| pool.tie(*peer, relays[*relay]).expect("room for a tie"));
            }
            peers
        });
        let mut scale = Self { pool, events: PoolEvents::with_capacity(1024), peers, held };
        println!("{} {what} on {} relays:", keys.len(), relays.len());
        println!("    adding them: {:.2} ms", millis(adding));
        scale.join();
        scale
    }

    fn join(&mut self) {
        let (start, mut spent, mut polls) = (Instant::now(), Duration::ZERO, 0);
        let (mut up, mut online) = (0, 0);
        let (mut checked, mut moved) = (start, start);
        while online < self.peers.len() || !self.all_on_three(&mut checked) {
            assert!(start.elapsed() < Duration::from_secs(120), "{online} peers are online on {up} relays");
            let (time, ()) = cpu(|| self.poll(Some(STALLED)));
            (spent, polls) = (spent + time, polls + 1);
            for event in &self.events {
                match event {
                    PoolEvent::RelayUp { .. } => (up, moved) = (up + 1, Instant::now()),
                    PoolEvent::PeerOnline { .. } => online += 1,
                    PoolEvent::PeerOffline { .. } => online -= 1,
                    _ => {}
                }
            }
            if moved.elapsed() >= STALLED {
                moved = Instant::now();
                spent += cpu(|| self.pool.network_changed()).0;
            }
        }
        let count = self.peers.len() as f64;
        let (relays, routes) = self.connected();
        println!(
            "    until each is online on {WANTED} relays: {:.0} ms, {polls} polls; {relays} relays are connected, with \
             {routes} routes",
            millis(spent),
        );
        println!(
            "    memory: {:.0} bytes per peer, with its share of the rest",
            (held() - self.held) as f64 / count
        );
    }

    fn connected(&self) -> (usize, usize) {
        let connections: Vec<_> = self.pool.client().connections().collect();
        let online = self.peers.iter().filter_map(|peer| self.pool.peer(*peer)).map(|peer| peer.online.len());
        (connections.len(), online.sum())
    }

    /// Whether each peer is online on three relays. It takes long, so it is looked at ten times a second.
    fn all_on_three(&self, checked: &mut Instant) -> bool {
        if checked.elapsed() < Duration::from_millis(100) {
            return false;
        }
        *checked = Instant::now();
        self.peers.iter().all(|peer| self.pool.peer(*peer).is_some_and(|peer| peer.online.len() >= WANTED))
    }

    fn poll(&mut self, timeout: Option<Duration>) {
        self.pool.poll(&mut self.events, timeout).expect("a poller that works");
    }

    /// Polls for this time.
    fn pass(&mut self, time: Duration) -> Duration {
        let end = Instant::now() + time;
        let mut spent = Duration::ZERO;
        while Instant::now() < end {
            let rest = end.saturating_duration_since(Instant::now());
            spent += cpu(|| self.poll(Some(rest))).0;
        }
        spent
    }

    fn idle(&mut self) {
        self.pass(SETTLING);
        let (before, sleeps) = (held(), sleeps());
        let spent = self.pass(IDLE);
        let hours = IDLE.as_secs_f64() / 3600.0;
        let woken = sleeps.zip(self::sleeps()).map(|(before, after)| (after - before) as f64 / hours);
        println!(
            "    idle, with {} relays: {:.2} ms of CPU time in {} s, which is {:.2} s an hour; {} wake-ups an hour",
            self.connected().0,
            millis(spent),
            IDLE.as_secs(),
            spent.as_secs_f64() / hours,
            woken.map_or("unknown".to_owned(), |woken| format!("{woken:.0}")),
        );
        println!("    allocated meanwhile and kept: {} bytes", held() - before);
    }

    /// What calls cost while nothing happens.
    fn calls(&mut self, count: usize) {
        self.pass(Duration::from_secs(1));
        let (poll, ()) = cpu(|| (0..count).for_each(|_| self.poll(Some(Duration::ZERO))));
        let (timeout, all) = cpu(|| (0..count).filter(|_| self.pool.next_timeout().is_some()).count());
        assert_eq!(all, count);
        // Few at a time: the relays have to read them.
        let mut send = Duration::ZERO;
        for peers in self.peers.clone().chunks(50).cycle().take(count.div_ceil(50)) {
            let send_all = |peer: &PeerId| _ = self.pool.send(*peer, &[7; 34]).expect("room for data");
            send += cpu(|| peers.iter().for_each(send_all)).0;
            self.pass(ANSWER);
        }
        let nanos = |time: Duration| time.as_nanos() as f64 / count as f64;
        println!(
            "    a poll: {:.0} ns; next_timeout: {:.0} ns; send: {:.0} ns, with neither encryption nor writing",
            nanos(poll),
            nanos(timeout),
            nanos(send)
        );
    }

    /// Medians of two polls that send and receive data, of two in which a route goes offline and comes online again, and of one after a
    /// peer was put to sleep or woken up, with which all peers are reviewed.
    fn changes(&mut self, count: usize) {
        self.pass(Duration::from_secs(1));
        let mut figures = [BLINK, b"echo!"].map(|data| (data, Vec::new()));
        for peer in self.peers.clone().into_iter().take(count) {
            for (data, figures) in &mut figures {
                self.pool.send(peer, data).expect("room for data");
                self.pool.flush();
                // The answer comes with the first or the second one.
                let (sent, ()) = cpu(|| self.poll(Some(Duration::ZERO)));
                std::thread::sleep(ANSWER);
                figures.push(sent + cpu(|| self.poll(Some(Duration::ZERO))).0);
            }
        }
        let [change, echo] = figures.map(|(_, figures)| median(figures));
        println!(
            "    two polls: {echo:.1} µs with data, {change:.1} µs with a route that goes offline and online"
        );
        let mut figures = Vec::new();
        for (peer, is_awake) in
            self.peers.clone().into_iter().take(count).flat_map(|peer| [(peer, false), (peer, true)])
        {
            self.pool.set_awake(peer, is_awake);
            figures.push(cpu(|| self.poll(Some(Duration::ZERO))).0);
        }
        println!("    a poll after a peer was put to sleep or woken up: {:.1} µs", median(figures));
    }
}

/// In microseconds.
fn median(mut figures: Vec<Duration>) -> f64 {
    figures.sort();
    figures[figures.len() / 2].as_nanos() as f64 / 1e3
}

/// How often this thread has waited, which is how often it was woken up.
fn sleeps() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse().ok()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
