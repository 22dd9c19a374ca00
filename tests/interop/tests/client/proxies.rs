//! Relays through the proxies that users have.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use interop::ProxyKind::{Dante, Microsocks, Squid, Tinyproxy};
use interop::{Bootstrapd, PASSWORD, ProxyKind, RealProxy, USER};
use tox_relay_client::ProxyError::{Credentials, NoAcceptableMethod, Socks4, Socks5};
use tox_relay_client::{
    Config, DisconnectReason, Hint, Party, Proxy, ProxyError, PublicKey, Relay, SecretKey, Stage,
};

use super::driver::{AT_ONCE, End, RustEnd, Told, WINDOW, meet, numbered, relay_of};

/// Lengths up to the longest of each kind, in steps that do not divide the size of a proxy's buffers.
const LENGTHS: [usize; 6] = [1, 34, 100, 512, 1373, 2031];

/// Rounds of [`WINDOW`] packets in each direction.
const ROUNDS: usize = 12;

/// One way to talk to one kind of proxy.
struct Way {
    kind: ProxyKind,
    scheme: &'static str,
    /// Whether it is tested with names and with IPv6 addresses.
    names: bool,
    ipv6: bool,
}

const WAYS: [Way; 9] = [
    Way { kind: Microsocks { login: false }, scheme: "socks5", names: true, ipv6: true },
    Way { kind: Microsocks { login: true }, scheme: "socks5", names: true, ipv6: true },
    Way { kind: Dante, scheme: "socks5", names: true, ipv6: false },
    Way { kind: Dante, scheme: "socks4", names: false, ipv6: false },
    Way { kind: Dante, scheme: "socks4a", names: false, ipv6: false }, // it takes 0.0.0.1 as an address, so it knows no SOCKS4a names
    Way { kind: Tinyproxy { login: false }, scheme: "http", names: true, ipv6: true },
    Way { kind: Tinyproxy { login: true }, scheme: "http", names: true, ipv6: true },
    Way { kind: Squid { login: false }, scheme: "http", names: true, ipv6: true },
    Way { kind: Squid { login: true }, scheme: "http", names: true, ipv6: true },
];

fn wants_login(kind: ProxyKind) -> bool {
    matches!(kind, Microsocks { login: true } | Tinyproxy { login: true } | Squid { login: true })
}

/// The proxy by its URL, with the login that it requires.
fn proxy(way: &Way, real: &RealProxy) -> Proxy {
    let login = if wants_login(way.kind) { format!("{USER}:{PASSWORD}@") } else { String::new() };
    format!("{}://{login}{}", way.scheme, real.address()).parse().unwrap()
}

fn through(proxy: Proxy) -> Config {
    Config::new(SecretKey::generate()).proxy(proxy)
}

fn any_key() -> PublicKey {
    SecretKey::generate().public_key()
}

/// The end of a connection to this relay through this proxy.
#[track_caller]
fn end(proxy: Proxy, relay: Relay) -> DisconnectReason {
    let mut ours = RustEnd::begin(through(proxy), relay);
    let reason = ours.next_reason();
    assert_eq!(ours.client.connections().count(), 0);
    reason
}

/// How the proxy refuses to connect to this relay: by a SOCKS error, or by HTTP status and reason, or by the
/// authentication schemes that it requires.
#[track_caller]
fn refusal(proxy: Proxy, relay: Relay) -> Result<ProxyError, (u16, &'static str)> {
    match end(proxy, relay) {
        DisconnectReason::Proxy(ProxyError::Http { status, reason }) => {
            Err((status, reason.as_str().to_owned().leak()))
        }
        DisconnectReason::Proxy(ProxyError::Unauthorized { schemes }) => {
            Err((407, schemes.as_str().to_owned().leak()))
        }
        DisconnectReason::Proxy(error) => Ok(error),
        other => panic!("{other}"),
    }
}

/// Nobody listens here: it is tcpmux, which is unused and needs a privilege.
const DEAD: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1));

fn has_ipv6() -> bool {
    let has = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !has {
        eprintln!("not tested: this machine has no IPv6");
    }
    has
}

#[test]
fn two_clients_exchange_data_through_each_kind_of_proxy() {
    let relay = Bootstrapd::start().unwrap();
    for way in WAYS {
        let real = RealProxy::start(way.kind).unwrap();
        let mut a = RustEnd::with_config(&relay, through(proxy(&way, &real)));
        assert!(a.client.connection(a.relay).unwrap().times.tunnel.is_some());
        let mut b = RustEnd::with_config(&relay, through(proxy(&way, &real)));
        meet(&mut a, &mut b);
        for round in 0..ROUNDS {
            let packets = (0..WINDOW)
                .map(|number| numbered(round * WINDOW + number, LENGTHS[(round + number) % LENGTHS.len()]));
            let packets: Vec<_> = packets.collect();
            packets.iter().for_each(|packet| a.send_data(packet));
            packets.iter().for_each(|packet| b.expect_data(packet));
            packets.iter().for_each(|packet| b.send_data(packet));
            packets.iter().for_each(|packet| a.expect_data(packet));
        }
        b.send_oob(a.key(), b"out of band");
        a.expect_oob(b.key(), b"out of band");
    }
}

#[test]
fn a_proxy_resolves_the_relays_name() {
    let relay = Bootstrapd::start().unwrap();
    for way in WAYS.iter().filter(|way| way.names) {
        let real = RealProxy::start(way.kind).unwrap();
        let by_name = Relay::new(("localhost", relay.addr().port()), relay.public_key().into());
        let mut ours = RustEnd::begin(through(proxy(way, &real)), by_name);
        assert_eq!(ours.next(), Told::Connected(ours.relay), "{:?}", way.kind);
    }
}

#[test]
fn a_relay_on_ipv6_is_reached_through_a_proxy_on_ipv4() {
    if !has_ipv6() {
        return;
    }
    let relay = Bootstrapd::start_ipv6().unwrap();
    for way in WAYS.iter().filter(|way| way.ipv6) {
        let real = RealProxy::start(way.kind).unwrap();
        let mut ours = RustEnd::begin(through(proxy(way, &real)), relay_of(&relay));
        assert_eq!(ours.next(), Told::Connected(ours.relay), "{:?}", way.kind);
    }
}

#[test]
fn a_wrong_password_is_told() {
    let relay = Bootstrapd::start().unwrap();
    let told: Vec<_> = WAYS
        .iter()
        .filter(|way| wants_login(way.kind))
        .flat_map(|way| {
            let real = RealProxy::start(way.kind).unwrap();
            ["alice:wrong@", "bob:secret@", ""].map(|login| {
                let url = format!("{}://{login}{}", way.scheme, real.address());
                refusal(url.parse().unwrap(), relay_of(&relay))
            })
        })
        .collect();
    let unauthorized = Err((401, "Unauthorized"));
    let required = Err((407, "Basic"));
    assert_eq!(
        told,
        [
            Ok(Credentials),
            Ok(Credentials),
            Ok(NoAcceptableMethod),
            unauthorized,
            unauthorized,
            required, // tinyproxy says 401 where RFC 9110 has 407
            required,
            required,
            required,
        ]
    );
}

#[test]
fn a_relay_that_is_not_there_is_told_as_the_proxy_tells_it() {
    let told: Vec<_> = WAYS
        .iter()
        .map(|way| {
            let real = RealProxy::start(way.kind).unwrap();
            refusal(proxy(way, &real), Relay::new(DEAD, any_key()))
        })
        .collect();
    let refused = Ok(Socks5 { code: 5 });
    let (unable, unavailable) = (Err((500, "Unable to connect")), Err((503, "Service Unavailable")));
    assert_eq!(
        told,
        [
            refused,
            refused,
            refused,
            Ok(Socks4 { code: 91 }),
            Ok(Socks4 { code: 91 }),
            unable,
            unable,
            unavailable,
            unavailable,
        ]
    );
}

#[test]
fn a_proxy_that_is_gone_is_told_at_once_and_not_bypassed() {
    let relay = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    relay.set_nonblocking(true).unwrap();
    for scheme in ["socks5", "socks4", "socks4a", "http"] {
        let start = Instant::now();
        let gone = format!("{scheme}://{DEAD}").parse().unwrap();
        let reason = end(gone, Relay::new(relay.local_addr().unwrap(), any_key()));
        assert_eq!(reason, DisconnectReason::Refused(Party::Proxy));
        assert!(start.elapsed() < AT_ONCE);
        assert_eq!(relay.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn a_proxy_that_stays_silent_is_told_and_not_bypassed() {
    let relay = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    relay.set_nonblocking(true).unwrap();
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for scheme in ["socks5", "socks4", "socks4a", "http"] {
        let proxy = format!("{scheme}://{}", silent.local_addr().unwrap()).parse().unwrap();
        let config = through(proxy).connect_timeout(Duration::from_millis(150));
        let mut ours = RustEnd::begin(config, Relay::new(relay.local_addr().unwrap(), any_key()));
        // SOCKS5 sends the target only after the proxy's first answer.
        let hint = if scheme == "socks5" { None } else { Some(Hint::NotReached) };
        let timed_out = DisconnectReason::TimedOut { stage: Stage::Tunnelling, party: Party::Proxy, hint };
        assert_eq!(ours.next_reason(), timed_out);
        assert_eq!(relay.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn a_proxy_that_ends_takes_its_connections_along_and_a_new_one_serves_them() {
    let relay = Bootstrapd::start().unwrap();
    for way in WAYS {
        let real = RealProxy::start(way.kind).unwrap();
        let mut ours =
            RustEnd::begin(Config::new(SecretKey::generate()), relay_of(&relay).proxy(proxy(&way, &real)));
        assert_eq!(ours.next(), Told::Connected(ours.relay));
        drop(real);
        let reason = ours.next_reason();
        assert!(
            matches!(
                reason,
                DisconnectReason::Closed { stage: Stage::Connected, party: Party::Tunnel, .. }
                    | DisconnectReason::Transport { stage: Stage::Connected, party: Party::Tunnel, .. }
            ),
            "{:?}: {reason}",
            way.kind
        );
        let again = RealProxy::start(way.kind).unwrap();
        ours.relay = ours.client.connect(relay_of(&relay).proxy(proxy(&way, &again))).unwrap();
        assert_eq!(ours.next(), Told::Connected(ours.relay));
    }
}
