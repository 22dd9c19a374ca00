//! A client that keeps running: it waits for a friend on a relay, and sends all received data back. The README shows
//! it.
//!
//! ```sh
//! cargo run --example echo -- RELAY_ADDRESS RELAY_KEY FRIEND_KEY
//! ```
//!
//! It stores its secret key in the file `echo.key`, so that it has the same public key after a restart, and it connects
//! again after the connection to the relay has ended.

use std::time::{Duration, Instant};
use std::{error::Error, fs, io::Write, process::ExitCode};

use tox_relay_client::{Client, Config, Event, Events, PublicKey, Relay, Retry, SecretKey};

const FIRST_PAUSE: Duration = Duration::from_secs(1); // before the second attempt to connect
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
const SELDOM: Duration = Duration::from_secs(3600); // if the cause usually lasts
const STABLE: Duration = Duration::from_secs(60); // a connection that lasted this long resets the pause

fn main() -> ExitCode {
    let Err(error) = run() else { return ExitCode::SUCCESS };
    eprintln!("{error}");
    ExitCode::FAILURE
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, address, relay_key, friend] = &arguments[..] else {
        return Err("usage: echo RELAY_ADDRESS RELAY_KEY FRIEND_KEY".into());
    };
    let key = |name, key: &str| key.parse::<PublicKey>().map_err(|error| format!("{name}: {error}"));
    let (relay_key, friend) = (key("RELAY_KEY", relay_key)?, key("FRIEND_KEY", friend)?);
    let relay = Relay::new(address, relay_key); // .address(…) adds other addresses of the same relay

    let mut client = Client::new(Config::new(secret_key("echo.key")?))?;
    println!("my key is {}", client.public_key());
    let mut events = Events::with_capacity(256);
    let mut pause = FIRST_PAUSE;
    let mut connect_at = Some(Instant::now()); // `None` while there is a connection
    loop {
        if connect_at.is_some_and(|at| at <= Instant::now()) {
            match client.connect(&relay) {
                Ok(connection) => {
                    connect_at = None;
                    client.open_route(connection, friend)?; // is sent as early as possible
                }
                Err(error) => {
                    let retry = error.retry();
                    connect_at = Some(next_attempt(retry, &mut pause, error.into())?);
                }
            }
        }
        client.poll(&mut events, connect_at.map(|at| at.saturating_duration_since(Instant::now())))?;
        for event in &events {
            match event {
                Event::Connected { .. } => println!("connected, waiting for {friend:.8}"),
                Event::RouteRefused { peer, .. } => {
                    return Err(format!("the relay has no route to {peer}").into());
                }
                Event::RouteOnline { peer, .. } => println!("{peer:.8} is online"),
                Event::RouteOffline { peer, .. } => println!("{peer:.8} is offline"),
                Event::Data { route, data, .. } => {
                    if let Err(error) = client.send_data(route, data) {
                        println!("not sent: {error}"); // the queue is full, or the peer is gone
                    }
                }
                Event::Disconnected { reason, status, .. } => {
                    if status.connected_at.is_some_and(|at| at.elapsed() >= STABLE) {
                        pause = FIRST_PAUSE;
                    }
                    let retry = reason.retry().unwrap_or(Retry::Ask);
                    connect_at = Some(next_attempt(retry, &mut pause, reason.into())?);
                }
                _ => {}
            }
        }
    }
}

/// The jitter keeps the clients of a relay that restarts from all coming back at the same moment.
fn next_attempt(
    retry: Retry,
    pause: &mut Duration,
    reason: Box<dyn Error>,
) -> Result<Instant, Box<dyn Error>> {
    let longest = match retry {
        Retry::Soon => *pause,
        Retry::Seldom => SELDOM,
        _ => return Err(reason), // a person must change something
    };
    let wait = longest.mul_f64(rand::random_range(0.8..=1.0));
    println!("no relay: {reason}; the next attempt is in {wait:.1?}");
    *pause = pause.mul_f64(1.6).min(LONGEST_PAUSE);
    Ok(Instant::now() + wait)
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
