//! Round after round, until Ctrl-C.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use crate::USAGE;
use crate::probe::history::Probed;
use crate::probe::output::Output;
use crate::probe::{INTERRUPTED, Probe};
use crate::state::State;

/// How often Ctrl-C is looked for: a sleep goes on after a signal.
const LOOK: Duration = Duration::from_millis(100);

/// Begins a round each `interval`, or as soon as the one before is over. Returns the status of the last whole round.
///
/// # Errors
///
/// Standard output cannot be written, or the system has no sockets. A file that cannot be written is tried again.
pub(super) fn run(
    probe: &Probe,
    probed: &mut [Probed],
    interval: Duration,
    output: &Output,
) -> Result<u8, Box<dyn Error>> {
    let mut status = INTERRUPTED;
    for round in 0.. {
        let began = Instant::now();
        let before: Vec<(State, &'static str)> = probed.iter().map(judgement).collect();
        if round > 0 {
            probe.resolve(probed);
        }
        let reports = probe.round(probed)?;
        // A round that was interrupted says little, and is told only if there is nothing else.
        if round == 0 || !probe.signals.has_stopped() {
            probe.add(reports, probed);
        }
        if probe.signals.has_stopped() {
            break;
        }
        status = probe.status(probed);
        let changed: Vec<bool> = probed
            .iter()
            .zip(&before)
            .map(|(probed, before)| round > 0 && judgement(probed) != *before)
            .collect();
        for (probed, _) in probed.iter_mut().zip(&changed).filter(|(_, changed)| **changed) {
            probed.history.changes += 1;
        }
        let changes: Vec<(&Probed, State)> = probed
            .iter()
            .zip(before.iter().zip(changed))
            .filter_map(|(probed, (before, changed))| changed.then_some((probed, before.0)))
            .collect();
        match output.write_round(round, probed, &changes) {
            Ok(true) => {}
            Ok(false) => return Ok(status), // nobody reads on
            // A disk that is full may have room in the next round, which writes the whole file again.
            Err(error) if output.is_file() => {
                crate::complain(&format!("tox-relay: {error}; the next round tries again"));
                status = USAGE;
            }
            Err(error) => return Err(error.into()),
        }
        while !probe.signals.has_stopped() && began.elapsed() < interval {
            thread::sleep(LOOK.min(interval.saturating_sub(began.elapsed())));
        }
        if probe.signals.has_stopped() {
            break;
        }
    }
    output.write_history(probed)?;
    Ok(status)
}

fn judgement(probed: &Probed) -> (State, &'static str) {
    (probed.verdict.state, probed.verdict.word())
}
