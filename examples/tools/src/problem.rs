//! What can be wrong with a relay, as a stable word and in words that help: for both tools.

use tox_relay_client::{
    ConnectError, DisconnectReason, Fault, Hint, Impostor, Party, ProxyError, Retry, Server, Stage,
};

use crate::state::State;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// For programs: it does not change.
    pub word: &'static str,
    /// For people.
    pub sentence: String,
    /// How bad it is.
    pub state: State,
    /// Who caused it, most probably.
    pub fault: Option<Fault>,
    /// Whether another try may help.
    pub retry: Option<Retry>,
    /// How far the connection was.
    pub stage: Option<Stage>,
}

impl Problem {
    pub fn new(word: &'static str, state: State, sentence: impl Into<String>) -> Self {
        Self { word, sentence: sentence.into(), state, fault: None, retry: None, stage: None }
    }

    /// The end of a connection that should have lasted.
    pub fn from_end(reason: DisconnectReason) -> Self {
        let (word, state, sentence) = explain(reason);
        let (fault, retry, stage) = (Some(reason.fault()), reason.retry(), reason.stage());
        Self { word, sentence, state, fault, retry, stage }
    }

    /// Why a connection was not even started.
    pub fn from_refusal(error: &ConnectError) -> Self {
        let (word, sentence) = match error {
            ConnectError::NameWithoutProxy(name) => {
                ("no-name", format!("{name:?} has no address: is it spelled right?"))
            }
            ConnectError::LowOrderKey | ConnectError::NonCanonicalKey => ("bad-key", error.to_string()),
            ConnectError::Io(_) => ("unreachable", error.to_string()),
            _ => ("not-possible", error.to_string()),
        };
        let (fault, retry) = (Some(error.fault()), Some(error.retry()));
        Self { fault, retry, ..Self::new(word, State::Down, sentence) }
    }

    /// The end of the second connection.
    pub fn from_second(reason: DisconnectReason) -> Self {
        let problem = Self::from_end(reason);
        let sentence = format!("the second connection failed: {}", problem.sentence);
        let state = if problem.state == State::Down { State::Failing } else { problem.state };
        Self { word: "no-second", state, sentence, ..problem }
    }
}

fn explain(reason: DisconnectReason) -> (&'static str, State, String) {
    use DisconnectReason::{
        Closed, Impostor as NotIt, NoPong, PingFlood, Protocol, Refused, TimedOut, Transport,
    };
    const MUTE_PROXY: &str = "the proxy does not answer";
    const NOT_A_RELAY: &str = "the port is open, but what answers is not a relay";
    let (word, state, sentence) = match reason {
        Refused(Party::Proxy) => ("proxy-down", State::Proxy, "nothing listens at the proxy's address"),
        Refused(_) => ("refused", State::Down, "nothing listens at this port"),
        TimedOut { stage: Stage::Connecting, party: Party::Proxy, .. } => {
            ("proxy-down", State::Proxy, MUTE_PROXY)
        }
        TimedOut { stage: Stage::Connecting, .. } => {
            ("timeout", State::Down, "no answer: the machine is off, or a firewall drops packets")
        }
        TimedOut { hint: Some(Hint::NotReached), .. } => {
            ("not-reached", State::Down, "the proxy works, but has not reached it in time")
        }
        TimedOut { stage: Stage::Tunnelling, .. } => ("proxy-down", State::Proxy, MUTE_PROXY),
        TimedOut { hint: Some(Hint::Incomplete(len)), .. } => {
            return ("not-tox", State::Impostor, format!("{NOT_A_RELAY}: it sent {len} bytes, and no more"));
        }
        TimedOut { .. } => ("silent", State::Down, "the port is open, but nothing answers the handshake"),
        NoPong(Stage::Connected) => ("no-pong", State::Down, "it has stopped to answer pings"),
        NoPong(_) => {
            ("unproved", State::Down, "it answered the handshake, but did not prove that it holds its key")
        }
        Transport { stage: Stage::Connecting, party: Party::Proxy, .. } => {
            return ("proxy-down", State::Proxy, reason.to_string());
        }
        Transport { stage: Stage::Connecting, .. } => {
            return ("unreachable", State::Down, reason.to_string());
        }
        Closed { hint: Some(Hint::NotReached), .. } | Transport { hint: Some(Hint::NotReached), .. } => {
            ("not-reached", State::Down, "the proxy works, but ended the connection: it may not reach it")
        }
        Closed { stage: Stage::Tunnelling, .. } | Transport { stage: Stage::Tunnelling, .. } => {
            return ("proxy-error", State::Proxy, reason.to_string());
        }
        Closed { hint: Some(Hint::Incomplete(len)), .. }
        | Transport { hint: Some(Hint::Incomplete(len)), .. } => {
            let sentence = format!("{NOT_A_RELAY}: it sent {len} bytes, and closed the connection");
            return ("not-tox", State::Impostor, sentence);
        }
        Closed { hint: Some(Hint::OtherKey), .. } | Transport { hint: Some(Hint::OtherKey), .. } => (
            "maybe-wrong-key",
            State::Down,
            "closed in the handshake: the key may be wrong, it is full, or it is no relay",
        ),
        Closed { hint: Some(Hint::NotReachedOrOtherKey), .. }
        | Transport { hint: Some(Hint::NotReachedOrOtherKey), .. } => (
            "closed",
            State::Down,
            "closed in the handshake: the proxy may not have reached it, or the key may be wrong",
        ),
        Closed { stage: Stage::Handshaking, .. } | Transport { stage: Stage::Handshaking, .. } => {
            ("closed", State::Down, "closed before our hello was sent: the relay may be full")
        }
        Closed { stage: Stage::Confirming, .. } | Transport { stage: Stage::Confirming, .. } => {
            ("unproved", State::Down, "it closed the connection before it proved that it holds its key")
        }
        Closed { .. } | Transport { .. } => ("lost", State::Down, "it ended the connection in the middle"),
        DisconnectReason::Proxy(error) => return explain_proxy(error),
        // A relay with another key cannot read our hello, and so does not get as far as this.
        NotIt(Impostor::WrongKey) => (
            "bad-response",
            State::Impostor,
            "the port is open, but what answers is not a Tox relay, or the key is wrong",
        ),
        NotIt(Impostor::OtherServer(server)) => {
            let word = match server {
                Server::Tls => "tls",
                Server::Ssh => "ssh",
                Server::Http => "http",
                Server::Mail => "mail",
                _ => "not-tox",
            };
            return (word, State::Impostor, format!("the port is open, but {server} answers"));
        }
        NotIt(Impostor::Replay) => {
            ("replay", State::Impostor, "an impostor: it repeats an old response, and does not hold the key")
        }
        NotIt(error) => return ("impostor", State::Impostor, format!("an impostor: {error}")),
        Protocol(violation) => {
            return ("violation", State::Violation, format!("it breaks the protocol: {violation}"));
        }
        PingFlood => ("violation", State::Violation, "it sends pings and does not read the answers"),
        _ => return ("ended", State::Down, reason.to_string()),
    };
    (word, state, sentence.to_owned())
}

fn explain_proxy(error: ProxyError) -> (&'static str, State, String) {
    use ProxyError::{Credentials, Malformed, NoAcceptableMethod, Protocol, Socks4, Unauthorized};
    match error {
        NoAcceptableMethod | Credentials | Unauthorized { .. } | Socks4 { code: 92 | 93 } => {
            ("proxy-login", State::Proxy, format!("the proxy does not let us in: {error}"))
        }
        Protocol { .. } | Malformed(_) => {
            ("proxy-error", State::Proxy, format!("the proxy is none: {error}"))
        }
        _ => ("not-reached", State::Down, format!("the proxy works, but has not reached it: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_is_down_is_not_a_relay_that_is_down() {
        let timed_out = |stage, party, hint| DisconnectReason::TimedOut { stage, party, hint };
        let not_reached = Some(Hint::NotReached);
        for (reason, word, state) in [
            (DisconnectReason::Refused(Party::Proxy), "proxy-down", State::Proxy),
            (DisconnectReason::Refused(Party::Relay), "refused", State::Down),
            (timed_out(Stage::Connecting, Party::Proxy, None), "proxy-down", State::Proxy),
            (timed_out(Stage::Tunnelling, Party::Proxy, None), "proxy-down", State::Proxy),
            (timed_out(Stage::Tunnelling, Party::Proxy, not_reached), "not-reached", State::Down),
            (timed_out(Stage::Connecting, Party::Relay, None), "timeout", State::Down),
            (timed_out(Stage::Handshaking, Party::Relay, None), "silent", State::Down),
            (DisconnectReason::Proxy(ProxyError::Credentials), "proxy-login", State::Proxy),
            (DisconnectReason::Proxy(ProxyError::Socks5 { code: 5 }), "not-reached", State::Down),
            (DisconnectReason::Proxy(ProxyError::Malformed("no")), "proxy-error", State::Proxy),
        ] {
            let problem = Problem::from_end(reason);
            assert_eq!((problem.word, problem.state), (word, state), "{reason}");
        }
    }

    #[test]
    fn a_relay_that_closes_after_our_hello_may_have_another_key() {
        let (stage, party) = (Stage::Handshaking, Party::Relay);
        let closed = |hint| Problem::from_end(DisconnectReason::Closed { stage, party, hint });
        let problem = closed(Some(Hint::OtherKey));
        assert_eq!((problem.word, problem.state), ("maybe-wrong-key", State::Down));
        assert!(problem.sentence.starts_with("closed in the handshake: the key may be wrong"));
        // Through a proxy there is another cause, and before the hello is sent the key is none.
        assert_eq!([Some(Hint::NotReachedOrOtherKey), None].map(|hint| closed(hint).word), ["closed"; 2]);
    }

    #[test]
    fn a_short_answer_is_not_a_wrong_key() {
        let (stage, party, hint) = (Stage::Handshaking, Party::Relay, Some(Hint::Incomplete(12)));
        for (reason, then) in [
            (DisconnectReason::Closed { stage, party, hint }, "12 bytes, and closed the connection"),
            (DisconnectReason::TimedOut { stage, party, hint }, "12 bytes, and no more"),
        ] {
            let problem = Problem::from_end(reason);
            assert_eq!((problem.word, problem.state), ("not-tox", State::Impostor));
            assert!(problem.sentence.ends_with(then), "{}", problem.sentence);
        }
    }

    #[test]
    fn another_server_is_named() {
        for (server, word, sentence) in [
            (Server::Tls, "tls", "the port is open, but a TLS server answers"),
            (Server::Ssh, "ssh", "the port is open, but an SSH server answers"),
            (Server::Http, "http", "the port is open, but an HTTP server answers"),
            (Server::Mail, "mail", "the port is open, but a mail or FTP server answers"),
        ] {
            let problem = Problem::from_end(DisconnectReason::Impostor(Impostor::OtherServer(server)));
            assert_eq!((problem.word, &*problem.sentence), (word, sentence));
            assert_eq!((problem.state, problem.fault), (State::Impostor, Some(Fault::Relay)));
        }
    }
}
