//! For spreadsheets. The columns are always the same; times are seconds, and what is not known or not tried is empty.

use std::io;
use std::time::Duration;

use humantime::format_rfc3339_millis;

use crate::probe::history::Probed;
use crate::probe::report::{Passing, Report};

const HEADER: [&str; 33] = [
    "time",
    "state",
    "reason",
    "message",
    "address",
    "key",
    "name",
    "way",
    "tcp",
    "tunnel",
    "handshake",
    "proof",
    "ping_min",
    "ping_median",
    "ping_max",
    "sent",
    "lost",
    "reach",
    "oob",
    "route",
    "echo",
    "largest_data",
    "largest_oob",
    "burst_sent",
    "burst_received",
    "burst_bytes",
    "burst_time",
    "routes",
    "onion",
    "onion_time",
    "forward",
    "forward_time",
    "listens",
];

pub fn all(probed: &[&Probed], with_header: bool) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    if with_header {
        writer.write_record(HEADER)?;
    }
    for probed in probed {
        writer.write_record(record(probed))?;
    }
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

fn record(probed: &Probed) -> [String; HEADER.len()] {
    let Probed { target, way, report, verdict, time, history } = probed;
    let Report { phases, pings, oob, route, echo, extras, .. } = report;
    [
        format_rfc3339_millis(*time).to_string(),
        verdict.state.word().to_owned(),
        verdict.word().to_owned(),
        verdict.sentence().to_owned(),
        target.address.to_string(),
        target.key.to_string(),
        target.name.clone().unwrap_or_default(),
        (*way).to_owned(),
        seconds(phases.tcp),
        seconds(phases.tunnel),
        seconds(phases.handshake),
        seconds(phases.proof),
        seconds(pings.smallest()),
        seconds(pings.median()),
        seconds(pings.largest()),
        pings.sent.to_string(),
        pings.lost().to_string(),
        format!("{:o}", history.reach),
        seconds(*oob),
        seconds(*route),
        seconds(*echo),
        number(extras.largest_data),
        number(extras.largest_oob),
        number(extras.burst.map(|burst| burst.sent)),
        number(extras.burst.map(|burst| burst.received)),
        number(extras.burst.map(|burst| burst.bytes)),
        seconds(extras.burst.map(|burst| burst.time)),
        number(extras.routes),
        result(extras.onion),
        seconds(extras.onion.and_then(Passing::time)),
        result(extras.forward),
        seconds(extras.forward.and_then(Passing::time)),
        extras.banner.clone().unwrap_or_default(),
    ]
}

fn seconds(time: Option<Duration>) -> String {
    time.map(|time| format!("{:.6}", time.as_secs_f64())).unwrap_or_default()
}

fn number(number: Option<usize>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

fn result(passing: Option<Passing>) -> String {
    passing.map(Passing::word).unwrap_or_default().to_owned()
}
