//! The client type, and the methods that return its state.

#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::event_loop::Loop;
use crate::client::slot::Slot;
use crate::client::waker::Waker;
use crate::config::{Proxy, Settings};
use crate::crypto::SharedKeys;
use crate::id::{RelayId, RouteId};
use crate::key::{KeyPair, PublicKey};
use crate::stage::Stage;
use crate::status::{RelayStatus, RouteStatus, TrafficByKind};

/// A client of many relays, on one thread.
///
/// Only [`poll`](Self::poll) waits, and no longer than its timeout; all other methods return at once. Packets are
/// queued until the next [`poll`](Self::poll) or [`flush`](Self::flush). Dropping the client ends all its connections,
/// as [`disconnect`](Self::disconnect) does. The front page of this crate has [a complete example](crate).
///
/// A client belongs to the process that created it. After a fork one of the two processes may use it; the other must
/// not even drop it, or both would seal packets with the same nonces.
///
/// | per | bound |
/// | --- | --- |
/// | turn of a connection | 64 KiB read; then the next connection has its turn, and the rest waits for the next round |
/// | poll | as many events as fit into [`Events`](crate::Events), in shares for the connections that have any |
/// | connection, received | one incomplete packet: 2050 bytes |
/// | connection, queued | [`Config::send_queue`](crate::Config::send_queue) bytes, 273 important packets and one incomplete packet |
/// | route, queued | as many bytes as it leaves free in the send queue: half of the queue if no other route sends |
/// | connection, in the kernel | 64 KiB not sent yet (Linux, Android), or 256 KiB not acknowledged (elsewhere) |
/// | connection | 240 routes |
/// | client | as many connections as the process may have file descriptors |
/// | client | the final status of each connection that ended since the last poll: about 500 bytes each |
/// | client | shared keys with 1024 relays, kept for the next connection and wiped when the client is dropped |
pub struct Client {
    pub(super) identity: KeyPair,
    /// Shared keys with relays, computed for `identity`.
    pub(super) shared_keys: SharedKeys,
    pub(super) proxy: Option<Arc<Proxy>>,
    pub(super) settings: Arc<Settings>,
    pub(super) event_loop: Loop,
}

impl Client {
    /// The current status of a connection; `None` after it has ended.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (client, relay, _) = shared::connected();
    /// let status = client.relay(relay).ok_or("it has ended")?;
    /// println!("{} {}, ping {:?}", status.address, status.stage, status.round_trips.latest);
    /// # assert_eq!(status.stage, Stage::Connected);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn relay(&self, relay: RelayId) -> Option<RelayStatus> {
        self.event_loop.table.get(relay).map(Slot::status)
    }

    /// How far a connection has come; `None` after it has ended. Cheaper than the whole status.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, relay, _) = shared::connected();
    /// assert_eq!(client.stage(relay), Some(Stage::Connected));
    /// client.disconnect(relay);
    /// assert_eq!(client.stage(relay), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stage(&self, relay: RelayId) -> Option<Stage> {
        self.event_loop.table.get(relay).map(|slot| slot.connection.stage())
    }

    /// Bytes in the send queue of a connection, as in [`RelayStatus::queued`]; `None` after it has ended.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, relay, peer) = shared::connected();
    /// client.send_oob(relay, peer, b"hello")?;
    /// assert_eq!(client.queued(relay), Some(2 + 1 + 32 + 5)); // its length, kind, destination and data
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn queued(&self, relay: RelayId) -> Option<usize> {
        self.event_loop.table.get(relay).map(|slot| slot.connection.queued())
    }

    /// Whether everything that was accepted for this connection was written to its socket, requests, notifications and
    /// pings included; `None` after it has ended. The system may still have to send it.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, relay, peer) = shared::connected();
    /// client.open_route(relay, peer)?;
    /// assert_eq!(client.has_drained(relay), Some(false));
    /// client.flush();
    /// assert_eq!(client.has_drained(relay), Some(true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn has_drained(&self, relay: RelayId) -> Option<bool> {
        self.event_loop.table.get(relay).map(|slot| slot.connection.has_drained())
    }

    /// Whether [all connections have drained](Self::has_drained). It looks at each of them.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # use std::time::Duration;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, route, _) = shared::online();
    /// # let mut events = Events::with_capacity(256);
    /// client.send_data(route, b"goodbye")?;
    /// while !client.all_drained() {
    ///     client.poll(&mut events, Some(Duration::from_millis(50)))?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn all_drained(&self) -> bool {
        self.relays().all(|relay| self.has_drained(relay) == Some(true))
    }

    /// What all connections of this client have sent and received, those that have ended included, by kind of packet.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, route, _) = shared::online();
    /// client.send_data(route, b"hello")?;
    /// client.flush();
    /// let TrafficByKind { all, data, pings, .. } = client.traffic();
    /// assert_eq!((data.packets_out, data.bytes_out), (1, 18 + 1 + 5)); // overhead, kind and data
    /// println!("{} bytes, {} of them for pings", all.bytes_out, pings.bytes_out);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn traffic(&self) -> TrafficByKind {
        self.event_loop.buffers.shared.counters.get()
    }

    /// The final status of a connection, from the poll that reports its end until the next poll. It shows how far the
    /// connection came and how long that took, and its traffic.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, relay, _) = shared::connected();
    /// # let mut events = Events::with_capacity(256);
    /// client.disconnect(relay);
    /// client.poll(&mut events, None)?;
    /// let status = client.ended(relay).ok_or("this poll has not reported its end")?;
    /// println!("connected after {:?}, {:?}", status.times.connected, status.traffic);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ended(&self, relay: RelayId) -> Option<&RelayStatus> {
        self.event_loop.notices.ended(relay)
    }

    /// All connections that have not ended, in no particular order.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (client, connected, _) = shared::connected();
    /// for relay in client.relays() {
    ///     println!("{relay}: {:?}", client.relay(relay));
    /// }
    /// # assert!(client.relays().eq([connected]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn relays(&self) -> impl Iterator<Item = RelayId> {
        self.event_loop.table.ids()
    }

    /// The current status of a route; `None` after it was closed or refused.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, relay, peer) = shared::connected();
    /// let route = client.open_route(relay, peer)?;
    /// assert_eq!(client.route(route).map(|status| status.state), Some(RouteState::Requested));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn route(&self, route: RouteId) -> Option<RouteStatus> {
        self.event_loop.table.get(route.relay())?.connection.route_status(route)
    }

    /// The route to a peer on this relay; `None` if there is not one.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, relay, peer) = shared::connected();
    /// assert_eq!(client.find_route(relay, &peer), None);
    /// let route = client.open_route(relay, peer)?;
    /// assert_eq!(client.find_route(relay, &peer), Some(route));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn find_route(&self, relay: RelayId, peer: &PublicKey) -> Option<RouteId> {
        self.event_loop.table.get(relay)?.connection.find_route(peer)
    }

    /// All routes on this relay, in no particular order; empty after the connection has ended.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (client, route, _) = shared::online();
    /// # let relay = route.relay();
    /// let online = client.routes(relay).filter(|route| route.state == RouteState::Online);
    /// assert_eq!(online.count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn routes(&self, relay: RelayId) -> impl Iterator<Item = RouteStatus> {
        self.event_loop.table.get(relay).into_iter().flat_map(|slot| slot.connection.routes())
    }

    /// How long a main loop may sleep before it calls [`poll`](Self::poll) again, unless the poller's descriptor
    /// becomes readable earlier. Zero if there is work to do; `None` if there is no deadline. It is in whole
    /// milliseconds, rounded up; apart from that it never ends after the next deadline, and sometimes before it.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # use std::time::Duration;
    /// # let client = shared::client();
    /// let own_interval = Duration::from_millis(20); // the rest of the program
    /// let pause = client.next_timeout().unwrap_or(own_interval).min(own_interval);
    /// std::thread::sleep(pause);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_timeout(&self) -> Option<Duration> {
        self.event_loop.next_timeout(Instant::now())
    }

    /// A handle with which another thread can end the wait of a [`poll`](Self::poll), which then returns as if its
    /// timeout had passed: for example when that thread has something to send.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let mut client = shared::client();
    /// # let mut events = Events::with_capacity(256);
    /// let waker = client.waker();
    /// let thread = std::thread::spawn(move || waker.wake());
    /// client.poll(&mut events, None)?; // returns when the thread has called `wake`
    /// # thread.join().unwrap()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn waker(&self) -> Waker {
        self.event_loop.waker.clone()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        for relay in self.relays().collect::<Vec<_>>() {
            self.disconnect(relay);
        }
    }
}

/// The poller's descriptor, for another poller (epoll, GLib, libuv). It is readable when sockets need
/// [`poll`](Client::poll) to be called. Deadlines and queued packets do not make it readable:
/// [`next_timeout`](Client::next_timeout) covers these.
#[cfg(unix)]
impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event_loop.poller.registry().as_fd()
    }
}

/// The same as [`AsFd`].
#[cfg(unix)]
impl AsRawFd for Client {
    fn as_raw_fd(&self) -> RawFd {
        self.event_loop.poller.as_raw_fd()
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("public_key", &self.identity.public)
            .field("connections", &self.event_loop.table.len())
            .finish_non_exhaustive()
    }
}
