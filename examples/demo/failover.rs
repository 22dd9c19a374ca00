//! Two pools exchange data through three relays, and the relay that carries the data is stopped.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tox_relay_client::pool::{Origin, PeerId, Pool, PoolEvent, PoolEvents};
use tox_relay_client::{Config, PublicKey, Relay, SecretKey};
use tox_test_relay::{Options, Relay as TestRelay};

use crate::{LIMIT, Result, check, short};

/// Packets of Alice, one each millisecond.
const PACKETS: u32 = 1000;
const INTERVAL: Duration = Duration::from_millis(1);

/// The relay is stopped when so many were sent.
const STOP_AFTER: u32 = PACKETS / 2;

/// Returns how long nothing arrived when the relay was stopped.
///
/// A relay that ends takes with it what it has not passed on yet. The pool reports its end, and never sends anything
/// twice by itself: Alice repeats what Bob has not confirmed. If the pool lost anything without a report, nobody would
/// repeat it, and the demo would fail.
pub fn failover() -> Result<Duration> {
    println!("\nAlice and Bob have a pool each, and routes to each other on three relays.");
    let mut relays = Vec::new();
    for _ in 0..3 {
        relays.push(TestRelay::start(Options::default())?);
    }
    let (alices, bobs) = (SecretKey::generate(), SecretKey::generate());
    let (alices_key, bobs_key) = (alices.public_key(), bobs.public_key());
    let mut alice = Alice { node: Node::new(alices, bobs_key, &relays)?, sent: 0, confirmed: 0, repeated: 0 };
    let mut bob = Bob::new(Node::new(bobs, alices_key, &relays)?);
    let end = Instant::now() + LIMIT;
    let wait = |what: &str| check(Instant::now() < end, &format!("{what}: not within {LIMIT:?}"));
    while alice.node.online()? < relays.len() || bob.node.online()? < relays.len() {
        wait("both pools online on all relays")?;
        alice.poll()?;
        bob.poll()?;
    }

    println!("  Alice sends {PACKETS} packets, one each {INTERVAL:?}, and Bob confirms what he has.");
    let start = Instant::now();
    while alice.confirmed < PACKETS {
        wait("all packets")?;
        if alice.sent < PACKETS && start.elapsed() >= INTERVAL * alice.sent {
            alice.send_next()?;
        }
        if alice.sent == STOP_AFTER && bob.stopped.is_none() {
            let carrier = alice.node.carrier()?;
            println!(
                "  After {STOP_AFTER} of them, the relay that carries them, {}, is stopped.",
                short(carrier)
            );
            bob.stopped = Some(carrier);
            relays.retain(|relay| PublicKey::from(relay.public_key()) != carrier);
        }
        alice.poll()?;
        bob.poll()?;
    }

    let pause = bob.pause.ok_or("Bob has received nothing by another relay")?;
    println!("  Nothing arrives for {pause:.1?}, then the others by {}.", short(alice.node.carrier()?));
    println!("  Lost with the relay: {}. The pool reported its end,", bob.missed.len());
    println!("  and Alice repeated the {} that Bob had not confirmed.", alice.repeated);
    println!("  Bob has all {PACKETS}.");
    Ok(pause)
}

/// A pool, and the peer that it talks to.
struct Node {
    pool: Pool,
    peer: PeerId,
    events: PoolEvents,
}

impl Node {
    fn new(secret_key: SecretKey, peer: PublicKey, relays: &[TestRelay]) -> Result<Self> {
        let mut pool = Pool::new(Config::new(secret_key))?;
        let peer = pool.add_peer(peer);
        for relay in relays {
            let relay = Relay::new(relay.addr(), PublicKey::from(relay.public_key()));
            let relay = pool.add_relay(relay, Origin::User)?;
            pool.tie(peer, relay)?; // the peer is there
        }
        Ok(Self { pool, peer, events: PoolEvents::with_capacity(64) })
    }

    /// On how many relays the peer is online.
    fn online(&self) -> Result<usize> {
        Ok(self.pool.peer(self.peer).ok_or("the peer was removed")?.online.len())
    }

    /// The key of the relay that carries the data to the peer.
    fn carrier(&self) -> Result<PublicKey> {
        let status = self.pool.peer(self.peer).ok_or("the peer was removed")?;
        let carrier =
            self.pool.relay(status.used.ok_or("the peer is offline")?).ok_or("the relay was removed")?;
        Ok(carrier.relay.public_key())
    }
}

/// She sends packets with the numbers from 0 on, and whether they are repeated.
struct Alice {
    node: Node,
    sent: u32,
    /// Bob has all packets below this number.
    confirmed: u32,
    repeated: u32,
}

impl Alice {
    fn send_next(&mut self) -> Result<()> {
        self.node.pool.send(self.node.peer, &packet(self.sent, false))?;
        self.sent += 1;
        Ok(())
    }

    fn poll(&mut self) -> Result<()> {
        let Node { pool, peer, events } = &mut self.node;
        pool.poll(events, Some(Duration::ZERO))?;
        for event in &*events {
            match event {
                PoolEvent::Data { data, .. } => self.confirmed = self.confirmed.max(number(data)?),
                PoolEvent::RelayDown { status, .. } if status.connected_at.is_some() => {
                    for number in self.confirmed..self.sent {
                        pool.send(*peer, &packet(number, true))?;
                        self.repeated += 1;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// He receives the packets and confirms them.
struct Bob {
    node: Node,
    received: BTreeSet<u32>,
    /// The first packet that he does not have.
    missing: u32,
    /// The packets that only arrived when they were repeated.
    missed: BTreeSet<u32>,
    /// When the last packet arrived.
    last: Instant,
    /// The relay that was stopped.
    stopped: Option<PublicKey>,
    /// The time between the last packet by that relay and the first by another.
    pause: Option<Duration>,
}

impl Bob {
    fn new(node: Node) -> Self {
        let received = BTreeSet::new();
        Self {
            node,
            received,
            missing: 0,
            missed: BTreeSet::new(),
            last: Instant::now(),
            stopped: None,
            pause: None,
        }
    }

    fn poll(&mut self) -> Result<()> {
        let Node { pool, peer, events } = &mut self.node;
        pool.poll(events, Some(INTERVAL / 2))?;
        let now = Instant::now();
        for event in &*events {
            match event {
                PoolEvent::Data { relay, data, .. } => {
                    let by = pool.relay(relay).map(|status| status.relay.public_key());
                    if self.stopped.is_some() && self.stopped != by {
                        self.pause.get_or_insert(now - self.last);
                    }
                    self.last = now;
                    let number = number(data)?;
                    if data.last() == Some(&0) {
                        self.missed.remove(&number); // it was only overtaken
                    } else if !self.received.contains(&number) {
                        self.missed.insert(number);
                    }
                    self.received.insert(number);
                }
                // What he has confirmed by this relay may be lost.
                PoolEvent::RelayDown { .. } => {}
                _ => continue,
            }
            while self.received.contains(&self.missing) {
                self.missing += 1;
            }
            pool.send(*peer, &self.missing.to_be_bytes())?;
        }
        Ok(())
    }
}

fn packet(number: u32, is_repeated: bool) -> [u8; 5] {
    let [a, b, c, d] = number.to_be_bytes();
    [a, b, c, d, u8::from(is_repeated)]
}

fn number(data: &[u8]) -> Result<u32> {
    let number = data.first_chunk().ok_or("a packet has no number")?;
    Ok(u32::from_be_bytes(*number))
}
