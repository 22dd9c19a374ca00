//! The fixed inputs of all runs: keys, the handshake, and the exchanges with proxies.

use std::io::Write;
use std::num::NonZeroU64;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tox_relay_client::proto::{
    AttemptId, Connection, Entropy, KeyPair, MIN_SCRATCH, Parameters, Shared, SharedKey,
};
use tox_relay_client::{Config, ConnectionId, PublicKey, Relay, SecretKey};
use tox_test_relay::session::{Fresh, HELLO_LENGTH, Hello, Key, Nonce, RESPONSE_LENGTH, Session, public_key};

use crate::model::TOKEN;

const CLIENT_SECRET: Key = [5; 32];
const CLIENT_TEMPORARY: Key = [7; 32];
const RELAY_SECRET: Key = [9; 32];
const RELAY_TEMPORARY: Key = [11; 32];

/// Incrementing both nonces soon carries through all of their bytes.
const CLIENT_NONCE: Nonce = [0xff; 24];
const RELAY_NONCE: Nonce = {
    let mut nonce = [0xff; 24];
    nonce[23] = 0xf0;
    nonce
};

/// The handshake, which is the same in each run: computing it takes longer than most runs.
pub struct HandshakeFixture {
    pub shared_key: Arc<SharedKey>,
    pub hello: [u8; HELLO_LENGTH],
    /// The hello, decrypted.
    pub opened: Hello,
    pub response: [u8; RESPONSE_LENGTH],
}

/// The exchange with a proxy that opens the tunnel.
pub struct ProxyExchange {
    url: &'static str,
    /// What the client writes first.
    pub request: &'static [u8],
    /// Each answer but the last one, and what the client writes then.
    pub answers: &'static [(&'static [u8], &'static [u8])],
    pub last_answer: &'static [u8],
}

pub const PROXIES: [ProxyExchange; 3] = [
    ProxyExchange {
        url: "socks5://192.0.2.1:1080",
        request: &[5, 1, 0],
        answers: &[(&[5, 0], &[5, 1, 0, 1, 192, 0, 2, 2, 0x82, 0xa5])],
        last_answer: &[5, 0, 0, 3, 1, b'x', 0, 0],
    },
    ProxyExchange {
        url: "socks4://192.0.2.1:1080",
        request: &[4, 1, 0x82, 0xa5, 192, 0, 2, 2, 0],
        answers: &[],
        last_answer: &[0, 90, 0, 0, 0, 0, 0, 0],
    },
    ProxyExchange {
        url: "http://192.0.2.1:3128",
        request: b"CONNECT 192.0.2.2:33445 HTTP/1.1\r\nHost: 192.0.2.2:33445\r\n\r\n",
        answers: &[],
        last_answer: b"HTTP/1.1 100 \r\n\r\nHTTP/1.0 200 OK\r\nA: b\r\n\r\n",
    },
];

impl HandshakeFixture {
    pub fn get() -> &'static Self {
        static FIXTURE: OnceLock<HandshakeFixture> = OnceLock::new();
        FIXTURE.get_or_init(|| {
            let client = KeyPair::from(SecretKey::from(CLIENT_SECRET));
            let relay = PublicKey::from(public_key(&RELAY_SECRET));
            let shared_key = Arc::new(SharedKey::new(&client, &relay).expect("a good key"));
            let hello = hello(&shared_key);
            let opened = Hello::open(&hello, &RELAY_SECRET).expect("a hello for this relay");
            let fresh = Fresh {
                temporary_secret_key: RELAY_TEMPORARY,
                base_nonce: RELAY_NONCE,
                response_nonce: [13; 24],
            };
            let (response, _) = opened.accept(&fresh);
            Self { shared_key, hello, opened, response }
        })
    }

    /// The relay's end of the connection.
    pub fn session(&self) -> Session {
        self.opened.session(&RELAY_TEMPORARY, RELAY_NONCE)
    }
}

/// A connection that waits for its first transport, directly or through a proxy.
pub fn begun(
    shared_key: &Arc<SharedKey>,
    proxy: Option<&ProxyExchange>,
    send_queue: usize,
    window: Option<usize>,
    now: Instant,
) -> Connection {
    let relay = Relay::new("192.0.2.2:33445", PublicKey::from(public_key(&RELAY_SECRET))).token(TOKEN);
    let relay = match proxy {
        Some(proxy) => relay.proxy(proxy.url.parse().expect("a proxy's URL")),
        None => relay,
    };
    let id = ConnectionId::from(4 << 32 | 3);
    let config = Config::new(SecretKey::from(CLIENT_SECRET)).send_queue(send_queue).window(window);
    let parameters = Parameters::new(id, Arc::clone(shared_key), &relay, NonZeroU64::MIN)
        .expect("a good relay")
        .settings(Arc::new(config.settings().expect("good settings")));
    let mut connection = Connection::new(parameters, now);
    connection.begin_attempt(now, entropy()).expect("the first attempt");
    connection
}

/// The hello of a connection that has this shared key.
fn hello(shared_key: &Arc<SharedKey>) -> [u8; HELLO_LENGTH] {
    let now = Instant::now();
    let mut connection = begun(shared_key, None, 4_068, None, now);
    connection.handle_connected(now, AttemptId::FIRST);
    let mut hello = Vec::new();
    let write = |bytes: &[u8]| hello.write(bytes);
    let all = connection.flush(
        now,
        AttemptId::FIRST,
        NonZeroU64::MIN,
        &mut Shared::new(),
        &mut [0; MIN_SCRATCH],
        write,
    );
    assert!(all.expect("a vector takes everything"));
    hello.try_into().expect("a hello and nothing else")
}

fn entropy() -> Entropy {
    Entropy { temporary: SecretKey::from(CLIENT_TEMPORARY), hello_nonce: [15; 24], base_nonce: CLIENT_NONCE }
}
