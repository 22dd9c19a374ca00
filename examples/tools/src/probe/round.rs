//! A round: all relays at once, on one thread, with one client.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tox_relay_client::{
    Client, Config, ConnectionId, Destination, Event, Events, Proxy, Relay, RouteError, RouteId, SecretKey,
};

use crate::probe::node::{self, Node};
use crate::probe::report::Report;
use crate::probe::session::{Command, Input, Plan, Session, Side};
use crate::probe::signals::Signals;
use crate::probe::target::Target;
use crate::problem::Problem;
use crate::state::State;

/// From one beginning to the next: handshakes that all begin at once would wait for each other, and seem slow.
const STAGGER: Duration = Duration::from_millis(2);
/// The client reports no pongs, and the node is in no poller: both are looked at this often.
const LOOK: Duration = Duration::from_millis(5);
/// Each relay has two connections, and the rest of the program needs a few descriptors.
const DESCRIPTORS_EACH: u64 = 2;
const OTHER_DESCRIPTORS: u64 = 64;

/// Probes all targets, and calls `tell` with the number of those that are done. After Ctrl-C, the reports of the others
/// are what is known of them.
pub fn run(
    targets: &[&Target],
    plan: &Plan,
    proxy: Option<&Proxy>,
    signals: &Signals,
    mut tell: impl FnMut(usize),
) -> io::Result<Vec<Report>> {
    let mut round = Round::new(proxy, plan)?;
    let now = Instant::now();
    let mut running: Vec<Running> = targets.iter().map(|target| Running::new(target, plan, now)).collect();
    let (mut begun, mut finished, mut next_begin) = (0, 0, now);
    let most = most_at_once();
    let mut events = Events::with_capacity(1024);
    loop {
        if signals.has_stopped() {
            running.iter_mut().for_each(|running| running.session.interrupt());
            break;
        }
        if begun < targets.len() && begun - finished < most && Instant::now() >= next_begin {
            running[begun].session = Session::new(plan, Instant::now());
            begun += 1;
            next_begin = Instant::now() + STAGGER;
        }
        let active = &mut running[..begun];
        let now = Instant::now();
        for (index, running) in active.iter_mut().enumerate().filter(|(_, running)| !running.is_over) {
            running.look_for_pong(&round.client, now);
            running.session.handle_timeout(now);
            round.execute(index, running);
            if running.session.is_done() {
                running.end(&mut round.client);
                finished += 1;
            }
        }
        tell(finished);
        if finished == targets.len() {
            break;
        }
        let begins = (begun < targets.len() && begun - finished < most).then_some(next_begin);
        round.client.poll(&mut events, Some(wait(active, begins)))?;
        let now = Instant::now();
        for event in &events {
            if let Some((running, side)) = find(active, event.token()) {
                running.handle(&mut round.client, now, side, &event);
            }
        }
        if active.iter().any(|running| running.session.awaits_node()) {
            round.node.answer();
        }
    }
    Ok(running.into_iter().map(|running| running.session.into_report()).collect())
}

/// How long nothing is to be done, unless something arrives.
fn wait(running: &[Running], begins: Option<Instant>) -> Duration {
    let now = Instant::now();
    let mut until = begins.unwrap_or(now + Duration::from_secs(1));
    for Running { session, .. } in running.iter().filter(|running| !running.is_over) {
        if session.awaits_pong() || session.awaits_node() {
            until = until.min(now + LOOK);
        }
        until = session.deadline().map_or(until, |deadline| until.min(deadline));
    }
    until.saturating_duration_since(now)
}

/// What all targets share.
struct Round {
    client: Client,
    node: Node,
}

impl Round {
    fn new(proxy: Option<&Proxy>, plan: &Plan) -> io::Result<Self> {
        let config = Config::new(SecretKey::generate())
            .connect_timeout(plan.timeout)
            .pong_timeout(plan.timeout)
            // No other pings than those of the probe.
            .ping_interval(plan.timeout.max(Duration::from_secs(3600)));
        let config = match proxy {
            Some(proxy) => config.proxy(proxy.clone()),
            None => config,
        };
        let client = Client::new(config).map_err(io::Error::other)?;
        Ok(Self { client, node: Node::new(proxy.is_none()) })
    }

    /// Does what a session asks for. An error means that the connection has ended or the route is gone, which events
    /// report, or that the queue is full; then the packet counts as lost.
    fn execute(&mut self, index: usize, running: &mut Running) {
        while let Some(command) = running.session.poll_command() {
            let client = &mut self.client;
            match command {
                Command::Connect(side) => running.connect(client, side, token(index, side)),
                Command::Ping => {
                    if let Some(connection) = running.connections[Side::First as usize] {
                        _ = client.ping(connection);
                    }
                }
                Command::OpenRoute(side) => running.open_route(client, side, token(index, side)),
                Command::SendData(side, data) => {
                    if let Some(route) = running.routes[side as usize] {
                        _ = client.send_data(route, &data);
                    }
                }
                Command::SendOob(data) => {
                    if let Some(connection) = running.connections[Side::First as usize] {
                        let peer = running.keys[Side::Second as usize].public_key();
                        _ = client.send_oob(connection, peer, &data);
                    }
                }
                Command::FillRoutes => running.fill_routes(client, token(index, Side::First)),
                Command::SendOnion | Command::SendForward => {
                    let to = self.node.destination(&running.target.address);
                    running.send_request(client, to, command == Command::SendOnion);
                }
            }
        }
    }
}

/// A target that is being probed, and its two connections.
struct Running<'a> {
    target: &'a Target,
    session: Session,
    /// Fresh for each round: relays keep one connection for each key.
    keys: [SecretKey; 2],
    connections: [Option<ConnectionId>; 2],
    routes: [Option<RouteId>; 2],
    /// How many pongs the first connection has had.
    pongs: u32,
    /// Whether the session is done and its connections are closed.
    is_over: bool,
}

impl<'a> Running<'a> {
    fn new(target: &'a Target, plan: &Plan, now: Instant) -> Self {
        Self {
            target,
            session: Session::new(plan, now),
            keys: [SecretKey::generate(), SecretKey::generate()],
            connections: [None; 2],
            routes: [None; 2],
            pongs: 0,
            is_over: false,
        }
    }

    fn connect(&mut self, client: &mut Client, side: Side, token: u64) {
        if let Some(why) = &self.target.unresolved {
            let problem = Problem::new("no-name", State::Down, why);
            return self.session.handle(Instant::now(), Input::Failed(problem));
        }
        let identity = self.keys[side as usize].clone();
        let relay = Relay::new(&self.target.address, self.target.key).identity(identity).token(token);
        match client.connect(relay) {
            Ok(connection) => self.connections[side as usize] = Some(connection),
            Err(error) => self.session.handle(Instant::now(), Input::Failed(Problem::from_refusal(&error))),
        }
    }

    fn open_route(&mut self, client: &mut Client, side: Side, token: u64) {
        let Some(connection) = self.connections[side as usize] else { return };
        let peer = self.keys[1 - side as usize].public_key();
        self.routes[side as usize] = client.open_route_with_token(connection, peer, token).ok();
    }

    /// Requests routes to keys of nobody, until the library has no more.
    fn fill_routes(&mut self, client: &mut Client, token: u64) {
        let Some(connection) = self.connections[Side::First as usize] else { return };
        let mut requested = 0;
        let end = loop {
            match client.open_route_with_token(connection, SecretKey::generate().public_key(), token) {
                Ok(_) => requested += 1,
                Err(error) => break error,
            }
        };
        if end == RouteError::TooMany {
            self.session.handle(Instant::now(), Input::RoutesRequested(requested));
        }
    }

    fn send_request(&self, client: &mut Client, to: SocketAddr, is_onion: bool) {
        let Some(connection) = self.connections[Side::First as usize] else { return };
        _ = if is_onion {
            let random = SecretKey::generate();
            let (nonce, _) = random.as_bytes().split_first_chunk().expect("32 bytes are more than 24");
            client.send_onion_request(connection, &node::onion_request(nonce, to))
        } else {
            client.send_forward_request(connection, Destination::Udp(to), b"tox-relay probe")
        };
    }

    fn handle(&mut self, client: &mut Client, now: Instant, side: Side, event: &Event) {
        let is_own_route = event.route().is_some_and(|route| self.routes[side as usize] == Some(route));
        let input = match *event {
            Event::Connected { connection, .. } => match client.connection(connection) {
                Some(status) => {
                    self.pongs = if side == Side::First { status.round_trips.pongs } else { self.pongs };
                    Input::Connected(side, status.times)
                }
                None => return, // its end is the next event
            },
            Event::Disconnected { reason, status, .. } => {
                self.connections[side as usize] = None;
                Input::Ended(side, reason, status.times)
            }
            Event::RouteOnline { .. } if is_own_route => Input::RouteOnline(side),
            Event::RouteRefused { .. } if is_own_route => Input::RouteRefused,
            Event::RouteOpened { .. } if !is_own_route => Input::RouteAnswered { opened: true },
            Event::RouteRefused { .. } => Input::RouteAnswered { opened: false },
            Event::Data { data, .. } => Input::Data(side, data),
            Event::Oob { data, .. } => Input::Oob(side, data),
            Event::OnionResponse { .. } | Event::Forwarding { .. } => Input::Answer,
            _ => return,
        };
        self.session.handle(now, input);
    }

    /// The client measures round trips, and reports them in the status alone.
    fn look_for_pong(&mut self, client: &Client, now: Instant) {
        let connection = self.connections[Side::First as usize].filter(|_| self.session.awaits_pong());
        let Some(status) = connection.and_then(|connection| client.connection(connection)) else { return };
        if status.round_trips.pongs != self.pongs {
            self.pongs = status.round_trips.pongs;
            self.session.handle(now, Input::RoundTrip(status.round_trips.latest.unwrap_or_default()));
        }
    }

    fn end(&mut self, client: &mut Client) {
        self.is_over = true;
        for connection in self.connections.iter_mut().filter_map(Option::take) {
            client.disconnect(connection);
        }
    }
}

/// The token of a connection, which its events contain.
fn token(index: usize, side: Side) -> u64 {
    2 * index as u64 + side as u64
}

fn find<'a, 'b>(running: &'a mut [Running<'b>], token: u64) -> Option<(&'a mut Running<'b>, Side)> {
    let side = if token.is_multiple_of(2) { Side::First } else { Side::Second };
    running.get_mut((token / 2) as usize).map(|running| (running, side))
}

/// How many relays can be probed at once, with as many descriptors as the system allows.
#[cfg(unix)]
pub fn most_at_once() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current }.unwrap_or(u64::MAX);
    usize::try_from(limit.saturating_sub(OTHER_DESCRIPTORS) / DESCRIPTORS_EACH).unwrap_or(usize::MAX).max(1)
}

#[cfg(not(unix))]
pub fn most_at_once() -> usize {
    2000
}
