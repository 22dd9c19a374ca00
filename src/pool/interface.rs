//! The interface of a pool, without what is sent.

use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rand::TryRng;
use rand::rngs::SysRng;

use crate::client::{Client, Waker};
use crate::config::{Config, Proxy, Relay};
use crate::error::{ClientError, SettingError};
use crate::key::PublicKey;
use crate::pool::error::{AddRelayError, TieError};
use crate::pool::event::PoolEvents;
use crate::pool::id::{PeerId, RelayId};
use crate::pool::origin::Origin;
use crate::pool::plan::Plan;
use crate::pool::remembered::Remembered;
use crate::pool::status::{PeerStatus, RelayStatus};

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
    pub fn public_key(&self) -> PublicKey {
        self.client.public_key()
    }

    /// Its client, for reading.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Adds a relay, or finds the one with this key. It is connected when it is of use. Its [token](Relay::token) comes
    /// back in its events.
    ///
    /// If it is known, the user's last description of it counts, with the addresses of the others; lists and peers add
    /// addresses to what others like them have told, up to 16, of which each peer adds 4 at most, until it is removed; what
    /// peers have told counts no more when the user or a list names it. If it has failed, another address ends its pause.
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
    pub fn remove_relay(&mut self, relay: RelayId) -> bool {
        let removed = self.plan.remove_relay(Instant::now(), relay);
        self.act(Instant::now());
        removed
    }

    /// Adds a peer, or finds the one with this key. It is awake.
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
    pub fn remove_peer(&mut self, peer: PeerId) -> bool {
        let removed = self.plan.remove_peer(Instant::now(), peer);
        self.act(Instant::now());
        removed
    }

    /// The peer is thought to be on this relay: the pool may reach it there.
    ///
    /// # Errors
    ///
    /// See [`TieError`].
    pub fn tie(&mut self, peer: PeerId, relay: RelayId) -> Result<(), TieError> {
        self.plan.tie(peer, relay)
    }

    /// The peer is not on this relay any more: closes the route to it there. That the peer has told us about this relay
    /// counts no more: if nobody else has, and no other peer is tied to it, it is removed. Returns `false` if they were not
    /// tied.
    pub fn untie(&mut self, peer: PeerId, relay: RelayId) -> bool {
        let untied = self.plan.untie(Instant::now(), peer, relay);
        self.act(Instant::now());
        untied
    }

    /// Whether a peer is to be reached through relays. One that is reached directly may sleep: ten seconds later its
    /// routes are closed, so that it goes offline here, and relays that only sleeping peers use are disconnected. Once it
    /// is awake, its routes are requested as if its relays had just been tied. Returns `false` if it is not there.
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

    /// How many relays are connected for each awake peer at least, if as many are tied to it: 3 by default, 1 to 6. (It
    /// has routes on up to six of its relays that are connected anyway.) Two peers who are both tied
    /// to more than five relays, and cannot tell each other which they use, meet at once only if each has more than half
    /// of them; otherwise once one of them has tried the other's.
    pub fn set_relays_per_peer(&mut self, count: usize) {
        self.plan.set_wanted(count);
    }

    /// How many relays are kept connected for onion packets; three are connected in any case.
    pub fn set_onion_relays(&mut self, count: usize) {
        self.plan.set_onion_relays(count);
    }

    /// The most connections that there are at a time: 128 by default, and at least one. If there are more, the relays that
    /// carry no data are disconnected first. If more are wanted, each peer gets one relay before any gets its second: for
    /// a peer that has none, one is disconnected without which all others still have one. While an offline peer is looked
    /// for, a relay that carries no data may give up its place.
    pub fn set_max_connections(&mut self, count: usize) {
        self.plan.set_bound(Instant::now(), count.max(1));
        self.act(Instant::now());
    }

    /// See [`Client::set_ping_interval`]. The pings of all relays leave together, a thirtieth of the interval early, so
    /// that they wake up the device only once. Offline peers are looked for, and speeds are compared, at the same times: a
    /// longer interval delays that.
    ///
    /// # Errors
    ///
    /// A [`SettingError`] if it is zero. Then nothing has changed.
    pub fn set_ping_interval(&mut self, interval: Duration) -> Result<(), SettingError> {
        self.client.set_ping_interval(interval)?;
        self.plan.set_ping_interval(interval);
        Ok(())
    }

    /// See [`Client::set_pong_timeout`].
    ///
    /// # Errors
    ///
    /// A [`SettingError`] if it is zero. Then nothing has changed.
    pub fn set_pong_timeout(&mut self, timeout: Duration) -> Result<(), SettingError> {
        self.client.set_pong_timeout(timeout)
    }

    /// See [`Client::set_connect_timeout`].
    ///
    /// # Errors
    ///
    /// A [`SettingError`] if it is zero. Then nothing has changed.
    pub fn set_connect_timeout(&mut self, timeout: Duration) -> Result<(), SettingError> {
        self.client.set_connect_timeout(timeout)
    }

    /// See [`Client::set_window`]. It bounds what each relay has not read, and not what the peers have not.
    ///
    /// # Errors
    ///
    /// A [`SettingError`] if it is too small. Then nothing has changed.
    pub fn set_window(&mut self, bytes: impl Into<Option<usize>>) -> Result<(), SettingError> {
        self.client.set_window(bytes)
    }

    /// See [`Client::set_proxy`]. Relays that have failed are tried at once, if they use this proxy: it may resolve their
    /// names, or let through what the last one has refused.
    pub fn set_proxy(&mut self, proxy: Option<Proxy>) {
        self.client.set_proxy(proxy);
        self.plan.handle_new_proxy();
    }

    /// Whether data of this peer arrived, or are missing, as those know who read the data: a relay that says that a peer
    /// is online and drops its data cannot be found out here. It concerns the relay that carries the data to the peer
    /// now. One that loses the data of a peer is used for it only if there is no other; once two peers have reported it,
    /// for all. Half of the reports are forgotten after ten minutes. Returns `false` if the peer is not there.
    pub fn report(&mut self, peer: PeerId, was_delivered: bool) -> bool {
        self.plan.handle_report(Instant::now(), peer, was_delivered)
    }

    /// The network has changed: relays must answer soon, and those that have failed are tried at once. Attempts that are
    /// under way begin anew, and up to 16 may begin at once; but if this was called in the last 32 s, attempts go on, and
    /// no more than otherwise may begin. See [`Client::network_changed`].
    pub fn network_changed(&mut self) {
        self.client.network_changed();
        let now = Instant::now();
        self.plan.handle_network_changed(now);
        self.act(now);
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
    /// before. What is remembered may come from a file that others can write, so the bounds are those of
    /// [`add_relay`](Self::add_relay) and [`tie`](Self::tie). Returns the relays that were not added, and why; a relay of
    /// a peer that is not there is one, unless another peer was tied to it who is.
    pub fn recall(&mut self, remembered: &Remembered) -> Vec<(PublicKey, AddRelayError)> {
        self.plan.recall(remembered)
    }

    /// The peer with this key.
    pub fn find_peer(&self, public_key: &PublicKey) -> Option<PeerId> {
        self.plan.find_peer(public_key)
    }

    /// The relay with this key.
    pub fn find_relay(&self, public_key: &PublicKey) -> Option<RelayId> {
        self.plan.find_relay_by_key(public_key)
    }

    /// What is known about a peer; `None` after it was removed.
    pub fn peer(&self, id: PeerId) -> Option<PeerStatus> {
        let peer = self.plan.peer(id)?;
        let online = peer.ties.iter().filter(|tie| tie.route.online().is_some());
        Some(PeerStatus {
            peer: id,
            public_key: peer.key,
            token: peer.token,
            is_awake: peer.is_awake,
            used: peer.used,
            online: online.map(|tie| tie.relay).collect(),
            tied: peer.ties.iter().map(|tie| tie.relay).collect(),
        })
    }

    /// What is known about a relay; `None` after it was removed.
    pub fn relay(&self, id: RelayId) -> Option<RelayStatus> {
        let known = self.plan.relay(id)?;
        Some(RelayStatus {
            id,
            relay: known.relay.clone(),
            origin: known.origin,
            connection: known.connection(),
            is_connected: known.is_connected(),
            is_silent: known.is_silent,
            score: known.score(),
            round_trip: known.round_trip,
            up_time: known.up_time(Instant::now()),
            failures: known.failures,
            lost: known.losses.peers() as u32,
            refused: known.refused.clone(),
            tied: known.tied.len(),
        })
    }

    /// All peers, in no particular order.
    pub fn peers(&self) -> impl Iterator<Item = PeerId> {
        self.plan.peers().map(|(id, _)| id)
    }

    /// All relays, connected or not, in no particular order.
    pub fn relays(&self) -> impl Iterator<Item = RelayId> {
        self.plan.relays().map(|(id, _)| id)
    }

    /// Reads, writes, connects, and handles deadlines, as [`Client::poll`] does: until there is something to report, the
    /// timeout is over, or the [waker](Self::waker) is used. The events replace those of the last poll.
    ///
    /// # Errors
    ///
    /// Those of [`Client::poll`].
    pub fn poll(&mut self, events: &mut PoolEvents, timeout: Option<Duration>) -> io::Result<()> {
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        events.records.clear();
        loop {
            let begun = Instant::now();
            // After a long absence, what has arrived is read first, and then it is judged who is late.
            if !self.plan.is_late(begun) {
                self.act(begun);
            }
            self.tell(&mut events.records);
            let left = match events.records.is_empty() {
                true => end.map(|end| end.saturating_duration_since(begun)),
                false => Some(Duration::ZERO),
            };
            let wait = [left, self.own_timeout(begun)].into_iter().flatten().min();
            self.client.poll(&mut events.of_client, wait)?;
            let now = Instant::now();
            self.handle_all(now, events);
            self.act(now);
            self.tell(&mut events.records);
            self.client.flush();
            let was_woken = events.of_client.is_empty() && wait.is_none_or(|wait| now - begun < wait);
            if !events.records.is_empty() || was_woken || end.is_some_and(|end| end <= now) {
                return Ok(());
            }
        }
    }

    /// Writes what is queued: see [`Client::flush`].
    pub fn flush(&mut self) {
        self.client.flush();
    }

    /// How long a main loop may sleep before it calls [`poll`](Self::poll): see [`Client::next_timeout`].
    pub fn next_timeout(&self) -> Option<Duration> {
        let own = self.own_timeout(Instant::now());
        [self.client.next_timeout(), own].into_iter().flatten().min()
    }

    /// Closes all connections, after what the sockets take at once. Returns how many bytes of data were not sent.
    pub fn close(mut self) -> usize {
        self.client.flush();
        let queued = |connection| self.client.connection(connection).map_or(0, |status| status.queued);
        let unsent = self.client.connections().map(queued).sum();
        self.client.disconnect_all();
        unsent
    }

    /// A handle with which another thread can end the wait of a poll: see [`Client::waker`].
    pub fn waker(&self) -> Waker {
        self.client.waker()
    }
}

/// The descriptor of its client's poller, for another poller.
#[cfg(unix)]
impl AsFd for Pool {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.client.as_fd()
    }
}
