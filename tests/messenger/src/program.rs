//! Compiling and linking the messenger.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs, process};

use crate::Outcome;

/// What the messenger has below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client of this repository.
    Ours,
    /// toxcore's own TCP client.
    Own,
}

/// A program that was linked.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program.
    pub path: PathBuf,
    /// The linker's map: which objects it has taken.
    pub map: PathBuf,
}

impl Program {
    /// The program of this side, which is made by the first call.
    pub fn get(side: Side) -> Outcome<&'static Self> {
        static PROGRAMS: [OnceLock<Result<Program, String>>; 2] = [const { OnceLock::new() }; 2];
        let program =
            PROGRAMS[side as usize].get_or_init(|| Self::make(side).map_err(|error| error.to_string()));
        Ok(program.as_ref().map_err(String::as_str)?)
    }

    fn make(side: Side) -> Outcome<Self> {
        // Not in a temporary directory, which may not allow programs. The folder of this program is cargo's.
        let folder = env::current_exe()?.with_file_name("messenger");
        fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{side:?}-{}", process::id()).to_lowercase());
        let map = path.with_extension("map");
        let mut linker = Command::new("cc");
        linker.args(sanitizer().map(|name| format!("-fsanitize={name}")));
        linker.args([
            "-std=c99",
            "-D_DEFAULT_SOURCE",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            "-O2",
            "-g",
        ]);
        linker.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("messenger.c")).arg("-o").arg(&path);
        linker.arg(format!("-Wl,-Map={}", map.display()));
        if side == Side::Ours {
            linker.arg("-Wl,-u,new_TCP_connection").arg(library()?);
        }
        // The static library: the shared one has its own TCP client inside.
        match toxcore() {
            Some(folder) => linker.arg("-I").arg(folder.join("usr/include")).arg(folder.join("libtoxcore.a")),
            None => linker.arg("-l:libtoxcore.a"),
        };
        linker.args(["-lsodium", "-lpthread", "-lm", "-ldl"]);
        run(&mut linker)?;
        Ok(Self { path, map })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(&self.map);
    }
}

/// The sanitizer of this program, which `sanitize` in this folder sets: the messengers get the same one.
pub(crate) fn sanitizer() -> Option<String> {
    env::var("SANITIZE").ok()
}

/// The folder of a libtoxcore that is not the one of this machine. `newer` in this folder sets it.
pub fn toxcore() -> Option<PathBuf> {
    env::var_os("TOXCORE").map(PathBuf::from)
}

/// Builds the C library with the feature `toxcore`, as its documentation says, and returns its path. It is in a folder of
/// its own, since the one with the same name in the target directory is the user's, usually without this feature.
fn library() -> Outcome<PathBuf> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["rustc", "--release", "--locked", "-p", "tox-relay-client-ffi", "--features", "toxcore"]);
    cargo.args(["--crate-type", "staticlib", "--message-format", "json"]);
    cargo.arg("--target-dir").arg(target_directory()?.join("messenger"));
    let messages = run(cargo.current_dir(env!("CARGO_MANIFEST_DIR")))?;
    let library = messages.split('"').rfind(|text| text.ends_with("libtoxrelayclient.a"));
    Ok(library.ok_or("cargo names no library")?.into())
}

/// The target directory of this program.
fn target_directory() -> Outcome<PathBuf> {
    let program = env::current_exe()?;
    let found = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    Ok(found.ok_or("no target directory: CACHEDIR.TAG is missing")?.to_owned())
}

/// Runs a command, which must succeed, and returns its output.
fn run(command: &mut Command) -> Outcome<String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let error = String::from_utf8_lossy(&output.stderr);
        Err(format!("{command:?}: {}\n{error}", output.status).into())
    }
}
