//! Compares the wheel with a sorted list of deadlines, at the distances where its levels start and end.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

/// Calls `pop_due` at each tick that `next` returns, until it returns a key. Returns that key and the tick.
fn follow(wheel: &mut Wheel) -> Option<(u32, u64)> {
    loop {
        let now = wheel.next()?;
        if let Some(key) = wheel.pop_due(now) {
            return Some((key, now));
        }
    }
}

fn wheel_at(now: u64) -> Wheel {
    let mut wheel = Wheel::new();
    assert_eq!(wheel.pop_due(now), None);
    wheel
}

fn is_empty(wheel: &Wheel) -> bool {
    wheel.next().is_none()
        && wheel.due.head == NONE
        && wheel.due.tail == NONE
        && wheel.levels.iter().all(|level| {
            level.occupied == 0 && level.slots.iter().all(|list| list.head == NONE && list.tail == NONE)
        })
}

/// Powers of two, which include a slot and a turn of each level, some longer distances, and the ticks around all.
fn distances() -> Vec<u64> {
    let edges = (0..=37).map(|bits| 1_u64 << bits).chain([HORIZON, 2 * HORIZON, 3 << 36]);
    let mut distances: Vec<_> = edges.flat_map(|edge| edge.saturating_sub(2)..=edge + 2).collect();
    distances.sort_unstable();
    distances.dedup();
    distances
}

/// Ticks just before the digits of some levels change, and some others.
fn starts() -> Vec<u64> {
    let turns = [1 << 7, 1 << 12, 1 << 18, 1 << 30, 1 << 36, 2 << 36, (5 << 36) + (1 << 30), 1 << 50];
    turns
        .into_iter()
        .flat_map(|turn| [turn - 65, turn - 2, turn - 1, turn, turn + 1])
        .chain([0, 12_345])
        .collect()
}

#[test]
fn a_key_is_returned_exactly_at_its_deadline_whatever_the_distance() {
    for start in starts() {
        for distance in distances() {
            let mut wheel = wheel_at(start);
            wheel.schedule(7, start + distance);
            // At most once per level, and once for each turn of the highest level.
            let mut calls = 0;
            let key = loop {
                let next = wheel.next().expect("a deadline");
                assert!((start..=start + distance).contains(&next), "{start} + {distance}");
                calls += 1;
                if let Some(key) = wheel.pop_due(next) {
                    assert_eq!(next, start + distance);
                    break key;
                }
            };
            assert_eq!(key, 7);
            assert!(
                calls <= LEVELS as u64 + 1 + distance / HORIZON,
                "{calls} calls for {start} + {distance}"
            );
            assert!(is_empty(&wheel));
        }
    }
}

#[test]
fn a_key_is_never_returned_early_and_also_by_a_late_call() {
    for start in starts() {
        for distance in distances().into_iter().filter(|distance| *distance > 0) {
            let mut wheel = wheel_at(start);
            wheel.schedule(7, start + distance);
            assert_eq!(wheel.pop_due(start + distance - 1), None, "{start} + {distance}");
            assert_eq!(wheel.pop_due(start + distance + distance / 2), Some(7), "{start} + {distance}");
            assert!(is_empty(&wheel));
        }
    }
}

#[test]
fn keys_are_returned_in_the_order_of_their_deadlines() {
    for start in starts() {
        let mut wheel = wheel_at(start);
        let distances = distances();
        let count = distances.len();
        // In an unrelated order: 17 and the number of distances have no common divisor.
        assert!(!count.is_multiple_of(17));
        for at in (0..count).map(|step| step * 17 % count) {
            wheel.schedule(at as u32, start + distances[at]);
        }
        for (key, distance) in (0..).zip(distances) {
            assert_eq!(follow(&mut wheel), Some((key, start + distance)));
        }
        assert!(is_empty(&wheel));
    }
}

#[test]
fn a_deadline_that_has_passed_is_due_at_once() {
    let mut wheel = wheel_at(1_000);
    for (key, deadline) in [(0, 1_000), (1, 999), (2, 0)] {
        wheel.schedule(key, deadline);
        assert_eq!(wheel.next(), Some(1_000));
        assert_eq!(wheel.pop_due(1_000), Some(key));
    }
    assert!(is_empty(&wheel));
}

#[test]
fn time_that_goes_back_changes_nothing() {
    let mut wheel = wheel_at(1_000);
    wheel.schedule(0, 1_010);
    assert_eq!(wheel.pop_due(5), None);
    assert_eq!(wheel.next(), Some(1_010));
    assert_eq!(wheel.pop_due(1_009), None);
    assert_eq!(wheel.pop_due(1_010), Some(0));
}

#[test]
fn the_largest_deadline_is_never_due_and_can_be_cancelled() {
    let mut wheel = wheel_at(1 << 36);
    wheel.schedule(0, u64::MAX);
    assert!(wheel.next().is_some_and(|next| next > 1 << 36));
    assert_eq!(wheel.pop_due(1 << 40), None);
    assert!(wheel.next().is_some_and(|next| next > 1 << 40));
    wheel.cancel(0);
    assert!(is_empty(&wheel));
}

#[test]
fn a_cancelled_key_is_not_returned_and_others_of_its_slot_are() {
    // Three keys share a slot of each level, or are due together.
    for distance in [0].into_iter().chain((0..LEVELS as u32).map(|level| 1 << (LEVEL_BITS * level))) {
        for cancelled in 0..3 {
            let mut wheel = wheel_at(1 << 36);
            for key in 0..3 {
                wheel.schedule(key, (1 << 36) + distance);
            }
            wheel.cancel(cancelled);
            let popped: Vec<_> = std::iter::from_fn(|| follow(&mut wheel)).map(|(key, _)| key).collect();
            let rest: Vec<_> = (0..3).filter(|key| *key != cancelled).collect();
            assert_eq!(popped, rest, "at {distance}");
            assert!(is_empty(&wheel));
        }
    }
}

#[test]
fn a_slot_is_empty_after_its_last_key_is_cancelled() {
    for distance in distances() {
        let mut wheel = wheel_at(99);
        wheel.schedule(3, 99 + distance);
        wheel.cancel(3);
        assert!(is_empty(&wheel), "at {distance}");
    }
}

#[test]
fn cancelling_a_key_without_a_deadline_changes_nothing() {
    let mut wheel = Wheel::new();
    wheel.cancel(0);
    wheel.cancel(u32::MAX - 1);
    wheel.schedule(5, 10);
    wheel.cancel(4);
    wheel.cancel(6);
    assert_eq!(follow(&mut wheel), Some((5, 10)));
    wheel.cancel(5);
    assert!(is_empty(&wheel));
}

#[test]
fn a_new_deadline_replaces_the_old_one() {
    let mut wheel = Wheel::new();
    for deadline in [0, 5_000, 70, 1 << 32, 100] {
        wheel.schedule(1, deadline);
    }
    wheel.schedule(2, 90);
    assert_eq!(follow(&mut wheel), Some((2, 90)));
    assert_eq!(follow(&mut wheel), Some((1, 100)));
    assert!(is_empty(&wheel));
}

/// The calls of a user. Distances count from the wheel's time.
#[derive(Debug, Clone)]
enum Operation {
    Schedule {
        key: u32,
        distance: u64,
    },
    /// With a deadline that passed this many ticks ago.
    ScheduleLate {
        key: u32,
        ago: u64,
    },
    Cancel {
        key: u32,
    },
    /// Removes all keys that are due by then.
    Advance {
        distance: u64,
    },
    /// Removes one key, and leaves the others for later.
    PopOne {
        distance: u64,
    },
    /// Calls `pop_due` at each tick that `next` returns, until it returns a key.
    Follow,
}

fn any_distance() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => prop::sample::select(distances()),
        2 => 0..200_u64,
        1 => (0..=37_u32, any::<u64>()).prop_map(|(bits, any)| any % (1 << bits)),
    ]
}

fn any_operation() -> impl Strategy<Value = Operation> {
    let key = || 0..12_u32;
    let far = prop_oneof![9 => any_distance(), 1 => Just(u64::MAX)];
    prop_oneof![
        6 => (key(), far).prop_map(|(key, distance)| Operation::Schedule { key, distance }),
        1 => (key(), any_distance()).prop_map(|(key, ago)| Operation::ScheduleLate { key, ago }),
        1 => key().prop_map(|key| Operation::Cancel { key }),
        2 => any_distance().prop_map(|distance| Operation::Advance { distance }),
        2 => any_distance().prop_map(|distance| Operation::PopOne { distance }),
        2 => Just(Operation::Follow),
    ]
}

/// The wheel, and the deadlines that it should contain.
struct Checked {
    wheel: Wheel,
    now: u64,
    /// Indexed by key. A deadline that had already passed counts as the time at which it was set.
    deadlines: BTreeMap<u32, u64>,
}

impl Checked {
    fn run(&mut self, operation: &Operation) {
        match *operation {
            Operation::Schedule { key, distance } => self.schedule(key, self.now.saturating_add(distance)),
            Operation::ScheduleLate { key, ago } => self.schedule(key, self.now.saturating_sub(ago)),
            Operation::Cancel { key } => {
                self.wheel.cancel(key);
                self.deadlines.remove(&key);
            }
            Operation::Advance { distance } => {
                let until = self.now + distance;
                while self.pop(until).is_some() {}
            }
            Operation::PopOne { distance } => {
                self.pop(self.now + distance);
            }
            Operation::Follow => {
                // A deadline beyond the horizon would take one call for each turn until then.
                while let Some(first) = self.first().filter(|first| *first < 1 << 50) {
                    let next = self.wheel.next().expect("there is a deadline");
                    assert!(next <= first, "`next` returns {next}, after the deadline {first}");
                    if self.pop(next).is_some() {
                        assert_eq!(next, first);
                        break;
                    }
                }
            }
        }
        let next = self.wheel.next();
        assert_eq!(next.is_some(), !self.deadlines.is_empty());
        if let (Some(next), Some(first)) = (next, self.first()) {
            assert!((self.now..=first).contains(&next), "{next} for {first} at {}", self.now);
        }
    }

    fn schedule(&mut self, key: u32, deadline: u64) {
        self.wheel.schedule(key, deadline);
        self.deadlines.insert(key, deadline.max(self.now));
    }

    fn first(&self) -> Option<u64> {
        self.deadlines.values().copied().min()
    }

    /// Calls `pop_due` once, which returns a key with the first deadline if that has been reached.
    fn pop(&mut self, until: u64) -> Option<u32> {
        let due = self.first().filter(|first| *first <= until);
        let key = self.wheel.pop_due(until);
        let popped = key.map(|key| self.deadlines.remove(&key).expect("a scheduled key"));
        assert_eq!(popped, due, "by {until}");
        self.now = due.unwrap_or(until);
        key
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_wheel_behaves_like_a_sorted_list(
        start in prop_oneof![Just(0), prop::sample::select(starts())],
        operations in prop::collection::vec(any_operation(), 1..60),
    ) {
        let mut checked = Checked { wheel: wheel_at(start), now: start, deadlines: BTreeMap::new() };
        for operation in &operations {
            checked.run(operation);
        }
        for key in 0..12 {
            checked.wheel.cancel(key);
        }
        prop_assert!(is_empty(&checked.wheel));
    }
}
