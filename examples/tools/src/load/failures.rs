//! Why connections failed, counted.

use std::collections::BTreeMap;

use serde::Serialize;
use tox_relay_client::{ConnectError, DisconnectReason};

use crate::problem::Problem;
use crate::state::State;

/// Why a connection failed, or never began: a stable word for programs, and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    pub reason: &'static str,
    pub message: String,
    /// Whether the proxy is the cause, and not the relay.
    #[serde(skip)]
    pub is_proxys: bool,
}

impl From<Problem> for Failure {
    fn from(Problem { word, sentence, state, .. }: Problem) -> Self {
        Self { reason: word, message: sentence, is_proxys: state == State::Proxy }
    }
}

impl From<DisconnectReason> for Failure {
    fn from(reason: DisconnectReason) -> Self {
        Problem::from_end(reason).into()
    }
}

impl Failure {
    /// A relay has refused the route between a pair.
    pub fn route_refused() -> Self {
        Self { reason: "route-refused", message: "the relay refused a route".into(), is_proxys: false }
    }
}

impl From<&ConnectError> for Failure {
    fn from(error: &ConnectError) -> Self {
        Problem::from_refusal(error).into()
    }
}

/// How often each failure occurred.
#[derive(Debug, Clone, Default)]
pub struct Failures(BTreeMap<String, Counted>);

/// A failure, and how many connections it has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counted {
    pub count: u64,
    #[serde(flatten)]
    pub failure: Failure,
}

impl Failures {
    pub fn count(&mut self, failure: Failure) {
        let counted = self.0.entry(failure.message.clone()).or_insert_with(|| Counted { count: 0, failure });
        counted.count += 1;
    }

    /// The most frequent first.
    pub fn list(&self) -> Vec<Counted> {
        let mut all: Vec<_> = self.0.values().cloned().collect();
        all.sort_by_key(|counted| std::cmp::Reverse(counted.count));
        all
    }
}

#[cfg(test)]
mod tests {
    use tox_relay_client::{Party, ProxyError, Stage};

    use super::*;

    #[test]
    fn failures_are_counted_by_what_they_say() {
        let mut failures = Failures::default();
        failures.count(DisconnectReason::NoPong(Stage::Connected).into());
        for _ in 0..3 {
            failures.count(DisconnectReason::Refused(Party::Relay).into());
        }
        let list = failures.list();
        let words: Vec<_> = list.iter().map(|counted| (counted.count, counted.failure.reason)).collect();
        assert_eq!(words, [(3, "refused"), (1, "no-pong")]);
    }

    #[test]
    fn a_dead_proxy_and_wrong_credentials_are_the_proxys() {
        let is_proxys = |reason: DisconnectReason| Failure::from(reason).is_proxys;
        assert!(is_proxys(DisconnectReason::Refused(Party::Proxy)));
        assert!(is_proxys(DisconnectReason::Proxy(ProxyError::Credentials)));
        assert!(!is_proxys(DisconnectReason::Refused(Party::Relay)));
        assert!(!is_proxys(DisconnectReason::Proxy(ProxyError::Socks5 { code: 5 })));
    }
}
