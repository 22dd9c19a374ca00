//! Pings on demand, a network that has changed, settings that are changed, and when a relay was last heard.

use super::*;

const NO_PONG: Result<(), DisconnectReason> = Err(DisconnectReason::NoPong(Stage::Connected));

impl Pair {
    fn request_ping(&mut self) -> bool {
        self.ping += 1;
        self.connection.ping(self.now, NonZeroU64::new(self.ping).unwrap())
    }

    fn change_network(&mut self) {
        self.ping += 1;
        self.connection.handle_network_changed(self.now, NonZeroU64::new(self.ping).unwrap());
    }

    /// The time until the deadline.
    fn left(&self) -> Duration {
        self.connection.deadline() - self.now
    }

    fn set(&mut self, change: impl FnOnce(&mut Settings)) {
        let mut settings = Settings::default();
        change(&mut settings);
        self.connection.set_settings(Arc::new(settings));
    }
}

#[test]
fn a_requested_ping_is_sent_at_once_and_the_next_one_an_interval_later() {
    let mut pair = Pair::connected();
    pair.now += seconds(12);
    assert!(pair.request_ping());
    assert_eq!(pair.left(), seconds(10));
    assert_eq!(pair.sent(), [ping(pair.ping)]);
    pair.now += Duration::from_millis(70);
    pair.relay_sends(&[pong(pair.ping)]).unwrap();
    assert_eq!(pair.connection.round_trips().latest, Some(Duration::from_millis(70)));
    pair.next_deadline().unwrap();
    assert_eq!(pair.elapsed(), seconds(42));
    assert_eq!(pair.sent(), [ping(pair.ping)]);
}

#[test]
fn no_second_ping_is_sent_while_one_is_unanswered() {
    let mut pair = Pair::confirming();
    assert!(!pair.request_ping(), "the first one is queued");
    assert_eq!(pair.sent(), [ping(FIRST_PING)]);
    assert!(!pair.request_ping(), "it is sent");
    pair.relay_sends(&[pong(FIRST_PING)]).unwrap();
    assert!(pair.request_ping());
    let deadline = pair.connection.deadline();
    pair.now += seconds(9);
    assert!(!pair.request_ping());
    assert_eq!(pair.connection.deadline(), deadline, "a refused request does not extend the deadline");
    assert_eq!(pair.sent().len(), 1);
    assert_eq!(pair.next_deadline(), NO_PONG);
}

#[test]
fn no_ping_can_be_requested_before_the_session() {
    let now = Instant::now();
    let mut connection = connecting(now);
    assert!(!connection.ping(now, NonZeroU64::MIN));
    hello(&mut connection, now);
    assert!(!connection.ping(now, NonZeroU64::MIN));
}

#[test]
fn a_dead_connection_is_found_five_seconds_after_the_network_has_changed() {
    let mut pair = Pair::connected();
    pair.now += seconds(7);
    pair.change_network();
    assert_eq!(pair.sent(), [ping(pair.ping)]);
    assert_eq!(pair.next_deadline(), NO_PONG);
    assert_eq!(pair.elapsed(), seconds(12));
}

#[test]
fn a_working_connection_stays_and_is_pinged_again_an_interval_later() {
    let mut pair = Pair::connected();
    pair.now += seconds(7);
    pair.change_network();
    pair.sent();
    pair.now += seconds(4);
    pair.relay_sends(&[pong(pair.ping)]).unwrap();
    pair.next_deadline().unwrap();
    assert_eq!(pair.elapsed(), seconds(37));
    assert_eq!(pair.sent(), [ping(pair.ping)]);
    assert_eq!(pair.left(), seconds(10), "with the pong timeout as always");
}

#[test]
fn the_pong_of_a_ping_from_before_the_change_does_not_count() {
    let mut pair = Pair::connected();
    pair.next_deadline().unwrap();
    pair.sent();
    let old = pair.ping;
    pair.now += seconds(1);
    pair.change_network();
    assert_eq!(pair.sent(), [ping(pair.ping)], "one more, although the last one has no answer");
    pair.relay_sends(&[pong(old)]).unwrap();
    assert_eq!(pair.connection.round_trips().pongs, 1, "only that of the first ping");
    assert_eq!(pair.left(), seconds(5));
    assert_eq!(pair.next_deadline(), NO_PONG);
}

#[test]
fn a_ping_that_is_still_queued_is_used_after_a_network_change() {
    let mut pair = Pair::connected();
    pair.next_deadline().unwrap();
    let queued = pair.ping;
    pair.now += seconds(3);
    for _ in 0..100 {
        pair.change_network();
    }
    assert_eq!(pair.sent(), [ping(queued)], "one, however often the network has changed");
    assert_eq!(pair.left(), seconds(5));
    pair.relay_sends(&[pong(queued)]).unwrap();
    assert!(pair.left() > seconds(20));
}

#[test]
fn a_dead_connection_is_found_in_fifteen_seconds_although_the_network_keeps_changing() {
    let mut pair = Pair::connected();
    let started = pair.now;
    let end = loop {
        pair.change_network();
        pair.sent();
        pair.now = pair.connection.deadline().min(pair.now + seconds(2));
        if let Err(reason) = pair.timeout(false) {
            break reason;
        }
    };
    assert_eq!(Err(end), NO_PONG);
    assert_eq!(pair.now - started, seconds(15));
}

/// As above, with a change every half millisecond: the time since the first ping is exact.
#[test]
fn changes_in_a_tight_loop_are_timed_exactly() {
    let mut pair = Pair::connected();
    let started = pair.now;
    let step = Duration::from_micros(500);
    while pair.now < started + seconds(15) {
        pair.change_network();
        pair.sent();
        pair.now += step;
        let is_over = pair.now >= started + seconds(15);
        assert_eq!(pair.timeout(false).is_err(), is_over, "{:?}", pair.now - started);
    }
}

#[test]
fn a_shorter_pong_timeout_also_applies_after_a_network_change() {
    let mut pair = Pair::connected_with(Settings { pong_timeout: seconds(2), ..Settings::default() });
    pair.change_network();
    assert_eq!(pair.left(), seconds(2));
}

#[test]
fn an_unread_pong_is_not_late_after_a_network_change() {
    let mut pair = Pair::connected();
    pair.change_network();
    pair.sent();
    let id = pair.ping;
    // The program is away for a minute, and other connections have their turns first.
    let since = pair.now;
    pair.now += seconds(60);
    pair.timeout(true).unwrap();
    pair.connection.handle_turn(pair.now, FIRST, since);
    pair.timeout(false).unwrap();
    pair.relay_sends(&[pong(id)]).unwrap();
    pair.timeout(false).unwrap();
    assert_eq!(pair.connection.round_trips().pongs, 2);
}

#[test]
fn a_network_change_leaves_an_opening_at_most_five_seconds_and_extends_no_deadline() {
    let start = Instant::now();
    let mut connection = connecting(start);
    connection.handle_network_changed(start + seconds(2), NonZeroU64::MIN);
    assert_eq!(connection.deadline(), start + seconds(7));
    hello(&mut connection, start + seconds(3));
    assert_eq!(connection.deadline(), start + seconds(7));
    connection.handle_network_changed(start + seconds(6), NonZeroU64::MIN);
    assert_eq!(connection.deadline(), start + seconds(7));
    let end = connection.handle_timeout(start + seconds(7), false, NonZeroU64::MIN);
    assert_eq!(end, Err(timed_out(Stage::Handshaking)));
}

#[test]
fn a_relay_that_sends_bytes_without_a_pong_is_disconnected_despite_network_changes() {
    let mut pair = Pair::connected();
    let stream = pair.sealed(&vec![oob(&[1; 1024]); 10]);
    let started = pair.now;
    let end = stream.iter().find_map(|byte| {
        pair.change_network();
        pair.sent();
        let since = pair.now;
        pair.now += seconds(1);
        pair.connection.handle_turn(pair.now, FIRST, since);
        pair.receive(&[*byte]).unwrap();
        pair.timeout(false).err()
    });
    assert_eq!(end, Some(DisconnectReason::NoPong(Stage::Connected)));
    assert!(pair.now - started <= seconds(116), "{:?}", pair.now - started);
}

#[test]
fn a_new_interval_counts_from_the_last_ping() {
    let mut pair = Pair::connected();
    pair.now += seconds(5);
    pair.set(|settings| settings.ping_interval = seconds(120));
    assert_eq!(pair.left(), seconds(115));
    pair.set(|settings| settings.ping_interval = seconds(8));
    assert_eq!(pair.left(), seconds(3));
    // A ping that is overdue is sent at once.
    pair.set(|settings| settings.ping_interval = seconds(1));
    pair.timeout(false).unwrap();
    assert_eq!(pair.sent(), [ping(pair.ping)]);
}

#[test]
fn a_ping_that_was_sent_keeps_its_timeout_and_the_next_one_has_the_new_one() {
    let mut pair = Pair::connected();
    pair.next_deadline().unwrap();
    pair.sent();
    pair.set(|settings| (settings.pong_timeout, settings.ping_interval) = (seconds(3), seconds(60)));
    assert_eq!(pair.left(), seconds(10));
    pair.relay_sends(&[pong(pair.ping)]).unwrap();
    assert_eq!(pair.left(), seconds(60));
    pair.next_deadline().unwrap();
    assert_eq!(pair.left(), seconds(3));
}

/// The deadline was extended, since unread input might have held the pong; then the network changed.
#[test]
fn a_changed_network_does_not_end_a_connection_that_had_more_time() {
    let mut pair = Pair::connected();
    pair.next_deadline().unwrap();
    pair.sent();
    let queued_at = pair.now;
    pair.now += seconds(10);
    pair.connection.handle_timeout(pair.now, true, NonZeroU64::MIN).unwrap();
    assert_eq!(pair.connection.deadline(), queued_at + seconds(20));
    pair.now += seconds(6);
    pair.change_network();
    assert_eq!(pair.connection.deadline(), queued_at + seconds(20));
    assert_eq!(pair.connection.handle_timeout(pair.now, false, NonZeroU64::MIN), Ok(()));
    assert_eq!(pair.sent(), [ping(pair.ping)]);
    pair.relay_sends(&[pong(pair.ping)]).unwrap();
    assert_eq!(pair.connection.deadline(), queued_at + seconds(16 + 30));
}

/// The program was away for 3 s and had unread input. Those 3 s were granted again to the next step.
#[test]
fn a_changed_network_limits_an_attempt_whose_deadline_excluded_time() {
    let start = Instant::now();
    let mut connection = connecting(start);
    connection.handle_turn(start + seconds(3), FIRST, start);
    assert_eq!(connection.deadline(), start + seconds(13));
    connection.handle_network_changed(start + seconds(3), NonZeroU64::MIN);
    assert_eq!(connection.deadline(), start + seconds(8));
    connection.handle_connected(start + seconds(7), FIRST);
    assert_eq!(connection.deadline(), start + seconds(8));
}

#[test]
fn settings_changed_during_the_opening_apply_to_the_pings() {
    let start = Instant::now();
    let mut connection = connecting(start);
    let settings = Settings { pong_timeout: seconds(3), ..Settings::default() };
    connection.set_settings(Arc::new(Settings { connect_timeout: seconds(1), ..settings }));
    assert_eq!(connection.deadline(), start + seconds(10), "it keeps its own time");
    let (mut response, _) = hello(&mut connection, start).accept(&fresh());
    connection
        .receive(start, FIRST, &mut response, &mut Shared::new(), &mut Events::with_capacity(8))
        .unwrap();
    assert_eq!(connection.deadline(), start + seconds(3));
}

#[test]
fn last_heard_is_the_time_of_the_last_input() {
    let start = Instant::now();
    let mut connection = connecting(start);
    let (mut response, _) = hello(&mut connection, start).accept(&fresh());
    assert_eq!((connection.started(), connection.last_heard()), (start, None));
    connection
        .receive(start + seconds(1), FIRST, &mut response, &mut Shared::new(), &mut Events::with_capacity(8))
        .unwrap();
    assert_eq!(connection.last_heard(), Some(start + seconds(1)));
    // A part of a packet counts too, and the time is exact after years.
    let mut pair = Pair::connected();
    let stream = pair.sealed(&[oob(b"x")]);
    pair.now += seconds(10 * 365 * 24 * 3600);
    pair.receive(&stream[..1]).unwrap();
    assert_eq!(pair.connection.last_heard(), Some(pair.now));
}
