//! Carries out what the plan decides, with the public interface of the client.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::error::RouteError;
use crate::event::EventWith;
use crate::events;
use crate::key::PublicKey;
use crate::pool::event::Move;
use crate::pool::events::{PoolEvents, Record};
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
        let PoolEvents { of_client, records } = events;
        let mut last = None;
        for event in of_client.records() {
            // The packets of a connection follow one another, and after the first of them the relay was heard.
            if let (EventWith::Data { connection, token, data, .. }, Some((of_last, Some(relay)))) =
                (event, last)
                && *connection == of_last
            {
                records.push(self.data(PeerId::from(*token), relay, data.clone()));
                continue;
            }
            let connection = event.connection();
            let relay = self.plan.find_relay(connection);
            last = Some((connection, relay));
            records.extend(self.handle(now, relay, event.clone()));
            self.report_notices(records);
        }
    }

    /// Tells the plan what the client has reported of this relay. Returns what is reported to the user.
    fn handle(&mut self, now: Instant, relay: Option<RelayId>, event: events::Record) -> Option<Record> {
        if let EventWith::Disconnected { connection, token, reason, status } = event {
            let relay = self.plan.handle_disconnected(now, connection, reason.retry());
            let relay = relay.unwrap_or(RelayId::from(token));
            let token = self.plan.token_of_ended(relay);
            return Some(Record::RelayDown { relay, token, reason, status });
        }
        let relay = relay?;
        self.plan.handle_heard(now, relay);
        let peer = PeerId::from(event.token());
        let token = self.plan.token_of_relay(relay);
        match event {
            EventWith::Connected { .. } => self.plan.handle_connected(now, relay),
            EventWith::RouteOnline { route, .. } => self.plan.handle_online(now, peer, relay, route),
            EventWith::RouteOffline { route, unsent, .. } => {
                self.plan.handle_unsent(peer, relay, unsent);
                self.plan.handle_offline(now, peer, relay, route);
            }
            EventWith::RouteRefused { route, .. } => self.plan.handle_refused(now, peer, relay, route),
            EventWith::Writable { .. } => self.plan.handle_writable(relay),
            EventWith::Data { data, .. } => return Some(self.data(peer, relay, data)),
            EventWith::Oob { sender, data, .. } => return Some(self.sort_oob(relay, sender, data)),
            EventWith::OnionResponse { data, .. } => {
                return Some(Record::OnionResponse { relay, token, data });
            }
            EventWith::Forwarding { data, .. } => return Some(Record::Forwarding { relay, token, data }),
            _ => {}
        }
        None
    }

    /// A packet out of band is data, if its sender is a peer that is tied to this relay.
    fn sort_oob(&self, relay: RelayId, sender: PublicKey, data: Range<u32>) -> Record {
        let peer = self.plan.find_peer(&sender);
        match peer.filter(|peer| self.plan.peer(*peer).is_some_and(|peer| peer.tie(relay).is_some())) {
            Some(peer) => self.data(peer, relay, data),
            None => Record::Oob { relay, token: self.plan.token_of_relay(relay), sender, data },
        }
    }

    fn data(&self, peer: PeerId, relay: RelayId, data: Range<u32>) -> Record {
        Record::Data { peer, token: self.plan.token_of_peer(peer), relay, data }
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
            let token = |peer| self.plan.token_of_peer(peer);
            let token_of_relay = |relay| self.plan.token_of_relay(relay);
            records.push(match notice {
                Notice::RelayUp(relay) => Record::RelayUp { relay, token: token_of_relay(relay) },
                Notice::RelayWritable(relay) => Record::RelayWritable { relay, token: token_of_relay(relay) },
                Notice::RelayRefused(relay) => Record::RelayRefused { relay, token: token_of_relay(relay) },
                Notice::PeerOnline(peer, relay) => Record::PeerOnline { peer, token: token(peer), relay },
                Notice::PeerOffline(peer) => Record::PeerOffline { peer, token: token(peer) },
                Notice::PeerMoved(peer, Move { from, to: relay, cause }) => {
                    Record::PeerMoved { peer, token: token(peer), from, relay, cause }
                }
                Notice::Unsent(peer, relay, bytes) => {
                    Record::Unsent { peer, token: token(peer), relay, bytes }
                }
                Notice::RouteRefused(peer, relay) => Record::RouteRefused { peer, token: token(peer), relay },
                Notice::Writable(peer) => Record::Writable { peer, token: token(peer) },
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
