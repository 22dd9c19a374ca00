//! What callers, relays and the clock do, in any order.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tox_relay_client::{PublicKey, RouteId};

use crate::input::Input;
use crate::pair::{Pair, Response, Socket, filling, peer};

/// The core and the model agree at each step, and a relay that is honest finds no fault with what it gets.
pub fn operations(data: &[u8]) {
    let mut input = Input::new(data);
    let head = input.byte();
    let send_queue = 4_068 + usize::from(input.word());
    let mut table = Table {
        pair: Pair::new(usize::from(head >> 4).checked_sub(13), send_queue),
        relay: Relay { honest: true, ..Relay::default() },
        connected: false,
        number: 0,
    };
    if head.is_multiple_of(2) {
        table.connect();
        table.deliver_all();
    }
    while !input.is_empty() && !table.pair.is_over() {
        table.step(&mut input);
    }
    table.deliver_all();
}

struct Table {
    pair: Pair,
    relay: Relay,
    connected: bool,
    /// Of the last packet.
    number: usize,
}

/// What the relay remembers.
#[derive(Default)]
struct Relay {
    /// Routing requests that it has not answered.
    requests: VecDeque<PublicKey>,
    /// Its routes, and their peers.
    routes: BTreeMap<u8, PublicKey>,
    /// The client's pings that it has not answered.
    pings: VecDeque<Vec<u8>>,
    /// It has sent nothing that a relay doesn't send.
    honest: bool,
}

impl Table {
    fn step(&mut self, input: &mut Input<'_>) {
        let operation = match input.byte() {
            240..=247 => return self.pair.ping(),
            248.. => return self.pair.network_changed(),
            byte => byte % 24,
        };
        match operation {
            0 => self.connect(),
            1 => self.pair.open_route(peer(input.byte() % 8)),
            2 => {
                // A few, or more than there can be.
                let (first, count) = (input.byte(), input.byte());
                let count = if count > 250 { 250 } else { count % 8 };
                (0..count).for_each(|next| self.pair.open_route(peer(first.wrapping_add(next))));
            }
            3 | 4 => {
                if let Some(route) = self.route(input) {
                    self.pair.close_route(route);
                }
            }
            5 => self.pair.close_all_routes(),
            6 | 7 => {
                if let Some(route) = self.route(input) {
                    let data = self.data(input);
                    self.pair.send_data(route, &data);
                }
            }
            8 => {
                let (peer, data) = (peer(input.byte() % 8), self.data(input));
                self.pair.send_to(peer, &data);
            }
            9 => {
                let data = self.data(input);
                match input.byte() % 4 {
                    0 => self.pair.send_oob(peer(input.byte() % 8), &data),
                    1 => self.pair.send_onion_request(&data),
                    2 => self.pair.send_forward_request(&data, false),
                    _ => self.pair.send_forward_request(&data, true),
                }
            }
            10 | 11 => self.flush(Socket {
                room: input.word().into(),
                piece: usize::from(input.word()) + 1,
                scratch: input.word().into(),
                interrupted: input.byte() < 32,
            }),
            12 => self.flush(Socket::WIDE),
            13 | 14 => self.pair.receive(input.word().into(), input.byte().into()),
            15 => self.pair.receive(usize::MAX, 1_000),
            16 => self.pair.wait(Duration::from_millis(input.word().into())),
            // What follows is the relay's. It stops where the client doesn't read.
            _ if !self.connected || self.pair.readable() > 64 * 1024 => {}
            17 => self.answer(input.byte() < 16),
            18 => self.send_notification(2 + input.byte() % 2, input),
            19 => {
                let data = self.data(input);
                if let Some(id) = self.id(input) {
                    self.pair.send_down(&[&[id], &data[..data.len().min(2_031)]].concat());
                }
            }
            20 => self.send_without_route(input),
            21 => {
                let (ping, count) = (input.byte().max(1), input.byte());
                let count = if count > 200 { count } else { 1 };
                (0..count).for_each(|_| self.pair.send_down(&[4, 0, 0, 0, 0, 0, 0, 0, ping]));
            }
            22 => {
                if let Some(ping) = self.relay.pings.pop_front() {
                    self.pair.send_down(&[&[5], &ping[1..]].concat());
                }
            }
            _ => {
                self.relay.honest = false;
                let len = input.byte().into();
                self.pair.send_down(input.take(len));
            }
        }
    }

    /// The transport is there, and the relay greets.
    fn connect(&mut self) {
        if !std::mem::replace(&mut self.connected, true) && !self.pair.is_over() {
            self.pair.connect();
            self.pair.respond(Response::Honest);
        }
    }

    /// All that is on its way arrives, until nothing is.
    fn deliver_all(&mut self) {
        if !self.connected {
            return;
        }
        loop {
            self.flush(Socket::WIDE);
            while let Some(ping) = self.relay.pings.pop_front() {
                self.pair.send_down(&[&[5], &ping[1..]].concat());
            }
            if self.pair.is_over() || self.pair.readable() == 0 {
                return;
            }
            self.pair.receive(usize::MAX, 1_000);
        }
    }

    fn flush(&mut self, socket: Socket) {
        for packet in self.pair.flush(socket) {
            self.relay.receive(&packet);
        }
    }

    /// Any route that there ever was.
    fn route(&self, input: &mut Input<'_>) -> Option<RouteId> {
        let visible: Vec<_> = self.pair.model().visible().map(|(name, ..)| name).collect();
        match input.byte() {
            at @ 0..=199 => visible.get(usize::from(at) % visible.len().max(1)).copied(),
            at => self.pair.model().all_routes().iter().nth(usize::from(at - 200)).copied(),
        }
    }

    fn data(&mut self, input: &mut Input<'_>) -> Vec<u8> {
        self.number += 1;
        filling(self.number, usize::from(input.word()) % 2_048)
    }

    /// The number of a route that the relay knows.
    fn id(&self, input: &mut Input<'_>) -> Option<u8> {
        input.pick(&self.relay.routes.keys().copied().collect::<Vec<_>>())
    }

    /// The relay answers the oldest request.
    fn answer(&mut self, refuse: bool) {
        let Some(peer) = self.relay.requests.pop_front() else { return };
        let free = (16..=255).find(|id| !self.relay.routes.contains_key(id)).filter(|_| !refuse);
        if let Some(id) = free {
            self.relay.routes.insert(id, peer);
        }
        self.pair.send_down(&[&[1, free.unwrap_or(0)], &peer.as_bytes()[..]].concat());
    }

    /// The peer of a route has come or gone, perhaps once more.
    fn send_notification(&mut self, kind: u8, input: &mut Input<'_>) {
        if let Some(id) = self.id(input) {
            self.pair.send_down(&[kind, id]);
        }
    }

    /// A packet that belongs to no route.
    fn send_without_route(&mut self, input: &mut Input<'_>) {
        let data = self.data(input);
        let data = &data[..data.len().min(1_024)];
        match (input.byte() % 3, data.is_empty()) {
            (_, true) => self.pair.send_down(&[0x0b]),
            (0, _) => self.pair.send_down(&[&[7], &peer(9).as_bytes()[..], data].concat()),
            (1, _) => self.pair.send_down(&[&[9], data].concat()),
            _ => self.pair.send_down(&[&[0x0b], data].concat()),
        }
    }
}

impl Relay {
    fn receive(&mut self, packet: &[u8]) {
        match packet[0] {
            0 => self.requests.push_back(<[u8; 32]>::try_from(&packet[1..]).expect("a key").into()),
            3 => {
                let closed = self.routes.remove(&packet[1]);
                assert!(closed.is_some() || !self.honest, "an unknown route was closed");
            }
            4 => self.pings.push_back(packet.to_vec()),
            id @ 16.. => {
                let known = self.routes.contains_key(&id);
                assert!(known || !self.honest, "data on an unknown route");
            }
            _ => {}
        }
    }
}
