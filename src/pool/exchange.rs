//! What is sent through a pool.

use std::time::Instant;

use crate::client::Client;
use crate::error::SendError;
use crate::id::ConnectionId;
use crate::key::PublicKey;
use crate::pool::error::PoolSendError;
use crate::pool::id::{PeerId, RelayId};
use crate::pool::interface::Pool;
use crate::wire::Destination;
use crate::wire::packet::{OOB_DATA, ROUTE_DATA};

#[cfg(test)]
mod tests;

impl Pool {
    /// Sends data to a peer, by the relay that carries them; if that one is full, by another. While the peer is
    /// offline, they are sent out of band by one of its relays, another one each time, since the peer may be there. Returns
    /// the relay, for [`report`](Self::report).
    ///
    /// A program that sends until [`WouldBlock`](PoolSendError::WouldBlock) fills one relay after the other, so data of
    /// one overtake those of another: packets of a bulk transfer need numbers. One that waits for the peer to confirm
    /// what it has got keeps to one relay, and its data stay in order. Nothing bounds what waits for a peer that does not
    /// read: relays discard it.
    ///
    /// # Errors
    ///
    /// See [`PoolSendError`].
    ///
    /// ```
    /// # use tox_relay_client::pool::PoolSendError;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, friend) = shared::pool();
    /// pool.send(friend, b"hello")?;
    /// pool.flush(); // or the next poll
    ///
    /// pool.remove_peer(friend);
    /// assert_eq!(pool.send(friend, b"hello"), Err(PoolSendError::Unknown));
    /// # Ok::<(), PoolSendError>(())
    /// ```
    ///
    /// A bulk transfer sends until nothing more is taken, and goes on when there is room:
    ///
    /// ```
    /// # use tox_relay_client::pool::{PeerId, Pool, PoolEvent, PoolEvents, PoolSendError};
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, friend) = shared::pool();
    /// # let mut events = PoolEvents::with_capacity(256);
    /// fn send_more<'a>(
    ///     pool: &mut Pool,
    ///     friend: PeerId,
    ///     mut rest: &'a [[u8; 1000]],
    /// ) -> Result<&'a [[u8; 1000]], PoolSendError> {
    ///     while let [packet, others @ ..] = rest {
    ///         match pool.send(friend, packet) {
    ///             Ok(_) => rest = others,
    ///             Err(PoolSendError::WouldBlock) => break, // `Writable` follows
    ///             Err(error) => return Err(error),
    ///         }
    ///     }
    ///     Ok(rest)
    /// }
    ///
    /// let packets = [[7; 1000]; 500]; // more than fits into a queue
    /// let mut rest = send_more(&mut pool, friend, &packets)?;
    /// # assert!(!rest.is_empty());
    /// while !rest.is_empty() {
    ///     pool.poll(&mut events, None)?;
    ///     for event in &events {
    ///         if let PoolEvent::Writable { peer, .. } = event {
    ///             rest = send_more(&mut pool, peer, rest)?;
    ///         }
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send(&mut self, peer: PeerId, data: &[u8]) -> Result<RelayId, PoolSendError> {
        while let Some((relay, route)) = self.plan.used(peer) {
            match self.client.send_data(route, data) {
                Ok(()) => {
                    self.plan.handle_sent(relay);
                    return Ok(relay);
                }
                Err(SendError::WouldBlock) => return self.send_by_another(peer, data),
                Err(error @ SendError::Length { .. }) => return Err(PoolSendError::Length(error)),
                // It has ended, and the next poll will report it: another one takes over now.
                Err(SendError::UnknownConnection | SendError::UnknownRoute | SendError::RouteOffline) => {
                    self.plan.handle_offline(Instant::now(), peer, relay, route);
                }
            }
        }
        self.send_out_of_band(peer, data)
    }

    /// The relay that carries the data to this peer is full.
    fn send_by_another(&mut self, peer: PeerId, data: &[u8]) -> Result<RelayId, PoolSendError> {
        for (relay, route) in self.plan.others(peer) {
            if self.client.send_data(route, data).is_ok() {
                self.plan.handle_sent(relay);
                self.plan.handle_overflow(peer, relay);
                return Ok(relay);
            }
        }
        self.plan.handle_refused_data(peer);
        Err(PoolSendError::WouldBlock)
    }

    /// The peer is offline, but may be there: it has not asked for a route yet.
    fn send_out_of_band(&mut self, peer: PeerId, data: &[u8]) -> Result<RelayId, PoolSendError> {
        let key = self.plan.peer(peer).ok_or(PoolSendError::Unknown)?.key;
        if ROUTE_DATA.contains(&data.len()) && data.len() > *OOB_DATA.end() {
            return Err(PoolSendError::Offline);
        }
        let relays = self.plan.out_of_band(peer);
        let sent = by_first(&relays, |connection| self.client.send_oob(connection, key, data));
        match sent {
            Ok(relay) => self.plan.handle_sent(relay),
            Err(PoolSendError::WouldBlock) => self.plan.handle_refused_data(peer),
            Err(_) => {}
        }
        sent
    }

    /// Whether data arrived that this relay carried to a peer, or are missing, as those know who read the data: a relay
    /// that says that a peer is online and drops its data cannot be found out here. One that loses the data of a peer is
    /// used for it only if there is no other; once two peers have reported it, for all. A packet that was delivered makes
    /// up for one that was lost; half of the losses are forgotten after ten minutes, and all at the end of the program.
    /// Returns `false`, and does nothing, if the peer is not online on this relay now: then nobody has said that the data
    /// would arrive.
    ///
    /// ```
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, friend) = shared::pool();
    /// let relay = pool.send(friend, b"message 1")?;
    /// // Seconds later: the friend is online here, but has not confirmed the message. Send it again, by another relay
    /// // if there is one.
    /// pool.report(friend, relay, false);
    /// pool.send(friend, b"message 1")?;
    /// # assert_eq!(pool.relay(relay).unwrap().lost, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn report(&mut self, peer: PeerId, relay: RelayId, was_delivered: bool) -> bool {
        self.plan.handle_report(Instant::now(), peer, relay, was_delivered)
    }

    /// Sends a packet to someone on this relay who need not be a peer: for example an answer to
    /// [`PoolEvent::Oob`](crate::pool::PoolEvent::Oob).
    ///
    /// # Errors
    ///
    /// See [`PoolSendError`].
    ///
    /// ```
    /// # use tox_relay_client::pool::{PoolEvent, PoolEvents};
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, friend) = shared::pool();
    /// # let events = PoolEvents::with_capacity(16);
    /// for event in &events {
    ///     if let PoolEvent::Oob { relay, sender, .. } = event {
    ///         pool.send_oob(relay, sender, b"who are you?")?;
    ///     }
    /// }
    /// # let (relay, key) = (pool.relays().next().unwrap(), pool.peer(friend).unwrap().public_key);
    /// # pool.send_oob(relay, key, b"hello")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_oob(
        &mut self,
        relay: RelayId,
        receiver: PublicKey,
        data: &[u8],
    ) -> Result<(), PoolSendError> {
        self.send_by(relay, |client, connection| client.send_oob(connection, receiver, data))
    }

    /// Sends an onion request by a connected relay that has room, chosen at random; a silent one is chosen only if there
    /// is no other. Returns its id. See [`Client::send_onion_request`](crate::Client::send_onion_request).
    ///
    /// # Errors
    ///
    /// See [`PoolSendError`].
    ///
    /// ```
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, _) = shared::pool();
    /// # let request = [0; 178];
    /// let relay = pool.send_onion_request(&request)?;
    /// assert!(pool.relay(relay).unwrap().is_connected);
    /// # Ok::<(), tox_relay_client::pool::PoolSendError>(())
    /// ```
    pub fn send_onion_request(&mut self, request: &[u8]) -> Result<RelayId, PoolSendError> {
        self.send_by_any(|client, connection| client.send_onion_request(connection, request))
    }

    /// Sends an onion request by this relay.
    ///
    /// # Errors
    ///
    /// See [`PoolSendError`].
    ///
    /// ```
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, _) = shared::pool();
    /// # let request = [0; 178];
    /// let first = pool.send_onion_request(&request)?;
    /// pool.send_onion_request_by(first, &request)?; // again, on the same path
    /// # Ok::<(), tox_relay_client::pool::PoolSendError>(())
    /// ```
    pub fn send_onion_request_by(&mut self, relay: RelayId, request: &[u8]) -> Result<(), PoolSendError> {
        self.send_by(relay, |client, connection| client.send_onion_request(connection, request))
    }

    /// Sends a forward request by a connected relay that has room, chosen at random; a silent one is chosen only if there
    /// is no other. Returns its id. See [`Client::send_forward_request`](crate::Client::send_forward_request).
    ///
    /// # Errors
    ///
    /// See [`PoolSendError`].
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, _) = shared::pool();
    /// let node = Destination::Udp("192.0.2.7:33445".parse()?);
    /// let relay = pool.send_forward_request(node, b"a packet of the DHT")?;
    /// println!("{relay} has it; `Forwarding` events with this relay may be answers");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_forward_request(
        &mut self,
        destination: Destination,
        data: &[u8],
    ) -> Result<RelayId, PoolSendError> {
        self.send_by_any(|client, connection| client.send_forward_request(connection, destination, data))
    }

    /// Sends a forward request by this relay.
    ///
    /// # Errors
    ///
    /// See [`PoolSendError`].
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, friend) = shared::pool();
    /// # let relay = pool.peer(friend).unwrap().tied[0];
    /// let node = Destination::Udp("192.0.2.7:33445".parse()?);
    /// pool.send_forward_request_by(relay, node, b"a packet of the DHT")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_forward_request_by(
        &mut self,
        relay: RelayId,
        destination: Destination,
        data: &[u8],
    ) -> Result<(), PoolSendError> {
        self.send_by(relay, |client, connection| client.send_forward_request(connection, destination, data))
    }

    fn send_by(
        &mut self,
        relay: RelayId,
        send: impl Fn(&mut Client, ConnectionId) -> Result<(), SendError>,
    ) -> Result<(), PoolSendError> {
        let known = self.plan.relay(relay).ok_or(PoolSendError::Unknown)?;
        let connection = known.connection().filter(|_| known.is_connected());
        self.send_by_first(&[(relay, connection.ok_or(PoolSendError::Unreachable)?)], send).map(drop)
    }

    fn send_by_any(
        &mut self,
        send: impl Fn(&mut Client, ConnectionId) -> Result<(), SendError>,
    ) -> Result<RelayId, PoolSendError> {
        let relays = self.plan.connected_at_random();
        self.send_by_first(&relays, send)
    }

    /// If all of these relays are full, each will be reported when it has room.
    fn send_by_first(
        &mut self,
        relays: &[(RelayId, ConnectionId)],
        send: impl Fn(&mut Client, ConnectionId) -> Result<(), SendError>,
    ) -> Result<RelayId, PoolSendError> {
        let sent = by_first(relays, |connection| send(&mut self.client, connection));
        match sent {
            Ok(relay) => self.plan.handle_sent(relay),
            Err(PoolSendError::WouldBlock) => {
                relays.iter().for_each(|(relay, _)| self.plan.handle_refused_packet(*relay));
            }
            Err(_) => {}
        }
        sent
    }
}

/// Sends by the first of these relays that has room.
fn by_first(
    relays: &[(RelayId, ConnectionId)],
    mut send: impl FnMut(ConnectionId) -> Result<(), SendError>,
) -> Result<RelayId, PoolSendError> {
    let mut refused = PoolSendError::Unreachable;
    for (relay, connection) in relays {
        match send(*connection) {
            Ok(()) => return Ok(*relay),
            Err(error @ SendError::Length { .. }) => return Err(PoolSendError::Length(error)),
            Err(SendError::WouldBlock) => refused = PoolSendError::WouldBlock,
            // It has ended, and the next poll will report it.
            Err(SendError::UnknownConnection | SendError::UnknownRoute | SendError::RouteOffline) => {}
        }
    }
    Err(refused)
}
