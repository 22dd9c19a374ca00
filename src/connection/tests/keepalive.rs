//! Pings and pongs, of the client and of the relay.

use super::*;

#[test]
fn a_ping_is_sent_every_thirty_seconds() {
    let mut pair = Pair::connected();
    for turn in 1..=5 {
        pair.next_deadline().unwrap();
        assert_eq!(pair.elapsed(), seconds(30 * turn));
        assert_eq!(pair.sent(), [ping(pair.ping)]);
        pair.now += Duration::from_millis(10 * turn);
        pair.relay_sends(&[pong(pair.ping)]).unwrap();
        assert_eq!(pair.connection.round_trips().latest, Some(Duration::from_millis(10 * turn)));
    }
    assert!(pair.events.is_empty());
}

#[test]
fn ten_seconds_without_a_pong_end_the_connection() {
    let mut pair = Pair::connected();
    pair.next_deadline().unwrap();
    pair.sent();
    assert_eq!(pair.next_deadline(), Err(DisconnectReason::NoPong(Stage::Connected)));
    assert_eq!(pair.elapsed(), seconds(40));
}

#[test]
fn pongs_that_answer_no_ping_are_ignored() {
    let mut pair = Pair::connected();
    pair.next_deadline().unwrap();
    let current = pair.ping;
    // Before the ping is sent, the relay cannot know its id.
    pair.relay_sends(&[pong(current)]).unwrap();
    pair.sent();
    pair.relay_sends(&[pong(FIRST_PING), pong(current + 1)]).unwrap();
    assert_eq!(pair.next_deadline(), Err(DisconnectReason::NoPong(Stage::Connected)));
}

#[test]
fn other_packets_do_not_replace_a_pong() {
    let mut pair = Pair::connected();
    pair.next_deadline().unwrap();
    pair.sent();
    pair.now += seconds(9);
    pair.relay_sends(&[ping(1), [&[7; 33][..], b"oob"].concat()]).unwrap();
    assert_eq!(pair.next_deadline(), Err(DisconnectReason::NoPong(Stage::Connected)));
}

#[test]
fn a_ping_that_cannot_be_written_has_the_same_timeout() {
    let mut pair = Pair::connected();
    pair.next_deadline().unwrap();
    assert_eq!(pair.flush_some(0), []);
    assert_eq!(pair.next_deadline(), Err(DisconnectReason::NoPong(Stage::Connected)));
}

#[test]
fn checking_the_deadline_too_early_or_twice_does_no_harm() {
    let mut pair = Pair::connected();
    for _ in 0..100 {
        pair.timeout(false).unwrap();
        pair.now += Duration::from_millis(299);
    }
    assert!(!pair.connection.has_output(FIRST));
    pair.next_deadline().unwrap();
    pair.timeout(false).unwrap();
    assert_eq!(pair.sent().len(), 1);
}

#[test]
fn a_pong_that_may_be_unread_is_not_late() {
    let mut pair = Pair::connected();
    pair.next_deadline().unwrap();
    pair.sent();
    let id = pair.ping;
    // The deadline is extended each time that it is reached while input is unread.
    for _ in 0..5 {
        pair.now += seconds(60);
        pair.timeout(true).unwrap();
        assert_eq!(pair.connection.deadline(), pair.now + seconds(10));
    }
    pair.now += seconds(1);
    pair.relay_sends(&[pong(id)]).unwrap();
    // The next ping is overdue by now.
    pair.timeout(false).unwrap();
    assert_eq!(pair.sent(), [ping(pair.ping)]);
    // There is one more timeout after all input is read: the relay may now send what it could not send before.
    pair.now += seconds(60);
    pair.timeout(true).unwrap();
    assert_eq!(pair.next_deadline(), Err(DisconnectReason::NoPong(Stage::Connected)));
}

#[test]
fn pings_of_the_relay_are_answered_in_order() {
    let mut pair = Pair::connected();
    pair.relay_sends(&[ping(1), ping(u64::MAX), ping(2)]).unwrap();
    assert_eq!(pair.sent(), [pong(1), pong(u64::MAX), pong(2)]);
}

#[test]
fn a_relay_that_pings_and_does_not_read_is_disconnected() {
    let mut pair = Pair::connected();
    for id in 1..=32 {
        pair.relay_sends(&[ping(id)]).unwrap();
        assert_eq!(pair.flush_some(0), []);
    }
    assert_eq!(pair.relay_sends(&[ping(33)]), Err(DisconnectReason::PingFlood));
}

#[test]
fn a_relay_that_pings_and_reads_stays_connected() {
    let mut pair = Pair::connected();
    for id in 1..=1000 {
        pair.relay_sends(&[ping(id)]).unwrap();
        assert_eq!(pair.sent(), [pong(id)]);
    }
}

#[test]
fn an_idle_connection_frees_its_buffers() {
    let (mut pair, route) = Pair::with_route(Settings::default(), key(7));
    for _ in 0..10 {
        pair.connection.send_data(route, &[1; 1000]).unwrap();
    }
    let mut stream = pair.sealed(&[pong(1)]);
    let rest = stream.split_off(5);
    pair.receive(&stream).unwrap();
    pair.receive(&rest).unwrap();
    pair.sent();
    assert!(pair.connection.common.outbox.memory() > 1000);
    // At the first pong, data were sent since the last one, so the memory is kept. At the second, none were.
    for _ in 0..2 {
        pair.next_deadline().unwrap();
        pair.sent();
        assert!(pair.connection.common.outbox.memory() > 0);
        pair.relay_sends(&[pong(pair.ping)]).unwrap();
    }
    assert_eq!(pair.connection.common.outbox.memory(), 0);
    assert_eq!(pair.connection.input_memory(), 0);
}

/// What is allocated for a ping is freed after it, and leaves a gap between the connections that stay. So there is room
/// for one packet and one ping, and not for four, with which a queue begins by itself.
#[test]
fn the_ping_of_an_idle_connection_takes_few_bytes() {
    let mut pair = Pair::connected();
    pair.next_deadline().unwrap();
    pair.sent();
    let memory = pair.connection.common.outbox.memory();
    assert!((1..=650).contains(&memory), "{memory}");
}
