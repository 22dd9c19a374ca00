//! `cargo run --release -p simulation -- [SEED [COUNT]]`: runs COUNT simulations (by default 1) from SEED on; without a
//! SEED, 3000 from a random one. `simulation flow` prints what the window does with slow relays and long lines.

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::Instant;

use simulation::{Simulation, Totals};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("flow") {
        print!("{}", simulation::flow::Table);
        return ExitCode::SUCCESS;
    }
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let (first, count) = match (arguments.next(), arguments.next()) {
        (None, _) => (rand::random::<u32>().into(), 3_000),
        (Some(Ok(seed)), None) => (seed, 1),
        (Some(Ok(seed)), Some(Ok(count))) => (seed, count),
        _ => {
            eprintln!("usage: simulation [SEED [COUNT]]");
            return ExitCode::from(2);
        }
    };
    let mut totals = Totals::default();
    let start = Instant::now();
    for seed in first..first + count {
        match catch_unwind(|| Simulation::new(seed).run()) {
            Ok(seen) => totals += seen,
            Err(_) => {
                eprintln!("seed {seed} failed; it replays with this number alone");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{count} simulations from seed {first} on: all passed, in {:.1?}\n{totals:?}", start.elapsed());
    ExitCode::SUCCESS
}
