//! The client: many connections on one poller. This file is what a caller sees.
//!
//! Below it, each file uses only those after it: [`event_loop`] polls and gives each connection its turn, [`notices`]
//! keeps what is to be reported, [`table`] holds the connections, [`slot`] is one of them with its socket, [`timers`]
//! their deadlines, [`socket`] what differs from system to system, [`waker`] what other threads need.

mod event_loop;
mod keys;
mod notices;
mod slot;
mod socket;
mod table;
mod timers;
mod waker;

use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use crate::address::Kind;
use crate::client::event_loop::Loop;
use crate::client::slot::{ConnectionKeys, Slot};
pub use crate::client::waker::Waker;
use crate::config::{Config, Proxy, Relay, Settings, Way};
use crate::connection::{Connection, Parameters};
use crate::crypto::{LongTermKey, LongTermKeys};
use crate::error::{ConnectError, DisconnectReason, RouteError, SendError};
use crate::event::Events;
use crate::id::{RelayId, RouteId};
use crate::key::{KeyPair, PublicKey};
use crate::status::{RelayStatus, RouteStatus};
use crate::wire::Destination;

/// A client of many relays, on one thread.
///
/// Only [`poll`](Self::poll) may wait, as long as it is told; everything else returns at once. What is sent waits in a
/// queue until the next [`poll`](Self::poll) or [`flush`](Self::flush). Dropping the client ends all its connections, as
/// [`disconnect`](Self::disconnect) does.
///
/// A client belongs to the process that made it. After a fork one of the two processes may go on with it; the other is
/// not even to drop it, or both would seal packets with the same nonces.
///
/// | per | bound |
/// | --- | --- |
/// | poll, connection | 64 KiB read; then the next connection has its turn, and the rest waits for the next poll |
/// | poll | as many events as [`Events`](crate::Events) has room for, in shares for those who have something to report |
/// | connection, in | one incomplete packet: 2050 bytes |
/// | connection, out | [`Config::send_queue`] bytes, 273 important packets and one incomplete packet |
/// | route, out | as many bytes as are free in the send queue beside it: half of it if it is alone |
/// | connection, in the kernel | 64 KiB that it has not sent (Linux, Android), or 256 KiB not acknowledged (elsewhere) |
/// | connection | 240 routes |
/// | client | as many connections as there are file descriptors |
/// | client | an end of each connection that was begun and ended since the last poll, some 400 bytes each |
/// | client | 1024 relays whose shared keys are kept for the next connection, and wiped with it |
pub struct Client {
    identity: KeyPair,
    /// Shared keys with relays, computed for `identity`.
    long_term: LongTermKeys,
    proxy: Option<Arc<Proxy>>,
    settings: Arc<Settings>,
    event_loop: Loop,
}

impl Client {
    /// A client without connections.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a setting that can't work, and what the operating system says when it gives no poller.
    pub fn new(config: Config) -> io::Result<Self> {
        config.check()?;
        Ok(Self {
            identity: config.secret_key.into(),
            long_term: LongTermKeys::default(),
            proxy: config.proxy,
            settings: Arc::new(config.settings),
            event_loop: Loop::new()?,
        })
    }

    /// The client's own public key, which its peers ask their relays for.
    pub fn public_key(&self) -> PublicKey {
        self.identity.public
    }

    /// Begins a connection to a relay. [`Connected`](crate::Event::Connected) or
    /// [`Disconnected`](crate::Event::Disconnected) reports what became of it. Its relay and proxy have the connect timeout
    /// for connecting and the handshake, and the pong timeout for the relay's first packet. Time in which the program did
    /// not read their answers is not charged, so with a program that comes seldom it may take longer.
    ///
    /// # Errors
    ///
    /// The address is none that can be connected to, the key is none, the same identity is connected to this relay
    /// already, or the operating system gave no socket or no random numbers. Nothing was begun then, and nothing will
    /// be told.
    pub fn connect(&mut self, relay: Relay) -> Result<RelayId, ConnectError> {
        let now = Instant::now();
        let address = relay.address.map_err(ConnectError::Address)?;
        let proxy = match relay.way {
            Way::AsAll => self.proxy.clone(),
            Way::Direct => None,
            Way::Through(proxy) => Some(proxy),
        };
        let socket_address = match (&proxy, &address.0) {
            (Some(proxy), _) => proxy.check(&address).map(|()| proxy.address())?,
            (None, Kind::Ip(address)) => *address,
            (None, Kind::Name(name, _)) => return Err(ConnectError::NameWithoutProxy(name.to_string())),
        };
        let own_identity = relay.identity.map(KeyPair::from);
        let public_key = own_identity.as_ref().unwrap_or(&self.identity).public;
        keys::check(&public_key, &relay.public_key)?;
        let long_term = match &own_identity {
            None => self.long_term.get(&self.identity, &relay.public_key),
            Some(identity) => LongTermKey::new(identity, &relay.public_key).map(Arc::new),
        };
        let long_term = long_term.ok_or(ConnectError::LowOrderKey)?;
        let shared_key = self.event_loop.table.hash(&long_term);
        if let Some(slot) = self.event_loop.table.with_shared_key(shared_key) {
            let is_same = (slot.keys.identity, slot.keys.relay) == (public_key, relay.public_key);
            let refuse = if is_same { ConnectError::AlreadyConnected } else { ConnectError::SameSharedKey };
            return Err(refuse(slot.connection.id()));
        }
        let entropy = keys::entropy().map_err(ConnectError::Io)?;

        let stream = TcpStream::connect(socket_address).map_err(ConnectError::Io)?;
        let id = self.event_loop.table.next_id();
        let via = if proxy.is_some() { ", a proxy" } else { "" };
        let parameters = Parameters {
            id,
            long_term,
            tunnel: proxy.clone().map(|proxy| (proxy, address.clone())),
            settings: Arc::clone(&self.settings),
            entropy,
            ping: event_loop::ping_id(),
        };
        let connection = Connection::new(parameters, now);
        let keys = ConnectionKeys { identity: public_key, relay: relay.public_key, shared: shared_key };
        let slot = Slot::new(connection, stream, address, proxy, keys);
        self.event_loop.add(slot).map_err(ConnectError::Io)?;
        log::debug!("relay {id}: connecting to {socket_address}{via}, key {}", relay.public_key);
        Ok(id)
    }

    /// Ends a connection; [`Disconnected`](crate::Event::Disconnected) follows in the next poll. `false` if it has ended
    /// before.
    ///
    /// As far as the socket takes it without waiting, what is queued is sent first, and then a disconnect notification for
    /// each route, since a relay may take 40 seconds to notice that a client is gone. That is an attempt: what the network
    /// still holds when the socket closes may be lost. Dropping the client does the same for all its connections. How many
    /// bytes never left, [`ended`](Self::ended) says (`queued`).
    pub fn disconnect(&mut self, relay: RelayId) -> bool {
        self.event_loop.flush(relay);
        let Some(slot) = self.event_loop.table.get_mut(relay) else {
            return false;
        };
        // The final status counts what is closed and removed now.
        let RelayStatus { queued, routes, .. } = slot.status();
        slot.connection.close_all_routes();
        self.event_loop.flush(relay);
        if let Some(slot) = self.event_loop.table.get(relay) {
            let status = RelayStatus { queued, routes, ..slot.status() };
            self.event_loop.end_with(relay, DisconnectReason::ClosedByCaller, status);
        }
        true
    }

    /// Sends what is queued, waits until something happens, and puts what it was into `events`, whose former content is
    /// forgotten. With a timeout it waits no longer than that: zero doesn't wait at all, `None` waits without end.
    ///
    /// Pings, answers and other work of the library's own don't end the wait. A signal and a [`Waker`] do, without events
    /// and without an error, so that a program can look at what its handler noted. The wait ends without events, too, when
    /// the time is up.
    ///
    /// A program that comes late misses nothing: what has arrived is read before anyone is found to be late, and the time
    /// in which a connection had something to read and nobody read it is not charged to its relay.
    ///
    /// # Errors
    ///
    /// What the operating system says when it can't wait. Connections don't make `poll` fail: they end with
    /// [`Disconnected`](crate::Event::Disconnected).
    pub fn poll(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        self.event_loop.poll(events, timeout)
    }

    /// Sends what is queued now, and not only when [`poll`](Self::poll) is called next. What the sockets don't take
    /// stays queued; what fails is told by `poll`.
    pub fn flush(&mut self) {
        self.event_loop.flush_all();
    }

    /// Asks the relay for a route to `peer`. [`RouteOpened`](crate::Event::RouteOpened) or
    /// [`RouteRefused`](crate::Event::RouteRefused) follows; data can be sent from
    /// [`RouteOnline`](crate::Event::RouteOnline) on, which comes when the peer has asked for us, too.
    ///
    /// # Errors
    ///
    /// [`RouteError::NotConnected`], [`Exists`](RouteError::Exists), [`TooMany`](RouteError::TooMany) or
    /// [`UnknownRelay`](RouteError::UnknownRelay); nothing was asked for then.
    pub fn open_route(&mut self, relay: RelayId, peer: PublicKey) -> Result<RouteId, RouteError> {
        let slot = self.event_loop.table.get_mut(relay).ok_or(RouteError::UnknownRelay)?;
        let route = slot.connection.open_route(peer)?;
        self.event_loop.settle(relay);
        Ok(route)
    }

    /// Closes a route, online or not. Its id is stale from now on, and no event of it follows. As
    /// [`disconnect`](Self::disconnect) does, it sends first what is queued, as far as the socket takes it without waiting;
    /// what then still waits on this route never leaves. Returns how many bytes of data that are, usually 0. The relay is
    /// told, if need be when it has answered.
    ///
    /// # Errors
    ///
    /// [`RouteError::UnknownRelay`] or [`UnknownRoute`](RouteError::UnknownRoute): it was over before.
    pub fn close_route(&mut self, route: RouteId) -> Result<usize, RouteError> {
        let relay = route.relay();
        let slot = self.event_loop.table.get(relay).ok_or(RouteError::UnknownRelay)?;
        if slot.connection.queued() > 0 {
            self.event_loop.flush(relay);
        }
        let slot = self.event_loop.table.get_mut(relay).ok_or(RouteError::UnknownRelay)?;
        let unsent = slot.connection.close_route(route)?;
        self.event_loop.settle(relay);
        Ok(unsent)
    }

    /// Sends 1 to 2031 bytes to the peer of an online route. (Tox itself never sends more than 1400.)
    ///
    /// Packets of one route leave in order, and so do those that belong to none; the routes of a connection take turns.
    ///
    /// # Errors
    ///
    /// Any [`SendError`]; nothing of the packet was taken then.
    pub fn send_data(&mut self, route: RouteId, data: &[u8]) -> Result<(), SendError> {
        self.send(route.relay(), |connection| connection.send_data(route, data))
    }

    /// Sends 1 to 1024 bytes in the blind to whoever has the key `peer`, with or without a route. Whether it arrived, the
    /// relay doesn't tell.
    ///
    /// # Errors
    ///
    /// [`SendError::Length`], [`WouldBlock`](SendError::WouldBlock), [`NotConnected`](SendError::NotConnected) or
    /// [`UnknownRelay`](SendError::UnknownRelay); nothing of the packet was taken then.
    pub fn send_oob(&mut self, relay: RelayId, peer: PublicKey, data: &[u8]) -> Result<(), SendError> {
        self.send(relay, |connection| connection.send_oob(peer, data))
    }

    /// Sends to a peer as the specification says: as [`send_data`](Self::send_data) where there is a route and it is
    /// online, as [`send_oob`](Self::send_oob) where not.
    ///
    /// # Errors
    ///
    /// Those of the one that is used; so more than 1024 bytes are an error while the peer isn't online.
    pub fn send_to(&mut self, relay: RelayId, peer: PublicKey, data: &[u8]) -> Result<(), SendError> {
        self.send(relay, |connection| connection.send_to(peer, data))
    }

    /// Sends an onion request: nonce (24 bytes) and onion data, together 178 to 1359 bytes, which are passed on unread.
    ///
    /// # Errors
    ///
    /// Those of [`send_oob`](Self::send_oob).
    pub fn send_onion_request(&mut self, relay: RelayId, request: &[u8]) -> Result<(), SendError> {
        self.send(relay, |connection| connection.send_onion_request(request))
    }

    /// Asks the relay to forward 1 to 1792 bytes to another node. A relay older than toxcore 0.2.18, or without its DHT
    /// part, closes the connection of a client that sends this.
    ///
    /// # Errors
    ///
    /// Those of [`send_oob`](Self::send_oob).
    pub fn send_forward_request(
        &mut self,
        relay: RelayId,
        destination: Destination,
        data: &[u8],
    ) -> Result<(), SendError> {
        self.send(relay, |connection| connection.send_forward_request(destination, data))
    }

    /// A connection as it is now; `None` once it has ended.
    pub fn relay(&self, relay: RelayId) -> Option<RelayStatus> {
        self.event_loop.table.get(relay).map(Slot::status)
    }

    /// A connection as it was at its end, from the poll that has told of it to the next one. For those who measure: how far
    /// it had come and how long that took, and its traffic.
    pub fn ended(&self, relay: RelayId) -> Option<&RelayStatus> {
        self.event_loop.notices.ended(relay)
    }

    /// All connections that haven't ended, in no order.
    pub fn relays(&self) -> impl Iterator<Item = RelayId> {
        self.event_loop.table.ids()
    }

    /// A route as it is now; `None` once it was closed or refused.
    pub fn route(&self, route: RouteId) -> Option<RouteStatus> {
        self.event_loop.table.get(route.relay())?.connection.route_status(route)
    }

    /// The route to a peer on this relay, if there is one.
    pub fn find_route(&self, relay: RelayId, peer: &PublicKey) -> Option<RouteId> {
        self.event_loop.table.get(relay)?.connection.find_route(peer)
    }

    /// All routes on this relay, in no order; none once it has ended.
    pub fn routes(&self, relay: RelayId) -> impl Iterator<Item = RouteStatus> {
        self.event_loop.table.get(relay).into_iter().flat_map(|slot| slot.connection.routes())
    }

    /// How long a main loop may sleep before it calls [`poll`](Self::poll) again, if the poller's descriptor isn't
    /// readable earlier: zero while there is work to do, `None` while there is nothing to wait for. In whole milliseconds,
    /// rounded up, and else never later than the next deadline, and sometimes before it.
    pub fn next_timeout(&self) -> Option<Duration> {
        self.event_loop.next_timeout(Instant::now())
    }

    /// What another thread needs to end the wait of a [`poll`](Self::poll), which then returns as if its time were up: for
    /// programs that learn of something to send on another thread.
    pub fn waker(&self) -> Waker {
        self.event_loop.waker.clone()
    }

    fn send(
        &mut self,
        relay: RelayId,
        send: impl FnOnce(&mut Connection) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        let slot = self.event_loop.table.get(relay).ok_or(SendError::UnknownRelay)?;
        if slot.connection.is_nearly_full() {
            // The queue is full only when the socket is, not because nobody has polled.
            self.event_loop.flush(relay);
        }
        let slot = self.event_loop.table.get_mut(relay).ok_or(SendError::UnknownRelay)?;
        send(&mut slot.connection)?;
        self.event_loop.mark_unflushed(relay);
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        for relay in self.relays().collect::<Vec<_>>() {
            self.disconnect(relay);
        }
    }
}

/// The poller's descriptor, for another poller: readable when [`poll`](Client::poll) has something to do. It doesn't
/// tell of deadlines and of what the caller asked for; [`next_timeout`](Client::next_timeout) does.
#[cfg(unix)]
impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event_loop.poller.registry().as_fd()
    }
}

/// As [`AsFd`].
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
