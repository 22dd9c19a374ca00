//! `cargo run --release -p interop --example layers`: our pool beside the C library's layer of several relays for each
//! peer, in the same situations on real relays. It takes about nine minutes and prints a table.

use std::thread;
use std::time::Duration;

use interop::Bootstrapd;
use interop::layers::{Asleep, Loss, Offered, Ours, Outcome, Theirs, fail, offer, restless, sleep, vanish};

const SECOND: Duration = Duration::from_secs(1);

/// How often a relay is killed, and falls silent.
const ROUNDS: usize = 5;

fn main() -> Outcome<()> {
    println!("The first two rows have the median of {ROUNDS} rounds (and the most).\n");
    println!("| what happens | our pool | C library (0.2.18) |");
    println!("| --- | --- | --- |");
    for (what, is_silent) in [("the relay that carries the data is killed", false), ("it falls silent", true)]
    {
        row(
            what,
            loss(move |before| fail::<Ours>(is_silent, before))?,
            loss(move |before| fail::<Theirs>(is_silent, before))?,
        );
    }
    let [ours, theirs] = vanish::<Ours, Theirs>(65 * SECOND)?;
    let back = |after| format!("data again {}", soon(after));
    row("all three relays are gone for 65 s and return", back(ours), back(theirs));
    let relays = (0..40).map(|_| Bootstrapd::start()).collect::<Result<Vec<_>, _>>()?;
    let time = 20 * SECOND;
    let (ours, theirs) = (offer::<Ours>(&relays, time)?, offer::<Theirs>(&relays, time)?);
    drop(relays);
    row("40 relays are offered for one peer", opened(ours), opened(theirs));
    let (ours, theirs) = (sleep::<Ours>(30 * SECOND)?, sleep::<Theirs>(30 * SECOND)?);
    row("of two peers on the same relays, one sleeps for 30 s and wakes", slept(ours), slept(theirs));
    let pause = |pause: Duration| format!("longest pause of {:.2} s", pause.as_secs_f64());
    let (ours, theirs) = (restless::<Ours>(30 * SECOND)?, restless::<Theirs>(30 * SECOND)?);
    let what =
        "one of two sleeps, leaves, is woken and put to sleep again; the other one is awake for 30 s more";
    row(what, pause(ours), pause(theirs));
    Ok(())
}

fn row(what: &str, ours: String, theirs: String) {
    println!("| {what} | {ours} | {theirs} |");
}

/// Of several rounds at the same time, each with relays of its own. They fail at times that are spread over the C library's
/// ping interval of 30 s, and over ours of 3 s while data flow.
fn loss(fail: impl Fn(Duration) -> Outcome<Loss> + Copy + Send + 'static) -> Outcome<String> {
    let before = |round: usize| SECOND + round as u32 * 13 * SECOND / 2;
    let rounds: Vec<_> = (0..ROUNDS).map(|round| thread::spawn(move || fail(before(round)))).collect();
    let mut losses = Vec::new();
    for round in rounds {
        losses.push(round.join().map_err(|_| "a panic")??);
    }
    losses.sort_by_key(|loss| loss.pause);
    let (median, longest) = (losses[ROUNDS / 2].pause.as_secs_f64(), losses[ROUNDS - 1].pause.as_secs_f64());
    losses.sort_by_key(|loss| loss.packets);
    let (lost, most) = (losses[ROUNDS / 2].packets, losses[ROUNDS - 1].packets);
    Ok(format!("pause of {median:.2} s ({longest:.2} s), {lost} ({most}) packets lost"))
}

fn soon(after: Option<Duration>) -> String {
    after.map_or("not within 3 minutes".to_owned(), |after| format!("after {:.2} s", after.as_secs_f64()))
}

fn opened(offered: Offered) -> String {
    format!("{} connections at most, {} after 20 s", offered.most, offered.last)
}

fn slept(asleep: Asleep) -> String {
    format!(
        "the sleeper keeps {} connections, data again {}; the other peer's longest pause is {:.2} s",
        asleep.sockets,
        soon(asleep.back_after),
        asleep.pause_of_other.as_secs_f64()
    )
}
