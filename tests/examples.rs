//! Runs the examples that need a relay, as programs, with the test relay.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use tox_relay_client::{PublicKey, SecretKey};
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
        self.lines_until(text).pop().expect("the line with the text")
    }

    /// Waits for the next line that contains `text`, and returns it and those before it.
    #[track_caller]
    fn lines_until(&self, text: &str) -> Vec<String> {
        let guard = Instant::now() + GUARD;
        let mut lines = Vec::new();
        loop {
            let left = guard.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => lines.push(line),
                Err(_) => panic!("not printed: {text}; but: {lines:#?}"),
            }
            if lines.last().is_some_and(|line| line.contains(text)) {
                return lines;
            }
        }
    }

    /// Closes the input, reads the rest of the output, and returns the exit status.
    fn end(mut self) -> ExitStatus {
        self.input = None;
        self.wait_for_end()
    }

    /// Reads the rest of the output, and returns the exit status.
    fn wait_for_end(mut self) -> ExitStatus {
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

/// An empty folder for the files of a test.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The arguments that add a relay.
fn named(relay: &Relay) -> [String; 3] {
    ["--relay".to_owned(), relay.addr().to_string(), PublicKey::from(relay.public_key()).to_string()]
}

/// Two chats whose peers are each other. Their keys are known before they start, since they are in files.
fn chat_with_each_other(name: &str, arguments: [&[String]; 2]) -> [Program; 2] {
    let folder = folder(name);
    let secrets = [SecretKey::generate(), SecretKey::generate()];
    let files = [folder.join("alice.key"), folder.join("bob.key")];
    std::iter::zip(&files, &secrets).for_each(|(file, secret)| fs::write(file, secret.as_bytes()).unwrap());
    [0, 1].map(|index| {
        let mut command = example("chat");
        command.arg("--secret").arg(&files[index]).args(arguments[index]);
        command.arg(secrets[1 - index].public_key().to_string());
        Program::start(command)
    })
}

/// Each says something, and the other receives it. Returns what was printed meanwhile.
#[track_caller]
fn talk([alice, bob]: &mut [Program; 2], text: &str) -> Vec<String> {
    alice.send_line(text);
    let mut lines = bob.lines_until(text);
    bob.send_line(text);
    lines.extend(alice.lines_until(text));
    lines
}

#[test]
fn a_chat_goes_on_without_a_break_when_each_of_its_relays_is_lost_in_turn() {
    let options = [[1; 32], [2; 32]].map(|key| Options { secret_key: Some(key), ..Options::default() });
    let mut relays = options.clone().map(|options| Some(Relay::start(options).unwrap()));
    let addresses = relays.each_ref().map(|relay| relay.as_ref().unwrap().addr());
    let arguments: Vec<String> = relays.iter().flatten().flat_map(named).collect();
    let mut chats = chat_with_each_other("lost", [&arguments, &arguments]);
    chats.iter().for_each(|chat| _ = chat.wait_for_line("is online"));
    for lost in [0, 1] {
        for relay in relays.iter().flatten() {
            relay.wait_until(GUARD, |statistics| statistics.routes == 2).expect("both routes on each relay");
        }
        // What the relays have sent about them arrives before the answer.
        talk(&mut chats, "before");
        relays[lost] = None;
        let text = format!("* Relay {} lost, going on by {}: ", addresses[lost], addresses[1 - lost]);
        let mut lines: Vec<String> = chats.iter().flat_map(|chat| chat.lines_until(&text)).collect();
        lines.extend(talk(&mut chats, "after"));
        let options = Options { address: addresses[lost], ..options[lost].clone() };
        relays[lost] = Some(Relay::start(options).unwrap());
        let text = format!("* Connected to relay {}", addresses[lost]);
        lines.extend(chats.iter().flat_map(|chat| chat.lines_until(&text)));
        let is_break = |line: &String| line.contains("is offline") || line.contains("is online");
        assert!(!lines.iter().any(is_break), "{lines:#?}");
    }
    let [mut alice, bob] = chats;
    alice.send_line("/quit");
    bob.wait_for_line("is offline");
    assert!(alice.end().success() && bob.end().success());
}

/// A node as the status page describes it, with fields that nobody needs here.
fn node(relay: &Relay, tcp_ports: &[u16], status_tcp: bool) -> serde_json::Value {
    serde_json::json!({
        "ipv4": relay.addr().ip(), "ipv6": "-", "port": 33445, "tcp_ports": tcp_ports,
        "public_key": PublicKey::from(relay.public_key()).to_string(), "maintainer": "somebody", "location": "DE",
        "status_udp": true, "status_tcp": status_tcp, "version": "1000002018", "motd": "\u{1f600}",
        "last_ping": 1_700_000_000,
    })
}

#[test]
fn two_chats_with_the_same_list_of_nodes_use_the_same_relays_and_skip_what_does_not_work() {
    let relays: Vec<Relay> = (0..12).map(|_| relay().0).collect();
    // The first port is not the relay's: all ports are ways to one relay.
    let mut nodes: Vec<_> = relays.iter().map(|relay| node(relay, &[1, relay.addr().port()], true)).collect();
    let unused = [relay().0, relay().0, relay().0];
    nodes.push(node(&unused[0], &[], true));
    nodes.push(node(&unused[1], &[unused[1].addr().port()], false)); // would be the last one
    nodes.push(node(&unused[2], &[unused[2].addr().port()], true));
    nodes[14]["ipv4"] = "NONE".into();
    for _ in 0..2 {
        let key = SecretKey::generate().public_key();
        let mut dead = node(&relays[0], &[1], true);
        dead["public_key"] = key.to_string().into();
        nodes.push(dead);
    }
    let mut named = node(&relays[0], &[33445], true);
    named["public_key"] = SecretKey::generate().public_key().to_string().into();
    named["ipv4"] = "relay.example".into(); // only a proxy resolves it
    nodes.push(named);

    let folder = folder("nodes");
    let files = ["alice.json", "bob.json"].map(|name| folder.join(name).to_str().unwrap().to_owned());
    fs::write(&files[0], serde_json::json!({ "last_scan": 1, "nodes": nodes }).to_string()).unwrap();
    nodes.reverse();
    fs::write(&files[1], serde_json::json!({ "nodes": nodes }).to_string()).unwrap();
    let arguments = files.map(|file| ["--nodes".to_owned(), file]);
    let mut chats = chat_with_each_other("nodes-keys", [&arguments[0], &arguments[1]]);
    let used = chats.each_ref().map(|chat| {
        let mut used = BTreeSet::new();
        while used.len() < 6 {
            let line = chat.wait_for_line("* Connected to relay ");
            used.insert(line.rsplit(' ').next().unwrap().to_owned());
        }
        used
    });
    assert_eq!(used[0], used[1]);
    talk(&mut chats, "Hello.");
    assert!(unused.iter().all(|relay| relay.statistics().accepted == 0));
}

#[test]
fn a_broken_list_of_nodes_is_an_error_that_says_what_is_wrong() {
    let folder = folder("broken");
    let key = PublicKey::from([9; 32]);
    let node =
        |rest: &str| format!(r#"{{"nodes": [{{"public_key": "{key}", "status_tcp": true, {rest}}}]}}"#);
    for (name, text, expected) in [
        ("not-json", "<html>".to_owned(), "expected value at line 1 column 1"),
        ("cut-off", r#"{"nodes": ["#.to_owned(), "EOF"),
        (
            "only-the-nodes",
            r#"[{"ipv4": "192.0.2.1"}]"#.to_owned(),
            "expected an object with the list `nodes`",
        ),
        ("no-nodes", r#"{"nodes": ["192.0.2.1"]}"#.to_owned(), "expected an object that describes a node"),
        ("no-list", r#"{"last_scan": 1}"#.to_owned(), "missing field `nodes`"),
        ("no-key", r#"{"nodes": [{"ipv4": "192.0.2.1"}]}"#.to_owned(), "missing field `public_key`"),
        ("bad-key", r#"{"nodes": [{"public_key": "F00"}]}"#.to_owned(), "node 1: public_key \"F00\": "),
        (
            "bad-address",
            node(r#""ipv4": "192.0.2.256", "tcp_ports": [443]"#),
            "node 1: \"192.0.2.256\", port 443: ",
        ),
        ("bad-port", node(r#""ipv4": "192.0.2.1", "tcp_ports": [70000]"#), "70000"),
        ("zero", node(r#""ipv6": "2001:db8::1", "tcp_ports": [0]"#), "port 0: the port is not a number"),
        ("no-ports", node(r#""ipv4": "192.0.2.1", "tcp_ports": []"#), "has no relay that can be used"),
        (
            "only-names",
            node(r#""ipv4": "relay.example", "tcp_ports": [443]"#),
            "has no relay that can be used",
        ),
        ("empty", r#"{"nodes": []}"#.to_owned(), "has no relay that can be used"),
    ] {
        let file = folder.join(name);
        fs::write(&file, text).unwrap();
        let output = example("chat").arg("--nodes").arg(&file).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {error}");
        assert!(error.contains(file.to_str().unwrap()) && error.contains(expected), "{name}: {error}");
    }
    let output = example("chat").args(["--nodes", "no-such-file"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("no-such-file: "), "{output:?}");
}

#[test]
fn a_chat_creates_the_file_of_its_secret_key_and_has_the_same_key_the_next_time() {
    let folder = folder("secret");
    let (_relay, relay_arguments) = relay();
    let start = || {
        let mut command = example("chat");
        command.args(&relay_arguments).args(["--secret", "chat.key"]).current_dir(&folder);
        Program::start(command)
    };
    let first = start();
    first.wait_for_line("A new secret key is in chat.key");
    let public_key = key(&first);
    drop(first);
    let secret = fs::read(folder.join("chat.key")).unwrap();
    assert_eq!(SecretKey::try_from(&secret[..]).unwrap().public_key().to_string(), public_key);
    let second = start();
    assert!(second.next_line().contains(&public_key), "nothing else is created");
    #[cfg(unix)]
    {
        let file = fs::metadata(folder.join("chat.key")).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o777, 0o600);
    }
}

#[test]
fn a_chat_whose_relays_can_never_be_used_ends_at_once() {
    let key = PublicKey::from([9; 32]).to_string();
    let mut command = example("chat");
    command.args(["relay.example:33445", &key]);
    let chat = Program::start(command);
    chat.wait_for_line("\"relay.example\" is a host name");
    assert_eq!(chat.wait_for_end().code(), Some(1));
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
    let folder = folder("echo");
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
    echo.wait_for_line(&format!("lost {}: ", relay_arguments[0]));
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
    for text in [
        "usage: chat [RELAY_ADDRESS RELAY_KEY]",
        "--relay ADDRESS KEY",
        "--nodes FILE",
        "--secret FILE",
        "--proxy URL",
        "/peer KEY",
        "/quit",
    ] {
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

#[test]
fn the_demo_loses_a_relay_and_no_packet_and_says_how_long_the_pause_was() {
    let output = example("demo").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let after =
        |before: &str| text.split(before).nth(1).unwrap_or_else(|| panic!("{before} is not in {text}"));
    let number = |before: &str| -> u32 {
        let digits: String = after(before).chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    };
    let (lost, repeated) = (number("Lost with the relay: "), number("Alice repeated the "));
    assert!(lost <= repeated && repeated <= 500, "{lost} of {repeated}");
    assert_eq!(number("Bob has all "), 1000);
    let pause = after("Nothing arrives for ").split(',').next().unwrap();
    // A relay that only falls silent is replaced after 5 s.
    assert!(pause.ends_with("ms") || pause.ends_with("µs"), "{pause}");
    assert!(text.contains(&format!("{pause}  pause at Bob")));
    // The relay that was stopped is not the one by which it went on.
    let stopped = after("the relay that carries them, ").split(',').next().unwrap();
    let other = after("then the others by ").split_whitespace().next().unwrap();
    assert!(stopped.len() > 8 && !other.starts_with(stopped), "{stopped}, {other}");
}
