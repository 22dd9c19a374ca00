//! The queue against a plain list of packets, with its ring wrapped at every place of a packet.

use std::collections::VecDeque;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::key::PublicKey;
use crate::wire::frame::MAX_PLAINTEXT;

fn route(id: u8) -> ConnectionId {
    ConnectionId::new(id).expect("a connection id")
}

fn data(id: u8, data: &[u8]) -> Packet<'_> {
    Packet::Data { connection_id: route(id), data }
}

/// All plaintexts, walking from packet to packet as the outbox does.
fn walk(queue: &Queue) -> Vec<Vec<u8>> {
    let (mut at, mut plaintexts) = (0, Vec::new());
    while let Some(len) = queue.len_at(at) {
        let mut plaintext = vec![0xee; len];
        let next = queue.copy_at(at, &mut plaintext);
        assert_eq!(next, at + 2 + len);
        plaintexts.push(plaintext);
        at = next;
    }
    assert_eq!(at, queue.len());
    plaintexts
}

/// Where in the first packet the ring begins again, if it does.
fn wrapped_at(queue: &Queue) -> Option<usize> {
    let (front, back) = queue.bytes.as_slices();
    (!back.is_empty()).then_some(front.len())
}

#[test]
fn an_empty_queue_has_nothing_to_give() {
    let mut queue = Queue::default();
    assert!(queue.is_empty());
    assert_eq!(queue.len(), 0);
    assert_eq!(queue.len_at(0), None);
    assert_eq!(queue.pop(), None);
    queue.remove(route(16));
    assert!(queue.is_empty());
}

#[test]
fn a_packet_is_copied_whole_wherever_the_ring_begins_again() {
    // The packet takes 2 + 1 + 20 bytes, and fillers in front of it move it along the ring by 1 and 2 bytes more. Never
    // empty in between: an empty ring begins at its beginning again.
    let payload: [u8; 20] = std::array::from_fn(|at| 0x80 + at as u8);
    let expected = [&[17], payload.as_slice()].concat();
    let mut seen = [false; 23];
    let mut queue = Queue::default();
    assert!(queue.push(&data(17, &payload), 100));
    for round in 0..1_000 {
        let filler = vec![0xaa; round % 3];
        assert!(queue.push(&data(16, &filler), 100));
        assert!(queue.push(&data(17, &payload), 100));
        let all = [expected.clone(), [&[16], filler.as_slice()].concat(), expected.clone()];
        assert_eq!(walk(&queue), all);
        assert_eq!(queue.pop(), Some(expected.len()));
        assert_eq!(walk(&queue), all[1..]);
        assert_eq!(queue.pop(), Some(1 + filler.len()));
        assert_eq!(walk(&queue), all[2..]);
        if let Some(at) = wrapped_at(&queue) {
            seen[at] = true;
        }
    }
    // Between the bytes of the length, behind it, and in every place of the plaintext.
    assert!(seen[1..].iter().all(|seen| *seen), "{seen:?}");
}

#[test]
fn a_queue_takes_a_packet_up_to_its_bound_and_nothing_of_one_beyond() {
    let mut queue = Queue::default();
    assert!(!queue.push(&data(16, b"1234"), 6));
    assert!(queue.is_empty());
    assert!(queue.push(&data(16, b"1234"), 7));
    assert_eq!(queue.len(), 7);
    assert!(!queue.push(&data(16, b""), 9));
    assert_eq!(queue.len(), 7);
    assert!(queue.push(&data(16, b""), 10));
    assert_eq!(walk(&queue), [b"\x101234".to_vec(), b"\x10".to_vec()]);
}

#[test]
fn the_longest_packet_passes() {
    let longest = [0x5a; MAX_PLAINTEXT - 1];
    let mut queue = Queue::default();
    assert!(queue.push(&data(255, &longest), 2 + MAX_PLAINTEXT));
    assert_eq!(walk(&queue), [[&[255], longest.as_slice()].concat()]);
    assert_eq!(queue.pop(), Some(MAX_PLAINTEXT));
}

#[test]
fn a_route_takes_its_data_with_it_and_nothing_else() {
    let mut queue = Queue::default();
    let key = PublicKey::from([16; 32]);
    // Everything that is full of the route's number, and nothing of it.
    let others = [
        data(17, &[16; 16]),
        Packet::OobSend { destination: key, data: &[16; 16] },
        Packet::OnionRequest(&[16; 178]),
    ];
    for other in &others {
        assert!(queue.push(&data(16, b"gone"), 1_000));
        assert!(queue.push(other, 1_000));
        assert!(queue.push(&data(16, b""), 1_000));
    }
    queue.remove(route(16));
    let kept: Vec<_> = walk(&queue).iter().map(|plaintext| (plaintext[0], plaintext.len())).collect();
    assert_eq!(kept, [(17, 17), (0x06, 49), (0x08, 179)]);
    queue.remove(route(17));
    assert_eq!(walk(&queue).len(), 2);
}

/// What a connection does with its queue.
#[derive(Debug, Clone)]
enum Operation {
    PushData(u8, Vec<u8>),
    PushOob(u8, Vec<u8>),
    Pop,
    Remove(u8),
}

fn any_operation() -> impl Strategy<Value = Operation> {
    use prop::collection::vec;
    // Few routes, and payloads full of their numbers.
    let id = || 16..20_u8;
    let bytes = |len| vec(14..20_u8, len);
    prop_oneof![
        8 => (id(), bytes(0..40)).prop_map(|(id, data)| Operation::PushData(id, data)),
        1 => (id(), bytes(1..60)).prop_map(|(key, data)| Operation::PushOob(key, data)),
        6 => Just(Operation::Pop),
        1 => id().prop_map(Operation::Remove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_queue_does_what_a_list_of_packets_does(
        bound in 50..400_usize,
        operations in prop::collection::vec(any_operation(), 1..120),
    ) {
        let mut queue = Queue::default();
        let mut model = VecDeque::<Vec<u8>>::new();
        let size = |model: &VecDeque<Vec<u8>>| model.iter().map(|plaintext| 2 + plaintext.len()).sum::<usize>();
        for operation in operations {
            match operation {
                Operation::PushData(id, payload) => {
                    let plaintext = [&[id], payload.as_slice()].concat();
                    let room = size(&model) + 2 + plaintext.len() <= bound;
                    prop_assert_eq!(queue.push(&data(id, &payload), bound), room);
                    model.extend(room.then_some(plaintext));
                }
                Operation::PushOob(key, data) => {
                    let plaintext = [&[0x06], [key; 32].as_slice(), &data].concat();
                    let room = size(&model) + 2 + plaintext.len() <= bound;
                    let packet = Packet::OobSend { destination: [key; 32].into(), data: &data };
                    prop_assert_eq!(queue.push(&packet, bound), room);
                    model.extend(room.then_some(plaintext));
                }
                Operation::Pop => {
                    prop_assert_eq!(queue.pop(), model.pop_front().map(|plaintext| plaintext.len()));
                }
                Operation::Remove(id) => {
                    queue.remove(route(id));
                    model.retain(|plaintext| plaintext[0] != id);
                }
            }
            prop_assert_eq!(queue.len(), size(&model));
            prop_assert_eq!(queue.is_empty(), model.is_empty());
            prop_assert_eq!(walk(&queue), Vec::from(model.clone()));
        }
    }
}
