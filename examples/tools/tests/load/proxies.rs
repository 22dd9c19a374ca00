//! Through proxies, alive and dead.

use std::net::{Ipv4Addr, TcpListener};

use tox_test_relay::Conduct;

use crate::forwarder::Forwarder;
use crate::program::{relay, run, target};

#[test]
fn all_connections_are_made_through_the_proxy() {
    let relay = relay(Conduct::Honest);
    let proxy = Forwarder::socks5(relay.addr());
    let ended = run(&target(&relay), &["--proxy", &format!("socks5://{}", proxy.address())]);
    assert_eq!(ended.status, 0, "{}", ended.output);
    assert_eq!((proxy.accepted(), relay.statistics().accepted), (14, 14));
}

#[test]
fn a_dead_proxy_is_told_as_a_dead_proxy_and_the_relay_is_not_reached_directly() {
    let relay = relay(Conduct::Honest);
    let dead = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let ended = run(&target(&relay), &["--proxy", &format!("socks5://{dead}")]);
    let summary = ended.summary();
    assert_eq!((ended.status, &summary["outcome"]), (3, &"proxy".into()), "{}", ended.output);
    assert!(summary["message"].as_str().unwrap().contains("the proxy"), "{summary}");
    assert_eq!(relay.statistics().accepted, 0);
}
