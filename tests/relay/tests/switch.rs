//! The relay's logic in virtual time, without any socket.

use std::time::{Duration, Instant};

use tox_test_relay::{
    Reason,
    kind::*,
    outbox::{ClientId, Outbox, Output},
    switch::{Rules, Switch},
};

/// A switch, its virtual time, and its outputs.
struct Fixture {
    switch: Switch,
    now: Instant,
    out: Outbox,
}

/// One output of the switch.
#[derive(Debug, PartialEq)]
enum Done {
    Sent(ClientId, Vec<u8>),
    Dropped(ClientId, Reason),
}
use Done::{Dropped, Sent};

impl Fixture {
    /// A switch with this many confirmed clients, whose keys are [0; 32], [1; 32] and so on.
    fn with_clients(count: u8) -> Self {
        let switch = Switch::new(Rules::default());
        let mut fixture = Self { switch, now: Instant::now(), out: Outbox::new() };
        for client in 0..count {
            fixture.switch.join(client.into(), [client; 32], fixture.now);
            fixture.confirm(client.into());
        }
        fixture
    }

    fn confirm(&mut self, client: ClientId) {
        assert_eq!(self.send(client, &[CONNECTION_NOTIFICATION, 0]), []);
    }

    fn send(&mut self, client: ClientId, plaintext: &[u8]) -> Vec<Done> {
        self.switch.handle(client, plaintext, &mut self.out);
        self.done()
    }

    fn request_route(&mut self, client: ClientId, peer: u8) -> Vec<Done> {
        self.send(client, &[[ROUTING_REQUEST; 1].as_slice(), &[peer; 32]].concat())
    }

    /// Advances the time by this many seconds, and sweeps.
    fn pass(&mut self, seconds: u64, ping: u64) -> Vec<Done> {
        self.now += Duration::from_secs(seconds);
        self.switch.sweep(self.now, ping, &mut self.out);
        self.done()
    }

    fn done(&mut self) -> Vec<Done> {
        let outputs = self.out.iter();
        let done = outputs.map(|output| match output {
            Output::Send { client, plaintext } => Sent(client, plaintext.to_vec()),
            Output::Drop { client, reason } => Dropped(client, reason),
        });
        let done = done.collect();
        self.out.clear();
        assert!(self.out.is_empty());
        done
    }
}

fn response(client: ClientId, id: u8, peer: u8) -> Done {
    Sent(client, [&[ROUTING_RESPONSE, id][..], &[peer; 32]].concat())
}

#[test]
fn notifications_follow_the_response_at_once() {
    let mut fixture = Fixture::with_clients(2);
    assert_eq!(fixture.request_route(0, 1), [response(0, 16, 1)]);
    let both = [
        response(1, 16, 0),
        Sent(1, vec![CONNECTION_NOTIFICATION, 16]),
        Sent(0, vec![CONNECTION_NOTIFICATION, 16]),
    ];
    assert_eq!(fixture.request_route(1, 0), both);
    assert_eq!(fixture.request_route(1, 0), [response(1, 16, 0)]);
}

#[test]
fn the_lowest_free_number_is_given() {
    let mut fixture = Fixture::with_clients(1);
    for (peer, id) in [(1, 16), (2, 17), (3, 18)] {
        assert_eq!(fixture.request_route(0, peer), [response(0, id, peer)]);
    }
    assert_eq!(fixture.send(0, &[DISCONNECT_NOTIFICATION, 17]), []);
    assert_eq!(fixture.request_route(0, 4), [response(0, 17, 4)]);
    assert_eq!(fixture.request_route(0, 5), [response(0, 19, 5)]);
    assert_eq!(fixture.request_route(0, 0), [response(0, 0, 0)]);
}

#[test]
fn a_dropped_client_is_removed_and_its_routes_are_offline() {
    let mut fixture = Fixture::with_clients(2);
    fixture.request_route(0, 1);
    fixture.request_route(1, 0);
    let end = [Sent(0, vec![DISCONNECT_NOTIFICATION, 16]), Dropped(1, Reason::WrongKind(0x0f))];
    assert_eq!(fixture.send(1, &[0x0f]), end);
    assert_eq!(fixture.send(1, &[0x0f]), [], "a packet that arrived with the invalid one is ignored");
    fixture.switch.leave(1, &mut fixture.out);
    assert_eq!(fixture.done(), []);
    assert_eq!((fixture.switch.clients(), fixture.switch.routes()), (1, 1));

    assert_eq!(fixture.send(0, &[16, 1]), [], "offline");
    fixture.switch.leave(0, &mut fixture.out);
    assert_eq!((fixture.switch.clients(), fixture.switch.confirmed(), fixture.switch.routes()), (0, 0, 0));
}

#[test]
fn an_unconfirmed_client_cannot_be_reached_and_replaces_nobody() {
    let mut fixture = Fixture::with_clients(2);
    fixture.switch.join(7, [1; 32], fixture.now);
    assert_eq!(fixture.switch.find(&[1; 32]), Some(1));
    assert!(!fixture.switch.is_confirmed(7));
    let oob = [&[OOB_SEND][..], &[1; 32], &[9]].concat();
    let received = [&[OOB_RECEIVE][..], &[0; 32], &[9]].concat();
    assert_eq!(fixture.send(0, &oob), [Sent(1, received.clone())]);

    let replaced = [Dropped(1, Reason::Replaced), Sent(7, [&[PONG][..], &[3; 8]].concat())];
    assert_eq!(fixture.send(7, &[&[PING][..], &[3; 8]].concat()), replaced);
    assert_eq!(fixture.send(0, &oob), [Sent(7, received)]);
}

#[test]
fn an_unconfirmed_client_that_leaves_changes_nothing() {
    let mut fixture = Fixture::with_clients(2);
    fixture.switch.join(7, [1; 32], fixture.now);
    fixture.switch.leave(7, &mut fixture.out);
    assert_eq!(fixture.switch.find(&[1; 32]), Some(1));
    assert_eq!(fixture.done(), []);
}

#[test]
fn a_ping_every_30_s_and_the_end_10_s_after_one_without_pong() {
    let mut fixture = Fixture::with_clients(2);
    fixture.switch.join(2, [2; 32], fixture.now); // never confirmed: never pinged
    assert_eq!(fixture.pass(29, 1), []);
    assert_eq!(fixture.switch.next_deadline(), Some(fixture.now + Duration::from_secs(1)));
    let ping = |client, id: u64| Sent(client, [&[PING][..], &id.to_be_bytes()].concat());
    assert_eq!(fixture.pass(1, 2), [ping(0, 2), ping(1, 2)]);
    assert_eq!(fixture.pass(0, 3), [], "a second call does nothing");

    let pong = |id: u64| [&[PONG][..], &id.to_be_bytes()].concat();
    assert_eq!(fixture.send(0, &pong(2)), []);
    assert_eq!(fixture.send(1, &pong(1)), [], "the pong for an older ping does not count");
    assert_eq!(fixture.pass(9, 4), []);
    assert_eq!(fixture.pass(1, 5), [Dropped(1, Reason::NoPong)]);
    assert_eq!(fixture.pass(19, 6), []);
    assert_eq!(fixture.pass(1, 7), [ping(0, 7)]);
}

#[test]
fn an_empty_plaintext_is_malformed() {
    let mut fixture = Fixture::with_clients(1);
    assert_eq!(fixture.send(0, &[]), [Dropped(0, Reason::Malformed(0))]);
}

#[test]
fn only_control_packets_are_kept_while_a_socket_is_full() {
    let kept: Vec<u8> = (0..=255).filter(|kind| is_kept(*kind)).collect();
    let steering = [ROUTING_RESPONSE, CONNECTION_NOTIFICATION, DISCONNECT_NOTIFICATION, PING, PONG];
    assert_eq!(kept, steering);
}
