//! What a caller can do: connect, poll, open routes and send.
//!
//! These methods are in a file of their own, since the documentation shows the methods of submodules first.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use crate::address::Kind;
use crate::client::event_loop::{self, Loop};
use crate::client::interface::Client;
use crate::client::keys;
use crate::client::slot::{ConnectionKeys, Slot};
use crate::config::{Config, ProxyChoice, Relay};
use crate::connection::{Connection, Parameters};
use crate::crypto::{SharedKey, SharedKeys};
use crate::error::{ConnectError, DisconnectReason, RouteError, SendError};
use crate::event::Events;
use crate::id::{RelayId, RouteId};
use crate::key::{KeyPair, PublicKey};
use crate::status::RelayStatus;
use crate::wire::Destination;

impl Client {
    /// Creates a client without connections.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if a setting is not possible, or the error of the operating system if it cannot create a poller.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// let client = Client::new(Config::new(SecretKey::generate()))?;
    /// assert_eq!(client.relays().count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(config: Config) -> io::Result<Self> {
        config.check()?;
        Ok(Self {
            identity: config.secret_key.into(),
            shared_keys: SharedKeys::default(),
            proxy: config.proxy,
            settings: Arc::new(config.settings),
            event_loop: Loop::new()?,
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
    /// [`Disconnected`](crate::Event::Disconnected) reports the result: at the latest after the connect timeout (for
    /// connecting and the handshake) and the pong timeout (for the relay's first packet).
    ///
    /// # Errors
    ///
    /// The address or the key is not usable, the same identity is already connected to this relay, or the operating
    /// system did not create a socket. Then nothing was started, and no event follows.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, (address, relay_key)) = (shared::client(), shared::relay());
    /// let relay = client.connect(Relay::new(address, relay_key))?;
    /// assert_eq!(client.relay(relay).map(|status| status.stage), Some(Stage::Connecting));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect(&mut self, relay: Relay) -> Result<RelayId, ConnectError> {
        let now = Instant::now();
        let address = relay.address.map_err(ConnectError::Address)?;
        let proxy = match relay.proxy {
            ProxyChoice::Default => self.proxy.clone(),
            ProxyChoice::Direct => None,
            ProxyChoice::Through(proxy) => Some(proxy),
        };
        let socket_address = match (&proxy, &address.0) {
            (Some(proxy), _) => proxy.check(&address).map(|()| proxy.address())?,
            (None, Kind::Ip(address)) => *address,
            (None, Kind::Name(name, _)) => return Err(ConnectError::NameWithoutProxy(name.to_string())),
        };
        let own_identity = relay.identity.map(KeyPair::from);
        let public_key = own_identity.as_ref().unwrap_or(&self.identity).public;
        keys::check(&public_key, &relay.public_key)?;
        let shared_key = match &own_identity {
            None => self.shared_keys.get(&self.identity, &relay.public_key),
            Some(identity) => SharedKey::new(identity, &relay.public_key).map(Arc::new),
        };
        let shared_key = shared_key.ok_or(ConnectError::LowOrderKey)?;
        let shared_key_hash = self.event_loop.table.hash(&shared_key);
        if let Some(slot) = self.event_loop.table.with_shared_key(shared_key_hash) {
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
            shared_key,
            tunnel: proxy.clone().map(|proxy| (proxy, address.clone())),
            settings: Arc::clone(&self.settings),
            entropy,
            ping: event_loop::ping_id(),
        };
        let connection = Connection::new(parameters, now);
        let keys = ConnectionKeys { identity: public_key, relay: relay.public_key, shared_key_hash };
        let slot = Slot::new(connection, stream, address, proxy, keys);
        self.event_loop.add(slot).map_err(ConnectError::Io)?;
        log::debug!("relay {id}: connecting to {socket_address}{via}, key {}", relay.public_key);
        Ok(id)
    }

    /// Ends a connection; [`Disconnected`](crate::Event::Disconnected) follows in the next poll. Returns `false` if it
    /// has already ended.
    ///
    /// Queued packets are sent first, and then a disconnect notification for each route, because a relay may take 40
    /// seconds to notice that a client is gone: both as far as the socket accepts them without waiting. This is best
    /// effort: what the network has not delivered when the socket closes may be lost. Dropping the client does the same
    /// for all its connections. [`ended`](Self::ended) returns how many bytes were never sent (`queued`).
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, relay, _) = shared::connected();
    /// assert!(client.disconnect(relay));
    /// assert!(!client.disconnect(relay)); // it has already ended
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn disconnect(&mut self, relay: RelayId) -> bool {
        self.event_loop.flush(relay);
        let Some(slot) = self.event_loop.table.get_mut(relay) else {
            return false;
        };
        // The final status includes the routes that are closed here and the data that are removed with them.
        let RelayStatus { queued, routes, .. } = slot.status();
        slot.connection.close_all_routes();
        self.event_loop.flush(relay);
        if let Some(slot) = self.event_loop.table.get(relay) {
            let status = RelayStatus { queued, routes, ..slot.status() };
            self.event_loop.end_with(relay, DisconnectReason::ClosedByCaller, status);
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
    /// which a connection had unread input is not counted against its relay.
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
    /// assert_eq!(client.relay(route.relay()).map(|status| status.queued), Some(0));
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
    /// # Errors
    ///
    /// [`RouteError::Exists`], [`TooMany`](RouteError::TooMany) or [`UnknownRelay`](RouteError::UnknownRelay). Then
    /// nothing was requested.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let ((mut client, (address, relay_key)), peer) = ((shared::client(), shared::relay()), PublicKey::from([9; 32]));
    /// let relay = client.connect(Relay::new(address, relay_key))?;
    /// let route = client.open_route(relay, peer)?; // is sent as soon as possible
    /// assert_eq!(client.open_route(relay, peer), Err(RouteError::Exists(route)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_route(&mut self, relay: RelayId, peer: PublicKey) -> Result<RouteId, RouteError> {
        let slot = self.event_loop.table.get_mut(relay).ok_or(RouteError::UnknownRelay)?;
        let route = slot.connection.open_route(peer)?;
        self.event_loop.update(relay);
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
    /// [`RouteError::UnknownRelay`] or [`UnknownRoute`](RouteError::UnknownRoute): the route is already gone.
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
        let relay = route.relay();
        let slot = self.event_loop.table.get(relay).ok_or(RouteError::UnknownRelay)?;
        if slot.connection.queued() > 0 {
            self.event_loop.flush(relay);
        }
        let slot = self.event_loop.table.get_mut(relay).ok_or(RouteError::UnknownRelay)?;
        let unsent = slot.connection.close_route(route)?;
        self.event_loop.update(relay);
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
        self.send(route.relay(), |connection| connection.send_data(route, data))
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
    /// [`SendError::Length`], [`WouldBlock`](SendError::WouldBlock) or [`UnknownRelay`](SendError::UnknownRelay). Then
    /// nothing of the packet was queued.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, relay, peer) = shared::connected();
    /// client.send_oob(relay, peer, b"are you there?")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_oob(&mut self, relay: RelayId, peer: PublicKey, data: &[u8]) -> Result<(), SendError> {
        self.send(relay, |connection| connection.send_oob(peer, data))
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
    /// # let (mut client, relay, peer) = shared::connected();
    /// client.send_to(relay, peer, b"hello")?; // out of band: there is no route yet
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_to(&mut self, relay: RelayId, peer: PublicKey, data: &[u8]) -> Result<(), SendError> {
        self.send(relay, |connection| connection.send_to(peer, data))
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
    /// # let (mut client, relay, _) = shared::connected();
    /// let request = [0; 24 + 154]; // comes from the program's onion code
    /// client.send_onion_request(relay, &request)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_onion_request(&mut self, relay: RelayId, request: &[u8]) -> Result<(), SendError> {
        self.send(relay, |connection| connection.send_onion_request(request))
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
    /// # let (mut client, relay, _) = shared::connected();
    /// let node = Destination::Udp("192.0.2.7:33445".parse()?);
    /// client.send_forward_request(relay, node, b"a packet of the DHT")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_forward_request(
        &mut self,
        relay: RelayId,
        destination: Destination,
        data: &[u8],
    ) -> Result<(), SendError> {
        self.send(relay, |connection| connection.send_forward_request(destination, data))
    }

    fn send(
        &mut self,
        relay: RelayId,
        send: impl FnOnce(&mut Connection) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        let slot = self.event_loop.table.get(relay).ok_or(SendError::UnknownRelay)?;
        if slot.connection.is_nearly_full() {
            // Flush and try again, so that the queue is full only if the socket is, and not because the program has not
            // polled.
            self.event_loop.flush(relay);
        }
        let slot = self.event_loop.table.get_mut(relay).ok_or(SendError::UnknownRelay)?;
        send(&mut slot.connection)?;
        // Before the handshake response there is nothing to write.
        if slot.connection.has_output() {
            self.event_loop.mark_unflushed(relay);
        }
        Ok(())
    }
}
