//! What a caller can do: connect, disconnect, poll.
//!
//! These methods are in a file of their own, which `client/mod.rs` names before `interface`: rustdoc shows the methods
//! in the order of the modules.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::event_loop::Loop;
use crate::client::interface::Client;
use crate::client::slot::{ConnectionKeys, Slot};
use crate::client::sockets::Source;
use crate::client::stream::Stream;
use crate::config::{Config, Relay};
use crate::connection::{Connection, Parameters};
use crate::crypto::{SharedKey, SharedKeys};
use crate::error::{ClientError, ConnectError, DisconnectReason};
use crate::events::Events;
use crate::id::ConnectionId;
use crate::key::{KeyPair, PublicKey};
use crate::status::ConnectionStatus;

impl Client {
    /// Creates a client without connections.
    ///
    /// # Errors
    ///
    /// A setting is not valid, or the operating system does not create a poller or returns no random numbers: see
    /// [`ClientError`].
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// let client = Client::new(Config::new(SecretKey::generate()))?;
    /// assert_eq!(client.connections().count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(config: Config) -> Result<Self, ClientError> {
        let settings = config.settings()?;
        let identity = KeyPair::from(config.secret_key);
        let event_loop = Loop::new(identity.public).map_err(ClientError::Io)?;
        Ok(Self {
            identity,
            shared_keys: SharedKeys::default(),
            proxy: config.proxy,
            settings: Arc::new(settings),
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
    /// [`poll`](Self::poll) does not count. A relay may have [several addresses](Relay::address): each has this time,
    /// from the beginning of its attempt.
    ///
    /// [`open_route`](Self::open_route) and the methods that send packets without a route can be called at once.
    ///
    /// # Errors
    ///
    /// An address or the key is not usable, another connection has the same identity and relay or the same shared key,
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
    pub fn connect(&mut self, relay: impl Into<Relay>) -> Result<ConnectionId, ConnectError> {
        let relay = relay.into();
        let source = Source::New(relay.local_address);
        self.begin(relay, source)
    }

    /// Like [`connect`](Self::connect), on a socket that the caller has made: to the relay, or to the proxy if there is
    /// one. The socket may still be connecting. The library closes it when the connection ends.
    ///
    /// Only the first address of the relay is used, for the request to a proxy and in the status. Its
    /// [`local_address`](Relay::local_address) is ignored. If there is a proxy, so is its address: the socket may lead
    /// to one that has none, for example through a Unix socket.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect); [`ConnectError::Io`] if it is not a stream socket. The socket is closed then.
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
        relay: impl Into<Relay>,
        socket: impl Into<Stream>,
    ) -> Result<ConnectionId, ConnectError> {
        let Stream(transport) = socket.into();
        transport.adopt().map_err(ConnectError::Io)?;
        let mut relay = relay.into();
        if let Ok(addresses) = &mut relay.addresses {
            addresses.truncate(1);
        }
        self.begin(relay, Source::Caller(Some(transport)))
    }

    fn begin(&mut self, mut relay: Relay, source: Source) -> Result<ConnectionId, ConnectError> {
        let now = Instant::now();
        relay.default_proxy(self.proxy.clone());
        let identity =
            relay.identity.take().map(KeyPair::from).filter(|own| own.public != self.identity.public);
        let public_key = identity.as_ref().unwrap_or(&self.identity).public;
        let shared_key = match &identity {
            None => self.shared_keys.get(&self.identity, &relay.public_key)?,
            Some(identity) => Arc::new(SharedKey::new(identity, &relay.public_key)?),
        };
        let shared_key_hash = self.event_loop.table.hash(&shared_key);
        if let Some(slot) = self.event_loop.table.with_shared_key(shared_key_hash) {
            let is_same =
                (slot.identity(self.identity.public), slot.keys.relay) == (public_key, relay.public_key);
            let refuse = if is_same { ConnectError::AlreadyConnected } else { ConnectError::SameSharedKey };
            return Err(refuse(slot.connection.id()));
        }
        let id = self.event_loop.table.next_id().ok_or(ConnectError::TooManyConnections)?;
        let parameters = Parameters::new(id, shared_key, &relay, self.event_loop.ping_ids.next())?;
        if let (Source::New(_), Some(name)) = (&source, parameters.name_without_proxy()) {
            return Err(ConnectError::NameWithoutProxy(name.to_owned()));
        }
        let connection = Connection::new(parameters.settings(Arc::clone(&self.settings)), now);
        let keys = ConnectionKeys {
            identity: identity.map(|identity| Box::new(identity.public)),
            relay: relay.public_key,
            shared_key_hash,
        };
        self.event_loop.add(Slot::new(connection, source, keys)).map_err(ConnectError::Io)?;
        log::debug!("connection {id}: the relay's key is {}", relay.public_key);
        Ok(id)
    }

    /// Ends a connection; [`Disconnected`](crate::Event::Disconnected) follows in the next poll that has room for it.
    /// Returns `false` if the connection has already ended.
    ///
    /// Queued packets are sent first, and then a disconnect notification for each route that the relay has registered,
    /// because a relay may take 40 seconds to notice that a client is gone: both as far as the socket accepts them
    /// without waiting, and data as far as the [window](crate::Config::window) has room. They may still be lost: the
    /// network may not have delivered them when the socket closes. Dropping the client does the same for all its
    /// connections. The final status in the event shows how many bytes were never sent (`queued`).
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

    /// [Ends](Self::disconnect) all connections. Returns how many these were.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, _, _) = shared::connected();
    /// assert_eq!(client.disconnect_all(), 1);
    /// assert_eq!(client.connections().count(), 0);
    /// ```
    pub fn disconnect_all(&mut self) -> usize {
        let connections: Vec<_> = self.connections().collect();
        connections.iter().filter(|connection| self.disconnect(**connection)).count()
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
}
