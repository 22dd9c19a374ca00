//! Who comes and goes, and when: users connect at a fixed rate, and some leave and return.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use crate::load::schedule::{Pace, Schedule};

/// How long a user that leaves stays away.
const AWAY: Duration = Duration::from_secs(1);

/// What a user is to do now, unless it has done so already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    Connect(usize),
    Leave(usize),
}

/// The planned comings and goings. Moments count from the beginning of the run.
#[derive(Debug, Default)]
pub struct Attendance {
    /// Users that are to connect, and the pace at which they do.
    opening: Option<(VecDeque<usize>, Pace)>,
    /// Users of which one after the other leaves, in the order of [`stride`], and the pace of that.
    churn: Option<(Range<usize>, Pace)>,
    /// Users that have left, with the moments of their return, in this order.
    away: VecDeque<(Duration, usize)>,
}

impl Attendance {
    /// From now on these users connect, so many each second. Nobody else returns.
    pub fn open(&mut self, users: impl Iterator<Item = usize>, rate: f64, now: Duration) {
        self.away.clear();
        self.opening = Some((users.collect(), Pace::new(now, Schedule::new(rate, Duration::ZERO))));
    }

    /// Whether there are users that have not begun to connect.
    pub fn is_opening(&self) -> bool {
        self.opening.as_ref().is_some_and(|(users, _)| !users.is_empty())
    }

    /// From now on so many of these users leave each second, in turns. Those who have peers are as likely as others.
    pub fn begin_churn(&mut self, users: Range<usize>, rate: f64, now: Duration) {
        let schedule = Schedule::new(if users.is_empty() { 0.0 } else { rate }, Duration::ZERO);
        self.churn = Some((users, Pace::new(now, schedule)));
    }

    /// Nobody else leaves. Those who are away return.
    pub fn end_churn(&mut self) {
        self.churn = None;
    }

    /// What is due next.
    pub fn next(&mut self, now: Duration) -> Option<Move> {
        if let Some((users, pace)) = &mut self.opening
            && let Some(user) = users.front().copied()
            && pace.take(now)
        {
            users.pop_front();
            return Some(Move::Connect(user));
        }
        if self.away.front().is_some_and(|(back, _)| *back <= now) {
            return self.away.pop_front().map(|(_, user)| Move::Connect(user));
        }
        let (users, pace) = self.churn.as_mut()?;
        pace.take(now).then(|| {
            let turn = (pace.taken() - 1) % users.len() as u64;
            let user = users.start + turn as usize * stride(users.len()) % users.len();
            self.away.push_back((now + AWAY, user));
            Move::Leave(user)
        })
    }

    /// When something is due next.
    pub fn next_moment(&self) -> Option<Duration> {
        let opening =
            self.opening.as_ref().filter(|_| self.is_opening()).and_then(|(_, pace)| pace.next_moment());
        let back = self.away.front().map(|(back, _)| *back);
        let churn = self.churn.as_ref().and_then(|(_, pace)| pace.next_moment());
        [opening, back, churn].into_iter().flatten().min()
    }
}

/// The distance of users who leave one after the other: in any time they are spread over all, since it is near the
/// golden ratio, and each has a turn, since it has no divisor in common with the number of users.
fn stride(users: usize) -> usize {
    let is_coprime = |stride: &usize| {
        let (mut a, mut b) = (users, *stride);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a == 1
    };
    (users * 618 / 1000..).find(is_coprime).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// All that happens up to this moment, with the moments at which it does.
    fn all(attendance: &mut Attendance, until: Duration) -> Vec<(u128, Move)> {
        let mut moves = Vec::new();
        while let Some(moment) = attendance.next_moment().filter(|moment| *moment <= until) {
            // A little later, since moments are rounded.
            while let Some(next) = attendance.next(moment + SECOND / 100_000) {
                moves.push((moment.as_millis(), next));
            }
        }
        moves
    }

    #[test]
    fn users_connect_at_their_rate() {
        let mut attendance = Attendance::default();
        attendance.open(2..5, 2.0, SECOND);
        assert!(attendance.is_opening());
        let expected = [(1000, Move::Connect(2)), (1500, Move::Connect(3)), (2000, Move::Connect(4))];
        assert_eq!(all(&mut attendance, 10 * SECOND), expected);
        assert!(!attendance.is_opening());
        assert_eq!(attendance.next_moment(), None);
    }

    #[test]
    fn users_who_leave_return_a_second_later_also_when_nobody_leaves_any_more() {
        let mut attendance = Attendance::default();
        attendance.begin_churn(2..4, 1.0, SECOND);
        let moves = all(&mut attendance, SECOND * 5 / 2);
        assert_eq!(moves, [(1000, Move::Leave(2)), (2000, Move::Connect(2)), (2000, Move::Leave(3))]);
        attendance.end_churn();
        assert_eq!(all(&mut attendance, 10 * SECOND), [(3000, Move::Connect(3))]);
    }

    #[test]
    fn those_who_leave_are_spread_over_all_users() {
        let mut attendance = Attendance::default();
        attendance.begin_churn(2..102, 10.0, SECOND);
        let moves = all(&mut attendance, SECOND + SECOND * 99 / 10);
        let leaving: Vec<_> = moves
            .iter()
            .filter_map(|(_, next)| if let Move::Leave(user) = next { Some(*user) } else { None })
            .collect();
        for ten in leaving.chunks(10) {
            assert!((1..=3).contains(&ten.iter().filter(|user| **user < 22).count()), "{leaving:?}");
        }
        let mut each = leaving.clone();
        each.sort();
        assert_eq!(each, (2..102).collect::<Vec<_>>());
    }

    #[test]
    fn every_number_of_users_has_a_stride() {
        for users in 1..500 {
            let each: std::collections::BTreeSet<_> =
                (0..users).map(|turn| turn * stride(users) % users).collect();
            assert_eq!(each.len(), users);
        }
    }

    #[test]
    fn without_users_nobody_leaves() {
        let mut attendance = Attendance::default();
        attendance.begin_churn(2..2, 5.0, SECOND);
        assert_eq!((attendance.next_moment(), attendance.next(9 * SECOND)), (None, None));
    }
}
