//! Pools with several real relays, which fail one after the other while data flow. With figures:
//! `cargo run --release -p interop --example failover`.

use std::time::Duration;

use interop::failover::{Fault, Outage, Pair, Told};

const SECOND: Duration = Duration::from_secs(1);

/// How long before a report packets may be lost. An end is noticed in the next poll, and silence 5 s after the first
/// packet that was not answered; the rest is for a machine that is busy with other tests.
const AFTER_RESET: Duration = SECOND;
const AFTER_SILENCE: Duration = Duration::from_secs(6);

/// How long the receiver may wait for data.
const RESET: Duration = SECOND;
const SILENCE: Duration = Duration::from_secs(7);

/// Each of three relays fails and returns, the one that carries the data first.
#[track_caller]
fn each_in_turn_suffers(fault: Fault, lost_within: Duration, longest: Duration) {
    let mut pair = Pair::start(3).unwrap();
    pair.run_for(SECOND).unwrap();
    let mut rest = vec![0, 1, 2];
    while let Some(next) = rest.first().copied() {
        let used = pair.used().filter(|used| rest.contains(used));
        let relay = used.unwrap_or(next);
        rest.retain(|other| *other != relay);
        suffers(&mut pair, relay, fault, longest);
    }
    judge(pair, lost_within);
}

fn suffers(pair: &mut Pair, relay: usize, fault: Fault, longest: Duration) -> Outage {
    let reported = pair.log().told.len();
    let outage = pair.suffer(relay, fault).unwrap();
    println!("{outage:?}");
    assert!(outage.pause < longest, "{outage:?}");
    let moved = pair.log().told[reported..].iter().any(|(_, told)| *told == Told::MovedFrom(relay));
    assert_eq!(moved, outage.was_used, "{outage:?}");
    outage
}

fn judge(pair: Pair, lost_within: Duration) {
    let log = pair.finish().unwrap();
    println!("{} of {} arrived, {:?} refused", log.arrived.len(), log.sent.len(), log.refused);
    assert_eq!(log.violations(lost_within), [""; 0]);
    assert!(log.arrived.len() > 500, "{}", log.arrived.len());
}

#[test]
fn relays_that_are_killed_are_replaced_at_once() {
    each_in_turn_suffers(Fault::Reset, AFTER_RESET, RESET);
}

#[test]
fn relays_that_are_restarted_are_replaced_at_once_and_used_again() {
    each_in_turn_suffers(Fault::Restart, AFTER_RESET, RESET);
}

#[test]
fn relays_that_pause_are_replaced_and_used_again() {
    each_in_turn_suffers(Fault::Pause, AFTER_SILENCE, SILENCE);
}

#[test]
fn a_relay_that_stays_silent_is_replaced_and_given_up() {
    let mut pair = Pair::start(3).unwrap();
    pair.run_for(SECOND).unwrap();
    let relay = pair.used().unwrap();
    suffers(&mut pair, relay, Fault::Silence, SILENCE);
    assert!(pair.log().told.iter().any(|(_, told)| *told == Told::Down(relay)));
    judge(pair, AFTER_SILENCE);
}
