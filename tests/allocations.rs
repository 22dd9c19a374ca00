//! Neither sending nor receiving packets allocates memory, once the buffers have grown to what they need.

// To count allocations, a program has to be its own allocator, and that trait is unsafe to implement. This one is sound
// since it hands each call on to the system's allocator as it is, and counting touches nothing but a thread-local number
// that needs no memory of its own and no destructor.
#![allow(unsafe_code)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use support::{Couple, GUARD, Peer, honest};
use tox_relay_client::{Event, SendError};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

fn count() {
    // Too late in a thread's life nobody counts.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: see above; every contract of the caller is the system allocator's, and is kept by passing it on.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many times `run` allocates in this thread.
fn allocations(run: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    run();
    ALLOCATIONS.get() - before
}

/// Sends data until the queue is full, and lets the socket have them. Tells how many packets it was.
fn send(couple: &mut Couple, data: &[u8]) -> u64 {
    let mut count = 0;
    loop {
        let sent = match count % 3 {
            0 => couple.a.client.send_data(couple.to_b, data),
            1 => couple.a.client.send_to(couple.at_a, couple.b.key, data),
            _ => couple.a.client.send_oob(couple.at_a, couple.b.key, &data[..data.len().min(1024)]),
        };
        match sent {
            Ok(()) => count += 1,
            Err(error) => {
                assert_eq!(error, SendError::WouldBlock);
                couple.a.client.flush();
                return count;
            }
        }
    }
}

/// Polls until so many packets have come.
fn receive(peer: &mut Peer, mut count: u64) {
    while count > 0 {
        peer.client.poll(&mut peer.events, Some(GUARD)).unwrap();
        assert!(!peer.events.is_empty(), "{count} packets have not come");
        for event in &peer.events {
            match event {
                Event::Data { data, .. } | Event::Oob { data, .. } => {
                    assert!(!data.is_empty());
                    count -= 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn neither_sending_nor_receiving_allocates_after_warming_up() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1, "the counter counts");
    let relay = honest();
    let mut couple = Couple::of(&relay, Peer::new(), Peer::new().capacity(1024));
    let data = [7; 2031];
    let mut sent_before = relay.statistics().packets_out;
    let (mut measured, mut packets) = (0, 0);
    for round in 0..40 {
        // Small packets make the most events, and large ones the longest payloads.
        let len = [1400, 2031, 100][round % 3];
        let mut count = 0;
        let mut allocated = allocations(|| count = send(&mut couple, &data[..len]));
        // All of it lies in the socket then, so each round has polls as large as they can be.
        sent_before += count;
        relay.wait_until(GUARD, move |s| s.packets_out + s.thrown_away >= sent_before).unwrap();
        support::settled(&relay);
        allocated += allocations(|| receive(&mut couple.b, count));
        // What was refused is told of, and the other direction has its turn.
        allocated += allocations(|| {
            couple.a.client.poll(&mut couple.a.events, Some(Duration::ZERO)).unwrap();
        });
        if round >= 10 {
            measured += allocated;
            packets += count;
        }
    }
    assert_eq!(relay.statistics().thrown_away, 0);
    assert!(packets > 1000, "{packets} packets");
    assert_eq!(measured, 0, "allocations for {packets} packets");
}
