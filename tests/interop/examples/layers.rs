//! `cargo run --release -p interop --example layers`: our pool beside the C library's layer of several relays for each
//! peer, in the same situations on real relays. It takes about eight minutes and prints a table.

use std::time::Duration;

use interop::Bootstrapd;
use interop::layers::{Asleep, Loss, Offered, Ours, Outcome, Theirs, fail, offer, sleep, vanish};

const SECOND: Duration = Duration::from_secs(1);

fn main() -> Outcome<()> {
    println!("| what happens | our pool | C library (0.2.18) |");
    println!("| --- | --- | --- |");
    row(
        "the relay that carries the data is killed",
        loss(fail::<Ours>(false)?),
        loss(fail::<Theirs>(false)?),
    );
    row("it falls silent", loss(fail::<Ours>(true)?), loss(fail::<Theirs>(true)?));
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
    Ok(())
}

fn row(what: &str, ours: String, theirs: String) {
    println!("| {what} | {ours} | {theirs} |");
}

fn loss(loss: Loss) -> String {
    format!("pause of {:.2} s, {} packets lost", loss.pause.as_secs_f64(), loss.packets)
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
