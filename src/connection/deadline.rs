//! A time by which an answer must have arrived.

use std::time::{Duration, Instant};

/// A deadline that excludes the time in which input was ready, but the program did not let the connection read it.
pub(super) struct Deadline {
    at: Instant,
    is_extended: bool,
    /// The time excluded so far, in milliseconds; each part is rounded up.
    excluded: u32,
}

/// The most time that is excluded, in timeouts: 100 s by default. A relay could send a byte before each poll of a slow
/// program, and never an answer; this bounds how long it stays connected.
const MAX_EXCLUDED: u32 = 10;

impl Deadline {
    pub(super) fn new(at: Instant) -> Self {
        Self { at, is_extended: false, excluded: 0 }
    }

    pub(super) fn at(&self) -> Instant {
        self.at
    }

    /// Whether the deadline has passed. If so and there is `unread` input, the deadline moves once to `timeout` from
    /// now: the answer may be in that input. Once is enough while a connection is opened, since all input is short
    /// then. After that there may be megabytes, so `KeepAlive` limits their number instead.
    pub(super) fn has_passed(&mut self, now: Instant, unread: bool, timeout: Duration) -> bool {
        if now >= self.at && unread && !self.is_extended {
            self.is_extended = true;
            self.extend(now + timeout);
        }
        now >= self.at
    }

    /// Moves the deadline to `at`, if that is later.
    pub(super) fn extend(&mut self, at: Instant) {
        self.at = self.at.max(at);
    }

    /// Moves the deadline to `at`, if that is earlier. The time excluded so far counts no more.
    pub(super) fn shorten(&mut self, at: Instant) {
        (self.at, self.excluded) = (self.at.min(at), 0);
    }

    /// Moves the deadline to `at`. The time excluded so far still counts towards the maximum.
    pub(super) fn set(&mut self, at: Instant) {
        self.at = at;
    }

    /// Excludes the time `waited`, in which input was ready and the connection had no turn to read it.
    pub(super) fn exclude(&mut self, waited: Duration, timeout: Duration) {
        let remaining = (timeout * MAX_EXCLUDED).saturating_sub(self.excluded());
        let excluded = waited.min(remaining);
        self.at += excluded;
        let millis = u32::try_from(excluded.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX);
        self.excluded = self.excluded.saturating_add(millis);
    }

    /// The time excluded so far.
    pub(super) fn excluded(&self) -> Duration {
        Duration::from_millis(self.excluded.into())
    }
}
