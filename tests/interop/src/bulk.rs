//! Bulk data through a relay: senders that always have more to send, to receivers that read at once.
//!
//! While they send, each first sender also requests a route now and then, and measures how long the answer takes: that
//! is how late an important packet is.

use std::time::{Duration, Instant};

use tox_relay_client::{Client, Config, Event, Events, PublicKey, Relay, RouteId, SecretKey, SendError};

use crate::{Bootstrapd, CClient, CEvent, CSend, CStatus};

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The number of senders, each with a receiver of its own.
    pub pairs: usize,
    /// Whether the receivers send as well.
    pub both_ways: bool,
    /// The data of each packet, in bytes: at least 8, for its number.
    pub len: usize,
    /// The data that each sender sends, in bytes.
    pub bytes: u64,
}

/// What became of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Packets that the senders' queues have accepted.
    pub sent: u64,
    /// Packets that have arrived, each in its place.
    pub arrived: u64,
    /// Until the last packet has arrived.
    pub time: Duration,
    /// Why it ended before all had arrived.
    pub failure: Option<String>,
    /// How long the answers to routing requests took, in increasing order; also how long one took that was missing at the
    /// end.
    pub answers: Vec<Duration>,
    /// The largest window of the first sender.
    pub window: usize,
    data: usize,
}

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// How often a route is requested.
const REQUEST_INTERVAL: Duration = Duration::from_millis(100);

/// If nothing arrives for so long, nothing will: a relay that is stuck resets the connection after 40 s.
const STALL_LIMIT: Duration = Duration::from_secs(60);

/// The longest wait for a socket.
const TICK: Duration = Duration::from_millis(20);

impl Load {
    fn packets(&self) -> u64 {
        self.bytes.div_ceil(self.len as u64)
    }

    /// The data of the packet with this number.
    fn data(&self, number: u64, data: &mut Vec<u8>) {
        data.clear();
        data.extend_from_slice(&number.to_be_bytes());
        data.resize(self.len, number as u8);
    }
}

impl Report {
    /// Megabytes of data per second.
    pub fn rate(&self) -> f64 {
        self.arrived as f64 * self.data as f64 / 1e6 / self.time.as_secs_f64().max(1e-9)
    }

    /// The answer that took longest.
    pub fn latest_answer(&self) -> Option<Duration> {
        self.answers.last().copied()
    }

    /// The answer in the middle.
    pub fn median_answer(&self) -> Option<Duration> {
        self.answers.get(self.answers.len() / 2).copied()
    }
}

/// One direction between two connections of our client.
struct Flow {
    route: RouteId,
    sent: u64,
    arrived: u64,
}

/// The route that is requested to measure how long that takes.
struct Probe {
    due: Instant,
    waits: Option<(RouteId, Instant)>,
}

/// Sends this load with our client. Both ends of all routes are connections of one client, so that one poll serves all.
pub fn send_ours(relay: &Relay, load: Load, configure: impl Fn(Config) -> Config) -> Outcome<Report> {
    let mut client = Client::new(configure(Config::new(SecretKey::generate())))?;
    let mut events = Events::with_capacity(1024);
    let routes = online_pairs(&mut client, &mut events, relay, load.pairs)?;
    let senders = routes.iter().map(|[there, _]| *there);
    let receivers = routes.iter().filter(|_| load.both_ways).map(|[_, back]| *back);
    let new_flow = |route| Flow { route, sent: 0, arrived: 0 };
    let mut flows: Vec<Flow> = senders.chain(receivers).map(new_flow).collect();
    let first = client.route(flows[0].route).ok_or("the route has ended")?.connection;
    let mut probe = Probe { due: Instant::now(), waits: None };
    let (mut report, mut data) = (Report { data: load.len, ..Report::default() }, Vec::new());
    let start = Instant::now();
    let mut last_arrival = start;
    while flows.iter().any(|flow| flow.arrived < load.packets()) && report.failure.is_none() {
        for flow in &mut flows {
            while flow.sent < load.packets() {
                load.data(flow.sent, &mut data);
                match client.send_data(flow.route, &data) {
                    Ok(()) => flow.sent += 1,
                    Err(SendError::WouldBlock) => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        if probe.waits.is_none() && probe.due <= Instant::now() {
            let now = Instant::now();
            probe.waits = Some((client.open_route(first, SecretKey::generate().public_key())?, now));
        }
        client.poll(&mut events, Some(TICK))?;
        let window = client.connection(first).and_then(|status| status.window);
        report.window = report.window.max(window.unwrap_or_default());
        let now = Instant::now();
        for event in &events {
            match event {
                Event::Data { token, data, .. } => {
                    let pair = token as usize;
                    let index = if pair < load.pairs { pair + load.pairs } else { pair - load.pairs };
                    let flow = &mut flows[index];
                    let number = data.first_chunk().map_or(u64::MAX, |number| u64::from_be_bytes(*number));
                    if number != flow.arrived {
                        report.failure = Some(format!("{number} arrived instead of {}", flow.arrived));
                        break;
                    }
                    flow.arrived += 1;
                    last_arrival = now;
                }
                Event::RouteOpened { route, .. } if probe.waits.is_some_and(|(id, _)| id == route) => {
                    if let Some((route, since)) = probe.waits.take() {
                        report.answers.push(now - since);
                        probe.due = now + REQUEST_INTERVAL;
                        client.close_route(route)?;
                    }
                }
                Event::Disconnected { reason, .. } => report.failure = Some(reason.to_string()),
                _ => {}
            }
        }
        if last_arrival.elapsed() > STALL_LIMIT {
            report.failure = Some("nothing arrives".to_owned());
        }
    }
    report.time = last_arrival - start;
    report.sent = flows.iter().map(|flow| flow.sent).sum();
    report.arrived = flows.iter().map(|flow| flow.arrived).sum();
    report.answers.extend(probe.waits.map(|(_, since)| since.elapsed()));
    report.answers.sort();
    Ok(report)
}

/// Connects this number of pairs, and returns the routes between them when all are online. The token of a route is its
/// place among all routes that lead there, and then those that lead back.
fn online_pairs(
    client: &mut Client,
    events: &mut Events,
    relay: &Relay,
    pairs: usize,
) -> Outcome<Vec<[RouteId; 2]>> {
    let identities: Vec<_> = (0..2 * pairs).map(|_| SecretKey::generate()).collect();
    let mut routes = Vec::new();
    for (number, identity) in identities.iter().enumerate() {
        let connection = client.connect(relay.clone().identity(identity.clone()))?;
        let peer = identities[(number + pairs) % (2 * pairs)].public_key();
        routes.push(client.open_route_with_token(connection, peer, number as u64)?);
    }
    let is_online = |event: &Event<'_>| matches!(event, Event::RouteOnline { .. });
    wait(client, events, routes.len(), is_online)?;
    Ok((0..pairs).map(|number| [routes[number], routes[number + pairs]]).collect())
}

/// Polls until there were `count` events for which `is_one` returns `true`.
fn wait(
    client: &mut Client,
    events: &mut Events,
    count: usize,
    is_one: impl Fn(&Event<'_>) -> bool,
) -> Outcome<()> {
    let (mut seen, start) = (0, Instant::now());
    while seen < count {
        client.poll(events, Some(TICK))?;
        seen += events.iter().filter(&is_one).count();
        if start.elapsed() > STALL_LIMIT {
            return Err(format!("{seen} of {count} events").into());
        }
    }
    Ok(())
}

/// Sends this load, of one pair in one direction, with the C client. The receiver is our client.
pub fn send_theirs(relay: &Bootstrapd, load: Load) -> Outcome<Report> {
    let target = Relay::new(relay.addr(), PublicKey::from(relay.public_key()));
    let mut client = Client::new(Config::new(SecretKey::generate()))?;
    let mut events = Events::with_capacity(1024);
    let secret_key = SecretKey::generate();
    let mut sender = CClient::connect(relay.addr(), relay.public_key(), *secret_key.as_bytes())?;
    let connection = client.connect(target)?;
    client.open_route(connection, secret_key.public_key())?;
    let (mut requested, start) = (false, Instant::now());
    let route = loop {
        sender.iterate();
        if sender.status() == CStatus::Connected && !requested {
            requested = sender.request_route(client.public_key().as_bytes()) == CSend::Sent;
        }
        client.poll(&mut events, Some(Duration::from_millis(1)))?;
        if let Some(CEvent::Online { connection_id }) = sender.next_event() {
            break connection_id;
        }
        if start.elapsed() > STALL_LIMIT {
            return Err("the C client's route is not online".into());
        }
    };
    let (mut report, mut data) = (Report { data: load.len, ..Report::default() }, Vec::new());
    let (mut due, mut waits) = (Instant::now(), None);
    let start = Instant::now();
    let mut last_arrival = start;
    while report.arrived < load.packets() && report.failure.is_none() {
        while report.sent < load.packets() {
            load.data(report.sent, &mut data);
            match sender.send_data(route, &data) {
                CSend::Sent => report.sent += 1,
                CSend::WouldBlock => break,
                CSend::Error => {
                    report.failure = Some("the C client cannot send".to_owned());
                    break;
                }
            }
        }
        if waits.is_none() && due <= Instant::now() {
            let peer = SecretKey::generate().public_key();
            if sender.request_route(peer.as_bytes()) == CSend::Sent {
                waits = Some((*peer.as_bytes(), Instant::now()));
            }
        }
        sender.iterate();
        while let Some(event) = sender.next_event() {
            if let CEvent::RoutingResponse { connection_id, peer } = event
                && let Some((_, since)) = waits.take_if(|(waited, _)| *waited == peer)
            {
                report.answers.push(since.elapsed());
                due = Instant::now() + REQUEST_INTERVAL;
                let _ = sender.disconnect_route(connection_id);
            }
        }
        client.poll(&mut events, Some(Duration::ZERO))?;
        for event in &events {
            match event {
                Event::Data { data, .. } if data[..8] == report.arrived.to_be_bytes() => {
                    report.arrived += 1;
                    last_arrival = Instant::now();
                }
                Event::Data { .. } => report.failure = Some("a packet is missing".to_owned()),
                Event::Disconnected { reason, .. } => report.failure = Some(reason.to_string()),
                _ => {}
            }
        }
        if sender.status() == CStatus::Disconnected {
            report.failure = Some("the C client has lost the relay".to_owned());
        }
        if last_arrival.elapsed() > STALL_LIMIT {
            report.failure = Some("nothing arrives".to_owned());
        }
    }
    report.time = last_arrival - start;
    report.answers.extend(waits.map(|(_, since)| since.elapsed()));
    report.answers.sort();
    Ok(report)
}
