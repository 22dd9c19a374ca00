//! What a caller exchanges with peers: routes and packets.

use crate::client::interface::Client;
use crate::connection::Connection;
use crate::error::{RouteError, SendError};
use crate::id::{ConnectionId, RouteId};
use crate::key::PublicKey;
use crate::wire::Destination;

impl Client {
    /// Requests a route to `peer` from the relay. [`RouteOpened`](crate::Event::RouteOpened) or
    /// [`RouteRefused`](crate::Event::RouteRefused) follows, after [`Connected`](crate::Event::Connected). Data can be
    /// sent after [`RouteOnline`](crate::Event::RouteOnline), which is reported when the peer has requested a route to
    /// this client too.
    ///
    /// This need not wait for `Connected`: a request that is made earlier, from [`connect`](Self::connect) on, is sent
    /// right after the handshake response and the first ping, which saves a round trip. Then it may be sent to an
    /// attacker who has replayed an old handshake response. That does not reveal the peer: the request is encrypted for
    /// the relay alone. All that such an impostor can make this client send, until it is detected within the pong
    /// timeout, is pings, the requests (12,240 bytes) and, of the packets in the [send
    /// queue](crate::Config::send_queue), as many as the first [window](crate::Config::window) has room for: 32 KiB.
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
    /// [`RouteError::UnknownRoute`]: the route is already closed or refused, or its connection has ended.
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
    /// response, the first ping and the routing requests. An attacker who has replayed an old handshake response cannot
    /// decrypt it, and gets no more bytes than the [send queue](crate::Config::send_queue) has: until the relay has
    /// proved that it holds its key, bytes that were already sent count, too.
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
