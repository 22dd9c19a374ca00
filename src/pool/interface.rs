//! The pool: its relays and peers.

use std::fmt;
use std::time::Instant;

use rand::TryRng;
use rand::rngs::SysRng;

use crate::client::Client;
use crate::config::{Config, Relay};
use crate::error::ClientError;
use crate::key::PublicKey;
use crate::pool::error::{AddRelayError, TieError};
use crate::pool::id::{PeerId, RelayId};
use crate::pool::origin::Origin;
use crate::pool::plan::Plan;
use crate::pool::remembered::Remembered;

/// The most connections, by default.
const CONNECTIONS: usize = 128;

/// Peers that are reached through several relays each. See [the module](crate::pool).
///
/// As with a [`Client`], only [`poll`](Self::poll) waits, and packets are queued until the next poll or flush.
pub struct Pool {
    pub(super) client: Client,
    pub(super) plan: Plan,
}

impl Pool {
    /// Creates a pool with its client. It has at most 128 connections: see
    /// [`set_max_connections`](Self::set_max_connections).
    ///
    /// # Errors
    ///
    /// Those of [`Client::new`].
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # use tox_relay_client::pool::{Origin, Pool, PoolEvent, PoolEvents};
    /// # let relay = tox_test_relay::Relay::start(Default::default()).unwrap();
    /// # let relay = Relay::new(relay.addr(), PublicKey::from(relay.public_key()));
    /// # let friend = SecretKey::generate().public_key();
    /// let mut pool = Pool::new(Config::new(SecretKey::generate()))?;
    /// let relay = pool.add_relay(relay, Origin::User)?;
    /// let friend = pool.add_peer(friend);
    /// pool.tie(friend, relay)?; // the friend has told us that it is there
    /// let mut events = PoolEvents::with_capacity(256);
    /// pool.poll(&mut events, Some(std::time::Duration::from_millis(50)))?;
    /// for event in &events {
    ///     if let PoolEvent::Data { peer, data, .. } = event {
    ///         println!("{peer}: {} bytes", data.len());
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(config: Config) -> Result<Self, ClientError> {
        let interval = config.settings()?.ping_interval;
        let mut seed = [0; 32];
        SysRng.try_fill_bytes(&mut seed).map_err(|error| ClientError::Io(error.into()))?;
        Ok(Self { client: Client::new(config)?, plan: Plan::new(CONNECTIONS, interval, seed) })
    }

    /// The public key of its client, under which it is known to relays.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # use tox_relay_client::pool::Pool;
    /// let secret = SecretKey::generate();
    /// let public = secret.public_key();
    /// let pool = Pool::new(Config::new(secret))?;
    /// assert_eq!(pool.public_key(), public); // friends add this key
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn public_key(&self) -> PublicKey {
        self.client.public_key()
    }

    /// Its client, for reading.
    ///
    /// ```
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (pool, friend) = shared::pool();
    /// let traffic = pool.client().traffic();
    /// println!("{} bytes sent, {} of them for pings", traffic.all.bytes_out, traffic.pings.bytes_out);
    /// # assert!(traffic.all.bytes_out > 0);
    /// ```
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Adds a relay, or finds the one with this key. It is connected when it is of use. Its [token](Relay::token) comes
    /// back in its events.
    ///
    /// If it is known, the user's last description of it counts, with the addresses of the others; lists and peers add
    /// addresses to what others like them have told, up to 16, of which each peer adds 4 at most, until it is removed; what
    /// peers have told counts no more when the user or a list has named it. If it has failed, another address ends its pause.
    ///
    /// # Errors
    ///
    /// See [`AddRelayError`].
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # use tox_relay_client::pool::{AddRelayError, Origin};
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, friend) = shared::pool();
    /// # let key = SecretKey::generate().public_key();
    /// let id = pool.add_relay(Relay::new("198.51.100.7:443", key), Origin::List)?;
    /// assert_eq!(pool.find_relay(&key), Some(id));
    /// // A friend says that there is a relay in our local network, where he is not.
    /// let origin = Origin::Peer { peer: friend, is_local: false };
    /// # let key = SecretKey::generate().public_key();
    /// let refused = pool.add_relay(Relay::new("192.168.1.1:443", key), origin);
    /// assert!(matches!(refused, Err(AddRelayError::LocalAddress(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add_relay(&mut self, relay: impl Into<Relay>, origin: Origin) -> Result<RelayId, AddRelayError> {
        self.plan.add_relay(relay.into(), origin)
    }

    /// Removes a relay and ends its connection. Returns `false` if it is not there.
    ///
    /// ```
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, friend) = shared::pool();
    /// let relay = pool.peer(friend).unwrap().tied[0];
    /// assert!(pool.remove_relay(relay));
    /// assert!(!pool.remove_relay(relay)); // its id stays stale, even if it is added again
    /// assert!(pool.peer(friend).unwrap().tied.is_empty());
    /// ```
    pub fn remove_relay(&mut self, relay: RelayId) -> bool {
        let now = Instant::now();
        let removed = self.plan.remove_relay(now, relay);
        self.act_without_review(now);
        removed
    }

    /// Adds a peer, or finds the one with this key. It is awake.
    ///
    /// Our own key is accepted, too, but relays open no route from a client to itself:
    /// [`RouteRefused`](crate::pool::PoolEvent::RouteRefused) follows for each relay that is tied to this peer.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, _) = shared::pool();
    /// # let key = SecretKey::generate().public_key();
    /// let friend = pool.add_peer(key);
    /// assert_eq!(pool.add_peer(key), friend);
    /// assert!(pool.peer(friend).unwrap().tied.is_empty()); // it is reached once relays are tied to it
    /// ```
    pub fn add_peer(&mut self, public_key: PublicKey) -> PeerId {
        self.add_peer_with_token(public_key, 0)
    }

    /// The same with a token of the caller's, which comes back in all events of this peer: callers need no map of peers.
    /// If the peer is there, it has this token from now on.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # use tox_relay_client::pool::Pool;
    /// # let mut pool = Pool::new(Config::new(SecretKey::generate()))?;
    /// # let key = SecretKey::generate().public_key();
    /// let friend = pool.add_peer_with_token(key, 17);
    /// assert_eq!(pool.peer(friend).unwrap().token, 17);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add_peer_with_token(&mut self, public_key: PublicKey, token: u64) -> PeerId {
        self.plan.add_peer(public_key, token)
    }

    /// Removes a peer, closes its routes, and forgets the relays that only it has told us about. Returns `false` if it
    /// is not there.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # use tox_relay_client::pool::Origin;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, friend) = shared::pool();
    /// # let key = SecretKey::generate().public_key();
    /// let named = Origin::Peer { peer: friend, is_local: false };
    /// pool.add_relay(Relay::new("8.8.8.8:443", key), named)?;
    /// pool.remove_peer(friend);
    /// assert_eq!(pool.find_relay(&key), None); // nobody else has named it
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove_peer(&mut self, peer: PeerId) -> bool {
        let now = Instant::now();
        let removed = self.plan.remove_peer(now, peer);
        self.act_without_review(now);
        removed
    }

    /// The peer is thought to be on this relay: the pool may reach it there. If they are tied already, it is a hint: between
    /// the rounds in which the peer is looked for, this relay is tried at the next common ping.
    ///
    /// A peer with our own key is tied, too; then the relay refuses the route
    /// ([`RouteRefused`](crate::pool::PoolEvent::RouteRefused)).
    ///
    /// # Errors
    ///
    /// See [`TieError`].
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # use tox_relay_client::pool::Origin;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, friend) = shared::pool();
    /// # let relay = Relay::new("8.8.8.8:443", SecretKey::generate().public_key());
    /// // A friend tells us that he is on this relay now. Adding it does not tie it.
    /// let named = Origin::Peer { peer: friend, is_local: false };
    /// let relay = pool.add_relay(relay, named)?;
    /// pool.tie(friend, relay)?;
    /// # assert_eq!(pool.peer(friend).unwrap().tied.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tie(&mut self, peer: PeerId, relay: RelayId) -> Result<(), TieError> {
        self.plan.tie(peer, relay)
    }

    /// The peer is not on this relay any more: closes the route to it there. That the peer has told us about this relay
    /// counts no more: if nobody else has, and no other peer is tied to it, it is removed. Returns `false` if they were not
    /// tied.
    ///
    /// ```
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, friend) = shared::pool();
    /// let relay = pool.peer(friend).unwrap().used.unwrap();
    /// pool.untie(friend, relay); // the friend tells us that he has left it
    /// assert_eq!(pool.peer(friend).unwrap().used, None);
    /// assert!(pool.relay(relay).is_some()); // the user has named it, so it stays
    /// ```
    pub fn untie(&mut self, peer: PeerId, relay: RelayId) -> bool {
        let now = Instant::now();
        let untied = self.plan.untie(now, peer, relay);
        self.act_without_review(now);
        untied
    }

    /// Whether a peer is to be reached through relays. One that is reached directly may sleep: ten seconds later its
    /// routes are closed, so that it goes offline here, and relays that only sleeping peers use are disconnected. Once it
    /// is awake, its routes are requested as if its relays had just been tied. Data that are sent to one that sleeps without
    /// routes go [out of band](Self::send). Returns `false` if it is not there.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, friend) = shared::pool();
    /// pool.set_awake(friend, false); // a direct connection works
    /// assert!(!pool.peer(friend).unwrap().is_awake);
    /// ```
    pub fn set_awake(&mut self, peer: PeerId, is_awake: bool) -> bool {
        self.plan.set_awake(peer, is_awake)
    }

    /// Relays to tell a peer about, with nothing but their addresses and keys: some of those that are connected, others
    /// each time. Those that have an identity or a proxy of their own are not for others to know. Empty only if no other
    /// one is connected. Addresses of the local network are told, too: who receives one from elsewhere may try the sender's
    /// address instead.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, _) = shared::pool();
    /// let relays = pool.relays_to_share(3);
    /// assert_eq!(relays.len(), 1, "only one is connected");
    /// ```
    ///
    /// Who receives them adds them, and ties them to the sender, who is connected to them:
    ///
    /// ```
    /// # use tox_relay_client::pool::Origin;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, friend) = shared::pool();
    /// # let received = pool.relays_to_share(3);
    /// for relay in received {
    ///     let named = Origin::Peer { peer: friend, is_local: false }; // true if the friend is in the local network
    ///     match pool.add_relay(relay, named) {
    ///         Ok(relay) => pool.tie(friend, relay)?,
    ///         Err(error) => println!("left out: {error}"), // for example a relay in the friend's own local network
    ///     }
    /// }
    /// # Ok::<(), tox_relay_client::pool::TieError>(())
    /// ```
    pub fn relays_to_share(&mut self, count: usize) -> Vec<Relay> {
        self.plan.share(count)
    }

    /// What is worth remembering, for the next start: the relays with what is known of them, and to which peers they are
    /// tied. Relays that have an identity or a proxy of their own are left out.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # use tox_relay_client::pool::Pool;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (pool, friend) = shared::pool();
    /// # let friend = pool.peer(friend).unwrap().public_key;
    /// let remembered = pool.remember(); // with the feature `serde`, it can be written to a file
    ///
    /// let mut pool = Pool::new(Config::new(SecretKey::generate()))?;
    /// let friend = pool.add_peer(friend);
    /// let refused = pool.recall(&remembered);
    /// assert!(refused.is_empty());
    /// assert_eq!(pool.peer(friend).unwrap().tied.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remember(&self) -> Remembered {
        self.plan.remember(Instant::now())
    }

    /// Adds the relays that were remembered, and ties them to the peers. Relays that are known get only the addresses of
    /// before, and what was known of their speed and failures. No peers are added: call [`add_peer`](Self::add_peer)
    /// before, for example for the keys in [`Remembered::peers`]. What is remembered may come from a file that others can
    /// write, so the bounds are those of [`add_relay`](Self::add_relay) and [`tie`](Self::tie). Returns the relays that
    /// were not added, and why; a relay of a peer that is not there is one, unless another peer was tied to it who is.
    /// [`remember`](Self::remember) has an example.
    pub fn recall(&mut self, remembered: &Remembered) -> Vec<(PublicKey, AddRelayError)> {
        self.plan.recall(Instant::now(), remembered)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("client", &self.client)
            .field("relays", &self.relays().count())
            .field("peers", &self.peers().count())
            .finish_non_exhaustive()
    }
}
