//! Relays that behave, and relays that do not.

use serde_json::{Value, json};
use tox_test_relay::switch::Rules;
use tox_test_relay::{Conduct, Options, Relay, kind};

use crate::program::{any_key, probe_all, probe_conduct, probe_one, relay, slowed};

#[track_caller]
fn assert_reason(conduct: Conduct, state: &str, reason: &str) -> Value {
    let description = format!("{conduct:?}");
    let (object, status) = probe_conduct(conduct, &[]);
    assert_eq!(
        (&object["state"], &object["reason"]),
        (&json!(state), &json!(reason)),
        "{description}: {object}"
    );
    assert_eq!(status, 2, "{description}");
    assert_eq!(object["errors"][0]["message"], object["message"], "{description}");
    object
}

#[test]
fn an_honest_relay_is_up_and_everything_is_measured() {
    for conduct in [Conduct::Honest, Conduct::OneByte] {
        let (object, status) = probe_conduct(conduct, &[]);
        assert_eq!(
            (status, &object["state"], &object["reason"]),
            (0, &json!("up"), &json!("ok")),
            "{object}"
        );
        for measured in ["tcp", "handshake", "proof", "oob", "route", "echo"] {
            assert!(object[measured].as_f64().is_some_and(|seconds| seconds > 0.0), "{measured}: {object}");
        }
        let ping = &object["ping"];
        assert_eq!((&ping["sent"], &ping["lost"]), (&json!(2), &json!(0)));
        assert!(
            ping["min"].as_f64() <= ping["median"].as_f64()
                && ping["median"].as_f64() <= ping["max"].as_f64()
        );
        assert_eq!(
            (&object["tunnel"], &object["message"], &object["errors"]),
            (&json!(null), &json!(null), &json!([]))
        );
        assert_eq!((&object["way"], &object["reach"]), (&json!("ipv4"), &json!("1")));
    }
}

#[test]
fn what_is_tried_by_name_is_in_the_result() {
    let (object, status) = probe_conduct(Conduct::Honest, &["--test", "all"]);
    assert_eq!(status, 0, "{object}");
    assert_eq!((&object["largest_data"], &object["largest_oob"]), (&json!(2031), &json!(1024)));
    assert_eq!((&object["burst"]["sent"], &object["burst"]["received"]), (&json!(32), &json!(32)));
    assert_eq!(object["routes"], 240);
    assert_eq!(
        (&object["onion"]["result"], &object["forward"]["result"]),
        (&json!("answered"), &json!("answered"))
    );
    assert_eq!(object["listens"], json!(null));
}

#[test]
fn a_relay_without_the_dht_ignores_onion_requests_and_drops_clients_that_forward() {
    let rules = Rules { dht: false, ..Rules::default() };
    let relay = Relay::start(Options { rules, ..Options::default() }).unwrap();
    let (object, status) = probe_one(relay.addr(), relay.public_key().into(), &["--test", "onion,forward"]);
    assert_eq!((status, &object["reason"]), (0, &json!("ok")), "{object}");
    assert_eq!(
        (&object["onion"]["result"], &object["forward"]["result"]),
        (&json!("accepted"), &json!("refused"))
    );
}

#[test]
fn a_stranger_gets_two_connections_and_nothing_that_was_not_asked_for() {
    let relay = relay(Conduct::Honest);
    let (object, _) = probe_one(relay.addr(), relay.public_key().into(), &[]);
    for extra in ["largest_data", "largest_oob", "burst", "routes", "onion", "forward", "listens"] {
        assert_eq!(object[extra], json!(null), "{extra}");
    }
    assert_eq!(relay.statistics().accepted, 2);
}

#[test]
fn a_relay_with_another_key_is_told_apart_from_one_that_is_down() {
    // Honest relays cannot read a hello for another key, and close.
    let relay = relay(Conduct::Honest);
    let (object, status) = probe_one(relay.addr(), any_key(), &[]);
    assert_eq!((status, &object["reason"]), (2, &json!("maybe-wrong-key")), "{object}");
    assert!(object["message"].as_str().unwrap().contains("the key may be wrong"), "{object}");
    // Only others answer.
    assert_reason(Conduct::WrongKey, "impostor", "bad-response");
}

#[test]
fn impostors_are_named() {
    for conduct in [Conduct::ReflectHello, Conduct::ReflectTemporaryKey, Conduct::LowOrderKey] {
        let description = format!("{conduct:?}");
        let (object, status) = probe_conduct(conduct, &[]);
        assert_eq!((status, &object["state"]), (2, &json!("impostor")), "{description}: {object}");
        assert_eq!(object["ping"]["sent"], 0, "{description}");
    }
    assert_reason(Conduct::Garbage(vec![0; 96]), "impostor", "bad-response");
}

#[test]
fn a_server_that_closes_resets_or_says_nothing_is_told_with_the_step() {
    let cases = [
        (Conduct::CloseAfterHello, "maybe-wrong-key", "handshake"),
        (Conduct::ResetAfterHello, "maybe-wrong-key", "handshake"),
        (Conduct::Deaf, "silent", "handshake"),
        (Conduct::Mute, "silent", "handshake"),
        (Conduct::CloseAfterHandshake, "unproved", "confirming"),
        (Conduct::ResetAfterHandshake, "unproved", "confirming"),
        (Conduct::DeafAfterHandshake, "unproved", "confirming"),
        (Conduct::NoPong, "unproved", "confirming"),
    ];
    let relays: Vec<Relay> = cases.iter().map(|(conduct, ..)| relay(conduct.clone())).collect();
    let targets: Vec<_> = relays.iter().map(|relay| (relay.addr(), relay.public_key().into())).collect();
    for ((conduct, reason, step), object) in cases.iter().zip(probe_all(&targets, &[])) {
        assert_eq!(
            (&object["state"], &object["reason"]),
            (&json!("down"), &json!(reason)),
            "{conduct:?}: {object}"
        );
        assert_eq!(object["errors"][0]["stage"], *step, "{conduct:?}: {object}");
        assert_eq!((&object["proof"], &object["reach"]), (&json!(null), &json!("0")), "{conduct:?}");
        assert_eq!(object["handshake"].is_null(), *step == "handshake", "{conduct:?}: {object}");
    }
}

#[test]
fn bytes_that_cannot_be_decrypted_after_the_response_are_a_replay() {
    assert_reason(Conduct::GarbageAfterHandshake(vec![0; 40]), "impostor", "replay");
}

#[test]
fn a_packet_that_breaks_the_protocol_is_a_violation() {
    let unsolicited = Conduct::Unsolicited(vec![vec![0x0f, 1]]);
    let object = assert_reason(unsolicited, "violation", "violation");
    assert!(object["message"].as_str().unwrap().contains("0x0f"), "{object}");
    let ping_zero = [&[kind::PING][..], &[0; 8]].concat();
    assert_reason(Conduct::Unsolicited(vec![ping_zero]), "violation", "violation");
}

#[test]
fn a_relay_is_slow_if_it_is_slower_than_asked() {
    let (object, status) = probe_conduct(Conduct::Honest, &["--warn", "10s", "--crit", "20s"]);
    assert_eq!((status, &object["state"]), (0, &json!("up")));
    // Slower than the limits for sure, however fast this machine is.
    let slow = slowed(relay(Conduct::Honest));
    let (object, status) = probe_one(slow.address, slow.key, &["--warn", "2ms"]);
    assert_eq!(
        (status, &object["state"], &object["reason"]),
        (1, &json!("warning"), &json!("slow")),
        "{object}"
    );
    let (object, status) = probe_one(slow.address, slow.key, &["--warn", "1ms", "--crit", "2ms"]);
    assert_eq!(
        (status, &object["state"], &object["reason"]),
        (2, &json!("critical"), &json!("too-slow")),
        "{object}"
    );
}
