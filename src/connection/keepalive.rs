//! Pings: by default one every 30 s, with a pong expected within 10 s. They also measure the round trip.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use crate::config::Settings;
use crate::connection::deadline::Deadline;

/// One ping at a time: the next is due one interval after the last, and only if the last was answered.
pub(super) struct KeepAlive {
    /// When the last ping was queued.
    queued_at: Instant,
    /// The id of the last ping, until its pong arrives.
    unanswered: Option<NonZeroU64>,
    /// When the last ping was written to the transport.
    sent_at: Option<Instant>,
    /// When the next ping is due, or until when the pong must arrive.
    deadline: Deadline,
    /// The bytes received from the relay when the last ping was queued.
    bytes_before: u64,
    round_trip: Option<Duration>,
}

/// The most bytes that may precede a pong: what the kernels at both ends may hold (Linux by default: 6 MB to receive
/// and 4 MB to send), rounded up. A relay that has sent more since the ping, and no pong, has not answered.
const MAX_BACKLOG: u64 = 16 * 1024 * 1024;

/// What is to be done when the deadline is reached.
pub(super) enum Due {
    Nothing,
    Ping(NonZeroU64),
    NoPong,
}

impl KeepAlive {
    /// Begins with a ping that is queued now.
    pub(super) fn new(now: Instant, ping: NonZeroU64, settings: &Settings, bytes_in: u64) -> Self {
        Self {
            queued_at: now,
            unanswered: Some(ping),
            sent_at: None,
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

    /// The last ping was written to the transport.
    pub(super) fn handle_ping_sent(&mut self, now: Instant) {
        self.sent_at = Some(now);
    }

    /// Handles a pong. Returns whether it answers the last ping; any other pong is ignored.
    pub(super) fn handle_pong(&mut self, now: Instant, id: NonZeroU64, settings: &Settings) -> bool {
        match self.sent_at {
            Some(sent_at) if self.unanswered == Some(id) => {
                self.unanswered = None;
                self.round_trip = Some(now.saturating_duration_since(sent_at));
                self.deadline = Deadline::new(self.queued_at + settings.ping_interval);
                true
            }
            _ => false,
        }
    }

    /// Excludes the time from `since` to `now`, in which input was ready and the connection had no turn to read it.
    /// `bytes_in` is the number of all bytes received.
    pub(super) fn handle_turn(&mut self, now: Instant, since: Instant, bytes_in: u64, settings: &Settings) {
        if self.unanswered.is_some() && self.pong_may_follow(bytes_in) {
            let waited = now.saturating_duration_since(since.max(self.queued_at));
            self.deadline.exclude(waited, settings.pong_timeout);
        }
    }

    /// Whether the pong may still follow the bytes that were received since its ping.
    fn pong_may_follow(&self, bytes_in: u64) -> bool {
        bytes_in.saturating_sub(self.bytes_before) <= MAX_BACKLOG
    }

    /// Checks the deadline. `unread`: the transport may have unread input, and the pong may be in it. `bytes_in` is the
    /// number of all bytes received. `ping` is the id of the next ping, used only if one is due.
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
        if self.unanswered.is_none() {
            let round_trip = self.round_trip;
            *self = Self { round_trip, ..Self::new(now, ping, settings, bytes_in) };
            return Due::Ping(ping);
        }
        if unread && self.pong_may_follow(bytes_in) {
            // A full timeout: once the unread input is read, the relay can send what it had to hold back, and the pong
            // may be part of that.
            self.deadline.extend(now + settings.pong_timeout);
            return Due::Nothing;
        }
        Due::NoPong
    }
}
