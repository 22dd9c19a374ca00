//! One connection of a user, driven as the loop does it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::rc::Rc;
use std::time::Instant;

use tox_relay_client::proto::{AttemptId, Connection, End, Entropy, MIN_SCRATCH, Shared};
use tox_relay_client::{
    DisconnectReason, Events, Impostor, PublicKey, RouteError, RouteId, RouteState, SecretKey, SendError,
    Stage,
};

use crate::link::{Link, Read};
use crate::rng::Rng;

/// The most bytes that one turn reads from a connection, as in the loop.
const BUDGET: usize = 64 * 1024;

/// The most events that result from one packet: a connection handles packets while it has room for as many.
pub const MAX_PER_PACKET: usize = 2;

/// One connection.
pub struct Endpoint {
    /// The index of the relay.
    pub relay: usize,
    pub connection: Connection,
    pub link: Rc<RefCell<Link>>,
    /// The port of the address at which the link is; all others lead somewhere else.
    pub working: u16,
    /// A hello of an earlier connection to this relay, which an attacker has recorded.
    recorded: Option<Vec<u8>>,
    /// What an attacker can replay to the next connection.
    pub next_recorded: Option<Vec<u8>>,
    /// Whether one has replayed something to this one.
    pub replayed: bool,
    /// The attempt at that address, when it has begun.
    attempt: Option<AttemptId>,
    is_linked: bool,
    pub connected: bool,
    /// Bytes that were read and not handled yet, since `Events` was full.
    leftover: Vec<u8>,
    /// Since when it may have had unread input and no turn.
    pub ready_since: Option<Instant>,
    /// Every route that was ever opened here.
    all_routes: BTreeSet<RouteId>,
    /// The routes that are not closed.
    pub routes: BTreeMap<RouteId, Known>,
    /// Whether a send was refused since the queue was last empty.
    pub was_refused: bool,
    /// Whether no `Writable` has followed yet.
    pub awaits_writable: bool,
    /// The generation of the last route.
    generation: u32,
}

/// What a user knows of a route.
pub struct Known {
    pub peer: PublicKey,
    pub state: RouteState,
}

impl Endpoint {
    /// A connection that reaches the relay by this link at the port `working`.
    pub fn new(
        relay: usize,
        connection: Connection,
        working: u16,
        recorded: Option<Vec<u8>>,
        link: Rc<RefCell<Link>>,
    ) -> Self {
        Self {
            relay,
            connection,
            link,
            working,
            recorded,
            next_recorded: None,
            replayed: false,
            attempt: None,
            is_linked: false,
            connected: false,
            leftover: Vec::new(),
            ready_since: None,
            all_routes: BTreeSet::new(),
            routes: BTreeMap::new(),
            was_refused: false,
            awaits_writable: false,
            generation: 0,
        }
    }

    /// Whether a turn would have something to do.
    pub fn has_input(&self, now: Instant) -> bool {
        let link = self.link.borrow();
        match self.is_linked {
            false => self.attempt.is_some() && link.established <= now,
            true => !self.leftover.is_empty() || link.down.has_arrived(now),
        }
    }

    /// What the loop does for a connection in one turn.
    pub fn turn(&mut self, now: Instant, events: &mut Events, rng: &mut Rng) -> Result<(), DisconnectReason> {
        let mut end = self.begin_attempts(now, rng);
        let is_cut = self.link.borrow().cut;
        if let (true, Some(attempt)) = (is_cut, self.attempt) {
            end = end.and_then(|()| self.connection.handle_end(attempt, End::Closed));
        }
        if let (Some(since), Some(attempt)) = (self.ready_since.take(), self.attempt)
            && end.is_ok()
            && !is_cut
        {
            self.connection.handle_turn(now, attempt, since);
            if !std::mem::replace(&mut self.is_linked, true) {
                self.connection.handle_connected(now, attempt);
            }
            end = self.receive(now, attempt, events, rng);
        }
        let end = end.and_then(|()| {
            let unread = self.has_input(now);
            if self.connection.deadline() <= now {
                self.connection.handle_timeout(now, unread, ping(rng))?;
            }
            self.flush(now, rng);
            Ok(())
        });
        if let Err(reason) = end {
            self.check_end(reason);
        }
        end
    }

    /// Begins the attempts that are due. At the addresses that are not the relay's, there is nobody, nobody answers,
    /// another server answers, or an attacker replays what it has recorded.
    fn begin_attempts(&mut self, now: Instant, rng: &mut Rng) -> Result<(), DisconnectReason> {
        while let Some((attempt, address)) = self.connection.begin_attempt(now, entropy(rng)) {
            if address.port() == self.working {
                self.attempt = Some(attempt);
                continue;
            }
            match rng.range(0, 3) {
                0 => self
                    .connection
                    .handle_end(attempt, End::Failed(io::ErrorKind::ConnectionRefused, None))?,
                1 => {}
                // Only before the link is in use: it would be closed, and is not opened a second time.
                2 if self.recorded.is_some() && self.attempt.is_none() => {
                    self.connection.handle_connected(now, attempt);
                    let hello = self.recorded.as_deref().unwrap_or_default();
                    let (mut answer, mut events) = (hello[32..].to_vec(), Events::with_capacity(2));
                    self.connection.receive(now, attempt, &mut answer, &mut Shared::new(), &mut events)?;
                    assert_eq!(self.connection.stage(), Stage::Confirming);
                    self.replayed = true;
                    if rng.one_in(2) {
                        self.connection.handle_end(attempt, End::Closed)?;
                    }
                }
                _ => {
                    self.connection.handle_connected(now, attempt);
                    let mut hello = Vec::new();
                    let write = |bytes: &[u8]| hello.write(bytes);
                    let all = self.connection.flush(
                        now,
                        attempt,
                        NonZeroU64::MIN,
                        &mut Shared::new(),
                        &mut [0; MIN_SCRATCH],
                        write,
                    );
                    assert_eq!((all.ok(), hello.len()), (Some(true), 128), "nothing but a hello");
                    let (mut answer, mut events) = (rng.bytes::<200>(), Events::with_capacity(2));
                    self.connection.receive(now, attempt, &mut answer, &mut Shared::new(), &mut events)?;
                    assert!(events.is_empty() && !self.connection.is_open(attempt));
                    self.next_recorded = Some(hello);
                }
            }
        }
        Ok(())
    }

    /// Checks that the simulation has caused this end.
    fn check_end(&self, reason: DisconnectReason) {
        let link = self.link.borrow();
        match reason {
            DisconnectReason::Closed { .. } => {}
            // The attacker, after the link has failed as well.
            DisconnectReason::NoPong(Stage::Confirming) if self.replayed => {}
            DisconnectReason::TimedOut { .. } | DisconnectReason::NoPong(_) => {
                assert!(link.troubled || link.cut, "{reason}, and there was no fault");
            }
            // Another address, after the link has failed as well.
            DisconnectReason::Refused(_) | DisconnectReason::Impostor(Impostor::WrongKey)
                if self.connection.failed_attempts().len() > 1 =>
            {
                assert!(!self.connected, "{reason} after the handshake");
            }
            other => panic!("{other}, and the relay is honest"),
        }
    }

    fn receive(
        &mut self,
        now: Instant,
        attempt: AttemptId,
        events: &mut Events,
        rng: &mut Rng,
    ) -> Result<(), DisconnectReason> {
        let mut budget = BUDGET;
        loop {
            let mut bytes = std::mem::take(&mut self.leftover);
            if bytes.is_empty() {
                let most = rng.magnitude(1, BUDGET).min(budget);
                match self.link.borrow_mut().down.read(now, most) {
                    Read::Bytes(read) => bytes = read,
                    Read::Nothing => return Ok(()),
                    Read::End => return self.connection.handle_end(attempt, End::Closed),
                }
                budget -= bytes.len();
            }
            let taken = self.connection.receive(now, attempt, &mut bytes, &mut Shared::new(), events)?;
            let is_full = events.capacity() - events.len() < MAX_PER_PACKET;
            assert!(taken == bytes.len() || is_full, "bytes left over, and room for events");
            self.leftover = bytes.split_off(taken);
            if budget == 0 || !self.leftover.is_empty() || is_full {
                return Ok(());
            }
        }
    }

    pub fn flush(&mut self, now: Instant, rng: &mut Rng) {
        let Some(attempt) = self.attempt.filter(|_| self.is_linked) else { return };
        let mut link = self.link.borrow_mut();
        let mut scratch = vec![0; rng.magnitude(MIN_SCRATCH, BUDGET)];
        let all = self.connection.flush(now, attempt, ping(rng), &mut Shared::new(), &mut scratch, |bytes| {
            let some = rng.magnitude(1, bytes.len());
            match link.up.write(&bytes[..some], now, rng) {
                0 => Err(io::ErrorKind::WouldBlock.into()),
                taken => Ok(taken),
            }
        });
        assert_eq!(all.expect("no error but a full pipe"), !self.connection.has_output(attempt));
        drop(link);
        if self.connection.take_writable() {
            assert!(self.was_refused, "room, and nobody was refused");
            self.awaits_writable = false;
        }
        // Before it is connected, what was sent counts, too.
        if self.connected && self.connection.queued() == 0 {
            assert!(!self.awaits_writable, "an empty queue, and nobody is reported");
            self.was_refused = false;
        }
        assert!(self.connection.queued() <= 128 * 1024);
        assert!(self.connection.route_count() <= 240);
    }

    pub fn open(&mut self, peer: PublicKey) {
        let before = self.connection.find_route(&peer);
        self.generation += 1;
        match self.connection.open_route(peer, self.generation, 0) {
            Ok(route) => {
                assert!(before.is_none());
                assert!(self.all_routes.insert(route), "{route} was used before");
                self.routes.insert(route, Known { peer, state: RouteState::Requested });
            }
            Err(RouteError::Exists(route)) => {
                assert_eq!((Some(route), self.routes[&route].peer), (before, peer));
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Closes a route, after which its id is invalid.
    pub fn close(&mut self, route: RouteId) {
        let known = self.routes.remove(&route).expect("a route that is not closed");
        let unsent = self.connection.close_route(route).expect("a route that is not closed");
        self.link.borrow_mut().ledger.withdraw(*known.peer.as_bytes(), unsent);
        assert_eq!(self.connection.close_route(route), Err(RouteError::UnknownRoute));
        assert_eq!(self.connection.send_data(route, b"x"), Err(SendError::UnknownRoute));
    }

    pub fn close_all(&mut self) {
        let routes: Vec<_> = self.routes.keys().copied().collect();
        routes.into_iter().for_each(|route| self.close(route));
    }

    pub fn change_route(&mut self, route: RouteId, peer: PublicKey, from: RouteState, to: RouteState) {
        let known = self.routes.get_mut(&route).expect("a route that is not closed");
        assert_eq!((known.peer, known.state), (peer, from));
        known.state = to;
    }

    /// The routes by peer, and whether they are online.
    pub fn known_routes(&self) -> BTreeMap<[u8; 32], bool> {
        self.routes
            .values()
            .map(|known| (*known.peer.as_bytes(), known.state == RouteState::Online))
            .collect()
    }

    /// Whether nothing is in flight in either direction, and nothing is queued.
    pub fn is_quiet(&self) -> bool {
        let requested = |known: &Known| known.state == RouteState::Requested;
        self.connected
            && self.connection.has_drained()
            && !self.awaits_writable
            && self.leftover.is_empty()
            && !self.routes.values().any(requested)
            && self.link.borrow().ledger.is_settled()
    }
}

fn entropy(rng: &mut Rng) -> Entropy {
    Entropy {
        temporary: SecretKey::from(rng.bytes::<32>()),
        hello_nonce: rng.bytes(),
        base_nonce: rng.bytes(),
    }
}

/// The id of a ping.
pub fn ping(rng: &mut Rng) -> NonZeroU64 {
    NonZeroU64::new(rng.number()).unwrap_or(NonZeroU64::MIN)
}
