//! How many attempts to connect may begin.

use std::time::{Duration, Instant};

/// At most 16 attempts at once, and one every two seconds in the long run: whatever happens, there is no storm.
pub(crate) struct Allowance {
    attempts: u32,
    /// When the next one is added.
    next_at: Option<Instant>,
}

const MOST_ATTEMPTS: u32 = 16;
const ATTEMPT_EVERY: Duration = Duration::from_secs(2);

impl Default for Allowance {
    fn default() -> Self {
        Self { attempts: MOST_ATTEMPTS, next_at: None }
    }
}

impl Allowance {
    /// Takes an attempt, or returns when there is one.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Instant> {
        while let Some(next_at) = self.next_at.take_if(|at| *at <= now) {
            self.attempts += 1;
            self.next_at = (self.attempts < MOST_ATTEMPTS).then(|| next_at + ATTEMPT_EVERY);
        }
        if self.attempts == 0 {
            return Err(*self.next_at.get_or_insert(now + ATTEMPT_EVERY));
        }
        self.attempts -= 1;
        self.next_at.get_or_insert(now + ATTEMPT_EVERY);
        Ok(())
    }
}
