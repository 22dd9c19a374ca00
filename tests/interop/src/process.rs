//! One running program and its output.

use std::io::{self, BufRead, BufReader, PipeReader};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::Error;
use crate::wait_for;

/// The most bytes of output that are kept for error messages; the rest is read and discarded. A start prints about
/// 1 KiB.
const MAX_OUTPUT: usize = 64 * 1024;

/// The exit status of `setpriv` if it cannot find the program. POSIX shells use the same.
const NOT_FOUND: i32 = 127;

/// A program, and the Debian package that contains it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
}

/// A child process. Its output is always read, so it never blocks on a full pipe. It is killed when this value is
/// dropped, and also when the process that holds this value is killed.
#[derive(Debug)]
pub(crate) struct Process {
    program: Program,
    child: Child,
    /// Returns the output after the child has ended. `None` only after [`Process::stop`].
    reader: Option<JoinHandle<String>>,
}

impl Process {
    /// Starts a program in `directory`. The receiver returns the first result of `find` on a line of its output.
    pub(crate) fn start<T: Send + 'static>(
        program: Program,
        arguments: &[&str],
        directory: &Path,
        find: fn(&str) -> Option<T>,
    ) -> Result<(Self, Receiver<T>), Error> {
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let directory = directory.to_owned();
        let (child_sender, child) = mpsc::sync_channel(1);
        let (found_sender, found) = mpsc::sync_channel(1);
        // The thread that reads the output to its end also starts the child, since the kernel sends the signal
        // requested in `launch` when the thread that started the child ends. A test's own thread may end long
        // before the test process.
        let reader = thread::Builder::new()
            .name(program.name.to_owned())
            .spawn(move || match launch(program, &arguments, &directory) {
                Ok((child, output)) => {
                    let _ = child_sender.send(Ok(child));
                    read(output, find, &found_sender)
                }
                Err(error) => {
                    let _ = child_sender.send(Err(error));
                    String::new()
                }
            })
            .map_err(|source| Error::Io { what: "start a thread", source })?;
        let child = child.recv().expect("the thread sends before it ends")?;
        Ok((Self { program, child, reader: Some(reader) }, found))
    }

    /// Waits until `address` accepts connections. It does not check that this program accepts them.
    pub(crate) fn wait_until_listening(&mut self, address: SocketAddr, limit: Duration) -> Result<(), Error> {
        let listening = wait_for(limit, || match self.child.try_wait() {
            Ok(None) => TcpStream::connect_timeout(&address, limit).ok().map(|_| true),
            _ => Some(false),
        });
        match listening {
            Some(true) => Ok(()),
            Some(false) => Err(self.end_error(limit)),
            None => Err(self.not_ready(limit)),
        }
    }

    /// Ends the process, and returns the error that it was not ready after `limit`.
    pub(crate) fn not_ready(&mut self, limit: Duration) -> Error {
        Error::NotReady { program: self.program.name, limit, output: self.stop() }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to it and to the processes that it has started.
    pub(crate) fn signal(&self, name: &str) -> Result<(), Error> {
        let group = format!("-{}", self.id());
        let status = Command::new("kill").args(["-s", name, "--", &group]).stderr(Stdio::null()).status();
        let status = status.map_err(|source| Error::Io { what: "send a signal", source })?;
        let refused = || Error::Io { what: "send a signal", source: io::Error::other(status.to_string()) };
        if status.success() { Ok(()) } else { Err(refused()) }
    }

    /// Waits until the process has ended, and returns why it ended.
    pub(crate) fn end_error(&mut self, limit: Duration) -> Error {
        let status = wait_for(limit, || self.child.try_wait().transpose());
        let output = self.stop();
        let program = self.program.name;
        match status {
            Some(Ok(status)) if status.code() == Some(NOT_FOUND) => {
                Error::NotInstalled { program, package: self.program.package }
            }
            Some(Ok(status)) => Error::Ended { program, status, output },
            Some(Err(source)) => Error::Io { what: "get the exit status of a program", source },
            None => Error::NotReady { program, limit, output },
        }
    }

    /// Kills the process and those that it has started, reaps it, and returns its output. It may have ended before.
    fn stop(&mut self) -> String {
        self.kill_group();
        let _ = self.child.kill();
        let _: io::Result<ExitStatus> = self.child.wait();
        let output = self.reader.take().map(JoinHandle::join);
        output.and_then(Result::ok).unwrap_or_default()
    }

    /// Kills the whole process group, since processes that it started may run longer than the process itself.
    fn kill_group(&self) {
        let _ = self.signal("KILL");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts the program. Returns the child, and a pipe with its standard output and standard error.
fn launch(program: Program, arguments: &[String], directory: &Path) -> Result<(Child, PipeReader), Error> {
    let pipe = |source| Error::Io { what: "create a pipe", source };
    let (output, writer) = io::pipe().map_err(pipe)?;
    // `setpriv` makes the kernel kill the program when the thread that started it ends, since `Drop` does not run in a
    // test process that is killed. Then it executes the program in its place, so the process id stays the same.
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", program.name])
        .args(arguments)
        .current_dir(directory)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(writer.try_clone().map_err(pipe)?)
        .stderr(writer)
        .spawn()
        .map(|child| (child, output))
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::NotInstalled { program: "setpriv", package: "util-linux" },
            _ => Error::Io { what: "start a program", source },
        })
}

/// Reads the output to its end, so that the program never blocks on a full pipe. Returns the beginning of the output.
fn read<T>(output: PipeReader, find: fn(&str) -> Option<T>, found: &SyncSender<T>) -> String {
    let mut kept = String::new();
    for line in BufReader::new(output).split(b'\n') {
        let Ok(line) = line else { break };
        let line = String::from_utf8_lossy(&line);
        if let Some(value) = find(&line) {
            let _ = found.try_send(value);
        }
        if kept.len() + line.len() < MAX_OUTPUT {
            kept.push_str(&line);
            kept.push('\n');
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_reported_with_its_package() {
        let missing = Program { name: "no-such-program", package: "no-such-package" };
        let (mut process, _) = Process::start(missing, &[], Path::new("/"), |_| None::<()>).unwrap();
        let error = process.end_error(Duration::from_secs(60));
        assert!(matches!(error, Error::NotInstalled { program: "no-such-program", .. }), "{error}");
        assert!(error.to_string().contains("no-such-package"), "{error}");
    }
}
