//! Bulk data over bad lines: nothing is lost, the relay never gets stuck, and important packets arrive soon.

use std::time::{Duration, Instant};

use interop::bulk::{Load, send_ours};
use tox_relay_client::{Client, Config, Events, SecretKey, SendError};

use crate::direction::{Bottleneck, Quality};
use crate::testbed::{Testbed, with_prompt_relay, with_testbed};

const MS: Duration = Duration::from_millis(1);

/// The longest time for an important packet there and its answer back, besides the round trip, on a machine that is busy
/// with other tests too.
const SOON: Duration = Duration::from_secs(1);

/// The same quality in both directions.
fn send(quality: Quality, load: Load) {
    with_testbed(quality, quality, |testbed| {
        let report = send_ours(&testbed.relay(), load, |config| config).unwrap();
        println!("{quality:?}: {:.2} MB/s, {report:?}", report.rate());
        assert_eq!((report.failure.as_deref(), report.arrived), (None, report.sent), "{report:?}");
        assert!(report.latest_answer().unwrap() < SOON + 2 * quality.delay, "{report:?}");
    });
}

#[test]
fn bulk_data_arrive_on_a_short_line() {
    let quality = Quality { delay: MS, ..Quality::default() };
    send(quality, Load { pairs: 1, both_ways: true, len: 1373, bytes: 3_000_000 });
}

#[test]
fn bulk_data_arrive_on_a_long_line() {
    let quality = Quality { delay: 50 * MS, ..Quality::default() };
    send(quality, Load { pairs: 3, both_ways: false, len: 1373, bytes: 3_000_000 });
}

#[test]
fn bulk_data_arrive_on_a_long_line_that_loses_packets() {
    let quality = Quality { delay: 15 * MS, loss: 0.01, ..Quality::default() };
    send(quality, Load { pairs: 3, both_ways: false, len: 512, bytes: 1_000_000 });
}

#[test]
fn bulk_data_arrive_on_a_narrow_line() {
    let bottleneck = Some(Bottleneck { bytes_per_second: 100_000, queue: 32 * 1024 });
    let quality = Quality { delay: 15 * MS, bottleneck, ..Quality::default() };
    send(quality, Load { pairs: 1, both_ways: false, len: 1373, bytes: 1_000_000 });
}

/// The window grows with what the line carries, within some seconds.
const WARM_UP: Duration = Duration::from_secs(5);

/// The least part of the throughput without a window; more than the smallest windows carry on this line, by far. In
/// virtual time (`tests/simulation`) it is 90 %.
const LEAST: f64 = 0.5;
const MEASURED: Duration = Duration::from_secs(4);

#[test]
fn data_to_a_relay_that_reads_at_once_flow_on_a_long_line() {
    let quality = Quality { delay: 50 * MS, ..Quality::default() };
    with_prompt_relay(quality, quality, |testbed| {
        let mut uploads = [Vec::new(), Vec::new()];
        for _ in 0..3 {
            uploads[0].push(upload(testbed, |config| config));
            uploads[1].push(upload(testbed, |config| config.window(None)));
        }
        let [with, without] = uploads.each_mut().map(|rates| {
            rates.sort_by(f64::total_cmp);
            rates[1]
        });
        println!("MB/s with a window {:.1?}, without {:.1?}: {:.2}", uploads[0], uploads[1], with / without);
        assert!(with > LEAST * without, "{uploads:?}");
    });
}

/// How many MB/s the relay gets from a sender that always has more. The packets have no receiver, so the line back is
/// free.
fn upload(testbed: &Testbed<tox_test_relay::Relay>, configure: impl FnOnce(Config) -> Config) -> f64 {
    let mut client = Client::new(configure(Config::new(SecretKey::generate()))).unwrap();
    let mut events = Events::with_capacity(16);
    let connection = client.connect(testbed.relay()).unwrap();
    let nobody = SecretKey::generate().public_key();
    let start = Instant::now();
    let mut warm = None;
    while start.elapsed() < WARM_UP + MEASURED {
        while client.send_oob(connection, nobody, &[7; 1024]) != Err(SendError::WouldBlock) {}
        client.poll(&mut events, Some(10 * MS)).unwrap();
        if start.elapsed() > WARM_UP {
            warm.get_or_insert_with(|| (Instant::now(), testbed.process.statistics().bytes_in));
        }
    }
    let (since, before) = warm.unwrap();
    let bytes = testbed.process.statistics().bytes_in - before;
    bytes as f64 / 1e6 / since.elapsed().as_secs_f64()
}
