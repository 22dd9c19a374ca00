//! What is told while a run lasts: as text, or as a stream of JSON.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::load::columns;
use crate::load::failures::Counted;
use crate::load::latency::Quantiles;
use crate::load::line::Line;
use crate::load::step::Step;
use crate::load::text;

/// The head of the table is written again after so many lines, as vmstat does.
const PAGE: u64 = 20;

/// Writes to the standard output.
pub struct Report {
    is_json: bool,
    /// Lines since the beginning, and the width of the terminal at the last one.
    lines: u64,
    width: Option<usize>,
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
    /// The target was kept; or there was none, and something has arrived.
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
        Self { is_json, lines: 0, width: None, kept_lines: Vec::new() }
    }

    pub fn start(&mut self, start: &Start) -> io::Result<()> {
        self.write("start", start, text::start)
    }

    pub fn line(&mut self, line: &Line) -> io::Result<()> {
        self.kept_lines.push(line.clone());
        if self.is_json {
            return print(&json("interval", line)?);
        }
        let width = terminal_width();
        let shown = columns::fitting(width);
        if self.begins_page(width) {
            print(&columns::head(&shown))?;
        }
        print(&columns::line(&shown, line))
    }

    /// Whether the next line, in a terminal of this width, has the head above it.
    fn begins_page(&mut self, width: Option<usize>) -> bool {
        let begins = self.lines.is_multiple_of(PAGE) || width != self.width;
        (self.lines, self.width) = (self.lines + 1, width);
        begins
    }

    pub fn tried(&mut self, tried: &Tried) -> io::Result<()> {
        self.write("step", tried, text::tried)
    }

    pub fn end(&mut self, end: &End) -> io::Result<()> {
        self.write("end", end, text::end)
    }

    fn write<T: Serialize>(&self, kind: &str, value: &T, text: fn(&T) -> String) -> io::Result<()> {
        if self.is_json {
            return print(&json(kind, value)?);
        }
        match terminal_width() {
            Some(width) => print(&text::wrap(&text(value), width)),
            None => print(&text(value)),
        }
    }
}

fn json<T: Serialize>(kind: &str, value: &T) -> io::Result<String> {
    #[derive(Serialize)]
    struct Typed<'a, T> {
        r#type: &'a str,
        #[serde(flatten)]
        value: &'a T,
    }
    Ok(serde_json::to_string(&Typed { r#type: kind, value })?)
}

fn print(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{}", text.trim_end())?;
    output.flush()
}

/// The columns of the terminal; `None` without one.
fn terminal_width() -> Option<usize> {
    let size = io::stdout().is_terminal().then(terminal_size::terminal_size).flatten();
    size.map(|(terminal_size::Width(columns), _)| columns.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_repeated_on_each_page_and_in_another_width() {
        let mut report = Report::new(false);
        let widths = [vec![Some(80); 42], vec![Some(120); 2]].concat();
        let lines = widths.into_iter().enumerate();
        let heads: Vec<_> =
            lines.filter(|(_, width)| report.begins_page(*width)).map(|(line, _)| line).collect();
        assert_eq!(heads, [0, 20, 40, 42]);
    }
}
