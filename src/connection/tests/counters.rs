//! What the connections of a client have sent and received, by kind of packet.

use super::*;
use crate::status::{Traffic, TrafficByKind};

/// The bytes of a packet on the stream besides its plaintext.
const OVERHEAD: u64 = 2 + 16;

/// Traffic of this many packets, which have this many bytes of plaintext together.
fn received(packets: u64, plaintext: u64) -> Traffic {
    Traffic { packets_in: packets, bytes_in: packets * OVERHEAD + plaintext, ..Traffic::default() }
}

fn sent(packets: u64, plaintext: u64) -> Traffic {
    Traffic { packets_out: packets, bytes_out: packets * OVERHEAD + plaintext, ..Traffic::default() }
}

fn sum(parts: impl IntoIterator<Item = Traffic>) -> Traffic {
    let mut sum = Traffic::default();
    parts.into_iter().for_each(|part| sum += part);
    sum
}

impl Pair {
    fn traffic(&self) -> TrafficByKind {
        self.shared.traffic()
    }

    /// Counts from now on.
    fn reset(&mut self) {
        self.shared = Shared::new();
    }
}

#[test]
fn each_kind_of_packet_has_its_counter_in_both_directions() {
    let (mut pair, route) = Pair::with_route(Settings::default(), key(7));
    pair.reset();
    pair.connection.send_data(route, &[1; 100]).unwrap();
    pair.connection.send_data(route, &[1; 50]).unwrap();
    pair.connection.send_oob(key(9), &[1; 10]).unwrap();
    pair.connection.send_onion_request(&[1; 178]).unwrap();
    pair.connection.send_forward_request(Destination::Udp(([1, 2, 3, 4], 5).into()), &[1; 20]).unwrap();
    pair.connection.open(key(8)).unwrap();
    assert!(pair.connection.ping(pair.now, NonZeroU64::MIN));
    pair.relay_sends(&[ping(5), data(16, &[2; 30]), oob(&[2; 3]), vec![9; 40], vec![11; 60]]).unwrap();
    pair.connection.close_route(route).unwrap();
    pair.flush_some(usize::MAX);
    pair.relay_sends(&[pong(1), routing_response(17, key(8)), vec![2, 17]]).unwrap();

    let traffic = pair.traffic();
    assert_eq!(traffic.oob, sum([sent(1, 1 + 32 + 10), received(1, 1 + 32 + 3)]));
    assert_eq!(traffic.onion, sum([sent(1, 179), received(1, 40)]));
    assert_eq!(traffic.forward, sum([sent(1, 1 + 7 + 20), received(1, 60)]));
    assert_eq!(traffic.routing, sum([sent(1, 33), received(1, 34)]));
    assert_eq!(traffic.notifications, sum([sent(1, 2), received(1, 2)]));
    assert_eq!(traffic.pings, sum([sent(2, 9 + 9), received(2, 9 + 9)]));
    // The route was closed before its data were sent.
    assert_eq!(traffic.data, received(1, 1 + 30));
    let TrafficByKind { all, data, oob, onion, forward, routing, notifications, pings } = traffic;
    assert_eq!(all, sum([data, oob, onion, forward, routing, notifications, pings]));
}

/// Whether a packet is sent is known only after it was sealed, perhaps several times.
#[test]
fn a_packet_is_counted_once_when_its_first_byte_is_sent() {
    let (mut pair, route) = Pair::with_route(Settings::default(), key(7));
    pair.reset();
    for _ in 0..20 {
        pair.connection.send_data(route, &[1; 99]).unwrap();
        pair.connection.send_oob(key(9), &[1; 67]).unwrap();
    }
    let mut bytes = Vec::new();
    let mut last = Traffic::default();
    while pair.connection.has_output(FIRST) {
        bytes.extend(pair.flush_some(31));
        let TrafficByKind { all, data, oob, .. } = pair.traffic();
        assert_eq!(all.bytes_out, bytes.len() as u64);
        assert_eq!(all.packets_out, data.packets_out + oob.packets_out);
        assert!(all.packets_out <= last.packets_out + 1);
        last = all;
    }
    let traffic = pair.traffic();
    assert_eq!((traffic.data, traffic.oob), (sent(20, 20 * 100), sent(20, 20 * 100)));
    assert_eq!(traffic.all.packets_out, pair.relay.open(&bytes).unwrap().len() as u64);
}

#[test]
fn handshakes_are_bytes_without_packets() {
    let start = Instant::now();
    let mut shared = Shared::new();
    for _ in 0..2 {
        let mut connection = connecting(start);
        connection.handle_connected(start, FIRST);
        let mut hello = Vec::new();
        let write = |part: &[u8]| {
            hello.extend_from_slice(part);
            Ok(part.len())
        };
        connection.flush(start, FIRST, bulk_ping(), &mut shared, &mut [0; 4096], write).unwrap();
        let hello: [u8; HELLO_LENGTH] = hello.try_into().unwrap();
        let (mut response, _) = Hello::open(&hello, &RELAY_SECRET).unwrap().accept(&fresh());
        connection.receive(start, FIRST, &mut response, &mut shared, &mut Events::with_capacity(8)).unwrap();
    }
    // Both connections are gone.
    let all = Traffic { bytes_out: 2 * 128, bytes_in: 2 * 96, ..Traffic::default() };
    assert_eq!(shared.traffic(), TrafficByKind { all, ..TrafficByKind::default() });
}

#[test]
fn pings_and_the_pongs_that_answer_one_are_counted() {
    let mut pair = Pair::connected();
    let counts = |pair: &Pair| (pair.connection.round_trips().pings, pair.connection.round_trips().pongs);
    assert_eq!(counts(&pair), (1, 1));
    pair.next_deadline().unwrap();
    assert_eq!(counts(&pair), (1, 1), "the second one is queued");
    pair.sent();
    pair.relay_sends(&[pong(FIRST_PING), pong(99), ping(1)]).unwrap();
    assert_eq!(counts(&pair), (2, 1));
    pair.relay_sends(&[pong(pair.ping), pong(pair.ping)]).unwrap();
    assert_eq!(counts(&pair), (2, 2));
}

#[test]
fn a_connection_has_drained_when_no_byte_is_queued() {
    let mut pair = Pair::connected();
    assert!(pair.connection.has_drained());
    pair.connection.open(key(7)).unwrap();
    assert_eq!(pair.connection.queued(), 0, "a request is not data");
    assert!(!pair.connection.has_drained());
    pair.flush_some(1);
    assert!(!pair.connection.has_drained(), "the rest of the packet");
    pair.flush_some(usize::MAX);
    assert!(pair.connection.has_drained());
    // While the connection is opened, packets stay queued.
    let mut connection = connecting(Instant::now());
    connection.send_oob(key(7), b"x").unwrap();
    assert!(!connection.has_drained() && !connection.has_output(FIRST));
}

#[test]
fn what_was_written_before_a_write_failed_is_counted() {
    let (mut pair, route) = Pair::with_route(Settings::default(), key(7));
    pair.reset();
    let before = pair.connection.traffic();
    pair.connection.send_data(route, &[1; 100]).unwrap();
    pair.connection.send_data(route, &[1; 100]).unwrap();
    let mut results = vec![Err(io::ErrorKind::BrokenPipe.into()), Ok(50), Ok(150)];
    let result =
        pair.connection.flush(pair.now, FIRST, bulk_ping(), &mut pair.shared, &mut pair.scratch, |_| {
            results.pop().unwrap()
        });
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    let TrafficByKind { all, data, .. } = pair.traffic();
    assert_eq!((all.bytes_out, all.packets_out, data.packets_out), (200, 2, 2));
    let after = pair.connection.traffic();
    assert_eq!((after.bytes_out - before.bytes_out, after.packets_out - before.packets_out), (200, 2));

    // The hello, too.
    let (start, mut shared) = (Instant::now(), Shared::new());
    let mut connection = connecting(start);
    connection.handle_connected(start, FIRST);
    let mut results = vec![Err(io::ErrorKind::BrokenPipe.into()), Ok(50)];
    connection
        .flush(start, FIRST, bulk_ping(), &mut shared, &mut pair.scratch, |_| results.pop().unwrap())
        .expect_err("it is broken");
    assert_eq!((connection.traffic().bytes_out, shared.traffic().all.bytes_out), (50, 50));
}
