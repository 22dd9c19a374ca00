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
use crate::pool::plan::losses::Losses;
use crate::pool::plan::namers::{MAX_ADDRESSES, Namers};
use crate::pool::remembered::RememberedRelay;

/// The pause after the first failure, and after many: each is 1.6 times as long as the one before (gRPC's numbers).
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
const GROWTH: f64 = 1.6;

/// The pause if another try hardly helps.
const SELDOM: Duration = Duration::from_secs(3_600);

/// A relay that stayed connected for so long has proved itself: its failures are forgotten.
const PROVED: Duration = Duration::from_secs(60);

/// The round trip with which a relay has half of the score that the fastest has; and that of one that is not known.
const MIDDLE: Duration = Duration::from_millis(200);

/// When our own network fails, it shows within this time at all relays: each is pinged at least every 30 s, and has 10 s to
/// answer.
const ONE_OUTAGE: Duration = Duration::from_secs(40);

/// A relay that was connected for so long has twice the score of a new one.
const LONG: Duration = Duration::from_secs(3_600);

/// The factor for a relay that loses the data of several peers, and for one that is silent: such relays come last.
const LOSES: f64 = 1e-6;
const SILENT: f64 = 1e-3;

/// The most that is recalled of round trips, up-times and failures.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(60);
const MAX_UP_TIME: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);
const MAX_FAILURES: u32 = 1_000;

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
    /// Failures since it has proved itself, without those of an outage of our own network.
    pub(crate) failures: u32,
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
    /// No attempt begins before this.
    retry_at: Option<Instant>,
    /// Nor before this, if the last failure was one that usually lasts.
    seldom_until: Option<Instant>,
    /// Whether the attempt that is under way is one of before the last change of address, proxy or network.
    is_outdated: bool,
    /// The failures since it has proved itself, also those of an outage: the next pause depends on them.
    retries: u32,
    /// Whether a connection has ended before it had proved itself, since it has last.
    ended_early: bool,
    /// Since when it was blamed for failures that may turn out to be ones of our own network, and its failures before.
    blamed_since: Option<(Instant, u32)>,
    /// Whether its last failure was one of our own network.
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
            failures: 0,
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
            retry_at: None,
            seldom_until: None,
            is_outdated: false,
            retries: 0,
            ended_early: false,
            blamed_since: None,
            failed_in_outage: false,
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

    /// From when on it may be tried again; `None` if at once.
    pub(crate) fn retry_at(&self, now: Instant) -> Option<Instant> {
        self.retry_at.max(self.seldom_until).filter(|at| *at > now)
    }

    /// Whether it has failed since it has proved itself, also in an outage.
    pub(crate) fn has_failed(&self) -> bool {
        self.retries > 0
    }

    /// Whether it is tried only seldom, as another try hardly helps.
    pub(crate) fn is_hopeless(&self, now: Instant) -> bool {
        self.seldom_until.is_some_and(|until| until > now)
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
        let reliability = 1.0 / (1.0 + f64::from(self.failures));
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
        ((self.score() / f64::from(1 + self.retries)).to_bits(), self.salt)
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
            (self.retries, self.failures, self.ended_early) = (0, 0, false);
            self.blamed_since = None;
        }
    }

    /// Takes over what is remembered of it, as far as nothing is known since the start. It may come from a broken file, so
    /// it is bounded.
    pub(crate) fn recall(&mut self, now: Instant, remembered: &RememberedRelay) {
        self.round_trip = self.round_trip.or(remembered.round_trip.map(|time| time.min(MAX_ROUND_TRIP)));
        self.failures = self.failures.max(remembered.failures.min(MAX_FAILURES));
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
    /// relay is connected: then the cause may be our own network, unless this relay had just been connected. The same may
    /// turn out later: see [`handle_outage`](Self::handle_outage).
    pub(crate) fn handle_failure(&mut self, now: Instant, retry: Retry, jitter: f64, in_outage: bool) {
        let has_ended_early = self.connected_for(now).is_some_and(|time| time < PROVED);
        // How an outdated attempt ends says nothing about the next one.
        let is_lasting = retry != Retry::Soon && !self.is_outdated;
        self.handle_end(now);
        self.ended_early |= has_ended_early;
        let spread = 0.8 + 0.4 * jitter;
        let pause = FIRST_PAUSE.mul_f64(GROWTH.powi(self.retries.min(30) as i32)).min(LONGEST_PAUSE);
        self.retry_at = Some(now + pause.mul_f64(spread));
        self.seldom_until = is_lasting.then(|| now + SELDOM.mul_f64(spread));
        self.retries = self.retries.saturating_add(1);
        let is_blamed = !in_outage || has_ended_early;
        self.blamed_since.take_if(|(since, _)| has_ended_early || *since + ONE_OUTAGE < now);
        if is_blamed && !has_ended_early {
            self.blamed_since.get_or_insert((now, self.failures));
        }
        self.failures = self.failures.saturating_add(u32::from(is_blamed));
        self.failed_in_outage = !is_blamed;
    }

    /// There is no connection any more.
    pub(crate) fn handle_end(&mut self, now: Instant) {
        self.forget_failures_if_proved(now);
        self.earlier = self.up_time(now);
        self.up_time = self.earlier;
        (self.state, self.routes, self.surplus_since) = (State::Idle, 0, None);
        (self.was_full, self.is_outdated) = (false, false);
        self.handle_heard();
    }

    /// How long it has been connected, if it is.
    pub(crate) fn connected_for(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Connected { since, .. } => Some(now.saturating_duration_since(since)),
            State::Idle | State::Connecting { .. } => None,
        }
    }

    /// No relay is connected: what seems to last may be our own network, where somebody else answers for all relays until
    /// the user has logged in. And it was that which has just failed, not the relay. But `connect` has asked nobody.
    pub(crate) fn handle_outage(&mut self, now: Instant) {
        if self.refused.is_some() {
            return;
        }
        self.seldom_until = None;
        if let Some((since, before)) = self.blamed_since.take()
            && now <= since + ONE_OUTAGE
        {
            (self.failures, self.failed_in_outage) = (before, true);
        }
    }

    /// Whether it shows that our own network works: not if it closes each connection.
    pub(crate) fn ends_outage(&self) -> bool {
        !self.ended_early
    }

    /// Our own network works again: what failed without it is tried at once.
    pub(crate) fn handle_end_of_outage(&mut self) {
        if std::mem::take(&mut self.failed_in_outage) {
            self.retry_at = None;
        }
    }

    /// The cause of the last failure may be gone: it is tried at once. If it fails again, the next pause is longer.
    pub(crate) fn end_pause(&mut self) {
        (self.retry_at, self.seldom_until) = (None, None);
        self.is_outdated = matches!(self.state, State::Connecting { .. });
    }

    /// It is on another network now: what failed before says nothing.
    pub(crate) fn handle_network_changed(&mut self) {
        (self.retries, self.ended_early) = (0, false);
        (self.blamed_since, self.failed_in_outage) = (None, false);
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
