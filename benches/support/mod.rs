//! What several benches need: one client with many connections to one relay.

#![allow(dead_code, reason = "each bench uses its part of it")]

use std::time::Duration;

use tox_relay_client::{Client, Config, Event, Events, PublicKey, Relay, RouteId, SecretKey};
use tox_test_relay::switch::Rules;
use tox_test_relay::{Options, Relay as TestRelay};

/// How many connections a pool has: even numbers, since they talk in pairs.
const SIZES: [usize; 3] = [10, 100, 1_000];

/// Each connection has two, its own and the relay's.
const DESCRIPTORS: usize = 2;

/// Descriptors beside those of connections: the pollers', the standard ones.
const OTHERS: usize = 64;

/// Connections that are begun at a time: few enough for the relay's backlog.
const BATCH: usize = 100;

/// Nothing takes so long unless it has failed.
const LIMIT: Duration = Duration::from_secs(30);

/// Those sizes for which there are descriptors while all pools are open.
pub fn sizes() -> Vec<usize> {
    let most = descriptors(DESCRIPTORS * SIZES.iter().sum::<usize>() + OTHERS);
    let mut used = OTHERS;
    let fits = |size: &usize| {
        used += DESCRIPTORS * size;
        used <= most
    };
    SIZES.into_iter().filter(fits).collect()
}

/// Raises the limit of descriptors to so many, or as far as it goes, and tells it.
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

/// There is no such limit.
#[cfg(not(unix))]
fn descriptors(_: usize) -> usize {
    usize::MAX
}

/// A client, and a relay on a thread of its own.
pub struct Pool {
    pub relay: TestRelay,
    pub client: Client,
    pub events: Events,
}

impl Pool {
    /// Without connections.
    pub fn new() -> Self {
        // While one pool is measured nobody polls the others, and their relays must not drop them for that.
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

    /// Opens a route between each two connections, and waits until all are online. Neighbours belong together: what is
    /// sent on route 0 comes on route 1.
    pub fn pair_up(&mut self) -> Vec<RouteId> {
        let relays: Vec<_> = self.client.relays().collect();
        let keys = relays.iter().map(|relay| self.client.relay(*relay).expect("a connection").identity);
        let keys: Vec<_> = keys.collect();
        let open = |(n, relay)| self.client.open_route(relay, keys[n ^ 1]).expect("a new route");
        let routes = relays.into_iter().enumerate().map(open).collect::<Vec<_>>();
        self.until(routes.len(), |event| matches!(event, Event::RouteOnline { .. }));
        routes
    }

    /// Polls until so many events were of this kind.
    pub fn until(&mut self, count: usize, is_one: impl Fn(&Event<'_>) -> bool) {
        let mut come = 0;
        while come < count {
            self.client.poll(&mut self.events, Some(LIMIT)).expect("a poller that waits");
            assert!(!self.events.is_empty(), "{} of {count} events have not come", count - come);
            come += self.events.iter().filter(&is_one).count();
        }
    }
}

/// New identities.
pub fn identities(count: usize) -> Vec<SecretKey> {
    (0..count).map(|_| SecretKey::generate()).collect()
}
