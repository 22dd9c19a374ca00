//! Some hundred simulations. More of them: `cargo run --release -p simulation`.

use std::panic::catch_unwind;

use simulation::Simulation;

/// Runs the simulations of these seeds, and reports which one failed.
#[track_caller]
fn run(seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        let outcome = catch_unwind(|| Simulation::new(seed).run());
        assert!(outcome.is_ok(), "replay it: cargo run --release -p simulation -- {seed}");
    }
}

#[test]
fn simulations_of_even_seeds_pass() {
    run((0..300).step_by(2));
}

#[test]
fn simulations_of_odd_seeds_pass() {
    run((1..300).step_by(2));
}
