//! Tools for those who run and choose Tox TCP relays: see the [README](../README.md).

#[cfg(unix)]
mod load;
mod probe;
mod problem;
mod seconds;
mod state;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures Tox TCP relays.
#[derive(Parser)]
#[command(name = "tox-relay", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Subcommand)]
enum Tool {
    Probe(Box<probe::Arguments>),
    #[cfg(unix)]
    Load(Box<load::Arguments>),
}

/// A wrong command line, or a proxy that does not work. clap's own status is 2, which here means an unreachable relay.
const USAGE: u8 = 3;

/// Tells what is wrong. If nobody reads it, the exit status still does (`eprintln!` would panic).
fn complain(message: &str) {
    _ = writeln!(io::stderr(), "{message}");
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nothing can be done if the terminal is gone.
            _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match arguments.tool {
        Tool::Probe(arguments) => probe::run(&arguments),
        #[cfg(unix)]
        Tool::Load(arguments) => load::run(*arguments),
    }
}
