//! A relay that the plan knows, connected or not.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::advice::Retry;
use crate::config::Relay;
use crate::id::ConnectionId;
use crate::pool::id::PeerId;
use crate::pool::origin::Origin;

/// The pause after the first failure, and after many: each is 1.6 times as long as the one before (gRPC's numbers).
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
const GROWTH: f64 = 1.6;

/// The pause if another try hardly helps.
const SELDOM: Duration = Duration::from_secs(3_600);

/// A relay that stayed connected for so long has proved itself: its failures are forgotten.
const PROVED: Duration = Duration::from_secs(60);

/// The most addresses of a relay, as in `Client::connect`.
const MAX_ADDRESSES: usize = 16;

/// See the module.
pub(crate) struct Known {
    pub(crate) relay: Relay,
    pub(crate) origin: Origin,
    pub(crate) state: State,
    /// The peers that are tied to it.
    pub(crate) tied: BTreeSet<PeerId>,
    /// Routes that are open or requested.
    pub(crate) routes: usize,
    /// The smoothed round trip when it was connected last.
    pub(crate) round_trip: Option<Duration>,
    /// Failures since it has proved itself, without those of an outage of our own network.
    pub(crate) failures: u32,
    /// How often data were reported to be lost here, less how often they were reported to be delivered.
    pub(crate) lost: u32,
    /// Since when nothing would be missing without it.
    pub(crate) surplus_since: Option<Instant>,
    /// Since when data were sent and nothing was heard.
    pub(crate) unheard_since: Option<Instant>,
    /// Whether data were sent since `unheard_since`, or since it was asked.
    pub(crate) has_sent: bool,
    /// When it was asked since then.
    pub(crate) asked_at: Option<Instant>,
    /// Whether it did not answer soon. It is used only if there is no other.
    pub(crate) is_silent: bool,
    /// No attempt begins before this.
    retry_at: Option<Instant>,
    /// The attempts that the next pause depends on.
    retries: u32,
    /// Whether it failed while no relay at all was connected.
    failed_in_outage: bool,
    /// Decides between relays that are equal otherwise.
    salt: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Idle,
    /// The driver has not called `connect` yet, if there is no connection.
    Connecting {
        connection: Option<ConnectionId>,
        since: Instant,
    },
    Connected {
        connection: ConnectionId,
        since: Instant,
    },
}

impl Known {
    pub(crate) fn new(relay: Relay, origin: Origin, salt: u32) -> Self {
        Self {
            relay,
            origin,
            state: State::Idle,
            tied: BTreeSet::new(),
            routes: 0,
            round_trip: None,
            failures: 0,
            lost: 0,
            surplus_since: None,
            unheard_since: None,
            has_sent: false,
            asked_at: None,
            is_silent: false,
            retry_at: None,
            retries: 0,
            failed_in_outage: false,
            salt,
        }
    }

    /// Adds the addresses of another description of this relay, as far as there is room.
    pub(crate) fn merge(&mut self, other: &Relay) {
        for address in other.addresses().unwrap_or_default() {
            let known = self.relay.addresses().unwrap_or_default();
            if known.len() < MAX_ADDRESSES && !known.contains(address) {
                self.relay = self.relay.clone().address(address);
            }
        }
    }

    pub(crate) fn connection(&self) -> Option<ConnectionId> {
        match self.state {
            State::Idle => None,
            State::Connecting { connection, .. } => connection,
            State::Connected { connection, .. } => Some(connection),
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    pub(crate) fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected { .. })
    }

    /// From when on it may be tried again; `None` if at once.
    pub(crate) fn retry_at(&self, now: Instant) -> Option<Instant> {
        self.retry_at.filter(|at| *at > now)
    }

    /// The larger, the rather it is used: not if it is silent, loses data or fails; then the fastest.
    pub(crate) fn rank(&self) -> impl Ord + use<> {
        let round_trip = self.round_trip.unwrap_or(Duration::MAX);
        let trouble = (self.is_silent, self.lost, self.failures);
        (Reverse(trouble), self.origin.rank(), Reverse(round_trip), self.salt)
    }

    /// Something arrived from it.
    pub(crate) fn handle_heard(&mut self) {
        (self.unheard_since, self.has_sent) = (None, false);
        (self.asked_at, self.is_silent) = (None, false);
    }

    /// The connection, or the attempt, has ended. `jitter` is a random number below 1; `in_outage` tells whether no
    /// relay is connected.
    pub(crate) fn handle_failure(&mut self, now: Instant, retry: Retry, jitter: f64, in_outage: bool) {
        if let State::Connected { since, .. } = self.state
            && now.saturating_duration_since(since) >= PROVED
        {
            (self.retries, self.failures) = (0, 0);
        }
        let pause = match retry {
            Retry::Soon => FIRST_PAUSE.mul_f64(GROWTH.powi(self.retries.min(30) as i32)).min(LONGEST_PAUSE),
            Retry::Seldom | Retry::Ask => SELDOM,
        };
        self.retry_at = Some(now + pause.mul_f64(0.8 + 0.4 * jitter));
        self.retries += 1;
        self.failures += u32::from(!in_outage);
        self.failed_in_outage = in_outage && retry == Retry::Soon;
        self.handle_end();
    }

    /// There is no connection any more.
    pub(crate) fn handle_end(&mut self) {
        (self.state, self.routes, self.surplus_since) = (State::Idle, 0, None);
        self.handle_heard();
    }

    /// Our own network works again: what failed without it is tried at once.
    pub(crate) fn handle_end_of_outage(&mut self) {
        if std::mem::take(&mut self.failed_in_outage) {
            (self.retry_at, self.retries) = (None, 0);
        }
    }

    /// The network has changed: pauses are over.
    pub(crate) fn handle_network_changed(&mut self) {
        (self.retry_at, self.retries, self.failed_in_outage) = (None, 0, false);
    }
}
