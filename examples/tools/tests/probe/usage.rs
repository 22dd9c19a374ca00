//! The command line and lists.

use std::fs;
use std::path::PathBuf;

use tox_relay_client::PublicKey;
use tox_test_relay::Conduct;

use crate::program::{any_key, line, probe, probe_with_input, relay};

#[test]
fn what_is_wrong_with_the_command_line_is_status_three_with_the_reason() {
    let key = &any_key().to_string();
    for (arguments, reason) in [
        (&[][..], "ADDRESS"),
        (&["192.0.2.1:1"], "2 values"),
        (&["192.0.2.1", key], "there is no port"),
        (&["192.0.2.1:1", "12"], "64 hexadecimal digits"),
        (&["192.0.2.1:1", key, "-i", "0"], "at least 10ms"),
        (&["192.0.2.1:1", key, "-W", "never"], "a time is"),
        (&["192.0.2.1:1", key, "-c", "0"], "1..=10000"),
        (&["192.0.2.1:1", key, "-t", "everything"], "possible values"),
        (&["192.0.2.1:1", key, "-x", "https://127.0.0.1:1"], "URL of a proxy"),
        (&["192.0.2.1:1", key, "--format", "nagios", "--watch", "1"], "--watch"),
        (&["-f", "/no/such/file"], "/no/such/file"),
        (&["192.0.2.1:1", key, "-6"], "no relay to probe"),
    ] {
        let ended = probe(arguments);
        assert_eq!((ended.status, &*ended.stdout), (3, ""), "{arguments:?}");
        assert!(ended.stderr.contains(reason), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_anything_is_probed() {
    let relay = relay(Conduct::Honest);
    let (address, key) = (relay.addr().to_string(), PublicKey::from(relay.public_key()).to_string());
    let folder = env!("CARGO_TARGET_TMPDIR");
    for file in [folder, "/no/such/folder/file"] {
        let ended = probe(&[&address, &key, "--output", file]);
        assert_eq!(ended.status, 3, "{file}");
        assert!(ended.stderr.contains(file), "{}", ended.stderr);
    }
    assert_eq!(relay.statistics().accepted, 0);
}

#[test]
#[cfg(target_os = "linux")]
fn the_status_counts_also_if_the_reason_cannot_be_written() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let status =
        crate::program::command(&["192.0.2.1", &any_key().to_string()]).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(3));
}

#[test]
fn one_wrong_line_or_node_refused_a_whole_list() {
    let relay = relay(Conduct::Honest);
    let (right, port) = (line(&relay), relay.addr().port());
    let key = PublicKey::from(relay.public_key());
    let lines = format!("{right} first\nnonsense\n");
    let node = format!(r#"{{"ipv4": "127.0.0.1", "tcp_ports": [{port}], "public_key": "{key}"}}"#);
    let nodes = format!(r#"{{"nodes": [{node}, {{"ipv4": "127.0.0.1", "tcp_ports": [1]}}]}}"#);
    for (list, place) in [(lines, "line 2: "), (nodes, "node 2: ")] {
        let ended = probe_with_input(&["-f", "-", "-c", "1", "--format", "json"], &list);
        assert_eq!((ended.status, ended.json().len()), (1, 1), "{}", ended.stderr);
        assert_eq!(ended.json()[0]["reason"], "ok");
        assert!(
            ended.stderr.starts_with(&format!("tox-relay: skipped: standard input: {place}")),
            "{}",
            ended.stderr
        );
        let plugin = probe_with_input(&["-f", "-", "-c", "1", "--format", "nagios"], &list);
        assert!(
            plugin.stdout.starts_with("TOX WARNING - ") && plugin.stdout.contains("; 1 skipped |"),
            "{}",
            plugin.stdout
        );
        assert_eq!(plugin.status, 1);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_result_that_cannot_be_written_is_status_three_with_the_reason() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let child =
        crate::program::command(&["127.0.0.1:1", &any_key().to_string()]).stdout(full).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains("No space left"), "{error}");
}

#[test]
fn a_name_in_another_encoding_refused_a_whole_list() {
    let relay = relay(Conduct::Honest);
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("latin-{}", std::process::id()));
    fs::write(&file, [line(&relay).as_bytes(), b" caf\xe9\n"].concat()).unwrap();
    let ended = probe(&["-f", file.to_str().unwrap(), "-c", "1", "--format", "json"]);
    fs::remove_file(&file).unwrap();
    assert_eq!((ended.status, &ended.json()[0]["name"]), (0, &"caf\u{fffd}".into()), "{}", ended.stderr);
}

#[test]
fn a_list_of_which_nothing_can_be_used_is_status_three_with_the_first_reason() {
    for (list, reason) in [
        ("nonsense\n<html>\n", "standard input: line 1: "),
        (r#"{"nodes": [7, 8]}"#, "standard input: node 1: "),
        (r#"{"relays": []}"#, "standard input: missing field `nodes`"),
        (r#"{"nodes": []}"#, "there is no relay to probe"),
        ("# nothing\n", "there is no relay to probe"),
    ] {
        let ended = probe_with_input(&["-f", "-"], list);
        assert_eq!(ended.status, 3, "{list}");
        assert!(ended.stderr.contains(reason) && ended.stderr.lines().count() == 1, "{}", ended.stderr);
    }
}

#[test]
fn the_json_of_the_status_page_is_a_list() {
    let relay = relay(Conduct::Honest);
    let (port, key) = (relay.addr().port(), PublicKey::from(relay.public_key()));
    let text = format!(
        r#"{{"last_scan": 1, "nodes": [{{"ipv4": "127.0.0.1", "ipv6": "-", "port": 33445, "tcp_ports": [{port}],
            "public_key": "{key}", "maintainer": "somebody", "status_tcp": true}}]}}"#
    );
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("nodes-{}.json", std::process::id()));
    fs::write(&file, text).unwrap();
    let ended = probe(&["--file", file.to_str().unwrap(), "-c", "1", "--format", "json"]);
    fs::remove_file(&file).unwrap();
    assert_eq!((ended.status, &ended.json()[0]["name"]), (0, &"somebody".into()), "{}", ended.stderr);
}

#[test]
fn a_name_is_looked_up_without_a_proxy() {
    let relay = relay(Conduct::Honest);
    let text = line(&relay);
    let key = text.split(' ').nth(1).unwrap();
    let ended =
        probe(&[&format!("localhost:{}", relay.addr().port()), key, "-4", "-c", "1", "--format", "json"]);
    let object = &ended.json()[0];
    assert_eq!(
        (&object["address"], &object["name"]),
        (&relay.addr().to_string().into(), &"localhost".into())
    );
    let ended = probe(&["no-such-relay.invalid:1", key, "--format", "json"]);
    let object = &ended.json()[0];
    assert_eq!((ended.status, &object["reason"]), (2, &"no-name".into()));
    assert!(
        object["message"].as_str().unwrap().starts_with("the host name cannot be resolved: "),
        "{object}"
    );
}

#[test]
fn a_key_that_no_relay_can_have_is_told_as_such() {
    let ended = probe(&["127.0.0.1:1", &"0".repeat(64), "--format", "json"]);
    assert_eq!((ended.status, &ended.json()[0]["reason"]), (2, &"bad-key".into()));
}

#[test]
fn the_readme_has_each_reason_and_no_other() {
    let readme = include_str!("../../README.md");
    let (_, table) = readme.split_once("| word | state |").unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let told: Vec<&str> =
        rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2)).collect();
    let sources = [
        include_str!("../../src/problem.rs"),
        include_str!("../../src/probe/verdict.rs"),
        include_str!("../../src/probe/session/mod.rs"),
    ];
    let program: String = sources.iter().map(|source| source.split("mod tests {").next().unwrap()).collect();
    for word in &told {
        assert!(program.contains(&format!("\"{word}\"")), "{word} is not in the program");
    }
    // A word stands in quotes before its state.
    let words =
        program.match_indices("\", State::").map(|(end, _)| program[..end].rsplit_once('"').unwrap().1);
    for quoted in words {
        assert!(told.contains(&quoted) || quoted == "ended", "{quoted} is not in the README");
    }
}
