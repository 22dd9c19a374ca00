//! The search for the largest load.

use tox_test_relay::Conduct;

use crate::program::{Program, SHORT, relay, run, target};

const STEP: [&str; 4] = ["--warm-up", "0.1", "--time", "0.3"];

/// What any machine keeps.
const EASY: &str = "p99<60s,loss<100%,failed<100%,reached>0%";

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
    let steps: Vec<_> = ended.objects().into_iter().filter(|object| object["type"] == "step").collect();
    let loads: Vec<_> = steps.iter().map(|step| step["asked"]["connections"].as_u64().unwrap()).collect();
    let reached: Vec<_> = steps.iter().map(|step| step["connections"].as_u64().unwrap()).collect();
    assert_eq!((&loads[..], &reached[..]), (&[12, 24, 48, 66][..], &[12, 24, 48, 66][..]));
}

#[test]
fn a_target_that_is_never_kept_is_sought_at_lower_loads_and_missed() {
    let relay = relay(Conduct::Honest);
    let search = ["--search", "throughput", "--rate", "40", "--until", "p99<1ns"];
    let ended = run(&target(&relay), &[&STEP[..], &search].concat());
    let summary = ended.summary();
    assert_eq!((ended.status, &summary["outcome"]), (1, &"missed".into()), "{}", ended.output);
    assert!(summary["search"]["largest"].is_null() && summary["step"].is_null(), "{summary}");
    let steps = ended.objects().into_iter().filter(|object| object["type"] == "step");
    let rates: Vec<_> = steps.map(|step| step["asked"]["rate"].as_f64().unwrap()).collect();
    assert_eq!(rates, [40.0, 20.0, 10.0, 5.0, 2.0, 1.0]);
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
