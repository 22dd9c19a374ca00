//! How many attempts to connect may begin.

use std::time::{Duration, Instant};

/// At most 16 attempts at once, and one every two seconds in the long run: whatever happens, there is no storm.
pub(crate) struct Allowance {
    attempts: u32,
    /// When the next one is added.
    next_at: Option<Instant>,
    /// When it was last made full.
    filled_at: Option<Instant>,
}

const MOST_ATTEMPTS: u32 = 16;
const ATTEMPT_EVERY: Duration = Duration::from_secs(2);

/// As long as it takes to become full by itself: whoever has it filled as often as possible has twice the attempts.
const FILLED_EVERY: Duration = ATTEMPT_EVERY.saturating_mul(MOST_ATTEMPTS);

impl Default for Allowance {
    fn default() -> Self {
        Self { attempts: MOST_ATTEMPTS, next_at: None, filled_at: None }
    }
}

impl Allowance {
    /// Makes it full at once, unless this was done less than 32 s ago. Returns whether it was.
    pub(crate) fn refill(&mut self, now: Instant) -> bool {
        let is_due = self.filled_at.is_none_or(|at| at + FILLED_EVERY <= now);
        if is_due {
            *self = Self { filled_at: Some(now), ..Self::default() };
        }
        is_due
    }

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
