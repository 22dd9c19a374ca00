//! From the arguments to the exit status: one load, or a search over many.

use std::fs;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use tox_relay_client::{Client, Config, Relay, SecretKey};

use crate::load::guard;
use crate::load::latency::Quantiles;
use crate::load::line::{Line, Phase};
use crate::load::options::{Arguments, MOST_CONNECTIONS, Rate};
use crate::load::payload::Content;
use crate::load::plot::{self, Point, Series};
use crate::load::report::{End, Found, Outcome, Report, Start, Tried, Unit};
use crate::load::run::{Manner, Run, Stop};
use crate::load::search::Search;
use crate::load::step::{Load, Step};
use crate::load::target::{Miss, Target};
use crate::load::users::{PROBE, Users};

/// Each connection may queue so many bytes here. Further packets wait where they are counted as blocked.
const SEND_QUEUE: usize = 32 * 1024;

/// The target of a search, as far as the user says nothing else.
const SEARCHED: &str = "p99<100ms,loss<0.1%,failed<1%,reached>95%";

/// The times of warm-up and of measuring, if the user gives none: of one load, and of each step in a search.
const TIMES: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(30)];
const STEP_TIMES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// No search goes beyond so many packets a second.
const MOST_PACKETS: u64 = 10_000_000;

/// Runs `tox-relay load`.
pub fn run(arguments: Arguments) -> ExitCode {
    match begin(arguments) {
        Ok(outcome) => ExitCode::from(outcome.status()),
        Err(message) => {
            crate::complain(&format!("tox-relay load: {message}"));
            ExitCode::from(Outcome::Error.status())
        }
    }
}

/// A run, and what is needed to judge it.
struct Session {
    arguments: Arguments,
    target: Target,
    run: Run,
    before: Option<Quantiles>,
    /// The steps of a search.
    tried: Vec<Tried>,
    search: Option<Search>,
}

/// Checks everything that can be checked without a connection, and then runs.
fn begin(arguments: Arguments) -> Result<Outcome, String> {
    arguments.check()?;
    if !arguments.i_run_this_relay {
        refuse_others(&arguments)?;
    }
    let descriptors = guard::descriptors(PROBE.end + most_connections(&arguments) as usize);
    guard::allow(descriptors)?;
    if let Some(path) = &arguments.plot {
        // A path that is wrong would be told only after the run. What is in the file is kept until then.
        let file = fs::File::options().append(true).create(true).open(path);
        file.map_err(|error| format!("{}: {error}", path.display()))?;
    }

    let mut target = arguments.until.clone().unwrap_or_default();
    if arguments.search.is_some() {
        target = target.or(SEARCHED.parse()?);
    }
    let manner = manner(&arguments);
    let users = users(&arguments)?;
    let is_interrupted = catch_signals().map_err(|error| error.to_string())?;
    let mut report = Report::new(arguments.json);
    match report.start(&start(&arguments, &manner, &target, descriptors)).map_err(Stop::unwritten) {
        Ok(()) => {}
        Err(Stop::Other(message)) => return Err(message),
        // Nobody reads the output: there is nothing to do.
        Err(_) => return Ok(Outcome::Interrupted),
    }
    let run = Run::new(manner, users, report, is_interrupted, asked(&arguments));
    Session { arguments, target, run, before: None, tried: Vec::new(), search: None }.run()
}

/// A relay or a proxy of others.
fn refuse_others(arguments: &Arguments) -> Result<(), String> {
    let foreign = match &arguments.proxy {
        _ if !guard::is_private(&arguments.address) => arguments.address.to_string(),
        Some(proxy) if !guard::is_private_proxy(proxy) => format!("the proxy {}", proxy.address()),
        _ => return Ok(()),
    };
    Err(format!(
        "{foreign} is neither on this machine nor in a private network. A load like this is an attack on a relay or \
         a proxy of others: if you run it, or those who do have agreed, add --i-run-this-relay"
    ))
}

/// The load, or the first one of a search.
fn asked(arguments: &Arguments) -> Load {
    let rate = if arguments.pairs == 0 { Some(0.0) } else { arguments.rate.per_second() };
    Load { connections: arguments.connections, rate }
}

fn manner(arguments: &Arguments) -> Manner {
    let [warm_up, time] = if arguments.search.is_some() { STEP_TIMES } else { TIMES };
    Manner {
        connect_rate: arguments.connect_rate,
        churn: arguments.churn,
        content: Content { sizes: arguments.size.clone(), oob: arguments.oob },
        warm_up: arguments.warm_up.unwrap_or(warm_up),
        time: arguments.time.unwrap_or(time),
        abort_above: arguments.abort_above,
    }
}

fn users(arguments: &Arguments) -> Result<Users, String> {
    let mut config = Config::new(SecretKey::generate()).send_queue(SEND_QUEUE);
    if let Some(proxy) = &arguments.proxy {
        config = config.proxy(proxy.clone());
    }
    let client = Client::new(config).map_err(|error| error.to_string())?;
    let relay = Relay::new(arguments.address.clone(), arguments.key);
    Ok(Users::new(client, relay, arguments.proxy.is_some(), PROBE.end + 2 * arguments.pairs))
}

/// Becomes true on Ctrl-C. The second one ends the program at once.
fn catch_signals() -> io::Result<Arc<AtomicBool>> {
    let is_interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let status = Outcome::Interrupted.status().into();
        flag::register_conditional_shutdown(signal, status, Arc::clone(&is_interrupted))?;
        flag::register(signal, Arc::clone(&is_interrupted))?;
    }
    Ok(is_interrupted)
}

/// The most connections at the same time. A search for connections takes what the system allows.
fn most_connections(arguments: &Arguments) -> u64 {
    let asked = arguments.connections as u64;
    if arguments.search != Some(Unit::Connections) {
        return asked;
    }
    // One address of this machine has so many ports for connections to one relay or proxy.
    let ports = if guard::is_loopback(&arguments.address) { MOST_CONNECTIONS as u64 } else { 28_000 };
    guard::most_connections().saturating_sub(PROBE.end as u64).min(ports).max(asked)
}

fn start(arguments: &Arguments, manner: &Manner, target: &Target, descriptors: u64) -> Start {
    let (from, to) = (arguments.size.start(), arguments.size.end());
    Start {
        relay: arguments.address.to_string(),
        key: arguments.key.to_string(),
        proxy: arguments.proxy.as_ref().map(ToString::to_string),
        connections: arguments.connections,
        connect_rate: manner.connect_rate,
        pairs: arguments.pairs,
        sizes: if from == to { from.to_string() } else { format!("{from}-{to}") },
        rate: arguments.rate.per_second(),
        oob: arguments.oob,
        churn: arguments.churn,
        warm_up: manner.warm_up.as_secs_f64(),
        time: manner.time.as_secs_f64(),
        abort_above: manner.abort_above.as_secs_f64(),
        search: arguments.search,
        until: target.to_string(),
        descriptors,
    }
}

impl Session {
    fn run(mut self) -> Result<Outcome, String> {
        let stop = self.go().err();
        if let Some(Stop::Other(message)) = stop {
            return Err(message);
        }
        let end = self.end(stop);
        let outcome = end.outcome;
        let written = self.run.report().end(&end).map_err(Stop::unwritten);
        if let Some(path) = self.arguments.plot.take() {
            fs::write(&path, self.plot()).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        match written {
            Err(Stop::Other(message)) => Err(message),
            // If nobody reads the output, the exit status still says how it ended.
            _ => Ok(outcome),
        }
    }

    fn go(&mut self) -> Result<(), Stop> {
        self.before = self.run.probe()?;
        let asked = asked(&self.arguments);
        match self.arguments.search {
            None => self.run.step(asked),
            Some(Unit::Connections) => {
                let most = most_connections(&self.arguments);
                // With fewer, some of the pairs would be missing, and the packets would not be those that were asked for.
                let least = 2 * self.arguments.pairs as u64;
                let search = Search::new(asked.connections as u64, least, most);
                self.search(Unit::Connections, search, |load| Load { connections: load as usize, ..asked })
            }
            Some(Unit::Throughput) => {
                let search = Search::new(asked.rate.unwrap_or_default() as u64, 1, MOST_PACKETS);
                self.search(Unit::Throughput, search, |load| Load { rate: Some(load as f64), ..asked })
            }
        }
    }

    fn search(&mut self, unit: Unit, search: Search, load: impl Fn(u64) -> Load) -> Result<(), Stop> {
        self.search = Some(search);
        while let Some(number) = self.search.as_ref().and_then(Search::next) {
            let stop = self.run.step(load(number)).err();
            if let Some(stop @ (Stop::Interrupted | Stop::Other(_))) = stop {
                return Err(stop);
            }
            let step = self.run.result();
            // What has not arrived by an early end is not missing.
            let misses = stop.as_ref().map_or_else(|| self.misses(&step), |stop| vec![stop.to_string()]);
            if let Some(search) = &mut self.search {
                search.record(number, misses.is_empty());
            }
            let tried = Tried { unit, misses, own_limit: step.own_limit(), step };
            self.run.report().tried(&tried).map_err(Stop::unwritten)?;
            self.tried.push(tried);
            match stop {
                None => {}
                // This load was too much, and a smaller one may not be.
                Some(Stop::Overloaded(_)) => self.run.recover()?,
                Some(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    /// The summary of a run that ended by itself or for this reason.
    fn end(&mut self, stop: Option<Stop>) -> End {
        // The one that the search has found.
        let found = self.tried.iter().rfind(|tried| tried.misses.is_empty()).map(|tried| tried.step.clone());
        let step = found.unwrap_or_else(|| self.run.result());
        let misses = if self.search.is_some() { Vec::new() } else { self.misses(&step) };
        let is_kept = match &self.search {
            Some(search) => search.largest().is_some(),
            None => misses.is_empty(),
        };
        let outcome = match &stop {
            None if is_kept => Outcome::Kept,
            None => Outcome::Missed,
            Some(Stop::Interrupted) => Outcome::Interrupted,
            Some(Stop::Unreached(failure) | Stop::Lost(failure)) if failure.is_proxys => Outcome::Proxy,
            Some(Stop::Unreached(_)) => Outcome::Unreached,
            Some(Stop::Lost(_) | Stop::NoRoute) => Outcome::Lost,
            Some(Stop::Overloaded(_) | Stop::Stuck) => Outcome::Overloaded,
            Some(Stop::Other(_)) => Outcome::Error,
        };
        let message = match (&stop, outcome) {
            (Some(stop), _) => stop.to_string(),
            (None, Outcome::Missed) if self.target.is_empty() => misses.join(", "),
            (None, Outcome::Missed) => format!("the target {} was missed", self.target),
            (None, _) if self.target.is_empty() => "the run is complete".into(),
            (None, _) => format!("the target {} was kept", self.target),
        };
        let search = self.arguments.search.zip(self.search.as_ref()).map(|(unit, search)| Found {
            unit,
            steps: self.tried.len(),
            largest: search.largest(),
            smallest_missed: search.smallest_missed(),
        });
        let notes = self.notes(&step);
        End {
            outcome,
            message,
            before: self.before,
            step,
            search,
            misses,
            failures: self.run.failures(),
            notes,
        }
    }

    /// The conditions of the target that a step has not met. Only a load can meet them or not.
    fn misses(&self, step: &Step) -> Vec<String> {
        if step.phase != Phase::Load {
            return Vec::new();
        }
        let mut misses: Vec<String> =
            self.target.misses(&step.measured()).iter().map(Miss::to_string).collect();
        if self.target.is_empty() && step.sent > 0 && step.received == 0 {
            misses.push("nothing has arrived".to_owned());
        }
        misses
    }

    /// What the figures do not show, if there are any.
    fn notes(&self, step: &Step) -> Vec<String> {
        if step.seconds == 0.0 {
            return Vec::new();
        }
        let mut notes = vec!["what other users carry over this relay cannot be seen".to_owned()];
        if guard::is_loopback(&self.arguments.address) {
            notes.push(
                "the relay is on this machine: the generator competes with it for the processors".into(),
            );
        }
        let last = self.tried.last().map(|tried| &tried.step);
        if let Some(limit) = [Some(step), last].into_iter().flatten().find_map(Step::own_limit) {
            notes.push(format!("the generator itself may be the limit, and not the relay: {limit}"));
        }
        if self.arguments.search == Some(Unit::Connections)
            && self.search.as_ref().is_some_and(Search::is_at_most)
        {
            notes.push(
                "the search ended at what this machine allows (`ulimit -n`, or the ports of one address): the \
                 relay may bear more"
                    .into(),
            );
        }
        if self.arguments.rate == Rate::Max {
            notes.push("nothing was planned: latency counts from the moment of sending".into());
        }
        notes
    }

    fn plot(&mut self) -> String {
        let name = self.arguments.address.to_string();
        let (points, unit) = match self.arguments.search {
            Some(unit) => (self.tried.iter().filter_map(of_step).collect(), unit.noun()),
            None => (
                self.run.report().kept_lines.iter().filter_map(of_line).collect(),
                "packets received in a second",
            ),
        };
        plot::draw(&[Series { name, points }], unit)
    }
}

fn of_step(tried: &Tried) -> Option<Point> {
    let latency = tried.step.latency.or(tried.step.probe)?;
    let Load { connections, rate } = tried.step.asked;
    let load = match tried.unit {
        Unit::Connections => connections as f64,
        Unit::Throughput => rate?,
    };
    Some(point(load, latency, tried.misses.is_empty()))
}

fn of_line(line: &Line) -> Option<Point> {
    let is_loaded = matches!(line.phase, Phase::WarmUp | Phase::Load);
    let latency = line.latency.filter(|_| is_loaded)?;
    Some(point(line.received as f64, latency, true))
}

fn point(load: f64, Quantiles { p50, p99, p999, .. }: Quantiles, is_kept: bool) -> Point {
    Point { load, latencies: [p50, p99, p999], is_kept }
}
