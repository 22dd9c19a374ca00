//! Pings: one every 30 s, a pong within 10 s, the round trip in between.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use crate::config::Settings;
use crate::connection::deadline::Deadline;

/// One ping at a time: the next one is due an interval after the last, and not while that one is still unanswered.
pub(super) struct KeepAlive {
    /// When the last ping was put in the queue.
    pinged: Instant,
    /// The last ping, while it has no pong.
    waiting: Option<NonZeroU64>,
    /// When the last ping left.
    left: Option<Instant>,
    /// The next ping, or the end of waiting for a pong.
    deadline: Deadline,
    /// The bytes that had come from the relay when the last ping was queued.
    bytes_before: u64,
    round_trip: Option<Duration>,
}

/// The most bytes that may lie in front of a pong: what the kernels at both ends may hold (Linux: 6 MB to receive and 4 MB
/// to send by default), rounded up. A relay from which more came, and no pong, has not answered.
const MAX_BACKLOG: u64 = 16 * 1024 * 1024;

/// What a deadline that has come asks for.
pub(super) enum Due {
    Nothing,
    Ping(NonZeroU64),
    NoPong,
}

impl KeepAlive {
    /// Begins with a ping that is sent now.
    pub(super) fn new(now: Instant, ping: NonZeroU64, settings: &Settings, bytes_in: u64) -> Self {
        Self {
            pinged: now,
            waiting: Some(ping),
            left: None,
            deadline: Deadline::new(now + settings.pong_timeout),
            bytes_before: bytes_in,
            round_trip: None,
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline.at()
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Says that the last ping has left.
    pub(super) fn handle_ping_left(&mut self, now: Instant) {
        self.left = Some(now);
    }

    /// A pong: an answer to the last ping (`true`), or a late or invented one, which counts for nothing.
    pub(super) fn handle_pong(&mut self, now: Instant, id: NonZeroU64, settings: &Settings) -> bool {
        match self.left {
            Some(left) if self.waiting == Some(id) => {
                self.waiting = None;
                self.round_trip = Some(now.saturating_duration_since(left));
                self.deadline = Deadline::new(self.pinged + settings.ping_interval);
                true
            }
            _ => false,
        }
    }

    /// Does not charge the time since `since`, while there was something to read and no turn to read it. `bytes_in` says how
    /// many bytes have come in all.
    pub(super) fn handle_turn(&mut self, now: Instant, since: Instant, bytes_in: u64, settings: &Settings) {
        if self.waiting.is_some() && self.may_be_behind(bytes_in) {
            let waited = now.saturating_duration_since(since.max(self.pinged));
            self.deadline.pardon(waited, settings.pong_timeout);
        }
    }

    /// Whether the pong may be behind what was read since its ping.
    fn may_be_behind(&self, bytes_in: u64) -> bool {
        bytes_in.saturating_sub(self.bytes_before) <= MAX_BACKLOG
    }

    /// Looks at the time. `unread` says that the pong may have arrived unread, `bytes_in` how many bytes have come in all,
    /// and `ping` is the id of the next ping, if it is time for one.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        unread: bool,
        bytes_in: u64,
        ping: NonZeroU64,
        settings: &Settings,
    ) -> Due {
        if now < self.deadline.at() {
            return Due::Nothing;
        }
        if self.waiting.is_none() {
            let round_trip = self.round_trip;
            *self = Self { round_trip, ..Self::new(now, ping, settings, bytes_in) };
            return Due::Ping(ping);
        }
        if unread && self.may_be_behind(bytes_in) {
            // And when all of that was read, what the relay could not send before is still on its way.
            self.deadline.extend(now + settings.pong_timeout);
            return Due::Nothing;
        }
        Due::NoPong
    }
}
