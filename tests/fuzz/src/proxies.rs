//! The answers of a proxy.

use std::net::{Ipv6Addr, SocketAddr};

use tox_relay_client::internals::{MAX_REQUEST, Progress, ProxyInternals, Tunnel};
use tox_relay_client::{Address, Proxy, ProxyError};

use crate::input::Input;

/// What came of an exchange, and with how many bytes of the answer; all that was sent; and the refusal that has begun.
type Exchange = (Result<(Progress, usize), ProxyError>, Vec<u8>, Option<ProxyError>);

/// Whatever a proxy answers, the exchange ends in the same way however the answer is cut, and keeps its bounds.
pub fn proxies(data: &[u8]) {
    let mut input = Input::new(data);
    let proxy: Proxy = [
        "socks5://192.0.2.1:1080",
        "socks5://user:password@192.0.2.1:1080",
        "socks4://user@192.0.2.1:1080",
        "http://192.0.2.1:3128",
        "http://user:password@192.0.2.1:3128",
    ][usize::from(input.byte()) % 5]
        .parse()
        .expect("a proxy's URL");
    let target: SocketAddr = match input.byte() % 2 {
        0 => ([192, 0, 2, 2], 33445).into(),
        _ => (Ipv6Addr::LOCALHOST, 33445).into(),
    };
    let target = Address::try_from(target).expect("an address");
    if proxy.check(&target).is_err() {
        return;
    }
    let pieces = [(); 4].map(|()| 1 + usize::from(input.byte()));
    // The bound for HTTP is longer than what a fuzzer likes to make.
    let times = 1 << (input.byte() % 8);
    let answer = input.rest().repeat(times);

    let whole = exchange(&proxy, &target, &answer, &[usize::MAX]);
    assert_eq!(exchange(&proxy, &target, &answer, &[1]), whole);
    assert_eq!(exchange(&proxy, &target, &answer, &pieces), whole);

    let (result, sent, begun) = whole;
    assert!(begun.is_none_or(|error| !error.to_string().is_empty()));
    assert!(sent.len() <= MAX_REQUEST);
    match result {
        Ok((progress, taken)) => check(&proxy, progress, &answer[..taken], taken == answer.len()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// An answer that was taken is one that the protocol has, and not too long.
fn check(proxy: &Proxy, progress: Progress, taken: &[u8], is_all: bool) {
    let scheme = proxy.to_string();
    let most = if scheme.starts_with("http") { 16 * 1024 } else { 2 + 2 + 4 + 1 + 255 + 2 };
    assert!(taken.len() <= most);
    match (&scheme[..6], progress) {
        (_, Progress::Waiting) => assert!(is_all),
        ("socks4", _) => assert!(matches!(taken, [0, 90, _, _, _, _, _, _])),
        ("socks5", _) => {
            let reply = match taken {
                [5, 0, reply @ ..] | [5, 2, _, 0, reply @ ..] => Some(reply),
                _ => None,
            };
            let whole = match reply {
                Some([5, 0, _, 1, address @ ..]) => address.len() == 4 + 2,
                Some([5, 0, _, 4, address @ ..]) => address.len() == 16 + 2,
                Some([5, 0, _, 3, len, name @ ..]) => name.len() == usize::from(*len) + 2,
                _ => false,
            };
            assert!(whole, "{taken:?}");
        }
        _ => {
            assert!(taken.starts_with(b"HTTP/1."), "{taken:?}");
            assert!(taken.ends_with(b"\n\n") || taken.ends_with(b"\n\r\n"), "{taken:?}");
        }
    }
}

/// The exchange in pieces of these sizes, again and again.
fn exchange(proxy: &Proxy, target: &Address, answer: &[u8], pieces: &[usize]) -> Exchange {
    let mut answer = &mut answer.to_vec()[..];
    let (mut sent, mut taken) = (Vec::new(), 0);
    let mut tunnel = Tunnel::new(proxy, target, &mut sent);
    for piece in pieces.iter().cycle() {
        let (mut piece, rest) = answer.split_at_mut(answer.len().min(*piece));
        let len = piece.len();
        let result = tunnel.receive(&mut piece, &mut sent);
        taken += len - piece.len();
        match result {
            Ok(Progress::Waiting) => assert!(piece.is_empty(), "it waits, and has not read everything"),
            _ => return (result.map(|progress| (progress, taken)), sent, None),
        }
        if rest.is_empty() {
            break;
        }
        answer = rest;
    }
    (Ok((Progress::Waiting, taken)), sent, tunnel.refusal())
}
