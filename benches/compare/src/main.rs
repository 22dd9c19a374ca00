//! Compares our client with the C client of libtoxcore 0.2.18 and with a bare loop on libsodium, in one run:
//!
//! ```sh
//! cargo run --release -p compare [--brief] [SVG]
//! ```
//!
//! It prints Markdown tables, and draws the CPU time of packets into the file `SVG`. `--brief` makes every turn very
//! short: to check that everything runs, not for figures.
//!
//! All clients connect to the same relay, which runs in another process. The program measures the CPU time of the
//! client's own thread, including the kernel's time for it. It hardly depends on other programs or on the speed
//! of the relay. (The last table has the CPU time of whole messengers.) The subjects are measured in turns, and the result is the median of the turns, so that a disturbance
//! affects all alike.

mod address;
mod boxes;
mod bulk;
mod clients;
mod helper;
mod measure;
mod messenger;
mod own_box;
mod packets;
mod plot;
mod pool;
mod relay;
mod table;

use std::process::ExitCode;
use std::{env, fs};

use crate::helper::Outcome;
use crate::measure::Effort;
use crate::relay::RelayProcess;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["relay"] => relay::run(),
        ["pool", kind, port] => pool::run(kind, port),
        [] => compare(Effort::full(), None),
        ["--brief"] => compare(Effort::brief(), None),
        ["--brief", svg] => compare(Effort::brief(), Some(svg)),
        [svg] if !svg.starts_with('-') => compare(Effort::full(), Some(svg)),
        _ => Err("usage: compare [--brief] [SVG]".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(mut effort: Effort, svg: Option<&str>) -> Outcome<()> {
    pool::fit_into_limits(&mut effort)?;
    if effort.is_brief() {
        println!("A brief run: it is too short for meaningful figures.\n");
    }
    boxes::measure(&effort)?.iter().for_each(|section| println!("{section}"));
    let mut relay = RelayProcess::start()?;
    let packets = packets::measure(&mut relay, &effort)?;
    packets.iter().for_each(|section| println!("{section}"));
    println!("{}", packets::measure_round_trip(&mut relay, &effort)?);
    println!("{}", pool::measure_connecting(&mut relay, &effort)?);
    pool::measure(&effort)?.iter().for_each(|section| println!("{section}"));
    println!("{}", bulk::measure(&effort)?);
    println!("{}", messenger::measure(&effort)?);
    if let Some(path) = svg {
        fs::write(path, plot::draw(&packets))?;
        println!("The plot of CPU time per packet is in {path}.");
    }
    Ok(())
}
