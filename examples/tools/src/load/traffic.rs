//! What the users do: they send what is due, and what arrives is counted.

use std::time::Duration;

use tox_relay_client::{ConnectError, ConnectionId, Event, RouteId, SendError};

use crate::load::failures::{Failure, Failures};
use crate::load::flow::Flow;
use crate::load::issuer::Issuer;
use crate::load::payload::{Kind, MAX_DATA, Stamp};
use crate::load::tally::Books;
use crate::load::users::{PROBE, Users};

/// The most packets that are sent before the client is polled again: less than a millisecond of work.
const BUDGET: usize = 256;

/// The most packets that are planned before that, also if none of them can be sent: a rate may be higher than that at
/// which they can be counted.
const MOST_PLANNED: u64 = 4096;

/// The users, and the packets between them.
pub struct Traffic {
    pub users: Users,
    pub books: Books,
    pub failures: Failures,
    /// The probe's packets, once its pair is connected.
    pub probe: Option<Issuer>,
    /// The load's packets, if there is one now.
    pub load: Option<Issuer>,
    /// Whether a connection was ever established.
    pub was_reached: bool,
    /// Why the probe's connection has ended: the relay is lost.
    pub lost: Option<Failure>,
    /// When a packet of the load was last received.
    pub last_received: Duration,
    /// By the number of the user who sends.
    flows: Vec<Flow>,
    /// Packets of the load that were sent, and neither received nor lost.
    in_flight: u64,
    /// Senders that have room again.
    unblocked: Vec<usize>,
    /// For each sender of the probe: the planned moment of the oldest packet that has not arrived, or that of one just
    /// before it.
    probe_waits_since: [Option<Duration>; PROBE.end],
    /// The packet that is being sent.
    packet: [u8; MAX_DATA],
}

impl Traffic {
    pub fn new(users: Users) -> Self {
        let flows = (0..users.loaders().end).map(|_| Flow::default()).collect();
        Self {
            users,
            books: Books::default(),
            failures: Failures::default(),
            probe: None,
            load: None,
            was_reached: false,
            lost: None,
            last_received: Duration::ZERO,
            flows,
            in_flight: 0,
            unblocked: Vec::new(),
            probe_waits_since: [None; PROBE.end],
            packet: [0; MAX_DATA],
        }
    }

    /// Packets of the load that are on their way.
    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Packets that are due and wait for room in a send queue.
    pub fn blocked(&self) -> u64 {
        self.flows.iter().map(Flow::waiting).sum()
    }

    /// How long the oldest packet of the probe has been on its way.
    pub fn probe_age(&self, now: Duration) -> Duration {
        let oldest = self.probe_waits_since.iter().flatten().min();
        oldest.map_or(Duration::ZERO, |since| now.saturating_sub(*since))
    }

    /// Whether both ends of these users' routes are online, apart from users who are not connected.
    pub fn are_paired(&self, users: std::ops::Range<usize>) -> bool {
        let is_present = |user: usize| self.users.is_present(user) && self.users.is_present(user ^ 1);
        users.into_iter().all(|user| self.flows[user].route().is_some() || !is_present(user))
    }

    pub fn connect(&mut self, user: usize) -> Result<(), ConnectError> {
        self.users.connect(user).inspect_err(|error| {
            self.failures.count(error.into());
            self.books.connection(|tally| tally.failed += 1);
        })
    }

    /// A user leaves as planned: what is on its way to or from it is not the relay's loss.
    pub fn leave(&mut self, user: usize, now: Duration) {
        let abandoned = self.close_flows(user);
        self.note_leaving(user, true);
        self.books.packets_now(now, |tally| tally.abandoned += abandoned);
        self.users.leave(user);
    }

    /// What is still on its way is lost.
    pub fn give_up(&mut self, now: Duration) {
        let lost: u64 = self.users.loaders().map(|user| self.flows[user].give_up()).sum();
        self.in_flight = 0;
        self.books.packets_now(now, |tally| tally.lost += lost);
    }

    /// Ends the load. Returns how many packets were due and not sent; without a plan, none were due.
    pub fn end_load(&mut self, now: Duration) -> u64 {
        let waiting: u64 = self.users.loaders().map(|user| self.flows[user].forget_plan()).sum();
        let load = self.load.take().filter(Issuer::is_planned);
        load.map_or(0, |load| load.overdue(now) + waiting)
    }

    pub fn handle(&mut self, event: &Event, now: Duration) {
        let user = event.token() as usize;
        match *event {
            Event::Connected { .. } => {
                self.was_reached = true;
                self.users.handle_connected(user);
                self.books.connection(|tally| tally.connected += 1);
            }
            Event::Disconnected { connection, reason, .. } => {
                self.handle_disconnected(user, connection, reason.into(), now);
            }
            Event::RouteRefused { .. } => self.failures.count(Failure::route_refused()),
            Event::RouteOnline { route, .. } => self.handle_online(user, route, now),
            Event::RouteOffline { .. } => {
                let lost = self.close_flow(user);
                self.books.packets_now(now, |tally| tally.lost += lost);
            }
            Event::Data { data, .. } => self.receive(user, Kind::Data, data, now),
            Event::Oob { data, .. } => self.receive(user, Kind::Oob, data, now),
            Event::Writable { .. } => {
                if let Some(flow) = self.flows.get_mut(user) {
                    flow.is_blocked = false;
                    self.unblocked.push(user);
                }
            }
            _ => {}
        }
    }

    fn handle_online(&mut self, user: usize, route: RouteId, now: Duration) {
        if !self.users.peer(user).is_some_and(|peer| self.users.is_present(peer)) {
            return; // it was told before the peer left, and that it has left will follow
        }
        // Its end may not have been reported, if the peer came back at once.
        let lost = self.close_flow(user);
        self.books.packets_now(now, |tally| tally.lost += lost);
        self.flows[user].open(route);
    }

    fn handle_disconnected(
        &mut self,
        user: usize,
        connection: ConnectionId,
        failure: Failure,
        now: Duration,
    ) {
        if !self.users.handle_disconnected(user, connection) {
            return;
        }
        let lost = self.close_flows(user);
        self.note_leaving(user, false);
        self.books.packets_now(now, |tally| tally.lost += lost);
        self.books.connection(|tally| tally.failed += 1);
        if PROBE.contains(&user) {
            self.lost = Some(failure.clone());
        }
        self.failures.count(failure);
    }

    /// Whether a user has gone as planned, and not by a failure.
    fn note_leaving(&mut self, user: usize, is_planned: bool) {
        for end in [Some(user), self.users.peer(user)].into_iter().flatten() {
            if let Some(flow) = self.flows.get_mut(end) {
                flow.is_left = is_planned;
            }
        }
    }

    /// Closes both directions between a user and its peer. Returns how many packets were on their way.
    fn close_flows(&mut self, user: usize) -> u64 {
        let ends = [Some(user), self.users.peer(user)];
        ends.into_iter().flatten().map(|user| self.close_flow(user)).sum()
    }

    fn close_flow(&mut self, user: usize) -> u64 {
        let Some(flow) = self.flows.get_mut(user) else { return 0 };
        let on_the_way = flow.close();
        if PROBE.contains(&user) {
            self.probe_waits_since[user] = None;
            return 0;
        }
        self.in_flight -= on_the_way;
        on_the_way
    }

    fn receive(&mut self, user: usize, kind: Kind, packet: &[u8], now: Duration) {
        let sender = self.users.peer(user);
        let (Some(sender), Some(stamp)) = (sender, Stamp::read(packet)) else { return };
        let Some(lost) = self.flows[sender].receive(kind, &stamp) else { return };
        let latency = now.saturating_sub(stamp.planned);
        if PROBE.contains(&sender) {
            self.probe_waits_since[sender] = (self.flows[sender].on_the_way() > 0).then_some(stamp.planned);
            self.books.packet(stamp.planned, |tally| tally.probe.record(latency));
            return;
        }
        self.in_flight -= 1 + lost;
        self.last_received = now;
        self.books.packet(stamp.planned, |tally| {
            tally.received += 1;
            tally.latency.record(latency);
        });
        self.books.packet(now, |tally| {
            tally.arrived += 1;
            tally.bytes += packet.len() as u64;
        });
        if lost > 0 {
            self.books.packets_now(now, |tally| tally.lost += lost);
        }
    }

    /// Sends what is due. Returns whether there is more that can be sent at once.
    pub fn send_due(&mut self, now: Duration) -> bool {
        let mut budget = BUDGET;
        while let Some(sender) = self.probe.as_mut().and_then(|probe| probe.next(now)) {
            self.flows[sender].plan();
            self.probe_waits_since[sender].get_or_insert(now);
            self.send_planned(sender, now, &mut budget);
        }
        for sender in std::mem::take(&mut self.unblocked) {
            self.send_planned(sender, now, &mut budget);
        }
        // Without a plan, it ends when none of the senders has room.
        let (mut full, mut planned_now) = (0, 0);
        while budget > 0
            && planned_now < MOST_PLANNED
            && let Some(load) = &mut self.load
            && full < load.senders.len()
            && let Some(sender) = load.next(now)
        {
            let flow = &mut self.flows[sender];
            if !load.is_planned() && (flow.is_blocked || flow.route().is_none()) {
                full += 1;
                continue;
            }
            full = 0;
            planned_now += 1;
            let (planned, ..) = load.packet(sender, flow.planned(), now);
            flow.plan();
            self.books.packet(planned, |tally| tally.late.record(now.saturating_sub(planned)));
            self.send_planned(sender, now, &mut budget);
        }
        budget == 0 || planned_now == MOST_PLANNED
    }

    /// Sends packets of one sender that are due, as far as its queue has room.
    fn send_planned(&mut self, sender: usize, now: Duration, budget: &mut usize) {
        let is_probe = PROBE.contains(&sender);
        let Some(issuer) = (if is_probe { &self.probe } else { &self.load }) else { return };
        let flow = &mut self.flows[sender];
        while let Some(number) = flow.next() {
            if flow.is_blocked {
                return;
            }
            if *budget == 0 {
                self.unblocked.push(sender);
                return;
            }
            *budget -= 1;
            let (planned, kind, length) = issuer.packet(sender, number, now);
            let (session, sequence) = flow.number(kind);
            let packet = &mut self.packet[..length];
            Stamp { session, sequence, planned }.write(packet);
            let is_sent = match flow.route() {
                Some(route) => send(&mut self.users, sender, route, kind, packet),
                None => Err(SendError::RouteOffline),
            };
            match is_sent {
                Ok(()) => flow.sent(kind),
                Err(SendError::WouldBlock) => {
                    flow.is_blocked = true;
                    return;
                }
                // The peer has left, or the event that reports the end of the connection follows.
                Err(_) => flow.skip(),
            }
            if !is_probe {
                self.in_flight += u64::from(is_sent.is_ok());
                let is_left = flow.is_left;
                self.books.packet(planned, |tally| match is_sent {
                    Ok(()) => tally.sent += 1,
                    Err(_) if is_left => tally.absent += 1,
                    Err(_) => tally.cut_off += 1,
                });
            }
        }
    }
}

fn send(
    users: &mut Users,
    sender: usize,
    route: RouteId,
    kind: Kind,
    packet: &[u8],
) -> Result<(), SendError> {
    match kind {
        Kind::Data => users.client.send_data(route, packet),
        Kind::Oob => {
            let peer = users.peer(sender).map(|peer| users.public_key(peer));
            let (Some(connection), Some(peer)) = (users.connection(sender), peer) else {
                return Err(SendError::UnknownConnection);
            };
            users.client.send_oob(connection, peer, packet)
        }
    }
}

#[cfg(test)]
mod tests {
    use tox_relay_client::{Client, Config, Relay, SecretKey};

    use super::*;
    use crate::load::payload::Content;
    use crate::load::schedule::Schedule;

    #[test]
    fn a_rate_that_no_machine_can_count_does_not_stop_the_loop() {
        let relay = Relay::new("127.0.0.1:1".parse::<tox_relay_client::Address>().unwrap(), [9; 32].into());
        let client = Client::new(Config::new(SecretKey::generate())).unwrap();
        let mut traffic = Traffic::new(Users::new(client, relay, false, PROBE.end + 2));
        let (senders, second) = (traffic.users.loaders(), Duration::from_secs(1));
        senders.clone().for_each(|sender| traffic.flows[sender].is_blocked = true);
        let schedule = Schedule::new(1e8, Duration::ZERO);
        let content = Content { sizes: 100..=100, oob: 0.0 };
        traffic.load = Some(Issuer::planned(Duration::ZERO, schedule, senders, content));
        assert!(traffic.send_due(second), "there is more");
        assert_eq!(traffic.blocked(), MOST_PLANNED);
        // All of them were due, planned or not.
        assert_eq!(traffic.end_load(second), 100_000_001);
    }
}
