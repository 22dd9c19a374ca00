//! The failures of a relay: the pauses between attempts, and who is to blame.

use std::time::{Duration, Instant};

use crate::advice::Retry;

/// The pause after the first failure, and after many: each is 1.6 times as long as the one before (gRPC's numbers).
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
const GROWTH: f64 = 1.6;

/// The pause if another try hardly helps.
const SELDOM: Duration = Duration::from_secs(3_600);

/// When our own network fails, it shows within this time at all relays: each is pinged at least every 30 s, and has 10 s to
/// answer.
const ONE_OUTAGE: Duration = Duration::from_secs(40);

/// The most that is recalled.
const MAX_RECALLED: u32 = 1_000;

/// See the module. All begins anew when the relay has proved itself.
#[derive(Default)]
pub(crate) struct Failures {
    /// Those for which the relay is blamed: not those of an outage of our own network.
    blamed: u32,
    /// All of them: the next pause depends on them.
    all: u32,
    /// No attempt begins before this.
    retry_at: Option<Instant>,
    /// Nor before this, if the last one was one that usually lasts.
    seldom_until: Option<Instant>,
    /// Whether a connection has ended before the relay had proved itself.
    ended_early: bool,
    /// Since when it was blamed for what may turn out to be an outage, and its blame before.
    blamed_since: Option<(Instant, u32)>,
    /// Whether the last one was of an outage.
    was_in_outage: bool,
}

/// How a connection, or an attempt, has ended.
pub(crate) struct Failure {
    pub(crate) retry: Retry,
    /// Whether no other relay is connected: then the cause may be our own network.
    pub(crate) in_outage: bool,
    /// Whether it had been connected, but not for long enough to prove itself: then it is blamed in any case.
    pub(crate) has_ended_early: bool,
    /// A random number below 1.
    pub(crate) jitter: f64,
}

impl Failures {
    /// For how many it is blamed.
    pub(crate) fn blamed(&self) -> u32 {
        self.blamed
    }

    /// How many there were, also in outages.
    pub(crate) fn count(&self) -> u32 {
        self.all
    }

    /// From when on the relay may be tried again; `None` if at once.
    pub(crate) fn retry_at(&self, now: Instant) -> Option<Instant> {
        self.retry_at.max(self.seldom_until).filter(|at| *at > now)
    }

    /// Whether it is tried only seldom, as another try hardly helps.
    pub(crate) fn are_lasting(&self, now: Instant) -> bool {
        self.seldom_until.is_some_and(|until| until > now)
    }

    /// Whether a connection to the relay shows that our own network works: not if it closes each one.
    pub(crate) fn connection_ends_outage(&self) -> bool {
        !self.ended_early
    }

    pub(crate) fn add(&mut self, now: Instant, failure: &Failure) {
        let is_lasting = failure.retry != Retry::Soon;
        let spread = 0.8 + 0.4 * failure.jitter;
        let pause = FIRST_PAUSE.mul_f64(GROWTH.powi(self.all.min(30) as i32)).min(LONGEST_PAUSE);
        self.retry_at = Some(now + pause.mul_f64(spread));
        self.seldom_until = is_lasting.then(|| now + SELDOM.mul_f64(spread));
        self.all = self.all.saturating_add(1);
        self.ended_early |= failure.has_ended_early;
        self.blame(now, failure);
    }

    fn blame(&mut self, now: Instant, failure: &Failure) {
        self.was_in_outage = failure.in_outage && !failure.has_ended_early;
        if self.was_in_outage {
            return;
        }
        self.blamed_since.take_if(|(since, _)| failure.has_ended_early || *since + ONE_OUTAGE < now);
        if !failure.has_ended_early {
            self.blamed_since.get_or_insert((now, self.blamed));
        }
        self.blamed = self.blamed.saturating_add(1);
    }

    /// The relay has proved itself.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// It has failed before, as a file says, which may be broken.
    pub(crate) fn recall(&mut self, blamed: u32) {
        self.blamed = self.blamed.max(blamed.min(MAX_RECALLED));
    }

    /// No relay is connected: what seems to last may be our own network, where somebody else answers for all relays until
    /// the user has logged in. And it was that which has just failed, not the relay.
    pub(crate) fn handle_outage(&mut self, now: Instant) {
        self.seldom_until = None;
        if let Some((since, before)) = self.blamed_since.take()
            && now <= since + ONE_OUTAGE
        {
            (self.blamed, self.was_in_outage) = (before, true);
        }
    }

    /// Our own network works again: what failed without it is tried at once.
    pub(crate) fn handle_end_of_outage(&mut self) {
        if std::mem::take(&mut self.was_in_outage) {
            self.retry_at = None;
        }
    }

    /// The cause may be gone: the relay is tried at once. If it fails again, the next pause is longer.
    pub(crate) fn end_pause(&mut self) {
        (self.retry_at, self.seldom_until) = (None, None);
    }

    /// The relay is reached by another network now: what failed before says nothing.
    pub(crate) fn handle_network_changed(&mut self) {
        (self.all, self.ended_early) = (0, false);
        (self.blamed_since, self.was_in_outage) = (None, false);
    }
}
