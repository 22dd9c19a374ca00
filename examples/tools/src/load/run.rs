//! The loop: one thread, one client, and phases that follow one another.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tox_relay_client::Events;

use crate::load::attendance::{Attendance, Move};
use crate::load::cpu::Cpu;
use crate::load::failures::{Counted, Failure};
use crate::load::issuer::Issuer;
use crate::load::latency::Quantiles;
use crate::load::line::{Line, Phase};
use crate::load::payload::Content;
use crate::load::report::Report;
use crate::load::schedule::Schedule;
use crate::load::step::{Load, Step};
use crate::load::traffic::Traffic;
use crate::load::users::{PROBE, Users};

/// The most events of one poll.
const EVENTS: usize = 1024;

const LINE: Duration = Duration::from_secs(1);

/// Each user of the probe sends a packet of this many bytes ten times a second.
const PROBE_RATE: f64 = 10.0 * PROBE.end as f64;
const PROBE_CONTENT: Content = Content { sizes: 64..=64, oob: 0.0 };

/// How long the relay is probed before it has any load.
const PROBE_TIME: Duration = Duration::from_secs(1);

/// How long routes may take to come online after the last connection was established.
const PAIRING: Duration = Duration::from_secs(10);

/// After the load, what is on its way has this long to arrive, and is lost if nothing arrives for `QUIET`.
const DRAIN: Duration = Duration::from_secs(10);
const QUIET: Duration = Duration::from_secs(2);

/// A relay that was overloaded has recovered when the probe's latency is below half of its bound. It may take so many
/// times the bound for that.
const RECOVERY: u32 = 10;

/// How a run is made, whatever the load.
#[derive(Debug, Clone)]
pub struct Manner {
    /// Connections that begin, and that leave and return, each second.
    pub connect_rate: f64,
    pub churn: f64,
    pub content: Content,
    pub warm_up: Duration,
    pub time: Duration,
    pub abort_above: Duration,
}

/// Why a run ends before its time.
#[derive(Debug)]
pub enum Stop {
    /// By Ctrl-C, or since nobody reads the output.
    Interrupted,
    /// The connection of the probe has failed before any was established.
    Unreached(Failure),
    /// The same after that.
    Lost(Failure),
    /// The two users of the probe have asked for a route to each other, and it does not come online.
    NoRoute,
    /// The latency of the probe has passed the bound.
    Overloaded(Duration),
    /// After that, the relay has not recovered.
    Stuck,
    /// The operating system, or the arguments.
    Other(String),
}

impl Stop {
    /// The output cannot be written.
    pub fn unwritten(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Interrupted,
            _ => Self::Other(format!("the output cannot be written: {error}")),
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted => f.write_str("it was interrupted"),
            Self::Unreached(failure) | Self::Lost(failure) if failure.is_proxys => {
                write!(f, "the proxy does not work: {}", failure.message)
            }
            Self::Unreached(failure) => write!(f, "the relay was never reached: {}", failure.message),
            Self::NoRoute => f.write_str("the relay opens no route between two users"),
            Self::Lost(failure) => write!(f, "the relay is lost: {}", failure.message),
            Self::Overloaded(bound) => write!(f, "the latency of the probe has passed {bound:?}"),
            Self::Stuck => write!(f, "the relay has not recovered from its overload in time"),
            Self::Other(message) => f.write_str(message),
        }
    }
}

/// A run in progress.
pub struct Run {
    manner: Manner,
    traffic: Traffic,
    events: Events,
    report: Report,
    is_interrupted: Arc<AtomicBool>,
    began: Instant,
    phase: Phase,
    /// Whether there is more to send than the last turn could.
    has_more: bool,
    next_line: Duration,
    line_cpu: Cpu,
    attendance: Attendance,
    step: Begun,
}

/// What is known of the current step before its end.
#[derive(Debug)]
struct Begun {
    asked: Load,
    /// The last phase that it has reached, up to the load.
    phase: Phase,
    /// When its warm-up began, and the plan since then.
    begin: Duration,
    schedule: Option<Schedule>,
    cpu: Option<Cpu>,
    /// The share of the CPU, once the load has ended.
    cpu_share: f64,
    unsent: u64,
}

impl Begun {
    fn new(asked: Load, phase: Phase) -> Self {
        Self { asked, phase, begin: Duration::ZERO, schedule: None, cpu: None, cpu_share: 0.0, unsent: 0 }
    }
}

impl Run {
    /// Nothing is connected yet. The first load will be `asked`.
    pub fn new(
        manner: Manner,
        users: Users,
        report: Report,
        is_interrupted: Arc<AtomicBool>,
        asked: Load,
    ) -> Self {
        Self {
            manner,
            traffic: Traffic::new(users),
            events: Events::with_capacity(EVENTS),
            report,
            is_interrupted,
            began: Instant::now(),
            phase: Phase::Probe,
            has_more: false,
            next_line: LINE,
            line_cpu: Cpu::start(),
            attendance: Attendance::default(),
            step: Begun::new(asked, Phase::Probe),
        }
    }

    pub fn report(&mut self) -> &mut Report {
        &mut self.report
    }

    pub fn failures(&self) -> Vec<Counted> {
        self.traffic.failures.list()
    }

    /// Connects the probe, and returns its latency while the relay has no load.
    pub fn probe(&mut self) -> Result<Option<Quantiles>, Stop> {
        for user in PROBE {
            self.traffic.connect(user).map_err(|error| Stop::Other(error.to_string()))?;
        }
        // The library's own timeouts end this; it has none for routes.
        self.until(Duration::MAX, |run| run.traffic.users.connecting() == 0)?;
        self.until(self.now() + PAIRING, |run| run.traffic.are_paired(PROBE))?;
        if !self.traffic.are_paired(PROBE) {
            return Err(Stop::NoRoute);
        }
        let now = self.now();
        let schedule = Schedule::new(PROBE_RATE, Duration::ZERO);
        self.traffic.probe = Some(Issuer::planned(now, schedule, PROBE, PROBE_CONTENT));
        self.traffic.books.begin_step();
        self.traffic.books.measure(now..now, now..now + PROBE_TIME);
        let outcome = self.until(now + PROBE_TIME, |_| false);
        let latency = self.traffic.books.load.tally.probe.quantiles();
        // If this is the end, no load was measured.
        self.traffic.books.begin_step();
        outcome.map(|()| latency)
    }

    /// Brings the relay to a load, and measures it. The result is in [`Run::result`], also after an early end.
    pub fn step(&mut self, load: Load) -> Result<(), Stop> {
        self.traffic.books.begin_step();
        self.step = Begun::new(load, Phase::Connect);
        let outcome = self.load();
        self.end_load();
        outcome?;
        self.phase = Phase::Drain;
        self.drain()
    }

    fn load(&mut self) -> Result<(), Stop> {
        self.enter(Phase::Connect);
        self.connect()?;
        let (begin, asked) = (self.now(), self.step.asked);
        let warm = begin + self.manner.warm_up;
        let end = warm + self.manner.time;
        let schedule = asked.rate.map(|rate| Schedule::new(rate, self.manner.warm_up));
        (self.step.begin, self.step.schedule) = (begin, schedule);
        self.traffic.books.measure(begin..warm, warm..end);
        let senders = self.senders();
        let content = self.manner.content.clone();
        self.traffic.load = Some(match schedule {
            Some(schedule) => Issuer::planned(begin, schedule, senders, content),
            None => Issuer::unplanned(begin, self.manner.warm_up, senders, content),
        });
        let users = PROBE.end..PROBE.end + asked.connections;
        self.attendance.begin_churn(users, self.manner.churn, begin);
        self.enter(Phase::WarmUp);
        self.until(warm, |_| false)?;
        self.enter(Phase::Load);
        self.until(end, |_| false)
    }

    /// Begins a phase of the step.
    fn enter(&mut self, phase: Phase) {
        (self.phase, self.step.phase) = (phase, phase);
        self.step.cpu = Some(Cpu::start());
    }

    /// Connects or disconnects users, until there are as many as the step asks for.
    fn connect(&mut self) -> Result<(), Stop> {
        let now = self.now();
        let wanted = PROBE.end + self.step.asked.connections;
        for user in wanted..self.traffic.users.len() {
            self.traffic.leave(user, now);
        }
        let absent = (PROBE.end..wanted).filter(|user| !self.traffic.users.is_present(*user));
        self.attendance.open(absent, self.manner.connect_rate, now);
        self.until(Duration::MAX, |run| !run.attendance.is_opening() && run.traffic.users.connecting() == 0)?;
        let senders = self.senders();
        self.until(self.now() + PAIRING, |run| run.traffic.are_paired(senders.clone()))
    }

    /// The pairs among the connections that the step asks for.
    fn senders(&self) -> Range<usize> {
        let Range { start, end } = self.traffic.users.loaders();
        start..end.min(start + self.step.asked.connections / 2 * 2)
    }

    fn end_load(&mut self) {
        self.attendance.end_churn();
        let now = self.now();
        self.traffic.books.end_load(now);
        // What is due later is not of this load.
        let last_moment = self.traffic.books.load.time.end.saturating_sub(Duration::from_nanos(1)).min(now);
        self.step.unsent = self.traffic.end_load(last_moment);
        if let Some(mut cpu) = self.step.cpu.take() {
            self.step.cpu_share = cpu.lap();
        }
    }

    /// Waits for what is on its way.
    fn drain(&mut self) -> Result<(), Stop> {
        let begin = self.now();
        let is_quiet = move |run: &Self| run.now() > run.traffic.last_received.max(begin) + QUIET;
        self.until(begin + DRAIN, move |run| run.traffic.in_flight() == 0 || is_quiet(run))?;
        if is_quiet(self) {
            let now = self.now();
            self.traffic.give_up(now);
        }
        Ok(())
    }

    /// Waits until the relay has recovered from an overload: what was on its way has arrived, or is lost.
    pub fn recover(&mut self) -> Result<(), Stop> {
        self.phase = Phase::Recover;
        let bound = self.manner.abort_above;
        let has_recovered = move |run: &Self| run.traffic.probe_age(run.now()) < bound / 2;
        self.until(self.now() + RECOVERY * bound, has_recovered)?;
        if !has_recovered(self) {
            return Err(Stop::Stuck);
        }
        self.drain()
    }

    /// What was measured in the current step: its load, or what came before it if the step has ended in that.
    pub fn result(&self) -> Step {
        let (books, begun) = (&self.traffic.books, &self.step);
        let section = if begun.phase == Phase::Load { &books.load } else { &books.warm_up };
        let (tally, seconds) = (&section.tally, section.length().as_secs_f64());
        let each_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let since_begin = |moment: Duration| moment.saturating_sub(begun.begin);
        let planned_in = since_begin(section.time.start)..since_begin(section.time.end);
        Step {
            asked: begun.asked,
            phase: begun.phase,
            seconds,
            connections: self.traffic.users.connected(),
            failed: tally.failed,
            planned: begun.schedule.map(|schedule| schedule.count(planned_in)),
            sent: tally.sent,
            received: tally.received,
            arrived_per_second: each_second(tally.arrived),
            bytes_per_second: each_second(tally.bytes),
            lost: tally.lost,
            unsent: begun.unsent,
            absent: tally.absent,
            cut_off: tally.cut_off,
            abandoned: tally.abandoned,
            unfinished: self.traffic.in_flight(),
            latency: tally.latency.quantiles(),
            probe: tally.probe.quantiles(),
            late: tally.late.quantiles(),
            cpu: begun.cpu_share,
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Runs the loop until this moment, or until something is done.
    fn until(&mut self, moment: Duration, is_done: impl Fn(&Self) -> bool) -> Result<(), Stop> {
        while self.now() < moment && !is_done(self) {
            self.turn(moment)?;
        }
        Ok(())
    }

    /// Waits for the next thing to do, receives, and sends what is due.
    fn turn(&mut self, until: Duration) -> Result<(), Stop> {
        if !self.has_more {
            self.wait(until)?;
        }
        let traffic = &mut self.traffic;
        traffic.users.client.poll(&mut self.events, Some(Duration::ZERO)).map_err(other)?;
        let now = self.began.elapsed();
        for event in &self.events {
            traffic.handle(&event, now);
        }
        self.come_and_go(now);
        self.has_more = self.traffic.send_due(now);
        self.traffic.users.client.flush();
        self.check(now)?;
        if now >= self.next_line { self.write_line(now) } else { Ok(()) }
    }

    /// Connects users and lets others leave, as planned.
    fn come_and_go(&mut self, now: Duration) {
        while let Some(next) = self.attendance.next(now) {
            match next {
                Move::Connect(user) if self.traffic.users.is_present(user) => {}
                // A failure is counted, and the run goes on.
                Move::Connect(user) => _ = self.traffic.connect(user),
                Move::Leave(user) => self.traffic.leave(user, now),
            }
        }
    }

    /// Whether the run must end.
    fn check(&mut self, now: Duration) -> Result<(), Stop> {
        if self.is_interrupted.load(Ordering::Relaxed) {
            return Err(Stop::Interrupted);
        }
        if let Some(failure) = self.traffic.lost.take() {
            let was_reached = self.traffic.was_reached;
            return Err(if was_reached { Stop::Lost(failure) } else { Stop::Unreached(failure) });
        }
        if self.phase != Phase::Recover && self.traffic.probe_age(now) > self.manner.abort_above {
            return Err(Stop::Overloaded(self.manner.abort_above));
        }
        Ok(())
    }

    fn write_line(&mut self, now: Duration) -> Result<(), Stop> {
        let interval = LINE + now.saturating_sub(self.next_line);
        let line = Line::new(now, interval, self.phase, &self.traffic, self.line_cpu.lap());
        self.traffic.books.next_interval();
        self.next_line = now + LINE;
        self.report.line(&line).map_err(Stop::unwritten)
    }

    /// Waits until a socket is ready or something is due. The client's own wait is exact to a millisecond only.
    fn wait(&self, until: Duration) -> Result<(), Stop> {
        let client = &self.traffic.users.client;
        let due = [
            Some(until),
            Some(self.next_line),
            self.attendance.next_moment(),
            self.traffic.probe.as_ref().and_then(Issuer::next_moment),
            self.traffic.load.as_ref().and_then(Issuer::next_moment),
        ];
        let due = due.into_iter().flatten().min().unwrap_or(until).saturating_sub(self.now());
        let wait = client.next_timeout().map_or(due, |timeout| timeout.min(due));
        if wait.is_zero() {
            return Ok(());
        }
        let timeout = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
        match poll(&mut [PollFd::new(client, PollFlags::IN)], Some(&timeout)) {
            // A signal: its handler has noted it.
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(other(error)),
        }
    }
}

fn other(error: impl Into<io::Error>) -> Stop {
    Stop::Other(error.into().to_string())
}
