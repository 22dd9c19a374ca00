//! The messenger of libtoxcore (Debian's `libtoxcore-dev`), unchanged, on our TCP client and on its own. Both are the
//! program `messenger.c`, which a test or the example `table` compiles, links and runs: each is a process of its own, so
//! no program has two TCP clients, and the CPU time of each can be measured. The library is the one of this machine
//! (0.2.18 in Debian 12), or a newer one, with which `newer` runs the tests.

mod crowd;
mod pair;
mod program;
mod running;

pub use crowd::Crowd;
pub use pair::{Pair, Transfer};
pub use program::{Program, Side, toxcore};
pub use running::Messenger;

/// What a step of a scenario returns. Any error fails the test.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
