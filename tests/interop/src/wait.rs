//! The one wait of this crate.

use std::thread;
use std::time::{Duration, Instant};

/// Between two steps. Much less than the 30 ms that `tox-bootstrapd` itself parks between its rounds.
const PARK: Duration = Duration::from_millis(1);

/// Calls `step` until it gives something, at most for `limit`, and parks for a millisecond in between.
///
/// It parks because the C client offers nothing to poll: it keeps its socket to itself, so whoever
/// drives it has to come round again. Where something can be polled, poll it instead.
///
/// `None` when `limit` has passed. `step` is called once more after that, so that a machine that was
/// busy for the whole of `limit` does not make a test fail whose condition holds by now.
pub fn wait_for<T>(limit: Duration, mut step: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        let late = Instant::now() >= deadline;
        let outcome = step();
        if outcome.is_some() || late {
            return outcome;
        }
        thread::park_timeout(PARK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_what_the_step_gave() {
        let mut calls = 0;
        let third = wait_for(Duration::from_secs(60), || {
            calls += 1;
            (calls == 3).then_some("third")
        });
        assert_eq!(third, Some("third"));
        assert_eq!(calls, 3);
    }

    #[test]
    fn ends_after_its_limit() {
        assert_eq!(wait_for(Duration::ZERO, || None::<()>), None);
    }
}
