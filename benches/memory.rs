//! What a connected, idle connection without routes holds on the heap, in pools of several sizes.
//!
//! `cargo bench --bench memory`. It counts the bytes that the client's thread has asked for and not given back, the
//! allocator's own overhead and the kernel's buffers not among them. Each connection has an identity of its own. Vectors
//! that grow hold room for more, so a connection doesn't cost the same in each pool.

#[path = "../tests/support/counting.rs"]
mod counting;
mod support;

use counting::held;
use support::{Pool, identities, sizes};

/// The bytes that so many connections hold in a client.
fn held_by(size: usize) -> isize {
    let identities = identities(size);
    let mut pool = Pool::new();
    let before = held();
    pool.connect(&identities);
    held() - before
}

fn main() {
    // As criterion has it: cargo says `--bench` to measure, and whoever only tries it adds `--test`.
    let says = |word: &str| std::env::args().any(|argument| argument == word);
    let count = if says("--bench") && !says("--test") { usize::MAX } else { 1 };
    for size in sizes().into_iter().take(count) {
        println!("memory/{size}: {} bytes a connection", held_by(size) / size as isize);
    }
}
