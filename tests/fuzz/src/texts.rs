//! Texts that a caller passes on from its users: keys, proxy URLs, addresses. And what proxies say in words.

use std::net::SocketAddr;

use tox_relay_client::internals::{Credentials, MAX_REQUEST, Protocol, ProxyInternals, Tunnel, phrase};
use tox_relay_client::{Address, Proxy, PublicKey};

/// No text makes a parser panic, and what is displayed reads back.
pub fn texts(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    key(text);
    url(text);
    credentials(text);
    address(text);
    let phrase = phrase(text);
    assert!(phrase.as_str().len() <= 47 && !phrase.as_str().contains(char::is_control));
}

fn key(text: &str) {
    match text.parse::<PublicKey>() {
        Ok(key) => {
            assert_eq!(key.to_string(), text.to_ascii_uppercase());
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn url(text: &str) {
    match text.parse::<Proxy>() {
        Ok(proxy) => {
            let (_, rest) = text.split_once("://").expect("a scheme");
            assert!(!rest.strip_suffix('/').unwrap_or(rest).contains(['/', '?', '#']));
            read_back(&proxy);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A proxy with whatever credentials it takes: first those before a line break, then those after it.
fn credentials(text: &str) {
    let (user, password) = text.split_once('\n').unwrap_or((text, ""));
    let address = SocketAddr::from(([192, 0, 2, 1], 1080));
    for proxy in [Proxy::socks5, Proxy::socks4, Proxy::socks4a, Proxy::http].map(|kind| kind(address)) {
        for proxy in [proxy.clone().credentials(user, password), proxy.user_id(user)] {
            match proxy {
                Ok(proxy) => read_back(&proxy),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    }
}

/// A proxy is displayed without its credentials, and reads back with them where they are put into the URL.
fn read_back(proxy: &Proxy) {
    let shown = proxy.to_string();
    let (scheme, address) = shown.split_once("://").expect("a URL");
    assert_eq!(address.parse(), Ok(proxy.address()));
    assert_eq!(format!("{proxy:?}"), format!("Proxy({shown})"));
    let user_info = match proxy.protocol() {
        Protocol::Socks5(None) | Protocol::Http(None) => String::new(),
        Protocol::Socks4 { user_id, .. } => encode(user_id) + "@",
        Protocol::Socks5(Some(Credentials { user, password }))
        | Protocol::Http(Some(Credentials { user, password })) => {
            format!("{}:{}@", encode(user), encode(password))
        }
    };
    assert!(format!("{scheme}://{user_info}{address}").parse().as_ref() == Ok(proxy));
    let plain: Proxy = shown.parse().expect("the same without credentials");
    assert_eq!(plain.to_string(), shown);
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn address(text: &str) {
    let target: Address = match text.parse() {
        Ok(target) => target,
        Err(error) => return assert!(!format!("{error}").is_empty()),
    };
    assert_eq!(target.to_string().parse().as_ref(), Ok(&target));
    assert_eq!(socks::TargetAddr::from(target.clone()).try_into().as_ref(), Ok(&target));
    assert!(target.port() != 0 && target.host_name().is_none_or(|name| !name.contains(':')));
    // Each address that a proxy accepts fits into a request: the request contains the whole name or address.
    for url in ["socks5://[::1]:9", "socks4://1.2.3.4:9", "socks4a://1.2.3.4:9", "http://u:p@1.2.3.4:9"] {
        let proxy: Proxy = url.parse().expect("a proxy's URL");
        if proxy.check(&target).is_ok() {
            let mut request = Vec::new();
            Tunnel::new(&proxy, &target, &mut request);
            assert!(request.len() <= MAX_REQUEST);
        }
    }
}
