//! A steady flow of data from one node to others, all of the same implementation.

use std::time::{Duration, Instant};

use tox_relay_client::SecretKey;

use crate::layers::{Layer, Outcome, Target};

/// The time between two packets to a peer.
const INTERVAL: Duration = Duration::from_millis(20);

/// The limit for all routes to be online at first. The C library connects one after the other, in its own time.
const LIMIT: Duration = Duration::from_secs(60);

/// A sender and its peers, which reach it by the same relays.
pub struct Flow<L> {
    pub(super) sender: L,
    receivers: Vec<Receiver<L>>,
    next_at: Instant,
}

struct Receiver<L> {
    /// `None` after it has left.
    layer: Option<L>,
    /// How many packets to it were accepted.
    sent: usize,
    /// When they have arrived.
    arrived: Vec<Instant>,
}

impl<L: Layer> Flow<L> {
    /// A sender with so many peers, all on these relays.
    pub fn start(relays: &[Target], peers: usize) -> Outcome<Self> {
        let key = SecretKey::generate();
        let sender_key = key.public_key();
        let mut sender = L::start(key)?;
        let mut receivers = Vec::new();
        for _ in 0..peers {
            let key = SecretKey::generate();
            sender.add_peer(key.public_key(), relays)?;
            let mut layer = L::start(key)?;
            layer.add_peer(sender_key, relays)?;
            receivers.push(Receiver { layer: Some(layer), sent: 0, arrived: Vec::new() });
        }
        Ok(Self { sender, receivers, next_at: Instant::now() })
    }

    /// Waits until all reach each other on so many relays, and data flow to all.
    pub fn until_online(&mut self, relays: usize) -> Outcome<()> {
        let end = Instant::now() + LIMIT;
        let is_online = |flow: &Self| {
            (0..flow.receivers.len()).all(|peer| {
                let receiver = &flow.receivers[peer];
                let ends =
                    [flow.sender.online(peer), receiver.layer.as_ref().map_or(0, |layer| layer.online(0))];
                ends.iter().all(|count| *count >= relays) && !receiver.arrived.is_empty()
            })
        };
        while !is_online(self) {
            if Instant::now() > end {
                return Err(format!("not within {LIMIT:?}: {relays} relays that reach each peer").into());
            }
            self.step()?;
        }
        Ok(())
    }

    /// Lets data flow for a time.
    pub fn run_for(&mut self, time: Duration) -> Outcome<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.step()?;
        }
        Ok(())
    }

    /// One iteration of all, with the packets that are due.
    pub fn step(&mut self) -> Outcome<()> {
        let now = Instant::now();
        if self.next_at <= now {
            self.next_at = now + INTERVAL;
            for (peer, receiver) in self.receivers.iter_mut().enumerate() {
                receiver.sent += usize::from(self.sender.send(peer, b"a packet of a steady flow"));
            }
        }
        self.sender.iterate()?;
        for receiver in &mut self.receivers {
            let Some(layer) = &mut receiver.layer else { continue };
            let arrived = layer.iterate()?;
            receiver.arrived.extend(std::iter::repeat_n(Instant::now(), arrived));
        }
        Ok(())
    }

    /// Whether this peer is to be reached through relays, on both sides.
    pub fn set_awake(&mut self, peer: usize, is_awake: bool) {
        self.sender.set_awake(peer, is_awake);
        let layer = self.receivers[peer].layer.as_mut();
        layer.into_iter().for_each(|layer| layer.set_awake(0, is_awake));
    }

    /// A peer ends its program.
    pub fn leave(&mut self, peer: usize) {
        self.receivers[peer].layer = None;
    }

    /// How many packets to this peer were accepted and have not arrived.
    pub fn missing(&self, peer: usize) -> usize {
        let receiver = &self.receivers[peer];
        receiver.sent.saturating_sub(receiver.arrived.len())
    }

    /// When the first packet has arrived at this peer after a moment.
    pub fn first_after(&self, peer: usize, moment: Instant) -> Option<Instant> {
        self.receivers[peer].arrived.iter().copied().find(|at| *at > moment)
    }

    /// The longest time since a moment in which nothing has arrived at this peer.
    pub fn longest_pause(&self, peer: usize, since: Instant) -> Duration {
        let mut last = since;
        let arrived = self.receivers[peer].arrived.iter().copied().filter(|at| *at >= since);
        let pauses = arrived.chain([Instant::now()]).map(|at| at - std::mem::replace(&mut last, at));
        pauses.max().unwrap_or_default()
    }
}
