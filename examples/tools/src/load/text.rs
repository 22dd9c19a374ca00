//! The report for people.

use std::fmt::{Display, Write};

use crate::load::latency::Quantiles;
use crate::load::line::Phase;
use crate::load::report::{End, Found, Start, Tried, Unit};
use crate::load::step::Step;

/// Where the words of a row begin, after its name.
const INDENT: usize = 11;

/// Everything that is known before the first connection.
pub fn start(start: &Start) -> String {
    let Start { relay, key, connections, pairs, connect_rate, warm_up, time, descriptors, .. } = start;
    let mut text = format!("relay      {relay} {key}");
    if let Some(proxy) = &start.proxy {
        _ = write!(text, ", through {proxy}");
    }
    let searched = |unit| start.search == Some(unit);
    let most = if searched(Unit::Connections) { "from " } else { "" };
    _ = write!(
        text,
        "\nasked      {most}{connections} connections, {connect_rate} a second, {pairs} pairs of them; \
         {}, of {} bytes, {} OOB",
        rate(start.rate, searched(Unit::Throughput)),
        start.sizes,
        percent(start.oob, 1),
    );
    if start.churn > 0.0 {
        _ = write!(text, "; {} a second leave and return", start.churn);
    }
    _ = write!(text, "\n           {warm_up} s of warm-up, then {time} s");
    if let Some(unit) = start.search {
        _ = write!(text, " for each step of the search for the most {}", unit.noun());
    }
    if !start.until.is_empty() {
        _ = write!(text, "\ntarget     {}", start.until);
    }
    let most = if searched(Unit::Connections) { "up to " } else { "" };
    text + &format!(
        "\nneeds      {most}{descriptors} file descriptors here (ulimit -n), and as many on the relay's machine\n"
    )
}

fn rate(rate: Option<f64>, is_searched: bool) -> String {
    let from = if is_searched { "from " } else { "" };
    rate.map_or("as many packets as it carries".into(), |rate| format!("{from}{rate} packets a second"))
}

/// One step of a search.
pub fn tried(tried: &Tried) -> String {
    let Step { asked, arrived_per_second, bytes_per_second, .. } = tried.step;
    let load = match tried.unit {
        Unit::Connections => format!("{} connections", asked.connections),
        Unit::Throughput => rate(asked.rate, false),
    };
    let verdict =
        if tried.misses.is_empty() { "kept".into() } else { format!("missed: {}", tried.misses.join(", ")) };
    let mut text = format!(
        "step       {load}: {verdict}; {arrived_per_second:.0} packets/s and {:.2} MB/s arrived",
        bytes_per_second / 1e6
    );
    if let Some(own) = &tried.own_limit {
        _ = write!(text, "; the generator may be the limit: {own}");
    }
    text
}

/// The summary.
pub fn end(end: &End) -> String {
    let mut text = String::from("\n");
    let mut row = |name: &str, words: &dyn Display| _ = writeln!(text, "{name:<10} {words}");
    summary(&end.step, &mut row);
    if let Some(Found { unit, steps, largest, smallest_missed }) = &end.search {
        let noun = unit.noun();
        match (largest, smallest_missed) {
            (Some(largest), Some(missed)) => {
                row("largest", &format!("{largest} {noun} kept the target, and {missed} missed it"));
            }
            (Some(largest), None) => {
                row(
                    "largest",
                    &format!("{largest} {noun} kept the target; no load that was tried missed it"),
                );
            }
            (None, _) if *steps == 0 => row("largest", &"not known: no step was completed"),
            (None, _) => row("largest", &format!("no number of {noun} that was tried kept the target")),
        }
    }
    row("probe", &format!("before the load: {}", quantiles(end.before)));
    row("", &format!("under load:      {}", quantiles(end.step.probe)));
    for counted in &end.failures {
        row("failed", &format!("{} {}: {}", counted.count, counted.failure.reason, counted.failure.message));
    }
    for miss in &end.misses {
        row("missed", miss);
    }
    for note in &end.notes {
        row("note", note);
    }
    row("end", &end.message);
    text
}

fn summary(step: &Step, row: &mut dyn FnMut(&str, &dyn Display)) {
    let Step { asked, planned, sent, received, lost, .. } = step;
    row("asked", &format!("{} connections, {}", asked.connections, rate(asked.rate, false)));
    let rates = || {
        let (rate, bytes) = (step.arrived_per_second, step.bytes_per_second / 1e6);
        format!("{rate:.1} packets/s, {bytes:.2} MB/s, in {:.1} s", step.seconds)
    };
    let measured = match step.phase {
        Phase::Load => rates(),
        Phase::WarmUp => rates() + " of warm-up: the load was not measured",
        _ => "and nothing was measured: it ended before the load".into(),
    };
    row("reached", &format!("{} connections, {measured}", step.connections));
    let planned = planned.map_or(String::new(), |planned| format!("{planned} planned, "));
    let loss = percent(step.measured().loss, 3);
    row("packets", &format!("{planned}{sent} sent, {received} received, {lost} lost ({loss})"));
    for (count, what) in [
        (step.unsent, "were due and not sent: the send queues were full, or the generator too slow"),
        (step.absent, "were due to users who had left"),
        (step.cut_off, "were due to users whose connections or routes had failed"),
        (step.abandoned, "were on their way to or from users who left"),
        (step.unfinished, "were still on their way at the end"),
    ] {
        if count > 0 {
            row("", &format!("{count} {what}"));
        }
    }
    row("latency", &quantiles(step.latency));
    let late = step
        .late
        .map_or(String::new(), |late| format!("; 99% of the packets at most {} late", time(late.p99)));
    row("generator", &format!("{} of a processor{late}", percent(step.cpu, 0)));
}

fn quantiles(quantiles: Option<Quantiles>) -> String {
    quantiles.map_or("nothing arrived".into(), |Quantiles { p50, p90, p99, p999, largest }| {
        let times = [p50, p90, p99, p999, largest].map(time);
        let names = ["p50", "p90", "p99", "p99.9", "max"];
        let words: Vec<_> = names.iter().zip(times).map(|(name, time)| format!("{name} {time}")).collect();
        words.join(", ")
    })
}

/// Breaks long rows for a terminal of this width. They go on below their first word.
pub fn wrap(rows: &str, width: usize) -> String {
    let mut wrapped = String::new();
    for row in rows.lines() {
        let (name, words) = row.split_at_checked(INDENT).unwrap_or((row, ""));
        wrapped += name;
        let mut column = INDENT;
        for (index, word) in words.split(' ').enumerate() {
            let length = word.chars().count();
            if index > 0 && column + 1 + length > width {
                _ = write!(wrapped, "\n{:INDENT$}", "");
                column = INDENT;
            } else if index > 0 {
                wrapped.push(' ');
                column += 1;
            }
            wrapped += word;
            column += length;
        }
        wrapped.push('\n');
    }
    wrapped
}

/// A time with three digits.
pub fn time(seconds: f64) -> String {
    let (value, unit) = match seconds {
        ..1e-3 => (seconds * 1e6, "µs"),
        ..1.0 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.decimals$}{unit}")
}

pub fn percent(share: f64, decimals: usize) -> String {
    format!("{:.decimals$}%", share * 100.0)
}

pub fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Probe => "probe",
        Phase::Connect => "connect",
        Phase::WarmUp => "warm-up",
        Phase::Load => "load",
        Phase::Drain => "drain",
        Phase::Recover => "recover",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits() {
        let times = [0.000_001_234, 0.000_85, 0.001_234, 0.0123, 0.1, 1.0, 12.345].map(time);
        assert_eq!(times, ["1.23µs", "850µs", "1.23ms", "12.3ms", "100ms", "1.00s", "12.3s"]);
    }

    #[test]
    fn long_rows_go_on_where_their_words_begin() {
        let row = "asked      300 connections, 200 a second\nend        done\n";
        assert_eq!(wrap(row, 80), row);
        assert_eq!(wrap(row, 30), "asked      300 connections,\n           200 a second\nend        done\n");
        // A word that is too long stays whole.
        assert_eq!(wrap("relay      ABCDEFGHIJKLMNOP", 20), "relay      ABCDEFGHIJKLMNOP\n");
    }
}
