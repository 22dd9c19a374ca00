//! Whether a relay reads at once, or looks for input now and then.
//!
//! That shows in how long pings take that are sent at random moments: a relay that looks every 30 ms answers some of
//! them at once, and some 30 ms later. (The pings between data cannot show it: data are sent when pongs arrive, so on a
//! given line they always reach the relay at the same time before its next look.) So while the window is full, pings
//! are sent at random moments. If a number of them in a row take equally long, the relay reads at once.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// How many probes in a row must take equally long. With a relay that looks every 30 ms, that happens once in 130,000
/// times: the first may take any time, and each of the others is as long with a chance of 5 / 30.
const ENOUGH: u32 = 8;

/// The time within which they take equally long.
const EQUAL: Duration = Duration::from_millis(5);

/// The longest time to the next probe, in milliseconds.
const MAX_DELAY: u64 = 32;

/// The pause after the first failure; it doubles with each.
const PAUSE: Duration = Duration::from_millis(50);

/// The longest pause after a failure.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Probes {
    due_at: Option<Instant>,
    /// There are no probes before.
    not_before: Option<Instant>,
    pause: Duration,
    /// The probes that are not answered, the last one first; older ones are forgotten.
    unanswered: [Option<NonZeroU64>; 8],
    /// The number of probes in a row that took equally long.
    count: u32,
    /// The longest of them.
    longest: Duration,
}

impl Default for Probes {
    fn default() -> Self {
        Self {
            due_at: None,
            not_before: None,
            pause: PAUSE,
            unanswered: [None; 8],
            count: 0,
            longest: Duration::ZERO,
        }
    }
}

impl Probes {
    /// Whether they have shown that the relay reads at once.
    pub(super) fn show_prompt_reads(&self) -> bool {
        self.count >= ENOUGH
    }

    pub(super) fn due_at(&self) -> Option<Instant> {
        self.due_at
    }

    /// Schedules the next probe for a random moment, if one is needed.
    pub(super) fn schedule(&mut self, now: Instant, random: NonZeroU64) {
        if !self.show_prompt_reads() && self.due_at.is_none() {
            let delay = Duration::from_millis(1 + random.get() % MAX_DELAY);
            self.due_at = Some(self.not_before.map_or(now, |before| before.max(now)) + delay);
        }
    }

    /// Begins the probe that is due, which has this id. Returns `false` if none is.
    pub(super) fn begin(&mut self, now: Instant, id: NonZeroU64) -> bool {
        let is_due = self.due_at.take_if(|due_at| *due_at <= now).is_some();
        if is_due {
            self.unanswered.rotate_right(1);
            self.unanswered[0] = Some(id);
        }
        is_due
    }

    /// A ping was answered after this time. Its pong may have waited for so long to be read; `smallest` is the smallest
    /// time so far.
    pub(super) fn handle_pong(
        &mut self,
        now: Instant,
        id: NonZeroU64,
        time: Duration,
        waited: Duration,
        smallest: Duration,
    ) {
        let Some(probe) = self.unanswered.iter_mut().find(|probe| **probe == Some(id)) else {
            return;
        };
        *probe = None;
        if self.show_prompt_reads() {
            return;
        }
        if time.max(self.longest) - smallest >= EQUAL {
            self.restart(now);
        } else if waited < EQUAL / 2 {
            self.longest = self.longest.max(time);
            self.count += 1;
        }
    }

    /// Forgets what they have shown. The next ones follow after a pause.
    pub(super) fn restart(&mut self, now: Instant) {
        self.not_before = Some(now + self.pause);
        self.pause = (2 * self.pause).min(MAX_PAUSE);
        (self.due_at, self.unanswered, self.count, self.longest) = (None, [None; 8], 0, Duration::ZERO);
    }
}
