//! Everything before packets are exchanged: one attempt for each address of the relay, of which the first that
//! completes the handshake wins. If it does not prove then that it holds the relay's key, the others go on.
//!
//! The attempts begin in the order of the addresses: the next one when the last one began [`STAGGER`] ago (RFC 8305,
//! section 5), or has failed. When one wins, the others are over; they have sent the relay nothing but a hello. When
//! the last one fails, the connection ends, with the reason that explains most: see [`Opening::explaining`].

mod attempt;

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::address::Address;
use crate::advice::Fault;
use crate::config::{Proxy, Relay, Settings};
use crate::connection::common::Common;
use crate::connection::ending::End;
use crate::connection::opening::attempt::{Attempt, AttemptParameters};
use crate::connection::outbox::Flushed;
use crate::connection::session::Session;
use crate::connection::times::Times;
use crate::crypto::{Channel, Entropy, SharedKey};
use crate::error::{ConnectError, DisconnectReason};
use crate::id::{AttemptId, ConnectionId};
use crate::key::PublicKey;
use crate::stage::Stage;
use crate::status::FailedAttempt;

/// The time from the beginning of one attempt to that of the next: the default Connection Attempt Delay of RFC 8305,
/// section 5.
const STAGGER: Duration = Duration::from_millis(250);

/// What a new [`Connection`](crate::connection::Connection) is created from.
#[derive(Debug)]
#[must_use = "parameters do nothing until they are given to `Connection::new`"]
pub struct Parameters {
    pub(super) id: ConnectionId,
    pub(super) shared_key: Arc<SharedKey>,
    /// The relay's addresses, in the order of the attempts: 1 to 16.
    pub(super) addresses: Vec<Address>,
    /// The proxy that is asked for a tunnel to each address.
    pub(super) proxy: Option<Arc<Proxy>>,
    pub(super) settings: Arc<Settings>,
    /// How long each attempt may take; `None` for the timeout in the settings.
    pub(super) connect_timeout: Option<Duration>,
    /// The id of the first ping.
    pub(super) ping: NonZeroU64,
    /// The token that the caller has chosen, for events and the status.
    pub(super) token: u64,
}

impl Parameters {
    /// The parameters for a connection to this relay, with the default settings.
    ///
    /// - `id` appears in the events. The caller chooses it: different for each of its connections, also in the lower 24
    ///   bits of its number, of which the ids of the routes are made.
    /// - `shared_key` is that of the relay and of the identity that the connection has.
    /// - Of `relay`, the addresses, the proxy, the connect timeout and the token are used. Its identity and its local
    ///   address are not: they are for [`Client`](crate::Client).
    /// - `ping` is the id of the first ping: a random number, so that only the relay can answer it.
    ///
    /// # Errors
    ///
    /// An address is malformed, the proxy cannot reach it, there are more than 16, or the timeout is zero.
    pub fn new(
        id: ConnectionId,
        shared_key: Arc<SharedKey>,
        relay: &Relay,
        ping: NonZeroU64,
    ) -> Result<Self, ConnectError> {
        let (addresses, proxy) = relay.targets()?;
        if relay.connect_timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(ConnectError::ConnectTimeout);
        }
        Ok(Self {
            id,
            shared_key,
            addresses,
            proxy,
            settings: Arc::default(),
            connect_timeout: relay.connect_timeout,
            ping,
            token: relay.token,
        })
    }

    /// Replaces the settings, which connections share.
    pub fn settings(mut self, settings: Arc<Settings>) -> Self {
        self.settings = settings;
        self
    }

    /// A host name that nobody resolves, unless the caller does.
    pub(crate) fn name_without_proxy(&self) -> Option<&str> {
        match &self.proxy {
            Some(_) => None,
            None => self.addresses.iter().find_map(Address::host_name),
        }
    }
}

/// See the module.
pub(super) struct Opening {
    shared_key: Arc<SharedKey>,
    connect_timeout: Option<Duration>,
    /// The id of the first ping.
    ping: NonZeroU64,
    /// The addresses without an attempt.
    addresses: VecDeque<Address>,
    /// When the next attempt is due.
    next_at: Instant,
    /// The number of attempts so far.
    begun: u8,
    /// The attempts that are not over, in the order in which they began.
    attempts: Vec<Attempt>,
    failures: Vec<Failure>,
    /// The temporary keys in the hellos of attempts that are over.
    temporaries: Vec<PublicKey>,
}

/// The end of an attempt.
struct Failure {
    address: Address,
    stage: Stage,
    times: Times,
    reason: DisconnectReason,
}

/// What the attempt that wins has established.
pub(super) struct Won {
    attempt: Attempt,
    channel: Box<Channel>,
    ping: NonZeroU64,
}

impl Opening {
    /// An opening whose first attempt is to begin at `now`.
    pub(super) fn new(
        shared_key: Arc<SharedKey>,
        addresses: Vec<Address>,
        connect_timeout: Option<Duration>,
        ping: NonZeroU64,
        now: Instant,
    ) -> Self {
        Self {
            shared_key,
            connect_timeout,
            ping,
            addresses: addresses.into(),
            next_at: now,
            begun: 0,
            attempts: Vec::with_capacity(1),
            failures: Vec::new(),
            temporaries: Vec::new(),
        }
    }

    /// The address of the first attempt, before it begins.
    pub(super) fn first_address(&self) -> &Address {
        self.addresses.front().expect("a relay has an address")
    }

    /// The stage of the open attempt that has progressed furthest; if none is open, of the failed one that explains
    /// most.
    pub(super) fn stage(&self) -> Stage {
        let running = self.furthest().map(Attempt::stage);
        running.or(self.explaining().map(|failure| failure.stage)).unwrap_or(Stage::Connecting)
    }

    /// The first of the open attempts that have progressed furthest.
    fn furthest(&self) -> Option<&Attempt> {
        self.attempts.iter().rev().max_by_key(|attempt| attempt.stage())
    }

    /// The address and the times of the attempt whose stage [`stage`](Self::stage) returns; `None` before the first
    /// one.
    pub(super) fn progress(&self) -> Option<(&Address, &Times)> {
        let running = self.furthest().map(|attempt| (&attempt.address, &attempt.times));
        running.or(self.explaining().map(|failure| (&failure.address, &failure.times)))
    }

    /// The attempts that have failed.
    pub(super) fn failures(&self) -> impl Iterator<Item = FailedAttempt> {
        let failed =
            |failure: &Failure| FailedAttempt { address: failure.address.clone(), reason: failure.reason };
        self.failures.iter().map(failed)
    }

    /// When there is something to do: a timeout, or the next attempt.
    pub(super) fn deadline(&self) -> Instant {
        let next = (!self.addresses.is_empty()).then_some(self.next_at);
        let deadlines = self.attempts.iter().map(Attempt::deadline).chain(next);
        deadlines.min().unwrap_or(self.next_at)
    }

    /// The network has changed: the answers must arrive before `at`, if that is earlier.
    pub(super) fn handle_network_changed(&mut self, at: Instant) {
        self.attempts.iter_mut().for_each(|attempt| attempt.handle_network_changed(at));
    }

    /// Whether an attempt is to begin.
    pub(super) fn is_attempt_due(&self, now: Instant) -> bool {
        !self.addresses.is_empty() && now >= self.next_at
    }

    /// Begins the next attempt, if one is due.
    pub(super) fn begin_attempt(
        &mut self,
        now: Instant,
        entropy: Entropy,
        common: &Common,
    ) -> Option<(AttemptId, &Address)> {
        if !self.is_attempt_due(now) {
            return None;
        }
        let address = self.addresses.pop_front()?;
        let id = AttemptId(self.begun);
        self.begun += 1;
        self.next_at = now + STAGGER;
        let parameters = AttemptParameters {
            id,
            address,
            proxy: common.proxy.clone(),
            shared_key: Arc::clone(&self.shared_key),
            entropy,
            timeout: self.connect_timeout.unwrap_or(common.settings.connect_timeout),
            started: common.times.started(),
        };
        self.attempts.push(Attempt::new(parameters, now));
        self.attempts.last().map(|attempt| (id, &attempt.address))
    }

    /// Whether this attempt is not over.
    pub(super) fn is_open(&self, attempt: AttemptId) -> bool {
        self.position(attempt).is_some()
    }

    /// See [`Connection::handle_turn`](crate::connection::Connection::handle_turn).
    pub(super) fn handle_turn(&mut self, now: Instant, attempt: AttemptId, since: Instant) {
        if let Some(at) = self.position(attempt) {
            self.attempts[at].handle_turn(now, since);
        }
    }

    /// The transport of this attempt is connected.
    pub(super) fn handle_connected(&mut self, now: Instant, attempt: AttemptId) {
        if let Some(at) = self.position(attempt) {
            self.attempts[at].handle_connected(now);
        }
    }

    /// Takes the bytes of this attempt off the input. Returns what it has established if it wins.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        attempt: AttemptId,
        input: &mut &mut [u8],
    ) -> Result<Option<Won>, DisconnectReason> {
        let Some(at) = self.position(attempt) else {
            *input = &mut [];
            return Ok(None);
        };
        let ours: Vec<PublicKey> = match self.begun {
            1 => Vec::new(),
            _ => self.temporaries().collect(),
        };
        match self.attempts[at].receive(now, input, &ours) {
            Ok(None) => Ok(None),
            Ok(Some(channel)) => {
                let attempt = self.attempts.remove(at);
                self.temporaries.extend(attempt.temporary());
                self.set_aside();
                Ok(Some(Won { attempt, channel, ping: self.ping }))
            }
            Err(reason) => {
                *input = &mut [];
                self.fail(at, reason).map(|()| None)
            }
        }
    }

    /// Another attempt has won: ends those that are open. Their addresses come before those without an attempt if the
    /// session fails.
    fn set_aside(&mut self) {
        for attempt in self.attempts.drain(..).rev() {
            self.temporaries.extend(attempt.temporary());
            self.addresses.push_front(attempt.address);
        }
    }

    /// The session has failed before the relay has proved itself. Returns the reason for the connection's end as an
    /// error if no address is left.
    pub(super) fn handle_session_end(
        &mut self,
        reason: DisconnectReason,
        common: &mut Common,
    ) -> Result<(), DisconnectReason> {
        let times = Times::new(common.times.started());
        let times = std::mem::replace(&mut common.times, times);
        let (address, stage) = (common.address.clone(), Stage::Confirming);
        self.next_at -= STAGGER; // the next attempt is due
        self.add_failure(Failure { address, stage, times, reason })
    }

    /// Checks the timeouts. `unread`: the transports may have unread input.
    pub(super) fn handle_timeout(&mut self, now: Instant, unread: bool) -> Result<(), DisconnectReason> {
        let mut at = 0;
        while let Some(attempt) = self.attempts.get_mut(at) {
            match attempt.handle_timeout(now, unread) {
                Ok(()) => at += 1,
                Err(reason) => self.fail(at, reason)?,
            }
        }
        Ok(())
    }

    /// The transport of this attempt has ended.
    pub(super) fn handle_end(&mut self, attempt: AttemptId, end: End) -> Result<(), DisconnectReason> {
        match self.position(attempt) {
            Some(at) => self.fail(at, self.attempts[at].handle_end(end)),
            None => Ok(()),
        }
    }

    /// Whether this attempt has anything to write.
    pub(super) fn has_output(&self, attempt: AttemptId) -> bool {
        self.position(attempt).is_some_and(|at| self.attempts[at].has_output())
    }

    /// Passes the output of this attempt to `write`. Returns whether all is written.
    pub(super) fn flush(
        &mut self,
        attempt: AttemptId,
        write: impl FnMut(&[u8]) -> io::Result<usize>,
        flushed: &mut Flushed,
    ) -> io::Result<bool> {
        match self.position(attempt) {
            Some(at) => self.attempts[at].flush(write, flushed),
            None => Ok(true),
        }
    }

    /// Ends an attempt. If it was the last one, returns the reason for the connection's end as an error.
    fn fail(&mut self, at: usize, reason: DisconnectReason) -> Result<(), DisconnectReason> {
        let attempt = self.attempts.remove(at);
        self.temporaries.extend(attempt.temporary());
        let stage = attempt.stage();
        let Attempt { id, address, times, .. } = attempt;
        let is_last = id.0 + 1 == self.begun;
        if is_last {
            self.next_at -= STAGGER; // when this attempt began: the next one is due
        }
        self.add_failure(Failure { address, stage, times, reason })
    }

    /// Returns the reason for the connection's end as an error if no attempt is open and no address is left.
    fn add_failure(&mut self, failure: Failure) -> Result<(), DisconnectReason> {
        self.failures.push(failure);
        match self.explaining() {
            Some(failure) if self.attempts.is_empty() && self.addresses.is_empty() => Err(failure.reason),
            _ => Ok(()),
        }
    }

    /// The failure that explains most: the most hopeful one, since one address that may work again is enough; of those,
    /// one that is not the network's fault, since a missing route to IPv6 says nothing about the relay; then the one
    /// that progressed furthest.
    fn explaining(&self) -> Option<&Failure> {
        self.failures.iter().rev().max_by_key(|failure| {
            let Failure { reason, stage, .. } = failure;
            (Reverse(reason.retry()), reason.fault() != Fault::Network, *stage)
        })
    }

    /// The temporary keys of all attempts.
    fn temporaries(&self) -> impl Iterator<Item = PublicKey> {
        let running = self.attempts.iter().filter_map(Attempt::temporary);
        running.chain(self.temporaries.iter().copied())
    }

    fn position(&self, attempt: AttemptId) -> Option<usize> {
        self.attempts.iter().position(|other| other.id == attempt)
    }

    /// The reason that this end of the first attempt's transport would have.
    #[cfg(test)]
    pub(super) fn reason(&self, end: End) -> DisconnectReason {
        self.attempts[0].handle_end(end)
    }

    /// The bytes allocated for incomplete messages, used or not.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.attempts.iter().map(Attempt::memory).sum()
    }
}

impl Won {
    /// Begins the session on the transport of the attempt that has won.
    pub(super) fn into_session(self, now: Instant, common: &mut Common) -> Session {
        let Self { attempt, channel, ping } = self;
        // An honest relay cannot respond before it has the whole hello. But if a response arrives then, the rest of the
        // hello must still be written before the packets.
        common.outbox.push_raw(attempt.output());
        let Attempt { address, times, .. } = attempt;
        (common.address, common.times) = (address, times);
        Session::new(now, channel, ping, common)
    }
}
