//! What is sent through a pool.

use crate::error::SendError;
use crate::id::ConnectionId;
use crate::key::PublicKey;
use crate::pool::error::PoolSendError;
use crate::pool::id::{PeerId, RelayId};
use crate::pool::interface::Pool;
use crate::wire::Destination;

impl Pool {
    /// Sends data to a peer, by the relay that carries them; if that one is full, by another. While the peer is offline,
    /// they go out of band by one of its relays, another one each time, since the peer may be there.
    ///
    /// Who sends until [`WouldBlock`](PoolSendError::WouldBlock) fills one relay after the other, so data of one overtake
    /// those of another: packets of a bulk transfer need numbers. Who waits until the peer has confirmed what it has got
    /// keeps to one relay, and in order. Nothing bounds what waits for a peer that does not read: relays discard it.
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
    pub fn send(&mut self, peer: PeerId, data: &[u8]) -> Result<(), PoolSendError> {
        let Some((relay, route)) = self.plan.used(peer) else { return self.send_out_of_band(peer, data) };
        match self.client.send_data(route, data) {
            Ok(()) => self.plan.handle_sent(relay),
            Err(SendError::WouldBlock) => return self.send_by_another(peer, data),
            Err(error) => return Err(refusal(error)),
        }
        Ok(())
    }

    /// The relay that carries the data to this peer is full.
    fn send_by_another(&mut self, peer: PeerId, data: &[u8]) -> Result<(), PoolSendError> {
        for (relay, route) in self.plan.others(peer) {
            if self.client.send_data(route, data).is_ok() {
                self.plan.handle_sent(relay);
                self.plan.handle_overflow(peer, relay);
                return Ok(());
            }
        }
        self.plan.handle_refused_data(peer);
        Err(PoolSendError::WouldBlock)
    }

    /// The peer is offline, but may be there: it has not asked for a route yet.
    fn send_out_of_band(&mut self, peer: PeerId, data: &[u8]) -> Result<(), PoolSendError> {
        let key = self.plan.peer(peer).ok_or(PoolSendError::Unknown)?.key;
        let mut refused = PoolSendError::Unreachable;
        for (relay, connection) in self.plan.out_of_band(peer) {
            match self.client.send_oob(connection, key, data) {
                Ok(()) => {
                    self.plan.handle_sent(relay);
                    return Ok(());
                }
                Err(error) => refused = refusal(error),
            }
        }
        if refused == PoolSendError::WouldBlock {
            self.plan.handle_refused_data(peer);
        }
        Err(refused)
    }

    /// Sends a packet to someone on this relay who need not be a peer: for example an answer to
    /// [`PoolEvent::Oob`](crate::pool::PoolEvent::Oob).
    ///
    /// # Errors
    ///
    /// See [`PoolSendError`].
    pub fn send_oob(
        &mut self,
        relay: RelayId,
        receiver: PublicKey,
        data: &[u8],
    ) -> Result<(), PoolSendError> {
        let connection = self.connection_of(relay)?;
        self.client.send_oob(connection, receiver, data).map_err(refusal)
    }

    /// Sends an onion request by any of the connected relays, each with the same chance. Returns by which one. See
    /// [`Client::send_onion_request`](crate::Client::send_onion_request).
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
        let (relay, connection) = self.plan.any_connected().ok_or(PoolSendError::Unreachable)?;
        self.client.send_onion_request(connection, request).map_err(refusal)?;
        Ok(relay)
    }

    /// Sends an onion request by this relay.
    ///
    /// # Errors
    ///
    /// See [`PoolSendError`].
    pub fn send_onion_request_by(&mut self, relay: RelayId, request: &[u8]) -> Result<(), PoolSendError> {
        let connection = self.connection_of(relay)?;
        self.client.send_onion_request(connection, request).map_err(refusal)
    }

    /// Sends a forward request by any of the connected relays, each with the same chance. Returns by which one. See
    /// [`Client::send_forward_request`](crate::Client::send_forward_request).
    ///
    /// # Errors
    ///
    /// See [`PoolSendError`].
    pub fn send_forward_request(
        &mut self,
        destination: Destination,
        data: &[u8],
    ) -> Result<RelayId, PoolSendError> {
        let (relay, connection) = self.plan.any_connected().ok_or(PoolSendError::Unreachable)?;
        self.client.send_forward_request(connection, destination, data).map_err(refusal)?;
        Ok(relay)
    }

    /// Sends a forward request by this relay.
    ///
    /// # Errors
    ///
    /// See [`PoolSendError`].
    pub fn send_forward_request_by(
        &mut self,
        relay: RelayId,
        destination: Destination,
        data: &[u8],
    ) -> Result<(), PoolSendError> {
        let connection = self.connection_of(relay)?;
        self.client.send_forward_request(connection, destination, data).map_err(refusal)
    }

    fn connection_of(&self, relay: RelayId) -> Result<ConnectionId, PoolSendError> {
        let known = self.plan.relay(relay).ok_or(PoolSendError::Unknown)?;
        known.connection().filter(|_| known.is_connected()).ok_or(PoolSendError::Unreachable)
    }
}

fn refusal(error: SendError) -> PoolSendError {
    match error {
        SendError::WouldBlock => PoolSendError::WouldBlock,
        SendError::Length { .. } => PoolSendError::Length(error),
        SendError::UnknownConnection | SendError::UnknownRoute | SendError::RouteOffline => {
            PoolSendError::Unreachable
        }
    }
}
