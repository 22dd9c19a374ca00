//! Pings between data and liveness: a relay with much to read is not taken for dead, and a dead one is found out.

use super::*;

impl Pair {
    /// Answers nothing more. Returns how long the connection still lives.
    fn lives_for(&mut self) -> Duration {
        let start = self.now;
        while self.next_deadline().is_ok() {
            self.sent();
        }
        self.now - start
    }
}

#[test]
fn a_relay_with_a_long_queue_is_not_taken_for_dead() {
    let (mut pair, route, mut last) = full(Settings::default());
    // 3.6 KB/s at first, and then so slow that the window becomes smaller.
    for _ in 0..50 {
        pair.now += seconds(9);
        pair.timeout(false).unwrap();
        pair.answer(&[last]);
        pair.fill(route, LEN);
        let (pings, bytes) = pair.sent_bulk();
        assert!(bytes >= FIRST_WINDOW / 2 - 2 * PACKET, "{bytes}");
        last = pings[pings.len() - 1];
    }
    assert_eq!(pair.lives_for(), seconds(10), "after the last pong");
}

#[test]
fn a_relay_that_answers_no_ping_between_data_ends_after_ten_seconds() {
    let (mut pair, _, _) = full(Settings::default());
    assert_eq!(pair.lives_for(), seconds(10));
    assert_eq!(pair.timeout(false), Err(DisconnectReason::NoPong(Stage::Connected)));
}

#[test]
fn a_pong_from_before_a_network_change_makes_room_and_does_not_show_that_the_relay_can_be_reached() {
    for answers in [false, true] {
        let (mut pair, _, last) = full(Settings::default());
        pair.now += Duration::from_millis(100);
        pair.ping += 1;
        let asked = pair.ping;
        pair.connection.handle_network_changed(pair.now, NonZeroU64::new(asked).unwrap());
        assert_eq!(pair.sent(), [ping(asked)]);
        pair.answer(&[last]);
        let (later, bytes) = pair.sent_bulk();
        assert!(bytes > FIRST_WINDOW / 2 && !later.is_empty());
        if answers {
            // Any ping after the change counts, even if pings between data have followed it.
            pair.answer(&[asked]);
        }
        assert_eq!(pair.lives_for(), seconds(if answers { 10 } else { 5 }));
    }
}

/// The probe is used instead of a new ping, and an older pong does not answer it.
#[test]
fn a_network_change_while_a_probe_is_queued_is_noticed_in_five_seconds() {
    let (mut pair, _, last) = full(Settings::default());
    pair.next_deadline().unwrap();
    assert_eq!(pair.flush_some(0), []);
    pair.ping += 1;
    pair.connection.handle_network_changed(pair.now, NonZeroU64::new(pair.ping).unwrap());
    pair.answer(&[last]);
    let start = pair.now;
    while pair.next_deadline().is_ok() {}
    assert_eq!(pair.now - start, seconds(5));
}

/// The socket was full, and has had room for a long time: the relay could not answer what was not sent.
#[test]
fn a_ping_that_a_busy_program_has_left_unsent_gets_its_time_when_it_is_sent() {
    let mut pair = Pair::connected();
    pair.next_deadline().unwrap();
    assert_eq!(pair.flush_some(0), []);
    pair.now += seconds(60);
    assert_eq!(pair.sent(), [ping(pair.ping)]);
    pair.timeout(false).unwrap();
    assert_eq!(pair.connection.deadline() - pair.now, seconds(10));
}

/// A request for each route, a disconnect notification, 32 pongs, and one ping: no second one while one is queued.
#[test]
fn at_most_one_ping_is_queued() {
    let (mut pair, route, _) = full(Settings::default());
    pair.next_deadline().unwrap();
    pair.ping += 1;
    assert!(!pair.connection.ping(pair.now, NonZeroU64::new(pair.ping).unwrap()));
    (0..239).for_each(|number| _ = pair.connection.open(key(200 ^ number)));
    pair.connection.close_route(route).unwrap();
    pair.relay_sends(&(1..=32).map(ping).collect::<Vec<_>>()).unwrap();
    let pings = pair.sent().iter().filter(|packet| packet[0] == 4).count();
    assert!((1..=2).contains(&pings), "the queued one, and one between data: {pings}");
}

#[test]
fn an_idle_connection_is_not_probed() {
    let (mut pair, _, last) = full(Settings::default());
    pair.now += Duration::from_millis(30);
    pair.connection.close_all_routes();
    pair.answer(&[last]);
    let (pings, _) = pair.sent_bulk();
    pair.answer(&pings);
    // A probe that was scheduled is not sent.
    let mut sent = 0;
    while pair.connection.deadline() - pair.now < seconds(1) {
        pair.next_deadline().unwrap();
        sent += pair.sent().len();
    }
    assert_eq!(sent, 0);
    assert!(pair.connection.deadline() - pair.now > seconds(28));
}
