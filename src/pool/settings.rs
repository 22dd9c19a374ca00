//! Settings that can be changed at any time.

use std::time::{Duration, Instant};

use crate::config::Proxy;
use crate::error::SettingError;
use crate::pool::interface::Pool;

impl Pool {
    /// How many relays are connected for each awake peer at least, if as many are tied to it: 3 by default, 1 to 6.
    /// (It has routes on up to six of its relays that are connected anyway.) Each of two peers chooses by itself: with
    /// four relays in common, at least two are the same. Two peers who are both tied to more than five relays, and
    /// cannot tell each other which they use, meet at once only if each has more than half of them; otherwise once one
    /// of them has tried the other's.
    ///
    /// ```
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, _) = shared::pool();
    /// pool.set_relays_per_peer(1); // the battery is low: a loss interrupts until another relay is connected
    /// pool.set_relays_per_peer(3);
    /// ```
    pub fn set_relays_per_peer(&mut self, count: usize) {
        self.plan.set_wanted(count);
    }

    /// How many relays are kept connected for onion packets; three are connected in any case.
    ///
    /// ```
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, _) = shared::pool();
    /// pool.set_onion_relays(8); // paths through more relays, for example while friends are looked for
    /// pool.set_onion_relays(0); // three are still connected
    /// ```
    pub fn set_onion_relays(&mut self, count: usize) {
        self.plan.set_onion_relays(count);
    }

    /// The most connections that there are at a time: 128 by default, and at least one. If there are more, the relays
    /// that carry no data are disconnected first. If more are wanted, each peer gets one relay before any gets its
    /// second: for a peer that has none, one is disconnected without which all others still have one. While an offline
    /// peer is looked for, a relay that carries no data may give up its place; the last one that is connected and
    /// answers does so only if there is but one place. With one place, a relay that has
    /// failed eight times takes turns with others: while another one works, it is tried every ten minutes at most.
    ///
    /// ```
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, _) = shared::pool();
    /// pool.set_max_connections(16); // a telephone or a small server; each peer still gets one relay first
    /// ```
    pub fn set_max_connections(&mut self, count: usize) {
        let now = Instant::now();
        self.plan.set_bound(now, count.max(1));
        self.act(now);
    }

    /// See [`Client::set_ping_interval`](crate::Client::set_ping_interval). The pings of all relays leave together, a
    /// thirtieth of the interval early, so that they wake up the device only once. With them, the pool looks for offline
    /// peers, compares the speeds of relays, and forgets old [reports](Self::report): a longer interval delays all that.
    /// (The steps of a search are at least 20 s apart.)
    ///
    /// # Errors
    ///
    /// A [`SettingError`] if it is zero. Then nothing has changed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, _) = shared::pool();
    /// pool.set_ping_interval(Duration::from_secs(120))?; // the telephone is not in use
    /// assert!(pool.set_ping_interval(Duration::ZERO).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_ping_interval(&mut self, interval: Duration) -> Result<(), SettingError> {
        self.client.set_ping_interval(interval)?;
        self.plan.set_ping_interval(interval);
        Ok(())
    }

    /// See [`Client::set_pong_timeout`](crate::Client::set_pong_timeout).
    ///
    /// # Errors
    ///
    /// A [`SettingError`] if it is zero. Then nothing has changed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, _) = shared::pool();
    /// pool.set_pong_timeout(Duration::from_secs(30))?; // a slow line
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_pong_timeout(&mut self, timeout: Duration) -> Result<(), SettingError> {
        self.client.set_pong_timeout(timeout)
    }

    /// See [`Client::set_connect_timeout`](crate::Client::set_connect_timeout).
    ///
    /// # Errors
    ///
    /// A [`SettingError`] if it is zero. Then nothing has changed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, _) = shared::pool();
    /// pool.set_connect_timeout(Duration::from_secs(60))?; // through Tor
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_connect_timeout(&mut self, timeout: Duration) -> Result<(), SettingError> {
        self.client.set_connect_timeout(timeout)
    }

    /// See [`Client::set_window`](crate::Client::set_window). It bounds what each relay has not read, and not what the
    /// peers have not.
    ///
    /// # Errors
    ///
    /// A [`SettingError`] if it is too small. Then nothing has changed.
    ///
    /// ```
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, _) = shared::pool();
    /// pool.set_window(16 * 1024)?; // chats stay quick on a slow line, though files are sent
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_window(&mut self, bytes: impl Into<Option<usize>>) -> Result<(), SettingError> {
        self.client.set_window(bytes)
    }

    /// See [`Client::set_proxy`](crate::Client::set_proxy). Relays that have failed are tried at once, if they use this
    /// proxy: it may resolve their names, or let through what the last one has refused. Those that are connected stay
    /// connected without it; if they must not, create a new pool.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # use tox_relay_client::pool::Pool;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (pool, friend) = shared::pool();
    /// # let (secret, friend) = (SecretKey::generate(), pool.peer(friend).unwrap().public_key);
    /// // From now on, nothing may go past the proxy.
    /// let remembered = pool.remember();
    /// pool.close();
    /// let mut pool = Pool::new(Config::new(secret))?;
    /// pool.set_proxy(Some("socks5://127.0.0.1:9050".parse()?));
    /// pool.add_peer(friend);
    /// pool.recall(&remembered);
    /// # assert_eq!(pool.relays().count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_proxy(&mut self, proxy: Option<Proxy>) {
        self.client.set_proxy(proxy);
        self.plan.handle_new_proxy();
    }
}
