//! How much waits at a relay that answers pings as it likes.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use tox_relay_client::proto::{AttemptId, Connection, Shared};
use tox_relay_client::{DisconnectReason, Event, Events, PublicKey, RouteId};
use tox_test_relay::kind;
use tox_test_relay::session::Session;

use crate::fixtures::{HandshakeFixture, begun};
use crate::input::Input;

const FIRST: AttemptId = AttemptId::FIRST;

/// The send queue, in bytes.
const QUEUE: usize = 64 * 1024;

/// The most bytes that may be unconfirmed besides the window: requests for 240 routes, pings and probes.
const IMPORTANT: usize = 30_000;

/// The rounds in which everything arrives at a relay that answers in time.
const ROUNDS: usize = 10_000;

/// However a relay answers: no panic, and never more unconfirmed than the window and what is important. Once it answers
/// in time, everything arrives.
pub fn window(data: &[u8]) {
    let mut input = Input::new(data);
    let bound = [Some(16 * 1024), Some(100_000), Some(16 * 1024 * 1024), None];
    let Ok(mut pair) = Pair::new(bound[usize::from(input.byte() % 4)]) else { return };
    while !input.is_empty() {
        if pair.step(&mut input).is_err() {
            return;
        }
        pair.check();
    }
    for _ in 0..ROUNDS {
        let end = pair.flush(usize::MAX, 64 * 1024).and_then(|()| {
            pair.answer_all()?;
            pair.pass(Duration::from_millis(1))
        });
        if end.is_err() || pair.connection.has_drained() {
            return;
        }
        pair.check();
    }
    panic!("{} bytes never left", pair.connection.queued());
}

struct Pair {
    connection: Connection,
    shared: Shared,
    session: Session,
    events: Events,
    route: RouteId,
    now: Instant,
    last_turn: Instant,
    /// The ids of all pings so far.
    ids: u64,
    scratch: Vec<u8>,
    /// The pings that the relay has not answered.
    pings: VecDeque<Vec<u8>>,
    bound: Option<usize>,
    /// The largest window so far.
    largest: usize,
    routes: u8,
}

impl Pair {
    /// Connected, with a route that is online.
    fn new(bound: Option<usize>) -> Result<Self, DisconnectReason> {
        let fixture = HandshakeFixture::get();
        let now = Instant::now();
        let mut connection = begun(&fixture.shared_key, None, QUEUE, bound, now);
        let (mut shared, mut events) = (Shared::new(), Events::with_capacity(16));
        connection.handle_connected(now, FIRST);
        let write = |bytes: &[u8]| Ok(bytes.len());
        connection
            .flush(now, FIRST, NonZeroU64::MIN, &mut shared, &mut [0; 4096], write)
            .expect("a socket that takes all");
        connection.receive(now, FIRST, &mut fixture.response.clone(), &mut shared, &mut events)?;
        let peer = PublicKey::from([9; 32]);
        let route = connection.open_route(peer, 0, 0).expect("the first route");
        let session = fixture.session();
        let (pings, largest) = (VecDeque::new(), 47_000);
        let mut pair = Self {
            connection,
            shared,
            session,
            events,
            route,
            now,
            last_turn: now,
            ids: 1,
            scratch: vec![0; 64 * 1024],
            pings,
            bound,
            largest,
            routes: 0,
        };
        pair.flush(usize::MAX, 4096)?;
        pair.answer_all()?;
        pair.receive(&[&[kind::ROUTING_RESPONSE, 16], &peer.as_bytes()[..]].concat())?;
        pair.receive(&[kind::CONNECTION_NOTIFICATION, 16])?;
        let is_online = |event: Event<'_>| matches!(event, Event::RouteOnline { .. });
        assert!(pair.events.iter().any(is_online));
        Ok(pair)
    }

    fn step(&mut self, input: &mut Input<'_>) -> Result<(), DisconnectReason> {
        let (operation, value) = (input.byte(), input.byte());
        match operation % 12 {
            0 | 1 => {
                let data = vec![value; 1_000 + usize::from(input.byte())];
                while self.connection.send_data(self.route, &data).is_ok() {}
            }
            2 => _ = self.connection.send_data(self.route, &vec![value; 1 + usize::from(value)]),
            3 | 4 => self.flush(usize::MAX, 64 * 1024)?,
            5 => self.flush(usize::from(input.word()), 2_100 + 200 * usize::from(value))?,
            6 => {
                if let Some(ping) = self.pings.pop_front() {
                    self.answer(&ping)?;
                }
            }
            7 => self.answer_all()?,
            8 => {
                // One that was not asked, one again, or the last one first.
                let ping = self.pings.back().cloned().unwrap_or(vec![value; 8]);
                self.answer(&ping)?;
                self.answer(&[value; 8])?;
            }
            9 => self.pass(Duration::from_millis(value.into()))?,
            10 if value < 64 => self.pass(Duration::from_millis(100 * u64::from(value)))?,
            10 => {
                self.routes = self.routes.saturating_add(1);
                let peer = PublicKey::from([self.routes, 1].repeat(16).try_into().unwrap_or([1; 32]));
                _ = self.connection.open_route(peer, self.routes.into(), 0);
            }
            _ if value < 8 => {
                let ping = self.ping();
                self.connection.handle_network_changed(self.now, ping);
            }
            _ => self.pass(Duration::from_millis(1))?,
        }
        Ok(())
    }

    fn check(&mut self) {
        self.largest = self.largest.max(self.connection.window().unwrap_or_default());
        if let Some(bound) = self.bound {
            assert!(self.connection.window().is_some_and(|window| window <= bound));
            let unconfirmed = self.connection.unconfirmed();
            assert!(unconfirmed <= self.largest + IMPORTANT, "{unconfirmed} of {}", self.largest);
        }
        assert!(self.connection.queued() <= QUEUE);
    }

    /// The id of the next ping. A flush may use as many as follow it.
    fn ping(&mut self) -> NonZeroU64 {
        self.ids += 10_000;
        NonZeroU64::new(self.ids).expect("not zero")
    }

    /// The relay receives what the socket takes: so many bytes at most.
    fn flush(&mut self, mut room: usize, scratch: usize) -> Result<(), DisconnectReason> {
        let mut bytes = Vec::new();
        let ping = self.ping();
        let write = |part: &[u8]| {
            let taken = part.len().min(room);
            room -= taken;
            bytes.extend_from_slice(&part[..taken]);
            if taken == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(taken) }
        };
        self.connection
            .flush(self.now, FIRST, ping, &mut self.shared, &mut self.scratch[..scratch], write)
            .expect("no error but a full socket");
        for packet in self.session.open(&bytes).expect("packets that open") {
            if let [kind::PING, id @ ..] = &packet[..] {
                self.pings.push_back(id.to_vec());
            }
        }
        Ok(())
    }

    fn answer_all(&mut self) -> Result<(), DisconnectReason> {
        while let Some(ping) = self.pings.pop_front() {
            self.answer(&ping)?;
        }
        Ok(())
    }

    fn answer(&mut self, id: &[u8]) -> Result<(), DisconnectReason> {
        self.receive(&[&[kind::PONG], id].concat())
    }

    fn receive(&mut self, plaintext: &[u8]) -> Result<(), DisconnectReason> {
        let mut sealed = Vec::new();
        self.session.seal(plaintext, &mut sealed);
        self.events.clear();
        self.connection.handle_turn(self.now, FIRST, self.last_turn);
        self.last_turn = self.now;
        let taken =
            self.connection.receive(self.now, FIRST, &mut sealed, &mut self.shared, &mut self.events)?;
        assert_eq!(taken, sealed.len());
        Ok(())
    }

    fn pass(&mut self, time: Duration) -> Result<(), DisconnectReason> {
        self.now += time;
        let ping = self.ping();
        self.connection.handle_timeout(self.now, false, ping)
    }
}
