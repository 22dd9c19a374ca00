//! Relays that fall silent are found out by asking early: when data were sent and nothing was heard for a while.

use std::time::{Duration, Instant};

use crate::id::ConnectionId;
use crate::pool::id::RelayId;
use crate::pool::plan::action::{Action, Observation};
use crate::pool::plan::relay::Known;
use crate::pool::plan::state::Plan;

/// A relay is asked if nothing was heard for so long after data were sent. It may be that nobody has answered.
const ASKED_AFTER: Duration = Duration::from_secs(3);

/// Then other relays take over if it does not answer within this time, or twice its round trip on a slow line, but not more
/// than the longest. It ends later, with the pong timeout.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
const MAX_WAIT: Duration = Duration::from_secs(8);

impl Plan {
    /// Handles what is due. `observe` looks at a connection.
    pub(crate) fn advance(&mut self, now: Instant, observe: impl Fn(ConnectionId) -> Option<Observation>) {
        if self.beat(now) {
            self.observe(now, &observe, |_| true);
            self.compare(now);
            self.search(now);
            self.is_outdated = true;
        } else if self.is_outdated {
            self.observe(now, &observe, |known| known.round_trip.is_none());
        }
        self.is_outdated |= self.review_at.take_if(|at| *at <= now).is_some();
        self.has_sent = false;
        for id in std::mem::take(&mut self.watched) {
            if self.watch(now, id, &observe) && !self.watched.contains(&id) {
                self.watched.push(id);
            }
        }
        if self.is_outdated {
            self.review(now, &observe);
        } else {
            self.review_doubtful(now, &observe);
        }
    }

    /// Takes down how fast these connected relays are.
    fn observe(
        &mut self,
        now: Instant,
        observe: &impl Fn(ConnectionId) -> Option<Observation>,
        which: impl Fn(&Known) -> bool,
    ) {
        let connected = self.relays().filter(|(_, known)| known.is_connected() && which(known));
        for id in connected.map(|(id, _)| id).collect::<Vec<_>>() {
            if let Some(known) = self.relays.get_mut(id.0)
                && let Some(seen) = known.connection().and_then(observe)
            {
                known.handle_observation(now, seen.round_trip);
            }
        }
    }

    /// Whether a relay to which data were sent is still to be watched.
    fn watch(
        &mut self,
        now: Instant,
        id: RelayId,
        observe: &impl Fn(ConnectionId) -> Option<Observation>,
    ) -> bool {
        let Some(known) = self.relays.get_mut(id.0) else { return false };
        let Some(connection) = known.connection() else { return false };
        if known.unheard_since.is_none() && std::mem::take(&mut known.has_sent) {
            known.unheard_since = Some(now);
        }
        let Some(mut since) = known.unheard_since else { return false };
        if since + ASKED_AFTER <= now
            && let Some(heard) = observe(connection).and_then(|seen| seen.last_heard)
            && heard > since
        {
            // The answer came unnoticed. What was sent after it has none yet, since then and not only from now on.
            let has_sent = known.has_sent;
            let was_silent = known.is_silent;
            known.handle_heard();
            if has_sent {
                (known.unheard_since, since) = (Some(heard), heard);
            }
            if was_silent {
                self.handle_silence(now, id);
            }
            if !has_sent {
                return false;
            }
        }
        let Some(known) = self.relays.get_mut(id.0) else { return false };
        let answers_within =
            ANSWERS_WITHIN.max(known.round_trip.unwrap_or_default().saturating_mul(2)).min(MAX_WAIT);
        let due_at = match known.asked_at {
            None if now < since + ASKED_AFTER => since + ASKED_AFTER,
            None => {
                known.asked_at = Some(now);
                known.has_sent = false; // the answer is one to all that was sent before
                self.actions.push_back(Action::Ping(connection));
                now + answers_within
            }
            Some(asked_at) if now < asked_at + answers_within => asked_at + answers_within,
            Some(_) => {
                if !std::mem::replace(&mut known.is_silent, true) {
                    self.handle_silence(now, id);
                }
                now + ANSWERS_WITHIN
            }
        };
        self.wake(due_at);
        true
    }
}
