//! `tox-relay`, the tool for operators, with `tox-bootstrapd` and real proxies.

use std::path::PathBuf;
use std::process::Command;

use interop::{Bootstrapd, PASSWORD, ProxyKind, RealProxy, USER};
use tox_relay_client::PublicKey;

/// Returns the standard output and the status of a probe with few pings.
fn probe(arguments: &[&str]) -> (String, Option<i32>) {
    let quick = ["probe", "-c", "5", "-i", "0.02", "-W", "5", "--format", "json"];
    let output = Command::new(program()).args(quick).args(arguments).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (format!("{stdout}{stderr}"), output.status.code())
}

/// `cargo test --workspace` builds it next to the folder of the tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built =
        test.parent().unwrap().with_file_name("tox-relay").with_extension(std::env::consts::EXE_EXTENSION);
    assert!(built.exists(), "`cargo build -p tox-relay-tools` first");
    built
}

/// The arguments for this relay.
fn words(relay: &Bootstrapd) -> [String; 2] {
    [relay.addr().to_string(), PublicKey::from(relay.public_key()).to_string()]
}

#[track_caller]
fn assert_told(relay: &Bootstrapd, others: &[&str], status: i32, parts: &[&str]) {
    let [address, key] = &words(relay);
    let (told, ended) = probe(&[&[address.as_str(), key], others].concat());
    assert_eq!(ended, Some(status), "{told}");
    for part in parts {
        assert!(told.contains(part), "no {part} in {told}");
    }
}

#[test]
fn the_real_relay_passes_everything_that_is_tried() {
    let relay = Bootstrapd::start().unwrap();
    let parts = [
        r#""state":"up","reason":"ok""#,
        r#""largest_data":2031,"largest_oob":1024"#,
        r#""sent":32,"received":32"#,
        r#""routes":240"#,
        r#""onion":{"result":"answered""#,
        r#""forward":{"result":"answered""#,
        r#""errors":[]"#,
    ];
    assert_told(&relay, &["--test", "all"], 0, &parts);
    // It looks at its sockets every 30 ms or so, which is slow by this measure.
    assert_told(&relay, &["--warn", "1ms", "-c", "15", "-i", "0.1"], 1, &[r#""reason":"slow""#]);
}

#[test]
fn the_real_relay_is_probed_by_ipv6() {
    let relay = Bootstrapd::start_ipv6().unwrap();
    assert_told(&relay, &["--test", "onion,forward"], 0, &[r#""way":"ipv6""#, r#""state":"up""#]);
}

#[test]
fn a_real_relay_that_hangs_is_silent_and_one_that_was_killed_refuses() {
    let mut relay = Bootstrapd::start().unwrap();
    relay.suspend().unwrap();
    assert_told(&relay, &["-W", "1"], 2, &[r#""reason":"silent""#]);
    relay.kill();
    assert_told(&relay, &[], 2, &[r#""reason":"refused""#]);
}

#[test]
fn the_real_relay_is_probed_through_each_kind_of_proxy() {
    let relay = Bootstrapd::start().unwrap();
    for (kind, scheme, user) in [
        (ProxyKind::Microsocks { login: true }, "socks5", true),
        (ProxyKind::Dante, "socks4", false),
        (ProxyKind::Tinyproxy { login: false }, "http", false),
    ] {
        let proxy = RealProxy::start(kind).unwrap();
        let login = if user { format!("{USER}:{PASSWORD}@") } else { String::new() };
        let url = format!("{scheme}://{login}{}", proxy.address());
        let way = format!(r#""way":"{scheme}""#);
        assert_told(&relay, &["--proxy", &url], 0, &[&way, r#""state":"up""#]);
    }
}

#[test]
fn a_real_proxy_that_wants_a_login_or_cannot_reach_the_relay_is_told_apart() {
    let mut relay = Bootstrapd::start().unwrap();
    let proxy = RealProxy::start(ProxyKind::Microsocks { login: true }).unwrap();
    let url = format!("socks5://{}", proxy.address());
    assert_told(&relay, &["-x", &url], 3, &[r#""state":"proxy","reason":"proxy-login""#]);
    relay.kill();
    let url = format!("socks5://{USER}:{PASSWORD}@{}", proxy.address());
    assert_told(&relay, &["-x", &url], 2, &[r#""state":"down","reason":"not-reached""#]);
}
