//! `cargo run --release -p interop --example bulk -- ours|unbounded|theirs|WINDOW PAIRS both|one LEN MB`: sends bulk data
//! through a new `tox-bootstrapd`, and prints what became of them. WINDOW is the bound of the window, in bytes.

use interop::Bootstrapd;
use interop::bulk::{Load, send_ours, send_theirs};
use tox_relay_client::{PublicKey, Relay};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [who, pairs, both, len, megabytes] = arguments.as_slice() else {
        return Err("usage: bulk ours|unbounded|theirs|WINDOW PAIRS both|one LEN MB".into());
    };
    let bytes = megabytes.parse::<u64>()? * 1_000_000;
    let load = Load { pairs: pairs.parse()?, both_ways: both == "both", len: len.parse()?, bytes };
    let bootstrapd = Bootstrapd::start()?;
    let relay = Relay::new(bootstrapd.addr(), PublicKey::from(bootstrapd.public_key()));
    let report = match who.as_str() {
        "ours" => send_ours(&relay, load, |config| config)?,
        "unbounded" => send_ours(&relay, load, |config| config.window(None))?,
        "theirs" => send_theirs(&bootstrapd, load)?,
        window => {
            let window = window.parse::<usize>()?;
            send_ours(&relay, load, |config| config.window(window))?
        }
    };
    println!(
        "{who} {load:?}: {} of {} arrived, {:.2} MB/s in {:.1?}, {}; answers: median {:?}, latest {:?} of {}; window {}",
        report.arrived,
        report.sent,
        report.rate(),
        report.time,
        report.failure.as_deref().unwrap_or("complete"),
        report.median_answer().unwrap_or_default(),
        report.latest_answer().unwrap_or_default(),
        report.answers.len(),
        report.window
    );
    Ok(())
}
