//! Prometheus' text format, for the node exporter's textfile collector or a web server.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use crate::probe::history::Probed;
use crate::probe::report::Report;
use crate::state::State;

pub fn all(probed: &[&Probed]) -> String {
    let mut text = String::new();
    family(&mut text, "tox_relay_up", "gauge", "Whether the relay has proved its key and passes packets on.");
    // Of one that was interrupted, nothing is known: a 0 would be an alarm.
    for probed in probed.iter().filter(|probed| probed.verdict.state != State::Unknown) {
        let is_up = matches!(probed.verdict.state, State::Up | State::Warning | State::Critical);
        sample(&mut text, "tox_relay_up", probed, &[], u8::from(is_up).into());
    }
    family(&mut text, "tox_relay_state", "gauge", "1, with the state and its reason as labels.");
    for probed in probed {
        let labels = [("state", probed.verdict.state.word()), ("reason", probed.verdict.word())];
        sample(&mut text, "tox_relay_state", probed, &labels, 1.0);
    }
    family(
        &mut text,
        "tox_relay_phase_seconds",
        "gauge",
        "How long each step took; without those not reached.",
    );
    for probed in probed {
        for (phase, time) in phases(&probed.report) {
            if let Some(time) = time {
                let labels = [("phase", phase)];
                sample(&mut text, "tox_relay_phase_seconds", probed, &labels, time.as_secs_f64());
            }
        }
    }
    family(&mut text, "tox_relay_rtt_seconds", "summary", "The round trips of the pings of the last round.");
    for probed in probed {
        let pings = &probed.report.pings;
        for (quantile, time) in [("0", pings.smallest()), ("0.5", pings.median()), ("1", pings.largest())] {
            if let Some(time) = time {
                let labels = [("quantile", quantile)];
                sample(&mut text, "tox_relay_rtt_seconds", probed, &labels, time.as_secs_f64());
            }
        }
        sample(&mut text, "tox_relay_rtt_seconds_sum", probed, &[], pings.sum().as_secs_f64());
        sample(&mut text, "tox_relay_rtt_seconds_count", probed, &[], pings.answered().into());
    }
    family(&mut text, "tox_relay_pings_lost", "gauge", "Pings of the last round without an answer.");
    for probed in probed {
        sample(&mut text, "tox_relay_pings_lost", probed, &[], probed.report.pings.lost().into());
    }
    family(
        &mut text,
        "tox_relay_probe_timestamp_seconds",
        "gauge",
        "When the relay was probed, in Unix time.",
    );
    for probed in probed {
        let time = probed.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        sample(&mut text, "tox_relay_probe_timestamp_seconds", probed, &[], time.as_secs_f64());
    }
    text
}

fn phases(report: &Report) -> [(&'static str, Option<Duration>); 7] {
    [
        ("tcp", report.phases.tcp),
        ("tunnel", report.phases.tunnel),
        ("handshake", report.phases.handshake),
        ("proof", report.phases.proof),
        ("oob", report.oob),
        ("route", report.route),
        ("echo", report.echo),
    ]
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    *text += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn sample(text: &mut String, name: &str, probed: &Probed, labels: &[(&str, &str)], value: f64) {
    let address = probed.target.address.to_string();
    let key = probed.target.key.to_string();
    let own = [("relay", &*address), ("key", &*key), ("way", probed.way)];
    let named = probed.target.name.as_deref().map(|text| ("name", text));
    let labels = own.into_iter().chain(named).chain(labels.iter().copied());
    let labels: Vec<_> = labels.map(|(label, value)| format!("{label}=\"{}\"", escape(value))).collect();
    _ = writeln!(text, "{name}{{{}}} {value}", labels.join(",")); // a string takes everything
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
