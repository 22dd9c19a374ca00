//! A relay as a process of its own: `tox-test-relay [ADDRESS]`.
//!
//! Prints where it listens and its public key on one line, and runs until its standard input ends
//! or it is killed.

use std::{
    error::Error,
    io::{self, Write},
};

use tox_test_relay::{Options, Relay};

fn main() -> Result<(), Box<dyn Error>> {
    let mut options = Options::default();
    if let Some(address) = std::env::args().nth(1) {
        options.address = address.parse()?;
    }
    let relay = Relay::start(options)?;
    let key: String = relay.public_key().iter().map(|byte| format!("{byte:02X}")).collect();
    // Whoever started this reads the line from a pipe, where nothing is written before its time.
    let mut output = io::stdout();
    writeln!(output, "{} {key}", relay.addr())?;
    output.flush()?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
