//! The relay as a program, as its users start it.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Output, Stdio},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tox-test-relay");

/// Starts the relay, reads the line that it prints, and ends it through its input.
fn first_line(arguments: &[&str]) -> String {
    let mut relay =
        Command::new(PROGRAM).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(relay.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(relay.wait().unwrap().success());
    line
}

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn key_file(name: &str) -> PathBuf {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_file(&file);
    file
}

#[test]
fn a_key_file_is_used_again_and_only_its_owner_can_read_it() {
    let file = key_file("lasting.key");
    let arguments = ["127.0.0.1:0", "--key", file.to_str().unwrap()];
    let keys = [first_line(&arguments), first_line(&arguments)]
        .map(|line| line.split_whitespace().nth(1).expect("a key").to_owned());
    assert_eq!(keys[0], keys[1]);
    assert_eq!(keys[0].len(), 64);
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
    assert_ne!(first_line(&[]).split_whitespace().nth(1), Some(keys[0].as_str()));
}

#[test]
fn help_is_printed_and_mistakes_are_reported() {
    let help = run(&["--help"]);
    assert!(help.status.success());
    assert!(String::from_utf8_lossy(&help.stdout).contains("--key FILE"));
    for (arguments, problem) in [
        (["127.0.0.1", "--key"].as_slice(), "127.0.0.1:33445"),
        (&["--key"], "--key needs a file"),
        (&["--port"], "no option --port"),
        (&["127.0.0.1:0", "127.0.0.1:0"], "one address"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(problem), "{arguments:?}");
    }
}

#[test]
fn a_file_without_a_key_is_reported_and_not_changed() {
    let file = key_file("no.key");
    fs::write(&file, "no key").unwrap();
    let output = run(&["--key", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not 32 bytes"));
    assert_eq!(fs::read(&file).unwrap(), b"no key");
}
