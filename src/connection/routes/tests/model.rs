//! The route table of a client and a model of an honest relay, with events in any order.

use std::collections::{BTreeMap, HashSet, VecDeque};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::RngSeed;

use super::*;

/// The number of peers. The relay refuses the first of them, as it refuses the client's own key.
const PEERS: u8 = 5;
const REFUSED: u8 = 0;

/// One event.
#[derive(Debug, Clone)]
enum Step {
    Open(u8),
    /// Closes any route that was ever opened.
    Close(Index),
    /// The oldest important packet is sent.
    ClientSends,
    /// The relay handles the oldest packet that was sent, and answers.
    RelayReceives,
    /// The client handles the oldest packet from the relay.
    ClientReceives,
    /// The peer connects to the relay or disconnects.
    PeerChanges(u8),
    /// The peer sends data, if it is online on a route.
    PeerSends(u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..PEERS).prop_map(Step::Open),
        3 => any::<Index>().prop_map(Step::Close),
        4 => Just(Step::ClientSends),
        4 => Just(Step::RelayReceives),
        6 => Just(Step::ClientReceives),
        2 => (0..PEERS).prop_map(Step::PeerChanges),
        2 => (0..PEERS).prop_map(Step::PeerSends),
    ]
}

/// What the client sends. A request contains its route, so that the model can check later answers against it.
#[derive(Debug, Clone, Copy)]
enum ToRelay {
    Request(u8, RouteId),
    Disconnect(RouteNumber),
}

/// What the relay sends.
#[derive(Debug, Clone, Copy)]
enum ToClient {
    Response(u8, Option<RouteNumber>),
    Online(RouteNumber),
    Offline(RouteNumber),
    Data(RouteNumber),
}

/// A route as the relay keeps it.
#[derive(Debug, Clone, Copy)]
struct Registered {
    peer: u8,
    asked_for: RouteId,
    online: bool,
}

/// A route as the caller knows it.
#[derive(Debug, Clone, Copy)]
struct Known {
    peer: u8,
    /// `None` once it was closed or refused.
    state: Option<RouteState>,
}

#[derive(Default)]
struct ClientAndRelay {
    routes: Routes,
    /// Every route that was ever opened.
    known: BTreeMap<RouteId, Known>,
    /// The important packets that are queued.
    queued: VecDeque<ToRelay>,
    /// The packets that were sent and not handled yet.
    to_relay: VecDeque<ToRelay>,
    /// Each packet with the route that it is about.
    to_client: VecDeque<(ToClient, RouteId)>,
    /// The routes of the relay, by number.
    relay: BTreeMap<u8, Registered>,
    /// The peers that are connected to the relay.
    peers: HashSet<u8>,
}

impl ClientAndRelay {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Open(peer) => self.open(*peer),
            Step::Close(index) if !self.known.is_empty() => {
                let routes: Vec<_> = self.known.keys().copied().collect();
                self.close(*index.get(&routes));
            }
            Step::Close(_) => {}
            Step::ClientSends => {
                if let Some(packet) = self.queued.pop_front() {
                    match packet {
                        ToRelay::Request(number, _) => self.routes.handle_request_sent(&peer(number)),
                        ToRelay::Disconnect(id) => self.routes.handle_disconnect_sent(id),
                    }
                    self.to_relay.push_back(packet);
                }
            }
            Step::RelayReceives => match self.to_relay.pop_front() {
                Some(ToRelay::Request(peer, route)) => self.relay_registers(peer, route),
                Some(ToRelay::Disconnect(id)) => {
                    // An honest relay disconnects a client that notifies it of an unknown id.
                    self.relay.remove(&id.get()).expect("a route that the relay knows");
                }
                None => {}
            },
            Step::ClientReceives => {
                if let Some((packet, route)) = self.to_client.pop_front() {
                    self.client_receives(packet, route);
                }
            }
            Step::PeerChanges(peer) => {
                let here = !self.peers.remove(peer);
                self.peers.extend(here.then_some(*peer));
                if let Some((number, registered)) =
                    self.relay.iter_mut().find(|(_, route)| route.peer == *peer)
                {
                    registered.online = here;
                    let id = id(*number);
                    let packet = if here { ToClient::Online(id) } else { ToClient::Offline(id) };
                    self.to_client.push_back((packet, registered.asked_for));
                }
            }
            Step::PeerSends(peer) => {
                let found = self.relay.iter().find(|(_, route)| route.peer == *peer && route.online);
                if let Some((number, route)) = found {
                    self.to_client.push_back((ToClient::Data(id(*number)), route.asked_for));
                }
            }
        }
        self.check();
    }

    /// The one route to a peer that the caller sees.
    fn visible(&self, peer: u8) -> Option<RouteId> {
        self.known
            .iter()
            .find(|(_, known)| known.peer == peer && known.state.is_some())
            .map(|(route, _)| *route)
    }

    fn open(&mut self, number: u8) {
        let opened = open(&mut self.routes, peer(number));
        if let Some(exists) = self.visible(number) {
            assert_eq!(opened, Err(RouteError::Exists(exists)));
            return;
        }
        let (route, now) = opened.expect("a free route");
        let known = Known { peer: number, state: Some(RouteState::Requested) };
        assert!(self.known.insert(route, known).is_none(), "{route} was given out twice");
        if now {
            self.queued.push_back(ToRelay::Request(number, route));
        }
    }

    fn close(&mut self, route: RouteId) {
        let closed = self.routes.close(route);
        let known = self.known.get_mut(&route).expect("a route of the model");
        match known.state.take() {
            None => assert_eq!(closed, Err(RouteError::UnknownRoute)),
            Some(RouteState::Requested) => assert_eq!(closed, Ok(None)),
            Some(RouteState::Offline | RouteState::Online) => {
                let id = closed.expect("an open route").expect("a registered one");
                assert_eq!(self.relay[&id.get()].asked_for, route, "{} is another route's", id.get());
                self.queued.push_back(ToRelay::Disconnect(id));
            }
        }
    }

    fn relay_registers(&mut self, peer: u8, asked_for: RouteId) {
        let asked_twice = self.relay.values().any(|route| route.peer == peer);
        assert!(!asked_twice, "the relay would answer with the old route, which is closed or about to be");
        if peer == REFUSED {
            self.to_client.push_back((ToClient::Response(peer, None), asked_for));
            return;
        }
        let number =
            (16..=255).find(|number| !self.relay.contains_key(number)).expect("a free connection id");
        let online = self.peers.contains(&peer);
        self.relay.insert(number, Registered { peer, asked_for, online });
        self.to_client.push_back((ToClient::Response(peer, Some(id(number))), asked_for));
        if online {
            self.to_client.push_back((ToClient::Online(id(number)), asked_for));
        }
    }

    fn client_receives(&mut self, packet: ToClient, route: RouteId) {
        let Known { peer: number, state } = self.known[&route];
        let event = |reported: bool| reported.then_some(info(route, peer(number)));
        let to = match packet {
            ToClient::Response(number, id) => {
                let answer = self.routes.handle_response(ID, &peer(number), id);
                let answer = answer.expect("an honest relay's response");
                return self.check_answer(route, number, id, answer);
            }
            ToClient::Online(id) => {
                let reported = state == Some(RouteState::Offline);
                assert_eq!(self.routes.handle_online(ID, id), event(reported));
                RouteState::Online
            }
            ToClient::Offline(id) => {
                let reported = state == Some(RouteState::Online);
                assert_eq!(self.routes.handle_offline(ID, id), event(reported));
                RouteState::Offline
            }
            ToClient::Data(id) => {
                let reported = state == Some(RouteState::Online);
                assert_eq!(self.routes.online(ID, id), event(reported));
                RouteState::Online
            }
        };
        self.known.insert(route, Known { peer: number, state: state.map(|_| to) });
    }

    fn check_answer(&mut self, route: RouteId, number: u8, id: Option<RouteNumber>, answer: Answer) {
        if self.known[&route].state.is_none() {
            let next = self.visible(number);
            assert_eq!(answer, Answer::Closed { registered: id, again: next.map(|_| peer(number)) });
            self.queued.extend(id.map(ToRelay::Disconnect));
            self.queued.extend(next.map(|next| ToRelay::Request(number, next)));
            return;
        }
        let (expected, state) = match id {
            Some(_) => (Answer::Opened(info(route, peer(number))), Some(RouteState::Offline)),
            None => (Answer::Refused(info(route, peer(number))), None),
        };
        assert_eq!(answer, expected);
        self.known.insert(route, Known { peer: number, state });
    }

    /// Asserts what must be true after every step.
    fn check(&self) {
        let mut shown = 0;
        for (route, known) in &self.known {
            let Known { peer: number, state } = *known;
            let (route, token) = (*route, u64::from(number));
            let status =
                state.map(|state| RouteStatus { route, connection: ID, token, peer: peer(number), state });
            assert_eq!(self.routes.status(ID, route), status);
            let id = self.routes.number(route);
            assert_eq!(id.is_some(), state == Some(RouteState::Online));
            if let Some(id) = id {
                assert_eq!(self.relay[&id.get()].asked_for, route, "{} is another route's", id.get());
            }
            shown += usize::from(state.is_some());
        }
        assert_eq!(self.routes.iter(ID).count(), shown);
        for number in 0..PEERS {
            assert_eq!(self.routes.find(ID, &peer(number)), self.visible(number));
        }
        assert_eq!(self.routes.len(), shown + self.closed_and_not_removed());
        let mut ids = HashSet::new();
        for route in self.routes.slots().iter().flatten() {
            if let State::Offline(id) | State::Online(id) | State::Leaving(id) = route.state {
                assert!(ids.insert(id.get()), "two routes have the number {}", id.get());
            }
        }
    }

    /// The number of closed routes whose response or disconnect notification is still missing.
    fn closed_and_not_removed(&self) -> usize {
        let is_closed = |route: &RouteId| self.known[route].state.is_none();
        let sent = self.queued.iter().chain(&self.to_relay);
        let requests =
            sent.filter(|packet| matches!(packet, ToRelay::Request(_, route) if is_closed(route))).count();
        let responses = self.to_client.iter();
        let responses = responses
            .filter(|(packet, route)| matches!(packet, ToClient::Response(..)) && is_closed(route))
            .count();
        let leaving = self.queued.iter().filter(|packet| matches!(packet, ToRelay::Disconnect(_))).count();
        requests + responses + leaving
    }

    /// Closes all routes, and delivers all packets.
    fn finish(&mut self) {
        for route in self.known.keys().copied().collect::<Vec<_>>() {
            self.close(route);
        }
        while !(self.queued.is_empty() && self.to_relay.is_empty() && self.to_client.is_empty()) {
            for step in [Step::ClientSends, Step::RelayReceives, Step::ClientReceives] {
                self.step(&step);
            }
        }
        assert!(self.relay.is_empty(), "the relay still has {:?}", self.relay);
        assert_empty(&self.routes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn client_and_relay_agree_whatever_the_order(steps in prop::collection::vec(any_step(), 1..150)) {
        let mut client_and_relay = ClientAndRelay::default();
        for step in &steps {
            client_and_relay.step(step);
        }
        client_and_relay.finish();
    }
}
