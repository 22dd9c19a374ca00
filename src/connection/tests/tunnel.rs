//! The way through a proxy: one budget of time, and nothing lost between the proxy's last byte and the relay's first.

use socks::TargetAddr;

use super::*;
use crate::config::Proxy;
use crate::error::ProxyError;

const GREETING: [u8; 3] = [5, 1, 0];
const REQUEST: [u8; 10] = [5, 1, 0, 1, 1, 2, 3, 4, 1, 2];
const METHOD: [u8; 2] = [5, 0];
const GRANTED: [u8; 10] = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

fn through_proxy(now: Instant) -> Connection {
    let proxy: Proxy = "socks5://127.0.0.1:1080".parse().unwrap();
    let target = TargetAddr::Ip("1.2.3.4:258".parse().unwrap());
    Connection::new(Opening { tunnel: Some((Arc::new(proxy), target)), ..opening(Settings::default()) }, now)
}

fn sent(connection: &mut Connection, now: Instant) -> Vec<u8> {
    flush(connection, now, &mut vec![0; 4096])
}

fn receive(connection: &mut Connection, now: Instant, bytes: &[u8]) -> Result<(), DisconnectReason> {
    let taken =
        connection.receive(now, &mut bytes.to_vec(), &mut LookAhead::new(), &mut Events::with_capacity(8))?;
    assert_eq!(taken, bytes.len());
    Ok(())
}

/// As far as the request, which has left.
fn asked(now: Instant) -> Connection {
    let mut connection = through_proxy(now);
    connection.handle_connected(now);
    assert_eq!(sent(&mut connection, now), GREETING);
    receive(&mut connection, now, &METHOD).unwrap();
    assert_eq!(sent(&mut connection, now), REQUEST);
    connection
}

#[test]
fn the_relay_hears_nothing_before_the_tunnel_stands() {
    let now = Instant::now();
    let mut connection = asked(now);
    assert_eq!(connection.stage(), Stage::Tunnelling);
    for byte in &GRANTED[..9] {
        receive(&mut connection, now, &[*byte]).unwrap();
        assert!(!connection.has_output());
    }
    receive(&mut connection, now, &GRANTED[9..]).unwrap();
    assert_eq!(connection.stage(), Stage::Handshaking);
    let hello: [u8; HELLO_LENGTH] = sent(&mut connection, now).try_into().unwrap();
    assert!(Hello::open(&hello, &RELAY_SECRET).is_ok());
}

#[test]
fn what_follows_the_proxys_answer_in_one_read_is_the_relays() {
    let now = Instant::now();
    // The hello depends on what both connections are given alike, so the one tells the other's.
    let (response, mut relay) = hello(&mut connecting(now), now).accept(&fresh());
    let mut stream = [&GRANTED[..], &response].concat();
    relay.seal(&pong(FIRST_PING), &mut stream);
    for split in 1..stream.len() {
        let mut connection = asked(now);
        let mut events = Events::with_capacity(8);
        for part in [&stream[..split], &stream[split..]] {
            let taken = connection.receive(now, &mut part.to_vec(), &mut LookAhead::new(), &mut events);
            assert_eq!(taken, Ok(part.len()));
        }
        assert_eq!(connection.stage(), Stage::Connected, "split at {split}");
    }
}

#[test]
fn connecting_the_proxy_and_the_handshake_share_ten_seconds() {
    let start = Instant::now();
    let mut connection = through_proxy(start);
    connection.handle_connected(start + seconds(4));
    receive(&mut connection, start + seconds(7), &METHOD).unwrap();
    assert_eq!(connection.deadline(), start + seconds(10));
    let late =
        |connection: &mut Connection| connection.handle_timeout(start + seconds(10), false, NonZeroU64::MIN);
    assert_eq!(late(&mut connection), Err(DisconnectReason::TimedOut(Stage::Tunnelling)));

    let mut connection = asked(start);
    receive(&mut connection, start + seconds(9), &GRANTED).unwrap();
    assert_eq!(connection.deadline(), start + seconds(10));
    assert_eq!(late(&mut connection), Err(DisconnectReason::TimedOut(Stage::Handshaking)));
}

#[test]
fn a_refusal_ends_the_connection_and_nothing_leaves_behind_it() {
    let now = Instant::now();
    let mut connection = asked(now);
    let refused = DisconnectReason::Proxy(ProxyError::Socks5 { code: 5 });
    assert_eq!(receive(&mut connection, now, &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]), Err(refused));
    assert!(!connection.has_output());
}

#[test]
fn the_time_of_the_tunnel_is_kept() {
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let mut connection = through_proxy(start);
    connection.handle_connected(at(10));
    assert_eq!(connection.times().tunnel, None);
    receive(&mut connection, at(20), &METHOD).unwrap();
    receive(&mut connection, at(30), &GRANTED).unwrap();
    let times = connection.times();
    let millis = |millis| Some(Duration::from_millis(millis));
    assert_eq!((times.transport, times.tunnel, times.handshake), (millis(10), millis(30), None));
}
