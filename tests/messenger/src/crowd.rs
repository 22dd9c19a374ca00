//! Many messengers on one relay.

use std::time::{Duration, Instant};

use interop::Bootstrapd;

use crate::pair::{LIMIT, befriend, connect};
use crate::{Messenger, Outcome, Program, Side};

/// Pairs of friends on one `tox-bootstrapd`.
#[derive(Debug)]
pub struct Crowd {
    pairs: Vec<[Messenger; 2]>,
    // Fields are dropped in this order: the relay ends last.
    _relay: Bootstrapd,
}

impl Crowd {
    /// So many pairs, when all of them are online.
    pub fn start(side: Side, pairs: usize) -> Outcome<Self> {
        let relay = Bootstrapd::start()?;
        let program = Program::get(side)?;
        let start = |_| Ok([Messenger::start(program, &[])?, Messenger::start(program, &[])?]);
        let mut pairs = (0..pairs).map(start).collect::<Outcome<Vec<_>>>()?;
        for ends in &mut pairs {
            connect(&relay, ends)?;
            befriend(ends)?;
        }
        for end in pairs.iter().flatten() {
            end.wait_for("friend online", LIMIT)?;
        }
        Ok(Self { pairs, _relay: relay })
    }

    /// One of each pair sends a file of this length to the other, all at once. Returns when the last has arrived.
    pub fn files(&mut self, bytes: u64) -> Outcome<Duration> {
        let started = Instant::now();
        for [sender, _] in &mut self.pairs {
            sender.command(&format!("file {bytes}"))?;
        }
        for [sender, receiver] in &self.pairs {
            receiver.wait_for("file received", LIMIT)?;
            sender.wait_for("file sent", LIMIT)?;
        }
        Ok(started.elapsed())
    }

    /// How often friends have gone offline for each other.
    pub fn losses(&mut self) -> Outcome<u32> {
        let mut sum = 0;
        for end in self.pairs.iter_mut().flatten() {
            end.command("losses")?;
            sum += end.wait_for("losses ", LIMIT)?.parse::<u32>()?;
        }
        Ok(sum)
    }
}
