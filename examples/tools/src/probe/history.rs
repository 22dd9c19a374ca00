//! What is remembered of a relay from round to round.

use std::time::SystemTime;

use crate::probe::list::Families;
use crate::probe::report::Report;
use crate::probe::resolve::Found;
use crate::probe::target::Target;
use crate::probe::verdict::{Limits, Verdict};
use crate::state::State;

/// A target, its last report, and a small history.
pub struct Probed {
    pub target: Target,
    /// How it is reached: `ipv4`, `ipv6`, the kind of the proxy, or `name` if a host name has no address.
    pub way: &'static str,
    pub report: Report,
    pub verdict: Verdict,
    /// When the last round ended.
    pub time: SystemTime,
    pub history: History,
}

/// Of the rounds so far.
#[derive(Default)]
pub struct History {
    /// The last 8 rounds, the newest in the lowest bit: 1 if the relay has proved its key.
    pub reach: u8,
    /// How many rounds there were.
    pub rounds: u64,
    /// In how many of them the relay has proved its key.
    pub reached: u64,
    /// How often the state has changed.
    pub changes: u64,
}

impl Probed {
    /// `proxy`: its kind, if there is one.
    pub fn new(target: Target, proxy: Option<&'static str>) -> Self {
        Self {
            way: proxy.unwrap_or(family(&target)),
            target,
            report: Report::default(),
            verdict: Verdict { state: State::Unknown, problems: Vec::new() },
            time: SystemTime::now(),
            history: History::default(),
        }
    }

    /// Takes what its host name is now, if it has one that is looked up here, and not by a proxy.
    pub fn resolve(&mut self, found: &Found) {
        self.target.resolve(found);
        self.way = family(&self.target);
    }

    /// Adds the result of a round.
    pub fn add(&mut self, mut report: Report, limits: &Limits) {
        self.verdict = Verdict::new(&mut report, limits);
        self.time = SystemTime::now();
        // An interrupted round says nothing about the relay.
        if !report.is_interrupted {
            self.history.add(report.phases.proof.is_some());
        }
        self.report = report;
    }
}

fn family(target: &Target) -> &'static str {
    match target.address.socket_addr() {
        Some(address) if address.is_ipv4() => "ipv4",
        Some(_) => "ipv6",
        // The name was lost, and may have been two targets with the same address.
        None => match target.families() {
            Some(Families::IPV4) => "ipv4",
            Some(Families::IPV6) => "ipv6",
            _ => "name",
        },
    }
}

impl History {
    fn add(&mut self, is_reached: bool) {
        self.reach = self.reach << 1 | u8::from(is_reached);
        self.rounds += 1;
        self.reached += u64::from(is_reached);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::list::Listed;
    use crate::probe::target::targets;

    #[test]
    fn both_families_of_a_name_that_was_lost_were_the_same_series_for_prometheus() {
        let both = Families { ipv4: true, ipv6: true };
        let address = "relay.example:1".parse().unwrap();
        let relay = Listed { addresses: vec![(address, both)], key: [9; 32].into(), name: None };
        let answer = |answer| Found::from([("relay.example".to_owned(), answer)]);
        let found = answer(Ok(["192.0.2.1", "2001:db8::7"].map(|ip| ip.parse().unwrap()).to_vec()));
        let targets = targets(vec![relay], both, Some(&found));
        let mut probed: Vec<_> = targets.into_iter().map(|target| Probed::new(target, None)).collect();
        probed.iter_mut().for_each(|probed| probed.resolve(&answer(Err("lost".to_owned()))));
        let labels: Vec<_> =
            probed.iter().map(|probed| (probed.target.address.to_string(), probed.way)).collect();
        assert_eq!(labels, ["ipv4", "ipv6"].map(|way| ("relay.example:1".to_owned(), way)));
    }

    #[test]
    fn reach_has_the_last_eight_rounds() {
        let mut history = History::default();
        let octal = |history: &History| format!("{:o}", history.reach);
        for (is_reached, expected) in [(true, "1"), (true, "3"), (false, "6"), (true, "15")] {
            history.add(is_reached);
            assert_eq!(octal(&history), expected);
        }
        for _ in 0..8 {
            history.add(true);
        }
        assert_eq!((octal(&history), history.rounds, history.reached), ("377".to_owned(), 12, 11));
    }
}
