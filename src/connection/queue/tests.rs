//! Compares the queue with a model made of lists, and tests the shares of the room and of the stream that flows get.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::config::{MIN_SEND_QUEUE, Settings};
use crate::key::PublicKey;

/// The bytes in one page.
const PAGE: usize = 504;

fn route(id: u8) -> RouteNumber {
    RouteNumber::new(id).expect("a route number")
}

fn data(id: u8, data: &[u8]) -> Packet<'_> {
    Packet::Data { number: route(id), data }
}

fn oob(data: &[u8]) -> Packet<'_> {
    Packet::OobSend { destination: PublicKey::from([9; 32]), data }
}

/// Takes up to `count` packets.
fn take(queue: &mut Queue, count: usize) -> Vec<Vec<u8>> {
    let mut plaintexts = Vec::new();
    while plaintexts.len() < count
        && let Some(len) = queue.next_len()
    {
        let mut plaintext = vec![0xee; len];
        queue.take(&mut plaintext);
        plaintexts.push(plaintext);
    }
    plaintexts
}

/// All packets in the order in which they would be sent; they stay in the queue.
fn peek(queue: &mut Queue) -> Vec<Vec<u8>> {
    let plaintexts = take(queue, usize::MAX);
    queue.commit(0);
    plaintexts
}

/// Takes and commits up to `count` packets.
fn send(queue: &mut Queue, count: usize) -> Vec<Vec<u8>> {
    let plaintexts = take(queue, count);
    queue.commit(plaintexts.len());
    plaintexts
}

/// Pushes packets with `len` bytes of data until one is refused. Returns by how much the queue has grown.
fn fill(queue: &mut Queue, id: u8, len: usize, bound: usize) -> usize {
    let before = queue.len();
    while queue.push(&data(id, &vec![id; len]), bound) {}
    queue.len() - before
}

#[test]
fn an_empty_queue_has_no_packets_and_no_memory() {
    let mut queue = Queue::default();
    assert!(queue.is_empty() && !queue.has_refused());
    assert_eq!((queue.len(), queue.next_len()), (0, None));
    queue.commit(0);
    assert_eq!(queue.remove(route(16)), 0);
    queue.remove_all_routes();
    assert!(!queue.take_writable(MIN_SEND_QUEUE));
    assert_eq!(queue.memory(), 0);
}

#[test]
fn a_packet_is_read_whole_at_every_offset_in_a_page() {
    // The length of the first packet determines where in a page the second begins: every offset is tried.
    for filler in 0..PAGE {
        for len in [0, 1, 20, PAGE, 2031] {
            let mut queue = Queue::default();
            let payload: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let packets = [data(16, &[0xaa; PAGE][..filler]), data(16, &payload), data(16, b"end")];
            assert!(packets.iter().all(|packet| queue.push(packet, 10_000)));
            let expected = [&[16][..], &payload].concat();
            assert_eq!(peek(&mut queue)[1], expected);
            send(&mut queue, 1);
            assert_eq!(send(&mut queue, 1), [expected]);
            assert_eq!(send(&mut queue, 9), [b"\x10end"]);
            assert_eq!(queue.pages.in_use(), 0);
        }
    }
}

#[test]
fn packets_that_were_taken_and_not_sent_are_put_back_unchanged() {
    let filled = || {
        let mut queue = Queue::default();
        for number in 0..30_u8 {
            let packet = [number; 900];
            assert!(queue.push(&data(16 + number % 3, &packet[..usize::from(number) * 30]), 1 << 20));
        }
        queue
    };
    let all = peek(&mut filled());
    for taken in 0..=30 {
        for count in 0..=taken {
            let mut queue = filled();
            assert_eq!(take(&mut queue, taken), all[..taken]);
            queue.commit(count);
            assert_eq!(queue.len(), all[count..].iter().map(|plaintext| 2 + plaintext.len()).sum::<usize>());
            // A flow that begins now has its turn last, whatever was taken and put back before.
            assert!(queue.push(&data(30, b"new"), 1 << 20));
            let mut straight = filled();
            send(&mut straight, count);
            assert!(straight.push(&data(30, b"new"), 1 << 20));
            assert_eq!(peek(&mut queue), peek(&mut straight), "{count} of {taken}");
        }
    }
}

#[test]
fn a_flow_alone_fills_half_of_the_queue_and_two_a_third_each() {
    for bound in [MIN_SEND_QUEUE, 65_536, Settings::default().send_queue] {
        for len in [1, 100, 1400, 2031] {
            let size = 3 + len;
            let mut queue = Queue::default();
            let alone = fill(&mut queue, 16, len, bound);
            assert!(alone <= bound.div_ceil(2) + size / 2, "{alone} of {bound}");
            assert!(alone + size > bound / 2, "{alone} of {bound}");

            // Both send as much as they can. After the first packets are sent, both have the same share.
            for _ in 0..2 * bound / size {
                send(&mut queue, 1);
                fill(&mut queue, 17, len, bound);
                fill(&mut queue, 16, len, bound);
            }
            for flow in &queue.flows.flows {
                let share = flow.len();
                assert!(share <= bound / 3 + size && share + size >= bound / 3, "{share} of {bound}");
            }
        }
    }
}

#[test]
fn a_new_route_finds_room_beside_five_that_use_their_whole_share() {
    let bound = Settings::default().send_queue;
    for len in [1, 100, 1400, 2031] {
        let mut queue = Queue::default();
        for id in 16..21 {
            assert!(fill(&mut queue, id, len, bound) > 0);
        }
        assert!(queue.push(&data(21, &[7; 2031]), bound), "next to packets of {len} bytes");
        assert!(queue.len() <= bound);
    }
}

#[test]
fn half_of_the_smallest_queue_has_room_for_the_longest_packet() {
    let longest = [0x5a; MAX_PLAINTEXT - 1];
    let mut queue = Queue::default();
    assert!(queue.push(&data(255, &longest), MIN_SEND_QUEUE));
    assert!(!queue.push(&data(255, b""), MIN_SEND_QUEUE), "that would be more than half");
    assert!(queue.push(&data(254, &longest), MIN_SEND_QUEUE));
    assert!(!queue.push(&oob(b"1"), MIN_SEND_QUEUE), "it is full");
    assert_eq!(queue.len(), MIN_SEND_QUEUE);
    assert_eq!(peek(&mut queue), [255, 254].map(|id| [&[id], longest.as_slice()].concat()));
}

#[test]
fn room_is_reported_once_when_half_of_the_share_of_a_refused_flow_is_free() {
    let bound = Settings::default().send_queue;
    let mut queue = Queue::default();
    fill(&mut queue, 16, 1400, bound);
    while !queue.take_writable(bound) {
        assert!(4 * queue.len() > bound);
        send(&mut queue, 1);
    }
    assert!(4 * queue.len() + 4 * 1403 > bound, "earlier than that");
    send(&mut queue, usize::MAX);
    assert!(!queue.take_writable(bound));
}

#[test]
fn room_for_a_refused_flow_is_reported_whatever_its_cause() {
    let bound = MIN_SEND_QUEUE;
    let full = || {
        let mut queue = Queue::default();
        assert!(fill(&mut queue, 16, 1000, bound) > 0);
        assert!(fill(&mut queue, 17, 1000, bound) > 0);
        assert!(!queue.push(&data(18, &[1; 2031]), bound));
        assert!(!queue.take_writable(bound));
        queue
    };
    let mut queue = full();
    queue.remove(route(16));
    assert!(queue.take_writable(bound), "another flow is removed");
    let mut queue = full();
    queue.remove_all_routes();
    assert!(queue.take_writable(bound) && !queue.take_writable(bound), "all are reported at once");
    let mut queue = full();
    send(&mut queue, usize::MAX);
    assert!(queue.take_writable(bound) && !queue.has_refused(), "all are sent");
}

#[test]
fn room_is_reported_later_for_a_flow_that_has_none_yet() {
    let bound = Settings::default().send_queue;
    let mut queue = Queue::default();
    fill(&mut queue, 16, 1000, bound);
    fill(&mut queue, 17, 1000, bound);
    // The second flow has room long before the first, which has half of the queue.
    while !queue.take_writable(bound) {
        send(&mut queue, 1);
    }
    assert!(queue.refused.contains(Some(route(16))) && !queue.refused.contains(Some(route(17))));
    while !queue.take_writable(bound) {
        send(&mut queue, 1);
    }
    assert!(!queue.has_refused());
}

#[test]
fn removing_a_route_removes_its_data_and_nothing_else() {
    let mut queue = Queue::default();
    // Packets whose data contain the route's number in every byte, and that do not belong to the route.
    let others = [data(17, &[16; 16]), oob(&[16; 16]), Packet::OnionRequest(&[16; 178])];
    for other in &others {
        assert!(queue.push(&data(16, b"gone"), 1_000));
        assert!(queue.push(other, 1_000));
        assert!(queue.push(&data(16, b""), 1_000));
    }
    assert_eq!(queue.remove(route(16)), 3 * 4, "bytes of data");
    assert_eq!(queue.remove(route(16)), 0);
    let kept: Vec<_> = peek(&mut queue).iter().map(|plaintext| (plaintext[0], plaintext.len())).collect();
    assert_eq!(kept, [(17, 17), (0x06, 49), (0x08, 179)]);
    assert!(queue.push(&data(18, b""), 1_000));
    queue.remove_all_routes();
    assert_eq!(peek(&mut queue).len(), 2);
}

#[test]
fn routes_are_removed_without_reading_their_packets() {
    const BOUND: usize = 4 << 20;
    let mut queue = Queue::default();
    while (16..=255).all(|id| queue.push(&data(id, b"1"), BOUND)) {}
    assert!(queue.push(&oob(b"stays"), BOUND));
    assert!(queue.len() > BOUND * 9 / 10);
    let calls = Cell::new(0);
    queue.retain(|flow| {
        calls.set(calls.get() + 1);
        flow.route.is_none()
    });
    assert_eq!(calls.get(), 241, "one for each flow");
    assert_eq!((peek(&mut queue).len(), queue.pages.in_use()), (1, 1));
}

#[test]
fn memory_is_bounded_by_the_bytes_and_the_flows_in_the_queue() {
    let bound = Settings::default().send_queue;
    let mut queue = Queue::default();
    // Each flow ends at many different offsets in a page.
    for round in 0..2_000_usize {
        for id in 16..=255 {
            queue.push(&data(id, &[id; 600][..1 + (round * 7 + usize::from(id) * 13) % 600]), bound);
        }
        let pages = queue.pages.in_use();
        assert!(pages <= queue.len() / PAGE + 2 * queue.flows.flows.len(), "{pages} pages");
        send(&mut queue, 1 + round % 50);
    }
    // The list grows by an eighth at a time.
    let most = (bound / PAGE + 2 * 240) * (PAGE + 8) * 9 / 8;
    assert!(queue.memory() <= most + 64 * 1024, "{} bytes", queue.memory());
    send(&mut queue, usize::MAX);
    assert_eq!(queue.pages.in_use(), 0);
}

#[test]
fn flows_that_always_have_packets_get_equal_shares_of_the_stream() {
    const BOUND: usize = 64 << 10;
    let sizes: [usize; 4] = [1, 100, 1400, 2031];
    let mut queue = Queue::default();
    let mut sent = [0; 4];
    for packet in 0..20_000 {
        for (id, size) in (16..).zip(sizes) {
            // Each flow always has a second packet after its first.
            while queue
                .flows
                .flows
                .iter()
                .find(|flow| flow.route == Some(route(id)))
                .is_none_or(|flow| flow.len() < 3 * LONGEST)
            {
                assert!(queue.push(&data(id, &[id; 2031][..size]), BOUND));
            }
        }
        let plaintext = send(&mut queue, 1).remove(0);
        sent[usize::from(plaintext[0] - 16)] += 18 + plaintext.len();
        let (least, most) = (sent.iter().min().unwrap(), sent.iter().max().unwrap());
        assert!(most - least < 3 * flow::QUANTUM, "after {packet} packets: {sent:?}");
    }
}

/// What a connection does with its queue.
#[derive(Debug, Clone)]
enum Operation {
    /// Data for a route, or OOB.
    Push(Option<u8>, usize),
    /// Some packets are taken, and some of them are sent.
    Send(usize, usize),
    Remove(u8),
    RemoveAllRoutes,
    TakeWritable,
}

fn any_operation() -> impl Strategy<Value = Operation> {
    let len = || prop_oneof![0..40_usize, 0..2031_usize];
    prop_oneof![
        12 => (16..20_u8, len()).prop_map(|(id, len)| Operation::Push(Some(id), len)),
        2 => (1..1024_usize).prop_map(|len| Operation::Push(None, len)),
        8 => (0..12_usize, 0..12_usize).prop_map(|(taken, count)| Operation::Send(taken, count.min(taken))),
        1 => (16..20_u8).prop_map(Operation::Remove),
        1 => Just(Operation::RemoveAllRoutes),
        4 => Just(Operation::TakeWritable),
    ]
}

/// The flows as plain lists, by connection id; 0 for OOB.
#[derive(Default, Clone)]
struct Model {
    packets: BTreeMap<u8, VecDeque<Vec<u8>>>,
    /// The flows that have packets, and their credit, in the order of their turns.
    turns: VecDeque<(u8, usize)>,
    refused: BTreeSet<u8>,
}

impl Model {
    fn len_of(&self, flow: u8) -> usize {
        self.packets.get(&flow).map_or(0, |packets| packets.iter().map(|plaintext| 2 + plaintext.len()).sum())
    }

    fn len(&self) -> usize {
        self.packets.keys().map(|flow| self.len_of(*flow)).sum()
    }

    fn push(&mut self, flow: u8, plaintext: Vec<u8>, bound: usize) -> bool {
        if self.len_of(flow) + 2 + plaintext.len() > bound - self.len() {
            self.refused.insert(flow);
            return false;
        }
        if self.len_of(flow) == 0 {
            self.turns.push_back((flow, 2050));
        }
        self.packets.entry(flow).or_default().push_back(plaintext);
        true
    }

    fn pop(&mut self) -> Option<Vec<u8>> {
        let (flow, credit) = self.turns.pop_front()?;
        let packets = self.packets.get_mut(&flow).unwrap();
        let sent = packets.pop_front().unwrap();
        let credit = credit - (18 + sent.len());
        match packets.front() {
            None => {}
            Some(next) if 18 + next.len() <= credit => self.turns.push_front((flow, credit)),
            Some(_) => self.turns.push_back((flow, credit + 2050)),
        }
        Some(sent)
    }

    fn remove(&mut self, flow: u8) -> usize {
        self.turns.retain(|(other, _)| *other != flow);
        self.packets.remove(&flow).into_iter().flatten().map(|plaintext| plaintext.len() - 1).sum()
    }

    fn take_writable(&mut self, bound: usize) -> bool {
        let has_room = |flow: &u8| {
            let (len, free) = (self.len_of(*flow), bound - self.len());
            3 * len <= free && len + 2034 <= free
        };
        let (reported, refused): (BTreeSet<u8>, BTreeSet<u8>) =
            self.refused.iter().copied().partition(has_room);
        self.refused = refused;
        !reported.is_empty()
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_queue_behaves_like_lists_of_packets(
        bound in MIN_SEND_QUEUE..20_000_usize,
        operations in prop::collection::vec(any_operation(), 1..150),
    ) {
        let mut queue = Queue::default();
        let mut model = Model::default();
        for (number, operation) in operations.into_iter().enumerate() {
            match operation {
                Operation::Push(id, len) => {
                    let payload: Vec<u8> = (0..len).map(|at| (number + 7 * at) as u8).collect();
                    let packet = id.map_or(oob(&payload), |id| data(id, &payload));
                    let mut plaintext = vec![0; packet.emitted_len()];
                    packet.emit(&mut plaintext);
                    let taken = model.push(id.unwrap_or(0), plaintext, bound);
                    prop_assert_eq!(queue.push(&packet, bound), taken);
                }
                Operation::Send(taken, count) => {
                    let before = model.clone();
                    let expected: Vec<_> = (0..taken).map_while(|_| model.pop()).collect();
                    prop_assert_eq!(take(&mut queue, taken), expected);
                    queue.commit(count);
                    model = before;
                    (0..count).for_each(|_| drop(model.pop()));
                }
                Operation::Remove(id) => prop_assert_eq!(queue.remove(route(id)), model.remove(id)),
                Operation::RemoveAllRoutes => {
                    queue.remove_all_routes();
                    (16..20).for_each(|id| _ = model.remove(id));
                }
                Operation::TakeWritable => {
                    prop_assert_eq!(queue.take_writable(bound), model.take_writable(bound));
                }
            }
            prop_assert_eq!(queue.len(), model.len());
            prop_assert!(queue.len() <= bound);
            prop_assert_eq!(queue.is_empty(), model.turns.is_empty());
        }
        let rest: Vec<_> = std::iter::from_fn(|| model.pop()).collect();
        prop_assert_eq!(send(&mut queue, usize::MAX), rest);
        prop_assert_eq!(queue.pages.in_use(), 0);
    }
}
