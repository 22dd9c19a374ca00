//! The client: many connections on one poller. This file holds what a caller says to it; [`poll`] what it does then.

mod keys;
mod poll;

use std::collections::{HashSet, VecDeque};
use std::hash::RandomState;
use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Poll, Token};
use slab::Slab;
use socks::TargetAddr;

use crate::client::poll::Leftover;
use crate::config::{Config, Destination, Proxy, Relay, Settings, Way};
use crate::connection::{Connection, Opening};
use crate::crypto::{LongTermKeys, LookAhead};
use crate::error::{ConnectError, DisconnectReason, RouteError, SendError};
use crate::id::{RelayId, RouteId};
use crate::key::{KeyPair, PublicKey};
use crate::status::{RelayStatus, RouteStatus};
use crate::timer::Wheel;

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
/// | poll | as many events as [`Events`](crate::Events) has room for |
/// | connection, in | one incomplete packet: 2050 bytes |
/// | connection, out | [`Config::send_queue`] bytes, 273 important packets and one incomplete packet |
/// | connection | 240 routes |
/// | client | as many connections as there are file descriptors |
/// | client | 1024 relays whose shared keys are kept for the next connection, and wiped with it |
pub struct Client {
    poller: Poll,
    readiness: mio::Events,
    waker: Waker,
    identity: KeyPair,
    /// Of that identity.
    long_term: LongTermKeys,
    proxy: Option<Arc<Proxy>>,
    settings: Arc<Settings>,
    slots: Slab<Slot>,
    /// Of the last connection that was begun.
    generation: u32,
    /// `Slot::shared_key` of all connections: no two may have the same.
    shared_keys: HashSet<u64>,
    hasher: RandomState,
    wheel: Wheel,
    /// Tick 0 of the wheel; each tick is a millisecond.
    epoch: Instant,
    /// Connections whose sockets may have something to read, or to say. Each stands here once: `Slot::attentive`.
    attention: VecDeque<RelayId>,
    /// Connections that may have something to write. Each stands here once: `Slot::dirty`.
    dirty: Vec<RelayId>,
    /// What was learned outside of a poll, or when there was no room for it: ends of connections, and room in queues. At
    /// most one of each a connection.
    notices: VecDeque<Notice>,
    /// Whether notices came before input in the last turn.
    notices_first: bool,
    /// The connections whose end the last poll has told.
    ended: Vec<(RelayId, Box<RelayStatus>)>,
    /// Input that a full `Events` left over. It lies in `read_buffer`, and nothing is read until it is handled.
    leftover: Option<Leftover>,
    read_buffer: Box<[u8]>,
    /// For packets while they are sealed.
    write_buffer: Box<[u8]>,
    /// For the packets of one connection at a time.
    ahead: Box<LookAhead>,
}

/// One connection and its socket.
struct Slot {
    connection: Connection,
    stream: TcpStream,
    address: TargetAddr,
    relay_key: PublicKey,
    /// Where it isn't the client's.
    identity: Option<Box<PublicKey>>,
    /// The hash of the key that it shares with its relay. It has 64 bits and a secret of its own: that two of 10,000
    /// keys have the same one happens once in 10^11 clients.
    shared_key: u64,
    /// The tick of its deadline in the wheel.
    scheduled: u64,
    attentive: bool,
    /// Whether the socket may have something to read.
    readable: bool,
    /// Whether the socket has said that it will come to an end: then only reading tells where that is.
    ending: bool,
    dirty: bool,
    /// Whether the socket takes bytes, as far as is known.
    writable: bool,
    /// Whether a `Notice::Writable` of it waits.
    noticed: bool,
    /// Writing has failed. What the relay sent before is still read; then this is why it ended.
    broken: Option<Box<DisconnectReason>>,
}

enum Notice {
    Ended(RelayId, DisconnectReason, Box<RelayStatus>),
    Writable(RelayId),
}

/// The most that one connection reads a poll, and that is sealed for one write. From here on, system calls cost little
/// beside the packets that they move.
const BUFFER_LEN: usize = 64 * 1024;

/// The waker's token; those of connections are their indices.
const WAKER: Token = Token(usize::MAX);

/// The most sockets whose readiness one system call tells; others are told by the next.
const READINESS: usize = 1024;

impl Client {
    /// A client without connections.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a setting that can't work, and what the operating system says when it gives no poller.
    pub fn new(config: Config) -> io::Result<Self> {
        config.check()?;
        let poller = Poll::new()?;
        Ok(Self {
            waker: Waker(Arc::new(mio::Waker::new(poller.registry(), WAKER)?)),
            poller,
            readiness: mio::Events::with_capacity(READINESS),
            identity: config.secret_key.into(),
            long_term: LongTermKeys::default(),
            proxy: config.proxy,
            settings: Arc::new(config.settings),
            slots: Slab::new(),
            generation: keys::first_generation()?,
            shared_keys: HashSet::new(),
            hasher: RandomState::new(),
            wheel: Wheel::new(),
            epoch: Instant::now(),
            attention: VecDeque::new(),
            dirty: Vec::new(),
            notices: VecDeque::new(),
            notices_first: false,
            ended: Vec::new(),
            leftover: None,
            read_buffer: vec![0; BUFFER_LEN].into_boxed_slice(),
            write_buffer: vec![0; BUFFER_LEN].into_boxed_slice(),
            ahead: Box::new(LookAhead::new()),
        })
    }

    /// The client's own public key, which its peers ask their relays for.
    pub fn public_key(&self) -> PublicKey {
        self.identity.public
    }

    /// Begins a connection to a relay. [`Connected`](crate::Event::Connected) or
    /// [`Disconnected`](crate::Event::Disconnected) tells what became of it. That takes no longer than the connect timeout
    /// for connecting and the handshake, and the pong timeout for the relay's first packet.
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
        let socket_address = match (&proxy, &address) {
            (Some(proxy), _) => proxy.check(&address).map(|()| proxy.address())?,
            (None, TargetAddr::Ip(address)) => *address,
            (None, TargetAddr::Domain(name, _)) => return Err(ConnectError::NameWithoutProxy(name.clone())),
        };
        let own_identity = relay.identity.map(KeyPair::from);
        let via = if proxy.is_some() { ", a proxy" } else { "" };
        let (long_term, shared_key) = self.share_key(own_identity.as_ref(), &relay.public_key)?;
        let entropy = keys::entropy().map_err(ConnectError::Io)?;

        let mut stream = TcpStream::connect(socket_address).map_err(ConnectError::Io)?;
        let vacant = self.slots.vacant_entry();
        let index = vacant.key() as u32;
        let token = Token(vacant.key());
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poller.registry().register(&mut stream, token, interest).map_err(ConnectError::Io)?;

        self.generation = self.generation.wrapping_add(1);
        let id = RelayId { index, generation: self.generation };
        let opening = Opening {
            id,
            long_term,
            tunnel: proxy.map(|proxy| (proxy, address.clone())),
            settings: Arc::clone(&self.settings),
            entropy,
            ping: poll::ping_id(),
        };
        let connection = Connection::new(opening, now);
        let scheduled = poll::tick(self.epoch, connection.deadline());
        vacant.insert(Slot {
            connection,
            stream,
            address,
            relay_key: relay.public_key,
            identity: own_identity.map(|identity| Box::new(identity.public)),
            shared_key,
            scheduled,
            attentive: false,
            readable: false,
            ending: false,
            dirty: false,
            writable: false,
            noticed: false,
            broken: None,
        });
        self.wheel.schedule(index, scheduled);
        self.shared_keys.insert(shared_key);
        log::debug!("relay {id}: connecting to {socket_address}{}, key {}", via, relay.public_key);
        Ok(id)
    }

    /// Ends a connection; [`Disconnected`](crate::Event::Disconnected) follows in the next poll. `false` if it has ended
    /// before.
    ///
    /// As far as the socket takes it without waiting, what is queued is sent first, and then a disconnect notification for
    /// each route, since a relay may take 40 seconds to notice that a client is gone. That is an attempt: what the network
    /// still holds when the socket closes may be lost. Dropping the client does the same for all its connections.
    pub fn disconnect(&mut self, relay: RelayId) -> bool {
        if self.slot(relay).is_none() {
            return false;
        }
        self.flush_one(relay);
        if let Some(slot) = self.slot(relay) {
            slot.connection.close_all_routes();
        }
        self.flush_one(relay);
        self.end(relay, DisconnectReason::ClosedByCaller);
        true
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
        let slot = self.slot(relay).ok_or(RouteError::UnknownRelay)?;
        let route = slot.connection.open_route(peer)?;
        self.mark_dirty(relay);
        Ok(route)
    }

    /// Closes a route, online or not. Its id is stale from now on, no event of it follows, and what waits to be sent on
    /// it never leaves: to have the last words sent, call [`flush`](Self::flush) first. The relay is told, if need be when
    /// it has answered.
    ///
    /// # Errors
    ///
    /// [`RouteError::UnknownRelay`] or [`UnknownRoute`](RouteError::UnknownRoute): it was over before.
    pub fn close_route(&mut self, route: RouteId) -> Result<(), RouteError> {
        let slot = self.slot(route.relay()).ok_or(RouteError::UnknownRelay)?;
        slot.connection.close_route(route)?;
        self.mark_dirty(route.relay());
        Ok(())
    }

    /// Sends 1 to 2031 bytes to the peer of an online route. (Tox itself never sends more than 1400.)
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
        self.peek(relay).map(|slot| slot.status(&self.identity))
    }

    /// A connection as it was at its end, from the poll that has told of it to the next one. For those who measure: how far
    /// it had come and how long that took, and its traffic.
    pub fn ended(&self, relay: RelayId) -> Option<&RelayStatus> {
        self.ended.iter().find(|(ended, _)| *ended == relay).map(|(_, status)| &**status)
    }

    /// All connections that haven't ended, in no order.
    pub fn relays(&self) -> impl Iterator<Item = RelayId> {
        self.slots.iter().map(|(_, slot)| slot.connection.id())
    }

    /// A route as it is now; `None` once it was closed or refused.
    pub fn route(&self, route: RouteId) -> Option<RouteStatus> {
        self.peek(route.relay())?.connection.route_status(route)
    }

    /// The route to a peer on this relay, if there is one.
    pub fn find_route(&self, relay: RelayId, peer: &PublicKey) -> Option<RouteId> {
        self.peek(relay)?.connection.find_route(peer)
    }

    /// All routes on this relay, in no order; none once it has ended.
    pub fn routes(&self, relay: RelayId) -> impl Iterator<Item = RouteStatus> {
        self.peek(relay).into_iter().flat_map(|slot| slot.connection.routes())
    }

    /// How long a main loop may sleep before it calls [`poll`](Self::poll) again, if the poller's descriptor isn't
    /// readable earlier: zero while there is work to do, `None` while there is nothing to wait for. Never later than the
    /// next deadline, and sometimes before it.
    pub fn next_timeout(&self) -> Option<Duration> {
        if self.has_work() {
            return Some(Duration::ZERO);
        }
        let deadline = self.epoch + Duration::from_millis(self.wheel.next()?);
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// What another thread needs to end the wait of a [`poll`](Self::poll), which then returns as if its time were up: for
    /// programs that learn of something to send on another thread.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    fn peek(&self, relay: RelayId) -> Option<&Slot> {
        self.slots.get(relay.index as usize).filter(|slot| slot.connection.id() == relay)
    }

    fn slot(&mut self, relay: RelayId) -> Option<&mut Slot> {
        poll::find(&mut self.slots, relay)
    }

    fn send(
        &mut self,
        relay: RelayId,
        send: impl FnOnce(&mut Connection) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        let slot = self.slot(relay).ok_or(SendError::UnknownRelay)?;
        if slot.writable && slot.connection.is_nearly_full() {
            // The queue is full only when the socket is, not because nobody has polled.
            self.flush_one(relay);
        }
        let slot = self.slot(relay).ok_or(SendError::UnknownRelay)?;
        send(&mut slot.connection)?;
        self.mark_dirty(relay);
        Ok(())
    }

    /// Puts a connection on the list of those that are flushed next, unless its socket is full: it comes there by itself
    /// then when it has room.
    fn mark_dirty(&mut self, relay: RelayId) {
        if let Some(slot) = self.slot(relay)
            && slot.writable
            && !std::mem::replace(&mut slot.dirty, true)
        {
            self.dirty.push(relay);
        }
    }
}

impl Slot {
    fn may_read(&self) -> bool {
        // Where writing has failed, reading goes on until it fails, too.
        self.readable || self.broken.is_some()
    }

    /// The public key of its identity, in a client of this one.
    fn identity(&self, client: &KeyPair) -> PublicKey {
        self.identity.as_deref().copied().unwrap_or(client.public)
    }

    fn status(&self, client: &KeyPair) -> RelayStatus {
        RelayStatus {
            stage: self.connection.stage(),
            address: self.address.clone(),
            public_key: self.relay_key,
            identity: self.identity(client),
            round_trip: self.connection.round_trip(),
            times: self.connection.times(),
            traffic: self.connection.traffic(),
            queued: self.connection.queued(),
            routes: self.connection.route_count(),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        for relay in self.relays().collect::<Vec<_>>() {
            self.disconnect(relay);
        }
    }
}

/// Ends the wait of a [`poll`](Client::poll) from another thread: see [`Client::waker`].
#[derive(Debug, Clone)]
pub struct Waker(Arc<mio::Waker>);

impl Waker {
    /// Makes the present [`poll`](Client::poll) return, or the next one if there is none. Waking twice before that is
    /// waking once.
    ///
    /// # Errors
    ///
    /// What the operating system says, which has no reason to fail here.
    pub fn wake(&self) -> io::Result<()> {
        self.0.wake()
    }
}

/// The poller's descriptor, for another poller: readable when [`poll`](Client::poll) has something to do. It doesn't
/// tell of deadlines and of what the caller asked for; [`next_timeout`](Client::next_timeout) does.
#[cfg(unix)]
impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.registry().as_fd()
    }
}

/// As [`AsFd`].
#[cfg(unix)]
impl AsRawFd for Client {
    fn as_raw_fd(&self) -> RawFd {
        self.poller.as_raw_fd()
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("public_key", &self.identity.public)
            .field("connections", &self.slots.len())
            .finish_non_exhaustive()
    }
}
