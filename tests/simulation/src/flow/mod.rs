//! Flow control: one sender that always has more, on all kinds of lines, to all kinds of relays, in virtual time.

mod line;
mod relay;
mod sender;

use std::fmt;
use std::time::{Duration, Instant};

pub use line::{LINES, LineKind};
pub use relay::{RELAYS, RelayKind};
use sender::Sender;

/// How long each transfer takes.
const DURATION: Duration = Duration::from_secs(30);

/// The figures of the throughput are from then on: TCP needs some time to find out what a line carries.
const WARM_UP: Duration = Duration::from_secs(5);

/// The time of one step.
const STEP: Duration = Duration::from_millis(1);

/// What became of a transfer.
#[derive(Debug, Default, Clone)]
pub struct Outcome {
    /// Bytes of data that the relay has read per second.
    pub rate: f64,
    /// The most bytes that have waited at the relay.
    pub most_waiting: usize,
    /// The longest time that a byte has waited there, of those that were read.
    pub longest_wait: Duration,
    /// The longest time from the request for a route to its answer.
    pub latest_answer: Duration,
    /// The largest window.
    pub window: usize,
    /// The window at the end.
    pub window_at_end: usize,
    /// When and why the connection has ended.
    pub end: Option<(Duration, String)>,
}

/// Sends as much as the line and the relay take. `is_bounded`: with the default window, otherwise with none. `seed`: of
/// the random moments at which pings leave.
pub fn transfer(line: &'static LineKind, relay: &'static RelayKind, is_bounded: bool, seed: u64) -> Outcome {
    let start = Instant::now();
    let mut sender = Sender::new(line, relay, is_bounded, seed, start);
    let start = start + 2 * line.delay;
    let mut outcome = Outcome::default();
    let mut read_before = 0;
    for step in 1.. {
        let time = step * STEP;
        if time > DURATION {
            break;
        }
        if let Err(reason) = sender.step(start + time) {
            outcome.end = Some((time, reason.to_string()));
            break;
        }
        if time == WARM_UP {
            read_before = sender.relay.data;
        }
        outcome.most_waiting = outcome.most_waiting.max(sender.relay.waiting());
        outcome.window = outcome.window.max(sender.connection.window().unwrap_or_default());
    }
    outcome.window_at_end = sender.connection.window().unwrap_or_default();
    outcome.longest_wait = sender.relay.longest_wait;
    outcome.latest_answer = sender.latest_answer(start + DURATION);
    outcome.rate = (sender.relay.data - read_before) as f64 / (DURATION - WARM_UP).as_secs_f64();
    outcome
}

/// All relays on all lines, as a Markdown table.
pub struct Table;

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = "relay | line | KB/s | KB/s without a window | largest window, KB | most waiting, KB | \
                    longest wait, ms | latest answer, ms | end";
        writeln!(f, "| {head} |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |")?;
        for relay in RELAYS {
            for line in LINES {
                let [with, without] = [true, false].map(|is_bounded| transfer(line, relay, is_bounded, 1));
                let end = |outcome: &Outcome| match &outcome.end {
                    Some((time, reason)) => format!("{} s: {reason}", time.as_secs()),
                    None => "-".to_owned(),
                };
                writeln!(
                    f,
                    "| {} | {} | {:.0} | {:.0} | {} | {} | {} | {} | {}; without: {} |",
                    relay.name,
                    line.name,
                    with.rate / 1e3,
                    without.rate / 1e3,
                    with.window / 1000,
                    with.most_waiting / 1000,
                    with.longest_wait.as_millis(),
                    with.latest_answer.as_millis(),
                    end(&with),
                    end(&without),
                )?;
            }
        }
        Ok(())
    }
}
