//! The search for the largest load.

use serde_json::{Value, json};
use tox_test_relay::Conduct;

use crate::forwarder::Forwarder;
use crate::program::{Ended, Program, SHORT, hex, relay, run, target};

const STEP: [&str; 4] = ["--warm-up", "0.1", "--time", "0.3"];

/// What any machine keeps.
const EASY: &str = "p99<60s,loss<100%,failed<100%,reached>0%";

fn steps(ended: &Ended) -> Vec<Value> {
    ended.objects().into_iter().filter(|object| object["type"] == "step").collect()
}

fn rates(ended: &Ended) -> Vec<f64> {
    steps(ended).iter().map(|step| step["asked"]["rate"].as_f64().unwrap()).collect()
}

#[test]
fn the_load_is_doubled_up_to_the_most_that_is_possible() {
    let relay = relay(Conduct::Honest);
    let search = ["--json", "--search", "connections", "--until", EASY, "--connect-rate", "1000"];
    let arguments = [&SHORT[..], &STEP, &search].concat();
    // 32 descriptors for other things, and two for the probe.
    let ended = Program::load_limited(100, &target(&relay), &arguments).end();
    let summary = ended.summary();
    assert_eq!((ended.status, &summary["outcome"]), (0, &"kept".into()), "{}{}", ended.output, ended.errors);
    assert_eq!(summary["search"]["largest"], 66);
    assert!(summary["search"]["smallest_missed"].is_null(), "{summary}");
    let is_told = summary["notes"].to_string().contains("at what this machine allows (`ulimit -n`");
    assert!(is_told, "the limit of descriptors passed for the relay's: {}", summary["notes"]);
    let loads: Vec<_> =
        steps(&ended).iter().map(|step| step["asked"]["connections"].as_u64().unwrap()).collect();
    let reached: Vec<_> = steps(&ended).iter().map(|step| step["connections"].as_u64().unwrap()).collect();
    assert_eq!((&loads[..], &reached[..]), (&[12, 24, 48, 66][..], &[12, 24, 48, 66][..]));
}

#[test]
fn a_target_that_is_never_kept_is_sought_at_lower_loads_and_missed() {
    let relay = relay(Conduct::Honest);
    let search = ["--search", "throughput", "--rate", "40", "--until", "p99<1us"];
    let ended = run(&target(&relay), &[&STEP[..], &search].concat());
    let summary = ended.summary();
    assert_eq!((ended.status, &summary["outcome"]), (1, &"missed".into()), "{}", ended.output);
    assert!(summary["search"]["largest"].is_null(), "{summary}");
    // The last one that was tried.
    assert_eq!(summary["step"]["asked"]["rate"], 1.0, "{summary}");
    assert_eq!(rates(&ended), [40.0, 20.0, 10.0, 5.0, 2.0, 1.0]);
}

#[test]
fn a_loss_that_grows_with_the_number_of_packets_ends_the_search() {
    // Each step at this rate sends fewer packets to one user than are needed for a loss; a much higher one more.
    let relay = relay(Conduct::DropEvery(100));
    let search =
        ["--search", "throughput", "--rate", "256", "--until", "loss<0.001%,p99<60s,failed<100%,reached>0%"];
    let ended = run(&target(&relay), &[&STEP[..], &search].concat());
    let summary = ended.summary();
    let found = &summary["search"];
    assert_eq!(ended.status, 0, "{}", ended.output);
    assert!(found["largest"].as_u64() >= Some(256), "{found}");
    assert!(found["smallest_missed"].as_u64() > found["largest"].as_u64(), "{found}");
    assert_eq!(summary["step"]["lost"], 0, "{summary}");
}

/// A search that has begun, and in whose first step the relay has stopped to answer.
fn overloaded_search(forwarder: &Forwarder, key: &[u8; 32]) -> Program {
    let target = [forwarder.address().to_string(), hex(key)];
    let search = ["--json", "--search", "throughput", "--rate", "4", "--until", EASY];
    let arguments = [&SHORT[..], &STEP, &search, &["--abort-above", "500ms", "--time", "2"]].concat();
    let mut program = Program::load(&target, &arguments);
    program.line_with("\"phase\":\"load\"");
    forwarder.pause();
    let step: Value = serde_json::from_str(&program.line_with("\"type\":\"step\"")).unwrap();
    assert_eq!(step["misses"], json!(["the latency of the probe has passed 500ms"]));
    program
}

#[test]
fn a_search_goes_on_with_less_when_the_latency_of_the_probe_has_passed_its_bound() {
    let relay = relay(Conduct::Honest);
    let forwarder = Forwarder::start(relay.addr());
    let program = overloaded_search(&forwarder, &relay.public_key());
    forwarder.resume();
    let ended = program.end();
    let summary = ended.summary();
    assert_eq!((ended.status, &summary["outcome"]), (0, &"kept".into()), "{}", ended.output);
    assert_eq!(rates(&ended), [2.0, 3.0]);
    assert_eq!(
        (&summary["search"]["largest"], &summary["search"]["smallest_missed"]),
        (&3.into(), &4.into())
    );
    assert_eq!((&summary["step"]["lost"], &summary["step"]["asked"]["rate"]), (&0.into(), &3.0.into()));
}

#[test]
fn a_search_ends_if_the_relay_does_not_recover() {
    let relay = relay(Conduct::Honest);
    let forwarder = Forwarder::start(relay.addr());
    let ended = overloaded_search(&forwarder, &relay.public_key()).end();
    let summary = ended.summary();
    assert_eq!((ended.status, &summary["outcome"]), (1, &"overloaded".into()), "{}", ended.output);
    assert!(summary["message"].as_str().unwrap().contains("not recovered"), "{summary}");
    assert!(summary["search"]["largest"].is_null(), "{summary}");
}

#[test]
fn a_search_for_connections_keeps_as_many_as_the_pairs_need() {
    let relay = relay(Conduct::Honest);
    let search = ["--search", "connections", "--until", "p99<1us", "--connections", "30"];
    let ended = run(&target(&relay), &[&STEP[..], &search].concat());
    assert_eq!(ended.status, 1, "{}", ended.output);
    let loads: Vec<_> =
        steps(&ended).iter().map(|step| step["asked"]["connections"].as_u64().unwrap()).collect();
    assert_eq!(loads, [30, 15, 8]);
}
