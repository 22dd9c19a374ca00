//! How the window follows the relay and the line.

use super::*;

impl Pair {
    /// Continues with this round trip, and asserts that the queue never runs empty. Returns how many bytes were sent.
    fn continue_for(
        &mut self,
        route: RouteId,
        time: Duration,
        round_trip: impl Fn(Instant) -> Duration,
    ) -> usize {
        let (end, mut sent) = (self.now + time, 0);
        let mut pings: std::collections::VecDeque<(Instant, u64)> = Default::default();
        while self.now < end {
            while self.fill(route, LEN) > 0 || self.connection.has_output(FIRST) {
                let (ids, bytes) = self.sent_bulk();
                sent += bytes;
                let answered = self.now + round_trip(self.now);
                pings.extend(ids.into_iter().map(|id| (answered, id)));
            }
            let next = pings.front().map(|(at, _)| *at).expect("a ping, or nothing makes room");
            self.now = self.connection.deadline().min(next).max(self.now);
            self.timeout(false).unwrap();
            let now = self.now;
            self.connection.handle_turn(now, FIRST, now);
            while pings.front().is_some_and(|(at, _)| *at <= now) {
                let (_, id) = pings.pop_front().unwrap();
                self.answer(&[id]);
            }
        }
        sent
    }
}

#[test]
fn the_window_grows_for_a_relay_that_reads_at_once_and_not_for_one_that_looks_every_30_milliseconds() {
    let line = Duration::from_millis(100);
    let bounded = Settings { window: Some(500_000), ..Settings::default() };
    let (mut pair, route, last) = full(bounded);
    pair.now += line;
    pair.answer(&[last]);
    pair.continue_for(route, seconds(5), |_| line);
    assert_eq!(pair.connection.window(), Some(500_000));

    let (mut pair, route, last) = full(Settings::default());
    let start = pair.now;
    pair.now += line;
    pair.answer(&[last]);
    // It arrives after half of the round trip, and waits for the next look.
    let looks = |sent: Instant| {
        let arrives = (sent + line / 2 - start).as_millis() as u64;
        line + Duration::from_millis(30 - arrives % 30)
    };
    pair.continue_for(route, seconds(30), looks);
    assert!(pair.connection.window() <= Some(BEARABLE), "{:?}", pair.connection.window());
}

#[test]
fn a_program_that_polls_rarely_does_not_take_the_relay_for_prompt() {
    let (mut pair, route, last) = full(Settings { window: Some(200_000), ..Settings::default() });
    let (mut unanswered, mut probes) = (vec![last], 0);
    for _ in 0..1_000 {
        let since = pair.now;
        pair.now += Duration::from_millis(50);
        pair.connection.handle_turn(pair.now, FIRST, since);
        // A probe that is due leaves before the pongs are read. All pings are answered at the next poll: none is slow.
        pair.timeout(false).unwrap();
        let (probe, _) = pair.sent_bulk();
        probes += probe.len();
        pair.answer(&unanswered);
        pair.fill(route, LEN);
        unanswered = [probe, pair.sent_bulk().0].concat();
    }
    assert!(probes > 30, "{probes} probes");
    assert_eq!(pair.connection.window(), Some(BEARABLE), "and its absence does not count against the relay");
}

#[test]
fn the_window_follows_a_line_that_becomes_longer() {
    let (mut pair, route, last) =
        full(Settings { window: Some(200_000), send_queue: 512 * 1024, ..Settings::default() });
    let [short, long] = [20, 200].map(Duration::from_millis);
    pair.now += short;
    pair.answer(&[last]);
    pair.continue_for(route, seconds(3), |_| short);
    let before = pair.continue_for(route, seconds(2), |_| short);
    // Within some seconds more than the smallest round trip is believed.
    pair.continue_for(route, seconds(30), |_| long);
    let after = pair.continue_for(route, seconds(2), |_| long);
    assert!(10 * after > before * 8 / 10, "{before} bytes on the short line, {after} on the long one");
}

/// The only pong since the connection was idle stood behind the whole window.
#[test]
fn a_slow_relay_gets_a_small_window_also_after_an_idle_time() {
    let (mut pair, _, last) = full(Settings::default());
    pair.now += Duration::from_millis(8_200); // 4 KB/s
    pair.answer(&[last]);
    assert_eq!(pair.connection.window(), Some(16 * 1024));
}
