//! Fuzz targets for the core: each is a function of some bytes, which panics if the core does something wrong.
//!
//! | target | the bytes are | and what must hold |
//! | --- | --- | --- |
//! | [`packets`] | plaintexts and frames | parsing and emitting are inverse in both directions; frames are found however split |
//! | [`streams`] | what a relay sends, honest or not | no panic; the events and the end are those of the model |
//! | [`proxies`] | the answers of a proxy | no panic; the result is the same however they are split; bounds |
//! | [`texts`] | URLs, keys, addresses | no panic; what is displayed can be parsed again |
//! | [`operations`] | calls of the caller, packets of the relay, time | the core and the model agree at each step |
//! | [`window`] | how a relay answers pings while data are sent | no panic; no more is unconfirmed than the window allows; never stuck |
//!
//! `tests/fuzz/run` fuzzes all of them for some seconds with cargo-fuzz; `tests/fuzz/run 3600 FOLDER` for an hour each,
//! and keeps what it finds in FOLDER. `cargo run -p fuzz --bin TARGET -- FILE...` replays inputs on any toolchain, and
//! `cargo test -p fuzz` those that are kept in `corpus`.

mod downstream;
mod fixtures;
mod input;
mod model;
mod operations;
mod packets;
mod pair;
mod proxies;
mod send_queue;
mod streams;
mod texts;
mod window;

pub use operations::operations;
pub use packets::packets;
pub use proxies::proxies;
pub use streams::streams;
pub use texts::texts;
pub use window::window;

/// Runs a target on each file that the command line names.
///
/// # Panics
///
/// Where the target does, or a file can't be read.
pub fn replay(target: fn(&[u8])) {
    for path in std::env::args_os().skip(1) {
        println!("{}", path.display());
        target(&std::fs::read(path).expect("a file that can be read"));
    }
}
