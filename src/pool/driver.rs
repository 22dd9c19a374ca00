//! Carries out what the plan decides, with the public interface of the client.

use std::time::{Duration, Instant};

use crate::client::Client;
use crate::error::RouteError;
use crate::event::Event;
use crate::key::PublicKey;
use crate::pool::event::{PoolEvents, Record};
use crate::pool::id::{PeerId, RelayId};
use crate::pool::interface::Pool;
use crate::pool::plan::{Action, Notice, Observation, Plan};

impl Pool {
    /// How long the plan has nothing to do and nothing to report.
    pub(super) fn own_timeout(&self, now: Instant) -> Option<Duration> {
        if self.plan.has_notice() {
            return Some(Duration::ZERO);
        }
        self.plan.deadline(now).map(|at| at.saturating_duration_since(now))
    }

    /// Tells the plan what the client has reported, and adds what is reported to the user.
    pub(super) fn handle_all(&mut self, now: Instant, events: &mut PoolEvents) {
        let mut last = None;
        for index in 0..events.of_client.len() {
            // The packets of a connection follow one another, and after the first of them the relay was heard.
            if let (Some((connection, token)), Some((of_last, Some(relay)))) =
                (events.of_client.source_of_data(index), last)
                && of_last == connection
            {
                let peer = self.plan.with_token(PeerId::from(token));
                events.records.push(Record::Data(peer, relay, index));
                continue;
            }
            let Some(event) = events.of_client.iter().nth(index) else { continue };
            let connection = event.connection();
            let relay = self.plan.find_relay(connection);
            last = Some((connection, relay));
            if let Some(record) = self.handle(now, index, relay, event) {
                events.records.push(record);
            }
            self.report_notices(&mut events.records);
        }
    }

    /// Tells the plan what the client has reported of this relay. Returns what is reported to the user.
    fn handle(
        &mut self,
        now: Instant,
        index: usize,
        relay: Option<RelayId>,
        event: Event<'_>,
    ) -> Option<Record> {
        if let Event::Disconnected { reason, .. } = event {
            let relay = self.plan.handle_disconnected(now, event.connection(), reason.retry());
            let relay = relay.unwrap_or(RelayId::from(event.token()));
            return Some(Record::OfRelay((relay, self.plan.token_of_ended(relay)), index));
        }
        let relay = relay?;
        self.plan.handle_heard(now, relay);
        let peer = PeerId::from(event.token());
        match event {
            Event::Connected { .. } => self.plan.handle_connected(now, relay),
            Event::RouteOnline { route, .. } => self.plan.handle_online(now, peer, relay, route),
            Event::RouteOffline { route, unsent, .. } => {
                self.plan.handle_unsent(peer, relay, unsent);
                self.plan.handle_offline(now, peer, relay, route);
            }
            Event::RouteRefused { route, .. } => self.plan.handle_refused(now, peer, relay, route),
            Event::Writable { .. } => self.plan.handle_writable(relay),
            Event::Data { .. } => return Some(Record::Data(self.plan.with_token(peer), relay, index)),
            Event::Oob { sender, .. } => return Some(self.sort_oob(relay, sender, index)),
            Event::OnionResponse { .. } | Event::Forwarding { .. } => {
                return Some(Record::OfRelay(self.plan.relay_with_token(relay), index));
            }
            _ => {}
        }
        None
    }

    /// A packet out of band is data, if its sender is a peer that is tied to this relay.
    fn sort_oob(&self, relay: RelayId, sender: PublicKey, index: usize) -> Record {
        let peer = self.plan.find_peer(&sender);
        match peer.filter(|peer| self.plan.peer(*peer).is_some_and(|peer| peer.tie(relay).is_some())) {
            Some(peer) => Record::Data(self.plan.with_token(peer), relay, index),
            None => Record::OfRelay(self.plan.relay_with_token(relay), index),
        }
    }

    /// Carries out what the plan decides, until it wants nothing more.
    pub(super) fn act(&mut self, now: Instant) {
        self.act_without_review(now);
        while self.plan.deadline(now).is_some_and(|at| at <= now) {
            let client = &self.client;
            self.plan.advance(now, |connection| {
                let status = client.connection(connection)?;
                Some(Observation {
                    last_heard: status.last_heard,
                    round_trip: status.round_trips.smoothed,
                    queued: status.queued,
                })
            });
            self.act_without_review(now);
        }
    }

    /// Carries out what the plan has decided. The review, which takes as long as there are peers, is left to the next poll:
    /// one for all that the user changes meanwhile.
    pub(super) fn act_without_review(&mut self, now: Instant) {
        while let Some(action) = self.plan.next_action() {
            carry_out(&mut self.client, &mut self.plan, now, action);
        }
    }

    /// Adds the notices of the plan to what is reported to the user.
    pub(super) fn report_notices(&mut self, records: &mut Vec<Record>) {
        while let Some(notice) = self.plan.next_notice() {
            let plan = &self.plan;
            records.push(match notice {
                Notice::RelayUp(relay) => Record::RelayUp(plan.relay_with_token(relay)),
                Notice::RelayWritable(relay) => Record::RelayWritable(plan.relay_with_token(relay)),
                Notice::RelayRefused(relay) => Record::RelayRefused(plan.relay_with_token(relay)),
                Notice::PeerOnline(peer, relay) => Record::PeerOnline(plan.with_token(peer), relay),
                Notice::PeerOffline(peer) => Record::PeerOffline(plan.with_token(peer)),
                Notice::PeerMoved(peer, moved) => Record::PeerMoved(plan.with_token(peer), moved),
                Notice::Unsent(peer, relay, bytes) => Record::Unsent(plan.with_token(peer), relay, bytes),
                Notice::RouteRefused(peer, relay) => Record::RouteRefused(plan.with_token(peer), relay),
                Notice::Writable(peer) => Record::Writable(plan.with_token(peer)),
            });
        }
    }
}

fn carry_out(client: &mut Client, plan: &mut Plan, now: Instant, action: Action) {
    match action {
        Action::Connect(id) => {
            let relay = plan.relay(id).map(|known| known.relay.clone().token(id.into()));
            match relay.map(|relay| client.connect(relay)) {
                Some(Ok(connection)) => plan.handle_connecting(id, connection),
                Some(Err(error)) => plan.handle_not_connecting(now, id, error),
                None => {}
            }
        }
        Action::Disconnect(connection) => _ = client.disconnect(connection),
        Action::OpenRoute(peer, relay) => {
            let connection = plan.relay(relay).and_then(|known| known.connection());
            let key = plan.peer(peer).map(|peer| peer.key);
            if let (Some(connection), Some(key)) = (connection, key) {
                match client.open_route_with_token(connection, key, peer.into()) {
                    // It has ended, and the next poll will report it: the relay has refused nothing.
                    Err(RouteError::UnknownConnection) => {}
                    route => plan.handle_route(now, peer, relay, route.ok()),
                }
            }
        }
        Action::CloseRoute(route) => {
            let ends = client.route(route).map(|status| (PeerId::from(status.token), status.connection));
            if let (Some((peer, connection)), Ok(unsent)) = (ends, client.close_route(route))
                && let Some(relay) = plan.find_relay(connection)
            {
                plan.handle_unsent(peer, relay, unsent);
            }
        }
        Action::Ping(connection) => _ = client.ping(connection),
    }
}
