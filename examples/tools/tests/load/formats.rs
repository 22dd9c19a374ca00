//! Text, JSON and plots.

use std::fs;

use serde_json::Value;
use tox_test_relay::Conduct;

use crate::program::{Program, SHORT, relay, run, target};

#[test]
fn json_is_a_stream_of_a_start_intervals_and_an_end() {
    let relay = relay(Conduct::Honest);
    let ended = run(&target(&relay), &["--until", "p99<60s"]);
    let objects = ended.objects();
    let types: Vec<_> = objects.iter().map(|object| object["type"].as_str().unwrap()).collect();
    let [first, between @ .., last] = &types[..] else { panic!("{types:?}") };
    assert_eq!((*first, *last), ("start", "end"));
    assert!(between.len() >= 2 && between.iter().all(|kind| *kind == "interval"), "{types:?}");
    let start = &objects[0];
    assert_eq!(start["relay"], target(&relay)[0]);
    assert_eq!((&start["until"], &start["connections"]), (&"p99<60000ms".into(), &12.into()));
    assert_eq!(start["descriptors"], 46);
    for interval in &objects[1..objects.len() - 1] {
        for name in ["time", "bytes_per_second", "cpu"] {
            assert!(interval[name].as_f64() >= Some(0.0), "{name}: {interval}");
        }
        for name in ["connections", "connects", "failed", "sent", "received", "lost", "blocked"] {
            assert!(interval[name].is_u64(), "{name}: {interval}");
        }
        assert!(interval["latency"].is_null() || interval["latency"]["p99.9"].is_f64(), "{interval}");
    }
    let end = &objects[objects.len() - 1];
    let notes: Vec<_> = end["notes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(notes.iter().any(|note| note.contains("other users")), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("on this machine")), "{notes:?}");
    assert!(ended.errors.is_empty(), "{}", ended.errors);
}

#[test]
fn text_is_a_table_and_a_summary() {
    let relay = relay(Conduct::Honest);
    let arguments = [&SHORT[..], &["--until", "p99<1ms,loss<0.1%,max<1us"]].concat();
    let ended = Program::load(&target(&relay), &arguments).end();
    assert_eq!(ended.status, 1);
    let lines: Vec<_> = ended.output.lines().collect();
    assert!(lines[0].starts_with(&format!("relay      {} {}", target(&relay)[0], target(&relay)[1])));
    assert!(ended.output.contains("46 file descriptors"), "{}", ended.output);
    let head = lines.iter().position(|line| line.contains("p99.9")).unwrap();
    let columns: Vec<_> = lines[head].split_whitespace().collect();
    assert_eq!(columns.len(), 17);
    let row: Vec<_> = lines[head + 1].split_whitespace().collect();
    assert_eq!((row.len(), row[1], row[10]), (17, "probe", "-"), "{row:?}");
    for name in ["asked", "reached", "packets", "latency", "generator", "probe", "missed", "note", "end"] {
        assert!(lines.iter().any(|line| line.starts_with(name)), "{name}: {}", ended.output);
    }
    assert!(ended.output.contains("max<0.001ms (it was "), "{}", ended.output);
}

#[test]
fn a_plot_has_a_point_for_each_second_or_step() {
    let relay = relay(Conduct::Honest);
    let file = format!("{}/load-{}.svg", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    let ended = run(&target(&relay), &["--plot", &file, "--time", "2"]);
    assert_eq!(ended.status, 0, "{}", ended.output);
    let svg = fs::read_to_string(&file).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("<circle") && svg.ends_with("</svg>\n"), "{svg}");
    let search = ["--search", "throughput", "--rate", "4", "--time", "0.3", "--until", "p99<1us"];
    run(&target(&relay), &[&search[..], &["--plot", &file]].concat());
    let svg = fs::read_to_string(&file).unwrap();
    // Three steps, none of which kept the target, and one circle in the legend.
    assert_eq!(svg.matches("<circle").count(), 3 + 1, "{svg}");
    assert_eq!(svg.matches("\"kept").count(), 1, "{svg}");
    fs::remove_file(file).unwrap();
}

#[test]
fn a_plot_that_cannot_be_written_is_an_error() {
    let relay = relay(Conduct::Honest);
    let ended = run(&target(&relay), &["--plot", "/nowhere/load.svg"]);
    assert_eq!(ended.status, 3);
    assert!(ended.errors.contains("/nowhere/load.svg"), "{}", ended.errors);
}

#[test]
fn help_explains_the_exit_status_and_succeeds() {
    let ended = Program::load(&["--help".into(), "x".into()], &[""; 0]).end();
    assert_eq!(ended.status, 0);
    assert!(
        ended.output.contains("Exit status") && ended.output.contains("--abort-above"),
        "{}",
        ended.output
    );
}
