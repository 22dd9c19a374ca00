//! The relay's logic without any connection: which clients exist, and to which of them a packet is sent.
//!
//! The switch takes plaintexts of clients and fills an [`Outbox`] with its outputs. It uses no socket, no clock and no
//! random source, so a simulation can run it in virtual time.
//!
//! This relay has no network of other nodes: packets for the onion and for forwarding are sent back to their sender, as
//! if another node had answered with the same data.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use crate::{
    kind::*,
    outbox::{ClientId, Outbox},
    reason::Reason,
    routes::Routes,
    session::{Key, NONCE_LENGTH},
};

/// The most data that an OOB packet carries.
pub const MAX_OOB_DATA: usize = 1024;
/// The most data that a forward request carries.
pub const MAX_FORWARD_DATA: usize = 1792;
/// An onion request with fewer bytes, including its kind, ends the client's connection.
pub const MIN_ONION_REQUEST: usize = 160;
/// Onion requests of these lengths, including the kind, are sent to the onion. Longer and shorter ones are discarded.
pub const ONION_REQUESTS: std::ops::RangeInclusive<usize> = 179..=1360;

/// What may differ between relays.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The time from one ping to the next; by default 30 s.
    pub ping_every: Duration,
    /// The longest time from a ping to its pong; by default 10 s.
    pub pong_within: Duration,
    /// Whether the relay acts like one with a DHT node; by default true. Without one it ignores onion requests, and
    /// drops a client that sends a forward request.
    pub dht: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { ping_every: Duration::from_secs(30), pong_within: Duration::from_secs(10), dht: true }
    }
}

/// All clients of a relay and their routes.
#[derive(Default)]
pub struct Switch {
    rules: Rules,
    /// Sorted, so that a simulation gives the same results each time.
    clients: BTreeMap<ClientId, Client>,
    /// The clients that peers can reach, by their keys.
    confirmed: HashMap<Key, ClientId>,
}

struct Client {
    public_key: Key,
    confirmed: bool,
    routes: Routes,
    /// When the last ping was sent; before the first ping, when the client joined.
    pinged_at: Instant,
    /// The ping that has not been answered yet.
    ping: Option<u64>,
}

impl Client {
    /// When the next ping is due, or the pong that has not arrived yet.
    fn deadline(&self, rules: &Rules) -> Instant {
        self.pinged_at + if self.ping.is_some() { rules.pong_within } else { rules.ping_every }
    }
}

impl Switch {
    /// A switch with no clients.
    pub fn new(rules: Rules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Adds a client that has completed the handshake. Peers cannot reach it before its first packet confirms it: the
    /// handshake alone might be a replayed one.
    ///
    /// # Panics
    ///
    /// If the number belongs to a client that has not left.
    pub fn join(&mut self, client: ClientId, public_key: Key, now: Instant) {
        let routes = Routes::default();
        let new = Client { public_key, confirmed: false, routes, pinged_at: now, ping: None };
        let old = self.clients.insert(client, new);
        assert!(old.is_none(), "client {client} has already joined");
    }

    /// Removes a client whose connection has ended. Does nothing if the switch has dropped it already.
    pub fn leave(&mut self, client: ClientId, out: &mut Outbox) {
        let Some(gone) = self.clients.remove(&client) else { return };
        if self.confirmed.get(&gone.public_key) == Some(&client) {
            self.confirmed.remove(&gone.public_key);
        }
        for (peer, id) in gone.routes.iter().filter_map(|route| route.other_end) {
            self.take_offline(peer, id, out);
        }
    }

    /// Drops a client. The switch does that itself; others call this for what it cannot detect, such as a packet that
    /// does not open.
    pub fn expel(&mut self, client: ClientId, reason: Reason, out: &mut Outbox) {
        self.leave(client, out);
        out.drop(client, reason);
    }

    /// Handles a packet of a client. It is ignored if the client is not there: it may have been dropped for the packet
    /// before.
    pub fn handle(&mut self, client: ClientId, plaintext: &[u8], out: &mut Outbox) {
        if !self.clients.contains_key(&client) {
            return;
        }
        self.confirm(client, out);
        if let Err(reason) = self.dispatch(client, plaintext, out) {
            self.expel(client, reason, out);
        }
    }

    /// Pings the clients for which that is due, and drops those that did not answer a ping in time.
    ///
    /// All pings of one call have the same number, which must not be 0. More calls than needed do no harm. If a call is
    /// late, handle the packets that have arrived before it.
    pub fn sweep(&mut self, now: Instant, ping: u64, out: &mut Outbox) {
        let mut silent = Vec::new();
        for (&id, client) in &mut self.clients {
            if !client.confirmed || now < client.deadline(&self.rules) {
                continue;
            }
            if client.ping.is_some() {
                silent.push(id);
            } else {
                client.ping = Some(ping);
                client.pinged_at = now;
                out.send(id, &[&[PING], &ping.to_be_bytes()]);
            }
        }
        for id in silent {
            self.expel(id, Reason::NoPong, out);
        }
    }

    /// When [`sweep`](Switch::sweep) has something to do next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let confirmed = self.clients.values().filter(|client| client.confirmed);
        confirmed.map(|client| client.deadline(&self.rules)).min()
    }

    /// The confirmed client with this public key.
    pub fn find(&self, public_key: &Key) -> Option<ClientId> {
        self.confirmed.get(public_key).copied()
    }

    /// Whether this client has joined, and has not left.
    pub fn contains(&self, client: ClientId) -> bool {
        self.clients.contains_key(&client)
    }

    /// Whether this client has joined, and its first packet has arrived.
    pub fn is_confirmed(&self, client: ClientId) -> bool {
        self.clients.get(&client).is_some_and(|client| client.confirmed)
    }

    /// How many clients are confirmed.
    pub fn confirmed(&self) -> usize {
        self.confirmed.len()
    }

    /// How many clients there are, confirmed or not.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// A client's routes: number, peer, and whether the route is online.
    pub fn routes_of(&self, client: ClientId) -> impl Iterator<Item = (u8, Key, bool)> {
        self.clients.get(&client).into_iter().flat_map(|client| client.routes.numbered())
    }

    /// How many routes there are. The two ends of a pair count as two. Iterates over all clients.
    pub fn routes(&self) -> usize {
        self.clients.values().map(|client| client.routes.iter().count()).sum()
    }

    /// Confirms a client at its first packet, and drops an older one with the same key.
    fn confirm(&mut self, id: ClientId, out: &mut Outbox) {
        let client = self.client(id);
        if client.confirmed {
            return;
        }
        client.confirmed = true;
        let public_key = client.public_key;
        if let Some(older) = self.confirmed.insert(public_key, id) {
            self.expel(older, Reason::Replaced, out);
        }
    }

    fn dispatch(&mut self, id: ClientId, packet: &[u8], out: &mut Outbox) -> Result<(), Reason> {
        let (&kind, rest) = packet.split_first().ok_or(Reason::Malformed(0))?;
        let malformed = Reason::Malformed(kind);
        match kind {
            ROUTING_REQUEST => {
                self.open_route(id, rest.try_into().map_err(|_| malformed)?, out);
            }
            DISCONNECT_NOTIFICATION => {
                let [route] = rest.try_into().map_err(|_| malformed)?;
                self.close_route(id, route, out)?;
            }
            PING => {
                let ping: [u8; 8] = rest.try_into().map_err(|_| malformed)?;
                out.send(id, &[&[PONG], &ping]);
            }
            PONG => {
                let ping = rest.try_into().map_err(|_| malformed)?;
                self.handle_pong(id, u64::from_be_bytes(ping))?;
            }
            OOB_SEND => {
                let (destination, data) = rest.split_first_chunk().ok_or(malformed)?;
                self.pass_oob(id, destination, data, out)?;
            }
            ONION_REQUEST => self.reflect_onion(id, packet, out)?,
            FORWARD_REQUEST => self.reflect_forward(id, rest, out)?,
            // Ignored, as by real relays, on which clients may rely.
            CONNECTION_NOTIFICATION => {}
            kind if ROUTES.contains(&kind) => self.pass_data(id, kind, rest, out)?,
            kind => return Err(Reason::WrongKind(kind)),
        }
        Ok(())
    }

    fn open_route(&mut self, id: ClientId, peer: &Key, out: &mut Outbox) {
        let client = self.client(id);
        let known = client.routes.find(peer);
        let route = match known {
            Some(route) => route,
            None if client.public_key == *peer => 0,
            None => client.routes.open(*peer).unwrap_or(0),
        };
        out.send(id, &[&[ROUTING_RESPONSE, route], peer]);
        if known.is_none() && route != 0 {
            self.pair(id, route, peer, out);
        }
    }

    /// Puts a new route online if the peer has requested a route to this client, too.
    fn pair(&mut self, id: ClientId, route: u8, peer: &Key, out: &mut Outbox) {
        let public_key = self.client(id).public_key;
        let Some(peer) = self.find(peer) else { return };
        let Some(back) = self.client(peer).routes.find(&public_key) else { return };
        for (here, there) in [((id, route), (peer, back)), ((peer, back), (id, route))] {
            let (client, route) = here;
            if let Some(route) = self.client(client).routes.get_mut(route) {
                route.other_end = Some(there);
            }
            out.send(client, &[&[CONNECTION_NOTIFICATION, route]]);
        }
    }

    fn close_route(&mut self, id: ClientId, route: u8, out: &mut Outbox) -> Result<(), Reason> {
        let routes = &mut self.client(id).routes;
        let closed = routes.close(route).ok_or(Reason::NoSuchRoute(route))?;
        if let Some((peer, back)) = closed.other_end {
            self.take_offline(peer, back, out);
        }
        Ok(())
    }

    /// Puts a route offline whose other end has gone. The route stays, since the peer may return.
    fn take_offline(&mut self, client: ClientId, route: u8, out: &mut Outbox) {
        if let Some(ended) = self.client(client).routes.get_mut(route) {
            ended.other_end = None;
            out.send(client, &[&[DISCONNECT_NOTIFICATION, route]]);
        }
    }

    fn handle_pong(&mut self, id: ClientId, ping: u64) -> Result<(), Reason> {
        let client = self.client(id);
        if client.ping == Some(ping) {
            client.ping = None;
        }
        if ping == 0 { Err(Reason::ZeroPong) } else { Ok(()) }
    }

    fn pass_data(&mut self, id: ClientId, route: u8, data: &[u8], out: &mut Outbox) -> Result<(), Reason> {
        let route = self.client(id).routes.get(route).ok_or(Reason::NoSuchRoute(route))?;
        if let Some((peer, back)) = route.other_end {
            out.send(peer, &[&[back], data]);
        }
        Ok(())
    }

    fn pass_oob(
        &mut self,
        id: ClientId,
        destination: &Key,
        data: &[u8],
        out: &mut Outbox,
    ) -> Result<(), Reason> {
        if data.is_empty() || data.len() > MAX_OOB_DATA {
            return Err(Reason::Malformed(OOB_SEND));
        }
        let sender = self.client(id).public_key;
        if let Some(destination) = self.find(destination) {
            out.send(destination, &[&[OOB_RECEIVE], &sender, data]);
        }
        Ok(())
    }

    fn reflect_onion(&self, id: ClientId, packet: &[u8], out: &mut Outbox) -> Result<(), Reason> {
        if !self.rules.dht {
            return Ok(());
        }
        if packet.len() < MIN_ONION_REQUEST {
            return Err(Reason::Malformed(ONION_REQUEST));
        }
        if ONION_REQUESTS.contains(&packet.len()) {
            out.send(id, &[&[ONION_RESPONSE], &packet[1 + NONCE_LENGTH..]]);
        }
        Ok(())
    }

    fn reflect_forward(&self, id: ClientId, rest: &[u8], out: &mut Outbox) -> Result<(), Reason> {
        if !self.rules.dht {
            return Err(Reason::NoForwarding);
        }
        // The destination: family, address, port.
        let length = match rest.first() {
            Some(2 | 130) => 1 + 4 + 2,
            Some(10 | 138) => 1 + 16 + 2,
            _ => return Err(Reason::Malformed(FORWARD_REQUEST)),
        };
        let data = rest.get(length..).ok_or(Reason::Malformed(FORWARD_REQUEST))?;
        if (1..=MAX_FORWARD_DATA).contains(&data.len()) {
            out.send(id, &[&[FORWARDING], data]);
        }
        Ok(())
    }

    /// A client that has joined. Routes refer only to such clients: `leave` puts the other ends of routes offline.
    fn client(&mut self, id: ClientId) -> &mut Client {
        self.clients.get_mut(&id).expect("a client that has joined")
    }
}
