//! One running program, from its start to its end.

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

/// How much of the output is kept for error messages; the rest is read and thrown away. A start
/// prints about 1 KiB.
const KEPT_OUTPUT: usize = 64 * 1024;

/// The program's exit status when `setpriv` could not find it, as with every POSIX shell.
const NOT_FOUND: i32 = 127;

/// A program that a Debian package brings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
}

/// A child process that never blocks on its output, and that ends with this value, or with the
/// process that holds this value if that one is killed.
#[derive(Debug)]
pub(crate) struct Process {
    program: Program,
    child: Child,
    /// Gives the output, once the child has ended. Taken only by [`Process::stop`].
    reader: Option<JoinHandle<String>>,
}

impl Process {
    /// Starts a program in `directory`. The receiver gives what `find` found first in the lines that it prints.
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
        // The child is started by the thread that then reads its output to the end, since the
        // kernel sends the signal asked for in `launch` when the thread that started it is gone:
        // a test's own thread may be gone long before the test process.
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

    /// Waits until somebody listens at `address`, which is hoped to be this program.
    pub(crate) fn wait_until_it_listens(
        &mut self,
        address: SocketAddr,
        limit: Duration,
    ) -> Result<(), Error> {
        let listens = wait_for(limit, || match self.child.try_wait() {
            Ok(None) => TcpStream::connect_timeout(&address, limit).ok().map(|_| true),
            _ => Some(false),
        });
        match listens {
            Some(true) => Ok(()),
            Some(false) => Err(self.ended(limit)),
            None => Err(self.not_ready(limit)),
        }
    }

    /// Ends the process, and tells that it was not ready after `limit`.
    pub(crate) fn not_ready(&mut self, limit: Duration) -> Error {
        Error::NotReady { program: self.program.name, limit, output: self.stop() }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The process has ended or is about to. Why?
    pub(crate) fn ended(&mut self, limit: Duration) -> Error {
        let status = wait_for(limit, || self.child.try_wait().transpose());
        let output = self.stop();
        let program = self.program.name;
        match status {
            Some(Ok(status)) if status.code() == Some(NOT_FOUND) => {
                Error::NotInstalled { program, package: self.program.package }
            }
            Some(Ok(status)) => Error::Ended { program, status, output },
            Some(Err(source)) => Error::Io { what: "ask for an exit status", source },
            None => Error::NotReady { program, limit, output },
        }
    }

    /// Kills the process and what it has started, and reaps it; harmless if it has ended. Gives the output.
    fn stop(&mut self) -> String {
        self.kill_group();
        let _ = self.child.kill();
        let _: io::Result<ExitStatus> = self.child.wait();
        let output = self.reader.take().map(JoinHandle::join);
        output.and_then(Result::ok).unwrap_or_default()
    }

    /// Kills by the group, which an ended process may have left some behind in.
    fn kill_group(&self) {
        let group = format!("-{}", self.id());
        let _ = Command::new("kill").args(["-s", "KILL", "--", &group]).stderr(Stdio::null()).status();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The started program, and what it prints on both its outputs.
fn launch(program: Program, arguments: &[String], directory: &Path) -> Result<(Child, PipeReader), Error> {
    let pipe = |source| Error::Io { what: "make a pipe", source };
    let (output, writer) = io::pipe().map_err(pipe)?;
    // `setpriv` asks the kernel to kill the program when this process is gone, then becomes it, so
    // the id stays. `Drop` cannot do that for a test process that is itself killed.
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

/// Reads to the end, so that the program never waits for a reader. Gives the first of it.
fn read<T>(output: PipeReader, find: fn(&str) -> Option<T>, found: &SyncSender<T>) -> String {
    let mut kept = String::new();
    for line in BufReader::new(output).split(b'\n') {
        let Ok(line) = line else { break };
        let line = String::from_utf8_lossy(&line);
        if let Some(what) = find(&line) {
            let _ = found.try_send(what);
        }
        if kept.len() + line.len() < KEPT_OUTPUT {
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
    fn a_missing_program_is_named_with_its_package() {
        let missing = Program { name: "no-such-program", package: "no-such-package" };
        let (mut process, _) = Process::start(missing, &[], Path::new("/"), |_| None::<()>).unwrap();
        let error = process.ended(Duration::from_secs(60));
        assert!(matches!(error, Error::NotInstalled { program: "no-such-program", .. }), "{error}");
        assert!(error.to_string().contains("no-such-package"), "{error}");
    }
}
