//! Time in which input was ready and the connection had no turn to read it: deadlines exclude it, up to a bound.

use proptest::prelude::*;

use super::*;
use crate::config::Proxy;

/// How long the relay takes to answer.
const ANSWER: Duration = Duration::from_millis(100);

/// A connection through a proxy that has granted the tunnel, and the proxy's answer, which is still unread.
fn granted(now: Instant) -> (Connection, Vec<u8>) {
    let proxy: Proxy = "socks4://127.0.0.1:1080".parse().unwrap();
    let parameters = Parameters { proxy: Some(Arc::new(proxy)), ..parameters(Settings::default()) };
    let mut connection = begun(parameters, entropy(), now);
    connection.handle_connected(now, FIRST);
    flush(&mut connection, now, &mut vec![0; 4096]);
    (connection, vec![0, 90, 0, 0, 0, 0, 0, 0])
}

fn receive(connection: &mut Connection, now: Instant, bytes: &mut [u8]) {
    let taken = connection.receive(now, FIRST, bytes, &mut Shared::new(), &mut Events::with_capacity(8));
    assert_eq!(taken, Ok(bytes.len()));
}

#[test]
fn a_delay_before_the_proxys_answer_is_read_does_not_shorten_the_handshake() {
    // The handshake has the rest of the ten seconds, or as much time as the delay lasted, up to ten seconds.
    for (answered, back, left) in
        [(0, 9, 10), (0, 15, 10), (5, 15, 10), (9, 10, 1), (9, 11, 2), (9, 14, 5), (9, 25, 10), (9, 600, 10)]
    {
        let start = Instant::now();
        let (mut connection, mut answer) = granted(start);
        let now = start + seconds(back);
        connection.handle_turn(now, FIRST, start + seconds(answered));
        receive(&mut connection, now, &mut answer);
        assert_eq!(connection.stage(), Stage::Handshaking);
        assert_eq!(connection.handle_timeout(now, false, NonZeroU64::MIN), Ok(()));
        let deadline = connection.deadline();
        assert_eq!(deadline, now + seconds(left), "answered after {answered} s, read after {back} s");
    }
}

#[test]
fn an_absence_of_about_one_timeout_leaves_the_relay_a_full_timeout() {
    for absence in [9_800, 9_999, 10_000, 10_001, 12_000].map(Duration::from_millis) {
        // The relay accepted at once.
        let start = Instant::now();
        let mut connection = connecting(start);
        let back = start + absence;
        connection.handle_turn(back, FIRST, start + ANSWER);
        let (mut response, _) = hello(&mut connection, back).accept(&fresh());
        assert!(connection.deadline() >= back + seconds(10) - ANSWER, "{absence:?}");
        // Its response also arrived at once.
        let again = back + absence;
        connection.handle_turn(again, FIRST, back + ANSWER);
        receive(&mut connection, again, &mut response);
        assert_eq!(connection.stage(), Stage::Confirming);
        assert_eq!(connection.handle_timeout(again, false, NonZeroU64::MIN), Ok(()));
        assert_eq!(connection.deadline(), again + seconds(10));
    }
}

/// A connection that has just sent its second ping.
fn pinged() -> Pair {
    let mut pair = Pair::connected();
    pair.next_deadline().unwrap();
    pair.sent();
    pair
}

#[test]
fn a_pong_read_late_because_others_had_their_turns_is_in_time() {
    let mut pair = pinged();
    let id = pair.ping;
    // Other connections fill every poll, and the program polls rarely: there are few turns, and always unread input.
    for _ in 0..12 {
        let since = pair.now;
        pair.now += seconds(8);
        pair.connection.handle_turn(pair.now, FIRST, since);
        pair.relay_sends(&[oob(b"before the pong")]).unwrap();
        pair.timeout(true).unwrap();
    }
    pair.relay_sends(&[pong(id)]).unwrap();
    pair.timeout(false).unwrap();
    assert_eq!(pair.sent(), [ping(pair.ping)], "the next ping is overdue");
}

#[test]
fn time_without_unread_input_is_not_excluded() {
    let mut pair = pinged();
    let started = pair.now;
    for second in 1..10 {
        // A packet arrives every second, and is read at once.
        pair.now = started + seconds(second);
        pair.connection.handle_turn(pair.now, FIRST, pair.now);
        pair.relay_sends(&[oob(b"no pong")]).unwrap();
        pair.timeout(false).unwrap();
    }
    assert_eq!(pair.next_deadline(), Err(DisconnectReason::NoPong(Stage::Connected)));
    assert_eq!(pair.now, started + seconds(10));
}

#[test]
fn time_before_the_connection_or_the_ping_is_not_excluded() {
    // The last poll may have been an hour before the client connects, or sends a ping.
    let hour = seconds(3600);
    let start = Instant::now() + hour;
    let mut connection = connecting(start);
    connection.handle_turn(start + seconds(1), FIRST, start - hour);
    assert_eq!(connection.deadline(), start + seconds(11));
    let mut pair = pinged();
    let deadline = pair.connection.deadline();
    pair.now += seconds(1);
    pair.connection.handle_turn(pair.now, FIRST, pair.started);
    assert_eq!(pair.connection.deadline(), deadline + seconds(1));
}

#[test]
fn unread_input_does_not_delay_a_ping() {
    let mut pair = Pair::connected();
    let deadline = pair.connection.deadline();
    pair.now = deadline;
    pair.connection.handle_turn(pair.now, FIRST, pair.started);
    assert_eq!(pair.connection.deadline(), deadline);
    pair.timeout(true).unwrap();
    assert_eq!(pair.sent(), [ping(pair.ping)]);
}

#[test]
fn a_relay_that_sends_data_without_a_pong_is_disconnected_after_16_mebibytes() {
    for step in [Duration::from_millis(20), seconds(3)] {
        let mut pair = pinged();
        let started = pair.now;
        let packets = vec![oob(&[1; 1024]); 60];
        let before = pair.connection.traffic().bytes_in;
        let mut excluded = None;
        let end = loop {
            let since = pair.now;
            pair.now += step;
            if pair.connection.traffic().bytes_in - before > 16 << 20 {
                excluded.get_or_insert(since - started);
            }
            pair.connection.handle_turn(pair.now, FIRST, since);
            pair.relay_sends(&packets).unwrap();
            pair.events.clear();
            if let Err(reason) = pair.timeout(true) {
                break reason;
            }
        };
        assert_eq!(end, DisconnectReason::NoPong(Stage::Connected));
        // From then on, no time is excluded.
        assert!(pair.connection.traffic().bytes_in - before > 16 << 20);
        let counted = excluded.map_or(Duration::ZERO, |excluded| pair.now - started - excluded);
        assert!(counted <= seconds(10) + 2 * step, "{counted:?}");
    }
}

#[test]
fn a_relay_that_sends_bytes_without_a_pong_is_disconnected_after_ten_excluded_timeouts() {
    // A byte arrives before each poll, and is read in it.
    for step in [Duration::from_millis(50), seconds(3)] {
        let mut pair = pinged();
        let started = pair.now;
        let stream = pair.sealed(&vec![oob(&[1; 1024]); 10]);
        let end = stream.iter().find_map(|byte| {
            let since = pair.now;
            pair.now += step;
            pair.connection.handle_turn(pair.now, FIRST, since);
            pair.receive(&[*byte]).unwrap();
            pair.timeout(false).err()
        });
        assert_eq!(end, Some(DisconnectReason::NoPong(Stage::Connected)));
        assert!((seconds(110)..=seconds(110) + step).contains(&(pair.now - started)));
    }
}

proptest! {
    /// Packets of any length, including the shortest, that result in one event, two or none. The input is split as the
    /// loop splits it while it has no room for unused input, and sometimes into smaller pieces, as a network may.
    #[test]
    fn input_of_the_allowed_length_is_always_used_up(
        kinds in prop::collection::vec(prop_oneof![0..4_usize, 0..2_032_usize], 1..60),
        room in 2..6_usize,
        cuts in prop::collection::vec(1..60_usize, 1..60),
    ) {
        let mut pair = Pair::confirming();
        pair.sent();
        // A forwarding packet is an event even if it is empty; a notification for an unknown route is not.
        let is_reported = |len: &usize| len % 4 != 3;
        let packet = |len: &usize| if is_reported(len) { vec![11; 1 + len] } else { vec![2, 77] };
        let plaintexts: Vec<_> = kinds.iter().map(packet).collect();
        let mut stream = &mut pair.sealed(&plaintexts)[..];
        let (mut reported, mut cuts) = (0, cuts.into_iter().cycle());
        while !stream.is_empty() {
            pair.events.clear();
            pair.events.limit(room);
            while !stream.is_empty() && pair.events.has_room() {
                let most = pair.connection.input_of_packets(pair.events.room_for_packets());
                let is_whole = cuts.next().is_some_and(|cut| cut % 2 == 0);
                let most = if is_whole { most } else { most.min(cuts.next().unwrap()) };
                let (piece, rest) = stream.split_at_mut(most.min(stream.len()));
                let taken = pair.connection.receive(pair.now, FIRST, piece, &mut pair.shared, &mut pair.events);
                prop_assert_eq!(taken, Ok(piece.len()));
                stream = rest;
            }
            reported += pair.events.len();
        }
        prop_assert_eq!(reported, 1 + kinds.iter().filter(|len| is_reported(len)).count());
    }
}
