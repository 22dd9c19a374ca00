//! One end of a route, by a client and by a pool.

use std::time::Duration;

use tox_relay_client::pool::{Origin, PeerId, Pool, PoolEvent, PoolEvents};
use tox_relay_client::{Client, Config, Event, Events, PublicKey, Relay, RouteId, SecretKey};

/// One end of a route.
pub trait Node {
    fn new(secret_key: SecretKey, peer: PublicKey, relay: Relay) -> Self;
    fn is_online(&self) -> bool;
    fn send(&mut self, data: &[u8]);
    fn flush(&mut self);
    /// Polls without waiting. Returns the number of data packets.
    fn poll(&mut self) -> usize;
    fn has_drained(&self) -> bool;
}

pub struct ByClient {
    client: Client,
    events: Events,
    peer: PublicKey,
    route: Option<RouteId>,
}

impl Node for ByClient {
    fn new(secret_key: SecretKey, peer: PublicKey, relay: Relay) -> Self {
        let mut client = Client::new(Config::new(secret_key)).expect("a poller");
        client.connect(relay).expect("a connection that begins");
        Self { client, events: Events::with_capacity(1024), peer, route: None }
    }

    fn is_online(&self) -> bool {
        self.route.is_some()
    }

    fn send(&mut self, data: &[u8]) {
        self.client.send_data(self.route.expect("a route"), data).expect("room in the queue");
    }

    fn flush(&mut self) {
        self.client.flush();
    }

    fn poll(&mut self) -> usize {
        self.client.poll(&mut self.events, Some(Duration::ZERO)).expect("a poller that works");
        let mut arrived = 0;
        for event in &self.events {
            match event {
                Event::Connected { connection, .. } => {
                    self.client.open_route(connection, self.peer).expect("a new route");
                }
                Event::RouteOnline { route, .. } => self.route = Some(route),
                Event::Data { data, .. } => arrived += usize::from(!data.is_empty()),
                _ => {}
            }
        }
        arrived
    }

    fn has_drained(&self) -> bool {
        self.client.all_drained()
    }
}

pub struct ByPool {
    pool: Pool,
    events: PoolEvents,
    peer: PeerId,
    is_online: bool,
}

impl Node for ByPool {
    fn new(secret_key: SecretKey, peer: PublicKey, relay: Relay) -> Self {
        let mut pool = Pool::new(Config::new(secret_key)).expect("a poller");
        let relay = pool.add_relay(relay, Origin::User).expect("room for a relay");
        let peer = pool.add_peer(peer);
        pool.tie(peer, relay).expect("room for a tie");
        Self { pool, events: PoolEvents::with_capacity(1024), peer, is_online: false }
    }

    fn is_online(&self) -> bool {
        self.is_online
    }

    fn send(&mut self, data: &[u8]) {
        self.pool.send(self.peer, data).expect("room in the queue");
    }

    fn flush(&mut self) {
        self.pool.flush();
    }

    fn poll(&mut self) -> usize {
        self.pool.poll(&mut self.events, Some(Duration::ZERO)).expect("a poller that works");
        let mut arrived = 0;
        for event in &self.events {
            match event {
                PoolEvent::PeerOnline { .. } => self.is_online = true,
                PoolEvent::Data { data, .. } => arrived += usize::from(!data.is_empty()),
                _ => {}
            }
        }
        arrived
    }

    fn has_drained(&self) -> bool {
        self.pool.client().all_drained()
    }
}
