//! Shared by several benches: one client with many connections to one relay.

#![allow(dead_code, reason = "each bench uses its part of it")]

use std::time::Duration;

use tox_relay_client::{Client, Config, Event, Events, PublicKey, Relay, RouteId, SecretKey};
use tox_test_relay::switch::Rules;
use tox_test_relay::{Options, Relay as TestRelay};

/// The numbers of connections in a pool. They are even, since the connections form pairs.
const SIZES: [usize; 3] = [10, 100, 1_000];

/// Descriptors per connection: the client's and the relay's.
const DESCRIPTORS: usize = 2;

/// Other descriptors: those of the pollers, and the standard ones.
const OTHERS: usize = 64;

/// The number of connections that are started at once: few enough for the relay's backlog.
const BATCH: usize = 100;

/// The limit for each wait; whatever takes longer has failed.
const LIMIT: Duration = Duration::from_secs(30);

/// The sizes for which there are enough descriptors while all pools are open.
pub fn sizes() -> Vec<usize> {
    let most = descriptors(DESCRIPTORS * SIZES.iter().sum::<usize>() + OTHERS);
    let mut used = OTHERS;
    let fits = |size: &usize| {
        used += DESCRIPTORS * size;
        used <= most
    };
    SIZES.into_iter().filter(fits).collect()
}

/// Raises the limit of descriptors to `needed`, or as far as possible, and returns it.
#[cfg(unix)]
fn descriptors(needed: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let most = maximum.unwrap_or(u64::MAX).min(needed as u64);
    let limit = current.unwrap_or(u64::MAX).max(most);
    setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum })
        .expect("a limit within the maximum");
    limit as usize
}

/// Other systems have no such limit.
#[cfg(not(unix))]
fn descriptors(_: usize) -> usize {
    usize::MAX
}

/// A client, and a relay on its own thread.
pub struct Pool {
    pub relay: TestRelay,
    pub client: Client,
    pub events: Events,
}

impl Pool {
    /// Creates a pool without connections.
    pub fn new() -> Self {
        // While one pool is measured, the others are not polled. Their relays must not close the connections for that.
        let rules = Rules { ping_every: Duration::from_secs(3600), ..Rules::default() };
        Self {
            relay: TestRelay::start(Options { rules, ..Options::default() }).expect("a relay on loopback"),
            client: Client::new(Config::new(SecretKey::generate())).expect("a poller"),
            events: Events::with_capacity(1024),
        }
    }

    /// Connects with each of these identities, and waits until all are connected.
    pub fn connect(&mut self, identities: &[SecretKey]) {
        for batch in identities.chunks(BATCH) {
            for identity in batch {
                let target = Relay::new(self.relay.addr(), PublicKey::from(self.relay.public_key()));
                self.client.connect(target.identity(identity.clone())).expect("a connection that begins");
            }
            self.until(batch.len(), |event| matches!(event, Event::Connected { .. }));
        }
    }

    /// Opens a route between each two connections, and waits until all are online. Neighbours form a pair: data sent on
    /// route 0 arrive on route 1.
    pub fn pair_up(&mut self) -> Vec<RouteId> {
        let relays: Vec<_> = self.client.connections().collect();
        let keys = relays.iter().map(|relay| self.client.connection(*relay).expect("a connection").identity);
        let keys: Vec<_> = keys.collect();
        let open = |(n, relay)| self.client.open_route(relay, keys[n ^ 1]).expect("a new route");
        let routes = relays.into_iter().enumerate().map(open).collect::<Vec<_>>();
        self.until(routes.len(), |event| matches!(event, Event::RouteOnline { .. }));
        routes
    }

    /// Polls until there were `count` events for which `is_one` returns `true`.
    pub fn until(&mut self, count: usize, is_one: impl Fn(&Event<'_>) -> bool) {
        let mut seen = 0;
        while seen < count {
            self.client.poll(&mut self.events, Some(LIMIT)).expect("a poller that waits");
            assert!(!self.events.is_empty(), "{} of {count} events are missing", count - seen);
            seen += self.events.iter().filter(&is_one).count();
        }
    }
}

/// New identities.
pub fn identities(count: usize) -> Vec<SecretKey> {
    (0..count).map(|_| SecretKey::generate()).collect()
}
