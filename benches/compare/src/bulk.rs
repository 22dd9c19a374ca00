//! Bulk data through a real `tox-bootstrapd`: whether all arrive, how fast, and how late an important packet is.

use std::fmt;

use interop::Bootstrapd;
use interop::bulk::{Load, Report, send_ours, send_theirs};
use tox_relay_client::{PublicKey, Relay};

use crate::helper::Outcome;
use crate::measure::Effort;

/// All transfers, as a Markdown table.
pub struct Transfers(Vec<(String, Report)>);

/// Lengths of data.
const LENGTHS: [usize; 3] = [34, 512, 1373];

/// Sends each load with our client, and one with the C client and with ours without a window. Those two fail, and that
/// takes 40 s each.
pub fn measure(effort: &Effort) -> Outcome<Transfers> {
    let bytes = effort.bulk;
    let one = Load { pairs: 1, both_ways: false, len: 0, bytes };
    let mut transfers = Vec::new();
    for len in LENGTHS {
        let load = Load { len, ..one };
        transfers.push((format!("ours, {len} bytes"), ours(load, true)?));
    }
    let load = Load { len: 1373, ..one };
    transfers.push(("ours, 1373 bytes both ways".into(), ours(Load { both_ways: true, ..load }, true)?));
    transfers.push(("ours, 1373 bytes, ten senders".into(), ours(Load { pairs: 10, ..load }, true)?));
    if !effort.is_brief() {
        transfers.push(("ours without a window, 1373 bytes".into(), ours(load, false)?));
        let bootstrapd = Bootstrapd::start()?;
        transfers.push(("C client, 1373 bytes".into(), send_theirs(&bootstrapd, load)?));
    }
    Ok(Transfers(transfers))
}

/// On a relay of its own: one that is stuck would disturb the next transfer.
fn ours(load: Load, is_bounded: bool) -> Outcome<Report> {
    let bootstrapd = Bootstrapd::start()?;
    let relay = Relay::new(bootstrapd.addr(), PublicKey::from(bootstrapd.public_key()));
    send_ours(&relay, load, |config| if is_bounded { config } else { config.window(None) })
}

impl fmt::Display for Transfers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Bulk data through tox-bootstrapd\n")?;
        writeln!(f, "| | MB/s | arrived | of | answers to routing requests, median and latest | end |")?;
        writeln!(f, "| --- | ---: | ---: | ---: | ---: | --- |")?;
        for (name, report) in &self.0 {
            let end = report.failure.as_deref().unwrap_or("complete");
            let answers = match (report.median_answer(), report.latest_answer()) {
                (Some(median), Some(latest)) => {
                    format!("{} and {} ms", median.as_millis(), latest.as_millis())
                }
                _ => "none".to_owned(),
            };
            let (rate, arrived, sent) = (report.rate(), report.arrived, report.sent);
            writeln!(f, "| {name} | {rate:.2} | {arrived} | {sent} | {answers} | {end} |")?;
        }
        Ok(())
    }
}
