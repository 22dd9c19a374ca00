//! A relay as a program of its own: `tox-test-relay --help` explains how to start it.
//!
//! It prints its address and its public key on one line, and runs until its standard input ends or it is killed.

use std::{
    env,
    error::Error,
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    net::SocketAddr,
    process::ExitCode,
};

use tox_test_relay::{Options, Relay};

const HELP: &str = "\
A Tox TCP relay for tests and for trying things out.

usage: tox-test-relay [ADDRESS] [--key FILE]

  ADDRESS      the IP address and port to listen at; default 127.0.0.1:0, which is any free port
  --key FILE   the file of the relay's secret key (32 bytes): it is read, or created if it does not
               exist, so that the relay has the same public key after a restart; default: a new key
  --help       this text

It prints its address and its public key on one line, and runs until its input ends (Ctrl-D) or it is
interrupted (Ctrl-C).";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let (address, key_file) = match parse(arguments) {
        Ok(parsed) => parsed,
        Err(problem) => {
            eprintln!("{problem}\ntox-test-relay --help explains how to start it");
            return ExitCode::from(2);
        }
    };
    match run(address, key_file.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: Vec<String>) -> Result<(Option<SocketAddr>, Option<String>), String> {
    let (mut address, mut key_file) = (None, None);
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument == "--key" {
            key_file = Some(arguments.next().ok_or("--key needs a file")?);
        } else if argument.starts_with('-') {
            return Err(format!("there is no option {argument}"));
        } else if address.is_some() {
            return Err(format!("one address is enough: {argument}"));
        } else {
            let expected = |_| format!("{argument:?} is not an IP address and a port, as in 127.0.0.1:33445");
            address = Some(argument.parse().map_err(expected)?);
        }
    }
    Ok((address, key_file))
}

fn run(address: Option<SocketAddr>, key_file: Option<&str>) -> Result<(), Box<dyn Error>> {
    let mut options = Options::default();
    options.address = address.unwrap_or(options.address);
    if let Some(file) = key_file {
        options.secret_key = Some(secret_key(file).map_err(|error| format!("{file}: {error}"))?);
    }
    let address = options.address;
    let relay = Relay::start(options).map_err(|error| format!("{address}: {error}"))?;
    let key: String = relay.public_key().iter().map(|byte| format!("{byte:02X}")).collect();
    // The line may be read from a pipe, to which nothing is written before this flush.
    let mut output = io::stdout();
    writeln!(output, "{} {key}", relay.addr())?;
    output.flush()?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

/// Reads the secret key from a file. If there is no such file, makes a key and writes it to one that only its owner can
/// read.
fn secret_key(file: &str) -> io::Result<[u8; 32]> {
    match fs::read(file) {
        Ok(bytes) => bytes.try_into().map_err(|_| io::Error::new(ErrorKind::InvalidData, "not 32 bytes")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key: [u8; 32] = rand::random();
            let mut options = OpenOptions::new();
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.write(true).create_new(true).open(file)?.write_all(&key)?;
            Ok(key)
        }
        Err(error) => Err(error),
    }
}
