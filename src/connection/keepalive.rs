//! Pings: by default one every 30 s, with a pong expected within 10 s. They also measure the round trip.
//!
//! Between data there are more of them, for the [`Window`](crate::connection::window::Window). Each pong shows that the
//! relay lives, so the time for the next one begins anew with it: a relay with much to read is not taken for dead.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use crate::config::Settings;
use crate::connection::deadline::Deadline;
use crate::connection::round_trips::Trips;
use crate::connection::window::Answer;
use crate::status::RoundTrips;

/// The next ping is due one interval after the last, and only if the last was answered. A new one while a ping is
/// unanswered begins only if the network has changed, between data, and as a probe of the window.
pub(super) struct KeepAlive {
    /// When the last ping was queued (between data, sent), when the network last changed while it was queued, or when
    /// another one was answered.
    queued_at: Instant,
    /// The id of the last ping, until its pong arrives.
    unanswered: Option<NonZeroU64>,
    /// Nanoseconds from the first unanswered ping to `queued_at`; 0 after the pong of another one.
    asked_before: u64,
    /// When the next ping is due, or until when a pong must arrive.
    deadline: Deadline,
    /// The bytes received when the first unanswered ping was queued, or at the last pong.
    bytes_before: u64,
    trips: Trips,
}

/// The most bytes that may precede a pong: what the kernels at both ends may buffer (Linux by default: 6 MB to receive
/// and 4 MB to send), rounded up. A relay that has sent more since the ping, and no pong, has not answered.
const MAX_BACKLOG: u64 = 16 * 1024 * 1024;

/// How long a relay may take to answer after the network has changed, if the pong timeout is not shorter. On a
/// connection that still works, a pong arrives within a second or two, even if TCP must retransmit something.
pub(super) const NETWORK_CHANGE_TIMEOUT: Duration = Duration::from_secs(5);

/// What is to be done when the deadline is reached.
pub(super) enum Due {
    Nothing,
    Ping(NonZeroU64),
    NoPong,
}

impl KeepAlive {
    /// Begins with a ping that is queued now.
    pub(super) fn new(
        now: Instant,
        ping: NonZeroU64,
        trips: Trips,
        settings: &Settings,
        bytes_in: u64,
    ) -> Self {
        Self {
            queued_at: now,
            unanswered: Some(ping),
            asked_before: 0,
            deadline: Deadline::new(now + settings.pong_timeout),
            bytes_before: bytes_in,
            trips,
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline.at()
    }

    pub(super) fn round_trips(&self) -> RoundTrips {
        self.trips.get()
    }

    /// Begins a ping that is queued now. Returns `false` and does nothing if the last one is unanswered.
    pub(super) fn begin_ping(
        &mut self,
        now: Instant,
        ping: NonZeroU64,
        settings: &Settings,
        bytes_in: u64,
    ) -> bool {
        if self.unanswered.is_some() {
            return false;
        }
        *self = Self::new(now, ping, std::mem::take(&mut self.trips), settings, bytes_in);
        true
    }

    /// The network has changed: the relay must answer a ping that is sent from now on, within `time_limit`. Returns
    /// whether this ping is to be queued; if not, the last one is used, since it `is_queued` still.
    pub(super) fn handle_network_changed(
        &mut self,
        now: Instant,
        ping: NonZeroU64,
        is_queued: bool,
        time_limit: Duration,
        settings: &Settings,
        bytes_in: u64,
    ) -> bool {
        if self.begin_ping(now, ping, settings, bytes_in) {
            self.deadline.shorten(now + time_limit);
            return true;
        }
        // The limit for a relay that answers no ping, however often the network changes. It does not end earlier than
        // without this change: the deadline may have been extended because of unread input.
        let asked_at = self.queued_at - Duration::from_nanos(self.asked_before);
        let last = asked_at + settings.pong_timeout + time_limit + self.deadline.excluded();
        let last = last.max(self.deadline.at());
        self.deadline.set(last.min(now + time_limit));
        self.asked_before = now.saturating_duration_since(asked_at).as_nanos() as u64; // enough for 584 years
        self.queued_at = now;
        if !is_queued {
            self.unanswered = Some(ping);
        }
        !is_queued
    }

    /// The settings have changed. An unanswered ping keeps its timeout.
    pub(super) fn handle_settings(&mut self, settings: &Settings) {
        if self.unanswered.is_none() {
            self.deadline = Deadline::new(self.queued_at + settings.ping_interval);
        }
    }

    /// A ping begins besides those that are unanswered: one between data, which is sent now, or a probe, which is
    /// queued.
    pub(super) fn begin_another(
        &mut self,
        now: Instant,
        ping: NonZeroU64,
        settings: &Settings,
        bytes_in: u64,
    ) {
        if !self.begin_ping(now, ping, settings, bytes_in) {
            self.unanswered = Some(ping);
            self.asked_before += now.saturating_duration_since(self.queued_at).as_nanos() as u64;
            self.queued_at = now;
        }
    }

    /// A ping was written to the transport: the last one, which was queued, or a new one between data.
    pub(super) fn handle_ping_sent(
        &mut self,
        now: Instant,
        id: NonZeroU64,
        settings: &Settings,
        bytes_in: u64,
    ) {
        if self.unanswered != Some(id) {
            self.begin_another(now, id, settings, bytes_in);
        } else if self.asked_before == 0 {
            // While it was queued, the relay could not answer it.
            self.deadline.set(self.deadline.at() + now.saturating_duration_since(self.queued_at));
        }
        self.trips.count_ping();
    }

    /// Handles the pong with this id, which answers a ping. Returns whether that was the last one.
    pub(super) fn handle_pong(
        &mut self,
        now: Instant,
        id: NonZeroU64,
        answer: &Answer,
        settings: &Settings,
        bytes_in: u64,
    ) -> bool {
        if answer.is_outdated {
            return false;
        }
        self.trips.add(answer.round_trip);
        let is_last = self.unanswered == Some(id);
        if is_last {
            self.unanswered = None;
            self.deadline = Deadline::new(self.queued_at + settings.ping_interval);
        } else {
            (self.queued_at, self.asked_before, self.bytes_before) = (now, 0, bytes_in);
            self.deadline = Deadline::new(now + settings.pong_timeout);
        }
        is_last
    }

    /// Excludes the time from `since` to `now`, in which input was ready and the connection had no turn to read it.
    /// `bytes_in` is the number of all bytes received.
    pub(super) fn handle_turn(&mut self, now: Instant, since: Instant, bytes_in: u64, settings: &Settings) {
        if self.unanswered.is_some() && self.pong_may_follow(bytes_in) {
            let waited = now.saturating_duration_since(since.max(self.queued_at));
            self.deadline.exclude(waited, settings.pong_timeout);
        }
    }

    /// Whether the pong may still follow the bytes that were received since the ping.
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
        if self.begin_ping(now, ping, settings, bytes_in) {
            return Due::Ping(ping);
        }
        if unread && self.pong_may_follow(bytes_in) {
            // A full timeout: once the unread input is read, the relay can send what it could not send before, and the
            // pong may be part of that.
            self.deadline.extend(now + settings.pong_timeout);
            return Due::Nothing;
        }
        Due::NoPong
    }
}
