//! `cargo run --release -p messenger --example table -- [QUICK]`: the messenger of libtoxcore on our TCP client beside
//! the same on its own, as the table of `benches/figures.md`. It takes about twelve minutes, and with any argument (a
//! smaller file, no long outages, no crowd) two.

use std::time::Duration;

use messenger::Side::{Ours, Own};
use messenger::{Crowd, Outcome, Pair, Side, Transfer};

const SECOND: Duration = Duration::from_secs(1);

/// The two ends of each column: the first one sends files.
const COLUMNS: [[Side; 2]; 3] = [[Ours, Ours], [Own, Own], [Ours, Own]];

fn main() -> Outcome<()> {
    let is_quick = std::env::args().nth(1).is_some();
    println!("| | both on ours | both on its own | from ours to its own |");
    println!("| --- | ---: | ---: | ---: |");
    let mut pairs = COLUMNS.map(|sides| Pair::start(sides).map_err(|error| error.to_string()));
    let mut row = |name: &str, measure: &mut dyn FnMut(&mut Pair) -> Outcome<String>| {
        let cells = pairs.each_mut().map(|pair| match pair {
            Ok(pair) => measure(pair).unwrap_or_else(|error| format!("failed: {error}")),
            Err(error) => format!("failed: {error}"),
        });
        println!("| {name} | {} |", cells.join(" | "));
    };

    row("online for each other after", &mut |pair| Ok(seconds(pair.met_after)));
    row("1,000 messages each way", &mut |pair| pair.messages(1000).map(seconds));
    let megabytes = if is_quick { 2 } else { 20 };
    for _ in 0..if is_quick { 1 } else { 3 } {
        row(&format!("a file of {megabytes} MB; CPU time of sender and receiver"), &mut |pair| {
            let Transfer { time, cpu: [sender, receiver] } = pair.file(0, megabytes * 1_000_000)?;
            Ok(format!("{}; {}, {}", seconds(time), milliseconds(sender), milliseconds(receiver)))
        });
    }
    let idle = if is_quick { 5 } else { 60 };
    row(&format!("CPU time of {idle} s at idle"), &mut |pair| {
        let [one, other] = pair.idle(Duration::from_secs(idle))?;
        Ok(format!("{}, {}", milliseconds(one), milliseconds(other)))
    });
    for outage in if is_quick { &[2][..] } else { &[2, 20, 40] } {
        row(&format!("a message arrives, after the relay was gone for {outage} s"), &mut |pair| {
            let back = pair.outage(*outage * SECOND, 100 * SECOND)?;
            Ok(back.map_or("not within 100 s".to_owned(), |back| format!("after {}", seconds(back))))
        });
    }
    drop(pairs);
    if !is_quick {
        let cells = [Ours, Own].map(|side| crowd(side).unwrap_or_else(|error| format!("failed: {error}")));
        println!("| 40 instances: 20 files of 2 MB at once | {} | |", cells.join(" | "));
    }
    Ok(())
}

fn crowd(side: Side) -> Outcome<String> {
    let mut crowd = Crowd::start(side, 20)?;
    let time = crowd.files(2_000_000)?;
    Ok(format!("{}, {} friends lost", seconds(time), crowd.losses()?))
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn milliseconds(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}
