//! A time by which something must have arrived.

use std::time::{Duration, Instant};

/// Only time in which the connection got its turns counts.
pub(super) struct Deadline {
    at: Instant,
    is_extended: bool,
    /// What was not charged so far, in milliseconds.
    pardoned: u32,
}

/// The most that is not charged, in timeouts: 100 s by default. It bounds how long a relay stays connected that sends a byte
/// whenever the program comes back, and never an answer.
const MAX_PARDON: u32 = 10;

impl Deadline {
    pub(super) fn new(at: Instant) -> Self {
        Self { at, is_extended: false, pardoned: 0 }
    }

    pub(super) fn at(&self) -> Instant {
        self.at
    }

    /// Whether it is too late now. With `unread` input, one extension by `timeout` is granted first: the answer may be in it.
    pub(super) fn has_passed(&mut self, now: Instant, unread: bool, timeout: Duration) -> bool {
        if now >= self.at && unread && !self.is_extended {
            self.is_extended = true;
            self.extend(now + timeout);
        }
        now >= self.at
    }

    /// Grants time until then at least.
    pub(super) fn extend(&mut self, at: Instant) {
        self.at = self.at.max(at);
    }

    /// Does not charge a time in which there was something to read, and no turn to read it.
    pub(super) fn pardon(&mut self, waited: Duration, timeout: Duration) {
        let left = (timeout * MAX_PARDON).saturating_sub(self.pardoned());
        let pardon = waited.min(left);
        self.at += pardon;
        let millis = u32::try_from(pardon.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX);
        self.pardoned = self.pardoned.saturating_add(millis);
    }

    /// What was not charged so far.
    pub(super) fn pardoned(&self) -> Duration {
        Duration::from_millis(self.pardoned.into())
    }
}
