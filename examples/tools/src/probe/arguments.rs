//! The command line of the probe.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tox_relay_client::Proxy;

use crate::probe::list::{self, Families, List};
use crate::probe::output::Format;
use crate::probe::session::{Plan, Test};
use crate::probe::verdict::Limits;
use crate::seconds;

/// Tells whether relays work, and how fast they are.
///
/// Exit status: 0 all well; 1 a relay is slow or loses packets, or entries of a list were skipped; 2 one is not reached,
/// is not the relay, breaks the protocol, passes no packets on or is slower than --crit; 3 the command line or a whole
/// list is wrong, the proxy does not work, or the result cannot be written; 130 interrupted. With many relays, the worst.
#[derive(Args)]
#[command(
    args_override_self = true, // so that a script can append what its user wants instead
    override_usage = "tox-relay probe [OPTIONS] ADDRESS... KEY\n       tox-relay probe [OPTIONS] --file FILE"
)]
pub struct Arguments {
    /// One relay: its address, such as 192.0.2.1:33445, or several of them, and its public key
    #[arg(value_names = ["ADDRESS", "KEY"], num_args = 2.., required_unless_present = "files")]
    relay: Vec<String>,
    /// A list of relays: lines of `ADDRESS... KEY [NAME]`, or the JSON of the status page; - is standard input
    #[arg(short, long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Pings for each relay
    #[arg(short, long, default_value = "10", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
    /// From one ping to the next; bare numbers are seconds
    #[arg(short, long, default_value = "0.2", value_parser = parse_interval)]
    interval: Duration,
    /// How long to wait for each answer
    #[arg(short = 'W', long, default_value = "10", value_parser = seconds::parse)]
    timeout: Duration,
    /// Reaches relays through this proxy, never directly: socks5h://127.0.0.1:9050, socks4a://, http://
    #[arg(short = 'x', long, value_name = "URL")]
    pub(super) proxy: Option<Proxy>,
    /// Only IPv4 addresses
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,
    /// Only IPv6 addresses
    #[arg(short = '6', long)]
    ipv6: bool,
    /// Other things to try, separated by commas
    #[arg(short, long = "test", value_name = "TESTS", value_delimiter = ',')]
    tests: Vec<Extra>,
    /// Slow, if the median ping takes longer, such as 200ms
    #[arg(long, value_name = "TIME", value_parser = seconds::parse)]
    warn: Option<Duration>,
    /// Too slow, if the median ping takes longer
    #[arg(long, value_name = "TIME", value_parser = seconds::parse)]
    crit: Option<Duration>,
    /// How to tell it
    #[arg(long, default_value = "text")]
    pub(super) format: Format,
    /// Writes to this file instead, which is replaced at once when the round is over
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Probes again and again, a round each so many seconds, and tells what has changed
    #[arg(long, value_name = "TIME", value_parser = seconds::parse)]
    pub(super) watch: Option<Duration>,
}

/// What is tried only if it is named.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Extra {
    /// The largest data packet that arrives
    Data,
    /// The largest OOB packet that arrives
    Oob,
    /// 32 packets of 1,400 bytes at once
    Burst,
    /// How many routes there are, up to 240
    Routes,
    /// An onion request, to ourselves or, through a proxy, to the relay
    Onion,
    /// A forward request; relays older than 0.2.18 end the connection
    Forward,
    /// If it is no relay, what listens there: a second connection that reads, and then sends `HEAD /`
    Banner,
    /// All of them
    All,
}

impl Arguments {
    /// Which relays to probe, and what is wrong with the entries of lists that were skipped.
    ///
    /// # Errors
    ///
    /// What is wrong with an address, a key, or a file.
    pub(super) fn list(&self) -> Result<List, Box<dyn Error>> {
        let mut list = List::default();
        if !self.relay.is_empty() {
            list.relays.push(list::relay(&self.relay)?);
        }
        for file in &self.files {
            list.read(file)?;
        }
        Ok(list)
    }

    pub(super) fn families(&self) -> Families {
        Families { ipv4: !self.ipv6, ipv6: !self.ipv4 }
    }

    pub(super) fn plan(&self) -> Plan {
        let tests = [
            (Extra::Data, Test::DataSize),
            (Extra::Oob, Test::OobSize),
            (Extra::Burst, Test::Burst),
            (Extra::Routes, Test::Routes),
            (Extra::Onion, Test::Onion),
            // Last: it may end the connection.
            (Extra::Forward, Test::Forward),
        ];
        let tests = tests.into_iter().filter(|(extra, _)| self.names(*extra)).map(|(_, test)| test).collect();
        Plan { count: self.count, interval: self.interval, timeout: self.timeout, tests }
    }

    pub(super) fn limits(&self) -> Limits {
        Limits { warn: self.warn, crit: self.crit }
    }

    /// Whether to find out what listens where there is no relay.
    pub(super) fn looks_at_others(&self) -> bool {
        self.names(Extra::Banner)
    }

    fn names(&self, extra: Extra) -> bool {
        self.tests.contains(&extra) || self.tests.contains(&Extra::All)
    }
}

/// Relays belong to strangers: a hundred pings a second are enough.
fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = seconds::parse_or_zero(text)?;
    if interval < Duration::from_millis(10) { Err("at least 10ms".to_owned()) } else { Ok(interval) }
}
