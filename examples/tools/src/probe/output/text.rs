//! For people: a table, and a summary.

use std::time::{Duration, SystemTime};

use humantime::format_rfc3339_seconds;

use crate::probe::history::Probed;
use crate::probe::output::table::{Align, Column, Row, render};
use crate::probe::report::{Burst, Extras, Passing, Report};
use crate::probe::target::Target;
use crate::state::State;

const COLUMNS: [Column; 16] = [
    column("S", 0, Align::Left),
    column("relay", 0, Align::Left),
    column("key", 3, Align::Left),
    column("way", 8, Align::Left),
    column("tcp", 5, Align::Right),
    column("tunnel", 6, Align::Right),
    column("shake", 9, Align::Right),
    column("proof", 10, Align::Right),
    column("min", 7, Align::Right),
    column("median", 0, Align::Right),
    column("max", 4, Align::Right),
    column("lost", 1, Align::Right),
    column("reach", 11, Align::Right),
    column("oob", 12, Align::Right),
    column("route", 13, Align::Right),
    column("echo", 2, Align::Right),
];

const fn column(title: &'static str, dispensable: u8, align: Align) -> Column {
    Column { title, dispensable, align }
}

/// The whole table, and a summary.
pub fn all(probed: &[&Probed], width: Option<usize>) -> String {
    let rows: Vec<Row> = probed.iter().map(|probed| row(probed)).collect();
    format!("{}{}\n", render(&COLUMNS, &rows, "reason", width), summary(probed))
}

/// The same after many rounds, with how often each relay was reached.
pub fn history(probed: &[&Probed], width: Option<usize>) -> String {
    let with_history = |probed: &&Probed| {
        let history = &probed.history;
        let times = if history.changes == 1 { "once" } else { &format!("{} times", history.changes) };
        let all = format!("reached in {} of {} rounds, changed {times}", history.reached, history.rounds);
        Row { details: all, ..row(probed) }
    };
    let rows: Vec<Row> = probed.iter().map(with_history).collect();
    format!("{}{}\n", render(&COLUMNS, &rows, "reason", width), summary(probed))
}

/// A line for each relay that has changed, with the state that it had before.
pub fn changes(changes: &[(&Probed, State)]) -> String {
    let line = |(probed, before): &(&Probed, State)| {
        let Probed { target, verdict, time, history, .. } = probed;
        let time = format_rfc3339_seconds(*time);
        let (from, to, reach) = (before.letter(), verdict.state.letter(), history.reach);
        let reason = match verdict.sentence() {
            "" => "all well",
            sentence => sentence,
        };
        let (address, key, name) = (&target.address, target.key, name(target));
        let space = if name.is_empty() { "" } else { " " };
        format!("{time} {address} {key:.8}{space}{name} {from} -> {to} reach {reach:o}: {reason}\n")
    };
    changes.iter().map(line).collect()
}

fn row(probed: &Probed) -> Row {
    let Probed { target, way, report, verdict, history, .. } = probed;
    let Report { phases, pings, oob, route, echo, extras, .. } = report;
    let lost = if pings.sent > 0 { pings.lost().to_string() } else { String::new() };
    let cells = vec![
        verdict.state.letter().to_string(),
        target.address.to_string(),
        format!("{:.8}", target.key),
        (*way).to_owned(),
        millis(phases.tcp),
        millis(phases.tunnel),
        millis(phases.handshake),
        millis(phases.proof),
        millis(pings.smallest()),
        millis(pings.median()),
        millis(pings.largest()),
        lost,
        format!("{:o}", history.reach),
        millis(*oob),
        millis(*route),
        millis(*echo),
    ];
    let name = name(target);
    let sentences: Vec<&str> = verdict.problems.iter().map(|problem| problem.sentence.as_str()).collect();
    let remark = format!("{name} {}", sentences.join("; ")).trim().to_owned();
    Row { cells, remark, details: details(extras) }
}

/// The name in brackets, unless it is the address.
fn name(target: &Target) -> String {
    let name = target.name.as_deref().filter(|name| target.address.host_name() != Some(name));
    name.map(|name| format!("[{name}]")).unwrap_or_default()
}

/// Three digits that count: `0.31`, `12.3`, `1234`.
fn millis(time: Option<Duration>) -> String {
    let Some(millis) = time.map(|time| time.as_secs_f64() * 1e3) else { return String::new() };
    match millis {
        ..9.995 => format!("{millis:.2}"),
        ..99.95 => format!("{millis:.1}"),
        _ => format!("{millis:.0}"),
    }
}

/// What was tried besides.
fn details(extras: &Extras) -> String {
    let passing = |name: &str, passing: Passing| match passing {
        Passing::Answered(time) => format!("{name} answered in {} ms", millis(Some(time))),
        Passing::Accepted => format!("{name} accepted, no answer"),
        Passing::Refused => format!("{name} refused"),
    };
    let burst = |Burst { sent, received, bytes, time }| {
        let rate = bytes as f64 / time.as_secs_f64().max(1e-6) / 1e6;
        format!("burst {received} of {sent} in {} ms ({rate:.1} MB/s)", millis(Some(time)))
    };
    let all = [
        extras.largest_data.map(|bytes| format!("largest data {bytes} bytes")),
        extras.largest_oob.map(|bytes| format!("largest OOB {bytes} bytes")),
        extras.burst.map(burst),
        extras.routes.map(|routes| format!("{routes} routes")),
        extras.onion.map(|onion| passing("onion request", onion)),
        extras.forward.map(|forward| passing("forward request", forward)),
        extras.banner.as_ref().map(|banner| format!("what listens there: {banner}")),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// How many there are in each state.
fn summary(probed: &[&Probed]) -> String {
    let mut counts: Vec<(State, usize)> = Vec::new();
    for Probed { verdict, .. } in probed {
        match counts.last_mut() {
            Some((state, count)) if *state == verdict.state => *count += 1,
            _ => counts.push((verdict.state, 1)), // they are sorted by their state
        }
    }
    let counts: Vec<_> = counts.iter().map(|(state, count)| format!("{count} {}", state.word())).collect();
    let relays = if probed.len() == 1 { "relay" } else { "relays" };
    let time = format_rfc3339_seconds(
        probed.iter().map(|probed| probed.time).max().unwrap_or(SystemTime::UNIX_EPOCH),
    );
    format!("{} {relays}: {}; times in ms; {time}", probed.len(), counts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_that_count() {
        let text = |micros| millis(Some(Duration::from_micros(micros)));
        assert_eq!(
            [1, 312, 9_994, 9_996, 99_940, 99_960, 1_234_000].map(text),
            ["0.00", "0.31", "9.99", "10.0", "99.9", "100", "1234"]
        );
        assert_eq!(millis(None), "");
    }
}
