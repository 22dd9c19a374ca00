//! Bulk data through a real relay: all arrive, and important packets are soon answered. More of it, over bad lines:
//! `tests/network/bulk.rs`; with figures: `cargo run --release -p compare`.

use std::time::Duration;

use interop::Bootstrapd;
use interop::bulk::{Load, send_ours};

use crate::driver::relay_of;

/// How late an important packet may be answered.
const SOON: Duration = Duration::from_secs(1);

#[track_caller]
fn send(load: Load) {
    let relay = Bootstrapd::start().unwrap();
    let report = send_ours(&relay_of(&relay), load, |config| config).unwrap();
    assert_eq!((report.failure.as_deref(), report.arrived), (None, report.sent), "{report:?}");
    assert!(report.latest_answer().unwrap() < SOON, "{report:?}");
}

#[test]
fn the_largest_packets_of_one_sender_all_arrive() {
    send(Load { pairs: 1, both_ways: false, len: 1373, bytes: 10_000_000 });
}

#[test]
fn packets_in_both_directions_all_arrive() {
    send(Load { pairs: 2, both_ways: true, len: 512, bytes: 3_000_000 });
}

#[test]
fn small_packets_of_ten_senders_all_arrive() {
    send(Load { pairs: 10, both_ways: false, len: 34, bytes: 300_000 });
}
