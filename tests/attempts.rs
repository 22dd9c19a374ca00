//! A relay with several addresses, sockets that the caller has made, and local addresses.

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use support::{AT_ONCE, GUARD, Peer, Reported, SHORT, TestRelay, any_key, dead_port, honest};
use tox_relay_client::{ConnectError, DisconnectReason, Impostor, Party, Relay, RouteState, Server, Stage};

/// A listening port whose backlog is full, so that further connections get no answer, while this exists.
struct BlackHole {
    address: SocketAddr,
    _listener: Socket,
    _queued: Vec<TcpStream>,
}

impl BlackHole {
    fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
        let queued: Vec<_> = std::iter::from_fn(connect).take(16).collect();
        assert!(queued.len() < 16, "the backlog of a listener has no bound on this system");
        Self { address, _listener: listener, _queued: queued }
    }
}

/// A server that sends `greeting` on each connection after it has received 128 bytes, and closes the connection.
fn server(greeting: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut hello = [0; 128];
            if stream.read_exact(&mut hello).is_ok() {
                let _ = stream.write_all(greeting);
            }
        }
    });
    address
}

/// What a TLS server sends when it receives bytes that are not TLS.
const TLS_ALERT: &[u8] = &[0x15, 3, 3, 0, 2, 2, 70];

#[test]
fn the_relay_is_found_after_a_black_hole_a_refusal_and_a_tls_port() {
    let relay = honest();
    let hole = BlackHole::new();
    let (_reserved, dead) = dead_port();
    let mut peer = Peer::new();
    let addresses = Relay::new(hole.address, relay.public_key().into())
        .address(dead)
        .address(server(TLS_ALERT))
        .address(relay.addr());
    let start = Instant::now();
    let id = peer.client.connect(addresses).unwrap();
    peer.until("connected", |peer| peer.reported == [Reported::Connected(id)]);
    // The second attempt begins after 250 ms; it and the third fail at once, and the fourth begins.
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    let status = peer.client.connection(id).unwrap();
    assert_eq!(status.address, relay.addr().try_into().unwrap());
    assert!(status.failed_attempts.is_empty());
    assert_eq!(peer.client.connections().count(), 1);
    // The relay has one connection, and it stays open.
    relay.wait_until(GUARD, |relay| relay.confirmed == 1).unwrap();
    peer.poll(SHORT);
    assert_eq!(peer.reported, [Reported::Connected(id)]);
}

#[test]
fn two_addresses_of_the_same_relay_are_one_connection() {
    // The first address accepts and never answers, so the second is tried meanwhile, and is used.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let relay = honest();
    let mut peer = Peer::new();
    let both = Relay::new(silent.local_addr().unwrap(), relay.public_key().into()).address(relay.addr());
    let id = peer.client.connect(both).unwrap();
    peer.until("connected", |peer| peer.reported == [Reported::Connected(id)]);
    // The other is closed, and nothing but the hello was sent on it.
    let (mut stream, _) = silent.accept().unwrap();
    stream.set_read_timeout(Some(GUARD)).unwrap();
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    assert_eq!(received.len(), 128);
}

/// An attacker without any key: it answers each hello with the hello of the client's first connection.
fn replayer() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut recorded, mut open) = (None::<[u8; 128]>, Vec::new());
        for mut stream in listener.incoming().flatten() {
            let mut hello = [0; 128];
            if stream.read_exact(&mut hello).is_err() {
                continue;
            }
            if let Some(recorded) = recorded {
                let _ = stream.write_all(&recorded[32..]);
                open.push(stream);
            } else {
                recorded = Some(hello);
            }
        }
    });
    address
}

#[test]
fn an_attacker_who_replays_a_response_at_one_address_only_delays_the_connection() {
    let relay = honest();
    let mut peer = Peer::with(|config| config.pong_timeout(SHORT));
    let both = Relay::new(replayer(), relay.public_key().into()).address(relay.addr());
    // The first time it has nothing to replay, and closes.
    let first = peer.client.connect(&both).unwrap();
    peer.until("connected", |peer| peer.reported == [Reported::Connected(first)]);
    peer.client.disconnect(first);
    peer.end(first);
    peer.reported.clear();
    let second = peer.client.connect(&both).unwrap();
    let route = peer.client.open_route(second, any_key()).unwrap();
    peer.until("the route is registered", |peer| {
        peer.client.route(route).is_some_and(|status| status.state == RouteState::Offline)
    });
    assert_eq!(peer.reported[0], Reported::Connected(second));
    let status = peer.client.connection(second).unwrap();
    assert_eq!(status.address, relay.addr().try_into().unwrap());
}

#[test]
fn if_all_addresses_fail_one_event_lists_each_failure() {
    let (_reserved, dead) = dead_port();
    let tls = server(TLS_ALERT);
    let mut peer = Peer::new();
    let id = peer.client.connect(Relay::new(dead, any_key()).address(tls)).unwrap();
    let tls_answers = DisconnectReason::Impostor(Impostor::OtherServer(Server::Tls));
    assert_eq!(peer.end(id), tls_answers);
    let status = peer.final_status(id);
    let failed: Vec<_> =
        status.failed_attempts.iter().map(|failed| (failed.address.to_string(), failed.reason)).collect();
    let refused = DisconnectReason::Refused(Party::Relay);
    assert_eq!(failed, [(dead.to_string(), refused), (tls.to_string(), tls_answers)]);
    support::assert_ended(&mut peer, id);
}

#[test]
fn a_relay_has_at_most_16_addresses_and_one_twice_is_one() {
    let mut peer = Peer::new();
    let with = |count: u16| {
        (1..=count).fold(Relay::new((Ipv4Addr::LOCALHOST, 1), any_key()), |relay, port| {
            relay.address((Ipv4Addr::LOCALHOST, port))
        })
    };
    assert!(matches!(peer.client.connect(with(17)), Err(ConnectError::TooManyAddresses)));
    assert_eq!(peer.client.connections().count(), 0);
    let id = peer.client.connect(with(16)).unwrap();
    assert!(peer.client.disconnect(id));
    let zero = Relay::new((Ipv4Addr::LOCALHOST, 1), any_key()).connect_timeout(Duration::ZERO);
    assert!(matches!(peer.client.connect(zero), Err(ConnectError::ConnectTimeout)));
}

#[test]
fn a_relay_can_have_its_own_connect_timeout() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut peer = Peer::new();
    let relay = Relay::new(silent.local_addr().unwrap(), any_key()).connect_timeout(SHORT);
    let start = Instant::now();
    let id = peer.client.connect(relay).unwrap();
    assert_eq!(peer.end(id), support::timed_out(Stage::Handshaking));
    assert!((SHORT..AT_ONCE).contains(&start.elapsed()));
}

#[test]
fn a_connection_uses_the_local_address_of_its_relay() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut peer = Peer::new();
    let local = SocketAddr::from(([127, 0, 0, 2], 0));
    let relay = Relay::new(listener.local_addr().unwrap(), any_key()).local_address(local);
    peer.client.connect(relay).unwrap();
    assert_eq!(listener.accept().unwrap().1.ip(), local.ip());

    // An address of the other family, or one that is not ours, is the error of the operating system.
    for wrong in ["[::1]:0", "192.0.2.1:0"] {
        let relay =
            Relay::new(listener.local_addr().unwrap(), any_key()).local_address(wrong.parse().unwrap());
        assert!(matches!(peer.client.connect(relay), Err(ConnectError::Io(_))), "{wrong}");
    }
    assert_eq!(peer.client.connections().count(), 1);
}

#[test]
fn a_socket_of_the_caller_is_used_connected_or_not() {
    let relay = honest();
    let of = |relay: &TestRelay| Relay::new(relay.addr(), relay.public_key().into());
    let connected = TcpStream::connect(relay.addr()).unwrap();
    let mut peer = Peer::new();
    let id = peer.client.connect_with(of(&relay), connected).unwrap();
    peer.until("connected", |peer| peer.reported == [Reported::Connected(id)]);
    assert!(peer.client.disconnect(id));
    peer.end(id);
    relay.wait_until(GUARD, |relay| relay.connected == 0).expect("the socket is closed");

    let connecting = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    connecting.set_nonblocking(true).unwrap();
    let _ = connecting.connect(&relay.addr().into());
    let id = peer.client.connect_with(of(&relay), TcpStream::from(connecting)).unwrap();
    peer.until("connected", |peer| peer.reported.last() == Some(&Reported::Connected(id)));
}

#[test]
fn a_socket_of_the_caller_that_fails_is_not_replaced() {
    let (_reserved, dead) = dead_port();
    let relay = honest();
    let connecting = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    connecting.set_nonblocking(true).unwrap();
    let _ = connecting.connect(&dead.into());
    let mut peer = Peer::new();
    let to_relay = Relay::new(dead, relay.public_key().into()).address(relay.addr());
    let id = peer.client.connect_with(to_relay, TcpStream::from(connecting)).unwrap();
    assert_eq!(peer.end(id), DisconnectReason::Refused(Party::Relay));

    // A socket for which `connect` was never called.
    let fresh = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let relay = Relay::new(dead, any_key()).connect_timeout(SHORT);
    let id = peer.client.connect_with(relay, TcpStream::from(fresh)).unwrap();
    assert_eq!(peer.end(id), support::timed_out(Stage::Connecting));
}

#[cfg(unix)]
#[test]
fn a_unix_socket_to_a_local_proxy_is_used() {
    use std::os::unix::net::UnixStream;

    let relay = honest();
    let (ours, mut proxys) = UnixStream::pair().unwrap();
    let target = relay.addr();
    let proxy = thread::spawn(move || {
        // SOCKS4: version, command, port, address, an empty user id.
        let mut request = [0; 9];
        proxys.read_exact(&mut request).unwrap();
        assert_eq!(request[..2], [4, 1]);
        assert_eq!(request[2..4], target.port().to_be_bytes());
        proxys.write_all(&[0, 90, 0, 0, 0, 0, 0, 0]).unwrap();
        let mut tunnel = TcpStream::connect(target).unwrap();
        let (mut from, mut to) = (proxys.try_clone().unwrap(), tunnel.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _ = std::io::copy(&mut tunnel, &mut proxys);
    });
    let mut peer = Peer::new();
    let by_proxy =
        Relay::new(target, relay.public_key().into()).proxy("socks4://127.0.0.1:1".parse().unwrap());
    let id = peer.client.connect_with(by_proxy, ours).unwrap();
    peer.until("connected", |peer| peer.reported == [Reported::Connected(id)]);
    assert!(peer.client.connection(id).unwrap().times.tunnel.is_some());
    drop(peer);
    drop(relay);
    proxy.join().unwrap();
}

#[cfg(unix)]
#[test]
fn any_descriptor_of_a_stream_socket_is_accepted() {
    use std::os::fd::OwnedFd;

    let relay = honest();
    let tcp = OwnedFd::from(TcpStream::connect(relay.addr()).unwrap());
    let duplicate = tcp.try_clone().unwrap();
    let mut peer = Peer::new();
    let id = peer.client.connect_with(Relay::new(relay.addr(), relay.public_key().into()), tcp).unwrap();
    peer.until("connected", |peer| peer.reported == [Reported::Connected(id)]);
    let socket = socket2::SockRef::from(&duplicate);
    assert!(socket.tcp_nodelay().unwrap(), "the options of a TCP socket are set");
    // It is removed from the poller, although the caller has a duplicate.
    relay.wait_until(GUARD, |relay| relay.confirmed == 1).unwrap();
    assert!(peer.client.disconnect(id));
    peer.end(id);
    drop(relay);
    peer.poll(SHORT);
    assert_eq!(peer.ends(id).len(), 1);
}

#[cfg(unix)]
#[test]
fn a_descriptor_that_is_not_a_stream_socket_is_refused() {
    use std::os::fd::OwnedFd;

    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut peer = Peer::new();
    for descriptor in [OwnedFd::from(file), OwnedFd::from(datagrams)] {
        let refused = peer.client.connect_with(Relay::new("127.0.0.1:1", any_key()), descriptor);
        assert!(matches!(refused, Err(ConnectError::Io(_))), "{refused:?}");
    }
    assert_eq!(peer.client.connections().count(), 0);
}
