//! Some hundred worlds. More of them: `cargo run --release -p world`.

use std::panic::catch_unwind;

use world::World;

/// Lives the worlds of these seeds, and says which one failed.
#[track_caller]
fn live(seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        let lived = catch_unwind(|| World::new(seed).run());
        assert!(lived.is_ok(), "replay it: cargo run --release -p world -- {seed}");
    }
}

#[test]
fn the_worlds_of_even_seeds_end_well() {
    live((0..300).step_by(2));
}

#[test]
fn the_worlds_of_odd_seeds_end_well() {
    live((1..300).step_by(2));
}
