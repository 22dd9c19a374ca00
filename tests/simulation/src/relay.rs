//! A relay: the switch of the test relay, with the links of this simulation.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use tox_test_relay::Reason;
use tox_test_relay::kind::{self, is_kept};
use tox_test_relay::outbox::{ClientId, Outbox, Output};
use tox_test_relay::session::{Fresh, HELLO_LENGTH, Hello, Key, Session, public_key};
use tox_test_relay::switch::{Rules, Switch};

use crate::link::{Link, Packet, Read};
use crate::rng::Rng;

/// The relay discards data if this many bytes are already waiting.
const FULL: usize = 64 * 1024;

pub struct Relay {
    secret_key: Key,
    pub public_key: Key,
    switch: Switch,
    endpoints: BTreeMap<ClientId, Endpoint>,
    next_seat: ClientId,
    outbox: Outbox,
    /// It does not answer before then.
    pub away_until: Option<Instant>,
    /// It fills each connection with packets of this length that it invents.
    flood: Option<usize>,
    /// It reads at most this many bytes per second from each connection, steadily.
    rate: Option<usize>,
    /// The time of its last turn.
    turned: Option<Instant>,
}

/// The sender of the packets that a relay invents.
pub const STRANGER: Key = [0x5a; 32];

/// One client's connection.
struct Endpoint {
    link: Rc<RefCell<Link>>,
    /// The hello as far as it has come.
    hello: Vec<u8>,
    session: Option<Session>,
    /// The client's key, until the first packet has come.
    unconfirmed: Option<Key>,
    /// Sealed, and not yet written to the link.
    unsent: Vec<u8>,
}

impl Relay {
    pub fn new(rng: &mut Rng) -> Self {
        let secret_key = rng.bytes();
        Self {
            secret_key,
            public_key: public_key(&secret_key),
            switch: Switch::new(Rules::default()),
            endpoints: BTreeMap::new(),
            next_seat: 0,
            outbox: Outbox::new(),
            away_until: None,
            flood: rng.one_in(4).then(|| rng.magnitude(1, 1024)),
            rate: rng.one_in(4).then(|| rng.magnitude(50_000, 200_000)),
            turned: None,
        }
    }

    pub fn accept(&mut self, link: Rc<RefCell<Link>>) {
        self.endpoints.insert(
            self.next_seat,
            Endpoint { link, hello: Vec::new(), session: None, unconfirmed: None, unsent: Vec::new() },
        );
        self.next_seat += 1;
    }

    /// Forgets all clients, as a crash does.
    pub fn restart(&mut self) {
        for endpoint in std::mem::take(&mut self.endpoints).values() {
            endpoint.link.borrow_mut().cut = true;
        }
        self.switch = Switch::new(Rules::default());
    }

    /// Ends one connection cleanly, after what was sent.
    pub fn hang_up_on_somebody(&mut self, rng: &mut Rng) {
        let all: Vec<ClientId> = self.endpoints.keys().copied().collect();
        if let Some(&endpoint) = rng.pick(&all) {
            self.leave(endpoint);
        }
    }

    /// From now on, clients that wait for it may time out.
    pub fn go_away(&mut self, until: Instant) {
        self.away_until = Some(until);
        self.endpoints.values().for_each(|endpoint| endpoint.link.borrow_mut().troubled = true);
    }

    pub fn floods(&self) -> bool {
        self.flood.is_some()
    }

    /// Invents no more packets, and reads without a limit.
    pub fn calm_down(&mut self) {
        (self.flood, self.rate) = (None, None);
    }

    /// Lets it read, answer and write once.
    pub fn turn(&mut self, now: Instant, rng: &mut Rng) {
        if self.away_until.is_some_and(|until| now < until) {
            return;
        }
        self.away_until = None;
        let since = self.turned.replace(now).unwrap_or(now);
        let most = self.rate.map(|rate| (now - since).as_millis() as usize * rate / 1000);
        for id in self.endpoints.keys().copied().collect::<Vec<_>>() {
            self.read(id, most, now, rng);
        }
        let ping = rng.number().max(1);
        self.switch.sweep(now, ping, &mut self.outbox);
        self.deliver();
        for endpoint in self.endpoints.values_mut() {
            if let (Some(len), Some(session)) = (self.flood, &mut endpoint.session) {
                let packet = [&[kind::OOB_RECEIVE], &STRANGER[..], &vec![0; len]].concat();
                while endpoint.unsent.len() < FULL {
                    session.seal(&packet, &mut endpoint.unsent);
                }
            }
            let taken = endpoint.link.borrow_mut().down.write(&endpoint.unsent, now, rng);
            endpoint.unsent.drain(..taken);
        }
    }

    fn read(&mut self, id: ClientId, most: Option<usize>, now: Instant, rng: &mut Rng) {
        // What somebody else sent in this turn may have ended it: the client itself, in a newer connection.
        let Some(link) = self.endpoints.get(&id).map(|endpoint| Rc::clone(&endpoint.link)) else { return };
        if link.borrow().cut {
            return self.leave(id);
        }
        let most = most.unwrap_or_else(|| rng.magnitude(1, 256 * 1024));
        let read = link.borrow_mut().up.read(now, most);
        match read {
            Read::Nothing => {}
            Read::End => self.leave(id),
            Read::Bytes(bytes) => self.handle(id, &bytes, now, rng),
        }
    }

    fn handle(&mut self, id: ClientId, mut bytes: &[u8], now: Instant, rng: &mut Rng) {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return };
        if endpoint.session.is_none() {
            let (head, rest) = bytes.split_at(bytes.len().min(HELLO_LENGTH - endpoint.hello.len()));
            endpoint.hello.extend_from_slice(head);
            bytes = rest;
            let Ok(hello) = <&[u8; HELLO_LENGTH]>::try_from(&endpoint.hello[..]) else { return };
            let hello = Hello::open(hello, &self.secret_key).expect("a hello for this relay");
            let fresh = Fresh {
                temporary_secret_key: rng.bytes(),
                base_nonce: nonce(rng),
                response_nonce: rng.bytes(),
            };
            let (response, session) = hello.accept(&fresh);
            endpoint.unsent.extend(response);
            endpoint.session = Some(session);
            let key = *hello.client_public_key();
            self.switch.join(id, key, now);
            self.leave_unconfirmed(key);
            let Some(endpoint) = self.endpoints.get_mut(&id) else { return };
            endpoint.unconfirmed = Some(key);
        }
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return };
        let session = endpoint.session.as_mut().expect("made above");
        let packets = session.open(bytes).expect("a client's packets open");
        if !packets.is_empty() {
            endpoint.unconfirmed = None;
        }
        for packet in packets {
            let route = self.switch.routes_of(id).find(|(number, ..)| *number == packet[0]);
            let mut link = endpoint.link.borrow_mut();
            match (packet[0], &packet[1..]) {
                (kind::PONG, id) => link.ledger.pong(u64::from_be_bytes(id.try_into().expect("8 bytes"))),
                (kind::ROUTING_REQUEST | kind::DISCONNECT_NOTIFICATION | kind::PING, _) => {}
                (_, data) => link.ledger.arrive(&match route {
                    Some((_, peer, _)) => Packet::Data { peer, data: data.to_vec() },
                    None => Packet::Other { plaintext: packet.clone() },
                }),
            }
            drop(link);
            self.switch.handle(id, &packet, &mut self.outbox);
        }
        self.deliver();
    }

    /// Forgets older connections with this key of which no packet has come yet. One that came later than the packets of
    /// a newer connection would replace that one.
    fn leave_unconfirmed(&mut self, key: Key) {
        let old =
            self.endpoints.iter().find(|(_, endpoint)| endpoint.unconfirmed == Some(key)).map(|(id, _)| *id);
        if let Some(old) = old {
            self.leave(old);
        }
    }

    /// Does what the switch wants done.
    fn deliver(&mut self) {
        let mut gone = Vec::new();
        for output in self.outbox.iter() {
            match output {
                Output::Send { client, plaintext } => {
                    let Some(endpoint) = self.endpoints.get_mut(&client) else { continue };
                    let Some(session) = &mut endpoint.session else { continue };
                    if !is_kept(plaintext[0]) && endpoint.unsent.len() > FULL {
                        continue;
                    }
                    if let [kind::PING, id @ ..] = plaintext {
                        let id = u64::from_be_bytes(id.try_into().expect("8 bytes"));
                        endpoint.link.borrow_mut().ledger.ping(id);
                    }
                    session.seal(plaintext, &mut endpoint.unsent);
                }
                Output::Drop { client, reason } => {
                    let link = &self.endpoints[&client].link;
                    match reason {
                        Reason::Replaced => {}
                        Reason::NoPong => {
                            assert!(link.borrow().troubled || link.borrow().absent, "no pong in time")
                        }
                        other => panic!("an honest relay finds fault with the client: {other}"),
                    }
                    gone.push(client);
                }
            }
        }
        self.outbox.clear();
        for client in gone {
            self.close(client);
        }
    }

    /// Forgets a client. What was sealed for it and has room on the link still arrives.
    fn leave(&mut self, id: ClientId) {
        self.switch.leave(id, &mut self.outbox);
        self.close(id);
        self.deliver();
    }

    fn close(&mut self, id: ClientId) {
        if let Some(endpoint) = self.endpoints.remove(&id) {
            endpoint.link.borrow_mut().down.close();
        }
    }

    /// The routes of whoever is confirmed with this key: the peer's key, and whether it is online.
    pub fn routes_of(&self, client: &Key) -> BTreeMap<Key, bool> {
        let id = self.switch.find(client);
        let routes = id.into_iter().flat_map(|id| self.switch.routes_of(id));
        routes.map(|(_, peer, online)| (peer, online)).collect()
    }
}

/// Every second one carries through many bytes soon.
fn nonce(rng: &mut Rng) -> [u8; 24] {
    let mut nonce: [u8; 24] = rng.bytes();
    if rng.one_in(2) {
        let from = rng.range(0, 23);
        nonce[from..].fill(0xff);
    }
    nonce
}
