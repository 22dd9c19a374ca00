//! For programs: a JSON object on each line. Times are seconds, or null if there are none.

use std::io;
use std::time::Duration;

use humantime::format_rfc3339_millis;
use serde::Serialize;

use crate::probe::history::Probed;
use crate::probe::report::{Burst, Passing, Report};
use crate::problem::Problem;

pub fn all(probed: &[&Probed]) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for probed in probed {
        serde_json::to_writer(&mut lines, &Line::from(*probed))?;
        lines.push(b'\n');
    }
    Ok(lines)
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    state: &'static str,
    reason: &'static str,
    message: Option<&'a str>,
    address: String,
    key: String,
    name: Option<&'a str>,
    way: &'static str,
    tcp: Option<f64>,
    tunnel: Option<f64>,
    handshake: Option<f64>,
    proof: Option<f64>,
    ping: Ping,
    reach: String,
    rounds: u64,
    reached: u64,
    oob: Option<f64>,
    route: Option<f64>,
    echo: Option<f64>,
    largest_data: Option<usize>,
    largest_oob: Option<usize>,
    burst: Option<BurstLine>,
    routes: Option<usize>,
    onion: Option<PassingLine>,
    forward: Option<PassingLine>,
    listens: Option<&'a str>,
    errors: Vec<ErrorLine<'a>>,
}

#[derive(Serialize)]
struct Ping {
    sent: u32,
    lost: u32,
    min: Option<f64>,
    median: Option<f64>,
    max: Option<f64>,
}

#[derive(Serialize)]
struct BurstLine {
    sent: usize,
    received: usize,
    bytes: usize,
    seconds: f64,
}

#[derive(Serialize)]
struct PassingLine {
    result: &'static str,
    seconds: Option<f64>,
}

#[derive(Serialize)]
struct ErrorLine<'a> {
    reason: &'static str,
    message: &'a str,
    state: &'static str,
    fault: Option<String>,
    retry: Option<String>,
    stage: Option<String>,
}

impl<'a> From<&'a Probed> for Line<'a> {
    fn from(probed: &'a Probed) -> Self {
        let Probed { target, way, report, verdict, time, history } = probed;
        let Report { phases, pings, oob, route, echo, extras, .. } = report;
        Self {
            time: format_rfc3339_millis(*time).to_string(),
            state: verdict.state.word(),
            reason: verdict.word(),
            message: Some(verdict.sentence()).filter(|sentence| !sentence.is_empty()),
            address: target.address.to_string(),
            key: target.key.to_string(),
            name: target.name.as_deref(),
            way,
            tcp: seconds(phases.tcp),
            tunnel: seconds(phases.tunnel),
            handshake: seconds(phases.handshake),
            proof: seconds(phases.proof),
            ping: Ping {
                sent: pings.sent,
                lost: pings.lost(),
                min: seconds(pings.smallest()),
                median: seconds(pings.median()),
                max: seconds(pings.largest()),
            },
            reach: format!("{:o}", history.reach),
            rounds: history.rounds,
            reached: history.reached,
            oob: seconds(*oob),
            route: seconds(*route),
            echo: seconds(*echo),
            largest_data: extras.largest_data,
            largest_oob: extras.largest_oob,
            burst: extras.burst.map(Into::into),
            routes: extras.routes,
            onion: extras.onion.map(Into::into),
            forward: extras.forward.map(Into::into),
            listens: extras.banner.as_deref(),
            errors: verdict.problems.iter().map(Into::into).collect(),
        }
    }
}

/// Always finite.
fn seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64())
}

impl From<Burst> for BurstLine {
    fn from(Burst { sent, received, bytes, time }: Burst) -> Self {
        Self { sent, received, bytes, seconds: time.as_secs_f64() }
    }
}

impl From<Passing> for PassingLine {
    fn from(passing: Passing) -> Self {
        Self { result: passing.word(), seconds: seconds(passing.time()) }
    }
}

impl<'a> From<&'a Problem> for ErrorLine<'a> {
    fn from(problem: &'a Problem) -> Self {
        Self {
            reason: problem.word,
            message: &problem.sentence,
            state: problem.state.word(),
            fault: problem.fault.map(|fault| fault.to_string()),
            retry: problem.retry.map(|retry| retry.to_string()),
            stage: problem.stage.map(|stage| stage.to_string()),
        }
    }
}
