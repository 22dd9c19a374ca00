//! A probe in virtual time, with a relay that is made up.

use tox_relay_client::{Impostor, Party, Stage};

use super::*;

const MS: Duration = Duration::from_millis(1);

/// A session, its clock, and what it has asked for.
struct Probe {
    session: Session,
    now: Instant,
}

impl Probe {
    fn new(tests: &[Test]) -> Self {
        let plan = Plan { count: 2, interval: 200 * MS, timeout: 1000 * MS, tests: tests.to_vec() };
        let now = Instant::now();
        Self { session: Session::new(&plan, now), now }
    }

    /// A probe that has come as far as the meeting of both connections.
    fn connected(tests: &[Test]) -> Self {
        let mut probe = Self::new(tests);
        assert_eq!(probe.commands(), [Command::Connect(Side::First)]);
        probe.handle(Input::Connected(Side::First, ConnectTimes::default()));
        for _ in 0..2 {
            assert_eq!(probe.commands(), [Command::Ping]);
            probe.handle(Input::RoundTrip(MS));
            probe.wait(200);
        }
        assert_eq!(probe.commands(), [Command::Connect(Side::Second)]);
        probe.handle(Input::Connected(Side::Second, ConnectTimes::default()));
        probe
    }

    /// A probe that has come to the tests.
    fn met(tests: &[Test]) -> Self {
        let mut probe = Self::connected(tests);
        probe.handle(Input::Oob(Side::Second, OOB));
        probe.handle(Input::RouteOnline(Side::First));
        probe.handle(Input::RouteOnline(Side::Second));
        probe.handle(Input::Data(Side::Second, ECHO));
        probe.handle(Input::Data(Side::First, ECHO));
        probe.session.commands.retain(|command| !is_of_the_meeting(command));
        probe
    }

    fn handle(&mut self, input: Input) {
        self.session.handle(self.now, input);
    }

    /// Lets time pass.
    fn wait(&mut self, millis: u32) {
        self.now += millis * MS;
        self.session.handle_timeout(self.now);
    }

    fn commands(&mut self) -> Vec<Command> {
        std::iter::from_fn(|| self.session.poll_command()).collect()
    }

    /// The words of the problems, when the probe is done.
    #[track_caller]
    fn words(&self) -> Vec<&'static str> {
        assert!(self.session.is_done() && self.session.deadline().is_none());
        self.session.report.problems.iter().map(|problem| problem.word).collect()
    }
}

fn is_of_the_meeting(command: &Command) -> bool {
    match command {
        Command::SendOob(data) => data == OOB,
        Command::SendData(_, data) => data == ECHO,
        command => matches!(command, Command::OpenRoute(_)),
    }
}

fn closed(stage: Stage) -> DisconnectReason {
    DisconnectReason::Closed { stage, party: Party::Relay, hint: None }
}

#[test]
fn a_relay_that_does_everything_has_no_problem() {
    let mut probe = Probe::connected(&[]);
    assert_eq!(probe.commands(), [Command::SendOob(OOB.to_vec())]);
    probe.wait(3);
    probe.handle(Input::Oob(Side::Second, OOB));
    assert_eq!(probe.commands(), [Side::First, Side::Second].map(Command::OpenRoute));
    probe.handle(Input::RouteOnline(Side::Second));
    probe.wait(4);
    probe.handle(Input::RouteOnline(Side::First));
    assert_eq!(probe.commands(), [Command::SendData(Side::First, ECHO.to_vec())]);
    probe.handle(Input::Data(Side::Second, ECHO));
    assert_eq!(probe.commands(), [Command::SendData(Side::Second, ECHO.to_vec())]);
    probe.wait(5);
    probe.handle(Input::Data(Side::First, ECHO));
    assert!(probe.words().is_empty());
    let report = probe.session.into_report();
    assert_eq!((report.oob, report.route, report.echo), (Some(3 * MS), Some(4 * MS), Some(5 * MS)));
    assert_eq!((report.pings.sent, report.pings.lost()), (2, 0));
}

#[test]
fn pings_are_as_far_apart_as_asked_or_as_their_answers_take() {
    let mut probe = Probe::new(&[]);
    probe.commands();
    probe.handle(Input::Connected(Side::First, ConnectTimes::default()));
    assert_eq!(probe.commands(), [Command::Ping]);
    assert!(probe.session.awaits_pong());
    probe.now += 50 * MS;
    probe.handle(Input::RoundTrip(50 * MS));
    assert!(!probe.session.awaits_pong());
    probe.wait(149);
    assert!(probe.commands().is_empty());
    probe.wait(1);
    assert_eq!(probe.commands(), [Command::Ping]);

    let mut probe = Probe::new(&[]);
    probe.commands();
    probe.handle(Input::Connected(Side::First, ConnectTimes::default()));
    probe.commands();
    probe.now += 700 * MS;
    probe.handle(Input::RoundTrip(700 * MS));
    probe.wait(0);
    assert_eq!(probe.commands(), [Command::Ping]);
}

#[test]
fn an_end_while_connecting_is_the_reason_and_nothing_more_is_tried() {
    let mut probe = Probe::new(&[Test::Onion]);
    let reason = DisconnectReason::Impostor(Impostor::WrongKey);
    probe.handle(Input::Ended(Side::First, reason, ConnectTimes::default()));
    assert_eq!(probe.words(), ["bad-response"]);
    assert!(probe.commands().is_empty());
}

#[test]
fn a_relay_that_takes_one_client_only_fails() {
    let mut probe = Probe::new(&[]);
    probe.handle(Input::Connected(Side::First, ConnectTimes::default()));
    probe.handle(Input::RoundTrip(MS));
    probe.wait(200);
    probe.handle(Input::RoundTrip(MS));
    probe.handle(Input::Ended(Side::Second, closed(Stage::Handshaking), ConnectTimes::default()));
    assert_eq!(probe.words(), ["no-second"]);
    assert_eq!(probe.session.report.problems[0].state, State::Failing);
}

#[test]
fn an_end_in_the_middle_keeps_what_was_measured() {
    let mut probe = Probe::connected(&[]);
    probe.handle(Input::Oob(Side::Second, OOB));
    probe.handle(Input::Ended(Side::First, closed(Stage::Connected), ConnectTimes::default()));
    assert_eq!(probe.words(), ["lost"]);
    assert_eq!((probe.session.report.oob, probe.session.report.pings.answered()), (Some(Duration::ZERO), 2));
}

#[test]
fn what_does_not_come_is_a_problem_each_and_the_rest_is_tried() {
    let mut probe = Probe::connected(&[]);
    probe.wait(999);
    assert!(probe.session.report.problems.is_empty());
    probe.wait(1);
    probe.handle(Input::RouteOnline(Side::First));
    probe.handle(Input::RouteOnline(Side::Second));
    probe.handle(Input::Data(Side::Second, b"something else"));
    probe.wait(1000);
    assert_eq!(probe.words(), ["no-oob", "no-echo"]);
}

#[test]
fn without_a_route_nothing_that_needs_one_is_tried() {
    let tests = [Test::DataSize, Test::Burst, Test::OobSize];
    for refused in [true, false] {
        let mut probe = Probe::connected(&tests);
        probe.handle(Input::Oob(Side::Second, OOB));
        probe.handle(Input::RouteOnline(Side::First)); // but not the other
        if refused {
            probe.handle(Input::RouteRefused);
        } else {
            probe.wait(1000);
        }
        probe.commands();
        probe.handle(Input::Oob(Side::Second, &[0; 768]));
        probe.handle(Input::Oob(Side::Second, END));
        assert_eq!(probe.words(), ["no-route"]);
        let extras = &probe.session.report.extras;
        assert_eq!((extras.largest_oob, extras.largest_data, extras.burst), (Some(768), None, None));
    }
}

#[test]
fn the_largest_packet_that_arrived_before_the_end_mark_counts() {
    let mut probe = Probe::met(&[Test::DataSize]);
    let sent = probe.commands();
    assert_eq!(sent.len(), DATA_SIZES.len() + 1);
    assert_eq!(sent.last(), Some(&Command::SendData(Side::First, END.to_vec())));
    probe.handle(Input::Data(Side::Second, &[0; 1400]));
    probe.handle(Input::Data(Side::Second, &[0; 256]));
    probe.handle(Input::Data(Side::Second, END));
    assert!(probe.words().is_empty());
    assert_eq!(probe.session.report.extras.largest_data, Some(1400));
}

#[test]
fn a_burst_lasts_until_its_last_packet_and_lost_ones_are_counted() {
    let packet = [0; BURST_LEN];
    let mut probe = Probe::met(&[Test::Burst]);
    assert_eq!(probe.commands().len(), BURST_PACKETS);
    for _ in 0..BURST_PACKETS - 1 {
        probe.handle(Input::Data(Side::Second, &packet));
    }
    probe.wait(7);
    assert!(!probe.session.is_done());
    probe.handle(Input::Data(Side::Second, &packet));
    assert!(probe.words().is_empty());
    let bytes = BURST_PACKETS * BURST_LEN;
    let whole = Burst { sent: BURST_PACKETS, received: BURST_PACKETS, bytes, time: 7 * MS };
    assert_eq!(probe.session.report.extras.burst, Some(whole));

    let mut probe = Probe::met(&[Test::Burst]);
    probe.now += 5 * MS;
    probe.handle(Input::Data(Side::Second, &packet));
    probe.wait(1000);
    let part = Burst { sent: BURST_PACKETS, received: 1, bytes: BURST_LEN, time: 5 * MS };
    assert_eq!(probe.session.report.extras.burst, Some(part));
}

#[test]
fn the_route_between_the_two_counts_as_one_of_the_routes() {
    let mut probe = Probe::met(&[Test::Routes]);
    assert_eq!(probe.commands(), [Command::FillRoutes]);
    probe.handle(Input::RoutesRequested(3));
    for opened in [true, false, true] {
        assert!(!probe.session.is_done());
        probe.handle(Input::RouteAnswered { opened });
    }
    assert!(probe.words().is_empty());
    assert_eq!(probe.session.report.extras.routes, Some(3));
}

#[test]
fn an_end_after_a_forward_request_is_its_answer_and_no_problem() {
    let end = Input::Ended(Side::First, closed(Stage::Connected), ConnectTimes::default());
    let mut probe = Probe::met(&[Test::Onion, Test::Forward]);
    assert_eq!(probe.commands(), [Command::SendOnion]);
    assert!(probe.session.awaits_node());
    probe.wait(1000);
    assert_eq!(probe.commands(), [Command::SendForward]);
    probe.handle(end);
    assert!(probe.words().is_empty());
    let extras = &probe.session.report.extras;
    assert_eq!((extras.onion, extras.forward), (Some(Passing::Accepted), Some(Passing::Refused)));
}

#[test]
fn a_violation_after_an_onion_request_was_told_as_its_refusal() {
    let ping_flood = DisconnectReason::PingFlood;
    for (side, reason, word) in
        [(Side::First, ping_flood, "violation"), (Side::Second, closed(Stage::Connected), "no-second")]
    {
        let mut probe = Probe::met(&[Test::Onion]);
        probe.handle(Input::Ended(side, reason, ConnectTimes::default()));
        assert_eq!((probe.words(), probe.session.report.extras.onion), (vec![word], None));
    }
}

#[test]
fn an_interrupted_probe_says_so_and_a_finished_one_does_not() {
    let mut probe = Probe::connected(&[]);
    probe.session.interrupt();
    assert!(probe.words().is_empty() && probe.session.report.is_interrupted);
    let mut probe = Probe::new(&[]);
    probe.handle(Input::Connected(Side::First, ConnectTimes::default()));
    probe.session.interrupt();
    assert_eq!(probe.session.report.pings.lost(), 0, "its answer may be on its way");
    let mut probe = Probe::met(&[]);
    probe.session.interrupt();
    assert!(!probe.session.report.is_interrupted);
}
