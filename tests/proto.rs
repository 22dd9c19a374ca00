//! The core as a driver of its own uses it: the module `proto`, with transports in memory and times that are made up.

use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tox_relay_client::proto::{
    AttemptId, Connection, End, Entropy, KeyPair, MIN_SCRATCH, Parameters, Shared, SharedKey,
};
use tox_relay_client::{
    ConnectError, ConnectionId, DisconnectReason, Event, Events, Party, PublicKey, Relay, SecretKey, Stage,
};
use tox_test_relay::kind;
use tox_test_relay::session::{Fresh, Hello, Session, public_key};

const RELAY_SECRET: [u8; 32] = [1; 32];
const FIRST: AttemptId = AttemptId::FIRST;
const PING: NonZeroU64 = NonZeroU64::new(77).unwrap();

fn relay_key() -> PublicKey {
    public_key(&RELAY_SECRET).into()
}

fn shared_key() -> Arc<SharedKey> {
    let client = KeyPair::from(SecretKey::from([2; 32]));
    Arc::new(SharedKey::new(&client, &relay_key()).expect("a good key"))
}

fn parameters(id: u64, relay: &Relay) -> Result<Parameters, ConnectError> {
    Parameters::new(ConnectionId::from(id), shared_key(), relay, PING)
}

fn connection(id: u64, relay: &Relay, now: Instant) -> Connection {
    Connection::new(parameters(id, relay).expect("a good relay"), now)
}

fn entropy(byte: u8) -> Entropy {
    Entropy { temporary: SecretKey::from([byte; 32]), hello_nonce: [byte; 24], base_nonce: [byte; 24] }
}

/// What the connection writes to the transport of this attempt.
fn written(connection: &mut Connection, now: Instant, attempt: AttemptId, shared: &mut Shared) -> Vec<u8> {
    let mut bytes = Vec::new();
    let write = |part: &[u8]| bytes.write(part);
    assert!(
        connection
            .flush(now, attempt, NonZeroU64::MIN, shared, &mut [0; MIN_SCRATCH], write)
            .expect("a vector")
    );
    bytes
}

/// Runs the handshake up to the relay's proof. Returns the relay's end.
fn connect(connection: &mut Connection, now: Instant, shared: &mut Shared, events: &mut Events) -> Session {
    connection.begin_attempt(now, entropy(3)).expect("it is due");
    connection.handle_connected(now, FIRST);
    let hello = written(connection, now, FIRST, shared).try_into().expect("a hello");
    let hello = Hello::open(&hello, &RELAY_SECRET).expect("a hello for this relay");
    let fresh = Fresh { temporary_secret_key: [5; 32], base_nonce: [6; 24], response_nonce: [7; 24] };
    let (response, mut relay) = hello.accept(&fresh);
    let mut input = Vec::from(response);
    relay.seal(&[&[kind::PONG][..], &PING.get().to_be_bytes()].concat(), &mut input);
    // The ping must have left before its pong.
    let (response, pong) = input.split_at_mut(96);
    connection.receive(now, FIRST, response, shared, events).expect("a response");
    written(connection, now, FIRST, shared);
    connection.receive(now, FIRST, pong, shared, events).expect("a pong");
    relay
}

#[test]
fn two_connections_of_one_driver_count_their_packets_together() {
    let (now, mut shared) = (Instant::now(), Shared::new());
    for id in [1, 2] {
        let mut events = Events::with_capacity(16);
        let mut connection = connection(id, &Relay::new("192.0.2.2:33445", relay_key()), now);
        connect(&mut connection, now, &mut shared, &mut events);
        let id = ConnectionId::from(id);
        assert!(events.iter().eq([Event::Connected { connection: id, token: 0 }]), "{events:?}");
        assert_eq!(connection.stage(), Stage::Connected);
    }
    let traffic = shared.traffic();
    assert_eq!((traffic.pings.packets_out, traffic.pings.packets_in), (2, 2));
    assert_eq!(traffic.all.bytes_out, 2 * (128 + 18 + 9));
    assert_eq!(traffic.all.bytes_in, 2 * (96 + 18 + 9));
}

#[test]
fn a_name_without_a_proxy_is_for_the_driver_to_resolve() {
    let now = Instant::now();
    let mut connection = connection(1, &Relay::new(("relay.example", 443), relay_key()), now);
    let (_, address) = connection.begin_attempt(now, entropy(3)).expect("it is due");
    assert_eq!((address.host_name(), address.port()), (Some("relay.example"), 443));
}

#[test]
fn parameters_that_cannot_work_are_errors() {
    let error = |relay: Relay| parameters(1, &relay).expect_err("an error");
    let malformed = error(Relay::new("nonsense", relay_key()));
    assert!(matches!(malformed, ConnectError::Address(_)), "{malformed}");
    let good = Relay::new("192.0.2.2:1", relay_key());
    let zero = error(good.clone().connect_timeout(Duration::ZERO));
    assert!(matches!(zero, ConnectError::ConnectTimeout), "{zero}");
    let many = (2..=17).fold(good, |relay, port| relay.address(SocketAddr::from(([192, 0, 2, 2], port))));
    assert!(matches!(error(many), ConnectError::TooManyAddresses));

    let client = KeyPair::from(SecretKey::from([2; 32]));
    let error = |key: PublicKey| SharedKey::new(&client, &key).expect_err("an error");
    assert!(matches!(error(client.public_key()), ConnectError::OwnKey));
    assert!(matches!(error([0xff; 32].into()), ConnectError::NonCanonicalKey));
    assert!(matches!(error([0; 32].into()), ConnectError::LowOrderKey));
}

#[test]
fn calls_in_the_wrong_order_do_no_harm() {
    let (now, mut shared) = (Instant::now(), Shared::new());
    let mut events = Events::with_capacity(2);
    let mut connection = connection(1, &Relay::new("192.0.2.2:1", relay_key()), now);
    // Before an attempt has begun.
    connection.handle_connected(now, FIRST);
    assert_eq!(connection.handle_end(FIRST, End::Closed), Ok(()));
    assert_eq!(connection.handle_timeout(now, false, PING), Ok(()));
    assert_eq!(connection.receive(now, FIRST, &mut [1, 2, 3], &mut shared, &mut events), Ok(3));
    assert!(!connection.ping(now, PING) && !connection.has_output(FIRST) && !connection.is_open(FIRST));
    assert!(written(&mut connection, now, FIRST, &mut shared).is_empty());

    connection.begin_attempt(now, entropy(3)).expect("it is due");
    assert!(connection.begin_attempt(now, entropy(4)).is_none(), "there is one address");
    connection.handle_connected(now, FIRST);
    connection.handle_connected(now, FIRST);
    assert_eq!(written(&mut connection, now, FIRST, &mut shared).len(), 128, "one hello");

    // After its end.
    let refused = End::Failed(std::io::ErrorKind::ConnectionRefused, None);
    let reason = connection.handle_end(FIRST, refused).expect_err("there is no other attempt");
    assert_eq!(reason.stage(), Some(Stage::Handshaking));
    assert_eq!(connection.handle_end(FIRST, End::Late), Ok(()));
    assert_eq!(connection.receive(now, FIRST, &mut [0; 200], &mut shared, &mut events), Ok(200));
    assert_eq!(connection.handle_timeout(now + Duration::from_secs(100), false, PING), Ok(()));
    assert!(connection.begin_attempt(now + Duration::from_secs(100), entropy(5)).is_none());
    assert!(events.is_empty() && !connection.has_output(FIRST));
}

#[test]
fn an_attempt_that_a_driver_gives_up_has_timed_out() {
    let now = Instant::now();
    let mut connection = connection(1, &Relay::new("192.0.2.2:1", relay_key()), now);
    connection.begin_attempt(now, entropy(3)).expect("it is due");
    let late = DisconnectReason::TimedOut { stage: Stage::Connecting, party: Party::Relay, hint: None };
    assert_eq!(connection.handle_end(FIRST, End::Late), Err(late));
}

#[test]
fn routes_of_connections_have_different_ids_if_the_lower_24_bits_of_their_ids_differ() {
    let now = Instant::now();
    let mut routes = Vec::new();
    for id in [0, 1, (1 << 24) - 1, u64::MAX - 1] {
        let mut connection = connection(id, &Relay::new("192.0.2.2:1", relay_key()), now);
        routes.push(connection.open_route([9; 32].into(), 0, 0).expect("the first route"));
    }
    routes.sort();
    routes.dedup();
    assert_eq!(routes.len(), 4);
}

#[test]
#[should_panic(expected = "too short for a packet")]
fn a_buffer_that_is_too_short_for_a_packet_is_refused() {
    let (now, mut shared) = (Instant::now(), Shared::new());
    let mut connection = connection(1, &Relay::new("192.0.2.2:1", relay_key()), now);
    let _ = connection
        .flush(now, FIRST, NonZeroU64::MIN, &mut shared, &mut [0; MIN_SCRATCH - 1], |part| Ok(part.len()));
}
