//! An allocator that counts allocations for each thread, so that a test sees only those of its own thread.

// To count allocations, a program has to provide the global allocator, and that trait is unsafe to implement. This one
// is sound since it passes each call on to the system's allocator unchanged, and counting uses only thread-local
// numbers, which need no allocation and no destructor.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

/// How often this thread has allocated.
#[allow(dead_code, reason = "not every test uses both")]
pub fn calls() -> u64 {
    CALLS.get()
}

/// The bytes that this thread has allocated and not freed. Negative if it freed what another thread allocated.
#[allow(dead_code, reason = "not every test uses both")]
pub fn held() -> isize {
    BYTES.get()
}

fn count(calls: u64, bytes: isize) {
    // Nothing is counted while a thread is being destroyed.
    let _ = CALLS.try_with(|all| all.set(all.get() + calls));
    let _ = BYTES.try_with(|all| all.set(all.get() + bytes));
}

struct Counting;

// SAFETY: see above. The caller's obligations are those of the system's allocator, to which each call is passed on.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as isize - layout.size() as isize);
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
