//! Starts the test program once more, as a child process: for what a whole process has, such as its limits.

use std::env;
use std::ffi::OsString;
use std::process::Command;

/// Set in the process that was started.
const MARK: &str = "TEST_CHILD_PROCESS";

/// This program as a process of its own, which runs nothing but the test of this name. Words before it, if there are
/// any, are the command that starts it.
pub fn child_process(before: &[&str], test: &str) -> Command {
    let this = env::current_exe().unwrap();
    let mut words: Vec<OsString> = before.iter().map(Into::into).collect();
    words.push(this.into());
    words.extend(["--exact", test, "--nocapture"].map(Into::into));
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env(MARK, test);
    command
}

/// Whether this is the process that [`child_process`] started for the test.
pub fn is_child_process(test: &str) -> bool {
    env::var_os(MARK).is_some_and(|started| started == test)
}
