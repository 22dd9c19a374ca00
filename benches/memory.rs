//! What a connected, idle connection without routes holds on the heap, in pools of several sizes.
//!
//! `cargo bench --bench memory`. It counts the bytes that the client's thread has asked for and not given back, the
//! allocator's own overhead and the kernel's buffers not among them. Each connection has an identity of its own. Vectors
//! that grow hold room for more, so a connection doesn't cost the same in each pool.

// To count bytes, a program has to be its own allocator, and that trait is unsafe to implement. This one is sound since
// it hands each call on to the system's allocator as it is, and counting touches nothing but a thread-local number that
// needs no memory of its own and no destructor.
#![allow(unsafe_code)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use support::{Pool, identities, sizes};

thread_local! {
    /// Of each thread, so that the relay's memory isn't among it. Below zero where another thread's memory was freed.
    static HELD: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

fn count(change: isize) {
    // Too late in a thread's life nobody counts.
    let _ = HELD.try_with(|held| held.set(held.get() + change));
}

// SAFETY: see above; every contract of the caller is the system allocator's, and is kept by passing it on.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The bytes that so many connections hold in a client.
fn held_by(size: usize) -> isize {
    let identities = identities(size);
    let mut pool = Pool::new();
    let before = HELD.get();
    pool.connect(&identities);
    HELD.get() - before
}

fn main() {
    // As criterion has it: cargo says `--bench` to measure, and whoever only tries it adds `--test`.
    let says = |word: &str| std::env::args().any(|argument| argument == word);
    let count = if says("--bench") && !says("--test") { usize::MAX } else { 1 };
    for size in sizes().into_iter().take(count) {
        println!("memory/{size}: {} bytes a connection", held_by(size) / size as isize);
    }
}
