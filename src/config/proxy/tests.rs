//! Tests of how proxies are written, and of which targets they can connect to.

use super::*;
use crate::config::{Config, Relay};
use crate::key::{PublicKey, SecretKey};

fn address() -> SocketAddr {
    "127.0.0.1:1080".parse().unwrap()
}

fn parse(url: &str) -> Result<Proxy, ProxyConfigError> {
    url.parse()
}

#[test]
fn a_url_results_in_the_same_proxy_as_calls() {
    let same = [
        ("socks5://127.0.0.1:1080", Proxy::socks5(address())),
        ("SOCKS5h://127.0.0.1:1080/", Proxy::socks5(address())),
        ("socks4://127.0.0.1:1080", Proxy::socks4(address())),
        ("socks4a://127.0.0.1:1080", Proxy::socks4a(address())),
        ("http://127.0.0.1:1080", Proxy::http(address())),
        ("http://[::1]:3128", Proxy::http("[::1]:3128".parse().unwrap())),
        ("socks5://a:b@127.0.0.1:1080", Proxy::socks5(address()).credentials("a", "b").unwrap()),
        ("socks5://a:@127.0.0.1:1080", Proxy::socks5(address()).credentials("a", "").unwrap()),
        ("socks5://a@127.0.0.1:1080", Proxy::socks5(address()).user_id("a").unwrap()),
        ("http://a:@127.0.0.1:1080", Proxy::http(address()).credentials("a", "").unwrap()),
        ("http://a@127.0.0.1:1080", Proxy::http(address()).credentials("a", "").unwrap()),
        ("socks4a://me@127.0.0.1:1080", Proxy::socks4a(address()).user_id("me").unwrap()),
        // The password starts after the first colon and ends before the last @.
        ("http://a:b:c@d@127.0.0.1:1080", Proxy::http(address()).credentials("a", "b:c@d").unwrap()),
        (
            "socks5://%41%3a:%25%c3%a4+@127.0.0.1:1080",
            Proxy::socks5(address()).credentials("A:", "%ä+").unwrap(),
        ),
    ];
    for (url, proxy) in same {
        assert_eq!(parse(url).as_ref(), Ok(&proxy), "{url}");
    }
}

#[test]
fn an_invalid_url_is_refused() {
    use ProxyConfigError::{Address, Encoding, Length, NoPassword, Path, Scheme};
    let refused = [
        ("", Scheme),
        ("127.0.0.1:1080", Scheme),
        ("https://127.0.0.1:1080", Scheme),
        ("socks6://127.0.0.1:1080", Scheme),
        ("socks5://", Address),
        ("socks5://localhost:1080", Address),
        ("socks5://127.0.0.1", Address),
        ("socks5://::1:1080", Address),
        ("socks5://127.0.0.1:65536", Address),
        ("socks5://127.0.0.1:0", Address),
        ("socks5://local/host:1080", Address),
        ("socks5://@127.0.0.1:1080", Length { what: "user name", length: 0, min: 1 }),
        ("socks5://:password@127.0.0.1:1080", Length { what: "user name", length: 0, min: 1 }),
        ("socks5://user:password127.0.0.1:1080", Address),
        ("http://127.0.0.1:3128/x", Path),
        ("http://127.0.0.1:3128?x", Path),
        ("http://127.0.0.1:3128#x", Path),
        ("http://a:b@127.0.0.1:3128/x@y", Path),
        ("http://%:x@127.0.0.1:3128", Encoding),
        ("http://x:%4@127.0.0.1:3128", Encoding),
        ("http://x:%g0@127.0.0.1:3128", Encoding),
        ("http://x:%ff@127.0.0.1:3128", Encoding),
        ("socks4://me:x@127.0.0.1:1080", NoPassword),
    ];
    for (url, error) in refused {
        assert_eq!(parse(url), Err(error), "{url}");
    }
}

#[test]
fn names_and_passwords_have_the_lengths_of_their_protocols() {
    let (longest, too_long) = ("x".repeat(255), "x".repeat(256));
    let length = |what, length, min| Err(ProxyConfigError::Length { what, length, min });
    for proxy in [Proxy::socks5(address()), Proxy::http(address())] {
        assert!(proxy.clone().credentials(&longest, &longest).is_ok());
    }
    let (socks5, http) = (Proxy::socks5(address()), Proxy::http(address()));
    assert_eq!(socks5.clone().credentials(&too_long, "x"), length("user name", 256, 1));
    assert_eq!(socks5.clone().credentials("x", &too_long), length("password", 256, 0));
    // RFC 1929 allows no empty user names or passwords; Basic does. But SOCKS5 proxies accept an empty password.
    assert_eq!(socks5.clone().credentials("", "x"), length("user name", 0, 1));
    assert_eq!(socks5.clone().credentials("", ""), length("user name", 0, 1));
    assert!(socks5.credentials("x", "").is_ok());
    assert_eq!(http.clone().credentials(&too_long, ""), length("user name", 256, 0));
    assert!(http.credentials("", "").is_ok());
    let socks4 = Proxy::socks4(address());
    assert!(socks4.clone().user_id(&longest).is_ok());
    assert_eq!(socks4.user_id(&too_long), length("user id", 256, 0));
}

#[test]
fn characters_that_a_protocol_cannot_carry_are_refused() {
    let character = |what| Err(ProxyConfigError::Character(what));
    // The first colon ends the user name (RFC 7617), and a line end would let the caller add a header.
    assert_eq!(Proxy::http(address()).credentials("a:b", "x"), character("user name"));
    assert_eq!(Proxy::http(address()).credentials("a\r\nb", "x"), character("user name"));
    assert_eq!(Proxy::http(address()).credentials("a", "x\n"), character("password"));
    assert!(Proxy::socks5(address()).credentials("a:b", "x\r\n").is_ok());
    assert_eq!(Proxy::socks4(address()).user_id("a\0b"), character("user id"));
}

#[test]
fn targets_that_a_proxy_does_not_support_are_refused() {
    let [v4, v6, name] =
        ["1.2.3.4:5", "[::1]:5", "relay.onion:5"].map(|target| target.parse::<Address>().unwrap());
    let reaches = |proxy: Proxy| [&v4, &v6, &name].map(|target| proxy.check(target).is_ok());
    assert_eq!(reaches(Proxy::socks5(address())), [true, true, true]);
    assert_eq!(reaches(Proxy::http(address())), [true, true, true]);
    assert_eq!(reaches(Proxy::socks4a(address())), [true, false, true]);
    assert_eq!(reaches(Proxy::socks4(address())), [true, false, false]);
    let error = Proxy::socks4(address()).check(&name).unwrap_err();
    assert_eq!(error.to_string(), "a proxy of the kind socks4 cannot connect to a host name");
}

#[test]
fn an_unencoded_character_in_a_password_is_not_reported_as_a_path() {
    for url in [
        "socks5://user:pa/ss@127.0.0.1:1080",
        "socks5://user:pa?ss@127.0.0.1:1080",
        "socks5://user:#pass@127.0.0.1:1080",
        "http://us/er:pass@127.0.0.1:1080",
        "http://user:p@s/s@127.0.0.1:1080/",
        "socks5://user:/@127.0.0.1:1080",
    ] {
        let error = parse(url).unwrap_err();
        assert_eq!(error, ProxyConfigError::Unencoded, "{url}");
        assert!(error.to_string().contains("%2F") && !error.to_string().contains("ss@"), "{error}");
    }
    let encoded = Proxy::socks5(address()).credentials("user", "pa/s?s#").unwrap();
    assert_eq!(parse("socks5://user:pa%2Fs%3Fs%23@127.0.0.1:1080"), Ok(encoded));
}

#[test]
fn a_mapped_address_is_ipv4_for_a_proxy_and_a_scope_is_refused() {
    let check =
        |proxy: Proxy, target: &str| proxy.check(&target.parse().unwrap()).map_err(|error| error.to_string());
    assert_eq!(check(Proxy::socks4(address()), "[::ffff:1.2.3.4]:5"), Ok(()));
    for (proxy, scheme) in [(Proxy::socks5(address()), "socks5"), (Proxy::http(address()), "http")] {
        let refused = format!("a proxy of the kind {scheme} cannot connect to an IPv6 address with a scope");
        assert_eq!(check(proxy, "[fe80::1%2]:5"), Err(refused));
    }
    let mapped = "[::ffff:127.0.0.1]:1080";
    assert_eq!(Proxy::socks5(mapped.parse().unwrap()).address(), address());
    assert_eq!(parse(&format!("http://{mapped}")), Ok(Proxy::http(address())));
}

#[test]
fn credentials_are_never_shown() {
    let url = "socks5://alice-the-user:the-secret@127.0.0.1:1080";
    let proxy = parse(url).unwrap();
    let key = PublicKey::from([7; 32]);
    let relay = Relay::new("127.0.0.1:1", key).proxy(proxy.clone());
    let config = Config::new(SecretKey::from([1; 32])).proxy(proxy.clone());
    let mut shown = vec![format!("{proxy:?} {proxy} {relay:?} {config:#?}")];
    // They are not shown either if the URL is misspelled, so that they are in other parts of it.
    for wrong in [
        url.replace("://", ":/"),
        url.replace("socks5", "socks9"),
        url.replace('@', "%"),
        url.replace("1080", "port"),
        url.replace("the-secret", "%zthe-secret"),
        format!("{url}/the-secret"),
        url.replace("the-secret", "the-secret/"),
        url.replace("the-secret", "#the-secret"),
        url.replace("the-secret", &"the-secret".repeat(30)),
        url.replace("socks5", "socks4"),
        url.replace("socks5", "http").replace("the-secret", "the-secret%0a"),
    ] {
        let error = parse(&wrong).unwrap_err();
        shown.push(format!("{error} {error:?}"));
    }
    for text in shown {
        assert!(!text.contains("the-secret") && !text.contains("alice"), "{text}");
    }
}
