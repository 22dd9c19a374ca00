//! A messenger that runs.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Outcome, Program};

/// A process that runs `messenger.c`, with its input and its output by lines. It ends when its input does, so also when
/// the process that holds this value is killed; dropping this value kills it.
#[derive(Debug)]
pub struct Messenger {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Its Tox address.
    pub address: String,
}

impl Messenger {
    /// Starts the program with these arguments.
    pub fn start(program: &Program, arguments: &[&str]) -> Outcome<Self> {
        Self::start_with(&mut Command::new(&program.path), arguments)
    }

    /// The same by a command that starts the program.
    pub fn start_with(command: &mut Command, arguments: &[&str]) -> Outcome<Self> {
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let (sender, lines) = channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut messenger = Self { input: child.stdin.take(), child, lines, address: String::new() };
        messenger.address = messenger.wait_for("address ", Duration::from_secs(60))?;
        Ok(messenger)
    }

    /// Gives it a command.
    pub fn command(&mut self, line: &str) -> Outcome<()> {
        Ok(writeln!(self.input.as_mut().ok_or("it has ended")?, "{line}")?)
    }

    /// Waits for a line that begins like this, and returns the rest of it. An error of the messenger is one here.
    pub fn wait_for(&self, beginning: &str, limit: Duration) -> Outcome<String> {
        self.wait_until(beginning, Instant::now() + limit)?
            .ok_or_else(|| format!("no line with {beginning:?} within {limit:?}").into())
    }

    /// The same, but `None` if there is no such line until then.
    pub fn wait_until(&self, beginning: &str, limit: Instant) -> Outcome<Option<String>> {
        loop {
            let left = limit.saturating_duration_since(Instant::now());
            let line = match self.lines.recv_timeout(left) {
                Ok(line) => line,
                Err(_) if Instant::now() >= limit => return Ok(None),
                Err(_) => return Err(format!("ended before a line with {beginning:?}").into()),
            };
            if let Some(rest) = line.strip_prefix(beginning) {
                return Ok(Some(rest.to_owned()));
            }
            if line.starts_with("error ") {
                return Err(line.into());
            }
        }
    }

    /// The CPU time that its process has taken so far.
    pub fn cpu(&mut self) -> Outcome<Duration> {
        self.command("cpu")?;
        Ok(Duration::from_micros(self.wait_for("cpu ", Duration::from_secs(60))?.parse()?))
    }

    /// Ends it like a user, and returns its exit status.
    pub fn end(mut self) -> Outcome<ExitStatus> {
        drop(self.input.take());
        self.wait_for("end", Duration::from_secs(60))?;
        Ok(self.child.wait()?)
    }
}

impl Drop for Messenger {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
