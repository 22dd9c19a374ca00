//! The judgement on a relay.

use std::time::Duration;

use crate::probe::report::Report;
use crate::problem::Problem;
use crate::state::State;

/// From which median ping on a relay is slow; `None` for never.
#[derive(Clone, Copy, Default)]
pub struct Limits {
    pub warn: Option<Duration>,
    pub crit: Option<Duration>,
}

/// The judgement, and its reasons.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    pub state: State,
    /// The worst comes first.
    pub problems: Vec<Problem>,
}

impl Verdict {
    pub fn new(report: &mut Report, limits: &Limits) -> Self {
        let mut problems = std::mem::take(&mut report.problems);
        problems.extend(slow(report, limits));
        problems.extend(lossy(report));
        if report.is_interrupted {
            problems.push(Problem::new("interrupted", State::Unknown, "interrupted before the end"));
        }
        problems.sort_by_key(|problem| std::cmp::Reverse(problem.state)); // stable: the first of equals stays first
        Self { state: problems.first().map_or(State::Up, |problem| problem.state), problems }
    }

    /// The reason as a word: `ok` if there is no problem.
    pub fn word(&self) -> &'static str {
        self.problems.first().map_or("ok", |problem| problem.word)
    }

    /// The reason as a sentence; empty if there is no problem.
    pub fn sentence(&self) -> &str {
        self.problems.first().map_or("", |problem| &problem.sentence)
    }
}

fn slow(report: &Report, limits: &Limits) -> Option<Problem> {
    let median = report.pings.median()?;
    let over = |limit: Option<Duration>| limit.is_some_and(|limit| median > limit);
    let sentence = |limit| format!("the median ping of {median:.1?} is over {limit}");
    if over(limits.crit) {
        Some(Problem::new("too-slow", State::Critical, sentence("--crit")))
    } else if over(limits.warn) {
        Some(Problem::new("slow", State::Warning, sentence("--warn")))
    } else {
        None
    }
}

fn lossy(report: &Report) -> Option<Problem> {
    let burst = report.extras.burst.filter(|burst| burst.received < burst.sent);
    let (lost, of, what) = match (report.pings.lost(), burst) {
        (0, None) => return None,
        (0, Some(burst)) => (burst.sent - burst.received, burst.sent, "packets of a burst"),
        (lost, _) => (lost as usize, report.pings.sent as usize, "pings"),
    };
    Some(Problem::new("lossy", State::Warning, format!("{lost} of {of} {what} were lost")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::report::Burst;

    fn judge(report: &mut Report, warn: u64, crit: u64) -> (State, &'static str) {
        let limits =
            Limits { warn: Some(Duration::from_millis(warn)), crit: Some(Duration::from_millis(crit)) };
        let verdict = Verdict::new(report, &limits);
        (verdict.state, verdict.word())
    }

    #[test]
    fn the_median_is_compared_with_the_limits() {
        let mut report = Report::default();
        report.pings.sent = 1;
        report.pings.add(Duration::from_millis(100));
        assert_eq!(judge(&mut report, 100, 200), (State::Up, "ok"));
        assert_eq!(judge(&mut report, 99, 200), (State::Warning, "slow"));
        assert_eq!(judge(&mut report, 50, 99), (State::Critical, "too-slow"));
    }

    #[test]
    fn the_worst_problem_is_the_reason() {
        let mut report = Report::default();
        report.pings.sent = 2;
        report.pings.add(Duration::from_millis(100));
        report.problems.push(Problem::new("no-oob", State::Warning, "first"));
        report.problems.push(Problem::new("no-route", State::Failing, "second"));
        let verdict = Verdict::new(&mut report, &Limits::default());
        assert_eq!(
            (verdict.state, verdict.word(), verdict.sentence()),
            (State::Failing, "no-route", "second")
        );
        let words: Vec<_> = verdict.problems.iter().map(|problem| problem.word).collect();
        assert_eq!(words, ["no-route", "no-oob", "lossy"]);
    }

    #[test]
    fn a_burst_that_arrives_in_part_is_lossy() {
        let mut report = Report::default();
        let burst = Burst { sent: 32, received: 31, bytes: 31, time: Duration::from_millis(1) };
        report.extras.burst = Some(burst);
        assert_eq!(judge(&mut report, 1, 1), (State::Warning, "lossy"));
        report.extras.burst = Some(Burst { received: 32, ..burst });
        assert_eq!(judge(&mut report, 1, 1), (State::Up, "ok"));
    }
}
