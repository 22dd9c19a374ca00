//! What is known of peers and relays.

use std::time::Instant;

use crate::key::PublicKey;
use crate::pool::id::{PeerId, RelayId};
use crate::pool::interface::Pool;
use crate::pool::status::{PeerStatus, RelayStatus};

impl Pool {
    /// The peer with this key.
    ///
    /// ```
    /// # use tox_relay_client::pool::{PoolEvent, PoolEvents};
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (pool, friend) = shared::pool();
    /// # let key = pool.peer(friend).unwrap().public_key;
    /// # let events = PoolEvents::with_capacity(16);
    /// for event in &events {
    ///     if let PoolEvent::Oob { sender, relay, .. } = event {
    ///         match pool.find_peer(&sender) {
    ///             Some(peer) => println!("{peer} is on {relay}, too, which is not tied to it"),
    ///             None => println!("a stranger on {relay}"),
    ///         }
    ///     }
    /// }
    /// # assert_eq!(pool.find_peer(&key), Some(friend));
    /// ```
    pub fn find_peer(&self, public_key: &PublicKey) -> Option<PeerId> {
        self.plan.find_peer(public_key)
    }

    /// The relay with this key.
    ///
    /// ```
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, friend) = shared::pool();
    /// # let relay = pool.relay(pool.relays().next().unwrap()).unwrap().relay;
    /// # let key = relay.public_key();
    /// // A friend says that he is on the relay with this key. Perhaps it is one that we have.
    /// if let Some(relay) = pool.find_relay(&key) {
    ///     pool.tie(friend, relay)?;
    /// }
    /// # assert!(pool.find_relay(&key).is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn find_relay(&self, public_key: &PublicKey) -> Option<RelayId> {
        self.plan.find_relay_by_key(public_key)
    }

    /// What is known about a peer; `None` after it was removed.
    ///
    /// ```
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (pool, friend) = shared::pool();
    /// let status = pool.peer(friend).ok_or("it was removed")?;
    /// // It goes offline when the last of these relays is lost.
    /// println!("online on {} of {} relays", status.online.len(), status.tied.len());
    /// # assert_eq!(status.online.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peer(&self, id: PeerId) -> Option<PeerStatus> {
        let peer = self.plan.peer(id)?;
        let online = peer.ties.iter().filter(|tie| tie.route.online().is_some());
        Some(PeerStatus {
            id,
            public_key: peer.key,
            token: peer.token,
            is_awake: peer.is_awake,
            used: peer.used,
            online: online.map(|tie| tie.relay).collect(),
            tied: peer.ties.iter().map(|tie| tie.relay).collect(),
        })
    }

    /// Whether a peer is online on a relay that is connected, and so its data are sent on a route; `false` as well after it
    /// was removed. Cheaper than the whole [status](Self::peer).
    ///
    /// ```
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, friend) = shared::pool();
    /// assert!(pool.is_online(friend));
    /// pool.remove_peer(friend);
    /// assert!(!pool.is_online(friend));
    /// ```
    pub fn is_online(&self, peer: PeerId) -> bool {
        self.plan.peer(peer).is_some_and(|peer| peer.used.is_some())
    }

    /// What is known about a relay; `None` after it was removed.
    ///
    /// ```
    /// # use std::time::Instant;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (pool, friend) = shared::pool();
    /// # let relay = pool.peer(friend).unwrap().tied[0];
    /// let status = pool.relay(relay).ok_or("it was removed")?;
    /// println!("score {}, {} failures", status.score, status.failures);
    /// if let Some(at) = status.retry_at {
    ///     println!("tried again in {:?} at the soonest", at.saturating_duration_since(Instant::now()));
    /// }
    /// if let Some(connection) = status.connection.and_then(|id| pool.client().connection(id)) {
    ///     println!("{}: {} bytes queued", connection.address, connection.queued);
    /// }
    /// # assert!(status.is_connected);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn relay(&self, id: RelayId) -> Option<RelayStatus> {
        let (now, known) = (Instant::now(), self.plan.relay(id)?);
        Some(RelayStatus {
            id,
            relay: known.relay.clone(),
            origin: known.origin,
            connection: known.connection(),
            is_connected: known.is_connected(),
            is_silent: known.is_silent,
            score: known.score(),
            round_trip: known.round_trip,
            up_time: known.up_time(now),
            failures: known.failures.blamed(),
            retry_at: known.failures.retry_at(now),
            lost: known.losses.peers() as u32,
            refused: known.refused.clone(),
            tied: known.tied.len(),
        })
    }

    /// All peers, in no particular order.
    ///
    /// ```
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (pool, friend) = shared::pool();
    /// let offline = pool.peers().filter(|peer| !pool.is_online(*peer));
    /// println!("{} peers are offline", offline.count());
    /// ```
    pub fn peers(&self) -> impl Iterator<Item = PeerId> {
        self.plan.peers().map(|(id, _)| id)
    }

    /// All relays, connected or not, in no particular order.
    ///
    /// ```
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (pool, _) = shared::pool();
    /// let mut relays: Vec<_> = pool.relays().filter_map(|id| pool.relay(id)).collect();
    /// relays.sort_by(|a, b| b.score.total_cmp(&a.score)); // the best one first
    /// # assert_eq!(relays.len(), 1);
    /// ```
    pub fn relays(&self) -> impl Iterator<Item = RelayId> {
        self.plan.relays().map(|(id, _)| id)
    }
}
