//! How connections begin. If one fails, the reason is reported at once.

mod support;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::Socket;
use support::{
    AT_ONCE, Conduct, Options, Peer, Reported, SHORT, TestRelay, address, any_key, assert_end, assert_ended,
    closed, dead_port, honest, timed_out, until,
};
use tox_relay_client::DisconnectReason::{self, ClosedByCaller, Refused, TimedOut};
use tox_relay_client::{
    Address, AddressError, Config, ConnectError, Event, Hint, Impostor, Party, Relay, RouteError, SecretKey,
    Server, Stage,
};

#[test]
fn a_relay_proves_itself_and_its_times_and_bytes_are_counted() {
    let relay = honest();
    let mut peer = Peer::new();
    let id = peer.begin(&relay);
    let status = peer.client.connection(id).unwrap();
    assert_eq!(status.stage, Stage::Connecting);
    assert_eq!(status.times.connected, None);

    peer.until("connected", |peer| peer.reported == [Reported::Connected(id)]);
    let status = peer.client.connection(id).unwrap();
    assert_eq!(status.stage, Stage::Connected);
    assert_eq!((status.identity, status.public_key), (peer.key, relay.public_key().into()));
    let times = status.times;
    assert!(times.transport.unwrap() <= times.handshake.unwrap());
    assert!(times.handshake.unwrap() <= times.connected.unwrap());
    assert!(status.round_trips.latest.is_some(), "the first packet was the pong");
    // Hello and ping; response and pong.
    assert_eq!((status.traffic.bytes_out, status.traffic.packets_out), (128 + 2 + 16 + 9, 1));
    assert_eq!((status.traffic.bytes_in, status.traffic.packets_in), (96 + 2 + 16 + 9, 1));
    assert_eq!((status.queued, status.routes), (0, 0));
}

#[test]
fn routes_opened_at_once_are_online_without_waiting_for_connected() {
    let relay = honest();
    let (mut a, mut b) = (Peer::new(), Peer::new());
    let (at_a, at_b) = (a.begin(&relay), b.begin(&relay));
    let to_b = a.client.open_route_with_token(at_a, b.key, 7).unwrap();
    let to_a = b.client.open_route(at_b, a.key).unwrap();
    a.client.send_oob(at_a, any_key(), b"out of band").unwrap();
    assert_eq!(a.client.route(to_b).unwrap().connection, at_a);
    until([&mut a, &mut b], "both routes are online", |[a, b]| {
        a.reported.contains(&Reported::Online(to_b, b.key))
            && b.reported.contains(&Reported::Online(to_a, a.key))
    });
    assert_eq!(a.reported[..2], [Reported::Connected(at_a), Reported::Opened(to_b, b.key)], "in this order");
    assert_eq!(a.client.route(to_b).unwrap().token, 7);
    // A ping, a request and the packet out of band were sent.
    assert_eq!(a.client.connection(at_a).unwrap().traffic.packets_out, 3);
}

/// The final status counts what was queued.
#[test]
fn routes_and_packets_of_a_refused_connection_cause_no_event() {
    let (_reserved, dead) = dead_port();
    let mut peer = Peer::new();
    let id = peer.client.connect(Relay::new(dead, any_key())).unwrap();
    let route = peer.client.open_route(id, any_key()).unwrap();
    peer.client.send_oob(id, any_key(), &[7; 100]).unwrap();
    assert_eq!(peer.end(id), Refused(Party::Relay));
    assert_eq!(peer.reported.len(), 1);
    assert_eq!(peer.final_status(id).queued, 2 + 1 + 32 + 100);
    assert_eq!(peer.client.close_route(route), Err(RouteError::UnknownRoute));
}

#[test]
fn a_refused_connection_is_reported_at_once() {
    let (_reserved, dead) = dead_port();
    let mut peer = Peer::new();
    let start = Instant::now();
    let id = peer.client.connect(Relay::new(dead, any_key())).unwrap();
    assert_eq!(peer.end(id), Refused(Party::Relay));
    assert!(start.elapsed() < AT_ONCE);
    assert_ended(&mut peer, id);
}

#[test]
fn many_refused_connections_are_each_reported_and_leave_nothing() {
    let ports: Vec<_> = (0..60).map(|_| dead_port()).collect();
    let mut peer = Peer::new().capacity(8);
    let mut connect =
        |(_, address): &(Socket, SocketAddr)| peer.client.connect(Relay::new(*address, any_key())).unwrap();
    let ids: Vec<_> = ports.iter().map(&mut connect).collect();
    for &id in &ids {
        assert_eq!(peer.end(id), Refused(Party::Relay));
    }
    assert_eq!(peer.reported.len(), ids.len());
    assert_eq!(peer.client.connections().count(), 0);
    assert_eq!(peer.client.next_timeout(), None);
}

#[test]
fn a_relay_that_does_not_answer_the_hello_times_out_in_that_stage() {
    let quick = |config: Config| config.connect_timeout(SHORT);
    for silent in [Conduct::Mute, Conduct::Deaf] {
        assert_end(silent, quick, timed_out(Stage::Handshaking));
    }
    let incomplete =
        TimedOut { stage: Stage::Handshaking, party: Party::Relay, hint: Some(Hint::Incomplete(95)) };
    assert_end(Conduct::Garbage(vec![1; 95]), quick, incomplete);
}

#[test]
fn a_listener_that_never_accepts_times_out() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut peer = Peer::with(|config| config.connect_timeout(SHORT));
    let id = peer.client.connect(Relay::new(listener.local_addr().unwrap(), any_key())).unwrap();
    assert_eq!(peer.end(id), timed_out(Stage::Handshaking), "the kernel has accepted it into the backlog");
    assert_ended(&mut peer, id);
}

#[test]
fn a_listener_whose_backlog_is_full_times_out_while_connecting() {
    let (listener, address) = dead_port();
    listener.listen(0).unwrap();
    let _backlog = [(); 3].map(|()| TcpStream::connect_timeout(&address, Duration::from_millis(50)));
    let mut peer = Peer::with(|config| config.connect_timeout(SHORT));
    let start = Instant::now();
    let id = peer.client.connect(Relay::new(address, any_key())).unwrap();
    assert_eq!(peer.end(id), timed_out(Stage::Connecting));
    assert!(start.elapsed() >= SHORT);
    assert_ended(&mut peer, id);
}

#[test]
fn a_relay_is_reached_over_ipv6() {
    let options = Options { address: (Ipv6Addr::LOCALHOST, 0).into(), ..Options::default() };
    match TestRelay::start(options) {
        Ok(relay) => _ = Peer::new().connect(&relay),
        Err(error) => eprintln!("skipped: this machine has no IPv6 loopback address: {error}"),
    }
}

#[test]
fn a_name_is_never_resolved_here() {
    let mut peer = Peer::new();
    for relay in [Relay::new("localhost:1", any_key()), Relay::new(("localhost", 1), any_key())] {
        let result = peer.client.connect(relay);
        assert!(
            matches!(&result, Err(ConnectError::NameWithoutProxy(name)) if name == "localhost"),
            "{result:?}"
        );
    }
    assert_eq!(peer.client.connections().count(), 0);
}

#[test]
fn an_invalid_address_or_key_is_an_error_and_creates_no_connection() {
    let mut peer = Peer::new();
    for text in ["", "127.0.0.1", "127.0.0.1:port", ":", "2001:503:ba3e::2:30", "127.0.0.1:0"] {
        let result = peer.client.connect(Relay::new(text, any_key()));
        assert!(matches!(result, Err(ConnectError::Address(_))), "{text:?}: {result:?}");
    }
    for low_order in [[0; 32], {
        let mut one = [0; 32];
        one[0] = 1;
        one
    }] {
        let result = peer.client.connect(Relay::new("127.0.0.1:1", low_order.into()));
        assert!(matches!(result, Err(ConnectError::LowOrderKey)), "{result:?}");
    }
    assert_eq!(peer.client.connections().count(), 0);
    assert_eq!(peer.client.next_timeout(), None);
}

/// Compiles for each type that `socks` accepts as an address, and returns the address of a relay for it.
fn relay_at<A>(address: A) -> Result<Address, AddressError>
where
    A: socks::ToTargetAddr + TryInto<Address>,
    AddressError: From<A::Error>,
    A: Clone,
{
    let _ = Relay::new(address.clone(), any_key());
    address.try_into().map_err(AddressError::from)
}

#[test]
fn every_address_type_of_socks_is_accepted() {
    let ip = Ipv4Addr::new(198, 51, 100, 7);
    let v4 = SocketAddrV4::new(ip, 33445);
    let address: Result<Address, _> = "198.51.100.7:33445".parse();
    assert_eq!(relay_at(v4), address);
    assert_eq!(relay_at(SocketAddr::V4(v4)), address);
    assert_eq!(relay_at((ip, 33445)), address);
    assert_eq!(relay_at((ip.to_ipv6_mapped(), 33445)), address);
    assert_eq!(relay_at(SocketAddrV6::new(ip.to_ipv6_mapped(), 33445, 0, 0)), address);
    assert_eq!(relay_at("198.51.100.7:33445"), address);
    assert_eq!(relay_at(("198.51.100.7", 33445)), address);
    assert_eq!(relay_at(socks::TargetAddr::Ip(v4.into())), address);
    assert_eq!(relay_at(socks::TargetAddr::Domain("198.51.100.7".into(), 33445)), address);
    // More types, which `socks` does not accept.
    let key = any_key();
    let text = String::from("198.51.100.7:33445");
    let _ = [
        Relay::new(address.unwrap(), key),
        Relay::new(&text, key),
        Relay::new(text, key),
        Relay::new((String::from("relay.example"), 33445), key),
        Relay::new((IpAddr::from(ip), 33445), key),
    ];
}

#[test]
fn a_relay_is_reached_by_its_ipv4_address_mapped_to_ipv6() {
    let relay = honest();
    let mapped = (Ipv4Addr::LOCALHOST.to_ipv6_mapped(), relay.addr().port());
    let mut peer = Peer::new();
    let id = peer.client.connect(Relay::new(mapped, relay.public_key().into())).unwrap();
    peer.until("connected", |peer| peer.reported.contains(&Reported::Connected(id)));
    assert_eq!(peer.client.connection(id).unwrap().address.socket_addr(), Some(relay.addr()));
}

/// Why a connection ends whose server sends these bytes, reads 128 bytes, and closes.
fn end_at_server(greeting: &'static [u8]) -> DisconnectReason {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut peer = Peer::new();
    let id = peer.client.connect(Relay::new(listener.local_addr().unwrap(), any_key())).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(greeting).unwrap();
        // The client may have closed already, if it received enough.
        let _ = stream.read_exact(&mut [0; 128]);
    });
    let reason = peer.end(id);
    assert_ended(&mut peer, id);
    server.join().unwrap();
    reason
}

#[test]
fn servers_of_another_kind_are_not_reported_as_relays_with_another_key() {
    let other_server = |server| DisconnectReason::Impostor(Impostor::OtherServer(server));
    assert_eq!(end_at_server(b"SSH-2.0-OpenSSH_9.2p1\r\n"), other_server(Server::Ssh));
    assert_eq!(end_at_server(&[0x15, 3, 3, 0, 2, 2, 70]), other_server(Server::Tls));
    let page = b"HTTP/1.1 400 Bad Request\r\nServer: x\r\nConnection: close\r\n\r\n\
        <html><head><title>400 Bad Request</title></head></html>";
    assert_eq!(end_at_server(page), other_server(Server::Http));
    assert_eq!(end_at_server(b"220 mail.example ESMTP\r\n"), other_server(Server::Mail));
    // A page without a status line, as HTTP/0.9 has it: Python's `http.server` answers so to what it does not understand.
    let page = b"<!DOCTYPE HTML>\n<html lang=\"en\">\n    <head>\n        <title>Error response</title>\n    </head>\n\
        <body>Error code: 400</body></html>\n";
    assert_eq!(end_at_server(page), other_server(Server::Http));
    let (stage, party) = (Stage::Handshaking, Party::Relay);
    let unknown = DisconnectReason::Closed { stage, party, hint: Some(Hint::Incomplete(24)) };
    assert_eq!(end_at_server(b"* OK mail.example IMAP4\r"), unknown);
    assert_eq!(end_at_server(b""), closed(Stage::Handshaking));
}

#[test]
fn one_identity_connects_to_one_relay_once_at_a_time() {
    let relay = honest();
    let mut peer = Peer::new();
    let first = peer.begin(&relay);
    let assert_refused = |peer: &mut Peer| {
        let result = peer.client.connect(address(&relay));
        assert!(matches!(result, Err(ConnectError::AlreadyConnected(id)) if id == first), "{result:?}");
    };
    assert_refused(&mut peer);
    peer.until("connected", |peer| peer.reported.contains(&Reported::Connected(first)));
    assert_refused(&mut peer);
    // Another identity may connect. After the end this one may connect again, even before the end is reported.
    let other = peer.client.connect(address(&relay).identity(SecretKey::generate())).unwrap();
    assert!(peer.client.disconnect(first));
    let again = peer.connect(&relay);
    peer.until("the other", |peer| peer.reported.contains(&Reported::Connected(other)));
    assert_ne!(first, again);
    assert_eq!(peer.ends(first), [ClosedByCaller]);
    assert_eq!(peer.client.connections().count(), 2);
}

#[test]
fn a_second_client_with_the_same_key_takes_the_place_of_the_first() {
    let relay = honest();
    let secret = SecretKey::generate();
    let (mut first, mut second) = (Peer::new(), Peer::new());
    let old = first.client.connect(address(&relay).identity(secret.clone())).unwrap();
    first.until("connected", |peer| peer.reported.contains(&Reported::Connected(old)));
    let new = second.client.connect(address(&relay).identity(secret)).unwrap();
    second.until("connected", |peer| peer.reported.contains(&Reported::Connected(new)));
    assert_eq!(first.end(old), closed(Stage::Connected));
    assert!(second.client.connection(new).is_some());
}

#[test]
fn the_client_can_be_used_while_its_events_are_read() {
    let relay = honest();
    let mut peer = Peer::new();
    let first = peer.begin(&relay);
    let mut second = None;
    peer.until("the second connection", |Peer { client, events, reported, .. }| {
        for event in &*events {
            match event {
                Event::Connected { connection: relay, .. } if relay == first => {
                    assert!(client.disconnect(first))
                }
                Event::Disconnected { connection: id, reason, .. } if id == first => {
                    assert_eq!(reason, ClosedByCaller);
                    assert!(second.is_none(), "reported once");
                    second = Some(client.connect(address(&relay)).unwrap());
                }
                _ => {}
            }
        }
        second.is_some_and(|id| reported.contains(&Reported::Connected(id)))
    });
    assert_eq!(peer.ends(first), [ClosedByCaller]);
}

#[test]
fn infinite_durations_are_accepted() {
    let relay = honest();
    let forever = Duration::MAX;
    let mut peer =
        Peer::with(|config| config.connect_timeout(forever).ping_interval(forever).pong_timeout(forever));
    peer.connect(&relay);
    assert!(peer.client.next_timeout().is_some());
}
