//! What a packet costs through a pool, beside the same packet through a client: CPU time of the sender, with the flush,
//! and of the receiver, with the iteration over the events. The kernel's time for it counts.
//!
//! `cargo bench --bench pool_packets`. Both are connected to one relay each on this machine, and take turns; the figures
//! are medians.

#[path = "support/cpu.rs"]
mod cpu;

use std::thread::sleep;
use std::time::{Duration, Instant};

use cpu::cpu;
use tox_relay_client::pool::{Origin, PeerId, Pool, PoolEvent, PoolEvents};
use tox_relay_client::{Client, Config, Event, Events, PublicKey, Relay, RouteId, SecretKey};
use tox_test_relay::Relay as TestRelay;

const LENGTHS: [usize; 3] = [34, 512, 1373];

/// The packets of a turn. The first window has room for them.
const BATCH: usize = 32;

/// How long the relay may take to pass on a batch.
const LIMIT: Duration = Duration::from_secs(10);

/// One end of a route.
trait Node {
    fn new(secret_key: SecretKey, peer: PublicKey, relay: Relay) -> Self;
    fn is_online(&self) -> bool;
    fn send(&mut self, data: &[u8]);
    fn flush(&mut self);
    /// Polls without waiting. Returns the number of data packets.
    fn poll(&mut self) -> usize;
    fn has_drained(&self) -> bool;
}

struct ByClient {
    client: Client,
    events: Events,
    peer: PublicKey,
    route: Option<RouteId>,
}

impl Node for ByClient {
    fn new(secret_key: SecretKey, peer: PublicKey, relay: Relay) -> Self {
        let mut client = Client::new(Config::new(secret_key)).expect("a poller");
        client.connect(relay).expect("a connection that begins");
        Self { client, events: Events::with_capacity(1024), peer, route: None }
    }

    fn is_online(&self) -> bool {
        self.route.is_some()
    }

    fn send(&mut self, data: &[u8]) {
        self.client.send_data(self.route.expect("a route"), data).expect("room in the queue");
    }

    fn flush(&mut self) {
        self.client.flush();
    }

    fn poll(&mut self) -> usize {
        self.client.poll(&mut self.events, Some(Duration::ZERO)).expect("a poller that works");
        let mut arrived = 0;
        for event in &self.events {
            match event {
                Event::Connected { connection, .. } => {
                    self.client.open_route(connection, self.peer).expect("a new route");
                }
                Event::RouteOnline { route, .. } => self.route = Some(route),
                Event::Data { data, .. } => arrived += usize::from(!data.is_empty()),
                _ => {}
            }
        }
        arrived
    }

    fn has_drained(&self) -> bool {
        self.client.all_drained()
    }
}

struct ByPool {
    pool: Pool,
    events: PoolEvents,
    peer: PeerId,
    is_online: bool,
}

impl Node for ByPool {
    fn new(secret_key: SecretKey, peer: PublicKey, relay: Relay) -> Self {
        let mut pool = Pool::new(Config::new(secret_key)).expect("a poller");
        let relay = pool.add_relay(relay, Origin::User).expect("room for a relay");
        let peer = pool.add_peer(peer);
        pool.tie(peer, relay).expect("room for a tie");
        Self { pool, events: PoolEvents::with_capacity(1024), peer, is_online: false }
    }

    fn is_online(&self) -> bool {
        self.is_online
    }

    fn send(&mut self, data: &[u8]) {
        self.pool.send(self.peer, data).expect("room in the queue");
    }

    fn flush(&mut self) {
        self.pool.flush();
    }

    fn poll(&mut self) -> usize {
        self.pool.poll(&mut self.events, Some(Duration::ZERO)).expect("a poller that works");
        let mut arrived = 0;
        for event in &self.events {
            match event {
                PoolEvent::PeerOnline { .. } => self.is_online = true,
                PoolEvent::Data { data, .. } => arrived += usize::from(!data.is_empty()),
                _ => {}
            }
        }
        arrived
    }

    fn has_drained(&self) -> bool {
        self.pool.client().all_drained()
    }
}

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
        for _ in 0..turns {
            by_client.add(client.turn(&data));
            by_pool.add(pool.turn(&data));
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
