//! The heap memory of a connected, idle connection without routes, in pools of several sizes.
//!
//! `cargo bench --bench memory`. It counts the bytes that the client's thread has allocated and not freed, without the
//! overhead of the allocator and the buffers of the kernel. Each connection has its own identity. Vectors have spare
//! capacity, so the memory per connection differs from pool to pool.

#[path = "../tests/support/counting.rs"]
mod counting;
mod support;

use counting::held;
use support::{Pool, identities, sizes};

/// The bytes that a client with `size` connections has allocated for them.
fn held_by(size: usize) -> isize {
    let identities = identities(size);
    let mut pool = Pool::new();
    let before = held();
    pool.connect(&identities);
    held() - before
}

fn main() {
    // As in criterion: cargo passes `--bench` for a measurement. With `--test`, it is only a short test run.
    let has_option = |option: &str| std::env::args().any(|argument| argument == option);
    let count = if has_option("--bench") && !has_option("--test") { usize::MAX } else { 1 };
    for size in sizes().into_iter().take(count) {
        println!("memory/{size}: {} bytes per connection", held_by(size) / size as isize);
    }
}
