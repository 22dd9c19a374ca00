//! Waiting with a time limit.

use std::thread;
use std::time::{Duration, Instant};

/// The pause between two steps. Much shorter than the 30 ms that `tox-bootstrapd` sleeps between its own iterations.
const PAUSE: Duration = Duration::from_millis(1);

/// Calls `step` until it returns `Some`, with a pause of a millisecond between the calls. Returns `None` after `limit`.
///
/// This is for the C client, which does not give access to its socket and so cannot be waited for. Where something can
/// be polled, poll it instead.
///
/// `step` is called once more after `limit` has passed, so that a test does not fail on a machine that was too busy to
/// call it earlier.
pub fn wait_for<T>(limit: Duration, mut step: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        let late = Instant::now() >= deadline;
        let outcome = step();
        if outcome.is_some() || late {
            return outcome;
        }
        thread::park_timeout(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_the_result_of_the_step() {
        let mut calls = 0;
        let third = wait_for(Duration::from_secs(60), || {
            calls += 1;
            (calls == 3).then_some("third")
        });
        assert_eq!(third, Some("third"));
        assert_eq!(calls, 3);
    }

    #[test]
    fn returns_none_after_its_limit() {
        assert_eq!(wait_for(Duration::ZERO, || None::<()>), None);
    }
}
