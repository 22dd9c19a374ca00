//! The core in virtual time, against a relay that the tests control packet by packet.

mod attempts;
mod counters;
mod early;
mod handshake;
mod keepalive;
mod liveness;
mod malicious;
mod receiving;
mod routes;
mod sending;
mod sharing;
mod tunnel;
mod turns;
mod window;

use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tox_test_relay::session::{Fresh, HELLO_LENGTH, Hello, Session, public_key};

use crate::config::Settings;
use crate::connection::transport::State;
use crate::connection::{Connection, End, MIN_SCRATCH, Parameters, Shared};
use crate::crypto::{Entropy, SharedKey};
use crate::error::{DisconnectReason, RouteError, SendError};
use crate::error::{Hint, Impostor, Violation};
use crate::event::Event;
use crate::events::Events;
use crate::id::{AttemptId, ConnectionId, RouteId};
use crate::key::PublicKey;
use crate::key::SecretKey;
use crate::stage::Party;
use crate::stage::Stage;
use crate::status::ConnectTimes;
use crate::wire::Destination;

const RELAY_SECRET: [u8; 32] = [1; 32];
const CLIENT_SECRET: [u8; 32] = [2; 32];
const ID: ConnectionId = ConnectionId { index: 3, generation: 9 };
const TOKEN: u64 = 55;
const FIRST_PING: u64 = 77;
const FIRST: AttemptId = AttemptId::FIRST;

/// The id of the first ping between data; another one each time, as if it was random.
fn bulk_ping() -> NonZeroU64 {
    static NEXT: AtomicU64 = AtomicU64::new(1 << 32);
    NonZeroU64::new(NEXT.fetch_add(1 << 20, Ordering::Relaxed)).unwrap()
}

/// Nonces shortly before a carry through all 24 bytes, so that every test includes this carry.
const CLIENT_BASE: [u8; 24] = [0xff; 24];
const RELAY_BASE: [u8; 24] = {
    let mut nonce = [0xff; 24];
    nonce[23] = 0xfe;
    nonce
};

/// A connection, the relay at its other end, and the current time.
struct Pair {
    connection: Connection,
    relay: Session,
    now: Instant,
    started: Instant,
    events: Events,
    shared: Shared,
    scratch: Vec<u8>,
    /// The id of the next ping.
    ping: u64,
}

fn key(byte: u8) -> PublicKey {
    PublicKey::from([byte; 32])
}

/// The reason after the connect timeout of a direct connection that received nothing.
fn timed_out(stage: Stage) -> DisconnectReason {
    DisconnectReason::TimedOut { stage, party: Party::Relay, hint: None }
}

/// The token of a route to this peer.
fn route_token(peer: PublicKey) -> u64 {
    1000 + u64::from(peer.as_bytes()[0])
}

impl Connection {
    /// Opens a route with a new generation and the token for this peer.
    fn open(&mut self, peer: PublicKey) -> Result<RouteId, RouteError> {
        self.generation += 1;
        self.open_route(peer, self.generation, route_token(peer))
    }
}

/// The default settings, but for the window, which is not bounded.
fn without_window() -> Settings {
    Settings { window: None, ..Settings::default() }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The shared key of this client and the relay.
fn shared_key(client: [u8; 32]) -> Arc<SharedKey> {
    let relay = PublicKey::from(public_key(&RELAY_SECRET));
    Arc::new(SharedKey::new(&SecretKey::from(client).into(), &relay).expect("a good key"))
}

fn parameters(settings: Settings) -> Parameters {
    Parameters {
        id: ID,
        shared_key: shared_key(CLIENT_SECRET),
        addresses: vec!["1.2.3.4:258".parse().unwrap()],
        proxy: None,
        settings: Arc::new(settings),
        connect_timeout: None,
        ping: NonZeroU64::new(FIRST_PING).unwrap(),
        token: TOKEN,
    }
}

fn entropy() -> Entropy {
    Entropy { temporary: SecretKey::from([3; 32]), hello_nonce: [4; 24], base_nonce: CLIENT_BASE }
}

/// A connection whose first attempt has begun.
fn begun(parameters: Parameters, entropy: Entropy, now: Instant) -> Connection {
    let mut connection = Connection::new(parameters, now);
    let (attempt, _) = connection.begin_attempt(now, entropy).expect("the first attempt");
    assert_eq!(attempt, FIRST);
    connection
}

fn fresh() -> Fresh {
    Fresh { temporary_secret_key: [5; 32], base_nonce: RELAY_BASE, response_nonce: [6; 24] }
}

/// A connection whose transport is connecting.
fn connecting(now: Instant) -> Connection {
    begun(parameters(Settings::default()), entropy(), now)
}

/// Connects the transport, and returns the hello.
fn hello(connection: &mut Connection, now: Instant) -> Hello {
    connection.handle_connected(now, FIRST);
    let bytes = flush(connection, now, &mut vec![0; 4096]);
    let bytes: [u8; HELLO_LENGTH] = bytes.try_into().expect("a hello and nothing else");
    Hello::open(&bytes, &RELAY_SECRET).expect("a hello for this relay")
}

/// Everything that is queued for sending.
fn flush(connection: &mut Connection, now: Instant, scratch: &mut [u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let all = connection.flush(now, FIRST, bulk_ping(), &mut Shared::new(), scratch, |part| {
        bytes.extend_from_slice(part);
        Ok(part.len())
    });
    assert!(all.unwrap());
    bytes
}

impl Pair {
    /// After the handshake response; the first ping is not sent yet.
    fn confirming() -> Self {
        Self::confirming_with(Settings::default())
    }

    fn confirming_with(settings: Settings) -> Self {
        let now = Instant::now();
        let mut connection = begun(parameters(settings), entropy(), now);
        let (mut response, relay) = hello(&mut connection, now).accept(&fresh());
        let mut events = Events::with_capacity(10_000);
        assert_eq!(
            connection.receive(now, FIRST, &mut response, &mut Shared::new(), &mut events),
            Ok(response.len())
        );
        assert!(events.is_empty());
        Self {
            connection,
            relay,
            now,
            started: now,
            events,
            shared: Shared::new(),
            scratch: vec![0; 64 * 1024],
            ping: 1000,
        }
    }

    fn connected() -> Self {
        Self::connected_with(Settings::default())
    }

    fn connected_with(settings: Settings) -> Self {
        let mut pair = Self::confirming_with(settings);
        assert_eq!(pair.sent(), [ping(FIRST_PING)]);
        pair.relay_sends(&[pong(FIRST_PING)]).unwrap();
        assert_eq!(pair.take_events(), [format!("{:?}", Event::Connected { connection: ID, token: TOKEN })]);
        pair
    }

    /// With one online route, whose connection id is 16.
    fn with_route(settings: Settings, peer: PublicKey) -> (Self, RouteId) {
        let mut pair = Self::connected_with(settings);
        let route = pair.connection.open(peer).unwrap();
        assert_eq!(pair.sent(), [routing_request(peer)]);
        pair.relay_sends(&[routing_response(16, peer), vec![2, 16]]).unwrap();
        let reported = [
            format!("{:?}", Event::RouteOpened { connection: ID, route, token: route_token(peer), peer }),
            format!("{:?}", Event::RouteOnline { connection: ID, route, token: route_token(peer), peer }),
        ];
        assert_eq!(pair.take_events(), reported);
        (pair, route)
    }

    /// Packets of the relay, sealed for the stream.
    fn sealed(&mut self, plaintexts: &[Vec<u8>]) -> Vec<u8> {
        let mut stream = Vec::new();
        plaintexts.iter().for_each(|plaintext| self.relay.seal(plaintext, &mut stream));
        stream
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<usize, DisconnectReason> {
        self.connection.receive(self.now, FIRST, &mut bytes.to_vec(), &mut self.shared, &mut self.events)
    }

    /// The connection receives packets of the relay in one read.
    fn relay_sends(&mut self, plaintexts: &[Vec<u8>]) -> Result<(), DisconnectReason> {
        let stream = self.sealed(plaintexts);
        let taken = self.receive(&stream)?;
        assert_eq!(taken, stream.len());
        Ok(())
    }

    /// Sends everything queued, and returns the plaintexts sent since the last call.
    fn sent(&mut self) -> Vec<Vec<u8>> {
        let bytes = flush(&mut self.connection, self.now, &mut self.scratch);
        self.relay.open(&bytes).expect("packets that open")
    }

    /// One flush to a socket that has room for this many bytes.
    fn flush_some(&mut self, mut room: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let all = self.connection.flush(
            self.now,
            FIRST,
            bulk_ping(),
            &mut self.shared,
            &mut self.scratch,
            |part| {
                let taken = part.len().min(room);
                if taken == 0 {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                bytes.extend_from_slice(&part[..taken]);
                room -= taken;
                Ok(taken)
            },
        );
        assert_eq!(all.unwrap(), !self.connection.has_output(FIRST));
        bytes
    }

    /// Events since the last call, as text.
    fn take_events(&mut self) -> Vec<String> {
        let events = self.events.iter().map(|event| format!("{event:?}")).collect();
        self.events.clear();
        events
    }

    fn timeout(&mut self, unread: bool) -> Result<(), DisconnectReason> {
        self.ping += 1;
        self.connection.handle_timeout(self.now, unread, NonZeroU64::new(self.ping).unwrap())
    }

    /// Moves the time to the connection's deadline.
    fn next_deadline(&mut self) -> Result<(), DisconnectReason> {
        self.now = self.connection.deadline();
        self.timeout(false)
    }

    fn elapsed(&self) -> Duration {
        self.now - self.started
    }
}

fn ping(id: u64) -> Vec<u8> {
    [&[4][..], &id.to_be_bytes()].concat()
}

fn pong(id: u64) -> Vec<u8> {
    [&[5][..], &id.to_be_bytes()].concat()
}

fn routing_request(peer: PublicKey) -> Vec<u8> {
    [&[0][..], peer.as_bytes()].concat()
}

fn routing_response(number: u8, peer: PublicKey) -> Vec<u8> {
    [&[1, number][..], peer.as_bytes()].concat()
}

fn data(number: u8, data: &[u8]) -> Vec<u8> {
    [&[number], data].concat()
}

fn oob(data: &[u8]) -> Vec<u8> {
    [&[7][..], key(9).as_bytes(), data].concat()
}
