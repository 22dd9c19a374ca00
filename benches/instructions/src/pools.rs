//! The paths of a pool and, to compare, of a client: with a relay on loopback, on a thread of its own. Callgrind counts the
//! measuring thread alone, without the kernel.

use std::hint::black_box;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tox_relay_client::pool::{Origin, Pool, PoolEvents};
use tox_relay_client::{Config, PublicKey, SecretKey};

use crate::all_online::all_online;
use crate::nodes::Node;
use crate::paths::{ROUNDS, measured};

/// The packets of a round. The first window has room for them.
const BATCH: usize = 16;

/// How long the relay may take, under valgrind on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// How long it takes to send a batch back.
const ANSWER: Duration = Duration::from_millis(100);

/// A node whose peer sends everything back.
fn online<N: Node>() -> N {
    let mut node = N::new(SecretKey::from([2; 32]), PublicKey::from([3; 32]), all_online());
    let end = Instant::now() + LIMIT;
    while !node.is_online() {
        assert!(Instant::now() < end, "the route is not online in time");
        node.poll();
    }
    node
}

/// Waits until this number of packets has come back.
fn drain<N: Node>(node: &mut N, count: usize) {
    let (mut arrived, end) = (0, Instant::now() + LIMIT);
    while arrived < count || !node.has_drained() {
        assert!(Instant::now() < end, "a packet was lost");
        sleep(Duration::from_millis(1)); // or the relay gets no turn
        arrived += node.poll();
    }
}

/// Queues, seals and writes a batch of data packets.
pub fn send<N: Node>(len: usize) -> u64 {
    let (mut node, data) = (online::<N>(), vec![7; len]);
    for round in 0..=ROUNDS {
        let mut send = || {
            (0..BATCH).for_each(|_| node.send(black_box(&data)));
            node.flush();
        };
        // In the first round, buffers grow.
        if round == 0 {
            send()
        } else {
            measured(&mut send)
        }
        drain(&mut node, BATCH);
    }
    BATCH as u64 * ROUNDS
}

/// Receives a batch of data packets in one poll, and looks at their events.
pub fn receive<N: Node>(len: usize) -> u64 {
    let (mut node, data) = (online::<N>(), vec![7; len]);
    let mut received = 0;
    for round in 0..=ROUNDS {
        (0..BATCH).for_each(|_| node.send(&data));
        node.flush();
        sleep(ANSWER);
        let mut arrived = 0;
        let mut receive = || arrived = node.poll();
        if round == 0 {
            receive()
        } else {
            measured(&mut receive)
        }
        received += if round == 0 { 0 } else { arrived as u64 };
        drain(&mut node, BATCH - arrived);
    }
    received
}

/// A poll of a pool in which nothing happens, with the most peers that three relays hold.
pub fn idle_poll() -> u64 {
    const PEERS: u8 = 240;
    let mut pool = Pool::new(Config::new(SecretKey::from([2; 32]))).expect("a poller");
    let relays = [(); 3].map(|()| pool.add_relay(all_online(), Origin::User).expect("room for a relay"));
    let add = |number| {
        let peer = pool.add_peer(PublicKey::from([number; 32]));
        relays.iter().for_each(|relay| pool.tie(peer, *relay).expect("room for a tie"));
        peer
    };
    let peers: Vec<_> = (1..=PEERS).map(add).collect();
    let mut events = PoolEvents::with_capacity(256);
    let mut poll =
        |pool: &mut Pool| pool.poll(&mut events, Some(Duration::ZERO)).expect("a poller that works");
    let end = Instant::now() + LIMIT;
    while !peers.iter().all(|peer| pool.peer(*peer).is_some_and(|peer| peer.online.len() == relays.len())) {
        assert!(Instant::now() < end, "a peer is not online in time");
        sleep(Duration::from_millis(10));
        poll(&mut pool);
    }
    (0..3).for_each(|_| poll(&mut pool)); // what follows from the last event
    (0..ROUNDS).for_each(|_| measured(&mut || poll(&mut pool)));
    ROUNDS
}
