//! Time in which there was something to read and no turn to read it: it is not charged to the relay, up to a bound.

use super::*;
use crate::config::Proxy;

/// What a deadline far from others may be off by.
const ANSWER: Duration = Duration::from_millis(100);

/// A connection through a proxy that has granted the tunnel, and whose answer is still to be read.
fn granted(now: Instant) -> (Connection, Vec<u8>) {
    let proxy: Proxy = "socks4://127.0.0.1:1080".parse().unwrap();
    let target = "1.2.3.4:258".parse().unwrap();
    let parameters =
        Parameters { tunnel: Some((Arc::new(proxy), target)), ..parameters(Settings::default()) };
    let mut connection = Connection::new(parameters, now);
    connection.handle_connected(now);
    flush(&mut connection, now, &mut vec![0; 4096]);
    (connection, vec![0, 90, 0, 0, 0, 0, 0, 0])
}

fn receive(connection: &mut Connection, now: Instant, bytes: &mut [u8]) {
    let taken = connection.receive(now, bytes, &mut LookAhead::new(), &mut Events::with_capacity(8));
    assert_eq!(taken, Ok(bytes.len()));
}

#[test]
fn a_stall_before_the_proxys_answer_is_read_leaves_the_handshake_its_time() {
    // Whatever it takes, and however long the proxy took before.
    for (answered, back) in [(0, 9), (0, 15), (5, 15), (9, 25), (9, 600)] {
        let start = Instant::now();
        let (mut connection, mut answer) = granted(start);
        let now = start + seconds(back);
        connection.handle_turn(now, start + seconds(answered));
        receive(&mut connection, now, &mut answer);
        assert_eq!(connection.stage(), Stage::Handshaking);
        assert_eq!(connection.handle_timeout(now, false, NonZeroU64::MIN), Ok(()));
        // Where not even the ten seconds since the start were over, the rest of them; else ten of its own.
        let left = if back < 10 { 10 - answered } else { 10 };
        assert_eq!(
            connection.deadline(),
            now + seconds(left),
            "answered after {answered} s, read after {back} s"
        );
    }
}

#[test]
fn a_program_that_is_away_just_less_than_a_timeout_is_no_worse_off() {
    for away in [9_800, 9_999, 10_000, 10_001, 12_000].map(Duration::from_millis) {
        // The relay has accepted at once.
        let start = Instant::now();
        let mut connection = connecting(start);
        let back = start + away;
        connection.handle_turn(back, start + ANSWER);
        let (mut response, _) = hello(&mut connection, back).accept(&fresh());
        assert!(connection.deadline() >= back + seconds(10) - ANSWER, "{away:?}");
        // Its response has come at once, too.
        let again = back + away;
        connection.handle_turn(again, back + ANSWER);
        receive(&mut connection, again, &mut response);
        assert_eq!(connection.stage(), Stage::Confirming);
        assert_eq!(connection.handle_timeout(again, false, NonZeroU64::MIN), Ok(()));
        assert_eq!(connection.deadline(), again + seconds(10));
    }
}

/// A connection whose second ping has just left.
fn pinged() -> Pair {
    let mut pair = Pair::connected();
    pair.next_deadline().unwrap();
    pair.sent();
    pair
}

#[test]
fn a_pong_in_front_of_which_others_were_served_is_in_time() {
    let mut pair = pinged();
    let id = pair.ping;
    // Others fill every poll, and the program comes seldom: a turn now and then, and always something left unread.
    for _ in 0..12 {
        let since = pair.now;
        pair.now += seconds(8);
        pair.connection.handle_turn(pair.now, since);
        pair.relay_sends(&[oob(b"in front of the pong")]).unwrap();
        pair.timeout(true).unwrap();
    }
    pair.relay_sends(&[pong(id)]).unwrap();
    pair.timeout(false).unwrap();
    assert_eq!(pair.sent(), [ping(pair.ping)], "the next one is overdue");
}

#[test]
fn time_without_anything_to_read_is_charged() {
    let mut pair = pinged();
    let started = pair.now;
    for second in 1..10 {
        // Something comes every second, and is read at once.
        pair.now = started + seconds(second);
        pair.connection.handle_turn(pair.now, pair.now);
        pair.relay_sends(&[oob(b"no pong")]).unwrap();
        pair.timeout(false).unwrap();
    }
    assert_eq!(pair.next_deadline(), Err(DisconnectReason::NoPong(Stage::Connected)));
    assert_eq!(pair.now, started + seconds(10));
}

#[test]
fn no_time_is_pardoned_from_before_the_question() {
    // A client may not have been polled for an hour when it connects, or pings.
    let hour = seconds(3600);
    let start = Instant::now() + hour;
    let mut connection = connecting(start);
    connection.handle_turn(start + seconds(1), start - hour);
    assert_eq!(connection.deadline(), start + seconds(11));
    let mut pair = pinged();
    let deadline = pair.connection.deadline();
    pair.now += seconds(1);
    pair.connection.handle_turn(pair.now, pair.started);
    assert_eq!(pair.connection.deadline(), deadline + seconds(1));
}

#[test]
fn a_ping_is_not_put_off_by_what_waits_to_be_read() {
    let mut pair = Pair::connected();
    let deadline = pair.connection.deadline();
    pair.now = deadline;
    pair.connection.handle_turn(pair.now, pair.started);
    assert_eq!(pair.connection.deadline(), deadline);
    pair.timeout(true).unwrap();
    assert_eq!(pair.sent(), [ping(pair.ping)]);
}

#[test]
fn a_relay_that_always_talks_and_never_answers_ends_after_ten_pardoned_timeouts() {
    for step in [Duration::from_millis(1), Duration::from_millis(50), seconds(3)] {
        let mut pair = pinged();
        let started = pair.now;
        let end = loop {
            let since = pair.now;
            pair.now += step;
            pair.connection.handle_turn(pair.now, since);
            if let Err(reason) = pair.timeout(true) {
                break reason;
            }
        };
        assert_eq!(end, DisconnectReason::NoPong(Stage::Connected));
        // The timeout itself, ten that are pardoned, and one since the pong may lie unread.
        assert!(pair.now - started <= seconds(120) + step, "{:?}", pair.now - started);
        assert!(pair.now - started >= seconds(110), "{:?}", pair.now - started);
    }
}

#[test]
fn what_is_read_while_there_is_little_room_leaves_nothing_over() {
    // Streams of packets of every kind of length, cut as the loop cuts them: so much as surely finds room.
    let plaintexts: Vec<_> = (0..200).map(|number| vec![9; 2 + number * 677 % 2031]).collect();
    for room in [2, 3, 4, 7] {
        let mut pair = Pair::confirming();
        pair.sent();
        let mut stream = &mut pair.sealed(&plaintexts)[..];
        let mut told = 0;
        while !stream.is_empty() {
            pair.events.clear();
            pair.events.limit(room);
            while !stream.is_empty() && pair.events.has_room() {
                let most = pair.connection.input_of_packets(pair.events.room_for_packets());
                assert!(most > 0);
                let (piece, rest) = stream.split_at_mut(most.min(stream.len()));
                let taken = pair.connection.receive(pair.now, piece, &mut pair.ahead, &mut pair.events);
                assert_eq!(taken, Ok(piece.len()));
                stream = rest;
            }
            told += pair.events.len();
        }
        assert_eq!(told, 1 + plaintexts.len());
    }
}
