//! Runs one hot path of the core a fixed number of times; `benches/instructions/run` counts its instructions with
//! callgrind.
//!
//! `instructions` lists the paths, `instructions PATH` runs one and prints the number of operations, and `instructions
//! --features` prints which of the processor features that the core uses are available. Keys, nonces and times are
//! fixed, and a path that allocates runs once before it is counted, so each run takes the same number of instructions.

#[path = "../../support/all_online.rs"]
mod all_online;
#[path = "../../support/nodes.rs"]
mod nodes;
mod pair;
mod paths;
mod pools;

use std::env;
use std::process::ExitCode;

use nodes::{ByClient, ByPool};

/// A path and its name. It returns the number of operations that were counted.
type Path = (&'static str, fn() -> u64);

const PATHS: [Path; 28] = [
    ("send-34", || paths::send(34)),
    ("send-100", || paths::send(100)),
    ("send-512", || paths::send(512)),
    ("send-1373", || paths::send(1373)),
    ("receive-34", || paths::receive(34)),
    ("receive-100", || paths::receive(100)),
    ("receive-512", || paths::receive(512)),
    ("receive-1373", || paths::receive(1373)),
    ("send-to-last-of-240", paths::send_to_last_route),
    ("receive-from-last-of-240", paths::receive_from_last_route),
    ("parse-and-emit", paths::parse_and_emit),
    ("handshake", paths::handshake),
    ("socks5", paths::socks5),
    ("idle-tick", paths::idle_tick),
    ("ping-cycle", paths::ping_cycle),
    ("client-send-34", || pools::send::<ByClient>(34)),
    ("pool-send-34", || pools::send::<ByPool>(34)),
    ("client-send-512", || pools::send::<ByClient>(512)),
    ("pool-send-512", || pools::send::<ByPool>(512)),
    ("client-send-1373", || pools::send::<ByClient>(1373)),
    ("pool-send-1373", || pools::send::<ByPool>(1373)),
    ("client-receive-34", || pools::receive::<ByClient>(34)),
    ("pool-receive-34", || pools::receive::<ByPool>(34)),
    ("client-receive-512", || pools::receive::<ByClient>(512)),
    ("pool-receive-512", || pools::receive::<ByPool>(512)),
    ("client-receive-1373", || pools::receive::<ByClient>(1373)),
    ("pool-receive-1373", || pools::receive::<ByPool>(1373)),
    ("pool-idle-poll", pools::idle_poll),
];

fn main() -> ExitCode {
    match env::args().nth(1).as_deref() {
        None => PATHS.iter().for_each(|(name, _)| println!("{name}")),
        Some("--features") => println!("{}", features().join(" ")),
        Some(wanted) => match PATHS.iter().find(|(name, _)| *name == wanted) {
            Some((_, path)) => println!("{}", path()),
            None => {
                eprintln!("no such path: {wanted}");
                return ExitCode::from(2);
            }
        },
    }
    ExitCode::SUCCESS
}

/// The available processor features that decide which implementations of Salsa20 and X25519 are used.
fn features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let features = [
        ("adx", is_x86_feature_detected!("adx")),
        ("aes", is_x86_feature_detected!("aes")),
        ("avx", is_x86_feature_detected!("avx")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512vl", is_x86_feature_detected!("avx512vl")),
        ("bmi1", is_x86_feature_detected!("bmi1")),
        ("bmi2", is_x86_feature_detected!("bmi2")),
        ("pclmulqdq", is_x86_feature_detected!("pclmulqdq")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let features = [];
    features.into_iter().filter_map(|(name, is_there)| is_there.then_some(name)).collect()
}
