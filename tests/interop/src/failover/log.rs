//! What was sent, what arrived and what was reported, and whether it agrees with what a pool promises.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use tox_relay_client::pool::PoolSendError;

/// An accepted packet.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// When `send` has accepted it.
    pub at: Instant,
    /// The place of the relay that carries it.
    pub relay: usize,
}

/// A packet that has arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// When the receiver's poll has reported it.
    pub at: Instant,
    /// Its number: the place in [`Log::sent`].
    pub number: usize,
    /// The place of the relay by which it came.
    pub relay: usize,
}

/// What a pool has reported about its peer or a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The peer is online.
    Online,
    /// The peer is offline.
    Offline,
    /// Another relay than this one carries the data now.
    MovedFrom(usize),
    /// The connection to this relay has ended.
    Down(usize),
}

/// The history of a [`Pair`](crate::failover::Pair). Relays are named by their place.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The accepted packets, by number.
    pub sent: Vec<Sent>,
    /// Why packets were not accepted. They have no number.
    pub refused: Vec<PoolSendError>,
    /// The packets that have arrived, in this order.
    pub arrived: Vec<Arrival>,
    /// What the sender's pool has reported.
    pub told: Vec<(Instant, Told)>,
    /// What the receiver's pool has reported.
    pub told_receiver: Vec<(Instant, Told)>,
}

impl Log {
    /// The numbers of the packets that were accepted in this period and have not arrived.
    pub fn lost(&self, period: Range<Instant>) -> Vec<usize> {
        let arrived: BTreeSet<usize> = self.arrived.iter().map(|arrival| arrival.number).collect();
        let sent = self.sent.iter().enumerate().filter(|(_, sent)| period.contains(&sent.at));
        sent.map(|(number, _)| number).filter(|number| !arrived.contains(number)).collect()
    }

    /// How many packets have arrived in this period after one that was sent later.
    pub fn late(&self, period: Range<Instant>) -> usize {
        let mut latest = 0;
        let is_late = |arrival: &&Arrival| {
            latest = latest.max(arrival.number);
            period.contains(&arrival.at) && arrival.number < latest
        };
        self.arrived.iter().filter(is_late).count()
    }

    /// The longest time in this period in which nothing arrived.
    pub fn longest_pause(&self, period: Range<Instant>) -> Duration {
        let times = self.arrived.iter().map(|arrival| arrival.at);
        let before = times.clone().take_while(|at| *at < period.start).last();
        let within = times.filter(|at| period.contains(at));
        let mut last = before.unwrap_or(period.start);
        within.chain([period.end]).map(|at| at - std::mem::replace(&mut last, at)).max().unwrap_or_default()
    }

    /// What a pool must not do; empty if all is well. A packet may be lost only if its relay was reported to have ended,
    /// or to carry the data no more, or the peer to be offline, not more than `within` after the packet was accepted.
    pub fn violations(&self, within: Duration) -> Vec<String> {
        let mut violations = Vec::new();
        if let [first, .., last] = self.sent[..] {
            let lost = self.lost(first.at..last.at + within);
            let untold = lost.into_iter().filter(|number| !self.is_told(self.sent[*number], within));
            violations.extend(untold.map(|number| format!("{number} was lost and it was not reported")));
        }
        let mut seen = BTreeSet::new();
        let mut last: Vec<Option<usize>> = Vec::new();
        for Arrival { number, relay, .. } in &self.arrived {
            if *number >= self.sent.len() {
                violations.push(format!("{number} arrived and was not sent"));
            }
            if !seen.insert(number) {
                violations.push(format!("{number} arrived twice"));
            }
            last.resize(last.len().max(relay + 1), None);
            if let Some(before) = last[*relay].replace(*number).filter(|before| before > number) {
                violations.push(format!("{number} arrived after {before} by the same relay"));
            }
        }
        for (who, told) in [("sender", &self.told), ("receiver", &self.told_receiver)] {
            let count = |what| told.iter().filter(|(_, told)| *told == what).count();
            let (online, offline) = (count(Told::Online), count(Told::Offline));
            if (online, offline) != (1, 0) {
                violations
                    .push(format!("the {who}'s peer was online {online} times, offline {offline} times"));
            }
        }
        let unreachable = self.refused.iter().filter(|error| **error != PoolSendError::WouldBlock);
        violations.extend(unreachable.map(|error| format!("a packet was refused: {error}")));
        violations
    }

    /// Whether the sender knows that this packet may be lost.
    fn is_told(&self, sent: Sent, within: Duration) -> bool {
        let in_time = |at: Instant| (sent.at..=sent.at + within).contains(&at);
        self.told.iter().any(|(at, told)| {
            in_time(*at)
                && match *told {
                    Told::MovedFrom(relay) | Told::Down(relay) => relay == sent.relay,
                    Told::Offline => true,
                    Told::Online => false,
                }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Ten packets, one a second by relay 0, all of which have arrived at once.
    fn history() -> (Instant, Log) {
        let start = Instant::now();
        let mut log = Log { told: vec![(start, Told::Online)], ..Log::default() };
        log.told_receiver.clone_from(&log.told);
        for number in 0..10 {
            let at = start + number as u32 * SECOND;
            log.sent.push(Sent { at, relay: 0 });
            log.arrived.push(Arrival { at, number, relay: 0 });
        }
        (start, log)
    }

    #[test]
    fn a_loss_must_be_reported_for_its_relay_and_in_time() {
        let (start, mut log) = history();
        assert_eq!(log.violations(SECOND), [""; 0]);
        log.arrived.remove(5);
        assert_eq!(log.lost(start..start + 6 * SECOND), [5]);
        let expected = ["5 was lost and it was not reported"];
        assert_eq!(log.violations(SECOND), expected);
        let at = start + 6 * SECOND;
        for (at, told) in [
            (at, Told::Down(1)),
            (at, Told::MovedFrom(1)),
            (start + 4 * SECOND, Told::Down(0)),
            (start + 7 * SECOND, Told::Down(0)),
        ] {
            log.told.push((at, told));
            assert_eq!(log.violations(SECOND), expected, "{told:?}");
        }
        for told in [Told::Down(0), Told::MovedFrom(0)] {
            log.told.push((at, told));
            assert_eq!(log.violations(SECOND), [""; 0]);
            log.told.pop();
        }
    }

    #[test]
    fn order_is_kept_by_relay_and_nothing_arrives_twice() {
        let (start, mut log) = history();
        log.arrived.swap(3, 4);
        assert_eq!(log.violations(SECOND), ["3 arrived after 4 by the same relay"]);
        log.arrived[4].relay = 1;
        assert_eq!(log.violations(SECOND), [""; 0]);
        assert_eq!(log.late(start..start + 10 * SECOND), 1);
        log.arrived.push(Arrival { at: start, number: 9, relay: 1 });
        assert_eq!(log.violations(SECOND), ["9 arrived twice"]);
        log.arrived[9].number = 10;
        assert_eq!(log.violations(SECOND), ["10 arrived and was not sent"]);
    }

    #[test]
    fn the_peer_is_online_once_and_reachable() {
        let (start, mut log) = history();
        log.told_receiver.push((start, Told::Offline));
        assert_eq!(log.violations(SECOND), ["the receiver's peer was online 1 times, offline 1 times"]);
        log.told_receiver.clear();
        assert_eq!(log.violations(SECOND), ["the receiver's peer was online 0 times, offline 0 times"]);
        let (_, mut log) = history();
        log.refused = vec![PoolSendError::WouldBlock, PoolSendError::Unreachable];
        assert_eq!(log.violations(SECOND).len(), 1);
    }

    #[test]
    fn a_pause_counts_from_the_last_arrival_before_the_period_until_its_end() {
        let (start, mut log) = history();
        assert_eq!(log.longest_pause(start..start + 9 * SECOND), SECOND);
        assert_eq!(log.longest_pause(start + SECOND..start + 12 * SECOND), 3 * SECOND);
        log.arrived.drain(3..6);
        assert_eq!(log.longest_pause(start + 5 * SECOND..start + 7 * SECOND), 4 * SECOND);
    }
}
