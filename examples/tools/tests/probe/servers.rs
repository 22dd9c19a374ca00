//! Ports where something else listens, or nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::channel;

use serde_json::{Value, json};

use crate::program::{any_key, dead_port, drain, probe_all, probe_one, serve, silent_port};

/// A server that greets.
fn greets(greeting: &'static [u8]) -> SocketAddr {
    serve(move |mut client| {
        _ = client.write_all(greeting);
        drain(client);
    })
}

/// A server that answers the first bytes that it gets, and ends the connection.
fn answers(answer: &'static [u8]) -> SocketAddr {
    serve(move |mut client| {
        _ = client.read(&mut [0; 512]);
        _ = client.write_all(answer);
    })
}

/// A TLS alert: protocol version.
const ALERT: &[u8] = &[0x15, 3, 1, 0, 2, 2, 70];

/// How Python's `http.server` begins, which leaves out the status line if it takes the hello for HTTP/0.9.
const PAGE: &[u8] =
    b"<!DOCTYPE HTML>\n<html lang=\"en\">\n    <head>\n        <meta charset=\"utf-8\">\n    </head>\n";

#[track_caller]
fn assert_told(address: SocketAddr, others: &[&str], reason: &str, message: &str) -> Value {
    let (object, status) = probe_one(address, any_key(), others);
    assert_eq!((status, &object["reason"]), (2, &json!(reason)), "{object}");
    assert!(object["message"].as_str().unwrap().contains(message), "{object}");
    object
}

/// Probes all of these at once.
#[track_caller]
fn assert_all_told(cases: &[(SocketAddr, &str, &str, Value)], others: &[&str]) {
    let targets: Vec<_> = cases.iter().map(|(address, ..)| (*address, any_key())).collect();
    for ((_, reason, message, listens), object) in cases.iter().zip(probe_all(&targets, others)) {
        assert_eq!((&object["reason"], &object["listens"]), (&json!(reason), listens), "{object}");
        assert!(object["message"].as_str().unwrap().contains(message), "{object}");
    }
}

#[test]
fn other_servers_that_speak_first_or_answer_our_hello_are_named() {
    let cases = [
        (
            greets(b"SSH-2.0-OpenSSH_9.6\r\n"),
            "ssh",
            "the port is open, but an SSH server answers",
            json!(null),
        ),
        (answers(ALERT), "tls", "the port is open, but a TLS server answers", json!(null)),
        (answers(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "http", "but an HTTP server answers", json!(null)),
        (answers(PAGE), "http", "but an HTTP server answers", json!(null)),
        (greets(b"220 mail.example ESMTP\r\n"), "mail", "but a mail or FTP server answers", json!(null)),
    ];
    assert_all_told(&cases, &[]);
}

#[test]
fn a_short_answer_that_ends_is_told_as_that_and_not_as_a_wrong_key() {
    let cases = [(answers(b"what?"), "not-tox", "it sent 5 bytes, and closed the connection", json!(null))];
    assert_all_told(&cases, &[]);
}

#[test]
fn a_long_answer_that_no_relay_gives_is_not_told_as_a_relay_with_another_key() {
    let cases =
        [(answers(&[b'x'; 200]), "bad-response", "not a Tox relay, or the key is wrong", json!(null))];
    assert_all_told(&cases, &[]);
}

#[test]
fn what_listens_there_is_looked_at_if_asked_for() {
    let cases = [
        (greets(b"SSH-2.0-OpenSSH_9.6\r\n"), "ssh", "an SSH server", json!("SSH: SSH-2.0-OpenSSH_9.6")),
        (answers(ALERT), "tls", "a TLS server", json!("TLS")),
        (
            greets(b"220 mail.example ESMTP\r\n"),
            "mail",
            "a mail or FTP server",
            json!("text: 220 mail.example ESMTP"),
        ),
        (greets(b"* OK IMAP4 ready\r\n"), "not-tox", "is not a relay", json!("text: * OK IMAP4 ready")),
    ];
    assert_all_told(&cases, &["--test", "banner"]);
}

#[test]
fn a_server_that_waits_for_a_whole_request_is_recognised_by_its_answer() {
    // It says nothing to our hello, which has no line.
    let address = serve(|mut client| {
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|len| len > 0) {
            request.push(byte[0]);
        }
        if request.starts_with(b"HEAD / HTTP/1.0\r\n") {
            _ = client.write_all(b"HTTP/1.0 200 OK\r\n\r\n");
        }
    });
    assert_told(address, &[], "silent", "nothing answers the handshake");
    let object = assert_told(address, &["--test", "banner"], "http", "an HTTP server answers");
    assert_eq!(object["listens"], "HTTP: HTTP/1.0 200 OK");
}

#[test]
fn a_silent_port_is_open_and_silent() {
    let (_listener, address) = silent_port();
    let object =
        assert_told(address, &["--test", "banner"], "silent", "the port is open, but nothing answers");
    assert_eq!((&object["state"], &object["listens"]), (&json!("down"), &json!("silence")));
    assert!(object["tcp"].is_f64() && object["handshake"].is_null(), "{object}");
}

#[test]
fn a_dead_port_is_refused_and_nobody_looks_at_it_again() {
    let (_socket, address) = dead_port();
    let object = assert_told(address, &["--test", "banner"], "refused", "nothing listens at this port");
    assert_eq!((&object["tcp"], &object["listens"]), (&json!(null), &json!(null)));
}

#[test]
fn the_plain_connection_sends_nothing_before_it_has_listened() {
    let (sender, requests) = channel();
    let address = serve(move |mut client: TcpStream| {
        let mut first = [0; 512];
        let len = client.read(&mut first).unwrap_or_default();
        _ = sender.send(first[..len].to_vec());
        _ = client.write_all(b"?\n");
    });
    probe_one(address, any_key(), &["--test", "banner"]);
    let (hello, request) = (requests.recv().unwrap(), requests.recv().unwrap());
    assert_eq!((hello.len(), &*request), (128, &b"HEAD / HTTP/1.0\r\n\r\n"[..]));
}
