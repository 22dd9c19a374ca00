//! The examples that need a relay, run as programs against the test relay.

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

fn relay() -> (Relay, [String; 2]) {
    let relay = Relay::start(Options::default()).unwrap();
    let arguments = [relay.addr().to_string(), PublicKey::from(relay.public_key()).to_string()];
    (relay, arguments)
}

/// The public key that a program prints as its own.
fn key(program: &Program) -> String {
    let line = program.hear("key");
    line.split_whitespace().find(|word| word.parse::<PublicKey>().is_ok()).expect("a key").to_owned()
}

/// `cargo test` builds the examples next to its tests.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let built: PathBuf = test.parent().unwrap().with_file_name("examples").join(name);
    assert!(built.with_extension(std::env::consts::EXE_EXTENSION).exists(), "`cargo build --examples` first");
    Command::new(built)
}

/// A program with line-by-line input and output. It is ended with the test.
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

    fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The next line that contains `text`.
    #[track_caller]
    fn hear(&self, text: &str) -> String {
        let guard = Instant::now() + GUARD;
        loop {
            let left = guard.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("never said: {text}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Closes its input, reads the rest of its output, and returns how it ended.
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
fn two_people_chat() {
    let (_relay, place) = relay();
    let start = || {
        let mut command = example("chat");
        command.args(&place);
        Program::start(command)
    };
    let (mut alice, mut bob) = (start(), start());
    let (alices, bobs) = (key(&alice), key(&bob));
    alice.say(&format!("/peer {bobs}"));
    bob.say(&format!("/peer {alices}"));
    alice.hear("online");
    bob.hear("online");
    alice.say("Hello, Bob.");
    assert!(bob.hear("Hello, Bob.").starts_with(&alices[..8]));
    bob.say("Hello, Alice.");
    assert!(alice.hear("Hello, Alice.").starts_with(&bobs[..8]));
    bob.say("/quit");
    alice.hear("offline");
    assert!(bob.end().success());
    assert!(alice.end().success());
}

#[test]
fn a_chat_goes_through_a_proxy_and_never_around_it() {
    let (_relay, place) = relay();
    let proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut command = example("chat");
    command.args(&place).args(["--proxy", &format!("http://{}", proxy.local_addr().unwrap())]);
    let chat = Program::start(command);
    let (mut stream, _) = proxy.accept().unwrap();
    let mut request = String::new();
    BufReader::new(&stream).read_line(&mut request).unwrap();
    assert_eq!(request, format!("CONNECT {} HTTP/1.1\r\n", place[0]));
    stream.write_all(b"HTTP/1.1 403 Not here\r\n\r\n").unwrap();
    chat.hear("HTTP status 403 Not here");
    assert!(chat.end().success());
}

#[test]
fn an_echo_survives_its_relay_and_its_own_restart() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("echo");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let options = Options { secret_key: Some([7; 32]), ..Options::default() };
    let relay = Relay::start(options.clone()).unwrap();
    let options = Options { address: relay.addr(), ..options };
    let place = [relay.addr().to_string(), PublicKey::from(relay.public_key()).to_string()];

    let mut command = example("chat");
    command.args(&place);
    let mut friend = Program::start(command);
    let friends = key(&friend);
    let start = || {
        let mut command = example("echo");
        command.args(&place).arg(&friends).current_dir(&folder);
        Program::start(command)
    };
    let echo = start();
    let echos = key(&echo);
    friend.say(&format!("/peer {echos}"));
    friend.hear("online");
    friend.say("first");
    friend.hear(": first");

    drop(relay);
    echo.hear("next attempt");
    let _relay = Relay::start(options).unwrap();
    echo.hear("online");
    friend.hear("online");
    friend.say("second");
    friend.hear(": second");

    drop(echo);
    let echo = start();
    assert_eq!(key(&echo), echos);
    friend.hear("online");
    friend.say("third");
    friend.hear(": third");
    #[cfg(unix)]
    {
        let file = fs::metadata(folder.join("echo.key")).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o777, 0o600);
    }
}

#[test]
fn wrong_arguments_are_told() {
    for name in ["chat", "main_loop"] {
        let output = example(name).arg("not an address").output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("usage"));
    }
}

#[test]
fn both_kinds_of_loops_let_two_clients_meet() {
    let (_relay, place) = relay();
    let modes: &[&str] = if cfg!(unix) { &["iterate", "poller"] } else { &["iterate"] };
    for mode in modes {
        let output = example("main_loop").args(&place).arg(mode).output().unwrap();
        assert!(output.status.success(), "{mode}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("Both have heard the other"));
    }
}
