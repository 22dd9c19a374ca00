//! `cargo run --release -p interop --example failover -- [ROUNDS]`: how long the receiver of a steady flow waits when the
//! relay that carries it fails, and how many packets are lost. The other two of three real relays work.

use std::time::{Duration, Instant};

use interop::failover::{Fault, Outage, Outcome, Pair};
use rand::RngExt;

const SECOND: Duration = Duration::from_secs(1);

/// Each of these, and what it is called in the table.
const FAULTS: [(Fault, &str); 4] = [
    (Fault::Reset, "killed"),
    (Fault::Restart, "killed and started again"),
    (Fault::Pause, "stopped until another one takes over"),
    (Fault::Silence, "stopped until it is given up"),
];

fn main() -> Outcome<()> {
    let rounds = std::env::args().nth(1).map_or(Ok(5), |rounds| rounds.parse::<usize>())?;
    println!("Data flow by one of three relays, a packet every 5 ms. It is, {rounds} times each:\n");
    println!("| the relay | pause: median | longest | packets lost: median | most | late: median | most |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut usual = Duration::ZERO;
    for (fault, name) in FAULTS {
        let mut pair = Pair::start(3)?;
        let outages =
            (0..rounds).map(|_| round(&mut pair, fault, &mut usual)).collect::<Outcome<Vec<_>>>()?;
        let violations = pair.finish()?.violations(7 * SECOND);
        if !violations.is_empty() {
            return Err(violations.join("\n").into());
        }
        let (pause, longest) = median_and_most(&outages, |outage| outage.pause);
        let (lost, most_lost) = median_and_most(&outages, |outage| outage.lost);
        let (late, most_late) = median_and_most(&outages, |outage| outage.late);
        let [pause, longest] = [pause, longest].map(|time| time.as_millis());
        println!("| {name} | {pause} ms | {longest} ms | {lost} | {most_lost} | {late} | {most_late} |");
    }
    println!("\nThe longest pause without a fault: {} ms.", usual.as_millis());
    Ok(())
}

/// The relay that carries the data fails, at a random time: silence is found out by pings at intervals.
fn round(pair: &mut Pair, fault: Fault, usual: &mut Duration) -> Outcome<Outage> {
    let start = Instant::now();
    pair.run_for(SECOND + rand::rng().random_range(Duration::ZERO..3 * SECOND))?;
    *usual = (*usual).max(pair.log().longest_pause(start..Instant::now()));
    let relay = pair.used().ok_or("no relay carries the data")?;
    pair.suffer(relay, fault)
}

fn median_and_most<T: Ord + Copy + Default>(outages: &[Outage], figure: fn(&Outage) -> T) -> (T, T) {
    let mut figures: Vec<T> = outages.iter().map(figure).collect();
    figures.sort();
    (figures.get(figures.len() / 2).copied().unwrap_or_default(), figures.last().copied().unwrap_or_default())
}
