//! Why a connection ended: what the transport says of it, and what was seen before.

use std::io::ErrorKind::{self, BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset};

use crate::connection::doorway::Step;
use crate::connection::{Connection, State};
use crate::error::{DisconnectReason, Hint, Impostor, Server};
use crate::stage::{Party, Stage};

/// How a transport ends.
#[derive(Debug, Clone, Copy)]
pub enum End {
    /// The other side closed it.
    Closed,
    /// It failed: what the operating system said, and its number for that.
    Failed(ErrorKind, Option<i32>),
    /// It is given up, since the connect timeout has run out.
    Late,
}

impl From<&std::io::Error> for End {
    fn from(error: &std::io::Error) -> Self {
        Self::Failed(error.kind(), error.raw_os_error())
    }
}

impl End {
    /// Whether the other side has ended it, cleanly or not.
    fn is_close(self) -> bool {
        matches!(self, Self::Closed | Self::Failed(ConnectionReset | ConnectionAborted | BrokenPipe, _))
    }
}

impl Connection {
    /// The transport has ended. An answer that was on its way says more than the end does.
    pub fn handle_end(&self, end: End) -> DisconnectReason {
        if let Some(reason) = self.begun_answer() {
            return reason;
        }
        let (stage, party, hint) = (self.stage(), self.party(), self.hint(end));
        match end {
            End::Failed(ConnectionRefused, _) if stage == Stage::Connecting => {
                DisconnectReason::Refused(party)
            }
            End::Failed(kind, code) => DisconnectReason::Transport { stage, party, hint, kind, code },
            End::Closed => DisconnectReason::Closed { stage, party, hint },
            End::Late => DisconnectReason::TimedOut { stage, party, hint },
        }
    }

    /// What shows in an answer that has begun: the proxy's refusal, or a server that is no relay.
    fn begun_answer(&self) -> Option<DisconnectReason> {
        let State::Opening(doorway) = &self.state else {
            return None;
        };
        match &doorway.step {
            Step::Connecting => None,
            Step::Tunnelling(tunnel) => tunnel.refusal().map(DisconnectReason::Proxy),
            Step::Handshaking(_) => other_server(self.inbox.partial()).map(DisconnectReason::Impostor),
        }
    }

    fn party(&self) -> Party {
        match &self.state {
            _ if self.times.get().tunnel.is_some() => Party::Tunnel,
            State::Opening(doorway) if doorway.opening.tunnel.is_some() => Party::Proxy,
            _ => Party::Relay,
        }
    }

    fn hint(&self, end: End) -> Option<Hint> {
        if !end.is_close() && !matches!(end, End::Late) {
            return None;
        }
        let all_has_left = !self.has_output();
        match &self.state {
            State::Opening(doorway) => match &doorway.step {
                Step::Connecting => None,
                Step::Tunnelling(tunnel) => {
                    (tunnel.is_asked_for() && all_has_left).then_some(Hint::NotReached)
                }
                Step::Handshaking(_) => match (self.inbox.partial().len(), self.party()) {
                    // Less than a response, or it would have been handled.
                    (len @ 1.., _) => Some(Hint::Incomplete(len as u8)),
                    (0, Party::Relay) => (end.is_close() && all_has_left).then_some(Hint::OtherKey),
                    (0, _) if end.is_close() && all_has_left => Some(Hint::NotReachedOrOtherKey),
                    (0, _) => Some(Hint::NotReached),
                },
            },
            State::Open { .. } => end.is_close().then_some(Hint::SameKey),
        }
    }
}

/// The impostor that shows in the first bytes of what should be a handshake response: a random nonce.
pub(super) fn other_server(bytes: &[u8]) -> Option<Impostor> {
    let server = match bytes {
        // A TLS record: an alert, or a handshake that nobody asked for.
        [0x15 | 0x16, 3, 0..=4, ..] => Server::Tls,
        _ if bytes.starts_with(b"SSH-") => Server::Ssh,
        _ if bytes.starts_with(b"HTTP/") => Server::Http,
        _ => return None,
    };
    Some(Impostor::OtherServer(server))
}
