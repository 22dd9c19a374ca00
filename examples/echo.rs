//! A program that keeps running: it waits for a friend on one or more relays, and sends all received data back. The
//! README shows it.
//!
//! ```sh
//! cargo run --example echo -- RELAY_ADDRESS RELAY_KEY [RELAY_ADDRESS RELAY_KEY]... FRIEND_KEY
//! ```
//!
//! It stores its secret key in the file `echo.key`, so that it has the same public key after a restart. The pool
//! connects again when a relay is lost, and goes on by the others meanwhile.

use std::{error::Error, fs, io::Write, process::ExitCode};

use tox_relay_client::pool::{Origin, Pool, PoolEvent, PoolEvents};
use tox_relay_client::{Config, DisconnectReason, PublicKey, Relay, SecretKey};

fn main() -> ExitCode {
    let Err(error) = run() else { return ExitCode::SUCCESS };
    eprintln!("{error}");
    ExitCode::FAILURE
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (relays, friend) = match &arguments[..] {
        [relays @ .., friend] if relays.len() >= 2 && relays.len() % 2 == 0 => (relays, friend),
        _ => return Err("usage: echo RELAY_ADDRESS RELAY_KEY [RELAY_ADDRESS RELAY_KEY]... FRIEND_KEY".into()),
    };
    let key = |text: &str| text.parse::<PublicKey>().map_err(|error| format!("{text}: {error}"));

    let mut pool = Pool::new(Config::new(secret_key("echo.key")?))?;
    println!("my key is {}", pool.public_key());
    let friend = pool.add_peer(key(friend)?);
    for relay in relays.chunks(2) {
        let relay = Relay::new(&relay[0], key(&relay[1])?); // .address(…) adds other addresses of the same relay
        let relay = pool.add_relay(relay, Origin::User)?;
        pool.tie(friend, relay)?; // the friend is there, too
    }
    let mut events = PoolEvents::with_capacity(256);
    loop {
        pool.poll(&mut events, None)?;
        for event in &events {
            match event {
                PoolEvent::RelayUp { .. } => println!("connected to a relay"),
                PoolEvent::RelayDown { reason: DisconnectReason::ClosedByCaller, .. } => {} // others are enough
                PoolEvent::RelayDown { reason, status, .. } => {
                    let what = if status.connected_at.is_some() { "lost" } else { "no connection to" };
                    println!("{what} {}: {reason}", status.address); // it is tried again when it is needed
                }
                PoolEvent::RelayRefused { relay, .. } => {
                    let error = pool.relay(relay).and_then(|relay| relay.refused);
                    println!(
                        "a relay cannot be used: {}",
                        error.map_or(String::new(), |error| error.to_string())
                    );
                }
                PoolEvent::RouteRefused { .. } => println!("a relay refuses a route to the friend"),
                PoolEvent::PeerOnline { .. } => println!("the friend is online"),
                PoolEvent::PeerMoved { .. } => println!("the friend is reached by another relay now"),
                PoolEvent::PeerOffline { .. } => println!("the friend is offline"),
                PoolEvent::Data { peer, data, .. } => {
                    if let Err(error) = pool.send(peer, data) {
                        println!("not sent: {error}"); // all queues are full, or no relay is connected
                    }
                }
                _ => {}
            }
        }
    }
}

/// Reads the key from a file, or creates both; only the owner can read the file.
fn secret_key(file: &str) -> Result<SecretKey, Box<dyn Error>> {
    if fs::exists(file)? {
        return fs::read(file)?.try_into().map_err(|error| format!("{file}: {error}").into());
    }
    let key = SecretKey::generate();
    let mut options = fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.write(true).create_new(true).open(file)?.write_all(key.as_bytes())?;
    Ok(key)
}
