//! The client type, and the methods that return its state.

#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::event_loop::Loop;
use crate::client::waker::Waker;
use crate::config::{Proxy, Settings};
use crate::crypto::SharedKeys;
use crate::id::{ConnectionId, RouteId};
use crate::key::{KeyPair, PublicKey};
use crate::stage::Stage;
use crate::status::{ConnectionStatus, RouteStatus, TrafficByKind};

/// A client of many relays, on one thread.
///
/// Only [`poll`](Self::poll) waits, and no longer than its timeout; all other methods return at once. Packets are
/// queued until the next [`poll`](Self::poll) or [`flush`](Self::flush), or until the queue is nearly full. Dropping
/// the client ends all its connections, as [`disconnect`](Self::disconnect) does. The front page of this crate has [a
/// complete example](crate).
///
/// A client belongs to the process that created it. After a fork one of the two processes may use it; the other must
/// not even drop it, or both would seal packets with the same nonces.
///
/// | per | bound |
/// | --- | --- |
/// | turn of a connection | 64 KiB read; then the next connection has its turn, and the rest waits for the next round |
/// | poll | as many events as fit into [`Events`](crate::Events), in shares for the connections that have any |
/// | connection, received | one incomplete packet: 2050 bytes; from HTTP proxies, 16 KiB for each address that is being tried |
/// | connection, queued | the bytes of [`send_queue`], 273 important packets and one packet that is sent in part |
/// | route, queued | as many bytes as it leaves free in the send queue: half of the queue if no other route sends |
/// | connection, in the kernel | 64 KiB not sent yet (Linux, Android), or 256 KiB not acknowledged (elsewhere) |
/// | connection | 240 routes |
/// | client | as many connections as the process may have file descriptors |
/// | client | the final status of each ended connection, until the poll after its report: about 500 bytes each, and up to 400 more for each address that has failed |
/// | client | shared keys with 896 relays, kept for the next connection and wiped when the client is dropped |
///
/// [`send_queue`]: crate::Config::send_queue
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
    /// # let (client, connection, _) = shared::connected();
    /// let status = client.connection(connection).ok_or("it has ended")?;
    /// println!("{} {}, ping {:?}", status.address, status.stage, status.round_trips.latest);
    /// # assert_eq!(status.stage, Stage::Connected);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connection(&self, connection: ConnectionId) -> Option<ConnectionStatus> {
        self.event_loop.table.get(connection).map(|slot| slot.status(self.identity.public))
    }

    /// The stage of a connection; `None` after it has ended. Cheaper than the whole status.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, connection, _) = shared::connected();
    /// assert_eq!(client.stage(connection), Some(Stage::Connected));
    /// client.disconnect(connection);
    /// assert_eq!(client.stage(connection), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stage(&self, connection: ConnectionId) -> Option<Stage> {
        self.event_loop.table.get(connection).map(|slot| slot.connection.stage())
    }

    /// Bytes in the send queue of a connection, as in [`ConnectionStatus::queued`]; `None` after it has ended.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, connection, peer) = shared::connected();
    /// client.send_oob(connection, peer, b"hello")?;
    /// assert_eq!(client.queued(connection), Some(2 + 1 + 32 + 5)); // its length, kind, destination and data
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn queued(&self, connection: ConnectionId) -> Option<usize> {
        self.event_loop.table.get(connection).map(|slot| slot.connection.queued())
    }

    /// Whether everything that was accepted for this connection was written to its socket, requests, notifications and
    /// pings included; `None` after it has ended. The system may still have to send it.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, connection, peer) = shared::connected();
    /// client.open_route(connection, peer)?;
    /// assert_eq!(client.has_drained(connection), Some(false));
    /// client.flush();
    /// assert_eq!(client.has_drained(connection), Some(true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn has_drained(&self, connection: ConnectionId) -> Option<bool> {
        self.event_loop.table.get(connection).map(|slot| slot.connection.has_drained())
    }

    /// Whether [all connections have drained](Self::has_drained). It checks each of them.
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
        self.connections().all(|connection| self.has_drained(connection) == Some(true))
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
        self.event_loop.buffers.traffic()
    }

    /// All connections that have not ended, in no particular order.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (client, connected, _) = shared::connected();
    /// for connection in client.connections() {
    ///     println!("{connection}: {:?}", client.connection(connection));
    /// }
    /// # assert!(client.connections().eq([connected]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connections(&self) -> impl Iterator<Item = ConnectionId> {
        self.event_loop.table.ids()
    }

    /// The current status of a route; `None` after it was closed or refused.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, connection, peer) = shared::connected();
    /// let route = client.open_route(connection, peer)?;
    /// assert_eq!(client.route(route).map(|status| status.state), Some(RouteState::Requested));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn route(&self, route: RouteId) -> Option<RouteStatus> {
        self.event_loop.table.of_route(route)?.connection.route_status(route)
    }

    /// The route to a peer on this relay; `None` if there is none.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, connection, peer) = shared::connected();
    /// assert_eq!(client.find_route(connection, &peer), None);
    /// let route = client.open_route(connection, peer)?;
    /// assert_eq!(client.find_route(connection, &peer), Some(route));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn find_route(&self, connection: ConnectionId, peer: &PublicKey) -> Option<RouteId> {
        self.event_loop.table.get(connection)?.connection.find_route(peer)
    }

    /// All routes on this relay, in no particular order; empty after the connection has ended.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (client, route, _) = shared::online();
    /// # let connection = client.route(route).unwrap().connection;
    /// let online = client.routes(connection).filter(|route| route.state == RouteState::Online);
    /// assert_eq!(online.count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn routes(&self, connection: ConnectionId) -> impl Iterator<Item = RouteStatus> {
        self.event_loop.table.get(connection).into_iter().flat_map(|slot| slot.connection.routes())
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
        self.disconnect_all();
    }
}

/// The poller's descriptor, for another poller (epoll, GLib, libuv). It is readable when sockets or a [`Waker`] need
/// [`poll`](Client::poll) to be called. Deadlines, queued packets and what the last poll has left do not make it
/// readable: [`next_timeout`](Client::next_timeout) covers these.
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
