//! How long it takes from the first packet until a route is online, on a line with a round trip of 200 ms.

use std::time::{Duration, Instant};

use interop::{CClient, CEvent, CSend, CStatus, wait_for};
use tox_relay_client::SecretKey;

use crate::direction::Quality;
use crate::driver::{LIMIT, ReceivedEvent, TwoIdentities};
use crate::testbed::{Testbed, with_testbed};

const DELAY: Duration = Duration::from_millis(100);
const ROUND_TRIP: Duration = Duration::from_millis(200);

/// TCP, the handshake, and the request with its answers are three round trips. There is a fourth with `tox-bootstrapd`:
/// it writes each packet by itself and leaves Nagle's algorithm on, so its system holds the answer to the request back
/// until the pong before it is acknowledged, 40 ms late. The rest is for the relay, which looks for packets every 30
/// ms, and for a busy machine. Whoever waits for `Connected` before it requests a route needs a fifth.
const SOON: Duration = Duration::from_millis(1_000);

#[test]
fn a_route_that_is_opened_right_after_connect_is_online_no_later_than_that_of_the_c_client() {
    let quality = Quality { delay: DELAY, ..Quality::default() };
    with_testbed(quality, quality, |testbed| {
        // The best of three, since other tests may hold the machine up.
        let [ours, theirs] = [ours_online, theirs_online]
            .map(|online| (0..3).map(|_| online(testbed)).min().expect("a measurement"));
        assert!(ours < SOON, "{ours:?} after the first packet");
        assert!(ours < theirs + ROUND_TRIP / 2, "{ours:?}, and the C client {theirs:?}");
    });
}

/// Two connections of ours that request a route to each other as soon as they may.
fn ours_online(testbed: &Testbed) -> Duration {
    let mut ours = TwoIdentities::new(|config| config);
    let identities = ours.identities.clone();
    let start = Instant::now();
    let both = identities.map(|identity| ours.connect(testbed, &identity));
    let route = ours.request(both[0], both[1]);
    ours.expect_all(both.map(ReceivedEvent::Connected).into_iter().chain(route.events()));
    start.elapsed()
}

/// The same with two C clients.
fn theirs_online(testbed: &Testbed) -> Duration {
    let secrets = [SecretKey::generate(), SecretKey::generate()];
    let start = Instant::now();
    let mut both = secrets.map(|secret| {
        CClient::connect(testbed.relay_addr(), testbed.relay_key(), *secret.as_bytes()).expect("a C client")
    });
    let keys = both.each_ref().map(CClient::public_key);
    let (mut requested, mut online) = ([false; 2], [false; 2]);
    let done = wait_for(LIMIT, || {
        for (number, client) in both.iter_mut().enumerate() {
            client.iterate();
            if client.status() == CStatus::Connected && !requested[number] {
                requested[number] = client.request_route(&keys[1 - number]) == CSend::Sent;
            }
            while let Some(event) = client.next_event() {
                online[number] |= matches!(event, CEvent::Online { .. });
            }
        }
        (online == [true; 2]).then_some(())
    });
    assert_eq!(done, Some(()), "{requested:?} {online:?}");
    start.elapsed()
}
