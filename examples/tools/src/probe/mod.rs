//! `tox-relay probe`: whether relays work, and how fast they are.
//!
//! [`list`] reads which relays, [`resolve`] looks their names up, [`round`] probes all of them at once with a
//! [`session`] each, [`banner`] looks at what is no relay, [`verdict`] judges what the [`report`]s say, and [`output`]
//! writes it. [`watch`] does all of it again and again.

mod arguments;
mod banner;
mod history;
mod list;
mod node;
mod output;
mod report;
mod resolve;
mod round;
mod session;
mod signals;
mod tunnel;
mod verdict;
mod watch;

pub use arguments::Arguments;

use std::error::Error;
use std::io;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};

use crate::USAGE;
use history::Probed;
use list::Target;
use output::{Format, Output};
use report::Report;
use session::Plan;
use signals::Signals;
use verdict::Limits;

/// Ended by Ctrl-C before all was probed: 128 and the number of the signal, as shells count.
const INTERRUPTED: u8 = 130;

pub fn run(arguments: &Arguments) -> ExitCode {
    match try_run(arguments) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            crate::complain(&format!("tox-relay: {error}"));
            ExitCode::from(USAGE)
        }
    }
}

/// Returns the status of the process.
fn try_run(arguments: &Arguments) -> Result<u8, Box<dyn Error>> {
    if arguments.watch.is_some() && arguments.format == Format::Nagios {
        return Err("--watch goes with any format but nagios, whose plugins are run again and again".into());
    }
    let targets = arguments.targets()?;
    let signals = Signals::new()?;
    let probe = Probe { arguments, plan: arguments.plan(), limits: arguments.limits(), signals };
    let output = Output::new(arguments.format, arguments.output.clone(), probe.limits);
    output.check()?;
    let way = arguments.proxy.as_ref().map(|proxy| proxy.scheme());
    let mut probed: Vec<_> = targets.into_iter().map(|target| Probed::new(target, way)).collect();
    if let Some(interval) = arguments.watch {
        return watch::run(&probe, &mut probed, interval, &output);
    }
    let reports = probe.round(&probed)?;
    probe.add(reports, &mut probed);
    output.write(&probed)?; // if nobody reads on, as with `| head`, the status still counts
    if probe.signals.has_stopped() { Ok(INTERRUPTED) } else { Ok(worst(&probed)) }
}

/// The status of the process for these: that of the worst.
fn worst(probed: &[Probed]) -> u8 {
    probed.iter().map(|probed| probed.verdict.state.status()).max().unwrap_or_default()
}

/// How relays are probed.
struct Probe<'a> {
    arguments: &'a Arguments,
    plan: Plan,
    limits: Limits,
    signals: Signals,
}

impl Probe<'_> {
    /// Probes all of them once, at the same time. After Ctrl-C, the reports are what is known until then.
    fn round(&self, probed: &[Probed]) -> io::Result<Vec<Report>> {
        let proxy = self.arguments.proxy.as_ref();
        let progress = progress(probed.len());
        let targets: Vec<&Target> = probed.iter().map(|probed| &probed.target).collect();
        let tell = |done: usize| progress.set_position(done as u64);
        let mut reports = round::run(&targets, &self.plan, proxy, &self.signals, tell)?;
        if self.arguments.looks_at_others() {
            progress.set_message("what listens there?");
            banner::look(&targets, &mut reports, proxy, self.plan.timeout, &self.signals)?;
        }
        progress.finish_and_clear();
        Ok(reports)
    }

    fn add(&self, reports: Vec<Report>, probed: &mut [Probed]) {
        for (probed, report) in probed.iter_mut().zip(reports) {
            probed.add(report, &self.limits);
        }
    }
}

/// Shows how many relays are done; indicatif shows it only if standard error is a terminal.
fn progress(relays: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} relays, {elapsed} {msg}");
    ProgressBar::new(relays as u64).with_style(style.expect("a valid template"))
}
