//! The sender: a connection whose queue is always full, driven as the loop does it.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tox_relay_client::proto::{
    AttemptId, Connection, Entropy, KeyPair, MIN_SCRATCH, Parameters, Shared, SharedKey,
};
use tox_relay_client::{
    Config, ConnectionId, DisconnectReason, Event, Events, PublicKey, RouteId, SecretKey,
};
use tox_test_relay::kind;
use tox_test_relay::session::{Fresh, Hello, public_key};

use crate::flow::line::{Line, LineKind, due};
use crate::flow::relay::{Relay, RelayKind};
use crate::rng::Rng;

const RELAY_SECRET: [u8; 32] = [1; 32];
const FIRST: AttemptId = AttemptId::FIRST;

/// The data of each packet, in bytes.
const LEN: usize = 1373;

/// How often a route is requested.
const REQUEST_INTERVAL: Duration = Duration::from_millis(500);

/// See the module.
pub struct Sender {
    pub connection: Connection,
    pub relay: Relay,
    line: Line,
    delay: Duration,
    /// What the relay has sent, with its arrival times.
    back: VecDeque<(Instant, Vec<u8>)>,
    route: RouteId,
    shared: Shared,
    scratch: Vec<u8>,
    events: Events,
    rng: Rng,
    routes: u32,
    /// The route that was requested, and when.
    requested: Option<(RouteId, Instant)>,
    request_at: Instant,
    latest_answer: Duration,
}

impl Sender {
    /// A sender that is connected, and has a route that is online, a round trip after `now`.
    pub fn new(
        line: &'static LineKind,
        relay: &'static RelayKind,
        is_bounded: bool,
        seed: u64,
        now: Instant,
    ) -> Self {
        let client = KeyPair::from(SecretKey::from([2; 32]));
        let key = PublicKey::from(public_key(&RELAY_SECRET));
        let shared_key = Arc::new(SharedKey::new(&client, &key).expect("a good key"));
        let config = Config::new(SecretKey::from([2; 32]));
        let config = if is_bounded { config } else { config.window(None) };
        let target = tox_relay_client::Relay::new("192.0.2.2:33445", key);
        let parameters = Parameters::new(ConnectionId::from(3), shared_key, &target, NonZeroU64::MIN)
            .expect("a good relay")
            .settings(Arc::new(config.settings().expect("good settings")));
        let mut connection = Connection::new(parameters, now);
        let temporary = SecretKey::from([3; 32]);
        let entropy = Entropy { temporary, hello_nonce: [4; 24], base_nonce: [5; 24] };
        connection.begin_attempt(now, entropy).expect("the first attempt");
        connection.handle_connected(now, FIRST);
        let (mut shared, mut events) = (Shared::new(), Events::with_capacity(16));
        let hello = flushed(&mut connection, &mut shared, now);
        let hello = Hello::open(&hello.try_into().expect("a hello"), &RELAY_SECRET).expect("a hello");
        let fresh = Fresh { temporary_secret_key: [6; 32], base_nonce: [7; 24], response_nonce: [8; 24] };
        let (mut response, session) = hello.accept(&fresh);
        let mut relay = Relay::new(relay, session, now);
        connection.receive(now, FIRST, &mut response, &mut shared, &mut events).expect("a response");
        let peer = PublicKey::from([9; 32]);
        let route = connection.open_route(peer, 0, 0).expect("a new route");
        relay.ignore(&flushed(&mut connection, &mut shared, now)); // the answers follow
        let now = now + 2 * line.delay;
        for answer in [
            [&[kind::PONG], &NonZeroU64::MIN.get().to_be_bytes()[..]].concat(),
            [&[kind::ROUTING_RESPONSE, 16], &peer.as_bytes()[..]].concat(),
            vec![kind::CONNECTION_NOTIFICATION, 16],
        ] {
            let mut sealed = relay.seal(&answer);
            connection.receive(now, FIRST, &mut sealed, &mut shared, &mut events).expect("an answer");
        }
        events.clear();
        Self {
            connection,
            relay,
            line: Line::new(line, now),
            delay: line.delay,
            back: VecDeque::new(),
            route,
            shared,
            scratch: vec![0; 64 * 1024],
            events,
            rng: Rng::new(seed),
            routes: 1,
            requested: None,
            request_at: now + REQUEST_INTERVAL,
            latest_answer: Duration::ZERO,
        }
    }

    /// One step of time, at both ends of the line.
    pub fn step(&mut self, now: Instant) -> Result<(), DisconnectReason> {
        let arrived = self.line.step(now, self.relay.waiting());
        let answers = self.relay.step(now, &arrived);
        if !answers.is_empty() {
            self.back.push_back((now + self.delay, answers));
        }
        while let Some((_, mut bytes)) = due(&mut self.back, now) {
            self.connection.handle_turn(now, AttemptId::FIRST, now);
            let mut rest = &mut bytes[..];
            while !rest.is_empty() {
                let taken = self.connection.receive(now, FIRST, rest, &mut self.shared, &mut self.events)?;
                rest = &mut rest[taken..];
                self.handle_events(now);
            }
        }
        if self.connection.deadline() <= now {
            let ping = NonZeroU64::new(self.rng.number()).unwrap_or(NonZeroU64::MIN);
            self.connection.handle_timeout(now, false, ping)?;
        }
        if self.requested.is_none() && self.request_at <= now {
            self.routes += 1;
            let peer = PublicKey::from(self.rng.bytes());
            let route = self.connection.open_route(peer, self.routes, 0).expect("a new route");
            self.requested = Some((route, now));
        }
        self.send(now);
        Ok(())
    }

    /// The longest time of an answer, also of one that was not there at the end.
    pub fn latest_answer(&self, end: Instant) -> Duration {
        let missing =
            self.requested.map_or(Duration::ZERO, |(_, since)| end.saturating_duration_since(since));
        self.latest_answer.max(missing)
    }

    fn handle_events(&mut self, now: Instant) {
        for event in &self.events {
            if let Event::RouteOpened { route, .. } = event
                && let Some((_, since)) = self.requested.take_if(|(requested, _)| *requested == route)
            {
                self.latest_answer = self.latest_answer.max(now - since);
                self.request_at = now + REQUEST_INTERVAL;
                self.connection.close_route(route).expect("a route");
            }
        }
        self.events.clear();
    }

    /// Fills the queue, and writes what the line takes.
    fn send(&mut self, now: Instant) {
        loop {
            while self.connection.send_data(self.route, &[1; LEN]).is_ok() {}
            if !self.connection.has_output(FIRST) {
                return;
            }
            let line = &mut self.line;
            let ping = NonZeroU64::new(self.rng.number()).unwrap_or(NonZeroU64::MIN);
            let write = |bytes: &[u8]| match line.write(bytes) {
                0 => Err(io::ErrorKind::WouldBlock.into()),
                taken => Ok(taken),
            };
            let all = self.connection.flush(now, FIRST, ping, &mut self.shared, &mut self.scratch, write);
            if !all.expect("no error but a full line") {
                return;
            }
        }
    }
}

/// Everything that is to be sent.
fn flushed(connection: &mut Connection, shared: &mut Shared, now: Instant) -> Vec<u8> {
    let mut bytes = Vec::new();
    let write = |part: &[u8]| io::Write::write(&mut bytes, part);
    connection
        .flush(now, FIRST, NonZeroU64::MAX, shared, &mut [0; MIN_SCRATCH], write)
        .expect("a transport that takes all");
    bytes
}
