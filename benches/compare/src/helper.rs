//! Helper processes: this program, started again with other arguments. They read commands as lines from their standard
//! input, and write replies as lines to their standard output.
//!
//! A helper ends when its standard input is closed, so no helper keeps running, however this program ends.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio, exit};
use std::sync::mpsc::{self, Receiver};
use std::{env, io, thread};

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// A running helper, in the process that sends the commands.
pub struct Helper {
    child: Child,
    /// `None` only while it is dropped.
    commands: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl Helper {
    pub fn start(arguments: &[&str]) -> Outcome<Self> {
        let mut child = Command::new(env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let commands = child.stdin.take();
        let replies = BufReader::new(child.stdout.take().ok_or("the helper has no standard output")?);
        Ok(Self { child, commands, replies })
    }

    /// Sends a command and does not wait.
    fn send(&mut self, command: &str) -> Outcome<()> {
        let commands = self.commands.as_mut().ok_or("the helper has ended")?;
        Ok(commands.write_all(format!("{command}\n").as_bytes())?)
    }

    /// Waits for the next reply.
    pub fn next_reply(&mut self) -> Outcome<String> {
        let mut line = String::new();
        match self.replies.read_line(&mut line)? {
            0 => Err("the helper has ended".into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    /// Sends a command and waits for its reply.
    pub fn call(&mut self, command: &str) -> Outcome<String> {
        self.send(command)?;
        self.next_reply()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.commands = None;
        let _ = self.child.wait();
    }
}

/// Receives commands, in the helper process. `notify` is called for each command, on another thread. The process exits
/// when its standard input is closed, whatever it is doing.
pub fn commands(notify: impl Fn() + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for command in io::stdin().lines().map_while(Result::ok) {
            let _ = sender.send(command);
            notify();
        }
        exit(0);
    });
    receiver
}

/// Replies to a command.
pub fn reply(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(format!("{text}\n").as_bytes())?;
    output.flush()
}
