//! The window: what may be unconfirmed, and when.

use super::*;

const PEER: u8 = 7;

/// The window of a new connection, in bytes.
const WINDOW: usize = 60_000;

/// The bytes of a packet besides its plaintext.
const OVERHEAD: usize = 2 + 16;

impl Pair {
    /// Queues data until there is no room, and returns how many packets that were.
    fn fill(&mut self, route: RouteId, len: usize) -> usize {
        (0..).take_while(|_| self.connection.send_data(route, &vec![1; len]).is_ok()).count()
    }

    /// Sends all that may be sent. Returns the ids of the pings, and how many bytes were sent.
    fn sent_bulk(&mut self) -> (Vec<u64>, usize) {
        let packets = self.sent();
        let is_ping = |packet: &&Vec<u8>| packet[0] == 4;
        let id = |packet: &Vec<u8>| u64::from_be_bytes(packet[1..].try_into().unwrap());
        let bytes = packets.iter().map(|packet| OVERHEAD + packet.len()).sum();
        (packets.iter().filter(is_ping).map(id).collect(), bytes)
    }

    /// Answers nothing more. Returns how long the connection still lives.
    fn lives_for(&mut self) -> Duration {
        let start = self.now;
        while self.next_deadline().is_ok() {
            self.sent();
        }
        self.now - start
    }

    fn answer(&mut self, pings: &[u64]) {
        self.relay_sends(&pings.iter().map(|id| pong(*id)).collect::<Vec<_>>()).unwrap();
    }
}

/// With a route whose queue and window are full, and the pings between the data.
fn full(settings: Settings) -> (Pair, RouteId, Vec<u64>) {
    let (mut pair, route) = Pair::with_route(settings, key(PEER));
    pair.fill(route, 1373);
    let (pings, _) = pair.sent_bulk();
    pair.fill(route, 1373);
    (pair, route, pings)
}

#[test]
fn data_wait_while_the_window_is_full_and_go_on_with_each_pong() {
    let (mut pair, _, pings) = full(Settings::default());
    assert_eq!(pings.len(), 4, "one for each quarter");
    let unconfirmed = pair.connection.unconfirmed();
    assert!((WINDOW - 1373 - OVERHEAD..=WINDOW + 27).contains(&unconfirmed), "{unconfirmed}");
    assert!(!pair.connection.has_output(FIRST) && !pair.connection.has_drained());
    assert_eq!(pair.connection.window(), Some(WINDOW));
    // Each pong makes room for a quarter.
    for id in pings {
        pair.answer(&[id]);
        assert!(pair.connection.has_output(FIRST));
        let (_, bytes) = pair.sent_bulk();
        assert!((13_000..=17_000).contains(&bytes), "{bytes}");
        assert!(pair.connection.unconfirmed() <= WINDOW + 27);
    }
}

#[test]
fn a_later_pong_confirms_what_an_earlier_one_would() {
    let (mut pair, _, pings) = full(Settings::default());
    pair.answer(&pings[2..3]);
    let (_, bytes) = pair.sent_bulk();
    assert!(bytes > WINDOW / 2, "{bytes}");
    let before = pair.connection.unconfirmed();
    pair.answer(&pings[..2]);
    assert_eq!(pair.connection.unconfirmed(), before, "nothing more");
}

#[test]
fn a_pong_of_a_ping_that_was_not_sent_confirms_nothing() {
    let (mut pair, _, pings) = full(Settings::default());
    pair.answer(&[pings[3] + 1, 1, FIRST_PING]);
    assert!(!pair.connection.has_output(FIRST));
    assert_eq!(pair.connection.round_trips().pongs, 1, "the first ping's");
}

#[test]
fn important_packets_pass_a_full_window() {
    let (mut pair, _, _) = full(Settings::default());
    pair.connection.open(key(9)).unwrap();
    pair.relay_sends(&[ping(5)]).unwrap();
    assert_eq!(pair.sent(), [routing_request(key(9)), pong(5)]);
}

#[test]
fn room_is_reported_after_a_pong() {
    let (mut pair, route, pings) = full(Settings::default());
    assert!(!pair.connection.take_writable());
    pair.answer(&pings);
    pair.sent();
    assert!(pair.connection.take_writable());
    assert_eq!(pair.connection.send_data(route, &[1; 1373]), Ok(()));
}

#[test]
fn a_chat_sends_no_pings_besides_that_of_every_thirty_seconds() {
    let (mut pair, route) = Pair::with_route(Settings::default(), key(PEER));
    for _ in 0..10 {
        let next = pair.connection.deadline();
        for _ in 0..100 {
            pair.connection.send_data(route, &[1; 100]).unwrap();
            assert_eq!(pair.sent().len(), 1);
        }
        assert_eq!(pair.connection.deadline(), next);
        pair.next_deadline().unwrap();
        assert_eq!(pair.sent(), [ping(pair.ping)]);
        pair.answer(&[pair.ping]);
        assert_eq!(pair.connection.unconfirmed(), 0);
    }
}

/// Otherwise nothing would ever make room: the bytes since the last ping fill the window, after it became smaller.
#[test]
fn a_window_that_is_full_without_an_unanswered_ping_sends_one() {
    let (mut pair, route) = Pair::with_route(Settings::default(), key(PEER));
    for _ in 0..10 {
        pair.connection.send_data(route, &[1; 1373]).unwrap();
    }
    let (pings, bytes) = pair.sent_bulk();
    assert!(pings.is_empty() && bytes < WINDOW / 4);
    pair.connection.set_settings(Arc::new(Settings { window: Some(bytes), ..Settings::default() }));
    pair.connection.send_data(route, &[1; 1373]).unwrap();
    assert!(pair.connection.has_output(FIRST));
    let (pings, _) = pair.sent_bulk();
    assert_eq!(pings.len(), 1);
    assert!(!pair.connection.has_output(FIRST));
    pair.answer(&pings);
    assert!(pair.connection.has_output(FIRST));
}

#[test]
fn a_relay_with_a_long_queue_is_not_taken_for_dead() {
    let (mut pair, route, mut pings) = full(Settings::default());
    // 1.9 KB/s: the window takes half a minute, and each pong 8 s.
    for _ in 0..50 {
        pair.now += seconds(8);
        pair.timeout(false).unwrap();
        let id = pings.remove(0);
        pair.answer(&[id]);
        pair.fill(route, 1373);
        pings.extend(pair.sent_bulk().0);
        assert!(!pings.is_empty());
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
fn pongs_from_before_a_network_change_make_room_and_do_not_show_that_the_relay_can_be_reached() {
    for answers in [false, true] {
        let (mut pair, _, pings) = full(Settings::default());
        pair.now += seconds(1);
        pair.ping += 1;
        let asked = pair.ping;
        pair.connection.handle_network_changed(pair.now, NonZeroU64::new(asked).unwrap());
        assert_eq!(pair.sent(), [ping(asked)]);
        pair.answer(&pings);
        let (later, bytes) = pair.sent_bulk();
        assert!(bytes > WINDOW / 2 && !later.is_empty());
        if answers {
            // Any ping after the change counts, even if pings between data have followed it.
            pair.answer(&[asked]);
        }
        assert_eq!(pair.lives_for(), seconds(if answers { 10 } else { 5 }));
    }
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

#[test]
fn without_a_window_nothing_waits_and_no_pings_are_sent_between_data() {
    let (mut pair, _, pings) = full(without_window());
    assert_eq!((pings.len(), pair.sent_bulk().0.len(), pair.connection.queued()), (0, 0, 0));
    assert_eq!(pair.connection.window(), None);
}

#[test]
fn a_partial_write_sends_each_ping_once_and_in_its_place() {
    for step in [1_000, 1_373, 7_777] {
        let (mut pair, route) = Pair::with_route(Settings::default(), key(PEER));
        let count = pair.fill(route, 1000);
        let mut stream = Vec::new();
        while pair.connection.has_output(FIRST) {
            stream.extend(pair.flush_some(step));
        }
        let packets = pair.relay.open(&stream).unwrap();
        let (pings, data): (Vec<_>, Vec<_>) = packets.iter().partition(|packet| packet[0] == 4);
        assert!(data.len() <= count && stream.len() <= WINDOW + 4 * 27, "{step}");
        assert_eq!(pings.len(), 4, "{step}");
        let ids: std::collections::BTreeSet<_> = pings.iter().collect();
        assert_eq!(ids.len(), 4, "{step}");
    }
}

/// An impostor who has replayed a handshake response does not answer pings.
#[test]
fn an_impostor_receives_at_most_one_window_of_data() {
    let mut pair = Pair::confirming();
    let mut sent = 0;
    for _ in 0..100 {
        while pair.connection.send_oob(key(1), &[1; 1024]).is_ok() {}
        sent += flush(&mut pair.connection, pair.now, &mut pair.scratch).len();
    }
    assert!((WINDOW - 1100..WINDOW + 100).contains(&sent), "{sent}");
}
