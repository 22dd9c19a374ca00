//! What a packet costs through a pool, beside the same packet through a client: CPU time of the sender, with the flush,
//! and of the receiver, with the iteration over the events. The kernel's time for it counts.
//!
//! `cargo bench --bench pool_packets`. Both are connected to one relay each on this machine, and take turns; the figures
//! are medians.

#[path = "support/cpu.rs"]
mod cpu;
#[path = "support/nodes.rs"]
mod nodes;

use std::thread::sleep;
use std::time::{Duration, Instant};

use cpu::cpu;
use nodes::{ByClient, ByPool, Node};
use tox_relay_client::{PublicKey, Relay, SecretKey};
use tox_test_relay::Relay as TestRelay;

const LENGTHS: [usize; 3] = [34, 512, 1373];

/// The packets of a turn. The first window has room for them.
const BATCH: usize = 32;

/// How long the relay may take to pass on a batch.
const LIMIT: Duration = Duration::from_secs(10);

/// Two nodes of the same kind on a relay.
struct Pair<N> {
    _relay: TestRelay,
    sender: N,
    receiver: N,
}

impl<N: Node> Pair<N> {
    fn new() -> Self {
        let relay = TestRelay::start(Default::default()).expect("a relay on loopback");
        let target = Relay::new(relay.addr(), PublicKey::from(relay.public_key()));
        let keys = [SecretKey::generate(), SecretKey::generate()];
        let [first, second] = keys.each_ref().map(SecretKey::public_key);
        let [sender, receiver] = keys;
        let sender = N::new(sender, second, target.clone());
        let mut pair = Self { sender, receiver: N::new(receiver, first, target), _relay: relay };
        let end = Instant::now() + LIMIT;
        while !(pair.sender.is_online() && pair.receiver.is_online()) {
            assert!(Instant::now() < end, "the route is not online in time");
            pair.sender.poll();
            pair.receiver.poll();
        }
        pair
    }

    /// The CPU time of sending a batch, and of receiving it if it came in one poll.
    fn turn(&mut self, data: &[u8]) -> (Duration, Option<Duration>) {
        let (sent, ()) = cpu(|| {
            (0..BATCH).for_each(|_| self.sender.send(data));
            self.sender.flush();
        });
        let end = Instant::now() + LIMIT;
        while !self.sender.has_drained() {
            self.sender.poll(); // it waits for a pong
        }
        sleep(Duration::from_millis(1)); // all of it is there, if the relay got its turn
        let (received, mut arrived) = cpu(|| self.receiver.poll());
        let received = (arrived == BATCH).then_some(received);
        while arrived < BATCH {
            assert!(Instant::now() < end, "a packet was lost");
            arrived += self.receiver.poll();
        }
        self.sender.poll();
        (sent, received)
    }
}

#[derive(Default)]
struct Figures {
    sent: Vec<Duration>,
    received: Vec<Duration>,
}

impl Figures {
    fn add(&mut self, (sent, received): (Duration, Option<Duration>)) {
        self.sent.push(sent);
        self.received.extend(received);
    }

    /// Nanoseconds per packet.
    fn medians(mut self) -> [f64; 2] {
        [&mut self.sent, &mut self.received].map(|figures| {
            figures.sort();
            let median = figures.get(figures.len() / 2).copied().unwrap_or_default();
            median.as_nanos() as f64 / BATCH as f64
        })
    }
}

fn main() {
    // As in criterion: cargo passes `--bench` for a measurement. With `--test`, it is only a short test run.
    let has_option = |option: &str| std::env::args().any(|argument| argument == option);
    let turns = if has_option("--bench") && !has_option("--test") { 2_000 } else { 3 };
    let (mut client, mut pool) = (Pair::<ByClient>::new(), Pair::<ByPool>::new());
    for len in LENGTHS {
        let data = vec![7; len];
        let (mut by_client, mut by_pool) = (Figures::default(), Figures::default());
        for turn in 0..turns {
            // Each is the first one in every second turn.
            if turn % 2 == 0 {
                by_client.add(client.turn(&data));
            }
            by_pool.add(pool.turn(&data));
            if turn % 2 == 1 {
                by_client.add(client.turn(&data));
            }
        }
        let [by_client, by_pool] = [by_client, by_pool].map(Figures::medians);
        for (what, (client, pool)) in
            ["sending", "receiving"].into_iter().zip(by_client.into_iter().zip(by_pool))
        {
            let more = (pool / client - 1.0) * 100.0;
            println!("{what} {len} bytes: {client:.0} ns by a client, {pool:.0} ns by a pool: {more:+.1} %");
        }
    }
}
