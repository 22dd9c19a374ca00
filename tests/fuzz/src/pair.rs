//! A connection of the core, the relay's end of it, and the model, which must agree after each step.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tox_relay_client::internals::{
    AttemptId, Connection, Entropy, EventsInternals, Handshake, KeyPair, Parameters, Settings, Shared,
    SharedKey, connection_id, slot,
};
use tox_relay_client::{
    ConnectionId, Destination, DisconnectReason, Events, Impostor, PublicKey, RouteError, RouteId, SecretKey,
    SendError, Stage,
};
use tox_test_relay::session::{Fresh, HELLO_LENGTH, Hello, Key, Nonce, RESPONSE_LENGTH, Session, public_key};

use crate::downstream::{Downstream, Step};
use crate::model::{Model, TOKEN, route_token, timed_out};

const RELAY: ConnectionId = connection_id(3, 4);
const CLIENT_SECRET: Key = [5; 32];
const CLIENT_TEMPORARY: Key = [7; 32];
const RELAY_SECRET: Key = [9; 32];
const RELAY_TEMPORARY: Key = [11; 32];

/// Both carry through all bytes soon.
const CLIENT_NONCE: Nonce = [0xff; 24];
const RELAY_NONCE: Nonce = {
    let mut nonce = [0xff; 24];
    nonce[23] = 0xf0;
    nonce
};

/// The handshake, which is the same each time. To make it takes longer than most runs.
struct Greeting {
    shared_key: Arc<SharedKey>,
    hello: [u8; HELLO_LENGTH],
    opened: Hello,
    response: [u8; RESPONSE_LENGTH],
}

/// A proxy between the two: its URL, what it receives first, and what it answers.
struct Between {
    url: &'static str,
    request: &'static [u8],
    /// Each answer but the last, and what is said then.
    answers: &'static [(&'static [u8], &'static [u8])],
    last_answer: &'static [u8],
}

const PROXIES: [Between; 3] = [
    Between {
        url: "socks5://192.0.2.1:1080",
        request: &[5, 1, 0],
        answers: &[(&[5, 0], &[5, 1, 0, 1, 192, 0, 2, 2, 0x82, 0xa5])],
        last_answer: &[5, 0, 0, 3, 1, b'x', 0, 0],
    },
    Between {
        url: "socks4://192.0.2.1:1080",
        request: &[4, 1, 0x82, 0xa5, 192, 0, 2, 2, 0],
        answers: &[],
        last_answer: &[0, 90, 0, 0, 0, 0, 0, 0],
    },
    Between {
        url: "http://192.0.2.1:3128",
        request: b"CONNECT 192.0.2.2:33445 HTTP/1.1\r\nHost: 192.0.2.2:33445\r\n\r\n",
        answers: &[],
        last_answer: b"HTTP/1.1 100 \r\n\r\nHTTP/1.0 200 OK\r\nA: b\r\n\r\n",
    },
];

/// What the client receives as a handshake response.
pub enum Response<'a> {
    Honest,
    /// Any bytes.
    Raw(&'a [u8]),
    /// The client's own offer.
    Reflected,
    /// One with a key that has only a few multiples.
    LowOrder,
}

pub struct Pair {
    connection: Connection,
    shared: Shared,
    /// When the last turn began.
    turned: Instant,
    model: Model,
    session: Session,
    down: Downstream,
    now: Instant,
    pings: u64,
    left: usize,
    over: bool,
    /// The generation of the last route.
    generation: u32,
    proxy: Option<&'static Between>,
}

/// How much a flush sends.
#[derive(Clone, Copy)]
pub struct Socket {
    /// All bytes that it takes.
    pub room: usize,
    /// The most of them in one call.
    pub piece: usize,
    /// What is sealed at a time.
    pub scratch: usize,
    /// Whether a signal comes first.
    pub interrupted: bool,
}

impl Socket {
    /// One that takes everything.
    pub const WIDE: Self = Self { room: usize::MAX, piece: usize::MAX, scratch: 65_536, interrupted: false };
}

impl Pair {
    /// A connection that waits for its transport, directly or through a proxy.
    pub fn new(proxy: Option<usize>, send_queue: usize) -> Self {
        let proxy = proxy.map(|index| &PROXIES[index % PROXIES.len()]);
        let now = Instant::now();
        let settings = Settings { send_queue, ..Settings::default() };
        let parameters = Parameters {
            id: RELAY,
            shared_key: Arc::clone(&Greeting::get().shared_key),
            addresses: vec!["192.0.2.2:33445".parse().expect("an address")],
            proxy: proxy.map(|between| Arc::new(between.url.parse().expect("a proxy's URL"))),
            settings: Arc::new(settings.clone()),
            connect_timeout: None,
            ping: NonZeroU64::MIN,
            token: TOKEN,
        };
        let mut connection = Connection::new(parameters, now);
        connection.begin_attempt(now, entropy()).expect("the first attempt");
        Self {
            connection,
            shared: Shared::new(),
            turned: now,
            model: Model::new(RELAY, settings, NonZeroU64::MIN, now),
            session: Greeting::get().opened.session(&RELAY_TEMPORARY, RELAY_NONCE),
            down: Downstream::default(),
            now,
            pings: 1,
            left: 0,
            over: false,
            generation: 0,
            proxy,
        }
    }

    /// The transport is there. Once.
    pub fn connect(&mut self) {
        let hello = &Greeting::get().hello;
        let (says, stage) = match self.proxy {
            None => (&hello[..], Stage::Handshaking),
            Some(between) => (between.request, Stage::Tunnelling),
        };
        self.connection.handle_connected(self.now, AttemptId::FIRST);
        self.model.connect(says, stage, self.now);
        if let Some(between) = self.proxy {
            for (answer, next) in between.answers {
                self.down.push(answer, Step::Says(next.to_vec(), Stage::Tunnelling));
            }
            self.down.push(between.last_answer, Step::Says(hello.to_vec(), Stage::Handshaking));
        }
        self.check();
    }

    /// A handshake response comes down.
    pub fn respond(&mut self, response: Response<'_>) {
        let greeting = Greeting::get();
        match response {
            Response::Honest => self.down.push(&greeting.response, Step::Keys),
            Response::Raw(bytes) => self.down.push_no_response(bytes),
            Response::Reflected => {
                self.down.push(&greeting.hello[32..], Step::Impostor(Impostor::Reflection));
            }
            Response::LowOrder => {
                let response = greeting.opened.respond(&[1; 24], &[0; 32], &[2; 24]);
                self.down.push(&response, Step::Impostor(Impostor::LowOrderKey));
            }
        }
    }

    /// A packet of the relay comes down, legal or not.
    pub fn send_down(&mut self, plaintext: &[u8]) {
        self.down.push_packet(plaintext, &mut self.session);
    }

    /// Bytes come down where packets are awaited.
    pub fn send_down_raw(&mut self, bytes: &[u8]) {
        self.down.push_raw(bytes);
    }

    /// Bytes on their way down.
    pub fn coming(&self) -> usize {
        self.down.rest().len()
    }

    pub fn is_over(&self) -> bool {
        self.over
    }

    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The client reads at most `most` bytes, and so many events.
    pub fn receive(&mut self, most: usize, capacity: usize) {
        if self.over || self.model.stage == Stage::Connecting {
            return;
        }
        let len = most.min(self.coming());
        let mut input = self.down.rest()[..len].to_vec();
        let mut events = Events::with_capacity(capacity);
        let since = std::mem::replace(&mut self.turned, self.now);
        self.connection.handle_turn(self.now, since);
        self.model.turn(self.now, since);
        let result =
            self.connection.receive(self.now, AttemptId::FIRST, &mut input, &mut self.shared, &mut events);

        let mut expected = Events::with_capacity(events.capacity() + 2);
        let readable = *result.as_ref().unwrap_or(&len);
        let mut end = Ok(());
        while end.is_ok()
            && let Some(step) = self.down.next(readable)
        {
            end = self.model.handle(step, self.now, &mut expected);
        }
        let result = result.map_err(|reason| match reason {
            // The model does not predict this; other tests do.
            DisconnectReason::Impostor(Impostor::OtherServer(_)) => {
                DisconnectReason::Impostor(Impostor::WrongKey)
            }
            other => other,
        });
        assert_eq!(end, result.map(|_| ()));
        assert!(events.iter().eq(expected.iter()), "{events:?}, and should be {expected:?}");
        if let Ok(taken) = result {
            assert!(taken == len || !events.has_room(), "bytes left over, and room for events");
            assert_eq!(input[taken..], self.down.rest()[taken..len], "what was not taken was changed");
            self.down.take(taken);
        }
        self.settle(end);
    }

    /// The client writes. Returns the plaintexts that have arrived whole.
    pub fn flush(&mut self, socket: Socket) -> Vec<Vec<u8>> {
        if self.over || self.model.stage == Stage::Connecting {
            return Vec::new();
        }
        let Socket { mut room, piece, scratch, mut interrupted } = socket;
        let mut written = Vec::new();
        let write = |bytes: &[u8]| {
            assert!(!bytes.is_empty());
            if std::mem::take(&mut interrupted) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let taken = bytes.len().min(piece).min(room);
            if taken == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            room -= taken;
            written.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        };
        let all = self.connection.flush(
            self.now,
            AttemptId::FIRST,
            &mut self.shared,
            &mut vec![0; scratch.max(2050)],
            write,
        );

        self.left += written.len();
        let sealed = self.model.leave(&written, self.now);
        assert_eq!(all.expect("no error but a full socket"), !self.model.has_output());
        assert_eq!(self.connection.take_writable(), self.model.take_writable());
        assert!(!self.connection.take_writable());
        let arrived = self.session.open(sealed).expect("the client's packets open");
        for plaintext in &arrived {
            assert_eq!(Some(plaintext), self.model.begun.pop_front().as_ref());
        }
        self.check();
        self.check_routes();
        arrived
    }

    /// Time passes, and the client checks its deadlines.
    pub fn wait(&mut self, time: Duration) {
        self.now += time;
        if self.over {
            return;
        }
        let (ping, unread) = (self.next_ping(), self.coming() > 0);
        let end = self.connection.handle_timeout(self.now, unread, ping);
        let bare = end.map_err(|reason| match reason {
            DisconnectReason::TimedOut { stage, .. } => timed_out(stage),
            // What it had sent by then was no response.
            DisconnectReason::Impostor(Impostor::OtherServer(_)) => timed_out(Stage::Handshaking),
            other => other,
        });
        assert_eq!(bare, self.model.handle_timeout(self.now, unread, ping));
        self.settle(end);
    }

    /// The caller asks for a ping.
    pub fn ask(&mut self) {
        let ping = self.next_ping();
        assert_eq!(self.connection.ping(self.now, ping), self.model.ask(ping, self.now));
        self.check();
    }

    /// The caller says that the network has changed.
    pub fn network_changed(&mut self) {
        let ping = self.next_ping();
        self.connection.handle_network_changed(self.now, ping);
        self.model.network_changed(ping, self.now);
        self.check();
    }

    fn next_ping(&mut self) -> NonZeroU64 {
        self.pings += 1;
        NonZeroU64::new(self.pings).unwrap_or(NonZeroU64::MIN)
    }

    fn settle(&mut self, end: Result<(), DisconnectReason>) {
        match end {
            Ok(()) => {
                self.check();
                self.check_routes();
            }
            Err(reason) => {
                assert!(!reason.to_string().is_empty());
                self.over = true;
            }
        }
    }

    /// The state of the connection is that of the model.
    fn check(&self) {
        let (connection, model) = (&self.connection, &self.model);
        assert_eq!(connection.stage(), model.stage);
        assert_eq!(connection.deadline(), model.deadline);
        assert_eq!(connection.has_output(AttemptId::FIRST), model.has_output());
        assert_eq!(connection.queued(), model.queued());
        assert_eq!(connection.route_count(), model.route_count());
        assert_eq!(connection.round_trips().latest, model.round_trip);
        assert_eq!(connection.traffic().bytes_in, self.down.taken() as u64);
        assert_eq!(connection.traffic().bytes_out, self.left as u64);
    }

    /// So are the routes. That takes longer, and is looked at when something has come or gone.
    fn check_routes(&self) {
        let (connection, model) = (&self.connection, &self.model);
        let mut routes: Vec<_> =
            connection.routes().map(|route| (route.route, route.peer, route.state)).collect();
        let mut expected: Vec<_> = model.visible().collect();
        routes.sort_by_key(|(route, ..)| *route);
        expected.sort_by_key(|(route, ..)| *route);
        assert_eq!(routes, expected);
    }

    // The caller's calls.

    pub fn open_route(&mut self, peer: PublicKey) {
        let expected = self.model.may_open(&peer);
        self.generation += 1;
        let opened = self.connection.open_route(peer, self.generation, route_token(&peer));
        assert_eq!(opened.map(|_| ()), expected);
        if let Ok(route) = opened {
            self.model.open(route, peer);
            assert_eq!(self.connection.find_route(&peer), Some(route));
        }
        self.check();
    }

    pub fn close_route(&mut self, route: RouteId) {
        assert_eq!(self.connection.close_route(route), self.model.close(route));
        assert_eq!(self.connection.close_route(route), Err(RouteError::UnknownRoute));
        assert_eq!(self.connection.route_status(route), None);
        self.check();
    }

    pub fn close_all_routes(&mut self) {
        self.connection.close_all_routes();
        let mut names: Vec<_> = self.model.visible().map(|(name, ..)| name).collect();
        // The order in which they are closed is that of the connection's slots.
        names.sort_by_key(|name| slot(*name));
        names.into_iter().for_each(|name| assert!(self.model.close(name).is_ok()));
        self.check();
    }

    pub fn send_data(&mut self, route: RouteId, data: &[u8]) {
        self.sent(|connection| connection.send_data(route, data), |model| model.send_data(route, data));
    }

    pub fn send_to(&mut self, peer: PublicKey, data: &[u8]) {
        self.sent(|connection| connection.send_to(peer, data), |model| model.send_to(peer, data));
    }

    pub fn send_oob(&mut self, peer: PublicKey, data: &[u8]) {
        self.sent(|connection| connection.send_oob(peer, data), |model| model.send_oob(peer, data));
    }

    pub fn send_onion_request(&mut self, data: &[u8]) {
        self.sent(|connection| connection.send_onion_request(data), |model| model.send_onion_request(data));
    }

    pub fn send_forward_request(&mut self, data: &[u8], ipv6: bool) {
        let (address, bytes): (SocketAddr, _) = match ipv6 {
            false => (([1, 2, 3, 4], 0x506).into(), vec![2, 1, 2, 3, 4, 5, 6]),
            true => (([0x101; 8], 0x506).into(), [&[10][..], &[1; 16], &[5, 6]].concat()),
        };
        self.sent(
            |connection| connection.send_forward_request(Destination::Udp(address), data),
            |model| model.send_forward_request(&bytes, data),
        );
    }

    fn sent(
        &mut self,
        really: impl FnOnce(&mut Connection) -> Result<(), SendError>,
        expected: impl FnOnce(&mut Model) -> Result<(), SendError>,
    ) {
        assert_eq!(really(&mut self.connection), expected(&mut self.model));
        self.check();
    }
}

impl Greeting {
    fn get() -> &'static Self {
        static GREETING: OnceLock<Greeting> = OnceLock::new();
        GREETING.get_or_init(|| {
            let client = KeyPair::from(SecretKey::from(CLIENT_SECRET));
            let relay = PublicKey::from(public_key(&RELAY_SECRET));
            let shared_key = Arc::new(SharedKey::new(&client, &relay).expect("a good key"));
            let (_, hello) = Handshake::new(Arc::clone(&shared_key), &entropy());
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
}

fn entropy() -> Entropy {
    Entropy {
        temporary: SecretKey::from(CLIENT_TEMPORARY),
        hello_nonce: [15; 24].into(),
        base_nonce: CLIENT_NONCE.into(),
    }
}

/// The key of a peer by number.
pub fn peer(number: u8) -> PublicKey {
    let mut key = [0xaa; 32];
    key[0] = number;
    key.into()
}

/// Bytes that tell from which packet they are.
pub fn filling(number: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (number + 7 * at) as u8).collect()
}
