//! Measures `tox-bootstrapd` and the embedded test relay side by side with `tox-relay load`, in turns, and prints the
//! medians as Markdown. `examples/tools/README.md` has the figures.
//!
//! ```sh
//! cargo build --release -p tox-relay-tools
//! cargo run --release -p interop --example relays [--brief] [SVG]
//! ```

#[path = "../../../examples/tools/src/load/plot.rs"]
mod plot;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::{env, fs, io};

use interop::Bootstrapd;
use plot::{Point, Series};
use serde_json::Value;
use tox_relay_client::PublicKey;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Packets a second that are offered in turn.
const RATES: [u32; 8] = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000];

/// The users of each run.
const USERS: [&str; 4] = ["--connections", "100", "--pairs", "10"];

/// Clock ticks a second in `/proc`, on every Linux.
const TICKS: f64 = 100.0;

/// What is measured with a rate: latencies, what was reached and lost, and the relay's CPU time.
#[derive(Clone, Copy)]
struct Measured {
    latencies: [f64; 3],
    reached: f64,
    loss: f64,
    relay_cpu: f64,
    own_cpu: f64,
}

/// A running relay, and its name in tables.
struct Subject {
    name: &'static str,
    address: String,
    key: String,
    process: u32,
    /// The process of the embedded relay, which ends with its standard input.
    _child: Option<Child>,
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments == ["relay"] {
        return run_relay();
    }
    let is_brief = arguments.iter().any(|argument| argument == "--brief");
    let svg = arguments.iter().find(|argument| !argument.starts_with('-'));
    let bootstrapd = Bootstrapd::start()?;
    let subjects = [real(&bootstrapd)?, embedded()?];
    let (rounds, rates, time) = if is_brief { (1, &RATES[..2], "0.5") } else { (5, &RATES[..], "3") };

    let mut found: BTreeMap<(usize, u32), Vec<Measured>> = BTreeMap::new();
    for round in 0..rounds {
        for &rate in rates {
            for index in (0..subjects.len()).map(|index| (index + round) % subjects.len()) {
                let measured = measure(&subjects[index], rate, time)?;
                found.entry((index, rate)).or_default().push(measured);
            }
        }
        eprintln!("round {} of {rounds}", round + 1);
    }
    let medians: BTreeMap<_, _> = found.into_iter().map(|(key, all)| (key, medians(&all))).collect();
    print_latencies(&subjects, rates, &medians);
    if let Some(path) = svg {
        let series: Vec<_> = subjects
            .iter()
            .enumerate()
            .map(|(index, subject)| series(subject.name, index, &medians))
            .collect();
        fs::write(path, plot::draw(&series, "packets of 1400 bytes offered a second"))?;
    }
    let searches: [&[&str]; 3] = [
        &["--search", "throughput", "--rate", "1000"],
        &["--search", "throughput", "--rate", "1000", "--size", "100"],
        &["--search", "connections", "--connections", "1000", "--connect-rate", "1000", "--rate", "200"],
    ];
    println!("\n| most within `p99<100ms,loss<0.1%` | {} | {} |", subjects[0].name, subjects[1].name);
    println!("| --- | ---: | ---: |");
    for (words, search) in ["packets of 1400 bytes a second", "packets of 100 bytes a second", "connections"]
        .into_iter()
        .zip(searches)
    {
        let mut largest = [Vec::new(), Vec::new()];
        for round in 0..if is_brief { 1 } else { 3 } {
            for index in (0..subjects.len()).map(|index| (index + round) % subjects.len()) {
                let time = ["--warm-up", "0.5", "--time", if is_brief { "0.2" } else { "2" }];
                let end = load(&subjects[index], &[&time[..], search].concat())?;
                largest[index].push(end["search"]["largest"].as_f64().unwrap_or_default());
            }
        }
        let [real, embedded] = largest.map(|mut all| median(&mut all));
        println!("| {words} | {real:.0} | {embedded:.0} |");
    }
    Ok(())
}

/// Runs the embedded relay: `relays relay`.
fn run_relay() -> Outcome<()> {
    let relay = tox_test_relay::Relay::start(Default::default())?;
    println!("{} {}", relay.addr(), PublicKey::from(relay.public_key()));
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

fn real(relay: &Bootstrapd) -> Outcome<Subject> {
    let process = relay.process_id().ok_or("it has ended")?;
    let key = PublicKey::from(relay.public_key()).to_string();
    Ok(Subject { name: "`tox-bootstrapd`", address: relay.addr().to_string(), key, process, _child: None })
}

fn embedded() -> Outcome<Subject> {
    let mut command = Command::new(env::current_exe()?);
    let mut child = command.arg("relay").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    let (address, key) = line.trim().split_once(' ').ok_or("no address and key")?;
    let (address, key, process) = (address.into(), key.into(), child.id());
    Ok(Subject { name: "embedded relay", address, key, process, _child: Some(child) })
}

/// Runs `tox-relay load`, and returns its summary.
fn load(subject: &Subject, arguments: &[&str]) -> Outcome<Value> {
    // Examples are in a folder next to the program.
    let folder = env::current_exe()?;
    let program = folder.ancestors().nth(2).ok_or("no folder")?.join("tox-relay");
    let mut command = Command::new(program);
    command.args(["load", &subject.address, &subject.key, "--json"]).args(USERS).args(arguments);
    let output = command.stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8(output.stdout)?;
    let last = text.lines().last().ok_or("no output: `cargo build --release -p tox-relay-tools` first")?;
    Ok(serde_json::from_str(last)?)
}

fn measure(subject: &Subject, rate: u32, time: &str) -> Outcome<Measured> {
    let before = cpu_time(subject.process)?;
    let rate = rate.to_string();
    let end = load(subject, &["--rate", &rate, "--warm-up", "1", "--time", time])?;
    let step = &end["step"];
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let sent = number(&step["sent"]);
    // Of the whole run: the load had half of its rate in the second of warm-up.
    let seconds = number(&step["seconds"]) + 0.5;
    Ok(Measured {
        latencies: ["p50", "p99", "p99.9"].map(|name| number(&step["latency"][name])),
        reached: number(&step["received_per_second"]),
        loss: number(&step["lost"]) / sent,
        relay_cpu: (cpu_time(subject.process)? - before) / seconds,
        own_cpu: number(&step["cpu"]),
    })
}

/// The CPU time of a process in seconds, that of the kernel for it included.
fn cpu_time(process: u32) -> Outcome<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name of the program may contain spaces.
    let (_, fields) = stat.rsplit_once(") ").ok_or("not as in proc(5)")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / TICKS)
}

fn medians(all: &[Measured]) -> Measured {
    let of = |value: fn(&Measured) -> f64| median(&mut all.iter().map(value).collect::<Vec<_>>());
    Measured {
        latencies: [of(|one| one.latencies[0]), of(|one| one.latencies[1]), of(|one| one.latencies[2])],
        reached: of(|one| one.reached),
        loss: of(|one| one.loss),
        relay_cpu: of(|one| one.relay_cpu),
        own_cpu: of(|one| one.own_cpu),
    }
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    if figures.len() % 2 == 1 { figures[middle] } else { (figures[middle - 1] + figures[middle]) / 2.0 }
}

fn print_latencies(subjects: &[Subject; 2], rates: &[u32], medians: &BTreeMap<(usize, u32), Measured>) {
    for (index, subject) in subjects.iter().enumerate() {
        println!("\n{}:\n", subject.name);
        println!("| offered a second | arrived | lost | p50 | p99 | p99.9 | relay's CPU | generator's CPU |");
        println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
        for rate in rates {
            let Measured { latencies: [p50, p99, p999], reached, loss, relay_cpu, own_cpu } =
                medians[&(index, *rate)];
            let [p50, p99, p999] = [p50, p99, p999].map(|seconds| format!("{:.1} ms", seconds * 1e3));
            println!(
                "| {rate} | {reached:.0} | {:.2}% | {p50} | {p99} | {p999} | {:.0}% | {:.0}% |",
                loss * 1e2,
                relay_cpu * 1e2,
                own_cpu * 1e2
            );
        }
    }
}

fn series(name: &str, index: usize, medians: &BTreeMap<(usize, u32), Measured>) -> Series {
    let own = medians.iter().filter(|((of, _), _)| *of == index);
    let points = own.map(|((_, rate), measured)| Point {
        load: f64::from(*rate),
        latencies: measured.latencies,
        // Hollow where the relay does not carry what is offered.
        is_kept: measured.reached > 0.95 * f64::from(*rate),
    });
    Series { name: name.replace('`', ""), points: points.collect() }
}
