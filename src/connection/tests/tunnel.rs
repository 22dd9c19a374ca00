//! Connecting through a proxy: all steps share one timeout, and no byte is lost between the last one of the proxy and
//! the first one of the relay.

use super::*;
use crate::config::Proxy;
use crate::error::{ProxyError, Server};
use crate::phrase::Phrase;

const GREETING: [u8; 3] = [5, 1, 0];
const REQUEST: [u8; 10] = [5, 1, 0, 1, 1, 2, 3, 4, 1, 2];
const METHOD: [u8; 2] = [5, 0];
const GRANTED: [u8; 10] = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

fn through_proxy(now: Instant) -> Connection {
    through("socks5://127.0.0.1:1080", now)
}

fn through(proxy: &str, now: Instant) -> Connection {
    let proxy: Proxy = proxy.parse().unwrap();
    let parameters = Parameters { proxy: Some(Arc::new(proxy)), ..parameters(Settings::default()) };
    begun(parameters, entropy(), now)
}

fn sent(connection: &mut Connection, now: Instant) -> Vec<u8> {
    flush(connection, now, &mut vec![0; 4096])
}

fn receive(connection: &mut Connection, now: Instant, bytes: &[u8]) -> Result<(), DisconnectReason> {
    let taken = connection.receive(
        now,
        FIRST,
        &mut bytes.to_vec(),
        &mut Shared::new(),
        &mut Events::with_capacity(8),
    )?;
    assert_eq!(taken, bytes.len());
    Ok(())
}

/// A connection that has sent its request to the proxy.
fn requested(now: Instant) -> Connection {
    let mut connection = through_proxy(now);
    connection.handle_connected(now, FIRST);
    assert_eq!(sent(&mut connection, now), GREETING);
    receive(&mut connection, now, &METHOD).unwrap();
    assert_eq!(sent(&mut connection, now), REQUEST);
    connection
}

#[test]
fn nothing_is_sent_to_the_relay_before_the_tunnel_is_open() {
    let now = Instant::now();
    let mut connection = requested(now);
    assert_eq!(connection.stage(), Stage::Tunnelling);
    for byte in &GRANTED[..9] {
        receive(&mut connection, now, &[*byte]).unwrap();
        assert!(!connection.has_output(FIRST));
    }
    receive(&mut connection, now, &GRANTED[9..]).unwrap();
    assert_eq!(connection.stage(), Stage::Handshaking);
    let hello: [u8; HELLO_LENGTH] = sent(&mut connection, now).try_into().unwrap();
    assert!(Hello::open(&hello, &RELAY_SECRET).is_ok());
}

#[test]
fn bytes_after_the_proxys_answer_in_one_read_are_the_relays() {
    let now = Instant::now();
    // Both connections have the same parameters, so both send the same hello.
    let (response, mut relay) = hello(&mut connecting(now), now).accept(&fresh());
    let mut stream = [&GRANTED[..], &response].concat();
    relay.seal(&pong(FIRST_PING), &mut stream);
    for split in 1..stream.len() {
        let mut connection = requested(now);
        let mut events = Events::with_capacity(8);
        for part in [&stream[..split], &stream[split..]] {
            let taken = connection.receive(now, FIRST, &mut part.to_vec(), &mut Shared::new(), &mut events);
            assert_eq!(taken, Ok(part.len()));
        }
        assert_eq!(connection.stage(), Stage::Connected, "split at {split}");
    }
}

#[test]
fn connecting_tunnel_and_handshake_share_a_timeout_of_ten_seconds() {
    let start = Instant::now();
    let mut connection = through_proxy(start);
    connection.handle_connected(start + seconds(4), FIRST);
    receive(&mut connection, start + seconds(7), &METHOD).unwrap();
    assert_eq!(connection.deadline(), start + seconds(10));
    let late =
        |connection: &mut Connection| connection.handle_timeout(start + seconds(10), false, NonZeroU64::MIN);
    let timed_out = |stage, party, hint| Err(DisconnectReason::TimedOut { stage, party, hint });
    assert_eq!(late(&mut connection), timed_out(Stage::Tunnelling, Party::Proxy, None));

    let mut connection = requested(start);
    receive(&mut connection, start + seconds(9), &GRANTED).unwrap();
    assert_eq!(connection.deadline(), start + seconds(10));
    let expected = timed_out(Stage::Handshaking, Party::Tunnel, Some(Hint::NotReached));
    assert_eq!(late(&mut connection), expected);
}

#[test]
fn a_refusal_ends_the_connection_and_nothing_is_sent_after_it() {
    let now = Instant::now();
    let mut connection = requested(now);
    let refused = DisconnectReason::Proxy(ProxyError::Socks5 { code: 5 });
    assert_eq!(receive(&mut connection, now, &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]), Err(refused));
    assert!(!connection.has_output(FIRST));
}

#[test]
fn the_time_of_the_tunnel_is_recorded() {
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let mut connection = through_proxy(start);
    connection.handle_connected(at(10), FIRST);
    assert_eq!(connection.times().tunnel, None);
    receive(&mut connection, at(20), &METHOD).unwrap();
    receive(&mut connection, at(30), &GRANTED).unwrap();
    let times = connection.times();
    let millis = |millis| Some(Duration::from_millis(millis));
    assert_eq!((times.transport, times.tunnel, times.handshake), (millis(10), millis(30), None));
}

/// The reasons after three ends of the transport: a close, a reset, and the connect timeout.
fn ends(connection: &Connection) -> [DisconnectReason; 3] {
    let reset = End::Failed(io::ErrorKind::ConnectionReset, Some(104));
    [End::Closed, reset, End::Late].map(|end| connection.reason(end))
}

/// The stage and the party of these reasons, which must be the same in all, and their hints.
#[track_caller]
fn stage_party_hints(connection: &Connection) -> (Stage, Party, [Option<Hint>; 3]) {
    let parts = ends(connection).map(|reason| match reason {
        DisconnectReason::Closed { stage, party, hint }
        | DisconnectReason::TimedOut { stage, party, hint }
        | DisconnectReason::Transport { stage, party, hint, .. } => (stage, party, hint),
        other => panic!("{other}"),
    });
    let [(stage, party, _), ..] = parts;
    (
        stage,
        party,
        parts.map(|part| {
            assert_eq!((part.0, part.1), (stage, party));
            part.2
        }),
    )
}

#[test]
fn the_reason_for_an_end_names_the_proxy_or_the_relay() {
    let now = Instant::now();
    let refused = End::Failed(io::ErrorKind::ConnectionRefused, None);
    let direct = connecting(now);
    assert_eq!(direct.reason(refused), DisconnectReason::Refused(Party::Relay));
    assert_eq!(stage_party_hints(&direct), (Stage::Connecting, Party::Relay, [None; 3]));

    let mut connection = through_proxy(now);
    assert_eq!(connection.reason(refused), DisconnectReason::Refused(Party::Proxy));
    assert_eq!(stage_party_hints(&connection), (Stage::Connecting, Party::Proxy, [None; 3]));
    connection.handle_connected(now, FIRST);
    sent(&mut connection, now);
    assert_eq!(stage_party_hints(&connection), (Stage::Tunnelling, Party::Proxy, [None; 3]));
    let not_reached = Some(Hint::NotReached);
    let mut connection = requested(now);
    assert_eq!(stage_party_hints(&connection), (Stage::Tunnelling, Party::Proxy, [not_reached; 3]));

    // The tunnel is open. At first the hello is not sent, and then it is.
    receive(&mut connection, now, &GRANTED).unwrap();
    assert_eq!(stage_party_hints(&connection), (Stage::Handshaking, Party::Tunnel, [not_reached; 3]));
    sent(&mut connection, now);
    let either = Some(Hint::NotReachedOrOtherKey);
    assert_eq!(
        stage_party_hints(&connection),
        (Stage::Handshaking, Party::Tunnel, [either, either, not_reached])
    );

    let [closed, reset, late] = ends(&connection).map(|reason| reason.to_string());
    let cause = "the proxy may not have reached the relay, or the relay has another public key";
    assert_eq!(closed, format!("closed by the relay or the proxy during the handshake ({cause})"));
    assert!(reset.starts_with("the connection through the proxy failed during the handshake: "), "{reset}");
    assert!(late.starts_with("the relay or the proxy did not answer in time during the handshake"), "{late}");
    let refused = DisconnectReason::Refused(Party::Proxy).to_string();
    assert_eq!(refused, "the proxy refused the connection: nothing listens at its address");
}

#[test]
fn another_key_is_a_hint_only_after_a_whole_hello_and_no_answer() {
    let now = Instant::now();
    let mut connection = connecting(now);
    connection.handle_connected(now, FIRST);
    assert_eq!(
        stage_party_hints(&connection),
        (Stage::Handshaking, Party::Relay, [None; 3]),
        "nothing is sent"
    );
    let mut room = 127;
    let all = connection.flush(now, FIRST, bulk_ping(), &mut Shared::new(), &mut [0; 4096], |bytes| {
        let taken = bytes.len().min(std::mem::take(&mut room));
        if taken == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(taken) }
    });
    assert!(!all.unwrap());
    assert_eq!(stage_party_hints(&connection).2, [None; 3], "the last byte is missing");
    sent(&mut connection, now);
    let other_key = Some(Hint::OtherKey);
    assert_eq!(stage_party_hints(&connection).2, [other_key, other_key, None]);
    let other = End::Failed(io::ErrorKind::HostUnreachable, None);
    assert!(matches!(connection.reason(other), DisconnectReason::Transport { hint: None, .. }));
    // If the bytes are of no known server, the hint is their number.
    receive(&mut connection, now, &[7; 95]).unwrap();
    assert_eq!(stage_party_hints(&connection).2, [Some(Hint::Incomplete(95)); 3]);
}

#[test]
fn a_server_of_another_kind_is_recognised_by_a_whole_or_partial_answer() {
    let now = Instant::now();
    let alert = [0x15, 3, 3, 0, 2, 2, 70];
    for (bytes, server) in [
        (&alert[..], Server::Tls),
        (&[0x16, 3, 1, 0], Server::Tls),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Server::Ssh),
        (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", Server::Http),
        (b"<!DOCTYPE HTML>\n<html lang=\"en\">", Server::Http),
        (b"<!doctype html>", Server::Http),
        (b"<HTML><HEAD>", Server::Http),
        (b"220 mail.example ESMTP\r\n", Server::Mail),
        (b"220-ftp.example\r\n", Server::Mail),
    ] {
        let impostor = DisconnectReason::Impostor(Impostor::OtherServer(server));
        let mut connection = connecting(now);
        hello(&mut connection, now);
        receive(&mut connection, now, bytes).unwrap();
        assert_eq!(ends(&connection), [impostor; 3]);
        // 96 bytes are a whole response, which cannot be decrypted.
        let mut connection = connecting(now);
        hello(&mut connection, now);
        let whole = [bytes, &[b'x'; 96]].concat();
        assert_eq!(receive(&mut connection, now, &whole), Err(impostor));
    }
    let text = DisconnectReason::Impostor(Impostor::OtherServer(Server::Tls)).to_string();
    assert_eq!(text, "not the requested relay: a TLS server answers");
}

#[test]
fn an_incomplete_refusal_by_a_proxy_is_reported_when_the_connection_ends() {
    let now = Instant::now();
    let after = |answer: &[u8]| {
        let mut connection = through("http://127.0.0.1:3128", now);
        connection.handle_connected(now, FIRST);
        sent(&mut connection, now);
        receive(&mut connection, now, answer).map(|()| connection)
    };
    let http =
        |status, reason| DisconnectReason::Proxy(ProxyError::Http { status, reason: Phrase::new(reason) });
    assert_eq!(ends(&after(b"HTTP/1.0 403 Forb").unwrap()), [http(403, "Forb"); 3]);
    assert_eq!(after(b"HTTP/1.0 403 Forbidden\r\n").err(), Some(http(403, "Forbidden")));
    let unauthorized = ProxyError::Unauthorized { schemes: Phrase::new("Basic") };
    let begun = after(b"HTTP/1.0 407 X\r\nProxy-Authenticate: Basic realm=\"x\"\r\n").unwrap();
    assert_eq!(ends(&begun), [DisconnectReason::Proxy(unauthorized); 3]);
    // An incomplete answer that would open the tunnel is not a refusal.
    let granting = after(b"HTTP/1.0 200 OK\r\n").unwrap();
    assert_eq!(stage_party_hints(&granting), (Stage::Tunnelling, Party::Proxy, [Some(Hint::NotReached); 3]));
}

#[test]
fn another_connection_with_the_same_key_is_a_hint_after_a_close_or_reset() {
    let same_key = Some(Hint::SameKey);
    for (pair, stage) in [(Pair::confirming(), Stage::Confirming), (Pair::connected(), Stage::Connected)] {
        assert_eq!(stage_party_hints(&pair.connection), (stage, Party::Relay, [same_key, same_key, None]));
        let lost = End::Failed(io::ErrorKind::TimedOut, None);
        assert!(matches!(pair.connection.reason(lost), DisconnectReason::Transport { hint: None, .. }));
    }
    let text = Pair::connected().connection.reason(End::Closed).to_string();
    let hint = "the relay may have stopped, or a newer connection with the same key has replaced this one";
    assert_eq!(text, format!("closed by the relay after connecting ({hint})"));
}

/// A proxy may need a minute for an onion service.
#[test]
fn a_changed_network_does_not_shorten_the_time_of_a_proxy_that_was_asked() {
    let start = Instant::now();
    let mut connection = through_proxy(start);
    connection.handle_network_changed(start, NonZeroU64::MIN);
    assert_eq!(connection.deadline(), start + seconds(5), "the proxy is not connected");
    let mut connection = requested(start);
    connection.handle_network_changed(start, NonZeroU64::MIN);
    assert_eq!(connection.deadline(), start + seconds(10));
    receive(&mut connection, start, &GRANTED).unwrap();
    connection.handle_network_changed(start, NonZeroU64::MIN);
    assert_eq!(connection.deadline(), start + seconds(10));
}
