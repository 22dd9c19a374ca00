//! A relay that the plan knows, connected or not.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::advice::Retry;
use crate::config::{ProxyChoice, Relay};
use crate::error::ConnectError;
use crate::id::ConnectionId;
use crate::pool::id::PeerId;
use crate::pool::origin::Origin;
use crate::pool::plan::failures::{Failure, Failures};
use crate::pool::plan::losses::Losses;
use crate::pool::plan::namers::{MAX_ADDRESSES, Namers};
use crate::pool::remembered::RememberedRelay;

/// A relay that stayed connected for so long has proved itself: its failures are forgotten.
const PROVED: Duration = Duration::from_secs(60);

/// The round trip with which a relay has half of the score that the fastest has; and that of one that is not known.
const MIDDLE: Duration = Duration::from_millis(200);

/// A relay that was connected for so long has twice the score of a new one.
const LONG: Duration = Duration::from_secs(3_600);

/// The factor for a relay that loses the data of several peers, and for one that is silent: such relays come last.
const LOSES: f64 = 1e-6;
const SILENT: f64 = 1e-3;

/// The most that is recalled of round trips and up-times.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(60);
const MAX_UP_TIME: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// See the module.
pub(crate) struct Known {
    pub(crate) relay: Relay,
    pub(crate) origin: Origin,
    /// The peers that have named it, the first one first; empty once the user or a list has.
    namers: Namers,
    pub(crate) state: State,
    /// The peers that are tied to it.
    pub(crate) tied: BTreeSet<PeerId>,
    /// Routes that are open or requested.
    pub(crate) routes: usize,
    /// The smoothed round trip when it was connected last.
    pub(crate) round_trip: Option<Duration>,
    /// Its failures since it has proved itself.
    pub(crate) failures: Failures,
    /// Whether it has refused a packet that is not a peer's, since the last notice of room.
    pub(crate) was_full: bool,
    /// The data that were reported to be lost here.
    pub(crate) losses: Losses,
    /// Why `connect` has refused it the last time, if it has.
    pub(crate) refused: Option<Arc<ConnectError>>,
    /// How long it was connected, without the connection that it has now.
    earlier: Duration,
    /// The same with that one, when it was last looked at.
    up_time: Duration,
    /// Since when nothing would be missing without it.
    pub(crate) surplus_since: Option<Instant>,
    /// Until when it is tried for offline peers; taken back at the next common ping.
    pub(crate) tried_until: Option<Instant>,
    /// Since when data were sent and nothing was heard.
    pub(crate) unheard_since: Option<Instant>,
    /// Whether data were sent since `unheard_since`, or since it was asked.
    pub(crate) has_sent: bool,
    /// When it was asked since then.
    pub(crate) asked_at: Option<Instant>,
    /// Whether it did not answer soon. It is used only if there is no other.
    pub(crate) is_silent: bool,
    /// Whether the attempt that is under way is one of before the last change of address, proxy or network.
    is_outdated: bool,
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
    pub(crate) fn new(mut relay: Relay, origin: Origin, salt: u32) -> Self {
        let mut namers = Namers::default();
        if let (Origin::Peer { peer, is_local }, Ok(addresses)) = (origin, &mut relay.addresses) {
            namers.name(peer, is_local, addresses);
            *addresses = namers.addresses();
        }
        Self {
            relay,
            origin,
            namers,
            state: State::Idle,
            tied: BTreeSet::new(),
            routes: 0,
            round_trip: None,
            failures: Failures::default(),
            was_full: false,
            losses: Losses::default(),
            refused: None,
            earlier: Duration::ZERO,
            up_time: Duration::ZERO,
            surplus_since: None,
            tried_until: None,
            unheard_since: None,
            has_sent: false,
            asked_at: None,
            is_silent: false,
            is_outdated: false,
            salt,
        }
    }

    /// Somebody has described this relay again. What peers have told counts no more when the user or a list has named it.
    /// The user's last description counts most; others only add addresses, each peer a few. What is new may help if it has
    /// failed.
    pub(crate) fn describe(&mut self, relay: Relay, origin: Origin) {
        let joined = match (origin, self.origin) {
            (Origin::User | Origin::List, Origin::Peer { .. }) => relay,
            (Origin::User, _) => joined(relay, &self.relay),
            (Origin::List, Origin::List) => joined(self.relay.clone(), &relay),
            (Origin::Peer { peer, is_local }, Origin::Peer { .. }) => self.joined_by(peer, is_local, &relay),
            (Origin::List, Origin::User) | (Origin::Peer { .. }, _) => return,
        };
        if origin.rank() > self.origin.rank() {
            self.origin = origin;
            self.namers.clear();
        }
        if joined != self.relay {
            self.relay = joined;
            self.end_pause();
        }
    }

    /// This relay with what a peer has named, as far as it may.
    fn joined_by(&mut self, peer: PeerId, is_local: bool, relay: &Relay) -> Relay {
        self.namers.name(peer, is_local, relay.addresses().unwrap_or_default());
        self.origin = self.namers.origin().unwrap_or(self.origin);
        self.of_namers()
    }

    /// This relay with the addresses that its namers have named.
    fn of_namers(&self) -> Relay {
        let mut relay = self.relay.clone();
        relay.addresses = Ok(self.namers.addresses());
        relay
    }

    /// The peers that have named it, if neither the user nor a list has.
    pub(crate) fn namers(&self) -> impl Iterator<Item = PeerId> {
        self.namers.peers()
    }

    /// A peer names it no more. If others have, it is theirs, without the addresses that only this one has named.
    pub(crate) fn forget_namer(&mut self, peer: PeerId) {
        self.namers.forget(peer);
        if let Some(origin) = self.namers.origin() {
            (self.origin, self.relay) = (origin, self.of_namers());
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

    /// Whether it is tried for offline peers.
    pub(crate) fn is_tried(&self, now: Instant) -> bool {
        self.tried_until.is_some_and(|until| until > now)
    }

    /// Whether it has failed since it has proved itself, also in an outage.
    pub(crate) fn has_failed(&self) -> bool {
        self.failures.count() > 0
    }

    /// What it is worth, above 0 and at most 1: see [`RelayStatus::score`](crate::pool::RelayStatus::score).
    pub(crate) fn score(&self) -> f64 {
        let round_trip = self.round_trip.unwrap_or(MIDDLE);
        // A new relay is worth a quarter of the best old one: origins are as far apart, or peers could push out a list's.
        let origin = match self.origin {
            Origin::User => 1.0,
            Origin::List => 1.0 / 4.0,
            Origin::Peer { .. } => 1.0 / 16.0,
        };
        let speed = 1.0 / (1.0 + round_trip.div_duration_f64(MIDDLE));
        let reliability = 1.0 / (1.0 + f64::from(self.failures.blamed()));
        let up_time = 0.5 + 0.5 * self.up_time.min(LONG).div_duration_f64(LONG);
        let honesty = if self.losses.are_common() { LOSES / self.losses.peers() as f64 } else { 1.0 };
        let presence = if self.is_silent { SILENT } else { 1.0 };
        origin * speed * reliability * up_time * honesty * presence
    }

    /// The larger, the rather it is connected. Of relays that are worth the same, one at random comes first.
    pub(crate) fn rank(&self) -> impl Ord + use<> {
        (self.score().to_bits(), self.salt) // positive numbers are in the order of their bits
    }

    /// The larger, the sooner it is tried. Those that were tried in vain come later, also in an outage: they leave room for
    /// the others.
    pub(crate) fn attempt_rank(&self) -> impl Ord + use<> {
        ((self.score() / (1.0 + f64::from(self.failures.count()))).to_bits(), self.salt)
    }

    /// What speaks against it for the data of this peer: silence, then losses.
    pub(crate) fn faults(&self, peer: PeerId) -> (bool, u32) {
        (self.is_silent, self.losses.of(peer))
    }

    /// The larger, the rather it carries the data of a peer that is online there: not if it is silent or loses them, or has
    /// just failed; then the fastest.
    pub(crate) fn data_rank(&self, peer: PeerId) -> impl Ord + use<> {
        let round_trip = self.round_trip.unwrap_or(Duration::MAX);
        (Reverse((self.faults(peer), self.has_failed(), round_trip)), self.salt)
    }

    /// This peer is not tied to it any more.
    pub(crate) fn untie(&mut self, peer: PeerId) {
        self.tied.remove(&peer);
        self.losses.remove(peer);
    }

    /// How long it was connected, all in all.
    pub(crate) fn up_time(&self, now: Instant) -> Duration {
        match self.state {
            State::Connected { since, .. } => self.earlier + now.saturating_duration_since(since),
            State::Idle | State::Connecting { .. } => self.earlier,
        }
    }

    /// It was looked at while it was connected.
    pub(crate) fn handle_observation(&mut self, now: Instant, round_trip: Option<Duration>) {
        self.up_time = self.up_time(now);
        self.round_trip = round_trip.or(self.round_trip);
        self.forget_failures_if_proved(now);
    }

    /// It has proved itself, if it was connected for a while.
    fn forget_failures_if_proved(&mut self, now: Instant) {
        if self.connected_for(now).is_some_and(|time| time >= PROVED) {
            self.failures.forget();
        }
    }

    /// Takes over what is remembered of it, as far as nothing is known since the start. It may come from a broken file, so
    /// it is bounded.
    pub(crate) fn recall(&mut self, now: Instant, remembered: &RememberedRelay) {
        self.round_trip = self.round_trip.or(remembered.round_trip.map(|time| time.min(MAX_ROUND_TRIP)));
        self.failures.recall(remembered.failures);
        // It may have been remembered a moment ago, with the connection that it still has.
        let before = remembered.up_time.saturating_sub(self.connected_for(now).unwrap_or_default());
        self.earlier = self.earlier.max(before.min(MAX_UP_TIME));
        self.up_time = self.up_time(now);
    }

    /// Whether it has no identity and no proxy of its own. If it has, it must be reached in no other way, and it is not for
    /// others to know.
    pub(crate) fn is_plain(&self) -> bool {
        self.relay.identity.is_none() && self.relay.proxy == ProxyChoice::Default
    }

    /// What was remembered of this relay, with all that is known since the start: it counts more.
    pub(crate) fn with_remembered(&self, remembered: &Relay) -> Relay {
        match self.origin {
            Origin::Peer { .. } => remembered.clone().token(self.relay.token),
            Origin::User | Origin::List => joined(self.relay.clone(), remembered),
        }
    }

    /// Its addresses and key, and nothing else: what others may know.
    pub(crate) fn public_part(&self) -> Option<Relay> {
        let (first, others) = self.relay.addresses().ok()?.split_first()?;
        let relay = Relay::new(first, self.relay.public_key());
        Some(others.iter().fold(relay, |relay, address| relay.address(address)))
    }

    /// Something arrived from it.
    pub(crate) fn handle_heard(&mut self) {
        (self.unheard_since, self.has_sent) = (None, false);
        (self.asked_at, self.is_silent) = (None, false);
    }

    /// The connection, or the attempt, has ended. `jitter` is a random number below 1; `in_outage` tells whether no other
    /// relay is connected.
    pub(crate) fn handle_failure(&mut self, now: Instant, retry: Retry, jitter: f64, in_outage: bool) {
        let has_ended_early = self.connected_for(now).is_some_and(|time| time < PROVED);
        // How an outdated attempt ends says nothing about the next one.
        let retry = if self.is_outdated { Retry::Soon } else { retry };
        self.handle_end(now);
        self.failures.add(now, &Failure { retry, in_outage, has_ended_early, jitter });
    }

    /// There is no connection any more.
    pub(crate) fn handle_end(&mut self, now: Instant) {
        self.forget_failures_if_proved(now);
        self.earlier = self.up_time(now);
        self.up_time = self.earlier;
        (self.state, self.routes) = (State::Idle, 0);
        (self.was_full, self.is_outdated, self.surplus_since) = (false, false, None);
        self.handle_heard();
    }

    /// How long it has been connected, if it is.
    fn connected_for(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Connected { since, .. } => Some(now.saturating_duration_since(since)),
            State::Idle | State::Connecting { .. } => None,
        }
    }

    /// No relay is connected. But if `connect` has refused it, nobody was asked.
    pub(crate) fn handle_outage(&mut self, now: Instant) {
        if self.refused.is_none() {
            self.failures.handle_outage(now);
        }
    }

    /// The cause of the last failure may be gone, also of one of the attempt that is under way.
    pub(crate) fn end_pause(&mut self) {
        self.failures.end_pause();
        self.is_outdated = matches!(self.state, State::Connecting { .. });
    }
}

/// This relay with the addresses of another description of it, until it has as many as it may.
fn joined(relay: Relay, other: &Relay) -> Relay {
    other.addresses().unwrap_or_default().iter().fold(relay, |relay, address| {
        let known = relay.addresses().unwrap_or_default();
        let is_new = known.len() < MAX_ADDRESSES && !known.contains(address);
        if is_new { relay.address(address) } else { relay }
    })
}
