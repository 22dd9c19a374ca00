//! What is told once a second.

use std::time::Duration;

use serde::Serialize;

use crate::load::latency::Quantiles;
use crate::load::traffic::Traffic;

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Only the probe is connected.
    Probe,
    /// Users connect, and nothing is sent.
    Connect,
    /// The rate grows, up to that of the load.
    WarmUp,
    /// What happens is measured.
    Load,
    /// Nothing more is sent, and what is on its way arrives.
    Drain,
    /// The load of a step was too much, and the relay is left alone until the probe's packets arrive in time again.
    Recover,
}

/// One second. Times are in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Since the run began.
    pub time: f64,
    pub phase: Phase,
    /// Connections that are established now.
    pub connections: usize,
    /// Connections that were established in this second, and those that failed.
    pub connects: u64,
    pub failed: u64,
    /// Packets in this second.
    pub sent: u64,
    pub received: u64,
    /// Payload.
    pub bytes_per_second: f64,
    pub lost: u64,
    /// Packets that are due, and wait for room in a send queue.
    pub blocked: u64,
    pub latency: Option<Quantiles>,
    pub probe: Option<Quantiles>,
    /// The generator's CPU time, as a share of one processor.
    pub cpu: f64,
}

impl Line {
    /// What has happened in the current interval, which has this length.
    pub fn new(now: Duration, interval: Duration, phase: Phase, traffic: &Traffic, cpu: f64) -> Self {
        let tally = &traffic.books.interval;
        Self {
            time: now.as_secs_f64(),
            phase,
            connections: traffic.users.connected(),
            connects: tally.connected,
            failed: tally.failed,
            sent: tally.sent,
            received: tally.received,
            bytes_per_second: tally.bytes as f64 / interval.as_secs_f64(),
            lost: tally.lost,
            blocked: traffic.blocked(),
            latency: tally.latency.quantiles(),
            probe: tally.probe.quantiles(),
            cpu,
        }
    }
}
