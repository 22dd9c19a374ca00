//! What a connection must do, written a second time: from the documents, for all routes in one list, and without any
//! sealing. It predicts every event, every packet that is sent, every deadline and the end.

mod commands;
mod output;
mod time;

use std::collections::{BTreeSet, VecDeque};
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use tox_relay_client::{
    ConnectionId, DisconnectReason, Event, Impostor, OwnedEvent, Party, PublicKey, RouteId, RouteState,
    Stage, Violation,
};

use crate::downstream::Step;
use crate::send_queue::SendQueue;

/// The times of the protocol document.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PONG_TIMEOUT: Duration = Duration::from_secs(10);

const ROUTING_REQUEST: u8 = 0;
const DISCONNECT: u8 = 3;
const PING: u8 = 4;
const PONG: u8 = 5;

pub struct Model {
    connection: ConnectionId,
    send_queue: usize,
    pub stage: Stage,
    pub deadline: Instant,
    is_extended: bool,
    /// Whether a proxy was asked for a tunnel.
    is_tunnelled: bool,
    /// Milliseconds that were excluded from the deadline.
    excluded: u32,
    started: Instant,
    keepalive: KeepAlive,
    pub round_trip: Option<Duration>,
    /// Bytes that are not packets, and are sent before them.
    raw: VecDeque<u8>,
    /// Important packets that are queued.
    important: VecDeque<Vec<u8>>,
    queue: SendQueue,
    /// All bytes that were sent.
    sent: usize,
    /// Bytes of the last packet begun that were not sent.
    unfinished: usize,
    /// The packets of which the relay has not received the last byte.
    pub begun: VecDeque<Vec<u8>>,
    routes: Vec<Route>,
    /// The ids of all routes that were ever opened.
    all_routes: BTreeSet<RouteId>,
}

/// The last ping.
struct KeepAlive {
    id: NonZeroU64,
    queued: Instant,
    left: Option<Instant>,
    answered: bool,
    /// When the first ping was queued of those that have not been answered.
    asked: Instant,
}

struct Route {
    route: RouteId,
    peer: PublicKey,
    state: State,
}

/// As in the drawing of `src/connection/routes.rs`.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Held,
    Requested { left: bool },
    Closing { left: bool },
    Offline(u8),
    Online(u8),
    Leaving(u8),
}

/// The connection's.
pub const TOKEN: u64 = 7;

pub fn route_token(peer: &PublicKey) -> u64 {
    1000 + u64::from(peer.as_bytes()[0])
}

/// The end of the connect timeout, without what the client knows or guesses beside the stage.
pub fn timed_out(stage: Stage) -> DisconnectReason {
    DisconnectReason::TimedOut { stage, party: Party::Relay, hint: None }
}

impl Model {
    pub fn new(connection: ConnectionId, send_queue: usize, first_ping: NonZeroU64, now: Instant) -> Self {
        Self {
            connection,
            stage: Stage::Connecting,
            deadline: now + CONNECT_TIMEOUT,
            is_extended: false,
            is_tunnelled: false,
            excluded: 0,
            started: now,
            keepalive: KeepAlive { id: first_ping, queued: now, left: None, answered: false, asked: now },
            round_trip: None,
            raw: VecDeque::new(),
            important: VecDeque::new(),
            queue: SendQueue::default(),
            sent: 0,
            unfinished: 0,
            begun: VecDeque::new(),
            routes: Vec::new(),
            all_routes: BTreeSet::new(),
            send_queue,
        }
    }

    // Input.

    /// The transport is connected: the client writes this, and is in this stage.
    pub fn connect(&mut self, output: &[u8], stage: Stage, now: Instant) {
        self.begin_step(now);
        self.raw.extend(output);
        self.stage = stage;
        self.is_tunnelled = stage == Stage::Tunnelling;
    }

    /// A turn begins: what is read in it may have been ready since then.
    pub fn turn(&mut self, now: Instant, since: Instant) {
        let (asked, timeout) = match self.stage {
            Stage::Connecting | Stage::Tunnelling | Stage::Handshaking => (self.started, CONNECT_TIMEOUT),
            _ if self.keepalive.answered => return,
            _ => (self.keepalive.queued, PONG_TIMEOUT),
        };
        let left = (10 * timeout).saturating_sub(Duration::from_millis(self.excluded.into()));
        let waited = now.saturating_duration_since(since.max(asked)).min(left);
        self.deadline += waited;
        self.excluded += waited.as_nanos().div_ceil(1_000_000) as u32;
    }

    /// A step of the opening begins. It gets at least as much time as was excluded so far.
    fn begin_step(&mut self, now: Instant) {
        let excluded = Duration::from_millis(self.excluded.into()).min(CONNECT_TIMEOUT);
        self.deadline = self.deadline.max(now + excluded);
    }

    /// The client has received what this step needs.
    pub fn handle(
        &mut self,
        step: Step,
        now: Instant,
        events: &mut Vec<OwnedEvent>,
    ) -> Result<(), DisconnectReason> {
        match step {
            Step::ProxyAnswer { output, stage } => {
                if stage == Stage::Handshaking {
                    self.begin_step(now);
                }
                self.raw.extend(output);
                self.stage = stage;
            }
            Step::Response => {
                self.stage = Stage::Confirming;
                self.ping(self.keepalive.id, now);
                // It is sent before what the caller has requested meanwhile.
                self.important.rotate_right(1);
            }
            Step::Packet(plaintext) => {
                if self.stage == Stage::Confirming {
                    self.stage = Stage::Connected;
                    events.push(Event::Connected { connection: self.connection, token: TOKEN }.to_owned());
                }
                return self.handle_packet(&plaintext, now, events);
            }
            Step::NotAPacket(_) if self.stage == Stage::Confirming => {
                return Err(DisconnectReason::Impostor(Impostor::Replay));
            }
            Step::NotAPacket(violation) => return Err(violation.into()),
            Step::NotAResponse(impostor) => return Err(DisconnectReason::Impostor(impostor)),
        }
        Ok(())
    }

    fn handle_packet(
        &mut self,
        packet: &[u8],
        now: Instant,
        events: &mut Vec<OwnedEvent>,
    ) -> Result<(), DisconnectReason> {
        let (connection, token) = (self.connection, TOKEN);
        let (kind, rest) = (packet[0], &packet[1..]);
        let legal = match kind {
            0x00 => rest.len() == 32,
            0x01 => rest.len() == 33,
            0x02 | 0x03 => rest.len() == 1,
            0x04 | 0x05 => rest.len() == 8,
            0x06 | 0x07 => (33..=1056).contains(&rest.len()),
            0x08 => (178..=1359).contains(&rest.len()),
            0x09 => !rest.is_empty(),
            0x0a => {
                let head = match rest.first() {
                    Some(2 | 130) => 7,
                    Some(10 | 138) => 19,
                    Some(_) => return Err(Violation::Kind(kind).into()),
                    None => 1,
                };
                (head + 1..=head + 1792).contains(&rest.len())
            }
            _ => true,
        };
        if !legal {
            return Err(Violation::Length { kind, length: packet.len() }.into());
        }
        match kind {
            0x01 => return self.handle_response(rest[0], &key(&rest[1..]), events),
            0x02 | 0x03 => {
                let id = rest[0];
                if id < 16 {
                    return Err(Violation::RouteNumber { kind, id }.into());
                }
                let (from, to) = match kind {
                    0x02 => (State::Offline(id), State::Online(id)),
                    _ => (State::Online(id), State::Offline(id)),
                };
                if let Some(Route { route, peer, state }) = self.find(|route| route.state == from) {
                    let (route, peer, token) = (*route, *peer, route_token(peer));
                    *state = to;
                    let event = match kind {
                        0x02 => Event::RouteOnline { connection, route, token, peer },
                        _ => {
                            let unsent = self.queue.remove(id);
                            Event::RouteOffline { connection, route, token, peer, unsent }
                        }
                    };
                    events.push(event.to_owned());
                }
            }
            PING | PONG => {
                let id = u64::from_be_bytes(rest.try_into().expect("8 bytes"));
                let id = NonZeroU64::new(id).ok_or(Violation::PingId)?;
                return if kind == PING { self.handle_ping(id) } else { self.handle_pong(id, now) };
            }
            0x07 => {
                let (sender, data) = (key(&rest[..32]), &rest[32..]);
                events.push(Event::Oob { connection, token, sender, data }.to_owned());
            }
            0x09 => events.push(Event::OnionResponse { connection, token, data: rest }.to_owned()),
            0x0b => events.push(Event::Forwarding { connection, token, data: rest }.to_owned()),
            0x10.. => {
                if let Some(route) = self.find(|route| route.state == State::Online(kind)) {
                    let (route, peer, token) = (route.route, route.peer, route_token(&route.peer));
                    events.push(Event::Data { connection, route, token, peer, data: rest }.to_owned());
                }
            }
            _ => return Err(Violation::Kind(kind).into()),
        }
        Ok(())
    }

    fn handle_response(
        &mut self,
        id: u8,
        peer: &PublicKey,
        events: &mut Vec<OwnedEvent>,
    ) -> Result<(), DisconnectReason> {
        if (1..16).contains(&id) {
            return Err(Violation::RouteNumber { kind: 0x01, id }.into());
        }
        let asked = |route: &Route| {
            route.peer == *peer
                && matches!(route.state, State::Requested { left: true } | State::Closing { left: true })
        };
        let at = self.routes.iter().position(asked).ok_or(Violation::UnsolicitedResponse)?;
        if self.ids().any(|used| used == id) {
            return Err(Violation::RouteNumberInUse(id).into());
        }
        let Route { route, peer, state } = self.routes[at];
        let closed = state == State::Closing { left: true };
        match id {
            0 => drop(self.routes.remove(at)),
            _ if closed => self.routes[at].state = State::Leaving(id),
            _ => self.routes[at].state = State::Offline(id),
        }
        let (connection, token) = (self.connection, route_token(&peer));
        match (id, closed) {
            (0, false) => events.push(Event::RouteRefused { connection, route, token, peer }.to_owned()),
            (_, false) => events.push(Event::RouteOpened { connection, route, token, peer }.to_owned()),
            (_, true) => {
                if id != 0 {
                    self.important.push_back(vec![DISCONNECT, id]);
                }
                if let Some(held) = self.find(|route| route.peer == peer && route.state == State::Held) {
                    held.state = State::Requested { left: false };
                    self.request(&peer);
                }
            }
        }
        Ok(())
    }

    fn handle_ping(&mut self, id: NonZeroU64) -> Result<(), DisconnectReason> {
        if self.important.iter().filter(|packet| packet[0] == PONG).count() == 32 {
            return Err(DisconnectReason::PingFlood);
        }
        self.important.push_back([&[PONG], &id.get().to_be_bytes()[..]].concat());
        Ok(())
    }

    fn handle_pong(&mut self, id: NonZeroU64, now: Instant) -> Result<(), DisconnectReason> {
        if let KeepAlive { queued, left: Some(left), answered: false, .. } = self.keepalive
            && self.keepalive.id == id
        {
            self.keepalive.answered = true;
            self.round_trip = Some((now - left).max(Duration::from_micros(1)));
            self.set_deadline(queued + PING_INTERVAL);
        }
        Ok(())
    }

    fn is_opening(&self) -> bool {
        matches!(self.stage, Stage::Connecting | Stage::Tunnelling | Stage::Handshaking)
    }

    fn request(&mut self, peer: &PublicKey) {
        self.important.push_back([&[ROUTING_REQUEST], &peer.as_bytes()[..]].concat());
    }

    fn find(&mut self, is_it: impl Fn(&Route) -> bool) -> Option<&mut Route> {
        self.routes.iter_mut().find(|route| is_it(route))
    }

    fn online_id(&self, is_it: impl Fn(&Route) -> bool) -> Option<u8> {
        self.routes.iter().find_map(|route| match route.state {
            State::Online(id) if is_it(route) => Some(id),
            _ => None,
        })
    }

    /// The numbers of routes that the relay has registered.
    fn ids(&self) -> impl Iterator<Item = u8> {
        self.routes.iter().filter_map(|route| match route.state {
            State::Offline(id) | State::Online(id) | State::Leaving(id) => Some(id),
            _ => None,
        })
    }
}

impl State {
    fn visible(self) -> Option<RouteState> {
        match self {
            Self::Held | Self::Requested { .. } => Some(RouteState::Requested),
            Self::Offline(_) => Some(RouteState::Offline),
            Self::Online(_) => Some(RouteState::Online),
            Self::Closing { .. } | Self::Leaving(_) => None,
        }
    }
}

fn key(bytes: &[u8]) -> PublicKey {
    PublicKey::from(<[u8; 32]>::try_from(bytes).expect("a key of 32 bytes"))
}
