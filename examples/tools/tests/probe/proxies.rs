//! Through proxies, alive and dead.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;
use tox_relay_client::PublicKey;
use tox_test_relay::Conduct;

use crate::program::{any_key, dead_port, drain, pass, probe, probe_one, relay, serve, silent_port};

/// A SOCKS5 server without a login. Each name is one of this machine.
fn socks5() -> SocketAddr {
    serve(|client| _ = serve_socks5(client))
}

fn serve_socks5(mut client: TcpStream) -> io::Result<()> {
    let mut methods = [0; 2];
    client.read_exact(&mut methods)?;
    client.read_exact(&mut vec![0; methods[1].into()])?;
    client.write_all(&[5, 0])?;
    let mut request = [0; 4];
    client.read_exact(&mut request)?;
    let ip = if request[3] == 3 {
        let mut len = [0];
        client.read_exact(&mut len)?;
        client.read_exact(&mut vec![0; len[0].into()])?;
        Ipv4Addr::LOCALHOST
    } else {
        let mut ip = [0; 4];
        client.read_exact(&mut ip)?;
        ip.into()
    };
    let mut port = [0; 2];
    client.read_exact(&mut port)?;
    let server = TcpStream::connect((ip, u16::from_be_bytes(port)));
    let reply = if server.is_ok() { 0 } else { 5 };
    client.write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0])?;
    pass(client, server?, Duration::ZERO);
    Ok(())
}

fn url(proxy: SocketAddr) -> String {
    format!("socks5h://{proxy}")
}

#[test]
fn a_relay_is_reached_through_a_proxy_and_the_tunnel_is_a_step_of_its_own() {
    let (relay, proxy) = (relay(Conduct::Honest), url(socks5()));
    let (object, status) = probe_one(relay.addr(), relay.public_key().into(), &["--proxy", &proxy]);
    assert_eq!((status, &object["state"], &object["way"]), (0, &json!("up"), &json!("socks5")), "{object}");
    assert!(object["tunnel"].as_f64().is_some_and(|seconds| seconds > 0.0), "{object}");
}

#[test]
fn a_name_is_resolved_by_the_proxy_alone() {
    let (relay, proxy) = (relay(Conduct::Honest), url(socks5()));
    let address = format!("no-such-relay.invalid:{}", relay.addr().port());
    let key = PublicKey::from(relay.public_key()).to_string();
    let ended = probe(&[&address, &key, "-x", &proxy, "-c", "1", "--format", "json"]);
    let object = &ended.json()[0];
    assert_eq!((ended.status, &object["address"]), (0, &json!(address)), "{object}");
}

#[test]
fn a_dead_proxy_is_told_as_a_dead_proxy_and_the_relay_is_not_asked_directly() {
    let relay = relay(Conduct::Honest);
    let (_socket, dead) = dead_port();
    let others = ["--proxy", &url(dead), "--test", "all"];
    let (object, status) = probe_one(relay.addr(), relay.public_key().into(), &others);
    assert_eq!(
        (status, &object["state"], &object["reason"]),
        (3, &json!("proxy"), &json!("proxy-down")),
        "{object}"
    );
    assert!(object["message"].as_str().unwrap().contains("the proxy's address"), "{object}");
    assert_eq!(relay.statistics().accepted, 0);
}

#[test]
fn a_silent_proxy_and_a_server_that_is_no_proxy_are_not_the_fault_of_the_relay() {
    let relay = relay(Conduct::Honest);
    let (_listener, silent) = silent_port();
    let ssh = serve(|mut client| {
        _ = client.write_all(b"SSH-2.0-OpenSSH_9.6\r\n");
        drain(client);
    });
    for (proxy, reason) in [(silent, "proxy-down"), (ssh, "proxy-error")] {
        let (object, status) = probe_one(relay.addr(), relay.public_key().into(), &["-x", &url(proxy)]);
        assert_eq!(
            (status, &object["state"], &object["reason"]),
            (3, &json!("proxy"), &json!(reason)),
            "{object}"
        );
    }
    assert_eq!(relay.statistics().accepted, 0);
}

#[test]
fn a_proxy_that_wants_a_login_is_told_as_such() {
    let proxy = serve(|mut client| {
        _ = client.read(&mut [0; 64]);
        _ = client.write_all(&[5, 0xff]);
    });
    let (object, status) = probe_one("192.0.2.1:1".parse().unwrap(), any_key(), &["-x", &url(proxy)]);
    assert_eq!((status, &object["reason"]), (3, &json!("proxy-login")), "{object}");
}

#[test]
fn a_relay_that_a_working_proxy_cannot_reach_is_down() {
    let (_socket, dead) = dead_port();
    let (object, status) = probe_one(dead, any_key(), &["-x", &url(socks5())]);
    assert_eq!(
        (status, &object["state"], &object["reason"]),
        (2, &json!("down"), &json!("not-reached")),
        "{object}"
    );
    assert!(object["message"].as_str().unwrap().contains("connection refused"), "{object}");
}

#[test]
fn what_listens_there_is_looked_at_through_the_proxy_alone() {
    // Wherever it is asked to connect to, it is the server itself, whose greeting follows at once.
    let proxy = serve(|mut client| {
        _ = client.read(&mut [0; 64]);
        _ = client.write_all(&[5, 0]);
        _ = client.read(&mut [0; 64]);
        _ = client.write_all(b"\x05\0\0\x01\0\0\0\0\0\0SSH-2.0-behind\r\n");
        drain(client);
    });
    let (_socket, dead) = dead_port();
    let (object, status) = probe_one(dead, any_key(), &["-x", &url(proxy), "-t", "banner"]);
    assert_eq!((status, &object["reason"]), (2, &json!("ssh")), "{object}");
    assert_eq!(object["listens"], "SSH: SSH-2.0-behind");
}
