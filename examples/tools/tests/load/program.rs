//! The program: started with some arguments, read line by line, and ended with the test.

use std::io::{BufRead, BufReader, Lines, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use tox_test_relay::{Conduct, Options, Relay};

/// Only a failing test waits this long.
pub const GUARD: Duration = Duration::from_secs(120);

/// A short run: few users, and times of which some tests change one.
pub const SHORT: [&str; 10] =
    ["--connections", "12", "--pairs", "4", "--rate", "200", "--warm-up", "0.2", "--time", "1"];

pub fn relay(conduct: Conduct) -> Relay {
    Relay::start(Options { conduct, ..Options::default() }).unwrap()
}

/// The address and the key of a relay, as arguments.
pub fn target(relay: &Relay) -> [String; 2] {
    [relay.addr().to_string(), hex(&relay.public_key())]
}

pub fn hex(key: &[u8; 32]) -> String {
    key.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// A running program, which is killed when this is dropped.
pub struct Program {
    child: Child,
    /// `None` once its output is closed.
    lines: Option<Lines<BufReader<ChildStdout>>>,
    errors: Option<JoinHandle<String>>,
}

/// What a program that has ended has left.
pub struct Ended {
    pub status: i32,
    pub output: String,
    pub errors: String,
}

impl Program {
    /// Starts `tox-relay load` with the relay's address and key, and these arguments.
    pub fn load<S: AsRef<str>>(target: &[String; 2], arguments: &[S]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tox-relay"));
        command.arg("load").args(target).args(arguments.iter().map(AsRef::as_ref));
        Self::start(command)
    }

    /// The same with so many file descriptors allowed.
    pub fn load_limited(descriptors: u32, target: &[String; 2], arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {descriptors}; exec \"$0\" load \"$@\"")]);
        command.arg(env!("CARGO_BIN_EXE_tox-relay")).args(target).args(arguments);
        Self::start(command)
    }

    /// Runs it to its end with this as its output. Returns the exit status and the errors.
    pub fn load_into(output: std::fs::File, target: &[String; 2], arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tox-relay"));
        command.arg("load").args(target).args(arguments).stdin(Stdio::null()).stdout(output);
        let ended = command.output().unwrap();
        (ended.status.code().unwrap(), String::from_utf8(ended.stderr).unwrap())
    }

    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = Some(BufReader::new(child.stdout.take().unwrap()).lines());
        let mut errors = child.stderr.take().unwrap();
        let errors = thread::spawn(move || {
            let mut text = String::new();
            errors.read_to_string(&mut text).unwrap();
            text
        });
        Self { child, lines, errors: Some(errors) }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line that contains this.
    pub fn line_with(&mut self, part: &str) -> String {
        let mut lines = self.lines.iter_mut().flatten().map(Result::unwrap);
        let line = lines.find(|line| line.contains(part));
        line.unwrap_or_else(|| panic!("no line with {part:?}"))
    }

    /// Closes its output, as `head` does.
    pub fn stop_reading(&mut self) {
        self.lines = None;
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ended {
        let watch = Instant::now();
        let output: Vec<_> = self.lines.iter_mut().flatten().map(Result::unwrap).collect();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(watch.elapsed() < GUARD, "it does not end");
            thread::sleep(Duration::from_millis(5));
        };
        let errors = self.errors.take().unwrap().join().unwrap();
        Ended { status: status.code().expect("no signal has killed it"), output: output.join("\n"), errors }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl Ended {
    /// The objects of a stream of JSON.
    pub fn objects(&self) -> Vec<Value> {
        self.output.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// The summary in a stream of JSON.
    pub fn summary(&self) -> Value {
        let last = self.objects().pop().unwrap_or_else(|| panic!("no output: {}", self.errors));
        assert_eq!(last["type"], "end", "{}", self.output);
        last
    }
}

/// Runs to the end, with JSON.
pub fn run(target: &[String; 2], arguments: &[&str]) -> Ended {
    let arguments = [&SHORT[..], &["--json"], arguments].concat();
    Program::load(target, &arguments).end()
}
