//! Relays of all kinds: honest ones, and those that drop, stall, refuse and go away.

use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tox_test_relay::{Conduct, Options, Relay};

use crate::forwarder::Forwarder;
use crate::program::{GUARD, Program, SHORT, hex, relay, run, target};

#[test]
fn all_that_an_honest_relay_carries_arrives() {
    let relay = relay(Conduct::Honest);
    let ended = run(&target(&relay), &["--oob", "20%", "--size", "20-2031"]);
    let summary = ended.summary();
    let step = &summary["step"];
    let number = |name: &str| step[name].as_u64().unwrap();
    assert_eq!((ended.status, &summary["outcome"]), (0, &"kept".into()), "{}", ended.output);
    assert!(number("sent") > 0 && number("sent") <= number("planned"), "{step}");
    assert_eq!((number("received"), number("lost"), number("failed")), (number("sent"), 0, 0), "{step}");
    assert_eq!(number("connections"), 12);
    assert!(summary["before"]["p50"].as_f64() > Some(0.0) && step["probe"]["p50"].as_f64() > Some(0.0));
    let latency = ["p50", "p90", "p99", "p99.9", "max"].map(|name| step["latency"][name].as_f64().unwrap());
    assert!(latency[0] > 0.0 && latency.is_sorted(), "{latency:?}");
    // The probe's two are connections, too.
    assert_eq!(relay.statistics().accepted, 14);
}

#[test]
fn it_sends_as_fast_as_it_goes() {
    let relay = relay(Conduct::Honest);
    let ended = run(&target(&relay), &["--rate", "max"]);
    let step = &ended.summary()["step"];
    assert_eq!(ended.status, 0, "{}", ended.output);
    assert!(step["planned"].is_null() && step["asked"]["rate"].is_null(), "{step}");
    assert!(step["received"].as_u64() > Some(200), "{step}");
    let none = ["lost", "absent", "unsent"].map(|name| step[name].as_u64());
    assert_eq!(none, [Some(0); 3], "{step}");
}

#[test]
fn a_load_without_a_rate_begins_slowly() {
    let relay = relay(Conduct::Honest);
    let arguments = [&SHORT[..], &["--rate", "max", "--warm-up", "20", "--time", "1h", "--json"]].concat();
    let mut program = Program::load(&target(&relay), &arguments);
    let mut sent = || {
        let line: Value = serde_json::from_str(&program.line_with("\"phase\":\"warm-up\"")).unwrap();
        line["sent"].as_u64().unwrap()
    };
    // 290 in five seconds; at full speed, there are thousands in one.
    let seconds = [(); 5].map(|()| sent());
    assert!((1..1000).contains(&seconds.iter().sum::<u64>()), "{seconds:?}");
}

#[test]
fn idle_connections_alone_are_a_load() {
    let relay = relay(Conduct::Honest);
    let ended = run(&target(&relay), &["--pairs", "0", "--until", "p99<60s,failed<1%"]);
    let step = &ended.summary()["step"];
    assert_eq!(ended.status, 0, "{}", ended.output);
    assert_eq!((step["connections"].as_u64(), step["sent"].as_u64()), (Some(12), Some(0)), "{step}");
    assert!(step["latency"].is_null() && step["probe"].is_object(), "{step}");
}

#[test]
fn a_relay_that_drops_packets_loses_its_share() {
    let relay = relay(Conduct::DropEvery(5));
    let ended = run(&target(&relay), &["--until", "loss<1%"]);
    let summary = ended.summary();
    let share =
        |name: &str| summary["step"][name].as_f64().unwrap() / summary["step"]["sent"].as_f64().unwrap();
    assert_eq!((ended.status, &summary["outcome"]), (1, &"missed".into()), "{}", ended.output);
    assert!((0.1..0.3).contains(&share("lost")), "{summary}");
    assert!((share("received") + share("lost") - 1.0).abs() < 0.1, "{summary}");
    assert!(summary["misses"][0].as_str().unwrap().starts_with("loss<1%"), "{summary}");
}

#[test]
fn a_run_without_a_target_in_which_nothing_arrived_was_told_as_well() {
    let relay = relay(Conduct::DropEvery(1));
    let ended = run(&target(&relay), &["--abort-above", "1m", "--time", "1"]);
    let summary = ended.summary();
    assert_eq!((ended.status, &summary["outcome"]), (1, &"missed".into()), "{}", ended.output);
    assert_eq!(summary["message"], "nothing has arrived");
}

#[test]
fn a_relay_that_delivers_nothing_is_left_alone_soon() {
    let relay = relay(Conduct::DropEvery(1));
    let ended = run(&target(&relay), &["--abort-above", "500ms", "--time", "1h"]);
    let summary = ended.summary();
    assert_eq!((ended.status, &summary["outcome"]), (1, &"overloaded".into()), "{}", ended.output);
    assert!(summary["before"].is_null(), "{summary}");
}

#[test]
fn a_stall_delays_all_packets_that_were_planned_in_it() {
    let relay = relay(Conduct::Honest);
    let forwarder = Forwarder::start(relay.addr());
    let target = [forwarder.address().to_string(), hex(&relay.public_key())];
    // More than the queues of one pair have room for in a second.
    let load = ["--json", "--time", "3", "--connections", "2", "--pairs", "1", "--rate", "400"];
    let arguments = [&SHORT[..], &load, &["--abort-above", "1h"]].concat();
    let mut program = Program::load(&target, &arguments);
    program.line_with("\"phase\":\"load\"");
    forwarder.pause();
    thread::sleep(Duration::from_secs(1));
    forwarder.resume();
    let ended = program.end();
    let step = &ended.summary()["step"];
    assert_eq!(ended.status, 0, "{}", ended.output);
    assert_eq!(
        (step["lost"].as_u64(), step["received"].as_u64()),
        (Some(0), step["sent"].as_u64()),
        "{step}"
    );
    // A third of the packets were planned in that second. Most of them were sent after it, with little latency since then.
    assert!(step["latency"]["p90"].as_f64() > Some(0.3), "{step}");
}

#[test]
fn the_run_ends_when_the_latency_of_the_probe_passes_its_bound() {
    let relay = relay(Conduct::Honest);
    let forwarder = Forwarder::start(relay.addr());
    let target = [forwarder.address().to_string(), hex(&relay.public_key())];
    let arguments = [&SHORT[..], &["--json", "--time", "1h", "--abort-above", "1s"]].concat();
    let mut program = Program::load(&target, &arguments);
    program.line_with("\"phase\":\"load\"");
    forwarder.pause();
    let ended = program.end();
    let summary = ended.summary();
    assert_eq!((ended.status, &summary["outcome"]), (1, &"overloaded".into()), "{}", ended.output);
    assert!(summary["message"].as_str().unwrap().contains("passed 1s"), "{summary}");
}

#[test]
fn a_relay_that_goes_away_is_lost() {
    let relay = relay(Conduct::Honest);
    let arguments = [&SHORT[..], &["--json", "--time", "1h"]].concat();
    let mut program = Program::load(&target(&relay), &arguments);
    program.line_with("\"phase\":\"load\"");
    drop(relay);
    let ended = program.end();
    let summary = ended.summary();
    assert_eq!((ended.status, &summary["outcome"]), (2, &"lost".into()), "{}", ended.output);
    assert!(summary["message"].as_str().unwrap().starts_with("the relay is lost: "), "{summary}");
    assert!(summary["step"]["received"].as_u64() > Some(0), "{summary}");
    assert!(!summary["failures"].as_array().unwrap().is_empty(), "{summary}");
}

#[test]
fn a_relay_that_was_never_reached_is_not_lost_and_has_no_limits() {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let ended = run(&[port.to_string(), hex(&[9; 32])], &[]);
    let summary = ended.summary();
    assert_eq!((ended.status, &summary["outcome"]), (2, &"unreached".into()), "{}", ended.output);
    assert!(summary["message"].as_str().unwrap().starts_with("the relay was never reached: "), "{summary}");
    assert_eq!(summary["failures"][0]["reason"], "refused");
    assert_eq!((&summary["step"]["phase"], &summary["step"]["seconds"]), (&"probe".into(), &0.0.into()));
    assert_eq!((&summary["notes"], &summary["misses"]), (&json!([]), &json!([])));
}

#[test]
fn another_server_is_not_loaded() {
    let relay = relay(Conduct::WrongKey);
    let ended = run(&target(&relay), &[]);
    let summary = ended.summary();
    assert_eq!((ended.status, &summary["outcome"]), (2, &"unreached".into()), "{}", ended.output);
    assert_eq!(summary["failures"][0]["reason"], "bad-response");
    assert_eq!(relay.statistics().accepted, 2);
}

#[test]
fn connections_that_a_relay_refuses_are_counted_with_the_reason() {
    let relay = relay(Conduct::Honest);
    let arguments = [&SHORT[..], &["--json", "--connect-rate", "6", "--until", "failed<1%"]].concat();
    let program = Program::load(&target(&relay), &arguments);
    relay.wait_until(GUARD, |statistics| statistics.confirmed == 2).unwrap();
    relay.set_conduct(Conduct::CloseOnAccept);
    let ended = program.end();
    let summary = ended.summary();
    assert_eq!((ended.status, &summary["outcome"]), (1, &"missed".into()), "{}", ended.output);
    let failures = summary["failures"].as_array().unwrap();
    // It depends on the moment whether the hello was sent before that.
    let words = ["closed", "maybe-wrong-key"].map(Value::from);
    assert!(failures.iter().all(|failure| words.contains(&failure["reason"])), "{summary}");
    let count: u64 = failures.iter().map(|failure| failure["count"].as_u64().unwrap()).sum();
    assert!(count > 0 && summary["step"]["failed"] == count, "{summary}");
}

#[test]
fn users_who_leave_and_return_lose_nothing_by_the_relays_fault() {
    let relay = relay(Conduct::Honest);
    let ended = run(&target(&relay), &["--churn", "10", "--time", "3"]);
    let step = &ended.summary()["step"];
    assert_eq!(ended.status, 0, "{}", ended.output);
    let number = |name: &str| step[name].as_u64().unwrap();
    assert_eq!((number("lost"), number("failed")), (0, 0), "{step}");
    assert!(number("absent") > 0 && number("received") > 0, "{step}");
    // Those who return find each other again.
    assert_eq!(number("cut_off"), 0, "{step}");
    assert!(number("received") + number("abandoned") >= number("sent"), "{step}");
    assert!(relay.statistics().accepted > 14);
}

#[test]
fn a_relay_that_writes_single_bytes_carries_a_small_load() {
    let relay = relay(Conduct::OneByte);
    let ended = run(&target(&relay), &["--rate", "20", "--size", "50"]);
    let step = &ended.summary()["step"];
    assert_eq!(ended.status, 0, "{}", ended.output);
    assert_eq!(
        (step["lost"].as_u64(), step["received"].as_u64()),
        (Some(0), step["sent"].as_u64()),
        "{step}"
    );
}

#[test]
fn a_relay_that_opens_no_route_is_told_as_such() {
    // The two users of the probe are on two relays with the same key, and never meet.
    let key = Some([7; 32]);
    let relays = [(); 2].map(|()| Relay::start(Options { secret_key: key, ..Options::default() }).unwrap());
    let forwarder = Forwarder::in_turns(&relays.each_ref().map(Relay::addr));
    let ended = run(&[forwarder.address().to_string(), hex(&relays[0].public_key())], &[]);
    let summary = ended.summary();
    assert_eq!((ended.status, &summary["outcome"]), (2, &"lost".into()), "{}", ended.output);
    assert!(summary["message"].as_str().unwrap().contains("no route"), "{summary}");
}
