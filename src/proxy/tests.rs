//! Each protocol, tested with messages written by hand, split at every byte, and with refusals and malformed answers.

use crate::address::Address;
use crate::config::Proxy;
use crate::error::ProxyError;
use crate::phrase::Phrase;
use crate::proxy::{MAX_REQUEST, Progress, Tunnel};

/// The relay's first bytes, which follow the proxy's last ones.
const FROM_RELAY: &[u8] = b"relay";

fn v4() -> Address {
    "1.2.3.4:258".parse().unwrap()
}

fn v6() -> Address {
    "[1:2::ff]:258".parse().unwrap()
}

fn name() -> Address {
    "relay.example:258".parse().unwrap()
}

fn proxy(url: &str) -> Proxy {
    url.parse().unwrap()
}

/// Runs an exchange in which the messages `ours` and `theirs` alternate, with every split of the proxy's messages.
/// Bytes of the relay follow the proxy's last message.
fn exchange(proxy: &Proxy, target: &Address, ours: &[&[u8]], theirs: &[&[u8]]) {
    let longest = theirs.iter().map(|message| message.len()).max().unwrap_or_default();
    for split in 1..=longest + FROM_RELAY.len() {
        let mut sent = Vec::new();
        let mut tunnel = Tunnel::new(proxy, target, &mut sent);
        for (turn, message) in theirs.iter().enumerate() {
            assert_eq!(sent, ours[turn], "turn {turn}");
            sent.clear();
            let last = turn + 1 == theirs.len();
            let mut stream = if last { [message, FROM_RELAY].concat() } else { message.to_vec() };
            let mut progress = Progress::Waiting;
            let mut used = 0;
            for mut unread in stream.chunks_mut(split) {
                let len = unread.len();
                progress = tunnel.receive(&mut unread, &mut sent).unwrap();
                used += len - unread.len();
                if progress == Progress::Open {
                    break;
                }
                assert!(unread.is_empty());
            }
            assert_eq!(used, message.len(), "turn {turn}, pieces of {split}");
            assert_eq!(progress == Progress::Open, last);
        }
        assert_eq!(sent, b"");
    }
}

/// The result of an answer to the first message, or of several answers in sequence.
fn outcome(url: &str, answers: &[&[u8]]) -> Result<Progress, ProxyError> {
    let mut sent = Vec::new();
    let mut tunnel = Tunnel::new(&proxy(url), &name(), &mut sent);
    let mut progress = Progress::Waiting;
    for answer in answers {
        progress = tunnel.receive(&mut &mut answer.to_vec()[..], &mut sent)?;
    }
    Ok(progress)
}

#[test]
fn socks5_requests_each_kind_of_address() {
    let plain = proxy("socks5://127.0.0.1:1080");
    let granted: &[u8] = &[5, 0, 0, 1, 9, 9, 9, 9, 9, 9];
    let requests: [(Address, &[u8]); 3] = [
        (v4(), &[5, 1, 0, 1, 1, 2, 3, 4, 1, 2]),
        (v6(), &[5, 1, 0, 4, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 1, 2]),
        (name(), b"\x05\x01\x00\x03\x0drelay.example\x01\x02"),
    ];
    for (target, request) in requests {
        exchange(&plain, &target, &[&[5, 1, 0], request], &[&[5, 0], granted]);
    }
}

#[test]
fn socks5_replies_may_have_any_kind_of_address() {
    let plain = proxy("socks5://127.0.0.1:1080");
    let request: &[u8] = &[5, 1, 0, 4, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 1, 2];
    let v6 = [&[5, 0, 0, 4][..], &[7; 18]].concat();
    let long_name = [&[5, 0, 0, 3, 255][..], &[7; 257]].concat();
    let replies: [&[u8]; 4] = [&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0], &v6, &long_name, &[5, 0, 0, 3, 0, 0, 0]];
    for reply in replies {
        exchange(&plain, &self::v6(), &[&[5, 1, 0], request], &[&[5, 0], reply]);
    }
}

#[test]
fn socks5_logs_in_if_the_proxy_requires_it() {
    let proxy = proxy("socks5://al%20ice:s%3Acret@127.0.0.1:1080");
    let greeting: &[u8] = &[5, 2, 2, 0];
    let login: &[u8] = b"\x01\x06al ice\x06s:cret";
    let request: &[u8] = &[5, 1, 0, 1, 1, 2, 3, 4, 1, 2];
    let granted: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    // The version of the answer is 1 in RFC 1929; real proxies also send others.
    for version in [1, 5, 0] {
        exchange(&proxy, &v4(), &[greeting, login, request], &[&[5, 2], &[version, 0], granted]);
    }
    exchange(&proxy, &v4(), &[greeting, request], &[&[5, 0], granted]);
}

#[test]
fn a_user_without_a_password_logs_in_with_an_empty_one() {
    let granted: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let request: &[u8] = &[5, 1, 0, 1, 1, 2, 3, 4, 1, 2];
    for url in ["socks5://me@127.0.0.1:1080", "socks5://me:@127.0.0.1:1080"] {
        let ours: [&[u8]; 3] = [&[5, 2, 2, 0], b"\x01\x02me\x00", request];
        exchange(&proxy(url), &v4(), &ours, &[&[5, 2], &[1, 0], granted]);
    }
}

#[test]
fn an_ipv4_address_that_is_mapped_to_ipv6_is_requested_as_ipv4() {
    let mapped = "[::ffff:1.2.3.4]:258".parse().unwrap();
    let sent = |url: &str| {
        let mut sent = Vec::new();
        Tunnel::new(&proxy(url), &mapped, &mut sent);
        sent
    };
    assert_eq!(sent("socks4://127.0.0.1:1"), [4, 1, 1, 2, 1, 2, 3, 4, 0]);
    assert_eq!(sent("http://127.0.0.1:1"), b"CONNECT 1.2.3.4:258 HTTP/1.1\r\nHost: 1.2.3.4:258\r\n\r\n");
    let granted: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let request: &[u8] = &[5, 1, 0, 1, 1, 2, 3, 4, 1, 2];
    exchange(&proxy("socks5://127.0.0.1:1"), &mapped, &[&[5, 1, 0], request], &[&[5, 0], granted]);
}

#[test]
fn socks5_refusals_are_reported() {
    let url = "socks5://127.0.0.1:1080";
    for code in 1..=255 {
        assert_eq!(outcome(url, &[&[5, 0], &[5, code]]), Err(ProxyError::Socks5 { code }));
    }
    assert_eq!(outcome(url, &[&[5, 0xff]]), Err(ProxyError::NoAcceptableMethod));
    let with_login = "socks5://user:password@127.0.0.1:1080";
    for (version, failure) in (1..=255).flat_map(|failure| [(1, failure), (5, failure)]) {
        assert_eq!(outcome(with_login, &[&[5, 2], &[version, failure]]), Err(ProxyError::Credentials));
    }
    let reported = |code| ProxyError::Socks5 { code }.to_string();
    assert_eq!(reported(5), "SOCKS5 reply 5, connection refused");
    assert_eq!(reported(0xf0), "SOCKS5 reply 240, the onion service's descriptor was not found");
    assert!((0xf0..=0xf7).all(|code| reported(code).contains("onion")));
    assert_eq!(reported(0xf8), "SOCKS5 reply 248, an unknown one");
}

#[test]
fn an_invalid_socks5_answer_is_reported_at_the_first_byte_that_shows_it() {
    let url = "socks5://127.0.0.1:1080";
    let begins = |first| Err(ProxyError::Protocol { expected: "SOCKS5", first });
    assert_eq!(outcome(url, &[b"H"]), begins(b'H'));
    assert_eq!(outcome(url, &[&[5, 0], &[4]]), begins(4));
    let reported = ProxyError::Protocol { expected: "SOCKS5", first: b'H' }.to_string();
    assert_eq!(reported, "it does not use SOCKS5: its answer begins with 0x48, as HTTP answers do");
    // A method that was not offered: a login without credentials, and an unknown method.
    for method in [1, 2, 3, 0xfe] {
        assert!(matches!(outcome(url, &[&[5, method]]), Err(ProxyError::Malformed(_))));
    }
    assert!(matches!(outcome(url, &[&[5, 0], &[5, 0, 0, 2]]), Err(ProxyError::Malformed(_))));
}

#[test]
fn socks4_requests_an_address_and_4a_a_name() {
    let granted: &[u8] = &[0, 90, 1, 2, 3, 4, 5, 6];
    exchange(&proxy("socks4://127.0.0.1:1"), &v4(), &[&[4, 1, 1, 2, 1, 2, 3, 4, 0]], &[granted]);
    let with_id = b"\x04\x01\x01\x02\x01\x02\x03\x04me\x00";
    exchange(&proxy("socks4://me@127.0.0.1:1"), &v4(), &[with_id], &[granted]);
    let by_name = b"\x04\x01\x01\x02\x00\x00\x00\x01me\x00relay.example\x00";
    exchange(&proxy("socks4a://me@127.0.0.1:1"), &name(), &[by_name], &[granted]);
}

#[test]
fn socks4_refusals_are_reported() {
    for code in (0..=255).filter(|code| *code != 90) {
        // The whole reply, and its first two bytes, which are enough.
        for answer in [&[0, code, 0, 0, 0, 0, 0, 0][..], &[0, code]] {
            assert_eq!(outcome("socks4a://127.0.0.1:1", &[answer]), Err(ProxyError::Socks4 { code }));
        }
    }
    let begins = ProxyError::Protocol { expected: "SOCKS4", first: 5 };
    assert_eq!(outcome("socks4a://127.0.0.1:1", &[&[5]]), Err(begins));
}

#[test]
fn http_requests_each_kind_of_address() {
    let plain = proxy("http://127.0.0.1:3128");
    for (target, authority) in [(v4(), "1.2.3.4:258"), (v6(), "[1:2::ff]:258"), (name(), "relay.example:258")]
    {
        let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        exchange(&plain, &target, &[request.as_bytes()], &[b"HTTP/1.1 200 OK\r\n\r\n"]);
    }
}

#[test]
fn http_sends_basic_credentials_at_once() {
    // The example of RFC 7617, section 2.
    let proxy = proxy("http://Aladdin:open%20sesame@127.0.0.1:3128");
    let request = b"CONNECT 1.2.3.4:258 HTTP/1.1\r\nHost: 1.2.3.4:258\r\n\
        Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n";
    exchange(&proxy, &v4(), &[request], &[b"HTTP/1.1 200 OK\r\n\r\n"]);
}

#[test]
fn http_answers_of_any_shape_open_the_tunnel() {
    let plain = proxy("http://127.0.0.1:3128");
    let request = b"CONNECT 1.2.3.4:258 HTTP/1.1\r\nHost: 1.2.3.4:258\r\n\r\n";
    let answers: [&[u8]; 8] = [
        b"HTTP/1.0 200 Connection established\r\nProxy-agent: tiny/1\r\n\r\n",
        b"HTTP/1.1 200\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 299 Odd\r\nA: 1\r\nB: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\nA: only line feeds\n\n",
        b"HTTP/1.1 200 OK\r\nfolded:\r\n on two lines\r\nno colon at all\r\n: no name\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\nA: 1\r\n\r\nHTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: carriage\rreturn\r\r\n\r\n",
    ];
    for answer in answers {
        exchange(&plain, &v4(), &[request], &[answer]);
    }
}

#[test]
fn http_refusals_are_reported_with_status_and_reason() {
    let url = "http://127.0.0.1:3128";
    let reported = |answer: &[u8]| outcome(url, &[answer]).unwrap_err().to_string();
    // "200" outside the status does not open the tunnel.
    assert_eq!(reported(b"HTTP/1.1 502 200 OK\r\n\r\n200"), "HTTP status 502 200 OK");
    assert_eq!(reported(b"HTTP/1.1 302 Found\r\nLocation: x\r\n\r\n"), "HTTP status 302 Found");
    let long = [&b"HTTP/1.1 403 "[..], &[b'x'; 200], b"\r\n\r\n"].concat();
    assert_eq!(reported(&long), format!("HTTP status 403 {}", "x".repeat(47)));
    assert_eq!(reported(b"HTTP/1.1 403 \r\n\r\n"), "HTTP status 403");
    assert_eq!(reported(b"HTTP/1.1 403\n"), "HTTP status 403");
}

#[test]
fn the_reason_of_a_refusal_is_shown_in_any_language_without_control_characters() {
    let reported = |answer: &[u8]| outcome("http://127.0.0.1:3128", &[answer]).unwrap_err().to_string();
    assert_eq!(reported(b"HTTP/1.1 403 Acc\xe8s refus\xe9\r\n"), "HTTP status 403 Accès refusé");
    assert_eq!(reported("HTTP/1.1 403 Accès refusé\r\n".as_bytes()), "HTTP status 403 Accès refusé");
    assert_eq!(reported(b"HTTP/1.1 403 \x1b[2Jx\x9by\r\n"), "HTTP status 403 ?[2Jx?y");
}

#[test]
fn the_schemes_in_a_407_are_reported() {
    let reported = |headers: &str| {
        let answer = format!("HTTP/1.1 407 Proxy Authentication Required\r\n{headers}\r\n");
        match outcome("http://127.0.0.1:3128", &[answer.as_bytes()]) {
            Err(ProxyError::Unauthorized { schemes }) => schemes.as_str().to_owned(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(reported(""), "");
    assert_eq!(reported("Server: x\r\nProxy-Authenticate: Basic realm=\"x\"\r\n"), "Basic");
    // Schemes in several headers, and several in one; each is listed once. Commas and names in quotes are ignored.
    let several =
        "PROXY-AUTHENTICATE: Negotiate\r\nproxy-authenticate:NTLM\r\nProxy-Authenticate: negotiate abc==\r\n";
    assert_eq!(reported(several), "Negotiate, NTLM");
    let one =
        "Proxy-Authenticate: Digest realm=\"a, Fake b\", nonce = \"c\", qop=auth, Basic realm=\"d\"\r\n";
    assert_eq!(reported(one), "Digest, Basic");
    let escaped = "Proxy-Authenticate: Digest realm=\"a\\\", Kerberos b\\\\\", Basic realm=\"d\"\r\n";
    assert_eq!(reported(escaped), "Digest, Basic");
    // Other headers, and headers without a scheme.
    assert_eq!(reported("WWW-Authenticate: Basic\r\nProxy-Authenticate:\r\nProxy-Authenticate\r\n"), "");
    // The text shown is short, and has no control characters for a terminal.
    assert_eq!(reported("Proxy-Authenticate: \x1b[2J\r\n"), "?[2J");
    let many: String = (0..100).map(|number| format!("Proxy-Authenticate: Scheme{number}\r\n")).collect();
    assert_eq!(reported(&many), "Scheme0, Scheme1, Scheme2, Scheme3, Scheme4, Sc");

    let reported = |schemes| ProxyError::Unauthorized { schemes: Phrase::new(schemes) }.to_string();
    assert_eq!(reported("Basic, NTLM"), "HTTP status 407, it requires (other) credentials: Basic, NTLM");
    assert_eq!(reported(""), "HTTP status 407, it requires (other) credentials");
}

/// The refusal that is known when the proxy's connection ends after this answer.
fn begun(url: &str, answer: &[u8]) -> Option<ProxyError> {
    let mut sent = Vec::new();
    let mut tunnel = Tunnel::new(&proxy(url), &name(), &mut sent);
    match tunnel.receive(&mut &mut answer.to_vec()[..], &mut sent) {
        Ok(_) => tunnel.refusal(),
        Err(error) => Some(error),
    }
}

#[test]
fn an_incomplete_refusal_is_reported_as_far_as_it_has_arrived() {
    let url = "http://127.0.0.1:3128";
    let reported = |answer: &str| begun(url, answer.as_bytes()).map(|error| error.to_string());
    for (answer, refusal) in [
        ("HTTP/1.0 403 Forbidden\r\nServer: x", Some("HTTP status 403 Forbidden")),
        ("HTTP/1.0 403 Forbidden\r\n", Some("HTTP status 403 Forbidden")),
        ("HTTP/1.0 403 Forbidden\r", Some("HTTP status 403 Forbidden")),
        ("HTTP/1.0 403 Forb", Some("HTTP status 403 Forb")),
        ("HTTP/1.0 403", Some("HTTP status 403")),
        ("HTTP/1.0 40", None),
        ("HTTP/1.", None),
        ("", None),
        ("HTTP/1.0 200 OK\r\n", None),
        ("HTTP/1.0 100 Continue\r\n\r\n", None),
        ("HTTP/1.0 100 Continue\r\n\r\nHTTP/1.1 502", Some("HTTP status 502")),
        ("HTTP/1.0 407", Some("HTTP status 407, it requires (other) credentials")),
        ("HTTP/1.0 407 X\r\nA: b\r\n", Some("HTTP status 407, it requires (other) credentials")),
        (
            "HTTP/1.0 407 X\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: Basic rea",
            Some("HTTP status 407, it requires (other) credentials: NTLM, Basic"),
        ),
    ] {
        assert_eq!(reported(answer).as_deref(), refusal, "{answer:?}");
    }
    // SOCKS refuses in the second byte; the first is not a refusal.
    assert_eq!(begun("socks5://127.0.0.1:1080", &[5]), None);
    assert_eq!(begun("socks4a://127.0.0.1:1080", &[0]), None);
}

#[test]
fn an_answer_that_is_not_http_is_reported_before_any_line_ends() {
    let url = "http://127.0.0.1:3128";
    for answer in ["200 OK\r\n\r\n", "SSH-2.0-x", "\r\n\r\n", "\x15\x03\x01", "\x05\x01"] {
        let first = answer.as_bytes()[0];
        let expected = Err(ProxyError::Protocol { expected: "HTTP", first });
        assert_eq!(outcome(url, &[answer.as_bytes()]), expected, "{answer:?}");
    }
    let reported = outcome(url, &[b"\x15"]).unwrap_err().to_string();
    assert_eq!(reported, "it does not use HTTP: its answer begins with 0x15, as TLS servers' answers do");
    for answer in
        ["HTTP/2", "HTML", "\n", "HTTP/1.1 2 OK\n", "HTTP/1.x 200 OK\n", "HTTP/1.1\n", "HTTP/1.1 200OK\n"]
    {
        let result = outcome(url, &[answer.as_bytes()]);
        assert!(matches!(result, Err(ProxyError::Malformed(_))), "{answer:?}: {result:?}");
    }
}

#[test]
fn http_answers_are_limited_to_16_kib() {
    let url = "http://127.0.0.1:3128";
    let header = [b'a'; 1000];
    for endless in [
        &b"HTTP/1.1 200 OK\r\nA: "[..],
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ",
        b"HTTP/1.1 403 ",
        b"HTTP/1.1 407 ",
        b"HTTP/1.1 407 X\r\nProxy-Authenticate: Basic ",
    ] {
        let mut answers = vec![endless];
        answers.extend([&header[..]; 16]);
        assert_eq!(outcome(url, &answers), Ok(Progress::Waiting));
        answers.push(&header);
        let schemes = |schemes| ProxyError::Unauthorized { schemes: Phrase::new(schemes) };
        match (endless[10], outcome(url, &answers)) {
            (b'0', Err(refusal)) if endless.ends_with(b"407 ") => assert_eq!(refusal, schemes("")),
            (b'0', Err(refusal)) if endless.ends_with(b"Basic ") => assert_eq!(refusal, schemes("Basic")),
            (b'0', Err(ProxyError::Http { status: 403, .. })) if endless[9] == b'4' => {}
            (_, outcome) => assert!(matches!(outcome, Err(ProxyError::Malformed(_))), "{outcome:?}"),
        }
    }
}

#[test]
fn the_longest_messages_fit_the_buffer_that_must_not_grow() {
    let longest = "x".repeat(255);
    let target = (longest.as_str(), 65535).try_into().unwrap();
    let address = "127.0.0.1:1".parse().unwrap();
    for proxy in [Proxy::socks5(address), Proxy::http(address)] {
        let mut request = Vec::with_capacity(MAX_REQUEST);
        Tunnel::new(&proxy.credentials(&longest, &longest).unwrap(), &target, &mut request);
        assert_eq!(request.capacity(), MAX_REQUEST);
    }
}
