//! The window with all relays on all lines. The figures: `cargo run --release -p simulation -- flow`.

use std::time::Duration;

use simulation::flow::{LINES, LineKind, Outcome, RELAYS, RelayKind, transfer};

/// What every relay bears, and some important packets.
const BEARABLE: usize = 52_000;

/// The seeds of the random moments at which pings leave: `FLOW_SEEDS` of them, or one.
fn seeds() -> std::ops::RangeInclusive<u64> {
    1..=std::env::var("FLOW_SEEDS").map_or(1, |count| count.parse().expect("a number"))
}

/// Calls `check` with the outcomes of this relay on each line.
fn each_line(relay: &str, check: impl Fn(&'static RelayKind, &'static LineKind, Outcome, &str)) {
    let relay = RELAYS.iter().find(|kind| kind.name == relay).expect("a relay");
    for (line, seed) in LINES.iter().flat_map(|line| seeds().map(move |seed| (line, seed))) {
        let outcome = transfer(line, relay, true, seed);
        let what = format!("{}, {}, seed {seed}: {outcome:?}", relay.name, line.name);
        check(relay, line, outcome, &what);
    }
}

/// Asserts that the throughput is at least this part of that without a window.
fn assert_rate(relay: &'static RelayKind, line: &'static LineKind, outcome: &Outcome, part: f64, what: &str) {
    let without = transfer(line, relay, false, 1);
    assert!(outcome.rate >= part * without.rate, "{what}, without a window {without:?}");
}

#[test]
fn a_relay_that_reads_at_once_gets_nearly_as_much_as_without_a_window() {
    each_line("reads at once", |relay, line, outcome, what| {
        assert_eq!(outcome.end, None, "{what}");
        // Where pongs are late for other reasons, it is not known to read at once: it reads everything before the next data.
        let is_steady = line.loses_one_in.is_none() && line.rate > 1e6;
        assert_rate(relay, line, &outcome, if is_steady { 0.9 } else { 0.7 }, what);
    });
}

#[test]
fn a_relay_that_counts_in_16_bits_never_gets_stuck() {
    each_line("looks every 30 ms, counts in 16 bits", |relay, line, outcome, what| {
        assert_eq!(outcome.end, None, "{what}");
        assert!(outcome.most_waiting <= BEARABLE && outcome.window <= BEARABLE, "{what}");
        // Half of what a window in a round trip is, since requests and probes delay some of them.
        let least = (25e3 / (2.0 * line.delay.as_secs_f64() + 0.030)).min(0.85 * line.rate);
        let least = if line.loses_one_in.is_some() { least / 2.0 } else { least };
        assert!(outcome.rate >= least, "{what}, and not {least} bytes/s");
        if line.name == "1 ms" {
            let without = transfer(line, relay, false, 1);
            assert_eq!(without.rate, 0.0, "the model gets stuck without a window");
        }
    });
}

#[test]
fn no_more_waits_at_a_slow_relay_than_it_reads_soon() {
    each_line("reads 50 KB/s", |relay, line, outcome, what| {
        assert_eq!(outcome.end, None, "{what}");
        assert_rate(relay, line, &outcome, 0.65, what);
        assert!(outcome.most_waiting <= BEARABLE, "{what}");
        assert!(outcome.longest_wait <= Duration::from_secs(1), "{what}");
        assert!(outcome.latest_answer < Duration::from_secs(1) + 2 * line.delay, "{what}");
    });
}

#[test]
fn a_relay_that_stalls_goes_on() {
    each_line("stalls for a second", |relay, line, outcome, what| {
        assert_eq!(outcome.end, None, "{what}");
        assert_rate(relay, line, &outcome, 0.5, what);
        assert!(outcome.latest_answer < Duration::from_millis(2000), "{what}");
    });
}

#[test]
fn a_relay_that_answers_no_ping_gets_one_window_and_ends_after_ten_seconds() {
    each_line("answers no ping", |_, _, outcome, what| {
        let (time, reason) = outcome.end.as_ref().expect("an end");
        assert!(time.abs_diff(Duration::from_secs(10)) <= Duration::from_millis(1), "{what}");
        assert!(reason.contains("no ping was answered"), "{what}");
        assert!(outcome.window <= BEARABLE, "{what}");
    });
}

/// It was known to read at once, and much was under way when it slowed down.
#[test]
fn a_relay_that_slows_down_is_not_taken_for_dead_and_its_queue_becomes_short() {
    each_line("reads at once, then 200 KB/s", |_, _, outcome, what| {
        assert_eq!(outcome.end, None, "{what}");
        // What was under way, up to what the systems hold, is read first.
        assert!(outcome.latest_answer < Duration::from_secs(6), "{what}");
        assert!(outcome.window_at_end <= 3 * BEARABLE, "{what}");
    });
}
