//! The list of public nodes, in the form in which <https://nodes.tox.chat/json> offers it. This is enough of it:
//!
//! ```json
//! {"nodes": [{"ipv4": "198.51.100.7", "tcp_ports": [443, 3389], "public_key": "64 hexadecimal digits", "status_tcp": true}]}
//! ```

use std::error::Error;
use std::fmt::Display;
use std::fs;

use serde::Deserialize;
use tox_relay_client::{Address, PublicKey, Relay};

use crate::meeting::{Candidate, Rank};

/// The most addresses that a [`Relay`] has.
const MOST_ADDRESSES: usize = 16;

/// What a list looks like.
const FORM: &str = r#"{"nodes": [{"ipv4": "198.51.100.7", "tcp_ports": [443], "public_key": "..."}]}"#;

#[derive(Deserialize)]
struct List {
    nodes: Vec<Node>,
}

/// What concerns relays. Other fields are ignored.
#[derive(Deserialize)]
#[serde(expecting = "an object that describes a node")]
struct Node {
    /// An IP address or, for some nodes, a host name; "-" or "NONE" if there is none.
    #[serde(default)]
    ipv4: String,
    #[serde(default)]
    ipv6: String,
    /// The ports on which it is a relay.
    #[serde(default)]
    tcp_ports: Vec<u16>,
    public_key: String,
    /// Whether the status page has reached the relay.
    #[serde(default)]
    status_tcp: bool,
}

/// Reads the relays of such a list. Host names are left out unless `with_names`: only a proxy resolves them.
///
/// # Errors
///
/// What is wrong, with the name of the file.
pub fn read(file: &str, with_names: bool) -> Result<Vec<Candidate>, Box<dyn Error>> {
    let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let broken = |error: &dyn Display| format!("{file} is not of the form {FORM}: {error}");
    if text.trim_start().starts_with('[') {
        return Err(broken(&"it begins with a list, expected an object with the list `nodes`").into());
    }
    let list: List = serde_json::from_str(&text).map_err(|error| broken(&error))?;
    let mut candidates = Vec::new();
    for (index, node) in list.nodes.iter().enumerate() {
        let relay = node.relay(with_names).map_err(|error| format!("{file}: node {}: {error}", index + 1))?;
        let rank = if node.status_tcp { Rank::Worked } else { Rank::Unknown };
        candidates.extend(relay.map(|relay| Candidate { rank, relay }));
    }
    if candidates.is_empty() {
        return Err(
            format!("{file} has no relay that can be used: none has tcp_ports and an IP address").into()
        );
    }
    Ok(candidates)
}

impl Node {
    /// All its addresses with all its ports are ways to one relay. `None` if none of them can be used.
    fn relay(&self, with_names: bool) -> Result<Option<Relay>, String> {
        let key = &self.public_key;
        let key: PublicKey = key.parse().map_err(|error| format!("public_key {key:?}: {error}"))?;
        let mut relay: Option<Relay> = None;
        let mut room = MOST_ADDRESSES;
        // The first port of both addresses comes first: if IPv6 does not work here, IPv4 is tried soon.
        for port in &self.tcp_ports {
            for host in [&self.ipv4, &self.ipv6] {
                if ["", "-", "NONE"].contains(&host.as_str()) {
                    continue;
                }
                let address = Address::try_from((host.as_str(), *port));
                let address = address.map_err(|error| format!("{host:?}, port {port}: {error}"))?;
                if room > 0 && (with_names || address.socket_addr().is_some()) {
                    room -= 1;
                    relay = Some(match relay {
                        None => Relay::new(address, key),
                        Some(relay) => relay.address(address),
                    });
                }
            }
        }
        Ok(relay)
    }
}
