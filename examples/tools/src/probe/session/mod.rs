//! The probe of one relay as a state machine: no socket, no clock.
//!
//! What happens goes in ([`Session::handle`], [`Session::handle_timeout`]), with the time as an argument, and what to do
//! comes out ([`Session::poll_command`]). One [`Step`] follows another:
//!
//! ```text
//! Connect ─ Pings ─ ConnectSecond ─ Oob ─ Route ─ Echo ─ the tests that were named ─ done
//! ```
//!
//! The second connection has another key, and both meet at the relay: OOB goes from the first to the second, each opens
//! a route to the other, and data go there and back.

mod payload;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tox_relay_client::{ConnectTimes, DisconnectReason};

use crate::probe::report::{Burst, Passing, Report};
use crate::problem::Problem;
use crate::state::State;
use payload::{BURST_LEN, BURST_PACKETS, DATA_SIZES, ECHO, END, OOB, OOB_SIZES};

/// How relays are probed.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The number of pings.
    pub count: u32,
    /// From one ping to the next.
    pub interval: Duration,
    /// How long to wait for each answer.
    pub timeout: Duration,
    /// What to try besides, in this order.
    pub tests: Vec<Test>,
}

/// What is tried only if it is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    DataSize,
    OobSize,
    Burst,
    Routes,
    Onion,
    Forward,
}

/// What the session waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Connect,
    Pings,
    ConnectSecond,
    Oob,
    Route,
    Echo,
    Test(Test),
    Done,
}

/// One of the two connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    First,
    Second,
}

/// What to do.
#[derive(Debug, PartialEq)]
pub enum Command {
    Connect(Side),
    /// On the first connection.
    Ping,
    /// To the other side.
    OpenRoute(Side),
    /// To the other side.
    SendData(Side, Vec<u8>),
    /// From the first to the second.
    SendOob(Vec<u8>),
    /// From the first, to keys of nobody, as many as possible. The answer is [`Input::RoutesRequested`].
    FillRoutes,
    SendOnion,
    SendForward,
}

/// What has happened.
#[derive(Debug)]
pub enum Input<'a> {
    Connected(Side, ConnectTimes),
    Ended(Side, DisconnectReason, ConnectTimes),
    /// The connection could not be started.
    Failed(Problem),
    /// A ping of the first connection was answered.
    RoundTrip(Duration),
    RouteOnline(Side),
    /// A route to the other side.
    RouteRefused,
    Data(Side, &'a [u8]),
    Oob(Side, &'a [u8]),
    RoutesRequested(usize),
    /// One of the requested routes.
    RouteAnswered {
        opened: bool,
    },
    /// An onion response, or a forwarded packet.
    Answer,
}

/// The probe of one relay.
pub struct Session {
    plan: Plan,
    step: Step,
    started: Instant,
    /// When the step is over, or the next ping is due; `None` while the library's own timeout is running.
    deadline: Option<Instant>,
    /// The steps that follow.
    steps: VecDeque<Step>,
    commands: VecDeque<Command>,
    progress: Progress,
    report: Report,
}

/// What a step has seen so far.
#[derive(Default)]
struct Progress {
    online: [bool; 2],
    requested: Option<usize>,
    opened: usize,
    refused: usize,
    packets: usize,
    bytes: usize,
    last: Option<Instant>,
}

impl Session {
    pub fn new(plan: &Plan, now: Instant) -> Self {
        let mut steps =
            VecDeque::from([Step::Pings, Step::ConnectSecond, Step::Oob, Step::Route, Step::Echo]);
        steps.extend(plan.tests.iter().copied().map(Step::Test));
        Self {
            plan: plan.clone(),
            step: Step::Connect,
            started: now,
            deadline: None,
            steps,
            commands: VecDeque::from([Command::Connect(Side::First)]),
            progress: Progress::default(),
            report: Report::default(),
        }
    }

    /// What to do now; to be called until it returns `None`.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether a pong of the first connection is expected.
    pub fn awaits_pong(&self) -> bool {
        self.step == Step::Pings && self.deadline.is_none()
    }

    /// Whether a node on UDP may have something to answer.
    pub fn awaits_node(&self) -> bool {
        matches!(self.step, Step::Test(Test::Onion | Test::Forward))
    }

    pub fn is_done(&self) -> bool {
        self.step == Step::Done
    }

    /// Ends the probe before it is done.
    pub fn interrupt(&mut self) {
        self.report.is_interrupted |= !self.is_done();
        self.report.pings.sent -= u32::from(self.awaits_pong()); // its answer may be on its way
        self.finish();
    }

    pub fn into_report(self) -> Report {
        self.report
    }

    pub fn handle(&mut self, now: Instant, input: Input) {
        let elapsed = now.saturating_duration_since(self.started);
        match (self.step, input) {
            (Step::Done, _) => {}
            (_, Input::Ended(side, reason, times)) => self.handle_end(side, reason, times),
            (_, Input::Failed(problem)) => {
                self.report.problems.push(problem);
                self.finish();
            }
            (Step::Connect, Input::Connected(Side::First, times)) => {
                self.report.phases = times.into();
                self.next(now);
            }
            (Step::Pings, Input::RoundTrip(time)) => self.handle_round_trip(now, time),
            (Step::ConnectSecond, Input::Connected(Side::Second, _)) => self.next(now),
            (Step::Oob, Input::Oob(Side::Second, data)) if data == OOB => {
                self.report.oob = Some(elapsed);
                self.next(now);
            }
            (Step::Route, Input::RouteOnline(side)) => {
                self.progress.online[side as usize] = true;
                if self.progress.online == [true, true] {
                    self.report.route = Some(elapsed);
                    self.next(now);
                }
            }
            (Step::Route, Input::RouteRefused) => {
                self.give_up_routes(now, "it refuses a route between two of its clients");
            }
            (Step::Echo, Input::Data(Side::Second, data)) if data == ECHO => {
                self.commands.push_back(Command::SendData(Side::Second, ECHO.to_vec()));
            }
            (Step::Echo, Input::Data(Side::First, data)) if data == ECHO => {
                self.report.echo = Some(elapsed);
                self.next(now);
            }
            (Step::Test(test), input) => self.handle_test(now, test, input),
            _ => {}
        }
    }

    fn handle_test(&mut self, now: Instant, test: Test, input: Input) {
        let elapsed = now.saturating_duration_since(self.started);
        let extras = &mut self.report.extras;
        match (test, input) {
            (Test::DataSize, Input::Data(Side::Second, data)) if data == END => self.next(now),
            (Test::DataSize, Input::Data(Side::Second, data)) => {
                extras.largest_data = extras.largest_data.max(Some(data.len()));
            }
            (Test::OobSize, Input::Oob(Side::Second, data)) if data == END => self.next(now),
            (Test::OobSize, Input::Oob(Side::Second, data)) => {
                extras.largest_oob = extras.largest_oob.max(Some(data.len()));
            }
            (Test::Burst, Input::Data(Side::Second, data)) if data.len() == BURST_LEN => {
                self.progress.packets += 1;
                self.progress.bytes += data.len();
                self.progress.last = Some(now);
                if self.progress.packets == BURST_PACKETS {
                    self.conclude(now);
                }
            }
            (Test::Routes, Input::RoutesRequested(count)) => {
                self.progress.requested = Some(count);
                self.conclude_routes(now);
            }
            (Test::Routes, Input::RouteAnswered { opened }) => {
                *(if opened { &mut self.progress.opened } else { &mut self.progress.refused }) += 1;
                self.conclude_routes(now);
            }
            (Test::Onion, Input::Answer) => {
                extras.onion = Some(Passing::Answered(elapsed));
                self.next(now);
            }
            (Test::Forward, Input::Answer) => {
                extras.forward = Some(Passing::Answered(elapsed));
                self.next(now);
            }
            _ => {}
        }
    }

    /// To be called when the [deadline](Self::deadline) is reached; a call that comes early does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.step {
            Step::Pings => self.ping(),
            Step::Oob => {
                self.warn("no-oob", "an OOB packet between two of its clients did not arrive");
                self.next(now);
            }
            Step::Route => {
                self.give_up_routes(now, "two of its clients asked for a route, and it is not online")
            }
            Step::Echo => {
                self.fail("no-echo", "data between two of its clients did not arrive");
                self.next(now);
            }
            Step::Test(_) => self.conclude(now),
            Step::Connect | Step::ConnectSecond | Step::Done => self.deadline = None,
        }
    }

    /// Goes on with the next step.
    fn next(&mut self, now: Instant) {
        self.step = self.steps.pop_front().unwrap_or(Step::Done);
        self.started = now;
        self.progress = Progress::default();
        self.deadline = Some(now + self.patience());
        match self.step {
            Step::Connect | Step::Done => self.deadline = None,
            Step::Pings => self.ping(),
            Step::ConnectSecond => {
                self.deadline = None;
                self.commands.push_back(Command::Connect(Side::Second));
            }
            Step::Oob => self.commands.push_back(Command::SendOob(OOB.to_vec())),
            Step::Route => {
                self.commands.extend([Side::First, Side::Second].map(Command::OpenRoute));
            }
            Step::Echo => self.commands.push_back(Command::SendData(Side::First, ECHO.to_vec())),
            Step::Test(test) => self.begin(test),
        }
    }

    fn begin(&mut self, test: Test) {
        let sized = |sizes: &[usize]| sizes.iter().map(|len| payload::filled(*len)).collect::<Vec<_>>();
        let end = END.to_vec();
        match test {
            Test::DataSize => {
                let packets = sized(&DATA_SIZES).into_iter().chain([end]);
                self.commands.extend(packets.map(|data| Command::SendData(Side::First, data)));
            }
            Test::OobSize => {
                self.commands.extend(sized(&OOB_SIZES).into_iter().chain([end]).map(Command::SendOob));
            }
            Test::Burst => {
                let packet = || Command::SendData(Side::First, payload::filled(BURST_LEN));
                self.commands.extend(std::iter::repeat_with(packet).take(BURST_PACKETS));
            }
            Test::Routes => self.commands.push_back(Command::FillRoutes),
            Test::Onion => self.commands.push_back(Command::SendOnion),
            Test::Forward => self.commands.push_back(Command::SendForward),
        }
    }

    /// How long the step may take. An answer to an onion or forward request may never come.
    fn patience(&self) -> Duration {
        const NO_ANSWER: Duration = Duration::from_secs(3);
        if self.awaits_node() { self.plan.timeout.min(NO_ANSWER) } else { self.plan.timeout }
    }

    /// Ends the test with what was seen.
    fn conclude(&mut self, now: Instant) {
        let Progress { opened, packets, bytes, last, .. } = self.progress;
        let extras = &mut self.report.extras;
        match self.step {
            Step::Test(Test::Burst) => {
                let time = last.unwrap_or(now).saturating_duration_since(self.started);
                extras.burst = Some(Burst { sent: BURST_PACKETS, received: packets, bytes, time });
            }
            // The route between the two is one more.
            Step::Test(Test::Routes) => {
                extras.routes = Some(opened + usize::from(self.report.route.is_some()))
            }
            Step::Test(Test::Onion) => extras.onion = Some(Passing::Accepted),
            Step::Test(Test::Forward) => extras.forward = Some(Passing::Accepted),
            _ => {}
        }
        self.next(now);
    }

    fn conclude_routes(&mut self, now: Instant) {
        let Progress { requested, opened, refused, .. } = self.progress;
        if requested.is_some_and(|requested| opened + refused >= requested) {
            self.conclude(now);
        }
    }

    fn ping(&mut self) {
        self.report.pings.sent += 1;
        self.deadline = None;
        self.commands.push_back(Command::Ping);
    }

    fn handle_round_trip(&mut self, now: Instant, time: Duration) {
        self.report.pings.add(time);
        if self.report.pings.answered() >= self.plan.count {
            self.next(now);
        } else {
            // The pings are this far apart, or as far as their answers take.
            self.deadline =
                Some((now + self.plan.interval).checked_sub(time).map_or(now, |due| due.max(now)));
        }
    }

    fn handle_end(&mut self, side: Side, reason: DisconnectReason, times: ConnectTimes) {
        let problem = match side {
            Side::First => Problem::from_end(reason),
            Side::Second => Problem::from_second(reason),
        };
        let extras = &mut self.report.extras;
        // A relay refuses a request by the end of the connection that has sent it.
        let is_refusal = side == Side::First && problem.state == State::Down;
        match self.step {
            Step::Test(Test::Onion) if is_refusal => extras.onion = Some(Passing::Refused),
            Step::Test(Test::Forward) if is_refusal => extras.forward = Some(Passing::Refused),
            Step::Connect => {
                self.report.phases = times.into();
                self.report.problems.push(problem);
            }
            _ => self.report.problems.push(problem),
        }
        self.finish();
    }

    /// Without a route, what needs one is left out.
    fn give_up_routes(&mut self, now: Instant, sentence: &str) {
        self.fail("no-route", sentence);
        self.steps.retain(|step| !matches!(step, Step::Echo | Step::Test(Test::DataSize | Test::Burst)));
        self.next(now);
    }

    fn warn(&mut self, word: &'static str, sentence: &str) {
        self.report.problems.push(Problem::new(word, State::Warning, sentence));
    }

    fn fail(&mut self, word: &'static str, sentence: &str) {
        self.report.problems.push(Problem::new(word, State::Failing, sentence));
    }

    fn finish(&mut self) {
        self.step = Step::Done;
        self.deadline = None;
        self.commands.clear();
    }
}
