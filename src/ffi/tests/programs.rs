//! Compiles and runs the programs in C: the tests in this folder, and the examples. Each test program runs once as it
//! is, and once under valgrind. Without a C compiler these tests are skipped, and say so; without valgrind, that part is.

#![cfg(unix)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use tox_test_relay::{Options, Relay};

use support::{check, compile, dead_address, exists, run};

/// A relay, and its arguments for a program.
fn relay() -> (Relay, [String; 2]) {
    let relay = Relay::start(Options::default()).unwrap();
    let key = relay.public_key().iter().map(|byte| format!("{byte:02X}")).collect();
    let arguments = [relay.addr().to_string(), key];
    (relay, arguments)
}

#[test]
fn misuse_is_an_error() {
    run("tests/misuse.c", &[]);
}

#[test]
fn what_is_not_a_handle_is_an_error() {
    run("tests/handles.c", &[]);
}

#[test]
fn two_clients_use_each_function() {
    let (_relay, [address, key]) = relay();
    run("tests/client.c", &[address, key, dead_address(), "reflects".to_owned()]);
}

#[test]
fn two_pools_use_each_function() {
    let ((_first, [address, key]), (_second, [other_address, other_key])) = (relay(), relay());
    let reflects = "reflects".to_owned();
    run("tests/pool.c", &[address, key, other_address, other_key, dead_address(), reflects]);
}

#[test]
fn the_header_is_one_of_cpp() {
    if exists("c++") {
        check(&mut Command::new(compile("c++", "-std=c++17", "tests/header.cpp")));
    }
}

/// A running example, with its input and output by lines.
struct Example {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Example {
    fn start(program: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        let mut child =
            command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a program");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let (sender, lines) = channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { input: child.stdin.take(), child, lines }
    }

    /// Waits for a line that contains this text.
    #[track_caller]
    fn wait_for(&self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(20));
            let line = line.unwrap_or_else(|_| panic!("there is no line with {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    fn key(&self) -> String {
        self.wait_for("public key").rsplit(' ').next().expect("a key").to_owned()
    }

    fn write(&mut self, line: &str) {
        writeln!(self.input.as_mut().expect("its input"), "{line}").expect("a program that reads");
    }

    /// Ends the input, and waits for the end of the program.
    fn end(mut self) {
        drop(self.input.take());
        assert!(self.child.wait().expect("its status").success());
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two of these programs send each other a line. `first` are the words with which the first one starts, and `introduce`
/// is what it reads to know the other's key.
fn converse(mut first: Example, mut second: Example, introduce: &str, online: &str) {
    first.write(&format!("{introduce}{}", second.key()));
    first.wait_for(online);
    second.wait_for(online);
    second.write("hello, first");
    first.wait_for("hello, first");
    first.write("hello, second");
    second.wait_for("hello, second");
    second.end();
    first.wait_for("offline");
    first.end();
}

#[test]
fn two_people_chat_in_a_toxcore_style_loop() {
    if !exists("cc") {
        return;
    }
    let (_relay, [address, key]) = relay();
    let program = compile("cc", "-std=c99", "../../examples/c/chat.c");
    let first = Example::start(&program, &[&address, &key]);
    let second = Example::start(&program, &[&address, &key, &first.key()]);
    converse(first, second, "/peer ", "The peer is online");
}

#[test]
fn two_friends_meet_in_poll() {
    if !exists("cc") {
        return;
    }
    let ((_first, [address, key]), (_second, [other, other_key])) = (relay(), relay());
    let program = compile("cc", "-std=c99", "../../examples/c/poll_loop.c");
    let relays = [&address[..], &key, &other, &other_key];
    let first = Example::start(&program, &[&["-"][..], &relays].concat());
    let second = Example::start(&program, &[&[&first.key()[..]][..], &relays].concat());
    converse(first, second, "", "The friend is online");
}
