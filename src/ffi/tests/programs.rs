//! Compiles and runs the programs in C: the tests in this folder, and the examples. Each test program runs once as it
//! is, and once under valgrind. Without a C compiler these tests are skipped, and say so; without valgrind, that part is.

#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::Command;

use tox_test_relay::{Options, Relay};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What the static library of a Rust program needs on Linux: `rustc --print native-static-libs`.
const SYSTEM_LIBRARIES: [&str; 7] = ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"];

const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// Whether a program can be started.
fn exists(program: &str) -> bool {
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

/// Compiles a program with this compiler and standard, and links it with the static library.
fn compile(compiler: &str, standard: &str, source: &str) -> PathBuf {
    let name = Path::new(source).file_name().unwrap().to_str().unwrap().replace('.', "-");
    let program = built().join(format!("c-{name}"));
    let mut command = Command::new(compiler);
    command.arg(standard).args(WARNINGS).args(["-g", "-D_DEFAULT_SOURCE"]);
    command.arg(format!("-DVERSION=\"{}\"", env!("CARGO_PKG_VERSION")));
    command.arg("-I").arg(Path::new(ROOT).join("include")).arg("-I").arg(Path::new(ROOT).join("tests"));
    command.arg(Path::new(ROOT).join(source)).arg("-o").arg(&program);
    command.arg(built().join("libtoxrelayclient.a")).args(SYSTEM_LIBRARIES);
    check(&mut command);
    program
}

/// Runs a command, which must succeed.
#[track_caller]
fn check(command: &mut Command) {
    let output = command.output().expect("a program that can be started");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{error}", output.status);
}

/// Runs a test program as it is, and under valgrind.
fn run(source: &str, arguments: &[String]) {
    if !exists("cc") {
        return;
    }
    let program = compile("cc", "-std=c99", source);
    check(Command::new("timeout").arg("100").arg(&program).args(arguments));
    if exists("valgrind") {
        let mut valgrind = Command::new("timeout");
        valgrind.args(["300", "valgrind", "--quiet", "--error-exitcode=1", "--leak-check=full"]);
        // What is reachable at the end: the logger's lock and thread-local values, which live as long as the process.
        valgrind.args(["--show-leak-kinds=definite,indirect", "--errors-for-leak-kinds=definite,indirect"]);
        check(valgrind.arg(&program).args(arguments));
    }
}

/// A relay, and its arguments for a program.
fn relay() -> (Relay, [String; 2]) {
    let relay = Relay::start(Options::default()).unwrap();
    let key = relay.public_key().iter().map(|byte| format!("{byte:02X}")).collect();
    let arguments = [relay.addr().to_string(), key];
    (relay, arguments)
}

/// An address at which nothing listens.
fn dead_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn misuse_is_an_error() {
    run("tests/misuse.c", &[]);
}

#[test]
fn two_clients_use_each_function() {
    let (_relay, [address, key]) = relay();
    run("tests/client.c", &[address, key, dead_address()]);
}

#[test]
fn two_pools_use_each_function() {
    let ((_first, [address, key]), (_second, [other_address, other_key])) = (relay(), relay());
    run("tests/pool.c", &[address, key, other_address, other_key]);
}

#[test]
fn the_header_is_one_of_cpp() {
    if exists("c++") {
        check(&mut Command::new(compile("c++", "-std=c++17", "tests/header.cpp")));
    }
}
