//! The hot paths. Each returns the number of operations that were counted.

use std::hint::black_box;

use tox_relay_client::internals::{MAX_REQUEST, Packet, Progress, Tunnel, Wheel};
use tox_relay_client::{Address, Event, Proxy};

use crate::pair::{FIRST_ID, Pair, peer};

/// Packets that are sealed or opened at once, as under load.
const BATCH: u64 = 32;

/// The number of counted runs of each path.
pub const ROUNDS: u64 = 8;

/// The connections of a large pool.
const KEYS: u32 = 10_000;

/// Callgrind counts only the instructions in this function, which it finds by its name.
#[inline(never)]
pub fn measured(operation: &mut dyn FnMut()) {
    operation();
    // Without this, the compiler could turn the call into a jump, and this function would end before the operation.
    black_box(());
}

/// Queues, seals and writes a batch of data packets, with the pings between them. The first window has room for it.
pub fn send(len: usize) -> u64 {
    const SENT: u64 = BATCH / 2;
    let (mut pair, routes) = Pair::with_routes(1);
    let data = vec![7; len];
    let send = |pair: &mut Pair| {
        for _ in 0..SENT {
            pair.connection.send_data(routes[0], black_box(&data)).expect("a batch fits the queue");
        }
        pair.flush();
        assert!(pair.connection.has_drained());
    };
    send(&mut pair); // Buffers grow.
    for _ in 0..ROUNDS {
        pair.answer_pings();
        measured(&mut || send(&mut pair));
    }
    SENT * ROUNDS
}

/// Receives a batch of data packets in one read, and looks at their events.
pub fn receive(len: usize) -> u64 {
    let (mut pair, _) = Pair::with_routes(1);
    let mut plaintext = vec![7; 1 + len];
    plaintext[0] = FIRST_ID;
    let batch = vec![&plaintext[..]; BATCH as usize];
    let mut stream = pair.sealed(&batch);
    pair.receive(&mut stream); // Buffers grow.
    for _ in 0..ROUNDS {
        stream = pair.sealed(&batch);
        measured(&mut || {
            pair.receive(&mut stream);
            for event in &pair.events {
                assert!(matches!(black_box(event), Event::Data { data, .. } if data.len() == len));
            }
        });
        assert_eq!(pair.events.len() as u64, BATCH);
    }
    BATCH * ROUNDS
}

/// Sends one small packet per write, to a peer that has to be found among the maximum number of routes.
pub fn send_to_last_route() -> u64 {
    let (mut pair, routes) = Pair::with_routes(240);
    let last = peer(routes.len() as u8 - 1);
    let mut send = || {
        pair.connection.send_to(last, black_box(&[7; 34])).expect("room in the queue");
        pair.flush();
    };
    send(); // Buffers grow.
    (0..ROUNDS).for_each(|_| measured(&mut send));
    ROUNDS
}

/// Receives one small packet per read, from a peer that has to be found among the maximum number of routes.
pub fn receive_from_last_route() -> u64 {
    let (mut pair, routes) = Pair::with_routes(240);
    let last = routes[routes.len() - 1];
    let mut plaintext = [7; 35];
    plaintext[0] = u8::MAX;
    let mut stream = pair.sealed(&[&plaintext]);
    pair.receive(&mut stream); // Buffers grow.
    for _ in 0..ROUNDS {
        stream = pair.sealed(&[&plaintext]);
        measured(&mut || pair.receive(&mut stream));
        assert!(matches!(pair.events.iter().next(), Some(Event::Data { route, .. }) if route == last));
    }
    ROUNDS
}

/// Parses and emits the packets that keep a connection alive, and small data.
pub fn parse_and_emit() -> u64 {
    let mut plaintexts = [&[1; 34][..], &[2; 2], &[3; 2], &[4; 9], &[5; 9], &[0xff; 35]].map(<[u8]>::to_vec);
    for notification in &mut plaintexts[..3] {
        notification[1] = FIRST_ID;
    }
    let mut emitted = [0; 64];
    let mut pass = || {
        for plaintext in &plaintexts {
            let packet = Packet::parse(black_box(plaintext)).expect("a packet");
            packet.emit(black_box(&mut emitted[..packet.emitted_len()]));
        }
    };
    (0..ROUNDS).for_each(|_| measured(&mut pass));
    plaintexts.len() as u64 * ROUNDS
}

/// From the connected transport to `Connected`, with a relay whose shared key is cached. Valgrind's processor lacks
/// what graviola needs, so X25519 is that of curve25519-dalek.
pub fn handshake() -> u64 {
    for _ in 0..ROUNDS {
        let mut pair = Pair::connecting();
        measured(&mut || pair.connect());
    }
    ROUNDS
}

/// The exchange with a proxy that requires a password.
pub fn socks5() -> u64 {
    let proxy: Proxy = "socks5://user:password@127.0.0.1:1080".parse().expect("a URL");
    let target: Address = "relay.example:33445".parse().expect("an address");
    let mut out = Vec::with_capacity(MAX_REQUEST);
    let mut exchange = || {
        out.clear();
        let mut tunnel = Tunnel::new(&proxy, &target, &mut out);
        let answers: [&mut [u8]; 3] = [&mut [5, 2], &mut [1, 0], &mut [5, 0, 0, 1, 127, 0, 0, 1, 1, 2]];
        for (mut answer, progress) in
            answers.into_iter().zip([Progress::Waiting, Progress::Waiting, Progress::Open])
        {
            assert_eq!(tunnel.receive(black_box(&mut answer), &mut out), Ok(progress));
        }
    };
    exchange(); // The allocator gets its first memory.
    (0..ROUNDS).for_each(|_| measured(&mut exchange));
    ROUNDS
}

/// The timer's part of an idle poll: asking for the next deadline, and for deadlines that have passed.
pub fn idle_tick() -> u64 {
    const TICKS: u64 = 1_000;
    let mut wheel = Wheel::new();
    (0..KEYS).for_each(|key| wheel.schedule(key, 10_000 + u64::from(key)));
    let mut tick = || {
        for now in 0..TICKS {
            assert!(black_box(&mut wheel).next() > Some(now));
            assert_eq!(wheel.pop_due(now), None);
        }
    };
    measured(&mut tick);
    TICKS
}

/// The timer's part of a ping: the ping is due, then the deadline of the pong is set, then that of the next ping.
pub fn ping_cycle() -> u64 {
    const INTERVAL: u64 = 30_000;
    const TIMEOUT: u64 = 10_000;
    let mut wheel = Wheel::new();
    (0..KEYS).for_each(|key| wheel.schedule(key, INTERVAL + u64::from(key) * 3));
    let mut pings = 0;
    let mut interval = || {
        while let Some(now) = wheel.next().filter(|now| *now < 2 * INTERVAL) {
            while let Some(key) = wheel.pop_due(now) {
                wheel.schedule(key, now + TIMEOUT);
                wheel.schedule(key, now + INTERVAL);
                pings += 1;
            }
        }
    };
    measured(&mut interval);
    assert_eq!(pings, u64::from(KEYS));
    pings
}
