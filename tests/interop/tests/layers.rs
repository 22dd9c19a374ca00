//! Our pool and the C library's layer of several relays for each peer, on real relays. The situations that take minutes are
//! in the example `layers`.

use std::time::Duration;

use interop::Bootstrapd;
use interop::layers::{Flow, Layer, Ours, Target, Theirs, fail, offer, restless};

const SECOND: Duration = Duration::from_secs(1);

fn relays(count: usize) -> Vec<Bootstrapd> {
    (0..count).map(|_| Bootstrapd::start().unwrap()).collect()
}

fn data_arrive_by_all_relays<L: Layer>() {
    let relays = relays(3);
    let targets: Vec<Target> = relays.iter().map(|relay| (relay.addr(), relay.public_key())).collect();
    let mut flow = Flow::<L>::start(&targets, 2).unwrap();
    flow.until_online(3).unwrap(); // data arrive at both peers
}

#[test]
fn data_arrive_through_our_pool() {
    data_arrive_by_all_relays::<Ours>();
}

#[test]
fn data_arrive_through_the_c_librarys_layer() {
    data_arrive_by_all_relays::<Theirs>();
}

#[test]
fn of_twelve_relays_that_are_offered_for_a_peer_ours_connects_three_and_the_c_library_all() {
    let relays = relays(12);
    let ours = offer::<Ours>(&relays, 5 * SECOND).unwrap();
    assert!(ours.most <= 6, "{ours:?}"); // on a busy machine, others may be tried besides the first
    let theirs = offer::<Theirs>(&relays, 5 * SECOND).unwrap();
    assert_eq!(theirs.most, 12, "{theirs:?}");
}

#[test]
fn a_killed_relay_is_noticed_at_once() {
    let loss = fail::<Ours>(false, SECOND).unwrap();
    assert!(loss.pause < SECOND, "{loss:?}");
}

#[test]
fn a_peer_that_sleeps_does_not_put_the_relays_of_another_to_sleep() {
    let pause = restless::<Ours>(3 * SECOND).unwrap();
    assert!(pause < SECOND, "{pause:?}");
}
