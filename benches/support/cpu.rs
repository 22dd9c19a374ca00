//! CPU time of this thread.

use std::time::Duration;

/// The CPU time that this thread spends in `work`, including the kernel's for it, and the result of `work`.
#[cfg(unix)]
pub fn cpu<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    use rustix::time::{ClockId, Timespec, clock_gettime};
    let read = || {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(tv_sec as u64, tv_nsec as u32)
    };
    let start = read();
    let result = work();
    (read() - start, result)
}

/// Elsewhere, the time that passes.
#[cfg(not(unix))]
pub fn cpu<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = std::time::Instant::now();
    let result = work();
    (start.elapsed(), result)
}
