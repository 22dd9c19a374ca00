//! Everything before packets flow: the transport, the proxy, the handshake, and the deadline of all three.
//!
//! ```text
//!              transport                tunnel                  response
//! Connecting ─────────────► Tunnelling ────────► Handshaking ────────────► Session
//!      │                                              ▲
//!      └──────────────────────────────────────────────┘
//!               transport, where there is no proxy
//! ```
//!
//! From each state it ends where the deadline passes, the transport ends, or the answer is a wrong one. The way in is the
//! `handle_*` functions and [`receive`](Opening::receive), which returns the session; what is to be sent is put in the
//! outbox, and how long each step took in the times.

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

/// What a connection is made of.
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
    /// For all steps together.
    deadline: Deadline,
    state: State,
}

enum State {
    /// There is no transport yet. It leads to the relay, or to the proxy that is asked for the relay's address.
    Connecting { tunnel: Option<(Arc<Proxy>, Address)> },
    /// The proxy was asked for a tunnel to the relay.
    Tunnelling(Tunnel),
    /// The hello is on its way; the response is still to come.
    Handshaking { handshake: Handshake, response: Deframer },
}

impl Opening {
    /// A connection whose transport is being made since `now`.
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

    /// Does not charge the time since `since`, while there was something to read and no turn to read it.
    pub(super) fn handle_turn(&mut self, now: Instant, since: Instant, common: &Common) {
        let waited = now.saturating_duration_since(since.max(common.times.started()));
        self.deadline.pardon(waited, common.settings.connect_timeout);
    }

    /// The transport is there: asks the proxy, or greets the relay. A second call does nothing.
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

    /// Takes what belongs to the opening off the input, and returns the session once the response has come.
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

    /// Looks at the time. `unread` says that the transport may have more input.
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

    /// The transport has ended. An answer that was on its way says more than the end does.
    pub(super) fn handle_end(&self, end: End, common: &Common) -> DisconnectReason {
        self.begun_answer()
            .unwrap_or_else(|| end.reason(self.stage(), self.party(common), self.hint(end, common)))
    }

    /// All steps together have one timeout. But whoever was kept waiting before the step that begins now may take as long
    /// for it, up to a timeout of its own.
    fn begin_step(&mut self, now: Instant, common: &Common) {
        let pardoned = self.deadline.pardoned().min(common.settings.connect_timeout);
        self.deadline.extend(now + pardoned);
    }

    fn begin_handshake(&mut self, common: &mut Common) {
        let (handshake, hello) = Handshake::new(Arc::clone(&self.shared_key), &self.entropy);
        common.outbox.push_raw(&hello);
        self.state = State::Handshaking { handshake, response: Deframer::default() };
    }

    /// What an answer shows that has begun: the proxy's refusal, or a server that is no relay.
    fn begun_answer(&self) -> Option<DisconnectReason> {
        match &self.state {
            State::Connecting { .. } => None,
            State::Tunnelling(tunnel) => tunnel.refusal().map(DisconnectReason::Proxy),
            State::Handshaking { response, .. } => {
                other_server(response.partial()).map(DisconnectReason::Impostor)
            }
        }
    }

    /// Who is at the other end.
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
        let all_has_left = common.outbox.is_empty();
        match &self.state {
            State::Connecting { .. } => None,
            State::Tunnelling(tunnel) => (tunnel.is_asked_for() && all_has_left).then_some(Hint::NotReached),
            State::Handshaking { response, .. } => match (response.partial().len(), common.times.party()) {
                // Less than a response, or it would have been handled.
                (len @ 1.., _) => Some(Hint::Incomplete(len as u8)),
                (0, Party::Relay) => (end.is_close() && all_has_left).then_some(Hint::OtherKey),
                (0, _) if end.is_close() && all_has_left => Some(Hint::NotReachedOrOtherKey),
                (0, _) => Some(Hint::NotReached),
            },
        }
    }

    /// The bytes that the buffer of a message begun holds, used or not.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        match &self.state {
            State::Connecting { .. } | State::Tunnelling(_) => 0,
            State::Handshaking { response, .. } => response.memory(),
        }
    }
}

/// The impostor that shows in the first bytes of what should be a handshake response: a random nonce.
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
