//! Measures `tox-bootstrapd` and the embedded test relay side by side with `tox-relay load`, in turns, and prints the
//! medians as Markdown. `examples/tools/README.md` has the figures.
//!
//! ```sh
//! cargo build --release -p tox-relay-tools
//! cargo run --release -p interop --example relays [--brief] [SVG]
//! ```

#[path = "../../../examples/tools/src/load/plot.rs"]
mod plot;

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
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

/// Connections, if `ulimit -n` allows them.
const CONNECTIONS: [&str; 3] = ["1000", "5000", "19000"];

/// Each figure is the median of so many runs.
const ROUNDS: usize = 3;

/// What is measured with a rate: the median, the 99th and the 99.9th percentile of latency in seconds, packets that
/// arrived in a second, the share of lost ones, and CPU time of the relay and of the generator, in shares of a
/// processor.
type Measured = [f64; 7];

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
    let (rates, time) = if is_brief { (&RATES[..2], "0.5") } else { (&RATES[..], "3") };
    let mut found = Vec::new();
    for &rate in rates {
        found.push((rate, in_turns(&subjects, is_brief, |subject| measure(subject, rate, time))?));
    }
    print_latencies(&subjects, &found);
    if let Some(path) = svg {
        let series = [0, 1].map(|index| series(subjects[index].name, index, &found));
        fs::write(path, plot::draw(&series, "packets of 1400 bytes offered a second"))?;
    }
    print_searches(&subjects, is_brief)?;
    print_connections(&subjects, is_brief)
}

/// The largest loads within the target of a search.
fn print_searches(subjects: &[Subject; 2], is_brief: bool) -> Outcome<()> {
    println!(
        "\n| most packets a second within `p99<100ms,loss<0.1%` | {} | {} |",
        subjects[0].name, subjects[1].name
    );
    println!("| --- | ---: | ---: |");
    for size in ["1400", "100"] {
        let time = if is_brief { "0.2" } else { "2" };
        let search =
            ["--search", "throughput", "--rate", "2000", "--size", size, "--warm-up", "0.5", "--time", time];
        let [real, embedded] = in_turns(subjects, is_brief, |subject| {
            Ok([load(subject, &search)?["search"]["largest"].as_f64().unwrap_or_default()])
        })?;
        println!("| of {size} bytes | {:.0} | {:.0} |", real[0], embedded[0]);
    }
    Ok(())
}

/// Latencies with many connections, nearly all of which are idle.
fn print_connections(subjects: &[Subject; 2], is_brief: bool) -> Outcome<()> {
    let [real, embedded] = [subjects[0].name, subjects[1].name];
    println!("\n| connections | {real}: p50, p99 | {embedded}: p50, p99 |");
    println!("| ---: | ---: | ---: |");
    for connections in if is_brief { &CONNECTIONS[..1] } else { &CONNECTIONS } {
        let idle = ["--connections", connections, "--connect-rate", "1000", "--rate", "200"];
        let found = in_turns(subjects, is_brief, |subject| {
            let end = load(subject, &[&idle[..], &["--warm-up", "1", "--time", "3"]].concat())?;
            Ok(["p50", "p99"].map(|name| end["step"]["latency"][name].as_f64().unwrap_or(f64::NAN)))
        })?;
        let [real, embedded] = found.map(|[p50, p99]| format!("{:.1} ms, {:.1} ms", p50 * 1e3, p99 * 1e3));
        println!("| {connections} | {real} | {embedded} |");
    }
    Ok(())
}

/// Measures both relays in turns, and returns the medians for each.
fn in_turns<const N: usize>(
    subjects: &[Subject; 2],
    is_brief: bool,
    mut measure: impl FnMut(&Subject) -> Outcome<[f64; N]>,
) -> Outcome<[[f64; N]; 2]> {
    let mut found = [Vec::new(), Vec::new()];
    for round in 0..if is_brief { 1 } else { ROUNDS } {
        for index in [round % 2, (round + 1) % 2] {
            found[index].push(measure(&subjects[index])?);
        }
    }
    Ok(found.map(|all: Vec<[f64; N]>| {
        std::array::from_fn(|figure| median(&mut all.iter().map(|one| one[figure]).collect::<Vec<_>>()))
    }))
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
    let (before, begin) = (cpu_time(subject.process)?, Instant::now());
    let rate = rate.to_string();
    let end = load(subject, &["--rate", &rate, "--warm-up", "1", "--time", time])?;
    let step = &end["step"];
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    // In the first two seconds the probe and the users connect; in the next one the load has half of its rate.
    let seconds = begin.elapsed().as_secs_f64() - 2.5;
    let [p50, p99, p999] = ["p50", "p99", "p99.9"].map(|name| number(&step["latency"][name]));
    let (reached, loss) =
        (number(&step["arrived_per_second"]), number(&step["lost"]) / number(&step["sent"]));
    let relay_cpu = (cpu_time(subject.process)? - before) / seconds;
    Ok([p50, p99, p999, reached, loss, relay_cpu, number(&step["cpu"])])
}

/// The CPU time of a process in seconds, that of the kernel for it included.
fn cpu_time(process: u32) -> Outcome<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name of the program may contain spaces.
    let (_, fields) = stat.rsplit_once(") ").ok_or("not as in proc(5)")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / TICKS)
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    if figures.len() % 2 == 1 { figures[middle] } else { (figures[middle - 1] + figures[middle]) / 2.0 }
}

fn print_latencies(subjects: &[Subject; 2], found: &[(u32, [Measured; 2])]) {
    for (index, subject) in subjects.iter().enumerate() {
        println!("\n{}:\n", subject.name);
        println!("| offered a second | arrived | lost | p50 | p99 | p99.9 | relay's CPU | generator's CPU |");
        println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
        for (rate, measured) in found {
            let [p50, p99, p999, reached, loss, relay_cpu, own_cpu] = measured[index];
            let [p50, p99, p999] = [p50, p99, p999].map(|seconds| format!("{:.1} ms", seconds * 1e3));
            let [relay_cpu, own_cpu] = [relay_cpu, own_cpu].map(|share| format!("{:.0}%", share * 1e2));
            println!(
                "| {rate} | {reached:.0} | {:.2}% | {p50} | {p99} | {p999} | {relay_cpu} | {own_cpu} |",
                loss * 1e2
            );
        }
    }
}

fn series(name: &str, index: usize, found: &[(u32, [Measured; 2])]) -> Series {
    let points = found.iter().map(|(rate, measured)| {
        let [p50, p99, p999, reached, ..] = measured[index];
        // Hollow where the relay does not carry what is offered.
        let (load, is_kept) = (f64::from(*rate), reached > 0.95 * f64::from(*rate));
        Point { load, latencies: [p50, p99, p999], is_kept }
    });
    let has_latencies = |point: &Point| point.latencies.iter().all(|latency| latency.is_finite());
    Series { name: name.replace('`', ""), points: points.filter(has_latencies).collect() }
}
