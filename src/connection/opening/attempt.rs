//! One attempt to reach the relay: the transport, the proxy, the handshake, and one deadline for all three.
//!
//! ```text
//!              transport                tunnel                  response
//! Connecting ─────────────► Tunnelling ────────► Handshaking ────────────► Session
//!      │                                              ▲
//!      └──────────────────────────────────────────────┘
//!               transport, if there is no proxy
//! ```
//!
//! In each state the attempt fails if the deadline passes, the transport ends, or the answer is wrong.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::address::Address;
use crate::config::Proxy;
use crate::connection::deadline::Deadline;
use crate::connection::ending::End;
use crate::connection::outbox::Flushed;
use crate::connection::times::Times;
use crate::crypto::{Channel, Entropy, Handshake, RESPONSE_LEN, SharedKey};
use crate::deframer::Deframer;
use crate::error::{DisconnectReason, Hint, Impostor, Server};
use crate::id::AttemptId;
use crate::key::PublicKey;
use crate::proxy::{MAX_REQUEST, Progress, Tunnel};
use crate::stage::{Party, Stage};

/// See the module.
pub(super) struct Attempt {
    pub(super) id: AttemptId,
    /// The relay's address.
    pub(super) address: Address,
    pub(super) times: Times,
    shared_key: Arc<SharedKey>,
    entropy: Entropy,
    timeout: Duration,
    /// Shared by all steps.
    deadline: Deadline,
    /// What is to be written: the hello, or a message to a proxy, which may contain secrets.
    output: Zeroizing<Vec<u8>>,
    state: State,
}

/// What an attempt is created from.
pub(super) struct AttemptParameters {
    pub(super) id: AttemptId,
    pub(super) address: Address,
    pub(super) proxy: Option<Arc<Proxy>>,
    pub(super) shared_key: Arc<SharedKey>,
    pub(super) entropy: Entropy,
    pub(super) timeout: Duration,
    /// When the connection began, from which its times are measured.
    pub(super) started: Instant,
}

enum State {
    /// The transport is not connected yet. It connects to the relay, or to a proxy from which a tunnel is then
    /// requested.
    Connecting { proxy: Option<Arc<Proxy>> },
    /// A tunnel to the relay was requested from the proxy.
    Tunnelling(Tunnel),
    /// The hello is to be written, or is written; the response has not arrived in full.
    Handshaking { handshake: Handshake, response: Deframer },
}

impl Attempt {
    /// An attempt whose transport begins to connect at `now`.
    pub(super) fn new(parameters: AttemptParameters, now: Instant) -> Self {
        let AttemptParameters { id, address, proxy, shared_key, entropy, timeout, started } = parameters;
        Self {
            id,
            address,
            times: Times::new(started),
            shared_key,
            entropy,
            timeout,
            deadline: Deadline::new(now + timeout),
            output: Zeroizing::default(),
            state: State::Connecting { proxy },
        }
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

    /// The network has changed: the answer must arrive before `at`, if that is earlier. A proxy may need longer to
    /// reach the relay, for example an onion service, and the change of our network need not concern it.
    pub(super) fn handle_network_changed(&mut self, at: Instant) {
        let is_tunnelled = self.stage() == Stage::Tunnelling || self.times.party() == Party::Tunnel;
        if !is_tunnelled {
            self.deadline.shorten(at);
        }
    }

    /// The temporary key in the hello, if it is created.
    pub(super) fn temporary(&self) -> Option<PublicKey> {
        match &self.state {
            State::Handshaking { handshake, .. } => Some(handshake.temporary()),
            State::Connecting { .. } | State::Tunnelling(_) => None,
        }
    }

    /// Excludes the time from `since` to `now`, in which input was ready and the connection had no turn to read it.
    pub(super) fn handle_turn(&mut self, now: Instant, since: Instant) {
        let waited = now.saturating_duration_since(since.max(self.times.started()));
        self.deadline.exclude(waited, self.timeout);
    }

    /// The transport is connected: queues the request to the proxy, or the hello to the relay. A second call does
    /// nothing.
    pub(super) fn handle_connected(&mut self, now: Instant) {
        let State::Connecting { proxy } = &self.state else {
            return;
        };
        self.times.transport = self.times.until(now);
        match proxy {
            Some(proxy) => {
                let mut request = Zeroizing::new(Vec::with_capacity(MAX_REQUEST));
                self.state = State::Tunnelling(Tunnel::new(proxy, &self.address, &mut request));
                self.push(&request);
            }
            None => self.begin_handshake(),
        }
        self.begin_step(now);
    }

    /// Takes the bytes of the opening off the input. Returns the channel once the response is complete. `ours`: the
    /// temporary keys of the connection's attempts, if there are several.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        input: &mut &mut [u8],
        ours: &[PublicKey],
    ) -> Result<Option<Box<Channel>>, DisconnectReason> {
        if !input.is_empty() {
            self.times.set_heard(now);
        }
        loop {
            match &mut self.state {
                State::Connecting { .. } => return Ok(None),
                State::Tunnelling(tunnel) => {
                    let mut answer = Zeroizing::new(Vec::with_capacity(MAX_REQUEST));
                    let progress = tunnel.receive(input, &mut answer).map_err(DisconnectReason::Proxy)?;
                    self.push(&answer);
                    if progress == Progress::Waiting {
                        return Ok(None);
                    }
                    self.times.tunnel = self.times.until(now);
                    self.begin_handshake();
                    self.begin_step(now);
                }
                State::Handshaking { handshake, response } => {
                    let response_len = |_: &[u8]| Ok::<_, Infallible>(Some(RESPONSE_LEN));
                    let Ok(response) = response.next(input, response_len);
                    let Some(response) = response else {
                        return Ok(None);
                    };
                    let response = (&*response).try_into().expect("a message of the requested length");
                    let channel = handshake.finish(response, ours).map_err(|impostor| {
                        DisconnectReason::Impostor(other_server(response).unwrap_or(impostor))
                    })?;
                    self.times.handshake = self.times.until(now);
                    return Ok(Some(channel));
                }
            }
        }
    }

    /// Checks the deadline. `unread`: the transport may have unread input.
    pub(super) fn handle_timeout(&mut self, now: Instant, unread: bool) -> Result<(), DisconnectReason> {
        if self.deadline.has_passed(now, unread, self.timeout) {
            return Err(self.handle_end(End::Late));
        }
        Ok(())
    }

    /// The transport has ended. If the beginning of an answer shows the reason, that explains more than the end does.
    pub(super) fn handle_end(&self, end: End) -> DisconnectReason {
        self.begun_answer().unwrap_or_else(|| end.reason(self.stage(), self.party(), self.hint(end)))
    }

    pub(super) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Passes the output to `write`. Returns whether all is written.
    pub(super) fn flush(
        &mut self,
        mut write: impl FnMut(&[u8]) -> io::Result<usize>,
        flushed: &mut Flushed,
    ) -> io::Result<bool> {
        while !self.output.is_empty() {
            match write(&self.output) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => {
                    self.output.drain(..len);
                    flushed.bytes += len;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// What is still to be written.
    pub(super) fn output(&self) -> &[u8] {
        &self.output
    }

    fn push(&mut self, bytes: &[u8]) {
        // A vector that grows would leave a copy of its bytes in freed memory.
        let mut output = Zeroizing::new(Vec::with_capacity(self.output.len() + bytes.len()));
        output.extend_from_slice(&self.output);
        output.extend_from_slice(bytes);
        self.output = output;
    }

    /// Begins the next step. All steps share one timeout. But if time was excluded before this step, the step gets at
    /// least that much time, up to a full timeout.
    fn begin_step(&mut self, now: Instant) {
        self.deadline.extend(now + self.deadline.excluded().min(self.timeout));
    }

    fn begin_handshake(&mut self) {
        let (handshake, hello) = Handshake::new(Arc::clone(&self.shared_key), &self.entropy);
        self.push(&hello);
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
    fn party(&self) -> Party {
        match &self.state {
            State::Connecting { proxy: None } => Party::Relay,
            State::Connecting { proxy: Some(_) } | State::Tunnelling(_) => Party::Proxy,
            State::Handshaking { .. } => self.times.party(),
        }
    }

    fn hint(&self, end: End) -> Option<Hint> {
        if !end.is_close() && !matches!(end, End::Late) {
            return None;
        }
        let all_is_written = self.output.is_empty();
        match &self.state {
            State::Connecting { .. } => None,
            State::Tunnelling(tunnel) => {
                (tunnel.is_requested() && all_is_written).then_some(Hint::NotReached)
            }
            State::Handshaking { response, .. } => match (response.partial().len(), self.times.party()) {
                // Shorter than a response: a complete one is handled at once.
                (len @ 1.., _) => Some(Hint::Incomplete(len as u8)),
                (0, Party::Relay) => (end.is_close() && all_is_written).then_some(Hint::OtherKey),
                (0, _) if end.is_close() && all_is_written => Some(Hint::NotReachedOrOtherKey),
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

/// How servers begin that speak first, or answer what they do not understand. Without a status line, as in HTTP/0.9,
/// HTTP servers answer with a page. Letters are of either case.
const GREETINGS: [(&[u8], Server); 6] = [
    (b"SSH-", Server::Ssh),
    (b"HTTP/", Server::Http),
    (b"<!DOCTYPE", Server::Http),
    (b"<html", Server::Http),
    (b"220 ", Server::Mail),
    (b"220-", Server::Mail),
];

/// The impostor that these bytes reveal, if they are the greeting of another protocol. A real handshake response begins
/// with a random nonce.
fn other_server(bytes: &[u8]) -> Option<Impostor> {
    // A TLS record: an alert, or a handshake message.
    if let [0x15 | 0x16, 3, 0..=4, ..] = bytes {
        return Some(Impostor::OtherServer(Server::Tls));
    }
    let begins = |greeting: &[u8]| {
        bytes.get(..greeting.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(greeting))
    };
    let (_, server) = GREETINGS.iter().find(|(greeting, _)| begins(greeting))?;
    Some(Impostor::OtherServer(*server))
}
