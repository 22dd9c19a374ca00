//! The messenger of libtoxcore on our client and on its own, each a process, through a real `tox-bootstrapd`.

use std::time::Duration;

use messenger::{Pair, Side};

use crate::helper::Outcome;
use crate::measure::Effort;
use crate::table::{Row, Section};

/// The CPU time of the whole messenger.
pub fn measure(effort: &Effort) -> Outcome<Section> {
    let idle = Duration::from_secs(if effort.is_brief() { 1 } else { 60 });
    let mut pairs = [Pair::start([Side::Ours, Side::Ours])?, Pair::start([Side::Own, Side::Own])?];
    let [ours, own] = pairs.each_mut().map(|pair| pair.file(0, effort.bulk));
    let (ours, own) = (ours?, own?);
    let [our_idle, own_idle] = pairs.each_mut().map(|pair| pair.idle(idle));
    let rows = [
        (format!("sending a file of {} MB", effort.bulk as f64 / 1e6), [ours.cpu[0], own.cpu[0]]),
        ("receiving it".to_owned(), [ours.cpu[1], own.cpu[1]]),
        (format!("idle for {} s", idle.as_secs()), [our_idle?[0], own_idle?[0]]),
    ];
    let mut section = Section::new("The messenger of libtoxcore, ms of CPU time", &["ours", "C client"]);
    for (label, times) in rows {
        section.rows.push(Row::new(label, &times.map(|time| time.as_secs_f64() * 1000.0)));
    }
    let [ours, own] = [ours.time, own.time].map(|time| time.as_secs_f64());
    section.notes.push(format!("The file took {ours:.1} s with ours, {own:.1} s with the C client."));
    Ok(section)
}
