//! What is seen of the loss of a relay: two pools reach each other through several real relays, numbered packets flow
//! steadily from one to the other, and the relays fail and return.
//!
//! The tests in `tests/client/failover.rs` judge what becomes of the packets, and the example `failover` prints figures.

mod log;
mod pair;

use std::time::{Duration, Instant};

use crate::Bootstrapd;

pub use log::{Arrival, Log, Sent, Told};
pub use pair::Pair;

/// What [`Pair`] and its methods return.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// How a relay fails, and when it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is killed, which closes its connections, and is started again a second after both ends have noticed.
    Reset,
    /// It is killed, and started again with the same key on the same port as soon as both ends have noticed.
    Restart,
    /// It is stopped, and continued a second after the data go by another relay; if it does not carry them, after six
    /// seconds. Its connections last.
    Pause,
    /// It is stopped, and continued after the sender has given up the connection.
    Silence,
}

/// What a fault has caused.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    /// The relay's place.
    pub relay: usize,
    /// What happened to it.
    pub fault: Fault,
    /// Whether it carried the data before.
    pub was_used: bool,
    /// The longest time in which nothing arrived.
    pub pause: Duration,
    /// How many packets have not arrived. Some may still do so.
    pub lost: usize,
    /// How many packets have arrived after one that was sent later.
    pub late: usize,
}

const SECOND: Duration = Duration::from_secs(1);

impl Pair {
    /// Makes a relay fail while data flow, lets it return, and waits until all is as before.
    pub fn suffer(&mut self, relay: usize, fault: Fault) -> Outcome<Outage> {
        let was_used = self.used() == Some(relay);
        let start = Instant::now();
        match fault {
            Fault::Reset | Fault::Restart => {
                self.change(relay, |relay| {
                    relay.kill();
                    Ok(())
                })?;
                self.until("both notice the end", |flow| flow.is_online(relay) == [false; 2])?;
                if fault == Fault::Reset {
                    self.run_for(SECOND)?;
                }
                self.change(relay, Bootstrapd::restart)?;
            }
            Fault::Pause => {
                self.change(relay, |relay| relay.suspend())?;
                if was_used {
                    self.until("another relay takes over", |flow| flow.used() != Some(relay))?;
                    self.run_for(SECOND)?;
                } else {
                    self.run_for(6 * SECOND)?;
                }
                self.change(relay, |relay| relay.resume())?;
            }
            Fault::Silence => {
                self.change(relay, |relay| relay.suspend())?;
                self.until("the sender gives up the relay", |flow| !flow.is_online(relay)[0])?;
                self.change(relay, |relay| relay.resume())?;
            }
        }
        self.until("all relays work again", |flow| flow.is_whole())?;
        self.run_for(SECOND)?;
        let (log, end) = (self.log(), Instant::now());
        // What was sent right before is in the relay when it fails, and what was sent last is on its way.
        let lost = log.lost(start - SECOND..end - SECOND / 2).len();
        let (pause, late) = (log.longest_pause(start..end), log.late(start..end));
        Ok(Outage { relay, fault, was_used, pause, lost, late })
    }
}
