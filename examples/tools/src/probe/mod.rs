//! `tox-relay probe`: whether relays work, and how fast they are.

use std::process::ExitCode;

use clap::Args;

/// Tells whether relays work, and how fast they are.
#[derive(Args)]
pub struct Arguments {}

pub fn run(_arguments: Arguments) -> ExitCode {
    ExitCode::SUCCESS
}
