//! What a caller can do: connect, poll, open routes and send.
//!
//! These methods are in a file of their own, which `client/mod.rs` names before `interface`: rustdoc shows the methods
//! in the order of the modules.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::event_loop::{self, Loop};
use crate::client::interface::Client;
use crate::client::keys;
use crate::client::slot::{ConnectionKeys, Slot};
use crate::client::sockets::Source;
use crate::client::stream::Stream;
use crate::config::{Config, MAX_ADDRESSES, ProxyChoice, Relay};
use crate::connection::{Connection, Parameters};
use crate::crypto::{SharedKey, SharedKeys};
use crate::error::{ConnectError, DisconnectReason, RouteError, SendError};
use crate::events::Events;
use crate::id::{ConnectionId, RouteId};
use crate::key::{KeyPair, PublicKey};
use crate::status::ConnectionStatus;
use crate::wire::Destination;

impl Client {
    /// Creates a client without connections.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if a setting is not valid, or the error of the operating system if it cannot create a poller or
    /// returns no random numbers.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// let client = Client::new(Config::new(SecretKey::generate()))?;
    /// assert_eq!(client.connections().count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(config: Config) -> io::Result<Self> {
        config.check()?;
        let identity = KeyPair::from(config.secret_key);
        let event_loop = Loop::new(identity.public)?;
        Ok(Self {
            identity,
            shared_keys: SharedKeys::default(),
            proxy: config.proxy,
            settings: Arc::new(config.settings),
            event_loop,
        })
    }

    /// The client's own public key. Peers need it to open a route to this client.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// let secret_key = SecretKey::generate();
    /// let public_key = secret_key.public_key();
    /// let client = Client::new(Config::new(secret_key))?;
    /// assert_eq!(client.public_key(), public_key);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn public_key(&self) -> PublicKey {
        self.identity.public
    }

    /// Starts to connect to a relay. [`Connected`](crate::Event::Connected) or
    /// [`Disconnected`](crate::Event::Disconnected) reports the result: within the connect timeout (for connecting, the
    /// proxy and the handshake) plus the pong timeout (for the relay's first packet), except for time that
    /// [`poll`](Self::poll) does not count.
    ///
    /// # Errors
    ///
    /// The address or the key is not usable, another connection has the same identity and relay or the same shared key,
    /// or the operating system did not create a socket. Then nothing was started, and no event follows.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, (address, relay_key)) = (shared::client(), shared::relay());
    /// let connection = client.connect(Relay::new(address, relay_key))?;
    /// assert_eq!(client.connection(connection).map(|status| status.stage), Some(Stage::Connecting));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect(&mut self, relay: Relay) -> Result<ConnectionId, ConnectError> {
        let source = Source::New(relay.local_address);
        self.begin(relay, source)
    }

    /// Like [`connect`](Self::connect), on a socket that the caller has made: to the relay, or to the proxy if there is
    /// one. The socket may still be connecting. The library closes it when the connection ends.
    ///
    /// Only the first address of the relay is used, for the request to a proxy and in the status.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect). The socket is closed then.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, (address, relay_key)) = (shared::client(), shared::relay());
    /// let socket = std::net::TcpStream::connect(address)?;
    /// let connection = client.connect_with(Relay::new(address, relay_key), socket)?;
    /// assert_eq!(client.connection(connection).map(|status| status.stage), Some(Stage::Connecting));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect_with(
        &mut self,
        mut relay: Relay,
        socket: impl Into<Stream>,
    ) -> Result<ConnectionId, ConnectError> {
        let Stream(transport) = socket.into();
        transport.set_nonblocking().map_err(ConnectError::Io)?;
        if let Ok(addresses) = &mut relay.addresses {
            addresses.truncate(1);
        }
        self.begin(relay, Source::Caller(Some(transport)))
    }

    fn begin(&mut self, relay: Relay, source: Source) -> Result<ConnectionId, ConnectError> {
        let now = Instant::now();
        let addresses = relay.interleaved().map_err(ConnectError::Address)?;
        if addresses.len() > MAX_ADDRESSES {
            return Err(ConnectError::TooManyAddresses);
        }
        let proxy = match relay.proxy {
            ProxyChoice::Default => self.proxy.clone(),
            ProxyChoice::Direct => None,
            ProxyChoice::Through(proxy) => Some(proxy),
        };
        for address in &addresses {
            match (&proxy, address.host_name(), &source) {
                (Some(proxy), ..) => proxy.check(address)?,
                (None, Some(name), Source::New(_)) => {
                    return Err(ConnectError::NameWithoutProxy(name.to_owned()));
                }
                _ => {}
            }
        }
        if relay.connect_timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(ConnectError::ZeroTimeout);
        }
        let identity = relay.identity.map(KeyPair::from).filter(|own| own.public != self.identity.public);
        let public_key = identity.as_ref().unwrap_or(&self.identity).public;
        keys::check(&public_key, &relay.public_key)?;
        let shared_key = match &identity {
            None => self.shared_keys.get(&self.identity, &relay.public_key),
            Some(identity) => SharedKey::new(identity, &relay.public_key).map(Arc::new),
        };
        let shared_key = shared_key.ok_or(ConnectError::LowOrderKey)?;
        let shared_key_hash = self.event_loop.table.hash(&shared_key);
        if let Some(slot) = self.event_loop.table.with_shared_key(shared_key_hash) {
            let status = slot.status(self.identity.public);
            let is_same = (status.identity, status.public_key) == (public_key, relay.public_key);
            let refuse = if is_same { ConnectError::AlreadyConnected } else { ConnectError::SameSharedKey };
            return Err(refuse(slot.connection.id()));
        }
        let id = self.event_loop.table.next_id().ok_or(ConnectError::TooManyConnections)?;
        let parameters = Parameters {
            id,
            shared_key,
            addresses,
            proxy,
            settings: Arc::clone(&self.settings),
            connect_timeout: relay.connect_timeout,
            token: relay.token,
            ping: event_loop::ping_id(),
        };
        let connection = Connection::new(parameters, now);
        let keys = ConnectionKeys {
            identity: identity.map(|identity| Box::new(identity.public)),
            relay: relay.public_key,
            shared_key_hash,
        };
        self.event_loop.add(Slot::new(connection, source, keys)).map_err(ConnectError::Io)?;
        log::debug!("relay {id}: its key is {}", relay.public_key);
        Ok(id)
    }

    /// Ends a connection; [`Disconnected`](crate::Event::Disconnected) follows in the next poll that has room for it.
    /// Returns `false` if the connection has already ended.
    ///
    /// Queued packets are sent first, and then a disconnect notification for each route that the relay has registered,
    /// because a relay may take 40 seconds to notice that a client is gone: both as far as the socket accepts them
    /// without waiting. They may still be lost: the network may not have delivered them when the socket closes.
    /// Dropping the client does the same for all its connections. The final status in the event
    /// shows how many bytes were never sent (`queued`).
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, connection, _) = shared::connected();
    /// assert!(client.disconnect(connection));
    /// assert!(!client.disconnect(connection)); // it has already ended
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn disconnect(&mut self, connection: ConnectionId) -> bool {
        self.event_loop.flush(connection);
        let Some(slot) = self.event_loop.table.get_mut(connection) else {
            return false;
        };
        // The final status includes the routes that are closed here and the data that are removed with them.
        let ConnectionStatus { queued, routes, .. } = slot.status(self.identity.public);
        slot.connection.close_all_routes();
        self.event_loop.flush(connection);
        if let Some(slot) = self.event_loop.table.get(connection) {
            let status = ConnectionStatus { queued, routes, ..slot.status(self.identity.public) };
            self.event_loop.end_with(connection, DisconnectReason::ClosedByCaller, status);
        }
        true
    }

    /// Sends queued packets, waits until there are events, and replaces the content of `events` with them. It waits at
    /// most as long as `timeout`: zero does not wait, `None` waits without a limit.
    ///
    /// The wait ends without events when the timeout has passed. A signal and a [`Waker`](crate::Waker) also end it
    /// without events and without an error, so that a program can check what its signal handler has noted. Pings and
    /// other work inside the library do not end it.
    ///
    /// A program that calls this late loses nothing: what has arrived is read before timeouts are checked, and time in
    /// which a connection had unread input is not counted against its relay, up to ten times the timeout.
    ///
    /// # Errors
    ///
    /// The error of the operating system if it cannot wait. A failed connection is not an error of `poll`: it ends with
    /// [`Disconnected`](crate::Event::Disconnected).
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # use std::time::Duration;
    /// # let mut client = shared::client();
    /// let mut events = Events::with_capacity(256);
    /// client.poll(&mut events, Some(Duration::from_millis(50)))?;
    /// for event in &events {
    ///     println!("{event:?}");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn poll(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        self.event_loop.poll(events, timeout)
    }

    /// Sends queued packets now, instead of in the next [`poll`](Self::poll). What the sockets do not accept stays
    /// queued. `poll` reports connections that fail here.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, route, _) = shared::online();
    /// client.send_data(route, b"without delay")?;
    /// client.flush();
    /// assert_eq!(client.route(route).and_then(|route| client.queued(route.connection)), Some(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flush(&mut self) {
        self.event_loop.flush_all();
    }

    /// Requests a route to `peer` from the relay. [`RouteOpened`](crate::Event::RouteOpened) or
    /// [`RouteRefused`](crate::Event::RouteRefused) follows, after [`Connected`](crate::Event::Connected). Data can be
    /// sent after [`RouteOnline`](crate::Event::RouteOnline), which comes when the peer has requested a route to this
    /// client too.
    ///
    /// This need not wait for `Connected`: a request that is made earlier, from [`connect`](Self::connect) on, is sent
    /// right after the handshake response and the first ping, which saves a round trip. Then it may go to somebody who
    /// has replayed an old handshake response. That does not reveal the peer: the request is encrypted for the relay
    /// alone. All that such an impostor can make this client send, until it is found out within the pong timeout, is a
    /// ping, the requests (12,267 bytes together) and as many bytes as the [send queue](crate::Config::send_queue) has.
    ///
    /// It can be called as soon as [`connect`](Self::connect) has returned: the request then leaves with the first
    /// ping, which saves a round trip. That is before the relay has proved that it holds its key. Whoever replays an
    /// old handshake response receives the requests and what else is queued, and cannot decrypt them; no event follows.
    ///
    /// # Errors
    ///
    /// [`RouteError::Exists`], [`TooMany`](RouteError::TooMany) or
    /// [`UnknownConnection`](RouteError::UnknownConnection). Then nothing was requested.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, connection, peer) = shared::connected();
    /// let route = client.open_route(connection, peer)?;
    /// assert_eq!(client.open_route(connection, peer), Err(RouteError::Exists(route)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_route(&mut self, connection: ConnectionId, peer: PublicKey) -> Result<RouteId, RouteError> {
        self.open_route_with_token(connection, peer, 0)
    }

    /// Like [`open_route`](Self::open_route), with a token of the caller's: its events and its status contain it, so
    /// that the caller needs no map from routes to its own objects.
    ///
    /// # Errors
    ///
    /// Those of [`open_route`](Self::open_route).
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, connection, peer) = shared::connected();
    /// let route = client.open_route_with_token(connection, peer, 42)?;
    /// assert_eq!(client.route(route).map(|status| status.token), Some(42));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_route_with_token(
        &mut self,
        connection: ConnectionId,
        peer: PublicKey,
        token: u64,
    ) -> Result<RouteId, RouteError> {
        let generation = self.event_loop.table.next_route_generation();
        let slot = self.event_loop.table.get_mut(connection).ok_or(RouteError::UnknownConnection)?;
        let route = slot.connection.open_route(peer, generation, token)?;
        self.event_loop.update(connection);
        Ok(route)
    }

    /// Closes a route, online or not. Its id is stale from now on, and no event about it follows.
    ///
    /// Like [`disconnect`](Self::disconnect), it first sends queued packets as far as the socket accepts them without
    /// waiting. Data that are still queued on this route are removed; the method returns how many bytes these were,
    /// usually 0. Then the relay is notified; if it has not yet answered the request for the route, after its answer.
    ///
    /// # Errors
    ///
    /// [`RouteError::UnknownRoute`]: the route, or its connection, is already gone.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, route, _) = shared::online();
    /// client.send_data(route, b"goodbye")?;
    /// assert_eq!(client.close_route(route)?, 0); // nothing was left unsent
    /// assert_eq!(client.send_data(route, b"hello?"), Err(SendError::UnknownRoute));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close_route(&mut self, route: RouteId) -> Result<usize, RouteError> {
        let slot = self.event_loop.table.of_route(route).ok_or(RouteError::UnknownRoute)?;
        let id = slot.connection.id();
        if slot.connection.queued() > 0 {
            self.event_loop.flush(id);
        }
        let slot = self.event_loop.table.get_mut(id).ok_or(RouteError::UnknownRoute)?;
        let unsent = slot.connection.close_route(route)?;
        self.event_loop.update(id);
        Ok(unsent)
    }

    /// Sends 1 to 2031 bytes to the peer of an online route. (Tox itself sends at most 1400.)
    ///
    /// Packets on one route are sent in order, and so are packets without a route. The routes of a connection take
    /// turns.
    ///
    /// # Errors
    ///
    /// Any [`SendError`]. Then nothing of the packet was queued.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, route, _) = shared::online();
    /// match client.send_data(route, b"hello") {
    ///     Ok(()) => {}
    ///     Err(SendError::WouldBlock) => println!("try again after Event::Writable"),
    ///     Err(error) => println!("not sent: {error}"),
    /// }
    /// # client.send_data(route, b"hello")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_data(&mut self, route: RouteId, data: &[u8]) -> Result<(), SendError> {
        let slot = self.event_loop.table.of_route(route).ok_or(SendError::UnknownRoute)?;
        self.send(slot.connection.id(), |core| core.send_data(route, data))
    }

    /// Sends 1 to 1024 bytes out of band (OOB) to the client with the key `peer`, with or without a route. The relay
    /// does not report whether they arrived.
    ///
    /// What is sent before [`Connected`](crate::Event::Connected) is queued, and leaves right after the handshake
    /// response, the first ping and the routing requests. Whoever has replayed an old handshake response cannot decrypt
    /// it, and gets no more than the [send queue](crate::Config::send_queue) holds: until the relay has proved itself,
    /// the bytes that were already sent count, too.
    ///
    /// # Errors
    ///
    /// [`SendError::Length`], [`WouldBlock`](SendError::WouldBlock) or
    /// [`UnknownConnection`](SendError::UnknownConnection). Then nothing of the packet was queued.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, connection, peer) = shared::connected();
    /// client.send_oob(connection, peer, b"are you there?")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_oob(
        &mut self,
        connection: ConnectionId,
        peer: PublicKey,
        data: &[u8],
    ) -> Result<(), SendError> {
        self.send(connection, |core| core.send_oob(peer, data))
    }

    /// Sends to a peer in the way that the specification prescribes: like [`send_data`](Self::send_data) if there is a
    /// route to it that is online, otherwise like [`send_oob`](Self::send_oob), also before
    /// [`Connected`](crate::Event::Connected).
    ///
    /// # Errors
    ///
    /// Those of the method that is used: more than 1024 bytes are an error while the peer is not online.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, connection, peer) = shared::connected();
    /// client.send_to(connection, peer, b"hello")?; // out of band: there is no route yet
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_to(
        &mut self,
        connection: ConnectionId,
        peer: PublicKey,
        data: &[u8],
    ) -> Result<(), SendError> {
        self.send(connection, |core| core.send_to(peer, data))
    }

    /// Sends an onion request: a nonce (24 bytes) and onion data, together 178 to 1359 bytes. The content is not
    /// checked.
    ///
    /// # Errors
    ///
    /// Those of [`send_oob`](Self::send_oob).
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, connection, _) = shared::connected();
    /// let request = [0; 24 + 154]; // comes from the program's onion code
    /// client.send_onion_request(connection, &request)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_onion_request(&mut self, connection: ConnectionId, request: &[u8]) -> Result<(), SendError> {
        self.send(connection, |core| core.send_onion_request(request))
    }

    /// Asks the relay to forward 1 to 1792 bytes to another node. A relay older than toxcore 0.2.18, or one that
    /// runs without the DHT, closes the connection when it receives this.
    ///
    /// # Errors
    ///
    /// Those of [`send_oob`](Self::send_oob).
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, connection, _) = shared::connected();
    /// let node = Destination::Udp("192.0.2.7:33445".parse()?);
    /// client.send_forward_request(connection, node, b"a packet of the DHT")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_forward_request(
        &mut self,
        connection: ConnectionId,
        destination: Destination,
        data: &[u8],
    ) -> Result<(), SendError> {
        self.send(connection, |core| core.send_forward_request(destination, data))
    }

    fn send(
        &mut self,
        connection: ConnectionId,
        send: impl FnOnce(&mut Connection) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        let slot = self.event_loop.table.get(connection).ok_or(SendError::UnknownConnection)?;
        if slot.connection.is_nearly_full() {
            // Flush and try again, so that the queue is full only if the socket is, and not because the program has not
            // polled.
            self.event_loop.flush(connection);
        }
        let slot = self.event_loop.table.get_mut(connection).ok_or(SendError::UnknownConnection)?;
        send(&mut slot.connection)?;
        // Before the handshake response there is nothing to write.
        if slot.has_output() {
            self.event_loop.mark_unflushed(connection);
        }
        Ok(())
    }
}
