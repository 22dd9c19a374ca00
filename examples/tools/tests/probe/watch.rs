//! Round after round, and Ctrl-C.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use tox_test_relay::Conduct;

use crate::program::{GUARD, any_key, command, line, relay, silent_port};

/// The program while it runs, line by line. Ends with the test.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child = command(arguments).spawn().unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    #[track_caller]
    fn wait_for(&self, text: &str) -> String {
        let until = Instant::now() + GUARD;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("no line with {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Presses Ctrl-C, and returns the status and the lines until the end.
    fn interrupt(&mut self) -> (ExitStatus, Vec<String>) {
        assert!(
            Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap().success()
        );
        let lines = std::iter::from_fn(|| self.lines.recv_timeout(GUARD).ok()).collect();
        (self.child.wait().unwrap(), lines)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[test]
fn watching_tells_what_changes_and_at_the_end_what_was() {
    let relay = relay(Conduct::Honest);
    let text = line(&relay);
    let arguments: Vec<&str> =
        text.split(' ').chain(["--watch", "0.05", "-c", "1", "-i", "0.01", "-W", "1"]).collect();
    let mut running = Running::start(&arguments);
    running.wait_for("1 relay: 1 up");
    relay.set_conduct(Conduct::WrongKey);
    let change = running.wait_for("U -> I");
    assert!(change.contains(&relay.addr().to_string()) && change.contains("the key is wrong"), "{change}");
    relay.set_conduct(Conduct::Honest);
    let change = running.wait_for("I -> U");
    assert!(change.ends_with(": all well"), "{change}");
    let (status, lines) = running.interrupt();
    assert_eq!(status.code(), Some(0), "the last round was well");
    // At least twice: a round in which the relay changes has a reason of its own.
    assert!(
        lines.iter().any(|line| line.contains(" rounds, changed ") && line.ends_with(" times")),
        "{lines:?}"
    );
    assert!(lines.last().is_some_and(|line| line.starts_with("1 relay: ")), "{lines:?}");
}

#[test]
fn the_first_round_is_not_a_change() {
    let relay = relay(Conduct::Honest);
    let text = line(&relay);
    let arguments: Vec<&str> = text.split(' ').chain(["--watch", "0.05", "-c", "1"]).collect();
    let mut running = Running::start(&arguments);
    running.wait_for("1 relay: 1 up");
    let (_, lines) = running.interrupt();
    assert!(lines.iter().any(|line| line.ends_with(" rounds, changed 0 times")), "{lines:?}");
}

#[test]
fn watching_as_json_has_the_history_in_each_object() {
    let relay = relay(Conduct::Honest);
    let text = line(&relay);
    let arguments: Vec<&str> =
        text.split(' ').chain(["--watch", "0.05", "-c", "1", "--format", "json"]).collect();
    let mut running = Running::start(&arguments);
    for reach in ["1", "3", "7"] {
        running.wait_for(&format!("\"reach\":\"{reach}\""));
    }
    running.interrupt();
}

#[test]
fn a_file_that_cannot_be_written_ended_the_watch() {
    let relay = relay(Conduct::Honest);
    let folder =
        std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("watched-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("tox.prom");
    let text = line(&relay);
    let others = ["--watch", "0.05", "-c", "1", "--format", "prom", "--output", file.to_str().unwrap()];
    let arguments: Vec<&str> = text.split(' ').chain(others).collect();
    let mut running = Running::start(&arguments);
    let mut errors = BufReader::new(running.child.stderr.take().unwrap()).lines();
    wait_for_file(&file);
    std::fs::remove_dir_all(&folder).unwrap();
    let error = errors.next().unwrap().unwrap();
    assert!(error.contains("tox.prom: ") && error.ends_with("the next round tries again"), "{error}");
    std::fs::create_dir(&folder).unwrap();
    wait_for_file(&file);
    // Its other complaints, if there were more rounds meanwhile.
    thread::spawn(move || errors.for_each(drop));
    let (status, _) = running.interrupt();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(status.code(), Some(0), "the last round was well");
}

fn wait_for_file(file: &std::path::Path) {
    let until = Instant::now() + GUARD;
    while !file.exists() {
        assert!(Instant::now() < until, "no {}", file.display());
        thread::sleep(Duration::from_millis(5));
    }
}

/// Interrupts the probe of a relay that is done and of a port that is silent. Returns its status and its lines.
fn interrupted(format: &str) -> (ExitStatus, Vec<String>) {
    let relay = relay(Conduct::Honest);
    let (_listener, silent) = silent_port();
    let (text, key) = (line(&relay), any_key().to_string());
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join(format!("interrupted-{}-{format}", std::process::id()));
    std::fs::write(&file, format!("{text}\n{silent} {key}\n")).unwrap();
    let mut running =
        Running::start(&["-f", file.to_str().unwrap(), "-c", "1", "-W", "60", "--format", format]);
    // The first is done when both of its connections have ended.
    let is_done = relay.wait_until(GUARD, |statistics| statistics.accepted == 2 && statistics.connected == 0);
    assert!(is_done.is_some());
    let began = Instant::now();
    let ended = running.interrupt();
    std::fs::remove_file(&file).unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "at once");
    ended
}

#[test]
fn an_interrupted_probe_tells_what_it_knows() {
    let (status, lines) = interrupted("json");
    assert_eq!((status.code(), lines.len()), (Some(130), 2));
    assert!(lines[0].contains("\"state\":\"up\""), "{}", lines[0]);
    assert!(lines[1].contains("\"reason\":\"interrupted\""), "{}", lines[1]);
}

#[test]
fn a_monitoring_plugin_that_was_interrupted_told_that_all_is_well() {
    let (_, lines) = interrupted("nagios");
    assert!(lines[0].starts_with("TOX UNKNOWN - 1 of 2 relays are well; "), "{}", lines[0]);
    assert!(lines[0].contains(": interrupted before the end | "), "{}", lines[0]);
}

#[test]
fn a_relay_whose_probe_was_interrupted_was_down_for_prometheus() {
    let (_, lines) = interrupted("prom");
    let ups: Vec<_> = lines.iter().filter(|line| line.starts_with("tox_relay_up{")).collect();
    assert!(ups.len() == 1 && ups[0].ends_with(" 1"), "{ups:?}");
    assert!(lines.iter().any(|line| line.contains("reason=\"interrupted\"")), "{lines:?}");
}
