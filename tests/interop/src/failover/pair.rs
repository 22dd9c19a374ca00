//! Two pools that reach each other through several relays, with data flowing from one to the other.

use std::time::{Duration, Instant};
use std::{io, thread};

use tox_relay_client::pool::{Origin, PeerId, Pool, PoolEvent, PoolEvents, PoolSendError, RelayId};
use tox_relay_client::{Config, PublicKey, Relay, SecretKey};

use crate::failover::Outcome;
use crate::failover::log::{Arrival, Log, Sent, Told};
use crate::{Bootstrapd, Error};

/// The time between two packets.
const INTERVAL: Duration = Duration::from_millis(5);

/// The data of a packet: its number, and zeros.
const LEN: usize = 100;

/// How long a poll waits: one thread serves both pools.
const TICK: Duration = Duration::from_millis(1);

/// The limit for what takes some seconds at most: attempts to connect have pauses of some seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// If nothing more arrives for so long, nothing will: a relay handles what it has received every 30 ms.
const QUIET: Duration = Duration::from_millis(500);

/// A sender and a receiver, their relays, and what has happened.
pub struct Pair {
    pub(super) relays: Vec<Bootstrapd>,
    pub(super) flow: Flow,
}

/// What one thread drives while another one does something to a relay.
pub(super) struct Flow {
    sender: End,
    receiver: End,
    pub(super) log: Log,
    /// When the next packet is sent; `None`: no more are.
    next_at: Option<Instant>,
}

/// A pool with one peer, which is tied to all relays.
struct End {
    pool: Pool,
    peer: PeerId,
    /// Its ids of the relays, by place.
    relays: Vec<RelayId>,
    events: PoolEvents,
    /// The relay that carries the data, as far as it was reported.
    used: Option<usize>,
}

impl Pair {
    /// Starts so many relays and two pools, and waits until these reach each other on all relays. From now on, data flow
    /// while one of the methods runs.
    pub fn start(relays: usize) -> Outcome<Self> {
        let relays = (0..relays).map(|_| Bootstrapd::start()).collect::<Result<Vec<_>, _>>()?;
        let keys = [SecretKey::generate(), SecretKey::generate()];
        let peers = keys.each_ref().map(SecretKey::public_key);
        let [sender, receiver] = keys;
        let sender = End::new(sender, peers[1], &relays)?;
        let receiver = End::new(receiver, peers[0], &relays)?;
        let flow = Flow { sender, receiver, log: Log::default(), next_at: None };
        let mut pair = Self { relays, flow };
        pair.until("both are online on all relays", Flow::is_whole)?;
        pair.flow.next_at = Some(Instant::now());
        Ok(pair)
    }

    /// The place of the relay that carries the data.
    pub fn used(&self) -> Option<usize> {
        self.flow.used()
    }

    /// What has happened so far.
    pub fn log(&self) -> &Log {
        &self.flow.log
    }

    /// Lets data flow for this time.
    pub fn run_for(&mut self, time: Duration) -> Outcome<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.flow.step()?;
        }
        Ok(())
    }

    /// Stops sending, and waits until everything has arrived that is not lost.
    pub fn finish(mut self) -> Outcome<Log> {
        self.flow.next_at = None;
        self.until("all relays work again", Flow::is_whole)?;
        let mut count = 0;
        while count < self.flow.log.arrived.len() {
            count = self.flow.log.arrived.len();
            self.run_for(QUIET)?;
        }
        Ok(self.flow.log)
    }

    /// Lets data flow until something has happened.
    pub(super) fn until(&mut self, what: &str, mut done: impl FnMut(&Flow) -> bool) -> Outcome<()> {
        let end = Instant::now() + LIMIT;
        while !done(&self.flow) {
            if Instant::now() > end {
                return Err(format!("not within {LIMIT:?}: {what}").into());
            }
            self.flow.step()?;
        }
        Ok(())
    }

    /// Does something to a relay, while data flow.
    pub(super) fn change(
        &mut self,
        relay: usize,
        change: impl FnOnce(&mut Bootstrapd) -> Result<(), Error> + Send,
    ) -> Outcome<()> {
        let Self { relays, flow } = self;
        let relay = &mut relays[relay];
        thread::scope(|scope| {
            let work = scope.spawn(|| change(relay));
            while !work.is_finished() {
                flow.step()?;
            }
            Ok(work.join().map_err(|_| "a panic")??)
        })
    }
}

impl Flow {
    /// The place of the relay that carries the data.
    pub(super) fn used(&self) -> Option<usize> {
        self.sender.place(self.sender.pool.peer(self.sender.peer)?.used?)
    }

    /// Whether one end reaches the other by this relay.
    pub(super) fn is_online(&self, relay: usize) -> [bool; 2] {
        [&self.sender, &self.receiver].map(|end| end.is_online(relay))
    }

    /// Whether both reach each other by all relays, and all relays answer.
    pub(super) fn is_whole(&self) -> bool {
        [&self.sender, &self.receiver].into_iter().all(|end| {
            (0..end.relays.len()).all(|place| end.is_online(place))
                && end.relays.iter().all(|id| end.pool.relay(*id).is_some_and(|relay| !relay.is_silent))
        })
    }

    fn step(&mut self) -> io::Result<()> {
        if self.next_at.is_some_and(|at| at <= Instant::now()) {
            self.send();
        }
        let Self { sender, receiver, log, .. } = self;
        sender.poll(&mut log.told, &mut Vec::new())?;
        receiver.poll(&mut log.told_receiver, &mut log.arrived)
    }

    /// Sends one packet. Those that a busy machine has missed are not made up for.
    fn send(&mut self) {
        let mut data = [0; LEN];
        data[..8].copy_from_slice(&(self.log.sent.len() as u64).to_be_bytes());
        let at = Instant::now();
        self.next_at = Some(at + INTERVAL);
        match self.sender.pool.send(self.sender.peer, &data) {
            Ok(by) => match self.used().and(self.sender.place(by)) {
                Some(relay) => self.log.sent.push(Sent { at, relay }),
                // It went out of band, which must not happen as long as there is a relay.
                None => self.log.refused.push(PoolSendError::Unreachable),
            },
            Err(error) => self.log.refused.push(error),
        }
    }
}

impl End {
    fn new(key: SecretKey, peer: PublicKey, relays: &[Bootstrapd]) -> Outcome<Self> {
        let mut pool = Pool::new(Config::new(key))?;
        let peer = pool.add_peer(peer);
        let mut ids = Vec::new();
        for relay in relays {
            let relay = Relay::new(relay.addr(), PublicKey::from(relay.public_key()));
            let id = pool.add_relay(relay, Origin::User)?;
            pool.tie(peer, id)?;
            ids.push(id);
        }
        Ok(Self { pool, peer, relays: ids, events: PoolEvents::with_capacity(256), used: None })
    }

    fn place(&self, relay: RelayId) -> Option<usize> {
        self.relays.iter().position(|id| *id == relay)
    }

    fn is_online(&self, place: usize) -> bool {
        let status = self.pool.peer(self.peer);
        status.is_some_and(|status| status.online.contains(&self.relays[place]))
    }

    fn poll(&mut self, told: &mut Vec<(Instant, Told)>, arrived: &mut Vec<Arrival>) -> io::Result<()> {
        self.pool.poll(&mut self.events, Some(TICK))?;
        let at = Instant::now();
        for event in self.events.iter() {
            match event {
                PoolEvent::PeerOnline { relay, .. } => {
                    self.used = self.place(relay);
                    told.push((at, Told::Online));
                }
                PoolEvent::PeerMoved { relay, .. } => {
                    let place = self.place(relay);
                    let before = std::mem::replace(&mut self.used, place);
                    told.extend(before.map(|before| (at, Told::MovedFrom(before))));
                }
                PoolEvent::PeerOffline { .. } => {
                    self.used = None;
                    told.push((at, Told::Offline));
                }
                PoolEvent::RelayDown { relay, .. } => {
                    told.extend(self.place(relay).map(|relay| (at, Told::Down(relay))));
                }
                PoolEvent::Data { relay, data, .. } => {
                    let number = data.first_chunk().map_or(u64::MAX, |number| u64::from_be_bytes(*number));
                    let relay = self.place(relay).unwrap_or(usize::MAX);
                    arrived.push(Arrival { at, number: number as usize, relay });
                }
                _ => {}
            }
        }
        Ok(())
    }
}
