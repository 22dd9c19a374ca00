//! One client with many connections to a relay on this machine: an idle tick, a packet on each connection, a round trip
//! in the presence of idle connections, and connecting.
//!
//! `cargo bench --bench pool`. The relay runs on its own thread. Measurements that wait for the relay (round trips,
//! connecting) include its work, and those that send include the work of the operating system to deliver the data on
//! the same machine.

mod support;

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use support::{Pool, identities, sizes};
use tox_relay_client::{Event, RouteId};

const DATA: [u8; 100] = [7; 100];

/// The number of connections that are started at once.
const AT_A_TIME: [usize; 3] = [1, 10, 100];

/// A pool of connected pairs, with routes that are online.
struct Paired {
    pool: Pool,
    routes: Vec<RouteId>,
}

impl Paired {
    fn new(size: usize) -> Self {
        let mut pool = Pool::new();
        pool.connect(&identities(size));
        let routes = pool.pair_up();
        Self { pool, routes }
    }

    /// One iteration of a main loop with nothing to do.
    fn tick(&mut self) {
        self.pool.client.poll(&mut self.pool.events, Some(Duration::ZERO)).expect("a poller that works");
    }

    /// Sends a packet on each route, until the sockets have accepted them all.
    fn fan_out(&mut self) {
        for route in &self.routes {
            self.pool.client.send_data(*route, &DATA).expect("an empty queue");
        }
        self.pool.client.flush();
    }

    /// Waits until all packets have been received. The sockets have accepted all of them before.
    fn receive_all(&mut self) {
        let queued = |route: &RouteId| {
            let connection = self.pool.client.route(*route).expect("a route").connection;
            self.pool.client.connection(connection).expect("a connection").queued
        };
        assert!(self.routes.iter().all(|route| queued(route) == 0), "a socket was full");
        self.pool.until(self.routes.len(), is_data);
    }

    /// Sends a packet to the peer of the first route, and one back.
    fn round_trip(&mut self) {
        for route in &self.routes[..2] {
            self.pool.client.send_data(*route, &DATA).expect("an empty queue");
            self.pool.until(1, is_data);
        }
    }
}

fn is_data(event: &Event<'_>) -> bool {
    matches!(event, Event::Data { .. })
}

/// The time that `measured` takes in this number of rounds. The time of `between`, which runs between rounds, is not
/// counted.
fn time<T>(rounds: u64, subject: &mut T, measured: impl Fn(&mut T), between: impl Fn(&mut T)) -> Duration {
    let round = |_| {
        let start = Instant::now();
        measured(subject);
        let spent = start.elapsed();
        between(subject);
        spent
    };
    (0..rounds).map(round).sum()
}

fn connected(criterion: &mut Criterion) {
    let mut pools: Vec<_> = sizes().into_iter().map(Paired::new).collect();

    let mut group = criterion.benchmark_group("idle_tick");
    for paired in &mut pools {
        group.bench_function(BenchmarkId::from_parameter(paired.routes.len()), |bencher| {
            bencher.iter(|| paired.tick());
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("fan_out");
    for paired in &mut pools {
        let size = paired.routes.len();
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter_custom(|rounds| time(rounds, paired, Paired::fan_out, Paired::receive_all));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("round_trip");
    for paired in &mut pools {
        group.bench_function(BenchmarkId::from_parameter(paired.routes.len()), |bencher| {
            bencher.iter(|| paired.round_trip());
        });
    }
    group.finish();
}

/// From `connect` to `Connected`. Each connection has its own identity: with the client's identity there can be only
/// one connection per relay.
fn connecting(criterion: &mut Criterion) {
    let mut pool = Pool::new();
    let mut group = criterion.benchmark_group("connecting");
    group.sample_size(20);
    for count in AT_A_TIME {
        let identities = identities(count);
        // The relay resets the connections: closing them would leave thousands of ports that cannot be used again for a
        // minute.
        let reset = |pool: &mut Pool| {
            for identity in &identities {
                assert!(pool.relay.reset(identity.public_key().as_bytes()), "a client of the relay");
            }
            pool.until(count, |event| matches!(event, Event::Disconnected { .. }));
        };
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter_custom(|rounds| time(rounds, &mut pool, |pool| pool.connect(&identities), reset));
        });
    }
    group.finish();
}

criterion_group!(benches, connected, connecting);
criterion_main!(benches);
