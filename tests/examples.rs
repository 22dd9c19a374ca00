//! Runs the examples that need a relay, as programs, with the test relay.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use tox_relay_client::PublicKey;
use tox_test_relay::{Options, Relay};

/// Only a failing test waits this long.
const GUARD: Duration = Duration::from_secs(20);

/// A relay, and the arguments with which the examples connect to it.
fn relay() -> (Relay, [String; 2]) {
    let relay = Relay::start(Options::default()).unwrap();
    let arguments = [relay.addr().to_string(), PublicKey::from(relay.public_key()).to_string()];
    (relay, arguments)
}

/// Returns the public key that a program prints as its own.
fn key(program: &Program) -> String {
    let line = program.wait_for_line("key");
    line.split_whitespace().find(|word| word.parse::<PublicKey>().is_ok()).expect("a key").to_owned()
}

/// Returns the command for an example. `cargo test` builds the examples next to its tests.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let built: PathBuf = test.parent().unwrap().with_file_name("examples").join(name);
    assert!(built.with_extension(std::env::consts::EXE_EXTENSION).exists(), "`cargo build --examples` first");
    Command::new(built)
}

/// A running program with line-by-line input and output. Dropping it ends the program.
struct Program {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Program {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { input: child.stdin.take(), child, lines }
    }

    fn send_line(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits for the next line.
    #[track_caller]
    fn next_line(&self) -> String {
        self.lines.recv_timeout(GUARD).expect("a line in time")
    }

    /// Waits for the next line that contains `text`.
    #[track_caller]
    fn wait_for_line(&self, text: &str) -> String {
        let guard = Instant::now() + GUARD;
        loop {
            let left = guard.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("not printed: {text}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Closes the input, reads the rest of the output, and returns the exit status.
    fn end(mut self) -> ExitStatus {
        self.input = None;
        while self.lines.recv_timeout(GUARD).is_ok() {}
        self.child.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn two_chats_exchange_lines_and_unknown_commands_are_not_sent() {
    let (_relay, relay_arguments) = relay();
    let start = || {
        let mut command = example("chat");
        command.args(&relay_arguments);
        Program::start(command)
    };
    let (mut alice, mut bob) = (start(), start());
    let (alices, bobs) = (key(&alice), key(&bob));
    alice.send_line(&format!("/peer {bobs}"));
    bob.send_line(&format!("/peer {alices}"));
    alice.wait_for_line("online");
    bob.wait_for_line("online");
    alice.send_line("Hello, Bob.");
    assert!(bob.wait_for_line("Hello, Bob.").starts_with(&alices[..8]));
    bob.send_line("Hello, Alice.");
    assert!(alice.wait_for_line("Hello, Alice.").starts_with(&bobs[..8]));
    alice.send_line("//peer is a command.");
    assert!(bob.wait_for_line(": /peer").ends_with(": /peer is a command."));
    alice.send_line("/peers");
    alice.wait_for_line("Unknown command /peers");
    alice.send_line("Bye.");
    assert!(bob.next_line().ends_with(": Bye."), "an unknown command is not sent");
    bob.send_line("/quit");
    alice.wait_for_line("offline");
    assert!(bob.end().success());
    assert!(alice.end().success());
}

#[test]
fn a_chat_goes_through_a_proxy_and_never_around_it() {
    let (_relay, relay_arguments) = relay();
    let proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut command = example("chat");
    command.args(&relay_arguments).args(["--proxy", &format!("http://{}", proxy.local_addr().unwrap())]);
    let chat = Program::start(command);
    let (mut stream, _) = proxy.accept().unwrap();
    let mut request = String::new();
    BufReader::new(&stream).read_line(&mut request).unwrap();
    assert_eq!(request, format!("CONNECT {} HTTP/1.1\r\n", relay_arguments[0]));
    stream.write_all(b"HTTP/1.1 403 Not here\r\n\r\n").unwrap();
    chat.wait_for_line("HTTP status 403 Not here");
    assert_eq!(chat.end().code(), Some(1), "it was never connected");
}

#[test]
fn an_echo_works_again_after_a_restart_of_the_relay_and_of_itself() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("echo");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let options = Options { secret_key: Some([7; 32]), ..Options::default() };
    let relay = Relay::start(options.clone()).unwrap();
    let options = Options { address: relay.addr(), ..options };
    let relay_arguments = [relay.addr().to_string(), PublicKey::from(relay.public_key()).to_string()];

    let mut command = example("chat");
    command.args(&relay_arguments);
    let mut friend = Program::start(command);
    let friends = key(&friend);
    let start = || {
        let mut command = example("echo");
        command.args(&relay_arguments).arg(&friends).current_dir(&folder);
        Program::start(command)
    };
    let echo = start();
    let echos = key(&echo);
    friend.send_line(&format!("/peer {echos}"));
    friend.wait_for_line("online");
    friend.send_line("first");
    friend.wait_for_line(": first");

    drop(relay);
    echo.wait_for_line("no connection to");
    let _relay = Relay::start(options).unwrap();
    echo.wait_for_line("online");
    friend.wait_for_line("online");
    friend.send_line("second");
    friend.wait_for_line(": second");

    drop(echo);
    let echo = start();
    assert_eq!(key(&echo), echos);
    friend.wait_for_line("online");
    friend.send_line("third");
    friend.wait_for_line(": third");
    #[cfg(unix)]
    {
        let file = fs::metadata(folder.join("echo.key")).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o777, 0o600);
    }
}

#[test]
fn help_is_printed_without_a_relay() {
    let output = example("chat").arg("--help").output().unwrap();
    assert!(output.status.success());
    assert!(output.stderr.is_empty());
    let help = String::from_utf8(output.stdout).unwrap();
    for text in ["usage: chat RELAY_ADDRESS RELAY_KEY", "--secret FILE", "--proxy URL", "/peer KEY", "/quit"]
    {
        assert!(help.contains(text), "{text}");
    }
}

#[test]
fn a_chat_that_was_never_connected_ends_with_an_error() {
    let key = PublicKey::from([9; 32]).to_string();
    let output = example("chat").args(["127.0.0.1:1", &key]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("never connected"), "{output:?}");
}

#[test]
fn wrong_arguments_print_the_usage() {
    for name in ["chat", "main_loop"] {
        let output = example(name).arg("not an address").output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("usage"));
    }
}

#[test]
fn two_clients_exchange_messages_in_both_kinds_of_loops() {
    let (_relay, relay_arguments) = relay();
    let modes: &[&str] = if cfg!(unix) { &["iterate", "poller"] } else { &["iterate"] };
    for mode in modes {
        let output = example("main_loop").args(&relay_arguments).arg(mode).output().unwrap();
        assert!(output.status.success(), "{mode}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("Both have received the other's message"));
    }
}
