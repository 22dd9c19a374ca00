//! What the caller requests before the connection is connected: it is queued, and sent right after the first ping.

use super::*;
use crate::status::RouteState;

const PEER: u8 = 7;

/// The bytes of a packet on the stream besides its plaintext: its length field and its MAC.
const OVERHEAD: usize = 2 + 16;

fn oob_to(peer: PublicKey, data: &[u8]) -> Vec<u8> {
    [&[6][..], peer.as_bytes(), data].concat()
}

/// The answer to this hello, and a pair that has received it.
fn answered(mut connection: Connection, hello: Hello, now: Instant) -> Pair {
    let (mut response, relay) = hello.accept(&fresh());
    let mut pair = Pair::confirming();
    connection.receive(now, FIRST, &mut response, &mut Shared::new(), &mut pair.events).unwrap();
    assert_eq!(connection.stage(), Stage::Confirming);
    (pair.connection, pair.relay, pair.now) = (connection, relay, now);
    pair
}

#[test]
fn requests_and_packets_of_any_early_stage_are_sent_after_the_first_ping() {
    let now = Instant::now();
    let mut connection = connecting(now);
    let first = connection.open(key(1)).unwrap();
    connection.send_oob(key(1), b"connecting").unwrap();
    assert!(!connection.has_output(FIRST), "nothing can be written");

    let hello = hello(&mut connection, now);
    assert_eq!(connection.stage(), Stage::Handshaking);
    let second = connection.open(key(2)).unwrap();
    connection.send_to(key(2), b"handshaking").unwrap();
    assert!(!connection.has_output(FIRST), "nothing more can be written");
    assert_eq!(flush(&mut connection, now, &mut [0; 4096]), []);

    let mut pair = answered(connection, hello, now);
    let third = pair.connection.open(key(3)).unwrap();
    let destination = Destination::Udp("127.0.0.1:258".parse().unwrap());
    pair.connection.send_forward_request(destination, b"x").unwrap();
    pair.connection.send_onion_request(&[9; 178]).unwrap();
    assert!(pair.connection.has_output(FIRST));
    let sent = [
        ping(FIRST_PING),
        routing_request(key(1)),
        routing_request(key(2)),
        routing_request(key(3)),
        oob_to(key(1), b"connecting"),
        oob_to(key(2), b"handshaking"),
        [&[10, 2, 127, 0, 0, 1, 1, 2][..], b"x"].concat(),
        [8].into_iter().chain([9; 178]).collect(),
    ];
    assert_eq!(pair.sent(), sent);
    assert!(!pair.connection.has_output(FIRST));

    pair.relay_sends(&[pong(FIRST_PING), routing_response(16, key(1)), routing_response(17, key(2))])
        .unwrap();
    let reported = [
        Event::Connected { connection: ID, token: TOKEN },
        Event::RouteOpened { connection: ID, route: first, token: route_token(key(1)), peer: key(1) },
        Event::RouteOpened { connection: ID, route: second, token: route_token(key(2)), peer: key(2) },
    ];
    assert_eq!(pair.take_events(), reported.map(|event| format!("{event:?}")));
    assert_eq!(pair.connection.route_status(third).unwrap().state, RouteState::Requested);
}

#[test]
fn data_are_refused_until_the_peer_is_online() {
    let mut connection = connecting(Instant::now());
    let route = connection.open(key(PEER)).unwrap();
    assert_eq!(connection.send_data(route, b"x"), Err(SendError::RouteOffline));
    assert_eq!(connection.open(key(PEER)), Err(RouteError::Exists(route)));
}

#[test]
fn a_proxy_receives_nothing_that_is_queued_for_the_relay() {
    let now = Instant::now();
    let mut parameters = parameters(Settings::default());
    parameters.proxy = Some(Arc::new("socks4://192.0.2.1:1080".parse().unwrap()));
    parameters.addresses = vec!["192.0.2.2:33445".parse().unwrap()];
    let mut connection = begun(parameters, entropy(), now);
    connection.open(key(PEER)).unwrap();
    connection.send_oob(key(PEER), b"for the relay").unwrap();
    connection.handle_connected(now, FIRST);
    let request = flush(&mut connection, now, &mut [0; 4096]);
    assert_eq!(request, [4, 1, 0x82, 0xa5, 192, 0, 2, 2, 0]);
    // The proxy closes after the whole request was sent to it.
    let end = DisconnectReason::Closed {
        stage: Stage::Tunnelling,
        party: Party::Proxy,
        hint: Some(Hint::NotReached),
    };
    assert_eq!(connection.reason(End::Closed), end);
}

#[test]
fn another_key_is_a_hint_although_packets_are_queued() {
    let now = Instant::now();
    let mut connection = connecting(now);
    connection.open(key(PEER)).unwrap();
    hello(&mut connection, now);
    let end = DisconnectReason::Closed {
        stage: Stage::Handshaking,
        party: Party::Relay,
        hint: Some(Hint::OtherKey),
    };
    assert_eq!(connection.reason(End::Closed), end);
}

#[test]
fn the_send_queue_has_its_bound_from_the_start() {
    let mut connection = connecting(Instant::now());
    let bound = Settings::default().send_queue;
    while connection.send_oob(key(PEER), &[1; 1024]).is_ok() {
        assert!(connection.queued() <= bound);
    }
    assert_eq!(connection.send_oob(key(PEER), &[1; 1024]), Err(SendError::WouldBlock));
    assert!(connection.queued() > bound / 2 - 2 * 1060);
    assert!(!connection.take_writable());
}

#[test]
fn no_more_routes_than_a_relay_has_can_be_queued() {
    let mut connection = connecting(Instant::now());
    for number in 0..240 {
        connection.open(key(number)).unwrap();
    }
    assert_eq!(connection.open(key(240)), Err(RouteError::TooMany));
}

#[test]
fn a_route_closed_before_the_session_is_closed_after_its_response() {
    let now = Instant::now();
    let mut connection = connecting(now);
    let route = connection.open(key(PEER)).unwrap();
    assert_eq!(connection.close_route(route), Ok(0));
    assert_eq!(connection.find_route(&key(PEER)), None);
    let hello = hello(&mut connection, now);
    let mut pair = answered(connection, hello, now);
    // The request is sent, and the disconnect notification after its response.
    assert_eq!(pair.sent(), [ping(FIRST_PING), routing_request(key(PEER))]);
    pair.relay_sends(&[pong(FIRST_PING), routing_response(16, key(PEER)), vec![2, 16]]).unwrap();
    assert_eq!(pair.take_events(), [format!("{:?}", Event::Connected { connection: ID, token: TOKEN })]);
    assert_eq!(pair.sent(), [vec![3, 16]]);
    assert_eq!(pair.connection.route_count(), 0);
    assert!(!pair.connection.has_output(FIRST));
}

#[test]
fn routes_opened_and_closed_before_the_session_free_their_slots() {
    let now = Instant::now();
    let mut connection = connecting(now);
    for _ in 0..1_000 {
        let route = connection.open(key(PEER)).unwrap();
        connection.close_route(route).unwrap();
    }
    let route = connection.open(key(PEER)).unwrap();
    assert_eq!(connection.route_count(), 2, "the first one and the last one");
    let hello = hello(&mut connection, now);
    let mut pair = answered(connection, hello, now);
    assert_eq!(pair.sent(), [ping(FIRST_PING), routing_request(key(PEER))]);
    pair.relay_sends(&[pong(FIRST_PING), routing_response(16, key(PEER))]).unwrap();
    assert_eq!(pair.sent(), [vec![3, 16], routing_request(key(PEER))]);
    pair.relay_sends(&[routing_response(16, key(PEER))]).unwrap();
    assert_eq!(pair.connection.route_status(route).unwrap().state, RouteState::Offline);
}

/// An attacker who has recorded a handshake response can replay it, and read everything that is sent then.
#[test]
fn an_impostor_with_an_old_response_receives_at_most_one_send_queue_and_the_requests() {
    let oob = |connection: &mut Connection, len| connection.send_oob(key(1), &vec![1; len]);
    let forward = |connection: &mut Connection, len| {
        connection.send_forward_request(Destination::Udp(([127, 0, 0, 1], 1).into()), &vec![1; len])
    };
    for send_queue in [4_068, 128 * 1024] {
        let most = send_queue + send_queue / 4;
        for (len, send, most) in [
            (1_024, &oob as &dyn Fn(&mut Connection, usize) -> Result<(), SendError>, send_queue),
            (1, &oob, most),
            (1, &forward, most), // the shortest packet
        ] {
            let mut pair = Pair::confirming_with(Settings { send_queue, ..without_window() });
            for number in 0..240 {
                pair.connection.open(key(number)).unwrap();
            }
            let important = 240 * (OVERHEAD + 33) + OVERHEAD + 9;
            let mut sent = 0;
            // The caller sends as much as it can, and the impostor takes it all at once.
            for _ in 0..1_000 {
                while send(&mut pair.connection, len).is_ok() {}
                sent += flush(&mut pair.connection, pair.now, &mut pair.scratch).len();
            }
            assert!(sent > important);
            assert!(sent <= most + important, "{sent} of {most}");
            // There is room again as soon as the relay has proved that it holds its key.
            pair.relay_sends(&[pong(FIRST_PING)]).unwrap();
            assert!(pair.connection.take_writable());
            assert_eq!(send(&mut pair.connection, len), Ok(()));
        }
    }
}
