//! Runs one test of this program in a child process, for tests of what a whole process has, such as its memory and its
//! limits.

use std::env;
use std::ffi::OsString;
use std::process::Command;

/// Environment variable that is set in the child process.
const MARK: &str = "TEST_CHILD_PROCESS";

/// A command that runs only the test of this name, in a process of its own. `before` is an optional command that starts
/// that process, such as strace with its arguments.
pub fn child_process(before: &[&str], test: &str) -> Command {
    let this = env::current_exe().unwrap();
    let mut words: Vec<OsString> = before.iter().map(Into::into).collect();
    words.push(this.into());
    words.extend(["--exact", test, "--nocapture"].map(Into::into));
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env(MARK, test);
    command
}

/// Whether this process was started by [`child_process`] for this test.
pub fn is_child_process(test: &str) -> bool {
    env::var_os(MARK).is_some_and(|started| started == test)
}
