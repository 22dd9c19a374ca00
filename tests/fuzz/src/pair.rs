//! A connection of the core, the relay's end of it, and the model, which must agree after each step.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use tox_relay_client::proto::{AttemptId, Connection, MIN_SCRATCH, Shared};
use tox_relay_client::{
    Destination, DisconnectReason, Events, Impostor, OwnedEvent, PublicKey, RouteError, RouteId, SendError,
    Stage,
};
use tox_test_relay::session::Session;

use crate::downstream::{Downstream, Step};
use crate::fixtures::{HandshakeFixture, PROXIES, ProxyExchange, begun};
use crate::model::{Model, route_token, timed_out};

/// What the client receives as a handshake response.
pub enum Response<'a> {
    Honest,
    /// Any bytes.
    Raw(&'a [u8]),
    /// The client's own hello.
    Reflected,
    /// One whose temporary key is of low order.
    LowOrder,
}

pub struct Pair {
    connection: Connection,
    shared: Shared,
    /// When the last turn began.
    last_turn: Instant,
    model: Model,
    session: Session,
    down: Downstream,
    now: Instant,
    pings: u64,
    /// All bytes that were written.
    written: usize,
    is_over: bool,
    /// The generation of the last route.
    generation: u32,
    proxy: Option<&'static ProxyExchange>,
}

/// How much a flush may write.
#[derive(Clone, Copy)]
pub struct Socket {
    /// The number of bytes that it takes before it is full.
    pub room: usize,
    /// The most bytes that it takes in one call.
    pub piece: usize,
    /// The length of the buffer in which packets are sealed.
    pub scratch: usize,
    /// Whether the first call is interrupted by a signal.
    pub interrupted: bool,
}

impl Socket {
    /// A socket that takes everything.
    pub const WIDE: Self = Self { room: usize::MAX, piece: usize::MAX, scratch: 65_536, interrupted: false };
}

impl Pair {
    /// A connection that waits for its transport, directly or through a proxy.
    pub fn new(proxy: Option<usize>, send_queue: usize) -> Self {
        let proxy = proxy.map(|index| &PROXIES[index % PROXIES.len()]);
        let now = Instant::now();
        let fixture = HandshakeFixture::get();
        let connection = begun(&fixture.shared_key, proxy, send_queue, None, now);
        Self {
            model: Model::new(connection.id(), send_queue, NonZeroU64::MIN, now),
            connection,
            shared: Shared::new(),
            last_turn: now,
            session: fixture.session(),
            down: Downstream::default(),
            now,
            pings: 1,
            written: 0,
            is_over: false,
            generation: 0,
            proxy,
        }
    }

    /// The transport is connected. Call this once.
    pub fn connect(&mut self) {
        let hello = &HandshakeFixture::get().hello;
        let (output, stage) = match self.proxy {
            None => (&hello[..], Stage::Handshaking),
            Some(proxy) => (proxy.request, Stage::Tunnelling),
        };
        self.connection.handle_connected(self.now, AttemptId::FIRST);
        self.model.connect(output, stage, self.now);
        if let Some(proxy) = self.proxy {
            for (answer, next) in proxy.answers {
                let step = Step::ProxyAnswer { output: next.to_vec(), stage: Stage::Tunnelling };
                self.down.push(answer, step);
            }
            let step = Step::ProxyAnswer { output: hello.to_vec(), stage: Stage::Handshaking };
            self.down.push(proxy.last_answer, step);
        }
        self.check();
    }

    /// The relay sends a handshake response.
    pub fn respond(&mut self, response: Response<'_>) {
        let fixture = HandshakeFixture::get();
        match response {
            Response::Honest => self.down.push(&fixture.response, Step::Response),
            Response::Raw(bytes) => self.down.push_no_response(bytes),
            Response::Reflected => {
                self.down.push(&fixture.hello[32..], Step::NotAResponse(Impostor::Reflection));
            }
            Response::LowOrder => {
                let response = fixture.opened.respond(&[1; 24], &[0; 32], &[2; 24]);
                self.down.push(&response, Step::NotAResponse(Impostor::LowOrderKey));
            }
        }
    }

    /// The relay sends a packet, legal or not.
    pub fn send_down(&mut self, plaintext: &[u8]) {
        self.down.push_packet(plaintext, &mut self.session);
    }

    /// The relay sends any bytes in place of packets.
    pub fn send_down_raw(&mut self, bytes: &[u8]) {
        self.down.push_raw(bytes);
    }

    /// The number of bytes that the client can read.
    pub fn readable(&self) -> usize {
        self.down.rest().len()
    }

    pub fn is_over(&self) -> bool {
        self.is_over
    }

    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The client reads at most `most` bytes, with room for `capacity` events.
    pub fn receive(&mut self, most: usize, capacity: usize) {
        if self.is_over || self.model.stage == Stage::Connecting {
            return;
        }
        let len = most.min(self.readable());
        let mut input = self.down.rest()[..len].to_vec();
        let mut events = Events::with_capacity(capacity);
        let since = std::mem::replace(&mut self.last_turn, self.now);
        self.connection.handle_turn(self.now, AttemptId::FIRST, since);
        self.model.turn(self.now, since);
        let result =
            self.connection.receive(self.now, AttemptId::FIRST, &mut input, &mut self.shared, &mut events);

        let mut expected = Vec::new();
        let used = *result.as_ref().unwrap_or(&len);
        let mut end = Ok(());
        while end.is_ok()
            && let Some(step) = self.down.next(used)
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
        let expected = expected.iter().map(OwnedEvent::as_event);
        assert!(events.iter().eq(expected.clone()), "{events:?}, and not {:?}", expected.collect::<Vec<_>>());
        if let Ok(taken) = result {
            let is_full = events.capacity() - events.len() < 2;
            assert!(taken == len || is_full, "bytes left over, and room for events");
            assert_eq!(input[taken..], self.down.rest()[taken..len], "what was not taken was changed");
            self.down.take(taken);
        }
        self.settle(end);
    }

    /// The client writes. Returns the packets of which the relay has received the last byte.
    pub fn flush(&mut self, socket: Socket) -> Vec<Vec<u8>> {
        if self.is_over || self.model.stage == Stage::Connecting {
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
            NonZeroU64::MIN, // not used: there is no window
            &mut self.shared,
            &mut vec![0; scratch.max(MIN_SCRATCH)],
            write,
        );

        self.written += written.len();
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
        if self.is_over {
            return;
        }
        let (ping, unread) = (self.next_ping(), self.readable() > 0);
        let end = self.connection.handle_timeout(self.now, unread, ping);
        let bare = end.map_err(|reason| match reason {
            DisconnectReason::TimedOut { stage, .. } => timed_out(stage),
            // The bytes that it had sent were not a response.
            DisconnectReason::Impostor(Impostor::OtherServer(_)) => timed_out(Stage::Handshaking),
            other => other,
        });
        assert_eq!(bare, self.model.handle_timeout(self.now, unread, ping));
        self.settle(end);
    }

    /// The caller asks for a ping.
    pub fn ping(&mut self) {
        let ping = self.next_ping();
        assert_eq!(self.connection.ping(self.now, ping), self.model.ask(ping, self.now));
        self.check();
    }

    /// The network has changed.
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
                self.is_over = true;
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
        assert_eq!(connection.traffic().bytes_out, self.written as u64);
    }

    /// The routes are those of the model. Comparing them takes longer, so it is done only after receiving and sending.
    fn check_routes(&self) {
        let (connection, model) = (&self.connection, &self.model);
        let mut routes: Vec<_> =
            connection.routes().map(|route| (route.route, route.peer, route.state)).collect();
        let mut expected: Vec<_> = model.visible().collect();
        routes.sort_by_key(|(route, ..)| *route);
        expected.sort_by_key(|(route, ..)| *route);
        assert_eq!(routes, expected);
    }

    // Commands of the caller.

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
        let mut ids: Vec<_> = self.model.visible().map(|(id, ..)| id).collect();
        // They are closed in the order of their slots in the connection, which are the lowest bits of the ids.
        ids.sort_by_key(|id| u64::from(*id) as u8);
        ids.into_iter().for_each(|id| assert!(self.model.close(id).is_ok()));
        self.check();
    }

    pub fn send_data(&mut self, route: RouteId, data: &[u8]) {
        self.send(|connection| connection.send_data(route, data), |model| model.send_data(route, data));
    }

    pub fn send_to(&mut self, peer: PublicKey, data: &[u8]) {
        self.send(|connection| connection.send_to(peer, data), |model| model.send_to(peer, data));
    }

    pub fn send_oob(&mut self, peer: PublicKey, data: &[u8]) {
        self.send(|connection| connection.send_oob(peer, data), |model| model.send_oob(peer, data));
    }

    pub fn send_onion_request(&mut self, data: &[u8]) {
        self.send(|connection| connection.send_onion_request(data), |model| model.send_onion_request(data));
    }

    pub fn send_forward_request(&mut self, data: &[u8], ipv6: bool) {
        let (address, bytes): (SocketAddr, _) = match ipv6 {
            false => (([1, 2, 3, 4], 0x506).into(), vec![2, 1, 2, 3, 4, 5, 6]),
            true => (([0x101; 8], 0x506).into(), [&[10][..], &[1; 16], &[5, 6]].concat()),
        };
        self.send(
            |connection| connection.send_forward_request(Destination::Udp(address), data),
            |model| model.send_forward_request(&bytes, data),
        );
    }

    fn send(
        &mut self,
        command: impl FnOnce(&mut Connection) -> Result<(), SendError>,
        expected: impl FnOnce(&mut Model) -> Result<(), SendError>,
    ) {
        assert_eq!(command(&mut self.connection), expected(&mut self.model));
        self.check();
    }
}

/// The key of a peer by number.
pub fn peer(number: u8) -> PublicKey {
    let mut key = [0xaa; 32];
    key[0] = number;
    key.into()
}

/// Bytes that differ from packet to packet.
pub fn filling(number: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (number + 7 * at) as u8).collect()
}
