//! Memory allocations: none for a packet once the buffers have grown, and few bytes for an idle connection.

#[path = "support/counting.rs"]
mod counting;
mod support;

use std::collections::HashSet;

use counting::{calls, held};
use support::scripted_relay::ScriptedRelay;
use support::{GUARD, Peer, Reported, address, honest, numbered};
use tox_relay_client::{Event, RouteId, SecretKey};

/// How many times `run` allocates in this thread.
fn allocations(run: impl FnOnce()) -> u64 {
    let before = calls();
    run();
    calls() - before
}

/// The connection id of the route.
const NUMBER: u8 = 16;

/// The lengths of the packets that are measured: the longest, one that Tox uses, and small ones.
const LENGTHS: [usize; 4] = [2031, 1400, 100, 1];

fn packet(len: usize) -> Vec<u8> {
    [&[NUMBER], &numbered(7, len)[..]].concat()
}

/// Polls until this many packets have arrived.
fn receive(peer: &mut Peer, mut count: usize) {
    while count > 0 {
        peer.client.poll(&mut peer.events, Some(GUARD)).unwrap();
        assert!(!peer.events.is_empty(), "{count} packets are missing");
        for event in &peer.events {
            match event {
                Event::Data { data, .. } => assert!(!data.is_empty()),
                other => panic!("{other:?}"),
            }
            count -= 1;
        }
    }
}

/// Grows everything to its maximum: the queue, the buffer for a partly received packet, the payloads of a poll.
fn warm_up(peer: &mut Peer, relay: &mut ScriptedRelay, route: RouteId) {
    let id = peer.connection_of(route);
    let mut sent = 0;
    while peer.client.send_data(route, &[7; 1000]).is_ok() {
        sent += 1;
    }
    peer.until("the whole queue", |_| {
        relay.read();
        relay.received.len() == sent
    });
    assert_eq!(peer.reported, [Reported::Writable(id)]);
    // Of the measured lengths, this is the one of which a poll returns the most payload bytes.
    let count = relay.flood(&packet(1400));
    receive(peer, count - 1);
    relay.respond();
    receive(peer, 1);
    let bytes_in = peer.client.connection(id).unwrap().traffic.bytes_in;
    relay.send_all_but_one_byte(&packet(2031));
    peer.until("the beginning", |peer| {
        peer.client.connection(id).unwrap().traffic.bytes_in == bytes_in + 2049
    });
    relay.respond();
    receive(peer, 1);
}

#[test]
fn neither_sending_nor_receiving_allocates_after_warming_up() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1, "the allocator counts");
    let mut peer = Peer::with(|config| config.window(None)).capacity(1024);
    let (mut relay, id) = ScriptedRelay::connect(&mut peer);
    let (route, friend) = relay.open_route(&mut peer, id, NUMBER);
    warm_up(&mut peer, &mut relay, route);

    let data = [7; 2031];
    for round in 0..100 {
        let len = LENGTHS[round % LENGTHS.len()];
        let sent = allocations(|| {
            for _ in 0..4 {
                peer.client.send_data(route, &data[..len]).unwrap();
                peer.client.send_to(id, friend, &data[..len]).unwrap();
                peer.client.send_oob(id, friend, &data[..len.min(1024)]).unwrap();
            }
            peer.client.flush();
        });
        relay.received.clear();
        peer.until("all packets", |_| {
            relay.read();
            relay.received.len() == 12
        });
        relay.send_all([&packet(len)[..]; 30]);
        let received = allocations(|| receive(&mut peer, 30));
        assert_eq!((sent, received), (0, 0), "round {round}, {len} bytes");
    }
}

/// This many nearly fill the tables, which grow by doubling. Otherwise their spare capacity would be counted too.
const CONNECTIONS: usize = 250;

#[test]
fn an_idle_connection_holds_less_than_700_bytes() {
    let server = honest();
    let mut peer = Peer::new();
    let before = held();
    let mut waiting = HashSet::new();
    for _ in 0..CONNECTIONS {
        let relay = address(&server).identity(SecretKey::generate());
        waiting.insert(peer.client.connect(relay).unwrap());
        while waiting.len() == 50 {
            peer.client.poll(&mut peer.events, Some(GUARD)).unwrap();
            for event in &peer.events {
                let Event::Connected { connection: relay, .. } = event else { panic!("{event:?}") };
                assert!(waiting.remove(&relay));
            }
        }
    }
    peer.until("all are connected", |peer| {
        waiting.iter().all(|id| peer.reported.contains(&Reported::Connected(*id)))
    });
    drop((waiting, std::mem::take(&mut peer.reported)));
    let each = (held() - before) / CONNECTIONS as isize;
    assert!(each < 700, "{each} bytes");
}
