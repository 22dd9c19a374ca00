//! What is refused before anything is connected.

use std::net::{Ipv4Addr, TcpListener};

use tox_test_relay::Conduct;

use crate::forwarder::Forwarder;
use crate::program::{Program, SHORT, hex, relay, target};

/// Nobody may be connected to these by a test: documentation addresses, public ones, and others that are not private.
const FOREIGN: [&str; 6] = [
    "192.0.2.1:33445",
    "8.8.8.8:33445",
    "[2001:db8::1]:33445",
    "[::ffff:8.8.8.8]:33445",
    "0.0.0.0:33445",
    "100.64.0.1:33445",
];

#[test]
fn relays_of_others_are_refused() {
    for address in FOREIGN {
        let ended = Program::load(&[address.into(), hex(&[9; 32])], &SHORT).end();
        assert_eq!((ended.status, ended.output.as_str()), (3, ""), "{address}");
        assert!(ended.errors.contains("--i-run-this-relay"), "{}", ended.errors);
    }
}

#[test]
fn relays_of_others_are_not_reached_through_a_proxy_either() {
    let relay = relay(Conduct::Honest);
    let proxy = Forwarder::socks5(relay.addr());
    let url = format!("socks5://{}", proxy.address());
    for address in FOREIGN.into_iter().chain(["relay.example:33445", "localhost:33445"]) {
        let arguments = [&SHORT[..], &["--proxy", &url]].concat();
        let ended = Program::load(&[address.into(), hex(&[9; 32])], &arguments).end();
        assert_eq!((ended.status, ended.output.as_str()), (3, ""), "{address}");
    }
    assert_eq!(proxy.accepted(), 0);
}

#[test]
fn proxies_of_others_are_refused_also_for_a_private_relay() {
    let relay = relay(Conduct::Honest);
    for address in FOREIGN {
        let url = format!("socks5://{address}");
        let arguments = [&SHORT[..], &["--proxy", &url]].concat();
        let ended = Program::load(&target(&relay), &arguments).end();
        assert_eq!((ended.status, ended.output.as_str()), (3, ""), "{address}");
        assert!(ended.errors.contains("the proxy"), "{}", ended.errors);
        assert!(ended.errors.contains("--i-run-this-relay"), "{}", ended.errors);
    }
    assert_eq!(relay.statistics().accepted, 0);
}

#[test]
fn who_runs_a_relay_may_load_it_wherever_it_is() {
    let relay = relay(Conduct::Honest);
    // This proxy leads to our relay, whatever the address.
    let proxy = Forwarder::socks5(relay.addr());
    let url = format!("socks5://{}", proxy.address());
    let arguments = [&SHORT[..], &["--proxy", &url, "--i-run-this-relay"]].concat();
    let ended = Program::load(&["192.0.2.1:33445".into(), hex(&relay.public_key())], &arguments).end();
    assert_eq!(ended.status, 0, "{}{}", ended.output, ended.errors);
}

#[test]
fn a_limit_of_descriptors_that_is_too_low_is_told_before_the_start() {
    let relay = relay(Conduct::Honest);
    let ended = Program::load_limited(60, &target(&relay), &["--connections", "100"]).end();
    assert_eq!((ended.status, ended.output.as_str()), (3, ""));
    assert!(ended.errors.contains("ulimit -n 134"), "{}", ended.errors);
    assert_eq!(relay.statistics().accepted, 0);
}

#[test]
fn wrong_usage_is_told_and_nothing_is_connected() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let relay = [listener.local_addr().unwrap().to_string(), hex(&[9; 32])];
    for (arguments, words) in [
        (&["--pairs", "51"][..], "102 connections"),
        (&["--pairs", "9999999999999999999"], "pairs need"),
        (&["--connections", "9999999999999999999"], "1000000 connections"),
        (&["--size", "10"], "20 to 2031"),
        (&["--size", "1400-100"], "20 to 2031"),
        (&["--rate", "fast"], "number"),
        (&["--oob", "0.1"], "percentage"),
        (&["--until", "p98<1ms"], "p99.9"),
        (&["--search", "everything"], "connections, throughput"),
        (&["--search", "throughput", "--rate", "max"], "--rate"),
        (&["--search", "throughput", "--pairs", "0"], "--pairs"),
        (&["--rate", "max", "--pairs", "0"], "--pairs"),
        (&["--proxy", "ftp://127.0.0.1:1"], "ftp"),
        (&["--time", "soon"], "--time"),
        (&["--time", "0"], "zero"),
        (&["--warm-up", "18446744073709000000"], "a week"),
        (&["--abort-above", "0"], "zero"),
        (&["--churn", "101"], "at most 100"),
        (&["--plot", "/no-such-folder/plot.svg"], "/no-such-folder/plot.svg"),
        (&["--connect-rate", "0"], "zero"),
        (&["--unknown"], "--unknown"),
    ] {
        let ended = Program::load(&relay, arguments).end();
        assert_eq!((ended.status, ended.output.as_str()), (3, ""), "{arguments:?}");
        assert!(ended.errors.contains(words), "{arguments:?}: {}", ended.errors);
    }
    for (address, key) in [("127.0.0.1", relay[1].as_str()), (&relay[0], "ABCD"), ("::1:33445", &relay[1])] {
        let ended = Program::load(&[address.into(), key.into()], &SHORT).end();
        assert_eq!((ended.status, ended.output.as_str()), (3, ""), "{address} {key}");
    }
    assert!(listener.accept().is_err());
}

#[test]
fn a_name_needs_a_proxy() {
    let arguments = [&SHORT[..], &["--i-run-this-relay"]].concat();
    let ended = Program::load(&["relay.example:33445".into(), hex(&[9; 32])], &arguments).end();
    assert_eq!(ended.status, 3);
    assert!(ended.errors.contains("host name"), "{}", ended.errors);
}
