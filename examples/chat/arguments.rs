//! The command line.

use std::collections::HashSet;
use std::error::Error;
use std::fs;
use std::io::Write;

use tox_relay_client::{Config, Proxy, PublicKey, Relay, SecretKey};

use crate::meeting::{Candidate, Rank};
use crate::nodes;

pub const USAGE: &str = "usage: chat [RELAY_ADDRESS RELAY_KEY] [PEER_KEY] [--relay ADDRESS KEY]... [--nodes FILE] \
                         [--secret FILE] [--proxy URL]";

/// What `--help` prints after the usage.
pub const HELP: &str = "
Sends each line that you type to a peer, through relays, and prints what the peer sends. The peer must use
some of the same relays. When one is lost, the others take over.

  RELAY_ADDRESS  address and port of a relay, such as 127.0.0.1:33445
  RELAY_KEY      public key of the relay
  PEER_KEY       public key of the peer
  --relay ADDRESS KEY
                 another relay, or another address of one; as many as you like
  --nodes FILE   also use relays of this list: what https://nodes.tox.chat/json offers.
                 {\"nodes\": [{\"ipv4\": \"198.51.100.7\", \"tcp_ports\": [443], \"public_key\": \"...\"}]}
                 Two people who have the same list, and each other's key, use the same relays
  --secret FILE  use the secret key in FILE (32 bytes). If there is no such file, it is created,
                 and only you can read it. Without it, each start has a new key
  --proxy URL    connect through this proxy, such as socks5://127.0.0.1:9050
  --help         print this help

While it runs:

  /peer KEY      set the peer, by public key
  /quit          end the program
  //text         send /text";

pub struct Arguments {
    pub config: Config,
    pub candidates: Vec<Candidate>,
    pub peer: Option<PublicKey>,
}

/// # Errors
///
/// What is wrong, in words for the user.
pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Arguments, Box<dyn Error>> {
    let mut secret_key = SecretKey::generate();
    let mut proxy = None;
    let mut lists = Vec::new();
    let mut relays = Vec::new();
    let mut values = Vec::new();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--relay" => match (arguments.next(), arguments.next()) {
                (Some(address), Some(key)) => relays.push((address, key)),
                _ => return Err("--relay needs an address and a key".into()),
            },
            "--nodes" => lists.push(arguments.next().ok_or("--nodes needs a file")?),
            "--secret" => {
                let file = arguments.next().ok_or("--secret needs a file")?;
                secret_key = read_or_create(&file).map_err(|error| format!("{file}: {error}"))?;
            }
            // The error does not repeat the URL, since it may contain a password.
            "--proxy" => proxy = Some(arguments.next().ok_or("--proxy needs a URL")?.parse::<Proxy>()?),
            option if option.starts_with('-') => return Err(format!("unknown option: {option}").into()),
            _ => values.push(argument),
        }
    }
    let mut values = values.into_iter();
    if values.len() >= 2 {
        relays.extend(values.next().zip(values.next()));
    }
    let peer = values.next().map(|peer| key(&peer)).transpose()?;
    if let Some(surplus) = values.next() {
        return Err(format!("{surplus:?} is too much: other relays are given by --relay").into());
    }
    let mut candidates = named(relays)?;
    for file in lists {
        candidates.extend(nodes::read(&file, proxy.is_some())?);
    }
    let mut seen = HashSet::new();
    candidates.retain(|candidate| seen.insert(candidate.relay.public_key()));
    if candidates.is_empty() {
        return Err("a relay's address and key, or a list of nodes, are required".into());
    }
    let config = Config::new(secret_key);
    let config = proxy.into_iter().fold(config, Config::proxy);
    Ok(Arguments { config, candidates, peer })
}

/// The key in this file. If there is none, creates both; only the owner can read the file.
fn read_or_create(file: &str) -> Result<SecretKey, Box<dyn Error>> {
    if fs::exists(file)? {
        return Ok(fs::read(file)?.try_into()?);
    }
    let key = SecretKey::generate();
    let mut options = fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.write(true).create_new(true).open(file)?.write_all(key.as_bytes())?;
    println!("* A new secret key is in {file}");
    Ok(key)
}

/// The relays that the user has named. Those with the same key are one relay.
fn named(relays: Vec<(String, String)>) -> Result<Vec<Candidate>, String> {
    let mut named: Vec<Candidate> = Vec::new();
    for (address, relay_key) in relays {
        let relay_key = key(&relay_key)?;
        let relay = Relay::new(&address, relay_key);
        relay.addresses().map_err(|error| format!("{address}: {error}"))?;
        match named.iter_mut().find(|known| known.relay.public_key() == relay_key) {
            Some(known) => known.relay = known.relay.clone().address(&address),
            None => named.push(Candidate { rank: Rank::Named, relay }),
        }
    }
    Ok(named)
}

fn key(text: &str) -> Result<PublicKey, String> {
    text.parse().map_err(|error| format!("{text}: {error}"))
}
