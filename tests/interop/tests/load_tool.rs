//! `tox-relay load` with `tox-bootstrapd` and a real proxy.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use interop::{Bootstrapd, ProxyKind, RealProxy};
use tox_relay_client::PublicKey;

/// A short run with a stream of JSON. Times given later replace these.
const SHORT: [&str; 11] =
    ["--json", "--connections", "12", "--pairs", "4", "--rate", "200", "--warm-up", "0.2", "--time", "1"];

/// `cargo test --workspace` builds it next to the folder of the tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built =
        test.parent().unwrap().with_file_name("tox-relay").with_extension(std::env::consts::EXE_EXTENSION);
    assert!(built.exists(), "`cargo build -p tox-relay-tools` first");
    built
}

/// A run, which is killed if the test fails.
struct Run {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Run {
    fn start(relay: &Bootstrapd, arguments: &[&str]) -> Self {
        let mut command = Command::new(program());
        command.args(["load", &relay.addr().to_string(), &PublicKey::from(relay.public_key()).to_string()]);
        let mut child = command.args(SHORT).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    fn wait_until_loaded(&mut self) {
        let mut line = String::new();
        while !line.contains(r#""phase":"load""#) {
            line.clear();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "it has ended");
        }
    }

    /// The exit status and the rest of the output, whose last line is the summary.
    fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[track_caller]
fn assert_ends(run: Run, status: i32, parts: &[&str]) {
    let (ended, output) = run.end();
    assert_eq!(ended, Some(status), "{output}");
    for part in parts {
        assert!(output.lines().last().unwrap().contains(part), "no {part} in {output}");
    }
}

#[test]
fn all_that_the_real_relay_carries_arrives() {
    let relay = Bootstrapd::start().unwrap();
    let parts = [r#""outcome":"kept""#, r#""lost":0"#, r#""failed":0"#, r#""unfinished":0"#];
    assert_ends(Run::start(&relay, &["--oob", "20%", "--size", "20-2031"]), 0, &parts);
    // Its window keeps it from getting stuck, also if the users send all that they can.
    assert_ends(Run::start(&relay, &["--rate", "max", "--size", "1400"]), 0, &parts);
}

#[test]
fn users_of_the_real_relay_leave_and_return() {
    let relay = Bootstrapd::start().unwrap();
    let parts = [r#""outcome":"kept""#, r#""lost":0"#, r#""failed":0"#];
    assert_ends(Run::start(&relay, &["--churn", "10", "--time", "3"]), 0, &parts);
}

#[test]
fn a_real_relay_that_hangs_ends_the_run_and_one_that_is_killed_is_lost() {
    let mut relay = Bootstrapd::start().unwrap();
    let mut run = Run::start(&relay, &["--time", "1h", "--abort-above", "1s"]);
    run.wait_until_loaded();
    relay.suspend().unwrap();
    assert_ends(run, 1, &[r#""outcome":"overloaded""#]);
    relay.resume().unwrap();
    let mut run = Run::start(&relay, &["--time", "1h"]);
    run.wait_until_loaded();
    relay.kill();
    assert_ends(run, 2, &[r#""outcome":"lost""#]);
}

#[test]
fn the_real_relay_is_loaded_through_a_real_proxy() {
    let relay = Bootstrapd::start().unwrap();
    let proxy = RealProxy::start(ProxyKind::Microsocks { login: false }).unwrap();
    let url = format!("socks5://{}", proxy.address());
    assert_ends(Run::start(&relay, &["--proxy", &url]), 0, &[r#""outcome":"kept""#, r#""lost":0"#]);
}
