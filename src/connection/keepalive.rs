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
    round_trip: Option<Duration>,
}

/// What a deadline that has come asks for.
pub(super) enum Due {
    Nothing,
    Ping(NonZeroU64),
    NoPong,
}

impl KeepAlive {
    /// Begins with a ping that is sent now.
    pub(super) fn new(now: Instant, ping: NonZeroU64, settings: &Settings) -> Self {
        Self {
            pinged: now,
            waiting: Some(ping),
            left: None,
            deadline: Deadline::new(now + settings.pong_timeout),
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

    /// Does not charge the time since `since`, while there was something to read and no turn to read it.
    pub(super) fn handle_turn(&mut self, now: Instant, since: Instant, settings: &Settings) {
        if self.waiting.is_some() {
            let waited = now.saturating_duration_since(since.max(self.pinged));
            self.deadline.pardon(waited, settings.pong_timeout);
        }
    }

    /// Looks at the time. `unread` says that the pong may have arrived unread, and `ping` is the id of the next ping, if
    /// it is time for one.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        unread: bool,
        ping: NonZeroU64,
        settings: &Settings,
    ) -> Due {
        let unread = unread && self.waiting.is_some();
        if !self.deadline.has_passed(now, unread, settings.pong_timeout) {
            return Due::Nothing;
        }
        if self.waiting.is_some() {
            return Due::NoPong;
        }
        let round_trip = self.round_trip;
        *self = Self { round_trip, ..Self::new(now, ping, settings) };
        Due::Ping(ping)
    }
}
