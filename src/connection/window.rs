//! The window: how many bytes may have been sent that the relay has not confirmed.
//!
//! A relay handles the packets of a connection in order. So a pong confirms that it has read everything before the
//! ping. The window is what the relay is known to bear:
//!
//! - At most [`BEARABLE`] bytes; when they are full, nothing more is sent until the relay has read everything. In any
//!   case at most twice as many are sent from one moment at which it has read everything to the next.
//!   `tox-bootstrapd` looks for input every 30 to 48 ms, and counts what has arrived in 16 bits: if
//!   more waits, it may never read again. However a line delivers these bytes, no more of them can wait there, so they
//!   need no pacing.
//! - Fewer if the relay, or the line to it, needs more than [`MAX_QUEUE_DELAY`] for them: whatever is sent next waits behind
//!   them.
//! - More if the relay reads at once, since the bytes on a long line do not wait at the relay. [`Probes`] find that
//!   out. Then the window is twice what the line carries: the rate at which bytes are confirmed, times the smallest
//!   round trip, as in BBR. So it doubles with each round trip, as TCP's own does, until the line or the relay limits
//!   the rate, and then as many bytes wait as are sent in one round trip (or in [`MIN_QUEUE_DELAY`], if that is longer).
//!
//! The window changes once per round trip, and only if it has held data back, or if a relay that has read at once is
//! late now. It begins small, so that a slow relay can
//! answer its first ping in time.

mod probes;

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use crate::config::MIN_WINDOW;
use crate::connection::times::Micros;
use crate::connection::window::probes::Probes;
use crate::wire::frame::MAX_FRAME;

/// What every relay bears, in bytes: fewer than 64 KiB together with the important packets that pass a full window (18
/// KB: a disconnect notification and a request for each route, pongs and probes). `tox-bootstrapd` 0.2.18 got stuck
/// with 80 KB, and with 40 KB if it never had read all of them: see [`Window::handle_full`].
const BEARABLE: usize = 47_000;

/// The first window, in bytes. A relay that reads only 3.3 KB/s can still answer its ping in time.
const FIRST: usize = 2 * MIN_WINDOW;

/// How long a relay may take for the window, or four round trips if that is longer.
const MAX_QUEUE_DELAY: Duration = Duration::from_millis(500);

/// The most pings between data that are waited for: enough for a window of 60 MB that is always full.
const MAX_PINGS: usize = 4_096;

/// How many pongs may come, while important packets are sent again and again, until more data are sent.
const MAX_DRAIN_PONGS: u8 = 16;

/// The longest time from one look of `tox-bootstrapd` to the next.
const LONGEST_LOOK: Duration = Duration::from_millis(48);

/// Bytes that it reads in one look even if they are in the smallest packets.
const READ_PER_LOOK: usize = 8_000;

/// How long the smallest round trip is believed, since a line may become longer. Then it is measured anew, when the
/// window is empty.
const SMALLEST_LASTS: Duration = Duration::from_secs(20);

/// What may wait at a relay that reads at once, if the round trip is shorter: packets go to and fro in batches, so more
/// bytes are under way than the fastest ping shows.
const MIN_QUEUE_DELAY: Duration = Duration::from_millis(10);

/// The bytes from one ping (27 bytes) to the next, if the queue is empty or the relay reads at once.
const SPACING: usize = 15_000;

/// The same if the relay reads at once, and the window has four times as many: enough to make a pong for each cheap. If
/// such a relay slows down to 6 KB/s, it can still answer in time.
const WIDE_SPACING: usize = 55_000;

/// The bytes by which probes may exceed a full window: ten of them.
const PROBES: usize = 270;

/// See the module. It counts bytes on the stream, from when the buffers of the outbox were allocated.
pub(super) struct Window {
    /// The most bytes that may be unconfirmed.
    size: usize,
    sent: u64,
    confirmed: u64,
    /// What was confirmed when the relay had last read everything, or nearly so.
    drained: u64,
    /// Where the last ping ends.
    pinged: u64,
    /// The pings that were sent and not answered: at most [`MAX_PINGS`], and those that were queued as important packets.
    pings: VecDeque<Ping>,
    smallest_round_trip: Duration,
    /// When measuring it began. A smaller one does not renew that.
    smallest_since: Option<Instant>,
    /// Whether a ping comes before the next data: to measure the smallest round trip, while nothing waits.
    begins_with_ping: bool,
    /// How long the input of this turn may have waited to be read.
    read_delay: Duration,
    /// Where the last ping ended when the window was full; `None` after the pong of that one.
    full_at: Option<u64>,
    /// Whether nothing is sent until the relay has read everything: see [`Window::handle_full`].
    is_draining: bool,
    /// Whether anything remained that the relay had not read, when the last ping before a full window was answered.
    something_remained: bool,
    /// The pongs since then, if nothing is sent until the relay has read everything.
    drain_pongs: u8,
    /// When a ping is due after the last data, since there are no more that it could follow.
    final_ping_at: Option<Instant>,
    probes: Probes,
    /// The last probe, until it is sent.
    probe: Option<NonZeroU64>,
}

/// Where a ping may be due.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// Between two packets.
    Between,
    /// After the last packet that is queued.
    End,
    /// After the last packet for which the window has room.
    Full,
}

impl Place {
    pub(super) const ALL: [Self; 3] = [Self::Between, Self::End, Self::Full];
}

struct Ping {
    id: NonZeroU64,
    /// Where it ends.
    end: u64,
    sent_at: Instant,
    /// What was confirmed when it was sent.
    confirmed: u64,
    is_probe: bool,
    /// Whether the network has changed since then: its pong does not show that the relay can be reached.
    is_outdated: bool,
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
            size: FIRST,
            sent: 0,
            confirmed: 0,
            drained: 0,
            pinged: 0,
            pings: VecDeque::new(),
            smallest_round_trip: Duration::MAX,
            smallest_since: None,
            begins_with_ping: false,
            read_delay: Duration::ZERO,
            full_at: None,
            is_draining: false,
            something_remained: false,
            drain_pongs: 0,
            final_ping_at: None,
            probes: Probes::default(),
            probe: None,
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

    /// How many more bytes may be sent, if they are data.
    pub(super) fn room(&self, bound: Option<usize>) -> usize {
        match self.size(bound) {
            None => usize::MAX,
            Some(_) if self.is_draining => 0,
            Some(size) if self.probes.show_prompt_reads() => size.saturating_sub(self.unconfirmed()),
            Some(size) => {
                let since_empty = (self.sent - self.drained) as usize;
                size.saturating_sub(self.unconfirmed()).min((2 * BEARABLE).saturating_sub(since_empty))
            }
        }
    }

    /// How many bytes after the last ping the next one is due at this place. `has_ping`: the batch has a ping already.
    pub(super) fn spacing(&self, place: Place, has_ping: bool, bound: Option<usize>) -> usize {
        let Some(size) = self.size(bound) else {
            return usize::MAX;
        };
        let is_prompt = self.probes.show_prompt_reads();
        let spacing = if is_prompt { (size / 4).clamp(SPACING, WIDE_SPACING) } else { SPACING.min(size) };
        match place {
            // No pong is to come that makes room.
            Place::Full if self.pings.is_empty() && !has_ping => 0,
            _ if self.pings.len() >= MAX_PINGS => usize::MAX,
            Place::Full if self.is_draining && self.full_at.is_some() => usize::MAX,
            Place::Full if is_prompt => spacing / 2,
            Place::Full => 1,
            Place::Between if self.begins_with_ping && !has_ping => 0,
            // Of several pongs, a relay would delay all but the first by Nagle's algorithm.
            Place::Between if !is_prompt => usize::MAX,
            Place::Between | Place::End => spacing,
        }
    }

    /// The bytes since the last ping.
    pub(super) fn unpinged(&self) -> usize {
        (self.sent - self.pinged) as usize
    }

    /// When a ping is due that does not wait for data: a probe, or one after the last data.
    pub(super) fn ping_at(&self) -> Option<Instant> {
        self.final_ping_at.or(self.probes.due_at())
    }

    /// Takes the ping that is due. Returns whether one is to be sent; then it has this id. `has_ping`: one is queued.
    pub(super) fn begin_ping(&mut self, now: Instant, id: NonZeroU64, has_ping: bool) -> bool {
        if self.final_ping_at.take_if(|at| *at <= now).is_some() {
            return !has_ping;
        }
        // Not on an idle connection; and while the relay is about to have read everything, one more ping would only
        // delay the next data.
        let is_useful = if self.is_draining { self.full_at.is_some() } else { !self.pings.is_empty() };
        let has_room = self.pings.len() < MAX_PINGS && self.unconfirmed() <= self.size.max(BEARABLE) + PROBES;
        let begins = self.probes.begin(now, is_useful && has_room && !has_ping);
        if begins {
            self.probe = Some(id);
        }
        begins
    }

    /// The window holds data back. `random` is a random number.
    ///
    /// Nothing is sent then until the relay has read everything, unless it reads at once. A system frees the memory of
    /// a segment when all of it was read, and appends what arrives to a segment that was read in part. If that goes on,
    /// the socket of a relay that never catches up is full of bytes that were read. Then no more arrives; and if a part
    /// of the last packet is missing, `tox-bootstrapd` waits for it for good.
    pub(super) fn handle_full(&mut self, now: Instant, random: NonZeroU64, bound: Option<usize>) {
        if self.full_at.is_none() && !self.is_draining {
            self.full_at = Some(self.pinged);
            self.is_draining = !self.probes.show_prompt_reads() || self.smallest_is_old(now);
        }
        // Later ones would only delay the next data.
        if self.full_at.is_some() && bound.is_some_and(|bound| bound > BEARABLE) {
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
        self.begins_with_ping = false;
        self.final_ping_at = None;
        let (end, confirmed) = (self.sent, self.confirmed);
        let is_probe = self.probe.take_if(|probe| *probe == id).is_some();
        if self.pings.is_empty() {
            self.pings.reserve_exact(1); // an idle connection has no more
        }
        self.pings.push_back(Ping { id, end, sent_at: now, confirmed, is_probe, is_outdated: false });
    }

    /// A turn begins. Its input may have waited for it since `since`.
    pub(super) fn handle_turn(&mut self, now: Instant, since: Instant) {
        self.read_delay = now.saturating_duration_since(since);
    }

    /// Handles a pong. `None` if it answers no ping. `smallest` is the smallest round trip of the connection: all those
    /// since this window began may have stood behind data.
    pub(super) fn handle_pong(
        &mut self,
        now: Instant,
        id: NonZeroU64,
        smallest: Option<Duration>,
        bound: Option<usize>,
    ) -> Option<Answer> {
        let at = self.pings.iter().position(|ping| ping.id == id)?;
        let ping = self.pings.drain(..=at).next_back()?;
        self.confirmed = ping.end;
        let time = now.saturating_duration_since(ping.sent_at);
        self.smallest_round_trip = self.smallest_round_trip.min(time);
        self.smallest_since.get_or_insert(now);
        if ping.is_probe {
            self.probes.handle_pong(time, self.read_delay, self.smallest_round_trip);
        }
        let data_are_confirmed = self.full_at.take_if(|full_at| *full_at <= ping.end).is_some();
        // The window may be larger than what the system holds, and then it is never full.
        let is_late = time.saturating_sub(self.smallest_round_trip) > MAX_QUEUE_DELAY;
        if data_are_confirmed || self.probes.show_prompt_reads() && is_late {
            self.adapt(&ping, time, smallest.unwrap_or(Duration::MAX), bound);
        }
        let is_drained = self.unconfirmed() == 0;
        if is_drained && self.is_draining && self.smallest_is_old(now) {
            (self.smallest_round_trip, self.smallest_since) = (Duration::MAX, None);
            self.begins_with_ping = true;
        }
        // A relay that answers a ping in its next look, with little behind it, has read everything in that look.
        let keeps_up = !self.is_draining
            && time.saturating_sub(self.smallest_round_trip) <= LONGEST_LOOK
            && self.unconfirmed() <= READ_PER_LOOK;
        if keeps_up {
            self.drained = self.confirmed;
        }
        // Something may have followed that ping. It may remain, but not twice in a row, unless that goes on and on.
        let waits = self.is_draining && self.full_at.is_none() && !data_are_confirmed;
        self.drain_pongs = if waits { self.drain_pongs + 1 } else { 0 };
        if is_drained || data_are_confirmed && !self.something_remained || self.drain_pongs == MAX_DRAIN_PONGS
        {
            self.drain_pongs = 0;
            self.something_remained = !is_drained;
            self.is_draining = false;
            self.drained = self.confirmed;
        } else if bound.is_some() && self.pings.is_empty() && self.sent - self.drained >= SPACING as u64 {
            // So that the window is found to be empty, if nothing follows.
            self.final_ping_at = Some(now);
        }
        Some(Answer { round_trip: Micros::between(ping.sent_at, now), is_outdated: ping.is_outdated })
    }

    /// The pongs that are to come do not show that the relay can be reached.
    pub(super) fn handle_network_changed(&mut self) {
        self.pings.iter_mut().for_each(|ping| ping.is_outdated = true);
    }

    fn smallest_is_old(&self, now: Instant) -> bool {
        self.smallest_since.is_some_and(|since| now.saturating_duration_since(since) > SMALLEST_LASTS)
    }

    /// Adapts the size to how many bytes were confirmed in the round trip of this ping.
    fn adapt(&mut self, ping: &Ping, round_trip: Duration, smallest: Duration, bound: Option<usize>) {
        // The program may have been away, which is not the relay's fault.
        let time = round_trip.saturating_sub(self.read_delay).max(Duration::from_micros(1));
        let confirmed = (ping.end - ping.confirmed) as f64;
        let within = |other: Duration| (confirmed * other.as_secs_f64() / time.as_secs_f64()) as usize;
        let bearable = within(MAX_QUEUE_DELAY.max(4 * smallest.min(self.smallest_round_trip)))
            .clamp(MIN_WINDOW, BEARABLE);
        if !self.probes.show_prompt_reads() {
            // Otherwise the rate is that of the program, and not of the relay.
            if (confirmed as usize + MAX_FRAME) >= self.size(bound).unwrap_or(0) {
                self.size = bearable;
            }
        } else if self.read_delay <= probes::FAST {
            let carried = within(self.smallest_round_trip + self.smallest_round_trip.max(MIN_QUEUE_DELAY));
            self.size = carried.min(bound.unwrap_or(usize::MAX)).max(bearable);
        }
    }

    /// The bytes allocated for the pings.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.pings.capacity() * size_of::<Ping>()
    }
}
