//! Addresses as people write them: each text is parsed as it is meant, or is an error that says what is expected.

use super::*;
use AddressError::{Character, EmptyLabel, Ipv4, Ipv6, Length, NoBrackets, NoHost, NoPort, Port, Scope, Url};

fn parse(text: &str) -> Result<Address, AddressError> {
    text.parse()
}

#[track_caller]
fn assert_refused<const N: usize>(texts: [&str; N], error: AddressError) {
    for text in texts {
        assert_eq!(parse(text), Err(error), "{text:?}");
    }
}

#[test]
fn the_last_group_of_an_ipv6_address_never_becomes_a_port() {
    assert_refused(
        [
            "2001:503:ba3e::2:30",
            "2001:db8::1",
            "::1",
            "::",
            "fe80::1%eth0",
            "::ffff:198.51.100.7",
            "2001:db8:0:0:0:0:0:1:33445",
            "198.51.100.7:33445:33445",
            "relay.example:33445:tcp",
            "::1]:33445",
        ],
        NoBrackets,
    );
    assert!(NoBrackets.to_string().contains("[2001:db8::7]:33445"));
}

#[test]
fn an_invalid_ipv4_address_is_not_accepted_as_a_host_name() {
    assert_refused(
        [
            "256.1.1.1:33445",
            "1.2.3:33445",
            "1.2.3.4.5:33445",
            "1.2.3.04:33445",
            "0x7f.0.0.1:33445",
            "0x7f000001:33445",
            "0X7F.1:33445",
            "2130706433:33445",
            "1.2.3.4.:33445",
            "relay.1:33445",
        ],
        Ipv4,
    );
    // A name may contain numbers.
    for name in ["4.example:1", "1.2.3.4.nip.io:1", "0x7g:1", "7f:1", "1-2:1"] {
        assert!(parse(name).is_ok_and(|address| address.host_name().is_some()), "{name}");
    }
}

#[test]
fn each_part_that_is_missing_or_wrong_is_named() {
    assert_refused(["", ":33445", ":"], NoHost);
    assert_refused(["198.51.100.7", "relay.example", "[::1]"], NoPort);
    assert_refused(
        [
            "198.51.100.7:",
            "relay.example:http",
            "relay.example:0",
            "[::1]:0",
            "[::1]:",
            "relay.example:65536",
            "relay.example:-1",
            "relay.example:+1",
            "relay.example:1 ",
            "relay.example: 1",
            "relay.example:١",
        ],
        Port,
    );
    assert_refused(
        [
            "[::1",
            "[",
            "[]:1",
            "[relay.example]:1",
            "[127.0.0.1]:1",
            "[::1]x:1",
            "[::1]33445",
            "[[::1]]:1",
            "[:::1]:1",
        ],
        Ipv6,
    );
    assert_refused(["[fe80::1%eth0]:1", "[fe80::1%]:1", "[fe80::1%+1]:1", "[fe80::1%4294967296]:1"], Scope);
    assert_refused(
        ["http://relay.example:33445", "relay.example:33445/", "tcp://[::1]:1", "//relay.example:1"],
        Url,
    );
    assert_refused([" relay.example:1", "re lay.example:1", "relay.example :1"], Character(' '));
    assert_refused(["\trelay.example:1"], Character('\t'));
    assert_refused(["someone@relay.example:1"], Character('@'));
    assert_refused(["münchen.example:1"], Character('ü'));
    assert_refused(["relay.example\0:1"], Character('\0'));
    assert_refused([".:1", "..:1", ".relay.example:1", "relay..example:1", "relay.example..:1"], EmptyLabel);
    assert_eq!(parse(&format!("{}:1", "x".repeat(256))), Err(Length(256)));
}

#[test]
fn valid_addresses_are_parsed_and_displayed_unchanged() {
    let longest = format!("{}:1", "x".repeat(255));
    for (text, port) in [
        ("198.51.100.7:33445", 33445),
        ("[2001:db8::7]:443", 443),
        ("[::1]:1", 1),
        ("[fe80::7%2]:65535", 65535),
        ("relay.example:33445", 33445),
        ("localhost:1", 1),
        ("under_score.onion:1", 1),
        ("trailing.:1", 1),
        ("xn--mnchen-3ya.de:1", 1),
        ("a:1", 1),
        (&longest, 1),
    ] {
        let address = parse(text).unwrap();
        assert_eq!((address.to_string().as_str(), address.port()), (text, port));
        assert_eq!(address.socket_addr(), text.parse().ok());
        let name = text.rsplit_once(':').map(|(name, _)| name).filter(|_| address.socket_addr().is_none());
        assert_eq!(address.host_name(), name);
        assert_eq!(Address::try_from(&address.to_string()), Ok(address.clone()));
        assert_eq!(Address::try_from(address.to_string()), Ok(address));
    }
    assert_eq!(parse("relay.example:033445").unwrap().to_string(), "relay.example:33445");
}

#[test]
fn a_host_and_a_port_are_checked_as_strictly_as_a_text() {
    let by_parts = |host: &str| Address::try_from((host, 33445));
    for host in ["2001:db8::7", "[2001:db8::7]"] {
        assert_eq!(by_parts(host), parse("[2001:db8::7]:33445"));
    }
    for host in ["198.51.100.7", "relay.example"] {
        assert_eq!(by_parts(host), parse(&format!("{host}:33445")));
    }
    assert_eq!(by_parts("fe80::7%2"), parse("[fe80::7%2]:33445"));
    for (host, error) in [
        ("", NoHost),
        ("1.2.3", Ipv4),
        ("a b", Character(' ')),
        ("http://a", Url),
        ("relay.example:33445", Ipv6),
        ("[relay.example]", Ipv6),
        ("fe80::7%eth0", Scope),
        ("a..b", EmptyLabel),
    ] {
        assert_eq!(by_parts(host), Err(error), "{host:?}");
    }
    assert_eq!(Address::try_from(("relay.example", 0)), Err(Port));
    assert_eq!(Address::try_from((Ipv4Addr::LOCALHOST, 0)), Err(Port));
    let host = "relay.example".to_owned();
    assert_eq!(Address::try_from((&host, 1)), parse("relay.example:1"));
    assert_eq!(Address::try_from((host, 1)), parse("relay.example:1"));
    assert_eq!(Address::try_from((IpAddr::from([127, 0, 0, 1]), 1)), parse("127.0.0.1:1"));
}

#[test]
fn an_ipv4_address_that_is_mapped_to_ipv6_is_that_ipv4_address() {
    let plain = parse("198.51.100.7:33445");
    let mapped = "[::ffff:198.51.100.7]:33445";
    let SocketAddr::V6(with_scope) = mapped.parse().unwrap() else { unreachable!() };
    let with_scope = SocketAddrV6::new(*with_scope.ip(), 33445, 1, 2);
    assert_eq!(parse(mapped), plain);
    assert_eq!(Address::try_from(("::ffff:c633:6407", 33445)), plain);
    assert_eq!(Address::try_from(mapped.parse::<SocketAddr>().unwrap()), plain);
    assert_eq!(Address::try_from(with_scope), plain);
    // These are IPv6 addresses.
    for text in ["[::198.51.100.7]:33445", "[64:ff9b::198.51.100.7]:33445"] {
        assert!(parse(text).unwrap().socket_addr().unwrap().is_ipv6(), "{text}");
    }
}
