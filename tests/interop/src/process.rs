//! One running `tox-bootstrapd`, from its start to its end.

use std::io::{self, BufRead, BufReader, PipeReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::bootstrapd::Error;
use crate::wait_for;

/// The configuration's name inside the directory that the program is started in.
pub(crate) const CONFIG: &str = "conf";

/// What comes before the key in the output.
const KEY_LABEL: &str = "Public Key: ";

/// How much of the output is kept for error messages; the rest is read and thrown away. A start
/// prints about 1 KiB.
const KEPT_OUTPUT: usize = 64 * 1024;

/// The program's exit status when `setpriv` could not find it, as with every POSIX shell.
const NOT_FOUND: i32 = 127;

/// A child process that never blocks on its output, and that ends with this value, or with the
/// process that holds this value if that one is killed.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Gives the output, once the child has ended. Taken only by [`Process::stop`].
    reader: Option<JoinHandle<String>>,
}

impl Process {
    /// Starts `program` in `directory`, where its configuration is, and waits until it prints its
    /// public key, which it does last, with its relay port bound.
    pub(crate) fn start(program: &str, directory: &Path, limit: Duration) -> Result<(Self, [u8; 32]), Error> {
        let (program, directory) = (program.to_owned(), directory.to_owned());
        let (child_sender, child) = mpsc::sync_channel(1);
        let (key_sender, public_key) = mpsc::sync_channel(1);
        // The child is started by the thread that then reads its output to the end, since the
        // kernel sends the signal asked for in `launch` when the thread that started it is gone:
        // a test's own thread may be gone long before the test process.
        let reader = thread::Builder::new()
            .name("tox-bootstrapd".to_owned())
            .spawn(move || match launch(&program, directory) {
                Ok((child, output)) => {
                    let _ = child_sender.send(Ok(child));
                    read(output, &key_sender)
                }
                Err(error) => {
                    let _ = child_sender.send(Err(error));
                    String::new()
                }
            })
            .map_err(|source| Error::Io { what: "start a thread", source })?;
        let child = child.recv().expect("the thread sends before it ends")?;
        let mut process = Self { child, reader: Some(reader) };
        match public_key.recv_timeout(limit) {
            Ok(key) => Ok((process, key)),
            Err(RecvTimeoutError::Timeout) => Err(process.not_ready(limit)),
            Err(RecvTimeoutError::Disconnected) => Err(process.ended(limit)),
        }
    }

    /// Ends the process, and tells that it was not ready after `limit`.
    pub(crate) fn not_ready(&mut self, limit: Duration) -> Error {
        Error::NotReady { limit, output: self.stop() }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The output has come to its end, so the process has ended or is about to. Why?
    fn ended(&mut self, limit: Duration) -> Error {
        let status = wait_for(limit, || self.child.try_wait().transpose());
        let output = self.stop();
        match status {
            Some(Ok(status)) if status.code() == Some(NOT_FOUND) => {
                Error::NotInstalled { program: "tox-bootstrapd", package: "toxcore-utils" }
            }
            Some(Ok(status)) => Error::Ended { status, output },
            Some(Err(source)) => Error::Io { what: "ask for tox-bootstrapd's exit status", source },
            None => Error::NotReady { limit, output },
        }
    }

    /// Kills by id and reaps; harmless on a process that has ended. Gives the output.
    fn stop(&mut self) -> String {
        let _ = self.child.kill();
        let _: io::Result<ExitStatus> = self.child.wait();
        let output = self.reader.take().map(JoinHandle::join);
        output.and_then(Result::ok).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The started program, and what it prints on both its outputs.
fn launch(program: &str, directory: PathBuf) -> Result<(Child, PipeReader), Error> {
    let pipe = |source| Error::Io { what: "make a pipe", source };
    let (output, writer) = io::pipe().map_err(pipe)?;
    // `setpriv` asks the kernel to kill the program when this process is gone, then becomes it, so
    // the id stays. `Drop` cannot do that for a test process that is itself killed.
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", program])
        .args([&format!("--config={CONFIG}"), "--foreground", "--log-backend=stdout"])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(writer.try_clone().map_err(pipe)?)
        .stderr(writer)
        .spawn()
        .map(|child| (child, output))
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::NotInstalled { program: "setpriv", package: "util-linux" },
            _ => Error::Io { what: "start tox-bootstrapd", source },
        })
}

/// Reads to the end, so that the program never waits for a reader. Gives the first of it.
fn read(output: PipeReader, keys: &SyncSender<[u8; 32]>) -> String {
    let mut kept = String::new();
    for line in BufReader::new(output).split(b'\n') {
        let Ok(line) = line else { break };
        let line = String::from_utf8_lossy(&line);
        if let Some(key) = line.strip_prefix(KEY_LABEL).and_then(parse_key) {
            let _ = keys.try_send(key);
        }
        if kept.len() + line.len() < KEPT_OUTPUT {
            kept.push_str(&line);
            kept.push('\n');
        }
    }
    kept
}

fn parse_key(hex: &str) -> Option<[u8; 32]> {
    let (digits, []) = hex.trim().as_bytes().as_chunks::<2>() else { return None };
    let bytes: Option<Vec<u8>> =
        digits.iter().map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let limit = Duration::from_secs(60);
        let error = Process::start("tox-bootstrapd-not-here", Path::new("/"), limit).unwrap_err();
        assert!(matches!(error, Error::NotInstalled { program: "tox-bootstrapd", .. }), "{error}");
        assert!(error.to_string().contains("toxcore-utils"), "{error}");
    }

    #[test]
    fn keys_are_64_hex_digits() {
        assert_eq!(parse_key(&"aB".repeat(32)), Some([0xab; 32]));
        for bad in ["", "a", &"ab".repeat(31), &"ab".repeat(33), &"xy".repeat(32)] {
            assert_eq!(parse_key(bad), None);
        }
    }
}
