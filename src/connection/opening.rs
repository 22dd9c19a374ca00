//! Everything before packets are exchanged: the transport, the proxy, the handshake, and one deadline for all three.
//!
//! ```text
//!              transport                tunnel                  response
//! Connecting ─────────────► Tunnelling ────────► Handshaking ────────────► Session
//!      │                                              ▲
//!      └──────────────────────────────────────────────┘
//!               transport, if there is no proxy
//! ```
//!
//! In each state it fails if the deadline passes, the transport ends, or the answer is wrong. Input goes in through the
//! `handle_*` functions and [`receive`](Opening::receive), which returns the session. Output goes to the outbox, and
//! the duration of each step to the times.

use std::convert::Infallible;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

use zeroize::Zeroizing;

use crate::address::Address;
use crate::config::{Proxy, Settings};
use crate::connection::common::Common;
use crate::connection::deadline::Deadline;
use crate::connection::ending::End;
use crate::connection::session::Session;
use crate::crypto::{Entropy, Handshake, RESPONSE_LEN, SharedKey};
use crate::deframer::Deframer;
use crate::error::{DisconnectReason, Hint, Impostor, Server};
use crate::id::RelayId;
use crate::proxy::{MAX_REQUEST, Progress, Tunnel};
use crate::stage::{Party, Stage};

/// What a new connection is created from.
pub struct Parameters {
    pub id: RelayId,
    pub shared_key: Arc<SharedKey>,
    /// The proxy to go through, and the relay's address that it is asked for.
    pub tunnel: Option<(Arc<Proxy>, Address)>,
    pub settings: Arc<Settings>,
    pub entropy: Entropy,
    /// The id of the first ping.
    pub ping: NonZeroU64,
}

/// See the module.
pub(super) struct Opening {
    shared_key: Arc<SharedKey>,
    entropy: Entropy,
    /// The id of the first ping.
    ping: NonZeroU64,
    /// Shared by all steps.
    deadline: Deadline,
    state: State,
}

enum State {
    /// The transport is not connected yet. It connects to the relay, or to a proxy that is then asked for a tunnel.
    Connecting { tunnel: Option<(Arc<Proxy>, Address)> },
    /// The proxy was asked for a tunnel to the relay.
    Tunnelling(Tunnel),
    /// The hello is queued or sent; the response has not arrived in full.
    Handshaking { handshake: Handshake, response: Deframer },
}

impl Opening {
    /// An opening whose transport began to connect at `now`.
    pub(super) fn new(parameters: Parameters, now: Instant) -> Self {
        let Parameters { shared_key, tunnel, settings, entropy, ping, .. } = parameters;
        let deadline = Deadline::new(now + settings.connect_timeout);
        Self { shared_key, entropy, ping, deadline, state: State::Connecting { tunnel } }
    }

    pub(super) fn stage(&self) -> Stage {
        match self.state {
            State::Connecting { .. } => Stage::Connecting,
            State::Tunnelling(_) => Stage::Tunnelling,
            State::Handshaking { .. } => Stage::Handshaking,
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline.at()
    }

    /// The answers must arrive before `at`, if that is earlier.
    pub(super) fn shorten(&mut self, at: Instant) {
        self.deadline.shorten(at);
    }

    /// Excludes the time from `since` to `now`, in which input was ready and the connection had no turn to read it.
    pub(super) fn handle_turn(&mut self, now: Instant, since: Instant, common: &Common) {
        let waited = now.saturating_duration_since(since.max(common.times.started()));
        self.deadline.exclude(waited, common.settings.connect_timeout);
    }

    /// The transport is connected: sends the request to the proxy, or the hello to the relay. A second call does
    /// nothing.
    pub(super) fn handle_connected(&mut self, now: Instant, common: &mut Common) {
        let State::Connecting { tunnel } = &self.state else {
            return;
        };
        common.times.transport = common.times.until(now);
        match tunnel {
            Some((proxy, target)) => {
                let mut request = Zeroizing::new(Vec::with_capacity(MAX_REQUEST));
                self.state = State::Tunnelling(Tunnel::new(proxy, target, &mut request));
                common.outbox.push_raw(&request);
            }
            None => self.begin_handshake(common),
        }
        self.begin_step(now, common);
    }

    /// Takes the bytes of the opening off the input. Returns the session once the response is complete.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        input: &mut &mut [u8],
        common: &mut Common,
    ) -> Result<Option<Session>, DisconnectReason> {
        loop {
            match &mut self.state {
                State::Connecting { .. } => return Ok(None),
                State::Tunnelling(tunnel) => {
                    let mut answer = Zeroizing::new(Vec::with_capacity(MAX_REQUEST));
                    let progress = tunnel.receive(input, &mut answer).map_err(DisconnectReason::Proxy)?;
                    common.outbox.push_raw(&answer);
                    if progress == Progress::Waiting {
                        return Ok(None);
                    }
                    common.times.tunnel = common.times.until(now);
                    self.begin_handshake(common);
                    self.begin_step(now, common);
                }
                State::Handshaking { handshake, response } => {
                    let response_len = |_: &[u8]| Ok::<_, Infallible>(Some(RESPONSE_LEN));
                    let Ok(response) = response.next(input, response_len);
                    let Some(response) = response else {
                        return Ok(None);
                    };
                    let response =
                        (&*response).try_into().expect("a message of the length that was asked for");
                    let channel = handshake.finish(response).map_err(|impostor| {
                        DisconnectReason::Impostor(other_server(response).unwrap_or(impostor))
                    })?;
                    common.times.handshake = common.times.until(now);
                    return Ok(Some(Session::new(now, channel, self.ping, common)));
                }
            }
        }
    }

    /// Checks the deadline. `unread`: the transport may have unread input.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        unread: bool,
        common: &Common,
    ) -> Result<(), DisconnectReason> {
        if self.deadline.has_passed(now, unread, common.settings.connect_timeout) {
            return Err(self.handle_end(End::Late, common));
        }
        Ok(())
    }

    /// The transport has ended. If an answer has begun, it explains more than the end does.
    pub(super) fn handle_end(&self, end: End, common: &Common) -> DisconnectReason {
        self.begun_answer()
            .unwrap_or_else(|| end.reason(self.stage(), self.party(common), self.hint(end, common)))
    }

    /// Begins the next step. All steps share one timeout. But if time was excluded before this step, the step gets at
    /// least that much time, up to a full timeout.
    fn begin_step(&mut self, now: Instant, common: &Common) {
        let excluded = self.deadline.excluded().min(common.settings.connect_timeout);
        self.deadline.extend(now + excluded);
    }

    fn begin_handshake(&mut self, common: &mut Common) {
        let (handshake, hello) = Handshake::new(Arc::clone(&self.shared_key), &self.entropy);
        common.outbox.push_raw(&hello);
        self.state = State::Handshaking { handshake, response: Deframer::default() };
    }

    /// What the beginning of an answer shows: a refusal by the proxy, or a server that is not a relay.
    fn begun_answer(&self) -> Option<DisconnectReason> {
        match &self.state {
            State::Connecting { .. } => None,
            State::Tunnelling(tunnel) => tunnel.refusal().map(DisconnectReason::Proxy),
            State::Handshaking { response, .. } => {
                other_server(response.partial()).map(DisconnectReason::Impostor)
            }
        }
    }

    /// Who is at the other end of the transport.
    fn party(&self, common: &Common) -> Party {
        match &self.state {
            State::Connecting { tunnel: None } => Party::Relay,
            State::Connecting { tunnel: Some(_) } | State::Tunnelling(_) => Party::Proxy,
            State::Handshaking { .. } => common.times.party(),
        }
    }

    fn hint(&self, end: End, common: &Common) -> Option<Hint> {
        if !end.is_close() && !matches!(end, End::Late) {
            return None;
        }
        let all_has_left = !common.outbox.has_raw();
        match &self.state {
            State::Connecting { .. } => None,
            State::Tunnelling(tunnel) => (tunnel.is_asked_for() && all_has_left).then_some(Hint::NotReached),
            State::Handshaking { response, .. } => match (response.partial().len(), common.times.party()) {
                // Shorter than a response: a complete one is handled at once.
                (len @ 1.., _) => Some(Hint::Incomplete(len as u8)),
                (0, Party::Relay) => (end.is_close() && all_has_left).then_some(Hint::OtherKey),
                (0, _) if end.is_close() && all_has_left => Some(Hint::NotReachedOrOtherKey),
                (0, _) => Some(Hint::NotReached),
            },
        }
    }

    /// The bytes allocated for an incomplete message, used or not.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        match &self.state {
            State::Connecting { .. } | State::Tunnelling(_) => 0,
            State::Handshaking { response, .. } => response.memory(),
        }
    }
}

/// The impostor that these bytes reveal, if they are the greeting of another protocol. A real handshake response begins
/// with a random nonce.
fn other_server(bytes: &[u8]) -> Option<Impostor> {
    let server = match bytes {
        // A TLS record: an alert, or a handshake that nobody asked for.
        [0x15 | 0x16, 3, 0..=4, ..] => Server::Tls,
        _ if bytes.starts_with(b"SSH-") => Server::Ssh,
        _ if bytes.starts_with(b"HTTP/") => Server::Http,
        _ => return None,
    };
    Some(Impostor::OtherServer(server))
}
