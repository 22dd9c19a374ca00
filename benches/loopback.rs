//! Two clients and a relay on this machine: one client sends data to the other.
//!
//! `cargo bench --bench loopback`. The relay runs on its own thread, both clients on the measuring thread. So the time
//! per packet is that of sending and receiving it, or the relay's time if that is longer. The throughput counts bytes
//! of data.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tox_relay_client::{Client, Config, Event, Events, PublicKey, Relay, RouteId, SecretKey};

const LENGTHS: [usize; 4] = [34, 100, 512, 1373];

/// The number of packets in flight. A relay discards data for a client whose socket is full.
const WINDOW: usize = 32;

struct Pair {
    _relay: tox_test_relay::Relay,
    sender: Client,
    receiver: Client,
    route: RouteId,
    events: Events,
}

impl Pair {
    fn new() -> Self {
        let relay = tox_test_relay::Relay::start(Default::default()).expect("a relay on loopback");
        let mut clients =
            [(); 2].map(|()| Client::new(Config::new(SecretKey::generate())).expect("a poller"));
        let keys = clients.each_ref().map(Client::public_key);
        for client in &mut clients {
            let target = Relay::new(relay.addr(), PublicKey::from(relay.public_key()));
            client.connect(target).expect("a connection that begins");
        }
        let mut events = Events::with_capacity(1024);
        let mut online = [None, None];
        let deadline = Instant::now() + Duration::from_secs(10);
        while online.iter().any(Option::is_none) {
            assert!(Instant::now() < deadline, "the route is not online in time");
            for (index, client) in clients.iter_mut().enumerate() {
                client.poll(&mut events, Some(Duration::from_millis(1))).expect("a poller that waits");
                for event in &events {
                    match event {
                        Event::Connected { connection: relay, .. } => {
                            client.open_route(relay, keys[1 - index]).expect("a new route");
                        }
                        Event::RouteOnline { route, .. } => online[index] = Some(route),
                        _ => {}
                    }
                }
            }
        }
        let [sender, receiver] = clients;
        Self { _relay: relay, sender, receiver, route: online[0].expect("a route that is online"), events }
    }

    /// Sends a window of packets and waits until all have arrived.
    fn pass(&mut self, data: &[u8]) {
        for _ in 0..WINDOW {
            self.sender.send_data(self.route, data).expect("a window fits the queue");
        }
        self.sender.flush();
        let (mut arrived, limit) = (0, Instant::now() + Duration::from_secs(10));
        while arrived < WINDOW {
            // The sender may wait for a pong before it sends more.
            let patience = if self.sender.all_drained() { Duration::from_secs(10) } else { Duration::ZERO };
            self.receiver.poll(&mut self.events, Some(patience)).expect("a poller that waits");
            assert!(Instant::now() < limit, "a packet was lost");
            arrived += self.events.iter().filter(|event| matches!(event, Event::Data { .. })).count();
            // It answers and handles pings; no events are expected.
            self.sender.poll(&mut self.events, Some(Duration::ZERO)).expect("a poller that waits");
        }
    }
}

fn transfer(criterion: &mut Criterion) {
    let mut pair = Pair::new();
    let mut group = criterion.benchmark_group("transfer");
    for len in LENGTHS {
        group.throughput(Throughput::Bytes((WINDOW * len) as u64));
        group.bench_with_input(BenchmarkId::from_parameter(len), &len, |bencher, &len| {
            bencher.iter(|| pair.pass(&vec![7; len]));
        });
    }
    group.finish();
}

criterion_group!(benches, transfer);
criterion_main!(benches);
