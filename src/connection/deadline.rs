//! A time by which something must have arrived.

use std::time::{Duration, Instant};

/// Puts itself off once where what it waits for may have arrived unread: the program was away, or read something else.
/// Once, since a relay that never stops talking always leaves something unread.
pub(super) struct Deadline {
    at: Instant,
    put_off: bool,
}

impl Deadline {
    pub(super) fn new(at: Instant) -> Self {
        Self { at, put_off: false }
    }

    pub(super) fn at(&self) -> Instant {
        self.at
    }

    /// Whether it is too late now. With `unread` input, it is put off by `longer` first.
    pub(super) fn has_passed(&mut self, now: Instant, unread: bool, longer: Duration) -> bool {
        if now >= self.at && unread && !self.put_off {
            *self = Self { at: now + longer, put_off: true };
        }
        now >= self.at
    }
}
