//! Each way in which a connection ends. The end is reported exactly once, without delay, with the reason, and as the
//! last event of the connection.

mod support;

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use socket2::SockRef;
use support::scripted_relay::ScriptedRelay;
use support::{Conduct, Peer, Reported, SHORT, any_key, assert_end, assert_ended, closed, honest, relay};
use tox_relay_client::DisconnectReason::{self, ClosedByCaller, NoPong, Protocol};
use tox_relay_client::{Config, Hint, Impostor, Party, Relay, Stage, Violation};
use tox_test_relay::kind;

/// The end of a direct connection that the relay resets in this stage.
fn reset(stage: Stage) -> DisconnectReason {
    let code = match () {
        () if cfg!(target_os = "linux") => 104,
        () if cfg!(windows) => 10_054,
        () => 54,
    };
    let hint = match stage {
        Stage::Connecting => None,
        Stage::Handshaking => Some(Hint::OtherKey),
        _ => Some(Hint::SameKey),
    };
    let (party, kind) = (Party::Relay, io::ErrorKind::ConnectionReset);
    DisconnectReason::Transport { stage, party, hint, kind, code: Some(code) }
}

#[test]
fn a_close_in_each_stage_is_reported_at_once() {
    assert_end(Conduct::CloseAfterHello, |config| config, closed(Stage::Handshaking));
    assert_end(Conduct::CloseAfterHandshake, |config| config, closed(Stage::Confirming));

    // Whether our hello has been sent by then depends on timing.
    let closing = relay(Conduct::CloseOnAccept);
    let mut peer = Peer::new();
    let id = peer.begin(&closing);
    let reason = peer.end(id);
    assert!(matches!(reason, DisconnectReason::Closed { stage: Stage::Handshaking, .. }), "{reason}");
    assert_ended(&mut peer, id);

    let relay = honest();
    let mut peer = Peer::new();
    let id = peer.connect(&relay);
    assert!(relay.close(peer.raw_key()));
    assert_eq!(peer.end(id), closed(Stage::Connected));
    assert_ended(&mut peer, id);
}

#[test]
fn a_reset_in_each_stage_is_reported_at_once() {
    assert_end(Conduct::ResetAfterHello, |config| config, reset(Stage::Handshaking));
    assert_end(Conduct::ResetAfterHandshake, |config| config, reset(Stage::Confirming));

    let relay = honest();
    let mut peer = Peer::new();
    let id = peer.connect(&relay);
    assert!(relay.reset(peer.raw_key()));
    assert_eq!(peer.end(id), reset(Stage::Connected));
    assert_ended(&mut peer, id);
}

#[test]
fn a_reset_before_the_first_poll_is_reported() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut peer = Peer::new();
    let id = peer.client.connect(Relay::new(listener.local_addr().unwrap(), any_key())).unwrap();
    let (stream, _) = listener.accept().unwrap();
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    assert_eq!(peer.end(id), reset(Stage::Connecting));
    assert_ended(&mut peer, id);
}

#[test]
fn a_reset_that_a_write_detects_first_is_reported_as_a_reset() {
    let relay = honest();
    let mut peer = Peer::new();
    let id = peer.connect(&relay);
    assert!(relay.reset(peer.raw_key()));
    peer.client.send_oob(id, any_key(), b"data").unwrap();
    peer.client.flush();
    assert_eq!(peer.end(id), reset(Stage::Connected));
    assert_ended(&mut peer, id);
}

#[test]
fn a_relay_that_answers_no_ping_is_reported() {
    let quick = |config: Config| config.pong_timeout(SHORT);
    for conduct in [Conduct::NoPong, Conduct::SilentAfterHandshake, Conduct::DeafAfterHandshake] {
        assert_end(conduct, quick, NoPong(Stage::Confirming));
    }

    // A relay that proves its key with another packet is connected before the pong is missing.
    let relay = relay(Conduct::NoPong);
    let mut peer = Peer::with(|config| config.pong_timeout(8 * SHORT));
    let id = peer.begin(&relay);
    let key = *peer.raw_key();
    let ping = [&[kind::PING][..], &[1; 8]].concat();
    peer.until("the handshake", |peer| {
        peer.client.connection(id).unwrap().stage == Stage::Confirming && relay.send(&key, &ping)
    });
    assert_eq!(peer.end(id), NoPong(Stage::Connected));
    assert_eq!(peer.reported[0], Reported::Connected(id));
    assert_ended(&mut peer, id);
}

#[test]
fn an_established_connection_ends_when_pongs_stop() {
    let relay = honest();
    let mut peer = Peer::with(|config| config.ping_interval(SHORT).pong_timeout(4 * SHORT));
    let id = peer.connect(&relay);
    assert!(relay.stop_reading(peer.raw_key()));
    assert_eq!(peer.end(id), NoPong(Stage::Connected));
    assert_ended(&mut peer, id);
}

#[test]
fn impostors_are_detected() {
    for (conduct, expected) in [
        (Conduct::Garbage(vec![7; 200]), Impostor::WrongKey),
        (Conduct::WrongKey, Impostor::WrongKey),
        (Conduct::ReflectHello, Impostor::Reflection),
        (Conduct::ReflectTemporaryKey, Impostor::Reflection),
        (Conduct::LowOrderKey, Impostor::LowOrderKey),
        (Conduct::GarbageAfterHandshake(vec![0; 2]), Impostor::Replay),
        (Conduct::GarbageAfterHandshake([&[0, 25][..], &[9; 25]].concat()), Impostor::Replay),
    ] {
        assert_end(conduct, |config| config, DisconnectReason::Impostor(expected));
    }
}

#[test]
fn a_replayed_response_is_never_connected() {
    let relay = honest();
    let mut peer = Peer::with(|config| config.pong_timeout(4 * SHORT));
    let real = peer.connect(&relay);
    peer.client.disconnect(real);
    relay.set_conduct(Conduct::Replay);
    // Nothing follows the response.
    let silent = peer.begin(&relay);
    assert_eq!(peer.end(silent), NoPong(Stage::Confirming));
    // A packet follows it that cannot be decrypted, like a replayed one.
    let sending = peer.begin(&relay);
    let key = *peer.raw_key();
    peer.until("the response", |peer| {
        peer.client.connection(sending).is_some_and(|status| status.stage == Stage::Confirming)
    });
    assert!(relay.send_raw(&key, &[&[0, 25][..], &[9; 25]].concat()));
    assert_eq!(peer.end(sending), DisconnectReason::Impostor(Impostor::Replay));
    let connected = peer.reported.iter().filter(|reported| matches!(reported, Reported::Connected(_)));
    assert_eq!(connected.count(), 1, "only the connection to the real relay");
}

#[test]
fn a_relay_with_another_key_than_it_was_asked_for_closes() {
    let relay = honest();
    let mut peer = Peer::new();
    let id = peer.client.connect(Relay::new(relay.addr(), any_key())).unwrap();
    assert_eq!(peer.end(id), closed(Stage::Handshaking));
    assert!(closed(Stage::Handshaking).to_string().contains("another public key"));
    assert_ended(&mut peer, id);
}

#[test]
fn violations_of_the_protocol_end_the_connection() {
    let packet = |head: &[u8], len: usize| [head, &vec![1; len - head.len()]].concat();
    for (plaintext, expected) in [
        (packet(&[kind::ROUTING_REQUEST], 33), Violation::Kind(0)),
        (packet(&[kind::OOB_SEND], 40), Violation::Kind(6)),
        (packet(&[0x0c], 40), Violation::Kind(0x0c)),
        (vec![], Violation::PacketLength(16)),
        (vec![99; 2033], Violation::PacketLength(2049)),
        (packet(&[kind::ROUTING_RESPONSE, 16], 34), Violation::UnsolicitedResponse),
        (packet(&[kind::ROUTING_RESPONSE, 15], 34), Violation::RouteNumber { kind: 1, id: 15 }),
        (packet(&[kind::ROUTING_RESPONSE], 33), Violation::Length { kind: 1, length: 33 }),
        (vec![kind::CONNECTION_NOTIFICATION, 0], Violation::RouteNumber { kind: 2, id: 0 }),
        (vec![kind::DISCONNECT_NOTIFICATION], Violation::Length { kind: 3, length: 1 }),
        (packet(&[kind::PING, 0, 0, 0, 0, 0, 0, 0, 0], 9), Violation::PingId),
        (packet(&[kind::OOB_RECEIVE], 33), Violation::Length { kind: 7, length: 33 }),
    ] {
        let relay = relay(Conduct::Unsolicited(vec![plaintext]));
        let mut peer = Peer::new();
        let id = peer.begin(&relay);
        assert_eq!(peer.end(id), Protocol(expected));
        assert_eq!(peer.reported[0], Reported::Connected(id), "the pong before it was valid");
        assert_ended(&mut peer, id);
    }
}

#[test]
fn packets_for_ids_without_a_route_are_ignored() {
    let relay = relay(Conduct::Unsolicited(vec![
        vec![kind::CONNECTION_NOTIFICATION, 200],
        vec![kind::DISCONNECT_NOTIFICATION, 200],
        vec![200, 1, 2, 3],
        [&[kind::PONG][..], &[1; 8]].concat(),
    ]));
    let mut peer = Peer::new();
    let id = peer.connect(&relay);
    peer.until("all of them", |peer| peer.client.connection(id).unwrap().traffic.packets_in == 5);
    assert_eq!(peer.reported, [Reported::Connected(id)]);
}

#[test]
fn disconnecting_is_reported_once_in_any_stage() {
    let relay = honest();
    let mut peer = Peer::new();
    for stage in [Stage::Connecting, Stage::Handshaking, Stage::Connected] {
        if stage == Stage::Handshaking {
            relay.set_conduct(Conduct::Mute);
        } else {
            relay.set_conduct(Conduct::Honest);
        }
        let id = peer.begin(&relay);
        peer.until("the stage", |peer| peer.client.connection(id).unwrap().stage == stage);
        assert!(peer.client.disconnect(id));
        assert!(!peer.client.disconnect(id));
        assert_eq!(peer.end(id), ClosedByCaller);
        assert_ended(&mut peer, id);
    }
}

#[test]
fn a_relay_is_notified_of_all_routes_before_the_end() {
    for dropped in [false, true] {
        let mut peer = Peer::new();
        let (mut relay, id) = ScriptedRelay::connect(&mut peer);
        let [route, ..] = [16, 17, 18].map(|number| relay.open_route(&mut peer, id, number).0);
        peer.client.send_data(route, b"last data").unwrap();
        if dropped {
            drop(peer);
        } else {
            assert!(peer.client.disconnect(id));
        }
        relay.read_to_end();
        let notifications = [16, 17, 18].map(|number| vec![kind::DISCONNECT_NOTIFICATION, number]);
        let last_data = [&[16], &b"last data"[..]].concat();
        assert_eq!(relay.received, [&[last_data][..], &notifications].concat());
    }
}

#[test]
fn the_end_of_a_connection_includes_its_final_status() {
    let relay = relay(Conduct::CloseAfterHandshake);
    let mut peer = Peer::new();
    let id = peer.client.connect(support::address(&relay).token(42)).unwrap();
    assert_eq!(peer.end(id), closed(Stage::Confirming));
    let status = peer.final_status(id);
    assert_eq!((status.connection, status.token), (id, 42));
    assert_eq!((status.stage, status.public_key), (Stage::Confirming, relay.public_key().into()));
    assert!(status.times.handshake.is_some() && status.times.connected.is_none());
    assert_eq!(status.traffic.bytes_in, 96);
}
