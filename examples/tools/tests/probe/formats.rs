//! The formats, as programs and people read them.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use tox_test_relay::{Conduct, Relay};

use crate::program::{Ended, any_key, command, dead_port, line, probe_with_input, relay};

/// A list with a relay that is up, one that gives no pongs, and a dead port.
struct List {
    up: Relay,
    _unproved: Relay,
    _dead: socket2::Socket,
    text: String,
}

impl List {
    fn new() -> Self {
        let (up, unproved) = (relay(Conduct::Honest), relay(Conduct::NoPong));
        let (dead, address) = dead_port();
        // The dead one comes first, and has a name that must be escaped.
        let text =
            format!("{address} {} my \"dead\", one\n{} good\n{}\n", any_key(), line(&up), line(&unproved));
        Self { up, _unproved: unproved, _dead: dead, text }
    }

    fn probe(&self, others: &[&str]) -> Ended {
        let quick = ["--file", "-", "-c", "3", "-i", "0.01", "-W", "1"];
        probe_with_input(&[&quick, others].concat(), &self.text)
    }
}

#[test]
fn the_table_has_the_best_first_and_the_reasons_in_words() {
    let list = List::new();
    let ended = list.probe(&[]);
    assert_eq!((ended.status, &*ended.stderr), (2, ""), "progress is silent in a pipe");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let [titles, up, .., summary] = &lines[..] else { panic!("{}", ended.stdout) };
    let expected = "S relay key way tcp shake proof min median max lost reach oob route echo reason";
    assert_eq!(titles.split_whitespace().collect::<Vec<_>>(), expected.split(' ').collect::<Vec<_>>());
    let cells: Vec<&str> = up.split_whitespace().collect();
    assert_eq!(
        (cells.len(), cells[0], cells[1]),
        (titles.split_whitespace().count(), "U", &*list.up.addr().to_string())
    );
    assert_eq!((cells[2].len(), cells[10], cells[11], cells[15]), (8, "0", "1", "[good]"));
    for (start, reason) in
        [("D ", "nothing listens at this port"), ("D ", "did not prove that it holds its key")]
    {
        assert!(
            lines.iter().any(|line| line.starts_with(start) && line.ends_with(reason)),
            "{}",
            ended.stdout
        );
    }
    assert!(summary.starts_with("3 relays: 1 up, 2 down; times in ms; "), "{summary}");
    assert!(!ended.stdout.contains('\x1b'), "no colours in a pipe");
}

#[test]
fn json_has_an_object_a_line_with_seconds_or_null() {
    let list = List::new();
    let ended = list.probe(&["--format", "json"]);
    let objects = ended.json();
    assert_eq!((ended.status, objects.len()), (2, 3));
    assert!(!ended.stdout.contains("NaN"));
    let keys = |object: &serde_json::Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert!(objects.iter().all(|object| keys(object) == keys(&objects[0])), "each has the same keys");
    let dead = objects.iter().find(|object| object["reason"] == "refused").unwrap();
    assert!(dead["tcp"].is_null() && dead["ping"]["median"].is_null(), "{dead}");
    assert_eq!(dead["name"], "my \"dead\", one");
    let error = &dead["errors"][0];
    assert_eq!(
        (&error["reason"], &error["fault"], &error["retry"]),
        (&"refused".into(), &"relay".into(), &"soon".into())
    );
    assert!(objects[0]["proof"].as_f64().is_some_and(|seconds| seconds < 1.0), "seconds");
}

#[test]
fn csv_has_a_header_and_quotes_what_needs_it() {
    let ended = List::new().probe(&["--format", "csv"]);
    let mut reader = csv::Reader::from_reader(ended.stdout.as_bytes());
    let header = reader.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|title| title == name).unwrap();
    let records: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
    assert_eq!((ended.status, records.len(), &records[0][column("state")]), (2, 3, "up"));
    let dead = records.iter().find(|record| &record[column("reason")] == "refused").unwrap();
    assert_eq!((&dead[column("name")], &dead[column("ping_median")]), ("my \"dead\", one", ""));
    assert!(records[0][column("ping_median")].parse::<f64>().is_ok());
}

#[test]
fn csv_had_no_columns_for_what_is_tried_by_name() {
    const COLUMNS: [&str; 11] = [
        "largest_data",
        "largest_oob",
        "burst_sent",
        "burst_received",
        "burst_bytes",
        "burst_time",
        "routes",
        "onion",
        "onion_time",
        "forward",
        "forward_time",
    ];
    let relay = relay(Conduct::Honest);
    let values = |others: &[&str]| {
        let text = line(&relay);
        let arguments: Vec<&str> =
            text.split(' ').chain(["-c", "1", "--format", "csv"]).chain(others.iter().copied()).collect();
        let ended = crate::program::probe(&arguments);
        let mut reader = csv::Reader::from_reader(ended.stdout.as_bytes());
        let header = reader.headers().unwrap().clone();
        let record = reader.records().next().unwrap().unwrap();
        let value = |name| record[header.iter().position(|title| title == name).unwrap()].to_owned();
        COLUMNS.map(value)
    };
    assert!(values(&[]).iter().all(String::is_empty), "the columns are there, and empty");
    let [data, oob, sent, received, bytes, time, routes, onion, onion_time, forward, forward_time] =
        values(&["--test", "all"]);
    assert_eq!([data, oob, sent, received, bytes], ["2031", "1024", "32", "32", "44800"]);
    assert_eq!([routes, onion, forward], ["240", "answered", "answered"]);
    assert!(
        [time, onion_time, forward_time].iter().all(|time| time.parse::<f64>().is_ok_and(|time| time > 0.0))
    );
}

#[test]
fn prometheus_gets_the_metrics_that_are_promised() {
    let list = List::new();
    let ended = list.probe(&["--format", "prom"]);
    assert_eq!(ended.status, 2);
    let samples: Vec<&str> = ended.stdout.lines().filter(|line| !line.starts_with('#')).collect();
    let own = format!("relay=\"{}\"", list.up.addr());
    let value = |name: &str, label: &str| {
        let found = samples.iter().find(|line| {
            line.starts_with(&format!("{name}{{")) && line.contains(&own) && line.contains(label)
        });
        found.unwrap_or_else(|| panic!("{name} {label}")).rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()
    };
    assert_eq!(value("tox_relay_up", ""), 1.0);
    for phase in ["tcp", "handshake", "proof", "oob", "route", "echo"] {
        assert!(value("tox_relay_phase_seconds", &format!("phase=\"{phase}\"")) > 0.0);
    }
    for quantile in ["0", "0.5", "1"] {
        assert!(value("tox_relay_rtt_seconds", &format!("quantile=\"{quantile}\"")) > 0.0);
    }
    assert_eq!(value("tox_relay_rtt_seconds_count", ""), 3.0);
    assert_eq!(
        samples.iter().filter(|line| line.starts_with("tox_relay_up{") && line.ends_with(" 0")).count(),
        2
    );
    assert!(ended.stdout.contains(r#"name="my \"dead\", one""#), "{}", ended.stdout);
    // Each family has its type once, before its samples, and its samples stand together.
    let families: Vec<&str> =
        ended.stdout.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let mut unique = families.clone();
    unique.dedup();
    assert_eq!(families, unique);
    for line in samples {
        let (name, value) = (line.split('{').next().unwrap(), line.rsplit_once(' ').unwrap().1);
        assert!(families.iter().any(|family| name.starts_with(family)), "{line}");
        assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
    }
}

#[test]
fn a_monitoring_plugin_tells_state_reason_and_performance_data() {
    let list = List::new();
    let ended = list.probe(&["--format", "nagios", "--warn", "200ms", "--crit", "1s"]);
    let first = ended.stdout.lines().next().unwrap();
    assert_eq!(ended.status, 2);
    assert!(first.starts_with("TOX CRITICAL - 1 of 3 relays are well; "), "{first}");
    let rtt = format!("'{}_rtt'=", list.up.addr());
    let (_, data) = first.split_once(" | ").unwrap();
    let rtt = data.split(' ').find_map(|item| item.strip_prefix(&rtt)).unwrap();
    assert!(rtt.ends_with("s;0.2;1;0"), "{rtt}");
    assert!(data.split(' ').all(|item| item.contains('=')), "{data}");
    assert_eq!(first.matches('|').count(), 1);

    let (address, key) = (list.up.addr().to_string(), line(&list.up));
    let ended =
        crate::program::probe(&[&address, key.split(' ').nth(1).unwrap(), "-c", "1", "--format", "nagios"]);
    assert_eq!(ended.status, 0);
    assert!(ended.stdout.starts_with(&format!("TOX OK - {address}: ping ")), "{}", ended.stdout);
}

#[test]
fn the_file_is_replaced_at_once_and_standard_output_stays_empty() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("probe-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("relays.prom");
    fs::write(&file, "old").unwrap();
    let mut old = fs::File::open(&file).unwrap();
    let ended = List::new().probe(&["--format", "prom", "--output", file.to_str().unwrap()]);
    assert_eq!((ended.status, &*ended.stdout), (2, ""));
    assert!(fs::read_to_string(&file).unwrap().starts_with("# HELP tox_relay_up"));
    // Whoever has the old file open still reads all of it: the new one is another file.
    let mut text = String::new();
    old.read_to_string(&mut text).unwrap();
    assert_eq!(text, "old");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no temporary file is left");
    fs::remove_dir_all(&folder).unwrap();
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_and_a_device_were_replaced_by_a_file() {
    use std::os::unix::fs::{FileTypeExt, symlink};

    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("links-{}", std::process::id()));
    fs::create_dir_all(folder.join("elsewhere")).unwrap();
    let [file, link, pipe] = ["elsewhere/relays.csv", "link", "pipe"].map(|name| folder.join(name));
    fs::write(&file, "old").unwrap();
    symlink("elsewhere/relays.csv", &link).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let list = List::new();
    list.probe(&["--format", "csv", "--output", link.to_str().unwrap()]);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&file).unwrap().starts_with("time,state,"));
    // Open for both directions, so that neither side waits for the other.
    let mut reader = fs::File::options().read(true).write(true).open(&pipe).unwrap();
    let ended = list.probe(&["--format", "csv", "--output", pipe.to_str().unwrap()]);
    assert_eq!(&*ended.stderr, "");
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    let mut begin = [0; 11];
    reader.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"time,state,");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_pipe_that_nobody_reads_is_no_reason_to_panic() {
    let relay = relay(Conduct::Honest);
    let text = line(&relay);
    let arguments: Vec<&str> = text.split(' ').chain(["-c", "1"]).collect();
    let mut child = command(&arguments).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), &*ended.stderr), (Some(0), &b""[..]));
}
