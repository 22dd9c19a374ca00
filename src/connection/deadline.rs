//! A time by which something must have arrived.

use std::time::{Duration, Instant};

/// Only time in which the connection got its turns counts, and an answer that may have arrived unread gets one extension.
pub(super) struct Deadline {
    at: Instant,
    is_extended: bool,
    /// What was not charged so far, in milliseconds.
    pardoned: u32,
}

/// The most that is not charged, in timeouts: 100 s by default. It bounds how long a relay stays connected that always has
/// something to say and never answers. A program that reads 64 KiB in a turn, one turn in a second, has read by then all
/// that the kernels at both ends may hold in front of an honest relay's answer.
const MAX_PARDON: u32 = 10;

impl Deadline {
    pub(super) fn new(at: Instant) -> Self {
        Self { at, is_extended: false, pardoned: 0 }
    }

    pub(super) fn at(&self) -> Instant {
        self.at
    }

    /// Whether it is too late now. With `unread` input, it grants one extension by `timeout` first. One, since a relay that
    /// never stops talking always leaves something unread.
    pub(super) fn has_passed(&mut self, now: Instant, unread: bool, timeout: Duration) -> bool {
        if now >= self.at && unread && !self.is_extended {
            *self = Self { at: now + timeout, is_extended: true, ..*self };
        }
        now >= self.at
    }

    /// Does not charge a time in which there was something to read, and no turn to read it.
    pub(super) fn pardon(&mut self, waited: Duration, timeout: Duration) {
        let left = (timeout * MAX_PARDON).saturating_sub(Duration::from_millis(self.pardoned.into()));
        let pardon = waited.min(left);
        self.at += pardon;
        let millis = u32::try_from(pardon.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX);
        self.pardoned = self.pardoned.saturating_add(millis);
    }
}
