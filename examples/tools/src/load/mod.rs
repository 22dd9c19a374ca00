//! `tox-relay load`: how much a relay carries.

use std::process::ExitCode;

use clap::Args;

/// Drives one relay as many users would, and tells how much it carries.
#[derive(Args)]
pub struct Arguments {}

pub fn run(_arguments: Arguments) -> ExitCode {
    ExitCode::SUCCESS
}
