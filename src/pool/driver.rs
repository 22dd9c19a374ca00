//! The pool: carries out what the plan decides, with the public interface of the client.

use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use crate::client::{Client, Waker};
use crate::config::{Config, Relay};
use crate::error::{ClientError, SendError};
use crate::event::Event;
use crate::id::ConnectionId;
use crate::key::PublicKey;
use crate::pool::error::{AddRelayError, PoolSendError, TieError};
use crate::pool::event::{PoolEvents, Record};
use crate::pool::id::{PeerId, RelayId};
use crate::pool::origin::Origin;
use crate::pool::plan::{Action, Notice, Observation, Plan};
use crate::pool::status::{PeerStatus, RelayStatus};

/// The most connections.
const CONNECTIONS: usize = 128;

/// Peers that are reached through several relays each. See [the module](crate::pool).
///
/// As with a [`Client`], only [`poll`](Self::poll) waits, and packets are queued until the next poll or flush.
pub struct Pool {
    client: Client,
    plan: Plan,
}

impl Pool {
    /// Creates a pool with its client. It has at most 128 connections.
    ///
    /// # Errors
    ///
    /// Those of [`Client::new`].
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # use tox_relay_client::pool::{Origin, Pool, PoolEvent, PoolEvents};
    /// # let relay = tox_test_relay::Relay::start(Default::default()).unwrap();
    /// # let relay = Relay::new(relay.addr(), PublicKey::from(relay.public_key()));
    /// # let friend = SecretKey::generate().public_key();
    /// let mut pool = Pool::new(Config::new(SecretKey::generate()))?;
    /// let relay = pool.add_relay(relay, Origin::User)?;
    /// let friend = pool.add_peer(friend);
    /// pool.tie(friend, relay)?; // the friend has told us that it is there
    /// let mut events = PoolEvents::with_capacity(256);
    /// pool.poll(&mut events, Some(std::time::Duration::from_millis(50)))?;
    /// for event in events.iter() {
    ///     if let PoolEvent::Data { peer, data, .. } = event {
    ///         println!("{peer}: {} bytes", data.len());
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(config: Config) -> Result<Self, ClientError> {
        Ok(Self { client: Client::new(config)?, plan: Plan::new(CONNECTIONS, rand::random()) })
    }

    /// Its client, for reading.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Adds a relay, or finds the one with this key. It is connected when it is of use. Its
    /// [token](Relay::token) is the pool's.
    ///
    /// # Errors
    ///
    /// See [`AddRelayError`].
    pub fn add_relay(&mut self, relay: impl Into<Relay>, origin: Origin) -> Result<RelayId, AddRelayError> {
        self.plan.add_relay(relay.into(), origin)
    }

    /// Removes a relay and ends its connection. Returns `false` if it is not there.
    pub fn remove_relay(&mut self, relay: RelayId) -> bool {
        let removed = self.plan.remove_relay(Instant::now(), relay);
        self.act(Instant::now());
        removed
    }

    /// Adds a peer, or finds the one with this key. It is awake.
    pub fn add_peer(&mut self, public_key: PublicKey) -> PeerId {
        self.plan.add_peer(public_key)
    }

    /// Removes a peer, closes its routes, and forgets the relays that only it has told us about. Returns `false` if it
    /// is not there.
    pub fn remove_peer(&mut self, peer: PeerId) -> bool {
        let removed = self.plan.remove_peer(Instant::now(), peer);
        self.act(Instant::now());
        removed
    }

    /// The peer is thought to be on this relay: the pool may reach it there.
    ///
    /// # Errors
    ///
    /// See [`TieError`].
    pub fn tie(&mut self, peer: PeerId, relay: RelayId) -> Result<(), TieError> {
        self.plan.tie(peer, relay)
    }

    /// Whether a peer is to be reached through relays. One that is reached directly may sleep: relays that only
    /// sleeping peers use are disconnected. Returns `false` if it is not there.
    pub fn set_awake(&mut self, peer: PeerId, is_awake: bool) -> bool {
        self.plan.set_awake(peer, is_awake)
    }

    /// How many relays are kept connected for onion packets; three are connected in any case.
    pub fn set_onion_relays(&mut self, count: usize) {
        self.plan.set_onion_relays(count);
    }

    /// Whether data of this peer arrived, or are missing, as those know who read the data: a relay that says that a peer
    /// is online and drops its data cannot be found out here. It concerns the relay that carries the data to the peer
    /// now. One that loses data is used only if there is no other. Returns `false` if the peer is not there.
    pub fn report(&mut self, peer: PeerId, was_delivered: bool) -> bool {
        self.plan.handle_report(Instant::now(), peer, was_delivered)
    }

    /// The network has changed: relays must answer soon, and those that have failed are tried at once. See
    /// [`Client::network_changed`].
    pub fn network_changed(&mut self) {
        self.client.network_changed();
        self.plan.handle_network_changed();
    }

    /// Sends data to a peer, by the relay that carries them; if that one is full, by another. While the peer is offline,
    /// they go out of band by one of its relays, another one each time, since the peer may be there.
    ///
    /// # Errors
    ///
    /// See [`PoolSendError`].
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

    /// Sends an onion request by any of the connected relays, each with the same chance. Returns by which one.
    ///
    /// # Errors
    ///
    /// See [`PoolSendError`].
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

    /// Relays to tell a peer about: some of those that are connected, others each time. Empty only if none is connected.
    pub fn relays_to_share(&mut self, count: usize) -> Vec<Relay> {
        self.plan.share(count)
    }

    /// What is known about a peer; `None` after it was removed.
    pub fn peer(&self, id: PeerId) -> Option<PeerStatus> {
        let peer = self.plan.peer(id)?;
        let online = peer.ties.iter().filter(|tie| tie.route.online().is_some());
        Some(PeerStatus {
            peer: id,
            public_key: peer.key,
            is_awake: peer.is_awake,
            used: peer.used,
            online: online.map(|tie| tie.relay).collect(),
            tied: peer.ties.iter().map(|tie| tie.relay).collect(),
        })
    }

    /// What is known about a relay; `None` after it was removed.
    pub fn relay(&self, id: RelayId) -> Option<RelayStatus> {
        let known = self.plan.relay(id)?;
        Some(RelayStatus {
            id,
            relay: known.relay.clone(),
            origin: known.origin,
            connection: known.connection(),
            is_connected: known.is_connected(),
            is_silent: known.is_silent,
            round_trip: known.round_trip,
            failures: known.failures,
            lost: known.lost,
            tied: known.tied.len(),
        })
    }

    /// All peers, in no particular order.
    pub fn peers(&self) -> impl Iterator<Item = PeerId> {
        self.plan.peers().map(|(id, _)| id)
    }

    /// All relays, connected or not, in no particular order.
    pub fn relays(&self) -> impl Iterator<Item = RelayId> {
        self.plan.relays().map(|(id, _)| id)
    }

    /// Reads, writes, connects, and handles deadlines, as [`Client::poll`] does. The events replace those of the last
    /// poll.
    ///
    /// # Errors
    ///
    /// Those of [`Client::poll`].
    pub fn poll(&mut self, events: &mut PoolEvents, timeout: Option<Duration>) -> io::Result<()> {
        events.records.clear();
        // After a long absence, what has arrived is read first, and then it is judged who is late.
        if !self.plan.is_late(Instant::now()) {
            self.act(Instant::now());
        }
        let own = self.own_timeout(Instant::now());
        let timeout = [timeout, own].into_iter().flatten().min();
        self.client.poll(&mut events.of_client, timeout)?;
        let now = Instant::now();
        self.tell(&mut events.records);
        for (index, event) in events.of_client.iter().enumerate() {
            if let Some(record) = self.handle(now, index, event) {
                events.records.push(record);
            }
            self.tell(&mut events.records);
        }
        self.act(now);
        self.tell(&mut events.records);
        self.client.flush();
        Ok(())
    }

    /// Writes what is queued: see [`Client::flush`].
    pub fn flush(&mut self) {
        self.client.flush();
    }

    /// How long a main loop may sleep before it calls [`poll`](Self::poll): see [`Client::next_timeout`].
    pub fn next_timeout(&self) -> Option<Duration> {
        let own = self.own_timeout(Instant::now());
        [self.client.next_timeout(), own].into_iter().flatten().min()
    }

    /// A handle with which another thread can end the wait of a poll: see [`Client::waker`].
    pub fn waker(&self) -> Waker {
        self.client.waker()
    }

    fn own_timeout(&self, now: Instant) -> Option<Duration> {
        self.plan.deadline(now).map(|at| at.saturating_duration_since(now))
    }

    fn connection_of(&self, relay: RelayId) -> Result<ConnectionId, PoolSendError> {
        let known = self.plan.relay(relay).ok_or(PoolSendError::Unknown)?;
        known.connection().filter(|_| known.is_connected()).ok_or(PoolSendError::Unreachable)
    }

    /// Tells the plan what the client has reported. Returns what is reported to the user.
    fn handle(&mut self, now: Instant, index: usize, event: Event<'_>) -> Option<Record> {
        let connection = event.connection();
        if let Event::Disconnected { reason, .. } = event {
            let relay = self.plan.handle_disconnected(now, connection, reason.retry());
            let relay = relay.unwrap_or(RelayId::from(event.token()));
            return Some(Record::OfRelay(relay, index));
        }
        let relay = self.plan.find_relay(connection)?;
        self.plan.handle_heard(relay);
        let peer = PeerId::from(event.token());
        match event {
            Event::Connected { .. } => self.plan.handle_connected(now, relay),
            Event::RouteOnline { route, .. } => self.plan.handle_online(now, peer, relay, route),
            Event::RouteOffline { route, .. } => self.plan.handle_offline(now, peer, relay, route),
            Event::RouteRefused { route, .. } => self.plan.handle_refused(now, peer, relay, route),
            Event::Writable { .. } => self.plan.handle_writable(relay),
            Event::Data { .. } => return Some(Record::Data(peer, relay, index)),
            Event::Oob { sender, .. } => return Some(self.sort_oob(relay, sender, index)),
            Event::OnionResponse { .. } | Event::Forwarding { .. } => {
                return Some(Record::OfRelay(relay, index));
            }
            _ => {}
        }
        None
    }

    /// A packet out of band is data, if its sender is a peer that is tied to this relay.
    fn sort_oob(&self, relay: RelayId, sender: PublicKey, index: usize) -> Record {
        let peer = self.plan.find_peer(&sender);
        match peer.filter(|peer| self.plan.peer(*peer).is_some_and(|peer| peer.tie(relay).is_some())) {
            Some(peer) => Record::Data(peer, relay, index),
            None => Record::OfRelay(relay, index),
        }
    }

    /// Carries out what the plan decides, until it wants nothing more.
    fn act(&mut self, now: Instant) {
        let Self { client, plan } = self;
        while plan.deadline(now).is_some_and(|at| at <= now) {
            plan.advance(now, |connection| {
                let status = client.connection(connection)?;
                Some(Observation { last_heard: status.last_heard, round_trip: status.round_trips.smoothed })
            });
            while let Some(action) = plan.next_action() {
                carry_out(client, plan, now, action);
            }
        }
        while let Some(action) = plan.next_action() {
            carry_out(client, plan, now, action);
        }
    }

    fn tell(&mut self, records: &mut Vec<Record>) {
        while let Some(notice) = self.plan.next_notice() {
            records.push(match notice {
                Notice::RelayUp(relay) => Record::RelayUp(relay),
                Notice::PeerOnline(peer, relay) => Record::PeerOnline(peer, relay),
                Notice::PeerOffline(peer) => Record::PeerOffline(peer),
                Notice::PeerMoved(peer, relay) => Record::PeerMoved(peer, relay),
                Notice::Writable(peer) => Record::Writable(peer),
            });
        }
    }
}

fn carry_out(client: &mut Client, plan: &mut Plan, now: Instant, action: Action) {
    match action {
        Action::Connect(id) => {
            let relay = plan.relay(id).map(|known| known.relay.clone().token(id.into()));
            match relay.map(|relay| client.connect(relay)) {
                Some(Ok(connection)) => plan.handle_connecting(id, connection),
                Some(Err(error)) => {
                    log::warn!("relay {id} cannot be connected: {error}");
                    plan.handle_not_connecting(now, id);
                }
                None => {}
            }
        }
        Action::Disconnect(connection) => _ = client.disconnect(connection),
        Action::OpenRoute(peer, relay) => {
            let connection = plan.relay(relay).and_then(|known| known.connection());
            let key = plan.peer(peer).map(|peer| peer.key);
            if let (Some(connection), Some(key)) = (connection, key) {
                let route = client.open_route_with_token(connection, key, peer.into());
                plan.handle_route(now, peer, relay, route.ok());
            }
        }
        Action::CloseRoute(route) => _ = client.close_route(route),
        Action::Ping(connection) => _ = client.ping(connection),
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

/// The descriptor of its client's poller, for another poller.
#[cfg(unix)]
impl AsFd for Pool {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.client.as_fd()
    }
}
