//! Connections through proxies: what is sent to a proxy, what it may answer, and that a failed proxy is never bypassed.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;

use socks::{Socks4Stream, Socks5Stream, TargetAddr};
use support::scripted_proxy::{ScriptedProxy, Then, Turn};
use support::{
    GUARD, OnlinePair, Peer, Reported, SHORT, TestRelay, address, any_key, assert_ended, dead_port, honest,
};
use tox_relay_client::{
    Address, AddressError, ConnectError, DisconnectReason, Hint, Party, Proxy, ProxyError, Relay, Stage,
};

type Kind = fn(SocketAddr) -> Proxy;

fn login(proxy: Proxy) -> Proxy {
    proxy.credentials("alice", "secret").unwrap()
}

/// The address to give to `Relay::new` for a relay that is reached as `target`.
fn relay_at(target: &Address, relay: &TestRelay) -> Relay {
    Relay::new(target.clone(), relay.public_key().into())
}

/// The script of a proxy that opens the requested tunnel.
fn granting(kind: &str, port: u16) -> Vec<Turn> {
    let port = port.to_be_bytes();
    let request = [&[5, 1, 0, 1, 127, 0, 0, 1][..], &port].concat();
    let by_name = [&b"\x05\x01\x00\x03\x0brelay.onion"[..], &port].concat();
    // The replies have an IPv4 address, an IPv6 address and a name, each different from the requested one.
    let granted = vec![5, 0, 0, 1, 10, 0, 0, 1, 4, 56];
    let granted_v6 = [&[5, 0, 0, 4][..], &[9; 18]].concat();
    let granted_name = b"\x05\x00\x00\x03\x05other\x04\x38".to_vec();
    let number = u16::from_be_bytes(port);
    match kind {
        "socks5" => vec![(vec![5, 1, 0], vec![5, 0]), (request, granted_v6)],
        "socks5, by name" => vec![(vec![5, 1, 0], vec![5, 0]), (by_name, granted)],
        "socks5 with login" => vec![
            (vec![5, 2, 2, 0], vec![5, 2]),
            (b"\x01\x05alice\x06secret".to_vec(), vec![1, 0]),
            (request, granted_name),
        ],
        "socks4" => {
            let request = [&[4, 1][..], &port, &[127, 0, 0, 1, 0]].concat();
            vec![(request, vec![0, 90, 0, 0, 0, 0, 0, 0])]
        }
        "socks4a, by name" => {
            let request = [&[4, 1][..], &port, b"\x00\x00\x00\x01me\x00relay.onion\x00"].concat();
            vec![(request, vec![0, 90, 1, 2, 3, 4, 5, 6])]
        }
        "http" => {
            let request = format!("CONNECT 127.0.0.1:{number} HTTP/1.1\r\nHost: 127.0.0.1:{number}\r\n\r\n");
            let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 Connection established\r\nA: b\r\n\r\n";
            vec![(request.into(), answer.into())]
        }
        "http with login, by name" => {
            let request = format!(
                "CONNECT relay.onion:{number} HTTP/1.1\r\nHost: relay.onion:{number}\r\n\
                 Proxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n\r\n"
            );
            vec![(request.into(), b"HTTP/1.1 299 Sure\n\n".to_vec())]
        }
        other => unreachable!("{other}"),
    }
}

#[test]
fn each_kind_of_proxy_leads_to_the_relay() {
    let kinds: [(&str, Kind); 7] = [
        ("socks5", Proxy::socks5),
        ("socks5, by name", Proxy::socks5),
        ("socks5 with login", |address| login(Proxy::socks5(address))),
        ("socks4", Proxy::socks4),
        ("socks4a, by name", |address| Proxy::socks4a(address).user_id("me").unwrap()),
        ("http", Proxy::http),
        ("http with login, by name", |address| login(Proxy::http(address))),
    ];
    for (kind, proxy) in kinds {
        let relay = honest();
        let script = granting(kind, relay.addr().port());
        let scripted = ScriptedProxy::start(script, Then::Connect(relay.addr()));
        let target = match kind.ends_with("by name") {
            true => ("relay.onion", relay.addr().port()).try_into().unwrap(),
            false => relay.addr().try_into().unwrap(),
        };
        let mut a = Peer::with(|config| config.proxy(proxy(scripted.address)));
        let at_a = a.client.connect(relay_at(&target, &relay)).unwrap();
        a.until(kind, |a| a.reported.contains(&Reported::Connected(at_a)));
        let status = a.client.connection(at_a).unwrap();
        assert_eq!((status.address, status.proxy), (target, Some(scripted.address)));
        let times = status.times;
        assert!(times.transport <= times.tunnel && times.tunnel <= times.handshake, "{times:?}");

        let mut b = Peer::new();
        let at_b = b.connect(&relay);
        let (to_b, to_a) = support::open_routes(&mut a, at_a, &mut b, at_b);
        let mut pair = OnlinePair { a, b, at_a, at_b, to_b, to_a };
        pair.a.client.send_data(to_b, b"through the tunnel").unwrap();
        pair.b.client.send_data(to_a, b"and back").unwrap();
        pair.until("both have data", |pair| {
            pair.b.data() == [b"through the tunnel"] && pair.a.data() == [b"and back"]
        });
        drop(pair);
        assert_eq!(scripted.finish(), b"");
    }
}

/// Returns the messages that a client sends to a proxy that answers each with the next of `answers`, and then closes.
fn recorded(answers: &[&[u8]], client: impl FnOnce(SocketAddr)) -> Vec<Vec<u8>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let proxy = listener.local_addr().unwrap();
    let answers: Vec<Vec<u8>> = answers.iter().map(|answer| answer.to_vec()).collect();
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut messages = Vec::new();
        for answer in answers {
            // A message is far shorter than a socket's buffer, so one read gets all of it.
            let mut message = vec![0; 4096];
            let len = stream.read(&mut message).unwrap();
            message.truncate(len);
            messages.push(message);
            stream.write_all(&answer).unwrap();
        }
        messages
    });
    client(proxy);
    thread.join().unwrap()
}

#[test]
fn the_socks_crate_sends_the_same_messages() {
    let refused_5: &[u8] = &[5, 1, 0, 1, 0, 0, 0, 0, 0, 0];
    let refused_4: &[u8] = &[0, 91, 0, 0, 0, 0, 0, 0];
    let ours = |proxy: Proxy, target: &TargetAddr| {
        let mut peer = Peer::with(|config| config.proxy(proxy));
        let id = peer.client.connect(Relay::new(target.clone(), any_key())).unwrap(); // we accept what `socks` accepts
        assert!(matches!(peer.end(id), DisconnectReason::Proxy(_)));
    };
    for target in ["1.2.3.4:258", "[1:2::ff]:65535", "relay.onion:443"] {
        let target = TargetAddr::from(target.parse::<Address>().unwrap());

        let plain: [&[u8]; 2] = [&[5, 0], refused_5];
        assert_eq!(
            recorded(&plain, |proxy| ours(Proxy::socks5(proxy), &target)),
            recorded(&plain, |proxy| drop(Socks5Stream::connect(proxy, target.clone()).unwrap_err())),
        );
        for answers in [&[&[5, 2], &[1, 0], refused_5][..], &[&[5, 0], refused_5]] {
            assert_eq!(
                recorded(answers, |proxy| ours(login(Proxy::socks5(proxy)), &target)),
                recorded(answers, |proxy| {
                    Socks5Stream::connect_with_password(proxy, target.clone(), "alice", "secret")
                        .unwrap_err();
                }),
            );
        }
        if matches!(target, TargetAddr::Ip(SocketAddr::V6(_))) {
            continue; // SOCKS4 does not support IPv6
        }
        for id in ["", "alice"] {
            assert_eq!(
                recorded(&[refused_4], |proxy| ours(Proxy::socks4a(proxy).user_id(id).unwrap(), &target)),
                recorded(&[refused_4], |proxy| {
                    Socks4Stream::connect(proxy, target.clone(), id).unwrap_err();
                }),
            );
        }
    }
}

/// A relay's port to which no direct connection may be made.
struct Forbidden(TcpListener);

impl Forbidden {
    fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn relay(&self) -> Relay {
        Relay::new(self.0.local_addr().unwrap(), any_key())
    }

    #[track_caller]
    fn assert_no_connection(&self, what: &str) {
        let accepted = self.0.accept();
        assert!(
            matches!(&accepted, Err(error) if error.kind() == ErrorKind::WouldBlock),
            "{what}: {accepted:?}"
        );
    }
}

/// Why a connection ends whose proxy follows this script.
#[track_caller]
fn end(kind: Kind, turns: Vec<Turn>, then: Then) -> DisconnectReason {
    let forbidden = Forbidden::new();
    let timeout = if matches!(then, Then::Wait) { SHORT } else { GUARD };
    let scripted = ScriptedProxy::start(turns, then);
    let mut peer = Peer::with(|config| config.proxy(kind(scripted.address)).connect_timeout(timeout));
    let id = peer.client.connect(forbidden.relay()).unwrap();
    let reason = peer.end(id);
    assert_ended(&mut peer, id);
    drop(peer);
    forbidden.assert_no_connection(&reason.to_string());
    assert_eq!(scripted.finish(), b"", "nothing is sent after the script: {reason}");
    reason
}

#[test]
fn a_proxy_that_fails_is_never_bypassed() {
    let (stage, party) = (Stage::Tunnelling, Party::Proxy);
    let timed_out = DisconnectReason::TimedOut { stage, party, hint: None };
    let closed = DisconnectReason::Closed { stage, party, hint: None };
    let greeted = |answer: &[u8]| vec![(vec![5, 1, 0], answer.to_vec())];

    assert_eq!(end(Proxy::socks5, greeted(&[]), Then::Wait), timed_out);
    assert_eq!(end(Proxy::socks5, greeted(&[]), Then::Close), closed);
    assert_eq!(end(Proxy::socks5, greeted(&[5]), Then::Close), closed);
    let refused = |error| DisconnectReason::Proxy(error);
    assert_eq!(end(Proxy::socks5, greeted(&[5, 0xff]), Then::Close), refused(ProxyError::NoAcceptableMethod));
    assert!(matches!(
        end(Proxy::socks5, greeted(&[5, 1]), Then::Close),
        DisconnectReason::Proxy(ProxyError::Malformed(_))
    ));
    assert_eq!(
        end(Proxy::socks5, greeted(b"H"), Then::Close),
        refused(ProxyError::Protocol { expected: "SOCKS5", first: b'H' })
    );
    let reset = end(Proxy::socks5, greeted(&[5, 0]), Then::Reset);
    assert!(
        matches!(
            reset,
            DisconnectReason::Transport { stage: Stage::Tunnelling, kind: ErrorKind::ConnectionReset, .. }
        ),
        "{reset:?}"
    );
}

/// Why a connection ends whose HTTP proxy answers the request for a named relay with `answer`, and then does `then`.
/// Also returns the reason as text.
#[track_caller]
fn end_of_http(answer: &[u8], then: Then) -> (DisconnectReason, String) {
    let request = b"CONNECT relay.onion:443 HTTP/1.1\r\nHost: relay.onion:443\r\n\r\n";
    let timeout = if matches!(then, Then::Wait) { SHORT } else { GUARD };
    let scripted = ScriptedProxy::start(vec![(request.to_vec(), answer.to_vec())], then);
    let proxy = Proxy::http(scripted.address);
    let mut peer = Peer::with(|config| config.proxy(proxy).connect_timeout(timeout));
    let id = peer.client.connect(Relay::new("relay.onion:443", any_key())).unwrap();
    let reason = peer.end(id);
    assert_ended(&mut peer, id);
    (reason, reason.to_string())
}

#[test]
fn a_refusal_is_reported_whether_the_proxy_then_closes_or_is_silent() {
    let no_tunnel = |why| format!("the proxy made no tunnel to the relay: {why}");
    for then in [|| Then::Close, || Then::Wait] {
        let reported = |answer: &[u8]| end_of_http(answer, then()).1;
        assert_eq!(reported(b"HTTP/1.0 403 Forbidden\r\n"), no_tunnel("HTTP status 403 Forbidden"));
        assert_eq!(reported(b"HTTP/1.0 403 Forbidden"), no_tunnel("HTTP status 403 Forbidden"));
        let unauthorized =
            reported(b"HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: Basic re");
        assert_eq!(
            unauthorized,
            no_tunnel("HTTP status 407, it requires (other) credentials: Negotiate, Basic")
        );
        let (reason, _) = end_of_http(b"SSH-2.0-x\r\n", then());
        let no_http = ProxyError::Protocol { expected: "HTTP", first: b'S' };
        assert_eq!(reason, DisconnectReason::Proxy(no_http));
    }
    let (reason, _) = end_of_http(b"HTTP/1.0 200 OK\r\n", Then::Wait);
    let (stage, party, hint) = (Stage::Tunnelling, Party::Proxy, Some(Hint::NotReached));
    assert_eq!(reason, DisconnectReason::TimedOut { stage, party, hint });
}

#[test]
fn a_close_after_a_granted_tunnel_is_not_reported_as_a_relay_with_another_key() {
    let granted = b"HTTP/1.0 200 OK\r\n\r\n";
    let (reason, text) = end_of_http(granted, Then::Close);
    // Whether our hello has been sent by then depends on timing.
    let expected = |hint| {
        let (stage, party) = (Stage::Handshaking, Party::Tunnel);
        DisconnectReason::Closed { stage, party, hint: Some(hint) }
    };
    let hints = [Hint::NotReached, Hint::NotReachedOrOtherKey].map(expected);
    assert!(hints.contains(&reason), "{reason:?}");
    let reported =
        "closed by the relay or the proxy during the handshake (the proxy may not have reached the relay";
    assert!(text.starts_with(reported), "{text}");

    let (reason, _) = end_of_http(granted, Then::Wait);
    let (stage, party, hint) = (Stage::Handshaking, Party::Tunnel, Some(Hint::NotReached));
    assert_eq!(reason, DisconnectReason::TimedOut { stage, party, hint });
}

#[test]
fn a_proxy_that_refuses_the_connection_is_never_bypassed() {
    let forbidden = Forbidden::new();
    let (_reserved, dead) = dead_port();
    let mut peer = Peer::with(|config| config.proxy(Proxy::http(dead)));
    let id = peer.client.connect(forbidden.relay()).unwrap();
    assert_eq!(peer.end(id), DisconnectReason::Refused(Party::Proxy));
    let status = peer.final_status(id);
    assert_eq!((status.proxy, status.address.socket_addr()), (Some(dead), forbidden.0.local_addr().ok()));
    assert_ended(&mut peer, id);
    forbidden.assert_no_connection("a proxy that refuses the connection");
}

#[test]
fn one_relay_may_use_another_proxy_or_none() {
    let relay = honest();
    let (_reserved, dead) = dead_port();
    let scripted = ScriptedProxy::start(granting("socks5", relay.addr().port()), Then::Connect(relay.addr()));
    let mut peer = Peer::with(|config| config.proxy(Proxy::http(dead)));
    let other = honest();
    let direct = peer.client.connect(address(&other).direct()).unwrap();
    let tunnelled = peer.client.connect(address(&relay).proxy(Proxy::socks5(scripted.address))).unwrap();
    let third = honest();
    let default = peer.client.connect(address(&third)).unwrap();
    peer.until("an event of each connection", |peer| peer.reported.len() == 3);
    for reported in [
        Reported::Connected(direct),
        Reported::Connected(tunnelled),
        Reported::Disconnected(default, DisconnectReason::Refused(Party::Proxy)),
    ] {
        assert!(peer.reported.contains(&reported), "{reported:?}");
    }
    let (direct, tunnelled) =
        (peer.client.connection(direct).unwrap(), peer.client.connection(tunnelled).unwrap());
    assert_eq!((direct.times.tunnel, direct.proxy), (None, None));
    assert!(tunnelled.times.tunnel.is_some() && tunnelled.proxy.is_some());
}

#[test]
fn a_target_that_the_proxy_does_not_support_is_an_error_of_connect() {
    let proxy = ([127, 0, 0, 1], 1).into();
    let refuse = |proxy: Option<Proxy>, target: &str| {
        let relay = Relay::new(target, any_key());
        let relay = match proxy {
            Some(proxy) => relay.proxy(proxy),
            None => relay,
        };
        Peer::new().client.connect(relay).unwrap_err()
    };
    assert!(matches!(refuse(None, "relay.onion:443"), ConnectError::NameWithoutProxy(_)));
    assert!(matches!(
        refuse(Some(Proxy::socks4(proxy)), "relay.onion:443"),
        ConnectError::BeyondProxy { proxy: "socks4", .. }
    ));
    assert!(matches!(refuse(Some(Proxy::socks4a(proxy)), "[::1]:443"), ConnectError::BeyondProxy { .. }));
    assert!(matches!(
        refuse(Some(Proxy::http(proxy)), "[fe80::1%1]:443"),
        ConnectError::BeyondProxy { proxy: "http", .. }
    ));
    assert!(matches!(
        refuse(Some(Proxy::http(proxy)), "a b:443"),
        ConnectError::Address(AddressError::Character(' '))
    ));
    assert!(matches!(
        refuse(Some(Proxy::http(proxy)), "relay.example"),
        ConnectError::Address(AddressError::NoPort)
    ));
}
