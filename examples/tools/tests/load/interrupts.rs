//! Runs that are ended from outside.

use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tox_test_relay::Conduct;

use crate::program::{Program, SHORT, relay, target};

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
    assert!(ended.output.contains("probe      before the load: p50"), "{}", ended.output);
}

#[test]
fn ctrl_c_while_the_relay_is_only_probed_ends_the_run_without_a_step() {
    let relay = relay(Conduct::Honest);
    let program = Program::load(&target(&relay), &[&SHORT[..], &["--json"]].concat());
    // Of the probe, whose first packets are sent when its time begins.
    while relay.statistics().packets_in < 8 {
        thread::sleep(Duration::from_millis(1));
    }
    interrupt(&program, Signal::INT);
    let summary = program.end().summary();
    assert_eq!((&summary["outcome"], &summary["step"]), (&"interrupted".into(), &Value::Null));
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

fn interrupt(program: &Program, signal: Signal) {
    let pid = Pid::from_raw(program.id() as i32).unwrap();
    kill_process(pid, signal).unwrap();
}
