//! What is told while a run lasts: as text, or as a stream of JSON.

use std::io::{self, Write};

use serde::Serialize;

use crate::load::failures::Counted;
use crate::load::latency::Quantiles;
use crate::load::line::Line;
use crate::load::step::Step;
use crate::load::text;

/// Writes to the standard output.
pub struct Report {
    is_json: bool,
    /// Lines since the beginning, or since the last step of a search.
    lines: u64,
    /// For a plot.
    pub kept_lines: Vec<Line>,
}

/// What a search looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// The most connections
    Connections,
    /// The most packets a second
    Throughput,
}

impl Unit {
    pub fn noun(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Throughput => "packets a second",
        }
    }
}

/// What is asked for. Times are in seconds.
#[derive(Debug, Serialize)]
pub struct Start {
    pub relay: String,
    pub key: String,
    pub proxy: Option<String>,
    pub connections: usize,
    pub connect_rate: f64,
    pub pairs: usize,
    pub sizes: String,
    /// `None`: as many packets as it carries.
    pub rate: Option<f64>,
    pub oob: f64,
    pub churn: f64,
    pub warm_up: f64,
    pub time: f64,
    pub abort_above: f64,
    pub search: Option<Unit>,
    pub until: String,
    pub descriptors: u64,
}

/// A step of a search.
#[derive(Debug, Serialize)]
pub struct Tried {
    pub unit: Unit,
    /// The conditions that were not met.
    pub misses: Vec<String>,
    /// Why the generator may be the limit.
    pub own_limit: Option<String>,
    #[serde(flatten)]
    pub step: Step,
}

/// The result of a search.
#[derive(Debug, Serialize)]
pub struct Found {
    pub unit: Unit,
    /// How many steps were completed.
    pub steps: usize,
    pub largest: Option<u64>,
    pub smallest_missed: Option<u64>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The target was kept, or there was none.
    Kept,
    Missed,
    /// The latency of the probe passed its bound.
    Overloaded,
    /// The relay was never reached.
    Unreached,
    /// The relay was reached, and then lost; or it opens no route.
    Lost,
    Proxy,
    Interrupted,
    Error,
}

impl Outcome {
    /// The exit status.
    pub fn status(self) -> u8 {
        match self {
            Self::Kept => 0,
            Self::Missed | Self::Overloaded => 1,
            Self::Unreached | Self::Lost => 2,
            Self::Proxy | Self::Error => 3,
            Self::Interrupted => 130,
        }
    }
}

/// The summary.
#[derive(Debug, Serialize)]
pub struct End {
    pub outcome: Outcome,
    pub message: String,
    /// The probe's latency before the load.
    pub before: Option<Quantiles>,
    /// Of a search, the largest load that kept the target, if one did; otherwise the last step.
    pub step: Step,
    pub search: Option<Found>,
    pub misses: Vec<String>,
    pub failures: Vec<Counted>,
    pub notes: Vec<String>,
}

impl Report {
    pub fn new(is_json: bool) -> Self {
        Self { is_json, lines: 0, kept_lines: Vec::new() }
    }

    pub fn start(&mut self, start: &Start) -> io::Result<()> {
        self.write("start", start, text::start)
    }

    pub fn line(&mut self, line: &Line) -> io::Result<()> {
        if !self.is_json && self.lines.is_multiple_of(text::PAGE) {
            writeln!(io::stdout(), "{}", text::head())?;
        }
        self.lines += 1;
        self.kept_lines.push(line.clone());
        self.write("interval", line, text::line)
    }

    pub fn tried(&mut self, tried: &Tried) -> io::Result<()> {
        self.write("step", tried, text::tried)
    }

    pub fn end(&mut self, end: &End) -> io::Result<()> {
        self.write("end", end, text::end)
    }

    fn write<T: Serialize>(&self, kind: &str, value: &T, text: fn(&T) -> String) -> io::Result<()> {
        #[derive(Serialize)]
        struct Typed<'a, T> {
            r#type: &'a str,
            #[serde(flatten)]
            value: &'a T,
        }
        let text =
            if self.is_json { serde_json::to_string(&Typed { r#type: kind, value })? } else { text(value) };
        let mut output = io::stdout().lock();
        writeln!(output, "{}", text.trim_end())?;
        output.flush()
    }
}
