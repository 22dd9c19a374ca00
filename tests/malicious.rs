//! Attacks of a malicious relay that need a socket. The unit tests of the core contain the other attacks of
//! `tests/attacks.md`.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use support::scripted_relay::ScriptedRelay;
use support::{
    AT_ONCE, Conduct, OnlinePair, Peer, Reported, SHORT, address, any_key, assert_ended, closed, honest,
    numbered, relay, wait_until_sent,
};
use tox_relay_client::{ConnectionId, DisconnectReason, Impostor, Relay, SecretKey, Stage, Violation};
use tox_test_relay::kind;

/// The connection id that scripted relays give to the route.
const NUMBER: u8 = 42;

/// The most bytes that a connection reads in one poll.
const READ_A_POLL: u64 = 64 * 1024;

/// Begins a connection to a socket without a relay.
fn begin(peer: &mut Peer) -> (TcpStream, ConnectionId) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let id = peer.client.connect(Relay::new(listener.local_addr().unwrap(), any_key())).unwrap();
    let (stream, _) = listener.accept().unwrap();
    (stream, id)
}

fn oob(number: u32, len: usize) -> Vec<u8> {
    [&[kind::OOB_RECEIVE][..], &[9; 32], &numbered(number, len)].concat()
}

fn reported_of_oob(id: ConnectionId, number: u32, len: usize) -> Reported {
    Reported::Oob(id, [9; 32].into(), numbered(number, len))
}

fn is_reset(reason: DisconnectReason, at: Stage) -> bool {
    matches!(reason, DisconnectReason::Transport { stage, kind: ErrorKind::ConnectionReset, .. } if stage == at)
}

#[test]
fn noise_before_the_first_poll_is_reported_as_an_impostor() {
    let mut peer = Peer::new();
    let (mut stream, id) = begin(&mut peer);
    // As much as both sockets accept, before the client has sent a byte.
    stream.set_nonblocking(true).unwrap();
    let mut written = 0;
    while let Ok(len) = stream.write(&[0xa5; 64 * 1024]) {
        written += len;
    }
    assert!(written as u64 > READ_A_POLL, "{written} bytes");
    assert_eq!(peer.end(id), DisconnectReason::Impostor(Impostor::WrongKey));
    assert_eq!(peer.reported.len(), 1);
    assert!(peer.final_status(id).traffic.bytes_in <= READ_A_POLL);
    assert_ended(&mut peer, id);
}

#[test]
fn an_echo_is_an_impostor() {
    let mut peer = Peer::new();
    let (mut stream, id) = begin(&mut peer);
    peer.until("the hello is sent", |peer| peer.client.connection(id).unwrap().traffic.bytes_out == 128);
    let mut hello = [0; 128];
    stream.read_exact(&mut hello).unwrap();
    stream.write_all(&hello).unwrap();
    assert_eq!(peer.end(id), DisconnectReason::Impostor(Impostor::WrongKey));
    assert_ended(&mut peer, id);
}

#[test]
fn more_than_a_megabyte_of_unread_input_is_reported_in_parts_and_in_order() {
    const COUNT: u32 = 1200;
    let relay = honest();
    let mut peer = Peer::new().capacity(16);
    let id = peer.connect(&relay);
    peer.reported.clear();
    for number in 0..COUNT {
        assert!(relay.send(peer.raw_key(), &oob(number, 1000)));
    }
    assert!(relay.close(peer.raw_key()));
    wait_until_sent(&relay);
    let mut before = peer.client.connection(id).unwrap().traffic.bytes_in;
    while peer.ends(id).is_empty() {
        peer.poll(AT_ONCE);
        assert!((1..=16).contains(&peer.events.len()));
        if let Some(status) = peer.client.connection(id) {
            assert!(status.traffic.bytes_in - before <= READ_A_POLL);
            before = status.traffic.bytes_in;
        }
    }
    let end = Reported::Disconnected(id, closed(Stage::Connected));
    let expected = (0..COUNT).map(|number| reported_of_oob(id, number, 1000)).chain([end]);
    assert!(peer.reported.iter().eq(expected.collect::<Vec<_>>().iter()), "all packets, and then the end");
    assert_ended(&mut peer, id);
}

/// The bytes that a relay sends before it ends the connection.
const BEFORE_THE_END: [fn(&mut ScriptedRelay); 5] = [
    |_| {},
    |relay| relay.respond(),
    |relay| relay.send_all_but_one_byte(&oob(0, 100)),
    |relay| relay.send_all([&oob(0, 100)[..], &oob(1, 1)]),
    |relay| {
        relay.send(&oob(0, 100));
        relay.send_all_but_one_byte(&oob(1, 100));
    },
];

#[test]
fn only_complete_packets_before_an_end_in_each_stage_are_reported() {
    for reset in [false, true] {
        for (case, before) in BEFORE_THE_END.iter().enumerate() {
            let mut peer = Peer::new();
            let (mut relay, id) = ScriptedRelay::greet(&mut peer);
            before(&mut relay);
            // A socket that is closed cleanly still accepts what the client sends.
            let _open = if reset {
                relay.reset();
                None
            } else {
                relay.close();
                Some(relay)
            };
            let (stage, complete) = [
                (Stage::Handshaking, vec![]),
                (Stage::Confirming, vec![]),
                (Stage::Confirming, vec![]),
                (Stage::Connected, vec![reported_of_oob(id, 0, 100), reported_of_oob(id, 1, 1)]),
                (Stage::Connected, vec![reported_of_oob(id, 0, 100)]),
            ][case]
                .clone();
            let reason = peer.end(id);
            match reset {
                true => assert!(is_reset(reason, stage), "{case}: {reason}"),
                false => assert_eq!(reason, closed(stage), "{case}"),
            }
            let connected = (stage == Stage::Connected).then_some(Reported::Connected(id));
            let end = Reported::Disconnected(id, reason);
            assert_eq!(
                peer.reported,
                connected.into_iter().chain(complete).chain([end]).collect::<Vec<_>>(),
                "{case}"
            );
            assert_ended(&mut peer, id);
        }
    }
}

#[test]
fn a_violation_after_valid_packets_is_reported_after_them_and_later_packets_never() {
    for capacity in [2, 3, 256] {
        let mut peer = Peer::new().capacity(capacity);
        let (mut relay, id) = ScriptedRelay::connect(&mut peer);
        let packets = [oob(0, 10), oob(1, 10), oob(2, 10), vec![0x0c], oob(3, 10)];
        relay.send_all(packets.iter().map(|packet| &packet[..]));
        let reason = peer.end(id);
        assert_eq!(reason, DisconnectReason::Protocol(Violation::Kind(0x0c)));
        let good = (0..3).map(|number| reported_of_oob(id, number, 10));
        assert_eq!(peer.reported, good.chain([Reported::Disconnected(id, reason)]).collect::<Vec<_>>());
        assert_ended(&mut peer, id);
    }
}

#[test]
fn silence_in_the_middle_of_a_packet_ends_the_connection_at_the_pong_timeout() {
    let mut peer = Peer::with(|config| config.ping_interval(SHORT).pong_timeout(2 * SHORT));
    let (mut relay, id) = ScriptedRelay::connect(&mut peer);
    relay.send_all_but_one_byte(&oob(0, 1024));
    assert_eq!(peer.end(id), DisconnectReason::NoPong(Stage::Connected));
    assert_eq!(peer.reported.len(), 1);
    assert_ended(&mut peer, id);
}

#[test]
fn a_response_that_arrives_byte_by_byte_times_out() {
    let mut peer = Peer::with(|config| config.connect_timeout(SHORT));
    let (mut stream, id) = begin(&mut peer);
    stream.set_nodelay(true).unwrap();
    let start = Instant::now();
    // The last of the 96 bytes would arrive after three such timeouts at the earliest.
    while peer.ends(id).is_empty() {
        // Fails after the client has closed the connection.
        let _ = stream.write_all(&[1]);
        peer.poll(SHORT / 30);
    }
    let [DisconnectReason::TimedOut { stage: Stage::Handshaking, .. }] = peer.ends(id)[..] else {
        panic!("{:?}", peer.ends(id));
    };
    assert!(start.elapsed() < AT_ONCE);
    assert_ended(&mut peer, id);
}

#[test]
fn a_relay_that_only_sends_and_never_reads_is_cut_off() {
    let relay = honest();
    let mut peer = Peer::with(|config| config.ping_interval(SHORT).pong_timeout(2 * SHORT));
    let id = peer.connect(&relay);
    let key = *peer.raw_key();
    assert!(relay.stop_reading(&key));
    let start = Instant::now();
    let mut oobs = 0;
    peer.reported.clear();
    while peer.ends(id).is_empty() {
        // Has no effect after the client has closed the connection.
        for number in 0..64 {
            relay.send(&key, &oob(number, 1024));
            relay.send(&key, &[kind::CONNECTION_NOTIFICATION, NUMBER]);
        }
        peer.poll(Duration::ZERO);
        let before = peer.reported.len();
        peer.reported.retain(|reported| !matches!(reported, Reported::Oob(..)));
        oobs += before - peer.reported.len();
        assert_eq!(peer.client.connection(id).map_or(0, |status| status.queued), 0);
    }
    assert_eq!(peer.reported, [Reported::Disconnected(id, DisconnectReason::NoPong(Stage::Connected))]);
    assert!(start.elapsed() < AT_ONCE, "ended in time, although it sent packets all the time");
    assert!(oobs > 64, "{oobs}");
    assert_ended(&mut peer, id);
}

#[test]
fn malicious_relays_do_no_harm_to_an_honest_one() {
    let honest = honest();
    let mut pair = OnlinePair::on(&honest);
    let flood = vec![oob(0, 1024); 200];
    let attacks = [
        Conduct::CloseOnAccept,
        Conduct::CloseAfterHello,
        Conduct::ResetAfterHello,
        Conduct::Garbage(vec![7; 64 * 1024]),
        Conduct::WrongKey,
        Conduct::ReflectHello,
        Conduct::ReflectTemporaryKey,
        Conduct::LowOrderKey,
        Conduct::ResetAfterHandshake,
        Conduct::CloseAfterHandshake,
        Conduct::GarbageAfterHandshake(vec![0xff; 64 * 1024]),
        Conduct::Unsolicited(vec![vec![0x0c]]),
        Conduct::Unsolicited([flood, vec![vec![kind::ROUTING_REQUEST]]].concat()),
        Conduct::Unsolicited(vec![[&[kind::PING][..], &[1; 8]].concat(); 10_000]),
    ];
    let relays = attacks.map(relay);
    // Several rounds of connections to all of them, while two honest clients exchange data.
    let mut begun = vec![];
    for round in 0..5u32 {
        for relay in &relays {
            let identity = SecretKey::generate();
            begun.push(pair.a.client.connect(address(relay).identity(identity)).unwrap());
        }
        for number in 0..50 {
            pair.b.client.send_data(pair.to_a, &numbered(50 * round + number, 1000)).unwrap();
            pair.a.client.send_data(pair.to_b, &numbered(50 * round + number, 1000)).unwrap();
        }
        let all = 50 * (round as usize + 1);
        pair.until("all data", |pair| pair.a.data().len() == all && pair.b.data().len() == all);
    }
    pair.until("all ends", |pair| begun.iter().all(|id| !pair.a.ends(*id).is_empty()));
    assert!(begun.iter().all(|id| pair.a.ends(*id).len() == 1));
    assert!(pair.a.ends(pair.at_a).is_empty());
    let expected: Vec<_> = (0..250).map(|number| numbered(number, 1000)).collect();
    assert_eq!(pair.a.data(), expected);
    assert_eq!(pair.b.data(), expected);
    assert!(pair.a.client.connections().eq([pair.at_a]));
}

#[test]
fn urgent_data_do_not_hide_the_pong_after_them() {
    let (interval, timeout) = (Duration::from_millis(40), Duration::from_millis(300));
    let mut peer = Peer::with(|config| config.ping_interval(interval).pong_timeout(timeout));
    let (mut relay, id) = ScriptedRelay::connect(&mut peer);
    for number in 0..3 {
        let ping = relay.receive(&mut peer);
        assert_eq!(ping[0], kind::PING);
        relay.send(&oob(number, 10));
        relay.send_urgent();
        relay.send(&[&[kind::PONG], &ping[1..]].concat());
    }
    assert_eq!(relay.receive(&mut peer)[0], kind::PING);
    assert_eq!(peer.reported, [0, 1, 2].map(|number| reported_of_oob(id, number, 10)));
}
