//! The window: how many bytes may have been sent that the relay has not confirmed.
//!
//! A relay handles the packets of a connection in order. So a pong confirms that it has read everything before the
//! ping, and between data a ping is sent for each part of the window. The window is what the relay is known to bear:
//!
//! - At most [`BEARABLE`] bytes. `tox-bootstrapd` looks for input every 30 to 48 ms, and counts what has arrived in 16
//!   bits: if much more than that waits, it may never read again. No line can make more of it arrive at once.
//! - Fewer if the relay, or the line to it, is so slow that they would take longer than [`PATIENCE`]: whatever is sent
//!   next waits behind them.
//! - More if the relay reads at once, since the bytes on a long line do not wait at the relay. [`Probes`] find that out.
//!   Then the window is twice what the line carries: the rate at which bytes are confirmed, times the smallest round trip,
//!   as in BBR. So it doubles with each round trip, as TCP's own does, until the line or the relay limits the rate, and
//!   then at most one round trip's worth of bytes waits.
//!
//! The window changes once per round trip, and only if it has held data back.

mod probes;

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use crate::config::MIN_WINDOW;
use crate::connection::times::Micros;
use crate::connection::window::probes::Probes;

/// What every relay bears, in bytes. `tox-bootstrapd` 0.2.18 never got stuck with 60 KiB, and did with 80 KiB.
const BEARABLE: usize = 60_000;

/// How long a relay may take for the window, or four round trips if that is longer.
const PATIENCE: Duration = Duration::from_millis(500);

/// The most pings in a window. More of them would tell little more.
const MAX_PINGS: usize = 32;

/// The fewest bytes from one ping to the next, if the window has room for four times as many: a ping takes 27 bytes.
const SPACING: usize = BEARABLE / 4;

/// See the module. It counts bytes on the stream, from when the outbox was last empty.
pub(super) struct Window {
    /// The most bytes that may be unconfirmed.
    size: usize,
    sent: u64,
    confirmed: u64,
    /// Where the last ping ends.
    pinged: u64,
    /// The pings that were sent and not answered.
    pings: VecDeque<Ping>,
    /// The smallest round trip of a ping.
    smallest: Duration,
    /// How long the input of this turn may have waited for it.
    waited: Duration,
    /// The current round trip, since the window has held data back.
    round: Option<Round>,
    probes: Probes,
}

struct Ping {
    id: NonZeroU64,
    /// Where it ends.
    end: u64,
    sent_at: Instant,
    /// Whether the network has changed since then: its pong does not show that the relay can be reached.
    is_outdated: bool,
}

/// The time from when the window held data back until the last ping before that is answered.
struct Round {
    began: Instant,
    /// Where that ping ends.
    until: u64,
    /// What was confirmed when it began.
    confirmed: u64,
}

/// A pong that answers a ping.
pub(super) struct Answer {
    pub(super) round_trip: Micros,
    /// Whether the ping was sent before the network has changed.
    pub(super) is_outdated: bool,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            size: BEARABLE,
            sent: 0,
            confirmed: 0,
            pinged: 0,
            pings: VecDeque::new(),
            smallest: Duration::MAX,
            waited: Duration::ZERO,
            round: None,
            probes: Probes::default(),
        }
    }
}

impl Window {
    /// The bytes that were sent and are not confirmed.
    pub(super) fn unconfirmed(&self) -> usize {
        (self.sent - self.confirmed) as usize
    }

    /// The most bytes that may be unconfirmed; `None` without a `bound` of the caller's.
    pub(super) fn size(&self, bound: Option<usize>) -> Option<usize> {
        bound.map(|bound| self.size.min(bound))
    }

    /// How many more bytes of data may be sent.
    pub(super) fn room(&self, bound: Option<usize>) -> usize {
        self.size(bound).map_or(usize::MAX, |size| size.saturating_sub(self.unconfirmed()))
    }

    /// The bytes from one ping to the next.
    pub(super) fn spacing(&self, bound: Option<usize>) -> usize {
        let size = self.size(bound).unwrap_or(usize::MAX);
        (size / MAX_PINGS).max(SPACING).min(size / 4)
    }

    /// The bytes until the next ping is due.
    pub(super) fn until_ping(&self, bound: Option<usize>) -> usize {
        self.spacing(bound).saturating_sub((self.sent - self.pinged) as usize)
    }

    /// The bytes until a ping is due if the window is full then: half as many, and none if no pong is to come that makes
    /// room.
    pub(super) fn until_ping_if_full(&self, bound: Option<usize>) -> usize {
        match self.pings.is_empty() {
            true => 0,
            false => self.until_ping(bound).saturating_sub(self.spacing(bound) / 2),
        }
    }

    /// When a probe is due.
    pub(super) fn probe_at(&self) -> Option<Instant> {
        self.probes.due_at()
    }

    /// A ping with this id is to be sent as a probe, if the result is `true`.
    pub(super) fn begin_probe(&mut self, now: Instant, id: NonZeroU64) -> bool {
        self.probes.begin(now, id)
    }

    /// The window holds data back. `random` is a random number.
    pub(super) fn handle_full(&mut self, now: Instant, random: NonZeroU64, bound: Option<usize>) {
        let (until, confirmed) = (self.pinged, self.confirmed);
        self.round.get_or_insert(Round { began: now, until, confirmed });
        if bound.is_some_and(|bound| bound > self.size) {
            self.probes.schedule(now, random);
        }
    }

    /// These bytes were sent.
    pub(super) fn handle_sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// A ping was sent, up to the last byte in [`handle_sent`](Self::handle_sent).
    pub(super) fn handle_ping_sent(&mut self, now: Instant, id: NonZeroU64) {
        self.pinged = self.sent;
        self.pings.push_back(Ping { id, end: self.sent, sent_at: now, is_outdated: false });
    }

    /// A turn begins. Its input may have waited for it since `since`.
    pub(super) fn handle_turn(&mut self, now: Instant, since: Instant) {
        self.waited = now.saturating_duration_since(since);
    }

    /// Handles a pong. `None` if it answers no ping.
    pub(super) fn handle_pong(
        &mut self,
        now: Instant,
        id: NonZeroU64,
        bound: Option<usize>,
    ) -> Option<Answer> {
        let at = self.pings.iter().position(|ping| ping.id == id)?;
        let Ping { end, sent_at, is_outdated, .. } = self.pings.drain(..=at).next_back()?;
        self.confirmed = end;
        let time = now.saturating_duration_since(sent_at);
        self.smallest = self.smallest.min(time);
        self.probes.handle_pong(id, time, self.waited, self.smallest);
        if self.round.as_ref().is_some_and(|round| end >= round.until) {
            self.end_round(now, bound);
        }
        Some(Answer { round_trip: Micros::between(sent_at, now), is_outdated })
    }

    /// The pongs that are to come do not show that the relay can be reached.
    pub(super) fn handle_network_changed(&mut self) {
        self.pings.iter_mut().for_each(|ping| ping.is_outdated = true);
    }

    /// Adapts the size to how fast bytes were confirmed in this round.
    fn end_round(&mut self, now: Instant, bound: Option<usize>) {
        let Some(Round { began, confirmed, .. }) = self.round.take() else {
            return;
        };
        let confirmed = (self.confirmed - confirmed) as f64;
        let rate = confirmed / now.saturating_duration_since(began).as_secs_f64().max(1e-6);
        let within = |time: Duration| (rate * time.as_secs_f64()) as usize;
        let bearable = within(PATIENCE.max(4 * self.smallest)).clamp(MIN_WINDOW, BEARABLE);
        self.size = match self.probes.show_prompt_reads() {
            true => within(2 * self.smallest).min(bound.unwrap_or(usize::MAX)).max(bearable),
            false => bearable,
        };
    }
}
