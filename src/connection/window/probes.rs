//! Whether a relay reads at once, or looks for input now and then.
//!
//! That shows in how long pings take that are sent at random moments: a relay that looks every 30 ms answers some of
//! them at once, and some 30 ms later. (The pings between data cannot show it: data are sent when pongs arrive, so on a
//! given line they always reach the relay at the same time before its next look.) So while the window is full, pings
//! are sent at random moments. If nearly all of them take as long as the fastest ping, the relay reads at once.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// The score at which the relay is known to read at once: a fast probe adds 1, a slow one takes 2 back, since a machine
/// or a line may delay some. With a relay that looks every 30 ms, a probe is fast with a chance of 8 / 30. Then a full
/// connection gets this score by chance once in 3 * 10^8 probes (a Markov chain), and sends one or two hundred in its
/// first minutes, and 32 a minute later: one connection in a million at first, and then one in some years. The score
/// is kept as long as the window.
const PROMPT_SCORE: u32 = 15;

/// What a slow probe takes back.
const SLOW: u32 = 2;

/// A probe is fast if it takes at most this much longer than the fastest ping. It may have to wait for the data before
/// it, which take 5 ms on a line with 10 MB/s.
pub(super) const FAST: Duration = Duration::from_millis(8);

/// The longest time to the next probe, in milliseconds: a bit more than the time between two looks.
const MAX_DELAY: u64 = 32;

/// How many probes there are before a pause, which is then twice as long as the last one.
const SERIES: u32 = 32;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Probes {
    due_at: Option<Instant>,
    /// Until when the pause lasts.
    not_before: Option<Instant>,
    /// The probes of this series.
    begun: u32,
    /// The pause after this series.
    pause: Duration,
    /// See [`PROMPT_SCORE`].
    score: u32,
    /// The slowest of the fast probes since the score was 0 last.
    slowest: Duration,
}

impl Default for Probes {
    fn default() -> Self {
        Self {
            due_at: None,
            not_before: None,
            begun: 0,
            pause: FIRST_PAUSE,
            score: 0,
            slowest: Duration::ZERO,
        }
    }
}

impl Probes {
    /// Whether they have shown that the relay reads at once.
    pub(super) fn show_prompt_reads(&self) -> bool {
        self.score >= PROMPT_SCORE
    }

    /// When the next probe is due.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.due_at
    }

    /// Schedules the next probe for a random moment, if one is needed.
    pub(super) fn schedule(&mut self, now: Instant, random: NonZeroU64) {
        let pauses = self.not_before.is_some_and(|not_before| now < not_before);
        if !self.show_prompt_reads() && self.due_at.is_none() && !pauses {
            self.due_at = Some(now + Duration::from_millis(1 + random.get() % MAX_DELAY));
        }
    }

    /// Takes the probe that is due. Returns whether one is, and is `wanted`.
    pub(super) fn begin(&mut self, now: Instant, wanted: bool) -> bool {
        let begins = self.due_at.take_if(|due_at| *due_at <= now).is_some() && wanted;
        if begins {
            self.begun += 1;
        }
        if self.begun == SERIES {
            self.not_before = Some(now + self.pause);
            (self.begun, self.pause) = (0, LONGEST_PAUSE.min(2 * self.pause));
        }
        begins
    }

    /// A probe was answered after this time. Its pong may have waited for so long to be read; `smallest` is the smallest
    /// round trip so far.
    pub(super) fn handle_pong(&mut self, time: Duration, read_delay: Duration, smallest: Duration) {
        // When the program was away, it is not known how long this one took.
        if self.show_prompt_reads() || read_delay >= FAST / 2 {
            return;
        }
        // If a faster ping came meanwhile, those before were not fast.
        if self.slowest.saturating_sub(smallest) > FAST {
            (self.score, self.slowest) = (0, Duration::ZERO);
        }
        if time.saturating_sub(smallest) <= FAST {
            self.score += 1;
            self.slowest = self.slowest.max(time);
        } else {
            self.score = self.score.saturating_sub(SLOW);
        }
        if self.score == 0 {
            self.slowest = Duration::ZERO;
        }
    }
}
