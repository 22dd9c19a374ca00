//! Several addresses of one relay: when attempts begin, which one wins, and what is reported if none does.

use super::*;

const MS: Duration = Duration::from_millis(1);

/// A connection to a relay with this many addresses, of which no attempt has begun.
fn addressed(count: u8, now: Instant) -> Connection {
    let address = |number: u8| format!("192.0.2.{number}:33445").parse().unwrap();
    let parameters =
        Parameters { addresses: (1..=count).map(address).collect(), ..parameters(Settings::default()) };
    Connection::new(parameters, now)
}

/// The values of an attempt, which differ from those of all others.
fn values(attempt: u8) -> Entropy {
    Entropy {
        temporary: SecretKey::from([100 + attempt; 32]),
        hello_nonce: [attempt; 24],
        base_nonce: [attempt; 24],
    }
}

/// Begins the attempts that are due; returns their numbers.
fn begin(connection: &mut Connection, now: Instant) -> Vec<u8> {
    let mut begun = Vec::new();
    while connection.is_attempt_due(now) {
        let (AttemptId(number), address) = connection.begin_attempt(now, values(begun.len() as u8)).unwrap();
        assert_eq!(address.to_string(), format!("192.0.2.{}:33445", number + 1));
        begun.push(number);
    }
    begun
}

/// Begins all of this many attempts, each with values of its own, and connects their transports.
fn all_connected(count: u8, start: Instant) -> (Connection, Vec<Hello>) {
    let mut connection = addressed(count, start);
    let hellos = (0..count).map(|number| {
        let now = start + 250 * MS * u32::from(number);
        connection.begin_attempt(now, values(number)).expect("the next attempt");
        connection.handle_connected(now, AttemptId(number));
        let bytes = written(&mut connection, AttemptId(number));
        Hello::open(&bytes.try_into().expect("a hello"), &RELAY_SECRET).unwrap()
    });
    let hellos = hellos.collect();
    (connection, hellos)
}

/// What an attempt writes.
fn written(connection: &mut Connection, attempt: AttemptId) -> Vec<u8> {
    let mut bytes = Vec::new();
    let all =
        connection.flush(Instant::now(), attempt, bulk_ping(), &mut Shared::new(), &mut [0; 4096], |part| {
            bytes.extend_from_slice(part);
            Ok(part.len())
        });
    assert!(all.unwrap() && !connection.has_output(attempt));
    bytes
}

fn receive(
    connection: &mut Connection,
    now: Instant,
    attempt: AttemptId,
    bytes: &[u8],
) -> Result<Events, DisconnectReason> {
    let mut events = Events::with_capacity(8);
    let taken = connection.receive(now, attempt, &mut bytes.to_vec(), &mut Shared::new(), &mut events)?;
    assert_eq!(taken, bytes.len());
    Ok(events)
}

const REFUSED: End = End::Failed(io::ErrorKind::ConnectionRefused, None);

#[test]
fn attempts_begin_250_ms_apart() {
    let start = Instant::now();
    let mut connection = addressed(3, start);
    assert_eq!(begin(&mut connection, start), [0]);
    assert_eq!(connection.deadline(), start + 250 * MS);
    assert_eq!(begin(&mut connection, start + 249 * MS), []);
    assert_eq!(begin(&mut connection, start + 250 * MS), [1]);
    // A late call begins one attempt, and the next is due 250 ms after that.
    assert_eq!(connection.deadline(), start + 500 * MS);
    assert_eq!(begin(&mut connection, start + 900 * MS), [2]);
    assert_eq!(connection.deadline(), start + seconds(10), "the timeout of the first");
    assert_eq!(begin(&mut connection, start + seconds(5)), []);
}

#[test]
fn the_next_attempt_begins_at_once_if_the_last_has_failed() {
    let start = Instant::now();
    let mut connection = addressed(4, start);
    assert_eq!(begin(&mut connection, start), [0]);
    connection.handle_end(AttemptId(0), REFUSED).expect("three are left");
    assert!(!connection.is_open(AttemptId(0)));
    assert!(connection.deadline() <= start + MS);
    assert_eq!(begin(&mut connection, start + MS), [1]);
    assert_eq!(begin(&mut connection, start + 251 * MS), [2]);
    connection.handle_end(AttemptId(1), REFUSED).expect("two are left");
    assert_eq!(begin(&mut connection, start + 252 * MS), [], "the last one has not failed");
    connection.handle_end(AttemptId(2), REFUSED).expect("one is left");
    assert_eq!(connection.stage(), Stage::Connecting);
    assert_eq!(begin(&mut connection, start + 252 * MS), [3]);
    assert_eq!(connection.handle_end(AttemptId(3), REFUSED), Err(DisconnectReason::Refused(Party::Relay)));
    let failed: Vec<String> =
        connection.failed_attempts().iter().map(|failed| failed.address.to_string()).collect();
    assert_eq!(failed, [1, 2, 3, 4].map(|number| format!("192.0.2.{number}:33445")));
}

#[test]
fn the_first_response_wins_and_the_others_send_nothing_but_their_hello() {
    for winner in 0..3 {
        let start = Instant::now();
        let now = start + seconds(1);
        let (mut connection, hellos) = all_connected(3, start);
        let (response, mut relay) = hellos[usize::from(winner)].accept(&fresh());
        assert!(receive(&mut connection, now, AttemptId(winner), &response).unwrap().is_empty());
        assert_eq!(connection.stage(), Stage::Confirming);
        for other in (0..3).filter(|other| *other != winner) {
            assert!(!connection.is_open(AttemptId(other)));
            assert!(written(&mut connection, AttemptId(other)).is_empty());
            // Their input is ignored, even a valid response.
            let (late, _) = hellos[usize::from(other)].accept(&fresh());
            assert!(receive(&mut connection, now, AttemptId(other), &late).unwrap().is_empty());
            assert_eq!(connection.handle_end(AttemptId(other), End::Closed), Ok(()));
        }
        assert!(connection.is_open(AttemptId(winner)));
        assert_eq!(connection.address().to_string(), format!("192.0.2.{}:33445", winner + 1));
        assert_eq!(relay.open(&written(&mut connection, AttemptId(winner))).unwrap(), [ping(FIRST_PING)]);
        let mut proof = Vec::new();
        relay.seal(&pong(FIRST_PING), &mut proof);
        let events = receive(&mut connection, now, AttemptId(winner), &proof).unwrap();
        assert!(matches!(events.iter().next(), Some(Event::Connected { .. })));
        assert_eq!(events.len(), 1);
        assert!(connection.failed_attempts().is_empty());
    }
}

/// All hellos of a connection are sealed with the same key, so each opens as a response to each other one.
#[test]
fn the_attempts_of_a_connection_cannot_be_connected_to_each_other() {
    let start = Instant::now();
    let mut connection = addressed(2, start);
    let hellos = [0, 1].map(|number| {
        let now = start + 250 * MS * u32::from(number);
        connection.begin_attempt(now, values(number)).expect("the next attempt");
        connection.handle_connected(now, AttemptId(number));
        written(&mut connection, AttemptId(number))
    });
    let now = start + seconds(1);
    receive(&mut connection, now, AttemptId(0), &hellos[1][32..]).expect("the other attempt is left");
    assert!(!connection.is_open(AttemptId(0)));
    // The hello of an attempt that is over is not accepted either.
    let reflection = DisconnectReason::Impostor(Impostor::Reflection);
    assert_eq!(receive(&mut connection, now, AttemptId(1), &hellos[0][32..]).err(), Some(reflection));
    assert!(connection.failed_attempts().iter().all(|failed| failed.reason == reflection));
}

#[test]
fn an_impostor_at_one_address_does_not_prevent_a_connection_at_another() {
    let start = Instant::now();
    let (mut connection, hellos) = all_connected(2, start);
    let now = start + seconds(1);
    receive(&mut connection, now, AttemptId(0), &[0xa5; 96]).expect("the other is left");
    assert!(!connection.is_open(AttemptId(0)));
    let (response, _) = hellos[1].accept(&fresh());
    receive(&mut connection, now, AttemptId(1), &response).unwrap();
    assert_eq!(connection.stage(), Stage::Confirming);
}

#[test]
fn each_attempt_has_a_full_timeout() {
    let start = Instant::now();
    let mut connection = addressed(2, start);
    assert_eq!(begin(&mut connection, start), [0]);
    assert_eq!(begin(&mut connection, start + 250 * MS), [1]);
    let ping = NonZeroU64::MIN;
    assert_eq!(connection.handle_timeout(start + seconds(10), false, ping), Ok(()));
    assert_eq!((connection.is_open(AttemptId(0)), connection.is_open(AttemptId(1))), (false, true));
    assert_eq!(connection.deadline(), start + seconds(10) + 250 * MS);
    let late = Err(timed_out(Stage::Connecting));
    assert_eq!(connection.handle_timeout(start + seconds(10) + 250 * MS, false, ping), late);
}

#[test]
fn turns_of_one_attempt_do_not_move_the_deadline_of_another() {
    let start = Instant::now();
    let mut connection = addressed(2, start);
    begin(&mut connection, start);
    begin(&mut connection, start + 250 * MS);
    connection.handle_end(AttemptId(0), REFUSED).expect("one is left");
    // At the first address, one that failed, or an attacker's, something is ready whenever the driver looks.
    for second in 1..60 {
        connection.handle_turn(start + seconds(second), AttemptId(0), start + seconds(second - 1));
    }
    assert_eq!(connection.deadline(), start + 250 * MS + seconds(10));
}

#[test]
fn of_equally_hopeful_reasons_that_of_the_attempt_that_progressed_furthest_counts() {
    let start = Instant::now();
    let mut connection = addressed(3, start);
    for number in 0..3_u8 {
        connection.begin_attempt(start + 250 * MS * u32::from(number), values(number)).unwrap();
    }
    connection.handle_connected(start + seconds(1), AttemptId(1));
    written(&mut connection, AttemptId(1));
    assert_eq!(connection.stage(), Stage::Handshaking);
    assert_eq!(connection.address().to_string(), "192.0.2.2:33445");
    assert_eq!(connection.handle_end(AttemptId(1), End::Closed), Ok(()));
    assert_eq!(connection.stage(), Stage::Connecting);
    assert_eq!(connection.handle_end(AttemptId(2), REFUSED), Ok(()));
    let hint = Some(Hint::OtherKey);
    let closed = DisconnectReason::Closed { stage: Stage::Handshaking, party: Party::Relay, hint };
    assert_eq!(connection.handle_end(AttemptId(0), REFUSED), Err(closed));
    assert_eq!((connection.stage(), connection.times().transport), (Stage::Handshaking, Some(seconds(1))));
    assert_eq!(connection.address().to_string(), "192.0.2.2:33445");
    let reasons = connection.failed_attempts().into_iter().map(|failed| failed.reason);
    let refused = DisconnectReason::Refused(Party::Relay);
    assert_eq!(reasons.collect::<Vec<_>>(), [closed, refused, refused]);
}

#[test]
fn a_relay_can_have_its_own_connect_timeout() {
    let start = Instant::now();
    let parameters = Parameters { connect_timeout: Some(seconds(60)), ..parameters(Settings::default()) };
    let mut connection = begun(parameters, entropy(), start);
    assert_eq!(connection.deadline(), start + seconds(60));
    connection.handle_connected(start + seconds(59), FIRST);
    assert_eq!(connection.deadline(), start + seconds(60));
    let late = connection.handle_timeout(start + seconds(60), false, NonZeroU64::MIN);
    assert_eq!(late, Err(timed_out(Stage::Handshaking)));
}

#[test]
fn a_changed_network_shortens_the_attempts_that_have_begun_and_not_the_later_ones() {
    let start = Instant::now();
    let mut connection = addressed(3, start);
    assert_eq!(begin(&mut connection, start), [0]);
    assert_eq!(begin(&mut connection, start + 250 * MS), [1]);
    connection.handle_network_changed(start + 300 * MS, NonZeroU64::MIN);
    assert_eq!(begin(&mut connection, start + 500 * MS), [2]);
    assert_eq!(connection.deadline(), start + seconds(5) + 300 * MS);
    assert_eq!(connection.handle_timeout(start + seconds(5) + 300 * MS, false, NonZeroU64::MIN), Ok(()));
    assert!(!connection.is_open(AttemptId(0)) && !connection.is_open(AttemptId(1)));
    assert_eq!(connection.deadline(), start + seconds(10) + 500 * MS);
}

/// Input of an attempt counts for `last_heard`, also after the attempt has won.
#[test]
fn last_heard_is_set_when_the_response_arrives() {
    let start = Instant::now();
    let (mut connection, hellos) = all_connected(2, start);
    assert_eq!(connection.last_heard(), None);
    let (response, _) = hellos[1].accept(&fresh());
    receive(&mut connection, start + seconds(2), AttemptId(1), &response).unwrap();
    assert_eq!(connection.last_heard(), Some(start + seconds(2)));
}

/// Both attempts fail, and the second one is refused. In each case the first one came further or failed first.
#[test]
fn the_reason_is_the_most_hopeful_one() {
    let start = Instant::now();
    let begun = |number| {
        let mut connection = addressed(2, start);
        connection.begin_attempt(start, values(number)).unwrap();
        connection
    };
    // At an old address there is another relay now.
    let mut wrong_key = begun(0);
    wrong_key.handle_connected(start, AttemptId(0));
    written(&mut wrong_key, AttemptId(0));
    assert_eq!(receive(&mut wrong_key, start, AttemptId(0), &[0xa5; 96]).map(drop), Ok(()));
    // There is no route to IPv6 addresses.
    let mut no_route = begun(0);
    let end = End::Failed(io::ErrorKind::NetworkUnreachable, None);
    assert_eq!(no_route.handle_end(AttemptId(0), end), Ok(()));
    for mut connection in [wrong_key, no_route] {
        connection.begin_attempt(start, values(1)).unwrap();
        let refused = DisconnectReason::Refused(Party::Relay);
        assert_eq!(connection.handle_end(AttemptId(1), REFUSED), Err(refused));
        assert_eq!(connection.address().to_string(), "192.0.2.2:33445");
        assert_eq!(connection.failed_attempts().len(), 2);
    }
}

/// The address of an attacker comes first. It needs no key: a hello of an earlier connection is a response, too.
#[test]
fn a_replayed_response_at_one_address_does_not_prevent_a_connection_at_another() {
    let start = Instant::now();
    let earlier = {
        let mut connection = addressed(1, start);
        connection.begin_attempt(start, values(9)).unwrap();
        connection.handle_connected(start, FIRST);
        written(&mut connection, FIRST)
    };
    for end in ["no pong", "closed", "not a packet"] {
        let mut connection = addressed(3, start);
        connection.begin_attempt(start, values(0)).unwrap();
        connection.begin_attempt(start + 250 * MS, values(1)).unwrap();
        let route = connection.open(key(7)).unwrap();
        let closed = connection.open(key(8)).unwrap();
        connection.send_oob(key(9), b"early").unwrap();
        connection.handle_connected(start, AttemptId(0));
        written(&mut connection, AttemptId(0));
        receive(&mut connection, start + seconds(1), AttemptId(0), &earlier[32..]).unwrap();
        assert_eq!(connection.stage(), Stage::Confirming);
        assert!(!connection.is_open(AttemptId(1)) && connection.is_open(AttemptId(0)));
        assert!(!written(&mut connection, AttemptId(0)).is_empty(), "a ping, requests and the OOB packet");
        connection.close_route(closed).unwrap();

        let failed = connection.deadline();
        match end {
            "no pong" => assert_eq!(connection.handle_timeout(failed, false, NonZeroU64::MIN), Ok(())),
            "closed" => assert_eq!(connection.handle_end(AttemptId(0), End::Closed), Ok(())),
            _ => assert!(receive(&mut connection, failed, AttemptId(0), &[0xa5; 64]).unwrap().is_empty()),
        }
        assert!(!connection.is_open(AttemptId(0)), "{end}");
        assert_eq!(connection.stage(), Stage::Confirming, "that of the only failure");
        assert_eq!(connection.failed_attempts().len(), 1);
        assert!(connection.deadline() <= failed, "the next attempt is due");

        // The address that was tried meanwhile comes first, and the relay is there.
        let (attempt, address) = connection.begin_attempt(failed, values(2)).unwrap();
        assert_eq!((attempt, address.to_string()), (AttemptId(2), "192.0.2.2:33445".to_owned()));
        connection.handle_connected(failed, attempt);
        let hello = written(&mut connection, attempt).try_into().unwrap();
        let (response, mut relay) = Hello::open(&hello, &RELAY_SECRET).unwrap().accept(&fresh());
        receive(&mut connection, failed, attempt, &response).unwrap();
        let sent = relay.open(&written(&mut connection, attempt)).unwrap();
        assert_eq!(sent, [ping(FIRST_PING), routing_request(key(7))], "{end}");
        let mut stream = Vec::new();
        relay.seal(&pong(FIRST_PING), &mut stream);
        relay.seal(&routing_response(16, key(7)), &mut stream);
        assert_eq!(receive(&mut connection, failed, attempt, &stream).unwrap().len(), 2);
        assert_eq!(connection.route_status(route).unwrap().state, crate::status::RouteState::Offline);
        assert_eq!((connection.route_count(), connection.stage()), (1, Stage::Connected));
        assert!(connection.failed_attempts().is_empty());
        // From now on, a failure ends the connection.
        assert!(connection.handle_end(attempt, End::Closed).is_err());
    }
}

#[test]
fn if_no_address_is_left_a_candidate_that_fails_ends_the_connection() {
    let start = Instant::now();
    let (mut connection, hellos) = all_connected(1, start);
    let (response, _) = hellos[0].accept(&fresh());
    receive(&mut connection, start, FIRST, &response).unwrap();
    let failed = connection.deadline();
    let no_pong = DisconnectReason::NoPong(Stage::Confirming);
    assert_eq!(connection.handle_timeout(failed, false, NonZeroU64::MIN), Err(no_pong));
    assert_eq!(connection.stage(), Stage::Confirming);
    assert!(connection.begin_attempt(failed, values(1)).is_none());
}

#[test]
fn attempts_that_time_out_together_fail_in_their_order() {
    let start = Instant::now();
    let mut connection = addressed(3, start);
    for number in 0..3_u8 {
        connection.begin_attempt(start + 250 * MS * u32::from(number), values(number)).unwrap();
    }
    let late = Err(timed_out(Stage::Connecting));
    assert_eq!(connection.handle_timeout(start + seconds(60), false, NonZeroU64::MIN), late);
    let failed = connection.failed_attempts().into_iter().map(|failed| failed.address.to_string());
    assert_eq!(failed.collect::<Vec<_>>(), [1, 2, 3].map(|number| format!("192.0.2.{number}:33445")));
    assert_eq!(connection.address().to_string(), "192.0.2.1:33445");
}
