//! Runs that are ended from outside.

use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tox_test_relay::Conduct;

use crate::program::{Ended, Program, SHORT, relay, target};

#[test]
fn ctrl_c_ends_the_run_with_a_summary() {
    let relay = relay(Conduct::Honest);
    for signal in [Signal::INT, Signal::TERM] {
        let arguments = [&SHORT[..], &["--json", "--time", "1h"]].concat();
        let mut program = Program::load(&target(&relay), &arguments);
        program.line_with("\"phase\":\"load\"");
        interrupt(&program, signal);
        let ended = program.end();
        let summary = ended.summary();
        assert_eq!((ended.status, &summary["outcome"]), (130, &"interrupted".into()), "{}", ended.output);
        let step = &summary["step"];
        assert!(step["received"].as_u64() > Some(0) && step["seconds"].as_f64() < Some(3600.0), "{step}");
    }
}

#[test]
fn ctrl_c_before_the_load_ends_the_run_with_what_is_known() {
    let relay = relay(Conduct::Honest);
    let arguments = [&SHORT[..], &["--connect-rate", "0.1"]].concat();
    let mut program = Program::load(&target(&relay), &arguments);
    program.line_with(" connect ");
    interrupt(&program, Signal::INT);
    let ended = program.end();
    assert_eq!(ended.status, 130);
    assert_whole(&ended);
    assert!(ended.output.contains("probe      before the load: p50"), "{}", ended.output);
    assert!(ended.output.contains("nothing was measured"), "{}", ended.output);
    assert!(!ended.output.contains("\nnote "), "{}", ended.output);
}

#[test]
fn ctrl_c_in_the_warm_up_ends_the_run_with_what_the_warm_up_has_reached() {
    let relay = relay(Conduct::Honest);
    let arguments = [&SHORT[..], &["--warm-up", "1h", "--rate", "100000"]].concat();
    let mut program = Program::load(&target(&relay), &arguments);
    program.line_with(" warm-up ");
    program.line_with(" warm-up ");
    interrupt(&program, Signal::INT);
    let ended = program.end();
    assert_eq!(ended.status, 130);
    assert_whole(&ended);
    let row = |name: &str| ended.output.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(row("reached").contains("s of warm-up: the load was not measured"), "{}", ended.output);
    let packets: Vec<_> = row("packets").split_whitespace().collect();
    assert_eq!((packets[2], packets[4]), ("planned,", "sent,"), "{packets:?}");
    // At first the rate grows by 28 packets a second.
    assert!(packets[5].parse::<u64>().unwrap() > 0, "{packets:?}");
}

/// All rows of the summary are there.
fn assert_whole(ended: &Ended) {
    for name in ["asked", "reached", "packets", "latency", "generator", "probe", "end"] {
        let rows = ended.output.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!(rows, 1, "{name}: {}", ended.output);
    }
}

#[test]
fn ctrl_c_while_the_relay_is_only_probed_ends_the_run_with_nothing_measured() {
    let relay = relay(Conduct::Honest);
    let program = Program::load(&target(&relay), &[&SHORT[..], &["--json"]].concat());
    // Of the probe, whose first packets are sent when its time begins.
    while relay.statistics().packets_in < 8 {
        thread::sleep(Duration::from_millis(1));
    }
    interrupt(&program, Signal::INT);
    let summary = program.end().summary();
    let step = &summary["step"];
    assert_eq!((&summary["outcome"], &step["phase"]), (&"interrupted".into(), &"probe".into()));
    assert_eq!((&step["seconds"], &step["sent"], &step["latency"]), (&json!(0.0), &json!(0), &json!(null)));
}

#[test]
fn the_run_ends_when_nobody_reads_its_output() {
    let relay = relay(Conduct::Honest);
    let mut program = Program::load(&target(&relay), &[&SHORT[..], &["--time", "1h"]].concat());
    program.line_with(" load ");
    program.stop_reading();
    let ended = program.end();
    assert_eq!((ended.status, ended.errors.as_str()), (130, ""));
}

#[test]
#[cfg(target_os = "linux")]
fn an_output_that_cannot_be_written_is_an_error_and_no_interruption() {
    let relay = relay(Conduct::Honest);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let (status, errors) = Program::load_into(full, &target(&relay), &SHORT);
    assert_eq!(status, 3, "{errors}");
    assert!(errors.contains("the output cannot be written: No space left"), "{errors}");
    assert_eq!(relay.statistics().accepted, 0);
}

fn interrupt(program: &Program, signal: Signal) {
    let pid = Pid::from_raw(program.id() as i32).unwrap();
    kill_process(pid, signal).unwrap();
}
