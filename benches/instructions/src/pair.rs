//! A connection and its relay, without a socket, with fixed keys and nonces.

use std::hint::black_box;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

use tox_relay_client::proto::{AttemptId, Connection, Entropy, KeyPair, Parameters, Shared, SharedKey};
use tox_relay_client::{ConnectionId, Events, PublicKey, Relay, RouteId, SecretKey, Stage};
use tox_test_relay::kind::{CONNECTION_NOTIFICATION, PONG, ROUTING_RESPONSE};
use tox_test_relay::session::{Fresh, Hello, Session, public_key};

/// The connection id of the first route.
pub const FIRST_ID: u8 = 16;

const RELAY_SECRET: [u8; 32] = [1; 32];
const CLIENT_SECRET: [u8; 32] = [2; 32];
const FIRST_PING: u64 = 77;

/// The most pings of one flush.
const PINGS: u64 = 8;

pub struct Pair {
    pub connection: Connection,
    pub events: Events,
    now: Instant,
    shared: Shared,
    scratch: Vec<u8>,
    relay: Session,
    /// The id of the first ping of the last flush.
    ping: NonZeroU64,
    /// The relay's handshake response, created in advance.
    response: Vec<u8>,
    pong: Vec<u8>,
}

impl Pair {
    /// Creates a connection whose transport is not connected yet.
    pub fn connecting() -> Self {
        let now = Instant::now();
        let mut scratch = vec![0; 64 * 1024];
        // Both connections get the same parameters, so the hello of one equals the hello of the other.
        let (response, mut relay) = hello(now, &mut scratch).accept(&Fresh {
            temporary_secret_key: [5; 32],
            base_nonce: [6; 24],
            response_nonce: [7; 24],
        });
        let mut pong = Vec::new();
        relay.seal(&[&[PONG][..], &FIRST_PING.to_be_bytes()].concat(), &mut pong);
        Self {
            connection: begun(now),
            events: Events::with_capacity(256),
            now,
            shared: Shared::new(),
            scratch,
            relay,
            ping: NonZeroU64::MIN,
            response: response.into(),
            pong,
        }
    }

    /// Runs the whole handshake, up to the relay's proof.
    pub fn connect(&mut self) {
        self.connection.handle_connected(self.now, AttemptId::FIRST);
        self.flush();
        let mut response = std::mem::take(&mut self.response);
        self.receive(&mut response);
        self.flush();
        let mut pong = std::mem::take(&mut self.pong);
        self.receive(&mut pong);
        assert_eq!(self.connection.stage(), Stage::Connected);
    }

    /// Creates a connection with `count` routes that are online.
    pub fn with_routes(count: u8) -> (Self, Vec<RouteId>) {
        let mut pair = Self::connecting();
        pair.connect();
        let mut routes = Vec::new();
        for number in 0..count {
            routes.push(pair.connection.open_route(peer(number), number.into(), 0).expect("a new route"));
            pair.flush();
            let id = FIRST_ID + number;
            let response = [&[ROUTING_RESPONSE, id][..], peer(number).as_bytes()].concat();
            let mut stream = pair.sealed(&[&response, &[CONNECTION_NOTIFICATION, id]]);
            pair.receive(&mut stream);
        }
        (pair, routes)
    }

    /// Seals packets of the relay, as they are on the stream.
    pub fn sealed(&mut self, plaintexts: &[&[u8]]) -> Vec<u8> {
        let mut stream = Vec::new();
        plaintexts.iter().for_each(|plaintext| self.relay.seal(plaintext, &mut stream));
        stream
    }

    /// Passes the bytes of one read to the connection. Its events replace those of the last read.
    pub fn receive(&mut self, stream: &mut [u8]) {
        self.events.clear();
        let taken =
            self.connection.receive(self.now, AttemptId::FIRST, stream, &mut self.shared, &mut self.events);
        assert_eq!(taken, Ok(stream.len()));
    }

    /// Answers the pings of the last flush. (The relay does not read them; it knows their ids.)
    pub fn answer_pings(&mut self) {
        for id in self.ping.get()..self.ping.get() + PINGS {
            let mut pong = self.sealed(&[&[&[PONG][..], &id.to_be_bytes()].concat()]);
            self.receive(&mut pong);
        }
    }

    /// Sends all output to a transport that accepts everything.
    pub fn flush(&mut self) {
        let write = |bytes: &[u8]| Ok(black_box(bytes).len());
        self.ping = self.ping.saturating_add(PINGS);
        let all = self.connection.flush(
            self.now,
            AttemptId::FIRST,
            self.ping,
            &mut self.shared,
            &mut self.scratch,
            write,
        );
        assert!(all.expect("a transport that takes all"));
    }
}

/// The peer at the other end of a route.
pub fn peer(number: u8) -> PublicKey {
    PublicKey::from([number; 32])
}

fn parameters() -> Parameters {
    let key = PublicKey::from(public_key(&RELAY_SECRET));
    let client = KeyPair::from(SecretKey::from(CLIENT_SECRET));
    let shared_key = Arc::new(SharedKey::new(&client, &key).expect("a good key"));
    let ping = NonZeroU64::new(FIRST_PING).expect("not zero");
    Parameters::new(ConnectionId::from(3), shared_key, &Relay::new("192.0.2.2:33445", key), ping)
        .expect("a good relay")
}

/// A connection that waits for its transport.
fn begun(now: Instant) -> Connection {
    let mut connection = Connection::new(parameters(), now);
    let entropy = Entropy { temporary: SecretKey::from([3; 32]), hello_nonce: [4; 24], base_nonce: [8; 24] };
    connection.begin_attempt(now, entropy).expect("the first attempt");
    connection
}

/// The first message from a connection with these [`parameters`].
fn hello(now: Instant, scratch: &mut [u8]) -> Hello {
    let mut connection = begun(now);
    connection.handle_connected(now, AttemptId::FIRST);
    let mut bytes = Vec::new();
    let all = connection.flush(now, AttemptId::FIRST, NonZeroU64::MIN, &mut Shared::new(), scratch, |part| {
        bytes.extend_from_slice(part);
        Ok(part.len())
    });
    assert!(all.expect("a transport that takes all"));
    let bytes = bytes.try_into().expect("a hello and nothing else");
    Hello::open(&bytes, &RELAY_SECRET).expect("a hello for this relay")
}
