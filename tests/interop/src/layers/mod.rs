//! The same situations for our pool and for the C library's layer above its relay client, on real relays.
//!
//! The example `layers` prints a table of what becomes of each.

mod flow;
mod scenarios;
mod sockets;

use std::net::SocketAddr;
use std::time::Duration;

use tox_relay_client::pool::{Origin, PeerId, Pool, PoolEvent, PoolEvents};
use tox_relay_client::{Config, PublicKey, Relay, SecretKey};

use crate::event::CEvent;
use crate::toxcore::{CLayer, CPeer};

pub use flow::Flow;
pub use scenarios::{Asleep, Loss, Offered, fail, offer, restless, sleep, vanish};

/// What is returned here.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A relay's address and key.
pub type Target = (SocketAddr, [u8; 32]);

/// How long one iteration waits.
const TICK: Duration = Duration::from_millis(1);

/// Peers that are reached through several relays, by one implementation or the other. Peers are named by their place.
pub trait Layer: Sized {
    /// Without relays and peers.
    fn start(key: SecretKey) -> Outcome<Self>;
    /// Adds a peer, and offers these relays for it.
    fn add_peer(&mut self, key: PublicKey, relays: &[Target]) -> Outcome<()>;
    /// One iteration of a main loop, and a wait of a millisecond. Returns how many packets have arrived.
    fn iterate(&mut self) -> Outcome<usize>;
    /// Whether the data were accepted.
    fn send(&mut self, peer: usize, data: &[u8]) -> bool;
    /// Whether a peer is to be reached through relays.
    fn set_awake(&mut self, peer: usize, is_awake: bool);
    /// On how many relays a peer is online.
    fn online(&self, peer: usize) -> usize;
    /// The place of the relay that carries the data of the first peer.
    fn used(&self, relays: &[Target]) -> Option<usize>;
}

/// Our pool.
pub struct Ours {
    pool: Pool,
    peers: Vec<PeerId>,
    events: PoolEvents,
}

/// The C library's layer.
pub struct Theirs {
    layer: CLayer,
    peers: Vec<CPeer>,
}

impl Layer for Ours {
    fn start(key: SecretKey) -> Outcome<Self> {
        let events = PoolEvents::with_capacity(256);
        Ok(Self { pool: Pool::new(Config::new(key))?, peers: Vec::new(), events })
    }

    fn add_peer(&mut self, key: PublicKey, relays: &[Target]) -> Outcome<()> {
        let peer = self.pool.add_peer(key);
        self.peers.push(peer);
        for (address, key) in relays {
            let relay = self.pool.add_relay(Relay::new(*address, PublicKey::from(*key)), Origin::User)?;
            // A peer is tied to 24 at most; what is beyond is refused.
            let _ = self.pool.tie(peer, relay);
        }
        Ok(())
    }

    fn iterate(&mut self) -> Outcome<usize> {
        self.pool.poll(&mut self.events, Some(TICK))?;
        Ok(self.events.iter().filter(|event| matches!(event, PoolEvent::Data { .. })).count())
    }

    fn send(&mut self, peer: usize, data: &[u8]) -> bool {
        self.pool.send(self.peers[peer], data).is_ok()
    }

    fn set_awake(&mut self, peer: usize, is_awake: bool) {
        self.pool.set_awake(self.peers[peer], is_awake);
    }

    fn online(&self, peer: usize) -> usize {
        self.pool.peer(self.peers[peer]).map_or(0, |status| status.online.len())
    }

    fn used(&self, relays: &[Target]) -> Option<usize> {
        let used = self.pool.relay(self.pool.peer(self.peers[0])?.used?)?;
        relays.iter().position(|(_, key)| PublicKey::from(*key) == used.relay.public_key())
    }
}

impl Layer for Theirs {
    fn start(key: SecretKey) -> Outcome<Self> {
        Ok(Self { layer: CLayer::new(*key.as_bytes())?, peers: Vec::new() })
    }

    fn add_peer(&mut self, key: PublicKey, relays: &[Target]) -> Outcome<()> {
        let id = self.peers.len() as u8;
        let peer = self.layer.add_peer(key.as_bytes(), id).ok_or("the peer was not added")?;
        self.peers.push(peer);
        for (address, key) in relays {
            // It has its own bound, too.
            let _ = self.layer.add_relay(peer, *address, key);
        }
        Ok(())
    }

    fn iterate(&mut self) -> Outcome<usize> {
        self.layer.iterate();
        let mut arrived = 0;
        while let Some(event) = self.layer.next_event() {
            arrived += usize::from(matches!(event, CEvent::Data { .. }));
        }
        std::thread::sleep(TICK); // it gives no access to its sockets
        Ok(arrived)
    }

    fn send(&mut self, peer: usize, data: &[u8]) -> bool {
        self.layer.send(self.peers[peer], data)
    }

    fn set_awake(&mut self, peer: usize, is_awake: bool) {
        self.layer.set_awake(self.peers[peer], is_awake);
    }

    fn online(&self, peer: usize) -> usize {
        self.layer.online_relays(self.peers[peer]) as usize
    }

    /// It does not tell: it uses the first one of those that were added.
    fn used(&self, _relays: &[Target]) -> Option<usize> {
        (self.online(0) > 0).then_some(0)
    }
}
