//! Relays through real proxies.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use interop::ProxyKind::{Dante, Microsocks, Squid, Tinyproxy};
use interop::{Bootstrapd, PASSWORD, ProxyKind, RealProxy, USER};
use tox_relay_client::ProxyError::{Credentials, NoAcceptableMethod, Socks4, Socks5};
use tox_relay_client::{
    Config, DisconnectReason, Hint, Party, Proxy, ProxyError, PublicKey, Relay, SecretKey, Stage,
};

use super::driver::{AT_ONCE, End, ReceivedEvent, RustEnd, WINDOW, numbered, open_routes, relay_of};

/// Lengths of data up to the maximum. They do not divide the size of a proxy's buffers, so packets are split anywhere.
const LENGTHS: [usize; 6] = [1, 34, 100, 512, 1373, 2031];

/// Rounds of [`WINDOW`] packets in each direction.
const ROUNDS: usize = 12;

/// A kind of proxy, and the protocol to use with it.
struct Case {
    kind: ProxyKind,
    scheme: &'static str,
    /// Whether it is tested with names and with IPv6 addresses.
    names: bool,
    ipv6: bool,
}

const CASES: [Case; 9] = [
    Case { kind: Microsocks { login: false }, scheme: "socks5", names: true, ipv6: true },
    Case { kind: Microsocks { login: true }, scheme: "socks5", names: true, ipv6: true },
    Case { kind: Dante, scheme: "socks5", names: true, ipv6: false },
    Case { kind: Dante, scheme: "socks4", names: false, ipv6: false },
    // Dante has no SOCKS4a names: it takes 0.0.0.1 as an address.
    Case { kind: Dante, scheme: "socks4a", names: false, ipv6: false },
    Case { kind: Tinyproxy { login: false }, scheme: "http", names: true, ipv6: true },
    Case { kind: Tinyproxy { login: true }, scheme: "http", names: true, ipv6: true },
    Case { kind: Squid { login: false }, scheme: "http", names: true, ipv6: true },
    Case { kind: Squid { login: true }, scheme: "http", names: true, ipv6: true },
];

fn wants_login(kind: ProxyKind) -> bool {
    matches!(kind, Microsocks { login: true } | Tinyproxy { login: true } | Squid { login: true })
}

/// The proxy's URL, with the login that it requires.
fn proxy(case: &Case, real: &RealProxy) -> Proxy {
    let login = if wants_login(case.kind) { format!("{USER}:{PASSWORD}@") } else { String::new() };
    format!("{}://{login}{}", case.scheme, real.address()).parse().unwrap()
}

fn config_with(proxy: Proxy) -> Config {
    Config::new(SecretKey::generate()).proxy(proxy)
}

fn any_key() -> PublicKey {
    SecretKey::generate().public_key()
}

/// Connects to this relay through this proxy, and returns why the connection ended.
#[track_caller]
fn disconnect_reason(proxy: Proxy, relay: Relay) -> DisconnectReason {
    let mut ours = RustEnd::begin(config_with(proxy), relay);
    let reason = ours.next_reason();
    assert_eq!(ours.client.connections().count(), 0);
    reason
}

/// How the proxy refuses to connect to this relay: `Err` with HTTP status and reason, or with 407 and the
/// authentication schemes that it requires; `Ok` with any other error of the proxy.
#[track_caller]
fn refusal(proxy: Proxy, relay: Relay) -> Result<ProxyError, (u16, &'static str)> {
    match disconnect_reason(proxy, relay) {
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

/// A closed port: it is reserved for tcpmux, which is not in use, and only root can bind it.
const CLOSED: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1));

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
    for case in CASES {
        let real = RealProxy::start(case.kind).unwrap();
        let mut a = RustEnd::with_config(&relay, config_with(proxy(&case, &real)));
        assert!(a.client.connection(a.relay).unwrap().times.tunnel.is_some());
        let mut b = RustEnd::with_config(&relay, config_with(proxy(&case, &real)));
        open_routes(&mut a, &mut b);
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
    for case in CASES.iter().filter(|case| case.names) {
        let real = RealProxy::start(case.kind).unwrap();
        let by_name = Relay::new(("localhost", relay.addr().port()), relay.public_key().into());
        let mut ours = RustEnd::begin(config_with(proxy(case, &real)), by_name);
        assert_eq!(ours.next(), ReceivedEvent::Connected(ours.relay), "{:?}", case.kind);
    }
}

#[test]
fn a_relay_on_ipv6_is_reached_through_a_proxy_on_ipv4() {
    if !has_ipv6() {
        return;
    }
    let relay = Bootstrapd::start_ipv6().unwrap();
    for case in CASES.iter().filter(|case| case.ipv6) {
        let real = RealProxy::start(case.kind).unwrap();
        let mut ours = RustEnd::begin(config_with(proxy(case, &real)), relay_of(&relay));
        assert_eq!(ours.next(), ReceivedEvent::Connected(ours.relay), "{:?}", case.kind);
    }
}

#[test]
fn a_wrong_password_is_reported() {
    let relay = Bootstrapd::start().unwrap();
    let errors: Vec<_> = CASES
        .iter()
        .filter(|case| wants_login(case.kind))
        .flat_map(|case| {
            let real = RealProxy::start(case.kind).unwrap();
            ["alice:wrong@", "bob:secret@", ""].map(|login| {
                let url = format!("{}://{login}{}", case.scheme, real.address());
                refusal(url.parse().unwrap(), relay_of(&relay))
            })
        })
        .collect();
    let unauthorized = Err((401, "Unauthorized")); // tinyproxy sends 401 for a wrong login, but RFC 9110 requires 407
    let required = Err((407, "Basic"));
    assert_eq!(
        errors,
        [
            Ok(Credentials),
            Ok(Credentials),
            Ok(NoAcceptableMethod),
            unauthorized,
            unauthorized,
            required,
            required,
            required,
            required,
        ]
    );
}

#[test]
fn an_unreachable_relay_is_reported_with_the_proxys_own_error() {
    let errors: Vec<_> = CASES
        .iter()
        .map(|case| {
            let real = RealProxy::start(case.kind).unwrap();
            refusal(proxy(case, &real), Relay::new(CLOSED, any_key()))
        })
        .collect();
    let refused = Ok(Socks5 { code: 5 });
    let (unable, unavailable) = (Err((500, "Unable to connect")), Err((503, "Service Unavailable")));
    assert_eq!(
        errors,
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
fn an_unreachable_proxy_is_reported_at_once_and_not_bypassed() {
    let relay = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    relay.set_nonblocking(true).unwrap();
    for scheme in ["socks5", "socks4", "socks4a", "http"] {
        let start = Instant::now();
        let proxy = format!("{scheme}://{CLOSED}").parse().unwrap();
        let reason = disconnect_reason(proxy, Relay::new(relay.local_addr().unwrap(), any_key()));
        assert_eq!(reason, DisconnectReason::Refused(Party::Proxy));
        assert!(start.elapsed() < AT_ONCE);
        assert_eq!(relay.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn a_silent_proxy_is_reported_and_not_bypassed() {
    let relay = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    relay.set_nonblocking(true).unwrap();
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for scheme in ["socks5", "socks4", "socks4a", "http"] {
        let proxy = format!("{scheme}://{}", silent.local_addr().unwrap()).parse().unwrap();
        let config = config_with(proxy).connect_timeout(Duration::from_millis(150));
        let mut ours = RustEnd::begin(config, Relay::new(relay.local_addr().unwrap(), any_key()));
        // SOCKS5 sends the target only after the proxy's first answer.
        let hint = if scheme == "socks5" { None } else { Some(Hint::NotReached) };
        let timed_out = DisconnectReason::TimedOut { stage: Stage::Tunnelling, party: Party::Proxy, hint };
        assert_eq!(ours.next_reason(), timed_out);
        assert_eq!(relay.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn connections_end_with_their_proxy_and_can_be_made_again_through_a_new_one() {
    let relay = Bootstrapd::start().unwrap();
    for case in CASES {
        let real = RealProxy::start(case.kind).unwrap();
        let mut ours =
            RustEnd::begin(Config::new(SecretKey::generate()), relay_of(&relay).proxy(proxy(&case, &real)));
        assert_eq!(ours.next(), ReceivedEvent::Connected(ours.relay));
        drop(real);
        let reason = ours.next_reason();
        assert!(
            matches!(
                reason,
                DisconnectReason::Closed { stage: Stage::Connected, party: Party::Tunnel, .. }
                    | DisconnectReason::Transport { stage: Stage::Connected, party: Party::Tunnel, .. }
            ),
            "{:?}: {reason}",
            case.kind
        );
        let again = RealProxy::start(case.kind).unwrap();
        ours.relay = ours.client.connect(relay_of(&relay).proxy(proxy(&case, &again))).unwrap();
        assert_eq!(ours.next(), ReceivedEvent::Connected(ours.relay));
    }
}
