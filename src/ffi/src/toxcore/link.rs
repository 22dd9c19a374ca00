//! One connection of toxcore: a relay that is tried again and again while it is being connected, its routes by number,
//! and the events that toxcore has still to be told.

use std::collections::VecDeque;
use std::ffi::{c_int, c_void};
use std::time::{Duration, Instant};

use tox_relay_client::{
    Client, ConnectionId, Event, OwnedEvent, PublicKey, Relay, Retry, RouteError, RouteId, Stage,
};

use crate::toxcore::abi::{CONFIRMED, CONNECTING, DISCONNECTED, FAILED, OFFLINE, ONLINE, SENT, sent};
use crate::toxcore::handlers::Handlers;
use crate::toxcore::routes::Routes;

/// How long a relay that cannot be connected is tried again. toxcore forgets a relay that fails while connecting, so one
/// that restarts would be lost.
const PERSISTENCE: Duration = Duration::from_secs(45);

/// The pause after the first attempt that fails; it doubles up to the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(125);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The most events that wait for toxcore. It serves each connection in each iteration, so more than those of one poll
/// wait only if it has forgotten the connection, which then ends.
const MAX_INBOX: usize = 8 * 1024;

/// A call of one of toxcore's callbacks; the argument is the `userdata` of `do_TCP_connection`.
pub(crate) type Call = Box<dyn FnOnce(*mut c_void)>;

pub(crate) struct Link {
    /// The number of this link in its instance.
    key: u64,
    relay: Relay,
    state: State,
    /// When the next failed attempt is the last one.
    give_up: Instant,
    /// The pause after the next failed attempt.
    pause: Duration,
    routes: Routes,
    /// Oldest first; at most `MAX_INBOX`.
    inbox: VecDeque<OwnedEvent>,
    pub(crate) handlers: Handlers,
    /// The round in which it had its last turn; 0 before the first one.
    pub(crate) round: u64,
}

enum State {
    /// The next attempt begins then.
    Waiting(Instant),
    Connecting(ConnectionId),
    /// toxcore knows that it is confirmed.
    Confirmed(ConnectionId),
    Ended,
}

/// The tokens of a connection and of its routes: they name the link, and the number of the route.
fn token(link: u64, number: u8) -> u64 {
    link << 8 | u64::from(number)
}

/// The link that a token names.
pub(crate) fn link_of(token: u64) -> u64 {
    token >> 8
}

/// The number of the route that a token names.
fn number_of(token: u64) -> u8 {
    token as u8
}

impl Link {
    /// A connection to this relay, of which the first attempt begins at `first`.
    pub(crate) fn new(key: u64, relay: Relay, first: Instant) -> Self {
        Self {
            key,
            relay: relay.token(token(key, 0)),
            state: State::Waiting(first),
            give_up: first + PERSISTENCE,
            pause: FIRST_PAUSE,
            routes: Routes::default(),
            inbox: VecDeque::new(),
            handlers: Handlers::default(),
            round: 0,
        }
    }

    /// Begins the attempt that is due, and notices a handshake that is complete.
    ///
    /// toxcore opens routes when it sees that a connection is confirmed, and the C client is so right after the
    /// handshake. Routes can be opened then, too: the proof that the relay is the right one follows.
    pub(crate) fn update(&mut self, client: &mut Client, now: Instant) {
        match self.state {
            State::Waiting(until) if until <= now => match client.connect(&self.relay) {
                Ok(connection) => self.state = State::Connecting(connection),
                Err(error) => self.fail(Some(error.retry()), now),
            },
            State::Connecting(connection) if client.stage(connection) >= Some(Stage::Confirming) => {
                self.state = State::Confirmed(connection);
            }
            _ => {}
        }
    }

    pub(crate) fn status(&self) -> c_int {
        match self.state {
            State::Waiting(_) | State::Connecting(_) => CONNECTING,
            State::Confirmed(_) => CONFIRMED,
            State::Ended => DISCONNECTED,
        }
    }

    /// The connection, if toxcore may use it.
    pub(crate) fn confirmed(&self) -> Option<ConnectionId> {
        if let State::Confirmed(connection) = self.state { Some(connection) } else { None }
    }

    /// Ends the connection. The relay is notified as far as the socket has room.
    pub(crate) fn end(&mut self, client: &mut Client) {
        if let State::Connecting(connection) | State::Confirmed(connection) = self.state {
            client.disconnect(connection);
        }
        self.state = State::Ended;
    }

    /// An attempt has failed: another one follows, or the connection ends.
    fn fail(&mut self, retry: Option<Retry>, now: Instant) {
        if now >= self.give_up || matches!(retry, None | Some(Retry::Ask)) {
            self.state = State::Ended;
            return;
        }
        self.state = State::Waiting(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Takes an event of this connection.
    pub(crate) fn receive(&mut self, event: Event<'_>, client: &mut Client, now: Instant) {
        match (event, &self.state) {
            (Event::Disconnected { reason, .. }, State::Connecting(_)) => self.fail(reason.retry(), now),
            (Event::Disconnected { .. }, _) => self.state = State::Ended,
            (Event::Connected { .. } | Event::Writable { .. }, _) => {}
            (Event::RouteRefused { token, route, .. }, _) => {
                if self.routes.get_if(number_of(token), route).is_some() {
                    self.routes.remove(number_of(token));
                }
            }
            _ if self.inbox.len() < MAX_INBOX => self.inbox.push_back(event.to_owned()),
            _ => {
                self.inbox.clear();
                self.end(client);
            }
        }
    }

    /// The call with which toxcore gets the oldest event. Events for which it has no callback are skipped.
    pub(crate) fn next_call(&mut self) -> Option<Call> {
        while let Some(event) = self.inbox.pop_front() {
            if let Some(call) = self.call(event) {
                return Some(call);
            }
        }
        None
    }

    /// `None` if toxcore has no callback for it, has closed the route meanwhile, or has not taken note of the route.
    fn call(&mut self, event: OwnedEvent) -> Option<Call> {
        let number = number_of(event.token());
        match event {
            OwnedEvent::RouteOpened { route, peer, .. } => {
                self.routes.get_if(number, route)?;
                let (function, object) = self.handlers.response.get()?;
                Some(Box::new(move |_| {
                    function(object, number, peer.as_bytes().as_ptr());
                }))
            }
            OwnedEvent::RouteOnline { route, .. } => self.status_call(number, route, ONLINE),
            OwnedEvent::RouteOffline { route, .. } => self.status_call(number, route, OFFLINE),
            OwnedEvent::Data { route, data, .. } => {
                let peer = self.routes.get_if(number, route)?.peer?;
                let (function, object) = self.handlers.data.get()?;
                Some(Box::new(move |userdata| {
                    function(object, peer, number, data.as_ptr(), data.len() as u16, userdata);
                }))
            }
            OwnedEvent::Oob { sender, data, .. } => {
                let (function, object) = self.handlers.oob.get()?;
                Some(Box::new(move |userdata| {
                    let sender = sender.as_bytes();
                    function(object, sender.as_ptr(), data.as_ptr(), data.len() as u16, userdata);
                }))
            }
            OwnedEvent::OnionResponse { data, .. } => {
                let (function, object) = self.handlers.onion.get()?;
                Some(Box::new(move |userdata| {
                    function(object, data.as_ptr(), data.len() as u16, userdata);
                }))
            }
            OwnedEvent::Forwarding { data, .. } => {
                let (function, object) = self.handlers.forwarding.get()?;
                Some(Box::new(move |userdata| {
                    function(object, data.as_ptr(), data.len() as u16, userdata);
                }))
            }
            _ => None,
        }
    }

    fn status_call(&mut self, number: u8, route: RouteId, status: u8) -> Option<Call> {
        let peer = self.routes.get_if(number, route)?.peer?;
        let (function, object) = self.handlers.status.get()?;
        Some(Box::new(move |_| {
            function(object, peer, number, status);
        }))
    }

    /// Requests a route. A second request for one that exists is legal, and does nothing.
    pub(crate) fn open_route(&mut self, client: &mut Client, peer: PublicKey) -> c_int {
        let Some(connection) = self.confirmed() else { return FAILED };
        let Some(number) = self.routes.free_number() else { return FAILED };
        match client.open_route_with_token(connection, peer, token(self.key, number)) {
            Ok(route) => self.routes.insert(number, route),
            Err(RouteError::Exists(_)) => {}
            Err(_) => return FAILED,
        }
        SENT
    }

    pub(crate) fn close_route(&mut self, client: &mut Client, number: u8) -> c_int {
        match self.routes.remove(number) {
            Some(route) if client.close_route(route.id).is_ok() => SENT,
            _ => FAILED,
        }
    }

    pub(crate) fn send_data(&mut self, client: &mut Client, number: u8, data: &[u8]) -> c_int {
        self.routes.get(number).map_or(FAILED, |route| sent(client.send_data(route.id, data)))
    }

    /// Sets toxcore's number for the peer of a route.
    pub(crate) fn set_peer(&mut self, number: u8, peer: u32) -> c_int {
        match self.routes.get(number) {
            Some(route) => {
                route.peer = Some(peer);
                0
            }
            None => FAILED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tox_relay_client::{Config, SecretKey};

    /// A link to a relay that is never connected, and its client. No connection of the client is used.
    fn link(now: Instant) -> (Link, Client) {
        let client = Client::new(Config::new(SecretKey::generate())).unwrap();
        let relay = Relay::new("127.0.0.1:1", SecretKey::generate().public_key());
        (Link::new(7, relay, now), client)
    }

    #[test]
    fn a_relay_that_fails_while_connecting_is_given_up_after_45_seconds() {
        let start = Instant::now();
        let (mut link, _client) = link(start);
        let mut now = start;
        let mut attempts = 0;
        while now < start + PERSISTENCE {
            link.fail(Some(Retry::Soon), now);
            let State::Waiting(until) = link.state else { panic!("given up after {:?}", now - start) };
            assert!(until - now <= LONGEST_PAUSE);
            assert_eq!(link.status(), CONNECTING);
            now = until;
            attempts += 1;
        }
        link.fail(Some(Retry::Soon), now);
        assert_eq!(link.status(), DISCONNECTED);
        assert!((45..60).contains(&attempts), "{attempts}");
    }

    #[test]
    fn what_cannot_help_is_not_tried_again() {
        let now = Instant::now();
        for retry in [None, Some(Retry::Ask)] {
            let (mut link, _client) = link(now);
            link.fail(retry, now);
            assert_eq!(link.status(), DISCONNECTED);
        }
    }

    #[test]
    fn a_connection_that_toxcore_has_forgotten_ends_when_its_inbox_is_full() {
        let now = Instant::now();
        let (mut link, mut client) = link(now);
        let (connection, sender) = (ConnectionId::from(0), SecretKey::generate().public_key());
        let event = Event::Oob { connection, token: token(7, 0), sender, data: b"hello" };
        for _ in 0..MAX_INBOX {
            link.receive(event, &mut client, now);
        }
        assert_eq!((link.inbox.len(), link.status()), (MAX_INBOX, CONNECTING));
        link.receive(event, &mut client, now);
        assert_eq!((link.inbox.len(), link.status()), (0, DISCONNECTED));
    }

    #[test]
    fn a_token_names_the_link_and_the_route() {
        assert_eq!(link_of(token(7, 239)), 7);
        assert_eq!(number_of(token(7, 239)), 239);
    }
}
