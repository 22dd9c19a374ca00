//! Two messengers that are friends, on one relay.

use std::thread;
use std::time::{Duration, Instant};

use interop::Bootstrapd;

use crate::{Messenger, Outcome, Program, Side};

/// How long anything may take that should happen at all. It takes seconds; the machine may be busy.
pub(crate) const LIMIT: Duration = Duration::from_secs(150);

/// Two messengers on one `tox-bootstrapd`, by TCP only.
#[derive(Debug)]
pub struct Pair {
    /// The relay.
    pub relay: Bootstrapd,
    /// The two.
    pub ends: [Messenger; 2],
    /// How long it took until they were online for each other.
    pub met_after: Duration,
    /// How many there were.
    outages: u32,
}

/// How long a file took, and the CPU time of the sender and of the receiver.
#[derive(Clone, Copy, Debug)]
pub struct Transfer {
    /// From the command to when both know that it is complete.
    pub time: Duration,
    /// Of the sender and of the receiver.
    pub cpu: [Duration; 2],
}

impl Pair {
    /// Two messengers with a relay of their own.
    pub fn start(sides: [Side; 2]) -> Outcome<Self> {
        let [first, second] = sides.map(|side| Messenger::start(Program::get(side)?, &[]));
        Self::meet(Bootstrapd::start()?, [first?, second?])
    }

    /// Connects two messengers to the relay, makes them friends, and waits until both are online.
    pub fn meet(relay: Bootstrapd, mut ends: [Messenger; 2]) -> Outcome<Self> {
        connect(&relay, &mut ends)?;
        befriend(&mut ends)?;
        Self::wait(relay, ends)
    }

    /// Connects two messengers that are friends already.
    pub fn meet_again(relay: Bootstrapd, mut ends: [Messenger; 2]) -> Outcome<Self> {
        connect(&relay, &mut ends)?;
        Self::wait(relay, ends)
    }

    fn wait(relay: Bootstrapd, ends: [Messenger; 2]) -> Outcome<Self> {
        let started = Instant::now();
        for end in &ends {
            end.wait_for("friend online", LIMIT)?;
        }
        Ok(Self { relay, ends, met_after: started.elapsed(), outages: 0 })
    }

    /// Each sends so many messages to the other. Returns how long it took until all were confirmed.
    pub fn messages(&mut self, count: u32) -> Outcome<Duration> {
        let started = Instant::now();
        for end in &mut self.ends {
            end.command(&format!("messages {count}"))?;
        }
        for end in &self.ends {
            end.wait_for(&format!("exchanged {count}"), LIMIT)?;
        }
        Ok(started.elapsed())
    }

    /// One sends a file to the other.
    pub fn file(&mut self, sender: usize, bytes: u64) -> Outcome<Transfer> {
        let receiver = 1 - sender;
        let before = [self.ends[sender].cpu()?, self.ends[receiver].cpu()?];
        let started = Instant::now();
        self.ends[sender].command(&format!("file {bytes}"))?;
        self.ends[receiver].wait_for("file received", LIMIT)?;
        self.ends[sender].wait_for("file sent", LIMIT)?;
        let time = started.elapsed();
        let cpu = [self.ends[sender].cpu()? - before[0], self.ends[receiver].cpu()? - before[1]];
        Ok(Transfer { time, cpu })
    }

    /// The CPU time of both while nothing happens.
    pub fn idle(&mut self, time: Duration) -> Outcome<[Duration; 2]> {
        let before = [self.ends[0].cpu()?, self.ends[1].cpu()?];
        thread::sleep(time); // this is what is measured, not a wait for anything
        Ok([self.ends[0].cpu()? - before[0], self.ends[1].cpu()? - before[1]])
    }

    /// Kills the relay, and starts it again after this time. Returns how long it took from then until a message arrived;
    /// `None` if none did within `limit`.
    pub fn outage(&mut self, time: Duration, limit: Duration) -> Outcome<Option<Duration>> {
        self.relay.kill();
        thread::sleep(time); // an outage of this length
        self.relay.restart()?;
        self.outages += 1;
        let note = format!("note after-outage-{}", self.outages);
        let started = Instant::now();
        while started.elapsed() < limit {
            // Messages to a friend who is found to be offline later are lost.
            self.ends[0].command(&note)?;
            let next = Instant::now() + Duration::from_secs(1);
            if self.ends[1].wait_until(&note, next)?.is_some() {
                return Ok(Some(started.elapsed()));
            }
        }
        Ok(None)
    }

    /// Ends both like users.
    pub fn end(self) -> Outcome<Bootstrapd> {
        for end in self.ends {
            let status = end.end()?;
            if !status.success() {
                return Err(format!("a messenger ended with {status}").into());
            }
        }
        Ok(self.relay)
    }
}

/// The first asks the second for friendship.
pub(crate) fn befriend(ends: &mut [Messenger; 2]) -> Outcome<()> {
    let address = ends[1].address.clone();
    ends[0].command(&format!("friend {address}"))
}

/// Connects both to the relay, which is also a node of the DHT.
pub(crate) fn connect(relay: &Bootstrapd, ends: &mut [Messenger; 2]) -> Outcome<()> {
    let key: String = relay.public_key().iter().map(|byte| format!("{byte:02X}")).collect();
    let line = format!("relay {} {} {key}", relay.dht_port(), relay.addr().port());
    ends.iter_mut().try_for_each(|end| end.command(&line))
}
