//! The output of a monitoring plugin (Nagios, Icinga): a line, performance data after `|`, and a line for each relay.

use std::time::Duration;

use crate::probe::history::Probed;
use crate::probe::verdict::Limits;
use crate::state::State;

/// `skipped`: how many entries of lists were not probed, which is a warning.
pub fn all(probed: &[&Probed], limits: &Limits, skipped: usize) -> String {
    let worst = probed.iter().max_by_key(|probed| (probed.verdict.state.status(), probed.verdict.state));
    let Some(worst) = worst else { return String::new() };
    let status = worst.verdict.state.status().max(u8::from(skipped > 0));
    let is_interrupted = probed.iter().any(|probed| probed.verdict.state == State::Unknown);
    let status = if is_interrupted { 3 } else { status };
    let state = ["OK", "WARNING", "CRITICAL", "UNKNOWN"][usize::from(status.min(3))];
    let skipped = if skipped > 0 { format!("; {skipped} skipped") } else { String::new() };
    let [one] = probed else {
        let (all, well) =
            (probed.len(), probed.iter().filter(|probed| probed.verdict.state == State::Up).count());
        let worst = if well == all { String::new() } else { format!("; {}", tell(worst)) };
        let data: Vec<_> =
            probed.iter().map(|probed| data(probed, limits, true)).filter(|data| !data.is_empty()).collect();
        let lines: String = probed.iter().map(|probed| tell(probed) + "\n").collect();
        return format!(
            "TOX {state} - {well} of {all} relays are well{worst}{skipped} | well={well};;;0;{all} {}\n{lines}",
            data.join(" ")
        );
    };
    format!("TOX {state} - {}{skipped} | {}\n", tell(one), data(one, limits, false))
}

/// A bar would begin the performance data.
fn tell(probed: &Probed) -> String {
    let told = match (probed.verdict.sentence(), probed.report.pings.median()) {
        ("", Some(median)) => format!("ping {median:.1?}"),
        (sentence, _) => sentence.to_owned(),
    };
    format!("{}: {told}", probed.target.address).replace('|', "/")
}

/// `'label'=value;warn;crit;min;max`. What is not known is left out.
fn data(probed: &Probed, limits: &Limits, with_address: bool) -> String {
    let address = if with_address { format!("{}_", probed.target.address) } else { String::new() };
    let limit =
        |limit: Option<Duration>| limit.map(|limit| limit.as_secs_f64().to_string()).unwrap_or_default();
    let (warn, crit) = (limit(limits.warn), limit(limits.crit));
    let report = &probed.report;
    let time = |label: &str, time: Option<Duration>, limits: &str| {
        time.map(|time| format!("'{address}{label}'={:.6}s;{limits};0", time.as_secs_f64()))
    };
    let lost = (report.pings.sent > 0)
        .then(|| format!("'{address}lost'={};;;0;{}", report.pings.lost(), report.pings.sent));
    let all = [
        time("rtt", report.pings.median(), &format!("{warn};{crit}")),
        lost,
        time("tcp", report.phases.tcp, ";"),
        time("handshake", report.phases.handshake, ";"),
        time("proof", report.phases.proof, ";"),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join(" ")
}
