//! Common wake-ups: the pings of all relays leave together.
//!
//! Each connection would ping by its own clock, and wake up a telephone each time. Here all that are connected are asked
//! at one moment, a little before the interval of their own is over. Whatever else the plan does regularly is done then.

use std::time::{Duration, Instant};

use crate::pool::plan::action::Action;
use crate::pool::plan::relay::State;
use crate::pool::plan::state::Plan;

/// The pings leave earlier than the interval ends by this part of it: 1 s of 30.
const EARLIER: u32 = 30;

/// The longest interval: a longer one is as good as none.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3_600);

impl Plan {
    /// The ping interval of the client. It counts from the last common ping, however often it is set.
    pub(crate) fn set_ping_interval(&mut self, interval: Duration) {
        let interval = interval.min(LONGEST);
        let beat = interval - interval / EARLIER;
        self.beat_at = self.beat_at.map(|at| at - self.beat + beat);
        self.beat = beat;
    }

    /// Asks all relays, if it is time. Returns whether it was.
    pub(crate) fn beat(&mut self, now: Instant) -> bool {
        if !self.is_outdated && self.beat_at.is_none_or(|at| at > now) {
            return false; // no relay was connected or has ended since the last review
        }
        let connected = self.relays().filter_map(|(_, known)| match known.state {
            State::Connected { connection, .. } => Some(connection),
            State::Idle | State::Connecting { .. } => None,
        });
        let connected: Vec<_> = connected.collect();
        if connected.is_empty() {
            self.beat_at = None;
            return false;
        }
        let is_due = self.beat_at.is_some_and(|at| at <= now);
        if is_due {
            self.actions.extend(connected.into_iter().map(Action::Ping));
        }
        if is_due || self.beat_at.is_none() {
            self.beat_at = Some(now + self.beat);
        }
        is_due
    }
}
