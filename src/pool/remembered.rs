//! What is worth remembering over a restart, as plain data.

use std::time::Duration;

use crate::config::Relay;
use crate::key::PublicKey;

/// What a pool knows, for its next start: [`Pool::remember`](crate::pool::Pool::remember) takes it out, and
/// [`Pool::recall`](crate::pool::Pool::recall) puts it in again. With the feature `serde`, it can be stored, for example as
/// JSON; fields may be missing that have a zero, and fields that are not known are ignored:
///
#[cfg_attr(feature = "serde", doc = "```")]
#[cfg_attr(not(feature = "serde"), doc = "```ignore")]
/// # use tox_relay_client::*;
/// # use tox_relay_client::pool::{Pool, Remembered};
/// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
/// # let (pool, friend) = shared::pool();
/// # let friend = pool.peer(friend).unwrap().public_key;
/// # let file = std::env::temp_dir().join(format!("pool-{}.json", std::process::id()));
/// std::fs::write(&file, serde_json::to_string(&pool.remember())?)?;
///
/// let mut pool = Pool::new(Config::new(SecretKey::generate()))?; // the next start
/// pool.add_peer(friend);
/// let remembered: Remembered = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
/// for (relay, error) in pool.recall(&remembered) {
///     println!("{relay:.8} was not recalled: {error}");
/// }
/// # std::fs::remove_file(&file)?;
/// # assert_eq!(pool.relays().count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Remembered {
    /// The relays, the best ones first.
    pub relays: Vec<RememberedRelay>,
    /// The peers that are tied to any.
    pub peers: Vec<RememberedPeer>,
}

/// A relay, and what its [score](crate::pool::RelayStatus::score) is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct RememberedRelay {
    /// Its addresses and key, and nothing else.
    pub relay: Relay,
    /// Where it was learnt.
    pub origin: RememberedOrigin,
    /// The smoothed round trip when it was connected last.
    pub round_trip: Option<Duration>,
    /// How often it has failed since it was last connected for a minute.
    pub failures: u32,
    /// How long it was connected, all in all.
    pub up_time: Duration,
}

/// An [`Origin`](crate::pool::Origin) that names a peer by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RememberedOrigin {
    /// The user has named it.
    User,
    /// A list of public nodes.
    List,
    /// A peer has told us about it.
    Peer {
        /// Who has.
        public_key: PublicKey,
        /// Whether the peer was seen at an address of the local network.
        is_local: bool,
    },
}

/// A peer, and the relays that are tied to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedPeer {
    /// Its public key.
    pub public_key: PublicKey,
    /// The keys of the relays.
    pub relays: Vec<PublicKey>,
}
