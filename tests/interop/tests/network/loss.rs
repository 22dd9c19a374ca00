//! A line that loses packets.

use std::time::Duration;

use crate::direction::Quality;
use crate::driver::{LIMIT, Ours};
use crate::testbed::with_testbed;

const PACKETS: usize = 300;

#[test]
fn data_arrive_once_and_in_order_on_a_line_that_loses_every_twelfth_packet() {
    let quality = Quality { delay: Duration::from_millis(10), loss: 1.0 / 12.0, ..Quality::default() };
    with_testbed(quality, quality, |testbed| {
        // TCP repeats what was lost after 1, 3 and 7 s at first, so that now and then 10 s are not enough.
        let mut ours = Ours::new(|config| config.connect_timeout(LIMIT).pong_timeout(LIMIT));
        let route = ours.meet(testbed);
        ours.exchange(route, PACKETS);
        // Hundreds of packets went each way, or at least one for two of ours.
        assert!(testbed.line.lost() > PACKETS as u64 / 12 / 2, "only {} were lost", testbed.line.lost());
    });
}
