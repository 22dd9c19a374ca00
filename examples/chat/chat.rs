//! The program: a pool, a peer, and lines.

use std::collections::{HashSet, VecDeque};
use std::error::Error;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use tox_relay_client::pool::{
    MoveCause, Origin, PeerId, Pool, PoolEvent, PoolEvents, PoolSendError, RelayId,
};
use tox_relay_client::{ClientError, ConnectionStatus, DisconnectReason, PublicKey, Retry, Stage};

use crate::arguments::Arguments;
use crate::meeting::{self, Candidate, Rank};

/// The longest time until a typed line is noticed.
const TICK: Duration = Duration::from_millis(50);

/// How many relays are used, if so many work: a pool has at most six routes to a peer. The peer has routes on the same
/// ones. Fewer would do, if the two could agree on them.
const IN_USE: usize = 6;

/// The most relays that are used if others do not work: a peer is tied to at most 24.
const MOST: usize = 24;

pub struct Chat {
    pool: Pool,
    peer: Option<PeerId>,
    /// All relays that may be used.
    candidates: Vec<Candidate>,
    /// Those of them that are not used yet, in their order for this peer.
    reserve: VecDeque<Candidate>,
    /// Those that are used, in the same order.
    in_use: Vec<RelayId>,
    /// Those that could not be reached, or not yet: others are used besides them.
    unreached: HashSet<RelayId>,
    /// Whether there was ever a relay that has proved its key.
    was_connected: bool,
    /// A line for which the send queues had no room. No other line is read until it is sent.
    unsent: Option<String>,
}

impl Chat {
    pub fn new(arguments: Arguments) -> Result<Self, ClientError> {
        let mut chat = Self {
            pool: Pool::new(arguments.config)?,
            peer: None,
            candidates: arguments.candidates,
            reserve: VecDeque::new(),
            in_use: Vec::new(),
            unreached: HashSet::new(),
            was_connected: false,
            unsent: None,
        };
        chat.pool.set_relays_per_peer(IN_USE);
        println!("* Your public key is {}", chat.pool.public_key());
        let own = chat.pool.public_key();
        chat.set_peer(arguments.peer.filter(|peer| *peer != own));
        Ok(chat)
    }

    /// # Errors
    ///
    /// If polling fails, if no relay can be used, and at the end if there was never a connection.
    pub fn run(mut self, lines: &Receiver<String>) -> Result<(), Box<dyn Error>> {
        let mut events = PoolEvents::with_capacity(64);
        let mut timeout = TICK;
        loop {
            self.pool.poll(&mut events, Some(timeout))?;
            for event in &events {
                self.handle_event(event)?;
            }
            self.send_unsent();
            timeout = TICK;
            if self.unsent.is_none() {
                match lines.try_recv() {
                    Ok(line) if line.split_whitespace().next() == Some("/quit") => return self.leave(),
                    Ok(line) => self.handle_line(&line),
                    Err(TryRecvError::Empty) => continue,
                    Err(TryRecvError::Disconnected) => return self.leave(),
                }
                timeout = Duration::ZERO; // the next line may have been read already
            }
        }
    }

    /// Chooses the relays for this peer, and ties them to it.
    fn set_peer(&mut self, peer: Option<PublicKey>) {
        if let Some(former) = self.peer.take() {
            self.pool.remove_peer(former);
        }
        meeting::sort(&mut self.candidates, self.pool.public_key(), peer);
        self.reserve = self.candidates.iter().cloned().collect();
        self.peer = peer.map(|peer| self.pool.add_peer(peer));
        match peer {
            None => println!("* No peer is set. Set one with /peer KEY"),
            Some(peer) => println!("* Waiting for {peer:.8}"),
        }
        self.unreached.clear();
        let former = std::mem::take(&mut self.in_use);
        while self.in_use.len() < IN_USE && self.use_next() {}
        for relay in former.into_iter().filter(|relay| !self.in_use.contains(relay)) {
            self.pool.remove_relay(relay);
        }
    }

    /// Uses one more relay. Returns `false` if there is none, or if enough are used.
    fn use_next(&mut self) -> bool {
        if self.in_use.len() == MOST {
            return false;
        }
        let Some(Candidate { rank, relay }) = self.reserve.pop_front() else { return false };
        let origin = if rank == Rank::Named { Origin::User } else { Origin::List };
        match self.pool.add_relay(relay, origin) {
            Ok(relay) => {
                self.in_use.push(relay);
                if let Some(Err(error)) = self.peer.map(|peer| self.pool.tie(peer, relay)) {
                    println!("* {error}");
                }
            }
            Err(error) => println!("* A relay cannot be used: {error}"),
        }
        true
    }

    fn handle_event(&mut self, event: PoolEvent<'_>) -> Result<(), Box<dyn Error>> {
        match event {
            PoolEvent::RelayUp { relay, .. } => {
                println!("* Connected to relay {}", self.name(relay));
                self.was_connected = true;
            }
            PoolEvent::RelayDown { reason: DisconnectReason::ClosedByCaller, .. } => {} // it is not used any more
            PoolEvent::RelayDown { relay, reason, status, .. } => self.handle_down(relay, reason, status),
            PoolEvent::RelayRefused { relay, .. } => self.handle_refused(relay)?,
            PoolEvent::PeerOnline { peer, .. } => println!("* {} is online", self.short_key(peer)),
            PoolEvent::PeerMoved { from, relay, cause, .. } => {
                let why = match cause {
                    MoveCause::Silent => "does not answer",
                    MoveCause::Full => "is full",
                    MoveCause::Faster => "is slow",
                    _ => return Ok(()), // it was lost, which was printed, or the peer has left it
                };
                println!("* Relay {} {why}, going on by {}", self.name(from), self.name(relay));
            }
            PoolEvent::PeerOffline { peer, .. } => println!("* {} is offline", self.short_key(peer)),
            PoolEvent::RouteRefused { peer, relay, .. } => {
                println!("* Relay {} refuses a route to {}", self.name(relay), self.short_key(peer));
            }
            PoolEvent::Unsent { bytes, .. } => println!("* {bytes} bytes were not sent"),
            PoolEvent::Data { peer, data, .. } => println!("{}: {}", self.short_key(peer), printable(data)),
            PoolEvent::Oob { sender, data, .. } => {
                println!("{sender:.8} (not your peer): {}", printable(data));
            }
            _ => {} // `Writable` needs no handling: the main loop tries the unsent line again after each poll
        }
        Ok(())
    }

    /// A relay was lost, or an attempt to reach it has failed. The pool tries again. A person is here, and decides how
    /// long that goes on.
    fn handle_down(&mut self, relay: RelayId, reason: DisconnectReason, status: &ConnectionStatus) {
        let address = &status.address;
        let is_news = status.connected_at.is_none() && self.unreached.insert(relay);
        match (status.connected_at, self.other_relay()) {
            (Some(_), Some(other)) => println!("* Relay {address} lost, going on by {other}: {reason}"),
            (Some(_), None) => println!("* Relay {address} lost: {reason}. Not connected; trying again"),
            (None, None) => println!("* Not connected: relay {address}: {reason}. Trying again"),
            (None, Some(_)) if is_news => println!("* No connection to relay {address}: {reason}"),
            (None, Some(_)) => {} // it is tried again and again, and is not missing
        }
        match status.queued {
            0 => {}
            unsent => println!("* {unsent} bytes were not sent"),
        }
        if is_news {
            self.use_next();
        }
    }

    /// No attempt could begin.
    fn handle_refused(&mut self, relay: RelayId) -> Result<(), Box<dyn Error>> {
        let Some(status) = self.pool.relay(relay) else { return Ok(()) };
        let Some(error) = status.refused else { return Ok(()) };
        println!("* Relay {} cannot be used: {error}", self.name(relay));
        if self.unreached.insert(relay) && self.use_next() {
            return Ok(());
        }
        let is_hopeless = |relay: &RelayId| {
            let refused = self.pool.relay(*relay).and_then(|status| status.refused);
            refused.is_some_and(|error| error.retry() == Retry::Ask)
        };
        if self.in_use.iter().all(is_hopeless) { Err("no relay can be used".into()) } else { Ok(()) }
    }

    /// The relay by which it goes on: the carrier, or any that is connected.
    fn other_relay(&self) -> Option<String> {
        let carrier = self.peer.and_then(|peer| self.pool.peer(peer)?.used);
        let is_connected = |relay: &RelayId| self.pool.relay(*relay).is_some_and(|relay| relay.is_connected);
        carrier.or_else(|| self.in_use.iter().copied().find(is_connected)).map(|relay| self.name(relay))
    }

    /// The address of a relay: the one of its connection if there is any.
    fn name(&self, relay: RelayId) -> String {
        let Some(status) = self.pool.relay(relay) else { return "that was removed".to_owned() };
        let connection = status.connection.and_then(|connection| self.pool.client().connection(connection));
        let known = status.relay.addresses().ok().and_then(<[_]>::first);
        connection
            .map(|status| status.address.to_string())
            .or(known.map(ToString::to_string))
            .unwrap_or_default()
    }

    fn short_key(&self, peer: PeerId) -> String {
        self.pool.peer(peer).map(|peer| format!("{:.8}", peer.public_key)).unwrap_or_default()
    }

    fn handle_line(&mut self, line: &str) {
        let text = match line.strip_prefix('/') {
            None => line,
            Some(text) if text.starts_with('/') => text, // `//text` sends `/text`
            Some(command) => return self.handle_command(command),
        };
        if !text.is_empty() {
            self.unsent = Some(text.to_owned());
            self.send_unsent();
        }
    }

    /// Handles a command other than `/quit`, without its `/`.
    fn handle_command(&mut self, command: &str) {
        match command.split_once(char::is_whitespace).unwrap_or((command, "")) {
            ("peer", key) => match key.trim().parse() {
                Ok(peer) if peer == self.pool.public_key() => println!("* /peer KEY: this is your own key"),
                Ok(peer) => self.set_peer(Some(peer)),
                Err(error) => println!("* /peer KEY: {error}"),
            },
            (name, _) => {
                println!(
                    "* Unknown command /{name}. Use /peer KEY or /quit, or // to send a line that begins with /"
                );
            }
        }
    }

    /// Sends the unsent line: as data if the peer is online, otherwise out of band.
    fn send_unsent(&mut self) {
        let Some(text) = &self.unsent else { return };
        match self.peer.map(|peer| self.pool.send(peer, text.as_bytes())) {
            None => println!("* Not sent: no peer is set. Set one with /peer KEY"),
            Some(Ok(_)) => {}
            Some(Err(PoolSendError::WouldBlock)) => return, // tried again after the next poll
            Some(Err(error)) => println!("* Not sent: {error}"),
        }
        self.unsent = None;
    }

    /// Waits up to two seconds until everything is sent, then closes the routes. A relay reports a closed route to the
    /// peer at once, but may need 40 s to notice a closed connection.
    fn leave(mut self) -> Result<(), Box<dyn Error>> {
        if !self.was_connected {
            return Err("it was never connected to a relay".into());
        }
        let until = Instant::now() + Duration::from_secs(2);
        let mut events = PoolEvents::with_capacity(64);
        while !self.has_drained() && Instant::now() < until {
            self.pool.poll(&mut events, Some(TICK))?;
        }
        if let Some(peer) = self.peer {
            self.pool.remove_peer(peer);
        }
        match self.pool.close() {
            0 => {}
            unsent => println!("* {unsent} bytes were not sent"),
        }
        Ok(())
    }

    /// Whether everything is sent. Nothing but requests waits for relays that are not connected yet.
    fn has_drained(&self) -> bool {
        let client = self.pool.client();
        let mut connected = client.connections().filter(|id| client.stage(*id) == Some(Stage::Connected));
        connected.all(|id| client.has_drained(id) == Some(true))
    }
}

/// Control characters in received data must not reach the terminal.
fn printable(data: &[u8]) -> String {
    String::from_utf8_lossy(data).replace(char::is_control, "\u{fffd}")
}
