//! Helper processes: this program, started again with other arguments. They read orders as lines from their standard
//! input, and write answers as lines to their standard output.
//!
//! A helper ends when its standard input is closed, so no helper keeps running, however this program ends.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio, exit};
use std::sync::mpsc::{self, Receiver};
use std::{env, io, thread};

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// A running helper, in the program that gives the orders.
pub struct Helper {
    child: Child,
    /// `None` only while it is dropped.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Helper {
    pub fn start(arguments: &[&str]) -> Outcome<Self> {
        let mut child = Command::new(env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().ok_or("a helper without output")?);
        Ok(Self { child, orders, answers })
    }

    /// Sends an order and does not wait.
    pub fn tell(&mut self, order: &str) -> Outcome<()> {
        let orders = self.orders.as_mut().ok_or("a helper that is gone")?;
        Ok(orders.write_all(format!("{order}\n").as_bytes())?)
    }

    /// Waits for the next answer.
    pub fn answer(&mut self) -> Outcome<String> {
        let mut line = String::new();
        match self.answers.read_line(&mut line)? {
            0 => Err("a helper has ended".into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    /// Sends an order and waits for its answer.
    pub fn ask(&mut self, order: &str) -> Outcome<String> {
        self.tell(order)?;
        self.answer()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.child.wait();
    }
}

/// Receives orders, in the helper process. `notify` is called for each order, from another thread. The process exits
/// when its standard input is closed, whatever it is doing.
pub fn orders(notify: impl Fn() + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for order in io::stdin().lines().map_while(Result::ok) {
            let _ = sender.send(order);
            notify();
        }
        exit(0);
    });
    receiver
}

/// Answers an order.
pub fn answer(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(format!("{text}\n").as_bytes())?;
    output.flush()
}
