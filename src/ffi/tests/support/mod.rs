//! Compiles and runs programs in C that use the library. The interoperation tests use this file, too.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the static library of a Rust program needs on Linux: `rustc --print native-static-libs`.
const SYSTEM_LIBRARIES: [&str; 7] = ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"];

const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// The folder of the C library.
fn root() -> PathBuf {
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    folders.map(|folder| folder.join("src/ffi")).find(|folder| folder.is_dir()).expect("the C library")
}

/// Whether a program can be started.
pub fn exists(program: &str) -> bool {
    let exists = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !exists {
        eprintln!("skipped: {program} is missing");
    }
    exists
}

/// The folder of this test program, in which cargo has built the library.
fn built() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// The sanitizer of the library, which `sanitize` in this folder sets: the programs get the same one.
fn sanitizer() -> Option<String> {
    std::env::var("SANITIZE").ok()
}

/// Compiles a program with this compiler and standard, and links it with the static library.
pub fn compile(compiler: &str, standard: &str, source: &str) -> PathBuf {
    let name = Path::new(source).file_name().unwrap().to_str().unwrap().replace('.', "-");
    let program = built().join(format!("c-{}-{name}", env!("CARGO_PKG_NAME")));
    let mut command = Command::new(compiler);
    command.args(sanitizer().map(|name| format!("-fsanitize={name}")));
    command.arg(standard).args(WARNINGS).args(["-g", "-D_DEFAULT_SOURCE"]);
    command.arg(format!("-DVERSION=\"{}\"", env!("CARGO_PKG_VERSION")));
    command.arg("-I").arg(root().join("include")).arg("-I").arg(root().join("tests"));
    command.arg(root().join(source)).arg("-o").arg(&program);
    command.arg(built().join("libtoxrelayclient.a")).args(SYSTEM_LIBRARIES);
    check(&mut command);
    program
}

/// Runs a command, which must succeed.
#[track_caller]
pub fn check(command: &mut Command) {
    let output = command.output().expect("a program that can be started");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{error}", output.status);
}

/// Runs a test program as it is, and under valgrind.
pub fn run(source: &str, arguments: &[String]) {
    if !exists("cc") {
        return;
    }
    let program = compile("cc", "-std=c99", source);
    check(Command::new("timeout").arg("100").arg(&program).args(arguments));
    if sanitizer().is_none() && exists("valgrind") {
        let mut valgrind = Command::new("timeout");
        valgrind.args(["300", "valgrind", "--quiet", "--error-exitcode=1", "--leak-check=full"]);
        // What is reachable at the end: the logger's lock and thread-local values, which live as long as the process.
        valgrind.args(["--show-leak-kinds=definite,indirect", "--errors-for-leak-kinds=definite,indirect"]);
        check(valgrind.arg(&program).args(arguments));
    }
}

/// An address at which nothing listens.
pub fn dead_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
