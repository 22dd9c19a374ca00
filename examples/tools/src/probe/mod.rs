//! `tox-relay probe`: whether relays work, and how fast they are.
//!
//! [`list`] reads which relays, [`resolve`] looks their names up, which makes them [`target`]s, [`round`] probes all of
//! them at once with a [`session`] each, [`banner`] looks at what is no relay, [`verdict`] judges what the [`report`]s say, and [`output`]
//! writes it. [`watch`] does all of it again and again.

mod arguments;
mod banner;
mod history;
mod list;
mod node;
mod output;
mod progress;
mod report;
mod resolve;
mod round;
mod session;
mod signals;
mod target;
mod tunnel;
mod verdict;
mod watch;

pub use arguments::Arguments;

use std::collections::HashSet;
use std::error::Error;
use std::io;
use std::process::ExitCode;

use crate::USAGE;
use history::Probed;
use list::{List, Listed};
use output::{Format, Output};
use progress::Progress;
use report::Report;
use resolve::{Found, Resolver};
use session::Plan;
use signals::Signals;
use target::Target;
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
    let list = arguments.list()?;
    for entry in &list.skipped {
        crate::complain(&format!("tox-relay: skipped: {entry}"));
    }
    let skipped = list.skipped.len();
    let output = Output::new(arguments.format, arguments.output.clone(), arguments.limits(), skipped);
    output.check()?;
    let probe = Probe::new(arguments, &list)?;
    let mut probed = probe.begin(list.relays);
    if probed.is_empty() {
        return Err("there is no relay to probe".into());
    }
    if let Some(interval) = arguments.watch {
        return watch::run(&probe, &mut probed, interval, &output);
    }
    let reports = probe.round(&probed)?;
    probe.add(reports, &mut probed);
    output.write(&probed)?; // if nobody reads on, as with `| head`, the status still counts
    if probe.signals.has_stopped() { Ok(INTERRUPTED) } else { Ok(probe.status(&probed)) }
}

/// How relays are probed.
struct Probe<'a> {
    arguments: &'a Arguments,
    plan: Plan,
    limits: Limits,
    /// How many entries of lists were skipped.
    skipped: usize,
    /// `None` if a proxy looks names up.
    resolver: Option<Resolver>,
    signals: Signals,
}

impl<'a> Probe<'a> {
    fn new(arguments: &'a Arguments, list: &List) -> io::Result<Self> {
        let names = list.relays.iter().flat_map(Listed::host_names).collect::<HashSet<_>>().len();
        Ok(Self {
            arguments,
            plan: arguments.plan(),
            limits: arguments.limits(),
            skipped: list.skipped.len(),
            resolver: if arguments.proxy.is_some() { None } else { Some(Resolver::new(names)?) },
            signals: Signals::new()?,
        })
    }

    /// What to probe, with the host names looked up for the first time.
    fn begin(&self, relays: Vec<Listed>) -> Vec<Probed> {
        let names = relays.iter().flat_map(Listed::host_names).map(str::to_owned);
        let found = self.look_up(names);
        let targets = target::targets(relays, self.arguments.families(), found.as_ref());
        let way = self.arguments.proxy.as_ref().map(|proxy| proxy.scheme());
        targets.into_iter().map(|target| Probed::new(target, way)).collect()
    }

    /// Looks the host names up again.
    fn resolve(&self, probed: &mut [Probed]) {
        let names = probed.iter().filter_map(|probed| probed.target.host()).map(str::to_owned);
        if let Some(found) = self.look_up(names) {
            probed.iter_mut().for_each(|probed| probed.resolve(&found));
        }
    }

    fn look_up(&self, names: impl Iterator<Item = String>) -> Option<Found> {
        let resolver = self.resolver.as_ref()?;
        let names: HashSet<String> = names.collect();
        let progress = Progress::new(names.len(), "host names");
        let go_on = |answered| {
            progress.show(answered);
            !self.signals.has_stopped()
        };
        Some(resolver.look_up(names, self.plan.timeout, go_on))
    }

    /// The status of the process: that of the worst.
    fn status(&self, probed: &[Probed]) -> u8 {
        let worst = probed.iter().map(|probed| probed.verdict.state.status()).max();
        worst.unwrap_or_default().max(u8::from(self.skipped > 0))
    }

    /// Probes all of them once, at the same time. After Ctrl-C, the reports are what is known until then.
    fn round(&self, probed: &[Probed]) -> io::Result<Vec<Report>> {
        let proxy = self.arguments.proxy.as_ref();
        let progress = Progress::new(probed.len(), "relays");
        let targets: Vec<&Target> = probed.iter().map(|probed| &probed.target).collect();
        let tell = |done| progress.show(done);
        let mut reports = round::run(&targets, &self.plan, proxy, &self.signals, tell)?;
        if self.arguments.looks_at_others() {
            banner::look(&targets, &mut reports, proxy, self.plan.timeout, &self.signals)?;
        }
        Ok(reports)
    }

    fn add(&self, reports: Vec<Report>, probed: &mut [Probed]) {
        for (probed, report) in probed.iter_mut().zip(reports) {
            probed.add(report, &self.limits);
        }
    }
}
