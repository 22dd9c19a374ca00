//! A line that loses packets.

use std::time::Duration;

use crate::direction::Quality;
use crate::driver::{LIMIT, TwoIdentities};
use crate::testbed::with_testbed;

const PACKETS: usize = 300;

#[test]
fn data_arrive_once_and_in_order_on_a_line_that_loses_every_twelfth_packet() {
    let quality = Quality { delay: Duration::from_millis(10), loss: 1.0 / 12.0, ..Quality::default() };
    with_testbed(quality, quality, |testbed| {
        // While TCP connects, it repeats lost packets after 1, 3 and 7 s, so 10 s are sometimes not enough.
        let mut ours = TwoIdentities::new(|config| config.connect_timeout(LIMIT).pong_timeout(LIMIT));
        let route = ours.connect_both(testbed);
        ours.exchange(route, PACKETS);
        // Hundreds of IP packets were sent in each direction: at least one for two data packets.
        assert!(
            testbed.line.lost() > PACKETS as u64 / 12 / 2,
            "only {} packets were lost",
            testbed.line.lost()
        );
    });
}
