//! Hundreds of relays at once.

use std::io::Read;
use std::time::{Duration, Instant};

use tox_test_relay::Conduct;

use crate::program::{any_key, dead_port, line, probe_with_input, relay, serve, silent_port};

#[test]
fn hundreds_are_probed_in_seconds_and_a_slow_one_holds_up_no_other() {
    const EACH: usize = 100;
    let relays: Vec<_> = (0..EACH).map(|_| relay(Conduct::Honest)).collect();
    let dead: Vec<_> = (0..EACH).map(|_| dead_port()).collect();
    let silent: Vec<_> = (0..EACH).map(|_| silent_port()).collect();
    let closing = serve(|mut client| _ = client.read_exact(&mut [0; 128]));
    let key = any_key();
    let lines = relays
        .iter()
        .map(line)
        .chain(dead.iter().map(|(_, address)| format!("{address} {key}")))
        .chain(silent.iter().map(|(_, address)| format!("{address} {key}")))
        .chain([format!("{closing} {key}")]);
    let list: String = lines.map(|line| line + "\n").collect();

    let began = Instant::now();
    let ended = probe_with_input(&["-f", "-", "-c", "5", "-i", "0.1", "-W", "2", "--format", "json"], &list);
    let took = began.elapsed();

    let objects = ended.json();
    let count = |reason: &str| objects.iter().filter(|object| object["reason"] == reason).count();
    assert_eq!(
        ["ok", "refused", "silent", "maybe-wrong-key"].map(count),
        [EACH, EACH, EACH, 1],
        "{}",
        ended.stderr
    );
    assert!(objects[..EACH].iter().all(|object| object["reason"] == "ok"), "the best come first");
    // Their timeout is 2 s; one after the other they would take minutes.
    assert!(took < Duration::from_secs(15), "{took:?}");
}

#[test]
fn each_port_of_a_relay_is_probed_by_itself() {
    let relay = relay(Conduct::Honest);
    let (_socket, dead) = dead_port();
    let text = line(&relay);
    let ended =
        probe_with_input(&["-f", "-", "-c", "1", "--format", "json"], &format!("{dead} {text} the one"));
    let told: Vec<_> =
        ended.json().iter().map(|object| (object["reason"].clone(), object["address"].clone())).collect();
    assert_eq!(ended.status, 2);
    assert_eq!(
        told,
        [("ok".into(), relay.addr().to_string().into()), ("refused".into(), dead.to_string().into())]
    );
}

#[test]
#[cfg(unix)]
fn with_few_descriptors_all_are_looked_at_one_after_the_other() {
    use std::io::Write;
    use std::process::{Command, Stdio};

    let address = serve(drop);
    let list: String = (0..60).map(|_| format!("{address} {}\n", any_key())).collect();
    let mut command = Command::new("sh");
    let limited = "ulimit -n 40; exec \"$0\" probe --file - --test banner --format json";
    command.args(["-c", limited, env!("CARGO_BIN_EXE_tox-relay")]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!((output.lines().count(), output.matches("Too many open files").count()), (60, 0), "{output}");
}
