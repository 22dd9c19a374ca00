//! Which relays to probe: from the command line, lines of text, or the JSON of the network's status page.
//!
//! Lists are written by others, so one entry that is wrong does not spoil the rest.
//!
//! ```text
//! # ADDRESS... KEY [NAME]
//! 198.51.100.7:33445 [2001:db8::7]:33445 3F0A45A268367C1BEA652F258C85F4A66DA76BCAA667A49E770BCC4917AB6A25 my relay
//! ```
//!
//! Of the JSON of <https://nodes.tox.chat/json>, these fields are read:
//!
//! ```json
//! {"nodes": [{"ipv4": "198.51.100.7", "ipv6": "-", "tcp_ports": [443, 3389], "public_key": "...", "maintainer": "me"}]}
//! ```

use std::error::Error;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::Path;
use std::{fmt, fs};

use serde::Deserialize;
use serde_json::Value;
use tox_relay_client::{Address, PublicKey};

/// A relay with all its addresses.
#[derive(Debug, PartialEq)]
pub struct Listed {
    pub addresses: Vec<(Address, Families)>,
    pub key: PublicKey,
    pub name: Option<String>,
}

impl Listed {
    pub fn host_names(&self) -> impl Iterator<Item = &str> {
        self.addresses.iter().filter_map(|(address, _)| address.host_name())
    }
}

/// Which families of addresses to use, and to look names up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Families {
    pub ipv4: bool,
    pub ipv6: bool,
}

impl Families {
    pub const NONE: Self = Self { ipv4: false, ipv6: false };
    pub const IPV4: Self = Self { ipv4: true, ipv6: false };
    pub const IPV6: Self = Self { ipv4: false, ipv6: true };
    const BOTH: Self = Self { ipv4: true, ipv6: true };

    /// Those that are in both.
    pub fn and(self, other: Self) -> Self {
        Self { ipv4: self.ipv4 && other.ipv4, ipv6: self.ipv6 && other.ipv6 }
    }

    pub fn has(self, ip: IpAddr) -> bool {
        if ip.is_ipv4() { self.ipv4 } else { self.ipv6 }
    }
}

impl fmt::Display for Families {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match *self {
            Self::IPV4 => "IPv4",
            Self::IPV6 => "IPv6",
            _ => "IP",
        })
    }
}

/// Reads `ADDRESS... KEY [NAME]`, which is split into words.
pub fn relay<S: AsRef<str>>(words: &[S]) -> Result<Listed, String> {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    let key = words.iter().position(|word| word.parse::<PublicKey>().is_ok());
    // Without a key, the last word is the one that should be it: its error says why it is not.
    let (addresses, rest) = words.split_at(key.unwrap_or(words.len().saturating_sub(1)));
    let [key, name @ ..] = rest else { return Err(FORM.to_owned()) };
    let key = key.parse().map_err(|error| format!("{key:?} is not a public key: {error}; {FORM}"))?;
    if addresses.is_empty() {
        return Err(format!("an address is missing; {FORM}"));
    }
    let parse = |text: &&str| match text.parse() {
        Ok(address) => Ok((address, Families::BOTH)),
        Err(error) => Err(format!("{text:?} is not an address: {error}")),
    };
    let addresses = addresses.iter().map(parse).collect::<Result<_, _>>()?;
    Ok(Listed { addresses, key, name: printable(&name.join(" ")) })
}

/// A name as it can be shown: lists are written by strangers, and control characters could control the terminal, or
/// turn the direction in which the rest of the line is read. `None` if it is empty.
fn printable(name: &str) -> Option<String> {
    let is_control = |letter: char| letter.is_control() || turns_line(letter);
    let name: String = name.chars().map(|letter| if is_control(letter) { '?' } else { letter }).collect();
    Some(name).filter(|name| !name.is_empty())
}

/// Marks of direction, and separators of lines: controls in all but their category.
fn turns_line(letter: char) -> bool {
    matches!(
        letter,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

const FORM: &str = "a relay is written as ADDRESS... KEY [NAME]";

/// What a list contains.
#[derive(Default)]
pub struct List {
    pub relays: Vec<Listed>,
    /// What is wrong with the entries that were skipped, and where they are.
    pub skipped: Vec<String>,
}

impl List {
    /// Adds the relays of a file, or of standard input if it is `-`.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or nothing in it is right.
    pub fn read(&mut self, file: &Path) -> Result<(), Box<dyn Error>> {
        let (place, bytes) = if file == Path::new("-") {
            let mut bytes = Vec::new();
            ("standard input".to_owned(), io::stdin().read_to_end(&mut bytes).map(|_| bytes))
        } else {
            (file.display().to_string(), fs::read(file))
        };
        let bytes = bytes.map_err(|error| format!("{place}: {error}"))?;
        let entries = parse(&String::from_utf8_lossy(&bytes)).map_err(|error| format!("{place}: {error}"))?;
        let (right, wrong): (Vec<_>, Vec<_>) = entries.into_iter().partition(Result::is_ok);
        let mut wrong = wrong.into_iter().filter_map(Result::err).map(|error| format!("{place}: {error}"));
        if right.is_empty()
            && let Some(first) = wrong.next()
        {
            return Err(first.into());
        }
        self.relays.extend(right.into_iter().flatten());
        self.skipped.extend(wrong);
        Ok(())
    }
}

/// The entries of a list, each of which is right or wrong by itself.
type Entries = Vec<Result<Listed, String>>;

fn parse(text: &str) -> Result<Entries, String> {
    let text = text.trim_start_matches('\u{feff}'); // editors on Windows begin a file with it
    if text.trim_start().starts_with('{') { json(text) } else { Ok(lines(text)) }
}

fn lines(text: &str) -> Entries {
    let mut entries = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first().is_some_and(|first| !first.starts_with('#')) {
            entries.push(relay(&words).map_err(|error| format!("line {}: {error}", index + 1)));
        }
    }
    entries
}

#[derive(Deserialize)]
struct StatusPage {
    nodes: Vec<Value>,
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
    #[serde(default)]
    maintainer: String,
}

fn json(text: &str) -> Result<Entries, String> {
    let page: StatusPage = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut entries = Vec::new();
    for (index, node) in page.nodes.into_iter().enumerate() {
        let node = serde_json::from_value(node).map_err(|error| error.to_string());
        let relay = node.and_then(Node::listed).map_err(|error| format!("node {}: {error}", index + 1));
        entries.push(relay);
    }
    // Nodes that are no relays.
    entries.retain(|entry| entry.as_ref().map_or(true, |relay| !relay.addresses.is_empty()));
    Ok(entries)
}

/// The most ports of a node on the status page. Most nodes have three.
const MOST_PORTS: usize = 16;

impl Node {
    fn listed(self) -> Result<Listed, String> {
        // Strangers fill the page: it must not make a scan of somebody's ports.
        if self.tcp_ports.len() > MOST_PORTS {
            return Err(format!("{} ports, and a node has {MOST_PORTS} at most", self.tcp_ports.len()));
        }
        let key = &self.public_key;
        let key = key.parse().map_err(|error| format!("public_key {key:?}: {error}"))?;
        let hosts = [(&self.ipv4, Families::IPV4), (&self.ipv6, Families::IPV6)];
        let mut addresses = Vec::new();
        for (host, families) in
            hosts.into_iter().filter(|(host, _)| !["", "-", "NONE"].contains(&host.as_str()))
        {
            for port in &self.tcp_ports {
                let address = Address::try_from((host, *port));
                addresses
                    .push((address.map_err(|error| format!("{host:?}, port {port}: {error}"))?, families));
            }
        }
        Ok(Listed { addresses, key, name: printable(&self.maintainer) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "3F0A45A268367C1BEA652F258C85F4A66DA76BCAA667A49E770BCC4917AB6A25";

    fn addresses(relay: &Listed) -> Vec<String> {
        relay.addresses.iter().map(|(address, _)| address.to_string()).collect()
    }

    #[test]
    fn a_node_of_the_status_page_had_all_ports_of_a_host_probed() {
        let node = |ports: &[u16]| {
            format!(
                r#"{{"nodes": [{{"ipv4": "192.0.2.1", "tcp_ports": {ports:?}, "public_key": "{KEY}"}}]}}"#
            )
        };
        let all: Vec<u16> = (1..=65_535).collect();
        let entries = json(&node(&all)).unwrap();
        assert_eq!(
            entries[0].as_ref().err().map(String::as_str),
            Some("node 1: 65535 ports, and a node has 16 at most")
        );
        assert_eq!(json(&node(&all[..16])).unwrap()[0].as_ref().map(|relay| relay.addresses.len()), Ok(16));
    }

    #[test]
    fn a_line_has_addresses_a_key_and_perhaps_a_name() {
        let text = format!(
            "# mine\n\n192.0.2.1:1 [2001:db8::7]:2 {KEY} the one  at home\r\nrelay.example:3 {KEY}\n"
        );
        let relays: Vec<Listed> = lines(&text).into_iter().map(Result::unwrap).collect();
        assert_eq!(addresses(&relays[0]), ["192.0.2.1:1", "[2001:db8::7]:2"]);
        assert_eq!(
            (relays[0].key.to_string(), relays[0].name.as_deref()),
            (KEY.to_owned(), Some("the one at home"))
        );
        assert_eq!((addresses(&relays[1]), &relays[1].name), (vec!["relay.example:3".to_owned()], &None));
    }

    #[test]
    fn a_line_that_is_wrong_is_named_with_the_reason() {
        for (line, reason) in [
            ("192.0.2.1:1".to_owned(), "not a public key"),
            (KEY.to_owned(), "address is missing"),
            (format!("192.0.2.1 {KEY}"), "there is no port"),
            (format!("192.0.2.1:1 {KEY}00"), "64 hexadecimal digits"),
            (format!("192.0.2.1:1 {}", "0".repeat(76)), "Tox ID"),
        ] {
            let error = lines(&format!("\n{line}\n")).remove(0).unwrap_err();
            assert!(error.starts_with("line 2: ") && error.contains(reason), "{error}");
        }
    }

    #[test]
    fn each_port_of_a_node_of_the_status_page_is_an_address() {
        let text = format!(
            r#"{{"last_scan": 1, "nodes": [
                {{"ipv4": "192.0.2.1", "ipv6": "2001:db8::7", "port": 33445, "tcp_ports": [443, 3389],
                  "public_key": "{KEY}", "maintainer": "me", "status_tcp": true}},
                {{"ipv4": "relay.example", "ipv6": "-", "tcp_ports": [1], "public_key": "{KEY}"}},
                {{"ipv4": "192.0.2.3", "ipv6": "NONE", "tcp_ports": [], "public_key": "{KEY}"}}
            ]}}"#
        );
        let relays: Vec<Listed> = json(&text).unwrap().into_iter().map(Result::unwrap).collect();
        let expected = ["192.0.2.1:443", "192.0.2.1:3389", "[2001:db8::7]:443", "[2001:db8::7]:3389"];
        assert_eq!(
            (addresses(&relays[0]), relays[0].name.as_deref()),
            (expected.map(str::to_owned).to_vec(), Some("me"))
        );
        // The name is looked up only for the family in whose field it is.
        let name = ("relay.example:1".parse().unwrap(), Families { ipv4: true, ipv6: false });
        assert_eq!((&relays[1].addresses, relays.len()), (&vec![name], 2));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_list() {
        assert_eq!(parse(&format!("\u{feff}192.0.2.1:1 {KEY}\n")).unwrap().len(), 1);
        assert_eq!(parse("\u{feff}{\"nodes\": []}"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_wrong_does_not_spoil_the_rest_of_a_list() {
        let places = |entries: &Entries| -> Vec<Option<String>> {
            let place = |error: &String| error.split(':').next().unwrap().to_owned();
            entries.iter().map(|entry| entry.as_ref().err().map(place)).collect()
        };
        let text = format!("192.0.2.1:1 {KEY}\nnonsense\n192.0.2.2:1 {KEY}\n");
        assert_eq!(places(&lines(&text)), [None, Some("line 2".to_owned()), None]);
        let node = format!(r#"{{"ipv4": "192.0.2.1", "tcp_ports": [1], "public_key": "{KEY}"}}"#);
        let text = format!(r#"{{"nodes": [{node}, {{"tcp_ports": "many"}}, {node}]}}"#);
        assert_eq!(places(&json(&text).unwrap()), [None, Some("node 2".to_owned()), None]);
    }

    #[test]
    fn a_name_cannot_control_the_terminal() {
        let line = format!("192.0.2.1:1 {KEY} a\x1b[2J\u{9b}2Jb\x07");
        assert_eq!(lines(&line)[0].as_ref().unwrap().name.as_deref(), Some("a?[2J?2Jb?"));
        let node = r#""ipv4": "192.0.2.1", "tcp_ports": [1], "maintainer": "a\u001b[2J\nU b""#;
        let text = format!(r#"{{"nodes": [{{{node}, "public_key": "{KEY}"}}]}}"#);
        assert_eq!(json(&text).unwrap()[0].as_ref().unwrap().name.as_deref(), Some("a?[2J?U b"));
    }

    #[test]
    fn a_name_turned_the_direction_of_the_rest_of_the_line() {
        let line = format!("192.0.2.1:1 {KEY} a\u{202e}b\u{2066}c\u{200f}d \u{437}\u{5d0}\u{1f600}");
        let expected = "a?b?c?d \u{437}\u{5d0}\u{1f600}";
        assert_eq!(lines(&line)[0].as_ref().unwrap().name.as_deref(), Some(expected));
    }

    #[test]
    fn a_node_that_is_wrong_is_named_with_the_reason() {
        for (node, reason) in [
            (
                r#"{"ipv4": "192.0.2.1", "tcp_ports": [1], "public_key": "12"}"#.to_owned(),
                "node 1: public_key",
            ),
            (format!(r#"{{"ipv4": "a b", "tcp_ports": [1], "public_key": "{KEY}"}}"#), "node 1: \"a b\""),
            (r#"{"ipv4": "192.0.2.1"}"#.to_owned(), "public_key"),
            ("7".to_owned(), "an object that describes a node"),
        ] {
            let error = json(&format!(r#"{{"nodes": [{node}]}}"#)).unwrap().remove(0).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
