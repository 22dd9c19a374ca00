//! The command line of `tox-relay load`.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tox_relay_client::{Address, Proxy, PublicKey};

use crate::load::payload::{MAX_DATA, Stamp};
use crate::load::report::Unit;
use crate::load::target::{Target, percentage};
use crate::seconds;

/// Drives one relay as many users would, and tells how much it carries.
///
/// Latency counts from the planned moment of a packet to its receipt, so that packets that had to wait before they were
/// sent are not left out. What other users carry over the relay cannot be seen.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXIT, args_override_self = true)]
pub struct Arguments {
    /// The relay's address, such as 127.0.0.1:33445; one of IPv6 is in brackets
    pub address: Address,
    /// The relay's public key: 64 hexadecimal digits
    pub key: PublicKey,

    /// Connections, each with a key pair of its own; those without a peer are idle
    #[arg(short, long, value_name = "N", default_value_t = 100)]
    pub connections: usize,
    /// Connections that begin each second
    #[arg(long, value_name = "N", default_value = "100", value_parser = positive)]
    pub connect_rate: f64,
    /// Pairs of connections that send to each other, in both directions
    #[arg(short, long, value_name = "N", default_value_t = 10)]
    pub pairs: usize,
    /// Bytes of payload in a packet: a number, or a range such as 100-1400
    #[arg(short, long, value_name = "BYTES", default_value = "1400", value_parser = sizes)]
    pub size: RangeInclusive<usize>,
    /// Packets a second, of all pairs together, or `max`: as fast as it goes
    #[arg(short, long, value_name = "N|max", default_value = "1000", value_parser = rate)]
    pub rate: Rate,
    /// The share of packets that are sent out of band, with at most 1024 bytes
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = percentage)]
    pub oob: f64,
    /// Connections that leave each second; each returns a second later
    #[arg(long, value_name = "N", default_value = "0", value_parser = not_negative)]
    pub churn: f64,
    /// How long to measure: seconds, or such as 2m [default: 30; of a search, 5 for each step]
    #[arg(short, long, value_name = "TIME", value_parser = seconds::parse)]
    pub time: Option<Duration>,
    /// How long the rate grows before that [default: 3; of a search, 1 for each step]
    #[arg(short, long, value_name = "TIME", value_parser = seconds::parse_or_zero)]
    pub warm_up: Option<Duration>,

    /// Search for the largest load that keeps the target: doubles it, beginning with the given one, and then bisects.
    /// Connections are never fewer than the pairs need
    #[arg(long, value_name = "OF")]
    pub search: Option<Unit>,
    /// The target: p50, p90, p99, p99.9, max, loss, failed and reached [default of a search:
    /// p99<100ms,loss<0.1%,failed<1%,reached>95%]
    #[arg(long, value_name = "TARGET")]
    pub until: Option<Target>,

    /// Print a stream of JSON: the start, each second, each step of a search, the end
    #[arg(long)]
    pub json: bool,
    /// Draw latency against load: of each step of a search, or of each second
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
    /// Reach the relay through this proxy, such as socks5h://127.0.0.1:9050
    #[arg(long, value_name = "URL")]
    pub proxy: Option<Proxy>,
    /// End when the latency of the probe passes this; a search goes on with less
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = seconds::parse)]
    pub abort_above: Duration,
    /// Allow a relay or a proxy that is not on this machine or in a private network: only with the consent of those who
    /// run it
    #[arg(long)]
    pub i_run_this_relay: bool,
}

const EXIT: &str = "\
Exit status: 0 the target was kept, or there was none and packets have arrived; 1 it was missed, or the probe's latency passed its bound;
2 the relay cannot be reached or was lost; 3 wrong usage, the proxy does not work, or the output cannot be written;
130 interrupted, or nobody reads the output.";

/// The most connections.
pub const MOST_CONNECTIONS: usize = 1_000_000;

/// How many packets are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    PerSecond(f64),
    Max,
}

impl Rate {
    /// `None`: as many as it carries.
    pub fn per_second(self) -> Option<f64> {
        match self {
            Self::PerSecond(rate) => Some(rate),
            Self::Max => None,
        }
    }
}

impl Arguments {
    /// What is wrong with the arguments together.
    pub fn check(&self) -> Result<(), String> {
        let Self { connections, pairs, .. } = self;
        if *connections > MOST_CONNECTIONS {
            return Err(format!("at most {MOST_CONNECTIONS} connections are possible"));
        }
        let paired = pairs.saturating_mul(2);
        if paired > *connections {
            return Err(format!("{pairs} pairs need {paired} connections, and there are {connections}"));
        }
        if self.churn > *connections as f64 {
            return Err(format!(
                "each connection that leaves returns a second later: --churn is at most {connections}"
            ));
        }
        if *pairs == 0 && self.rate == Rate::Max {
            return Err("without pairs nobody sends: --rate max needs --pairs".into());
        }
        if self.search == Some(Unit::Throughput) && (*pairs == 0 || self.start_rate() < 1.0) {
            return Err("a search for throughput needs --pairs, and a --rate to begin with".into());
        }
        if self.search.is_some() && self.rate == Rate::Max {
            return Err("a search needs a fixed --rate".into());
        }
        Ok(())
    }

    fn start_rate(&self) -> f64 {
        self.rate.per_second().unwrap_or_default()
    }
}

fn rate(text: &str) -> Result<Rate, String> {
    if text == "max" { Ok(Rate::Max) } else { not_negative(text).map(Rate::PerSecond) }
}

fn not_negative(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| (0.0..1e9).contains(number));
    number.ok_or(format!("a number is expected, and not {text:?}"))
}

fn positive(text: &str) -> Result<f64, String> {
    not_negative(text)
        .and_then(|number| if number > 0.0 { Ok(number) } else { Err("zero is too few".into()) })
}

fn sizes(text: &str) -> Result<RangeInclusive<usize>, String> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.trim().parse().map_err(|_| format!("{text:?} is not a number of bytes"));
    let sizes = number(from)?..=number(to)?;
    if *sizes.start() < Stamp::LEN || *sizes.end() > MAX_DATA || sizes.is_empty() {
        return Err(format!("a packet has {} to {MAX_DATA} bytes", Stamp::LEN));
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_a_number_or_a_range() {
        assert_eq!(sizes("1400"), Ok(1400..=1400));
        assert_eq!(sizes("100-1400"), Ok(100..=1400));
        for wrong in ["", "19", "2032", "1400-100", "100-", "-100", "x"] {
            assert!(sizes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_have_their_forms() {
        assert_eq!(rate("max"), Ok(Rate::Max));
        assert_eq!(rate("0.5"), Ok(Rate::PerSecond(0.5)));
        assert!(rate("-1").is_err() && rate("NaN").is_err() && rate("fast").is_err());
        assert!(positive("0").is_err());
    }
}
