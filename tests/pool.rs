//! Pools on embedded relays: a peer is reached through several of them, and losing one is not noticed.

mod support;

use std::time::{Duration, Instant};

use support::{GUARD, TestRelay, honest};
use tox_relay_client::pool::{
    Origin, OwnedPoolEvent, PeerId, Pool, PoolEvent, PoolEvents, PoolSendError, RelayId,
};
use tox_relay_client::{Config, ConnectError, DisconnectReason, Proxy, PublicKey, Relay, SecretKey};
use tox_test_relay::kind;

/// A pool and what it has reported.
struct Node {
    pool: Pool,
    key: PublicKey,
    events: PoolEvents,
    reported: Vec<Reported>,
}

/// The tokens of all relays and peers, which each of their events has, also after they were removed.
const RELAY_TOKEN: u64 = 17;
const PEER_TOKEN: u64 = 19;

/// An event that owns its data.
#[derive(Debug, Clone, PartialEq)]
enum Reported {
    Online(PeerId, RelayId),
    Moved(PeerId, RelayId),
    Offline(PeerId),
    Data(PeerId, Vec<u8>),
    Oob(RelayId, PublicKey, Vec<u8>),
    Writable(PeerId),
    RelayWritable(RelayId),
    OnionResponse(RelayId, Vec<u8>),
    Forwarding(RelayId, Vec<u8>),
    RouteRefused(PeerId, RelayId),
    Up(RelayId),
    Down(RelayId, DisconnectReason),
    Refused(RelayId),
    Unsent(PeerId, RelayId, usize),
}

impl From<PoolEvent<'_>> for Reported {
    fn from(event: PoolEvent<'_>) -> Self {
        let (PoolEvent::PeerOnline { token, .. }
        | PoolEvent::PeerMoved { token, .. }
        | PoolEvent::PeerOffline { token, .. }
        | PoolEvent::Data { token, .. }
        | PoolEvent::Writable { token, .. }
        | PoolEvent::Unsent { token, .. }
        | PoolEvent::Oob { token, .. }
        | PoolEvent::RelayUp { token, .. }
        | PoolEvent::RelayWritable { token, .. }
        | PoolEvent::OnionResponse { token, .. }
        | PoolEvent::Forwarding { token, .. }
        | PoolEvent::RouteRefused { token, .. }
        | PoolEvent::RelayRefused { token, .. }
        | PoolEvent::RelayDown { token, .. }) = event
        else {
            panic!("an event without a case here: {event:?}")
        };
        let is_of_relay = matches!(
            event,
            PoolEvent::Oob { .. }
                | PoolEvent::RelayUp { .. }
                | PoolEvent::RelayWritable { .. }
                | PoolEvent::OnionResponse { .. }
                | PoolEvent::Forwarding { .. }
                | PoolEvent::RelayRefused { .. }
                | PoolEvent::RelayDown { .. }
        );
        assert_eq!(token, if is_of_relay { RELAY_TOKEN } else { PEER_TOKEN }, "{event:?}");
        match event {
            PoolEvent::PeerOnline { peer, relay, .. } => Self::Online(peer, relay),
            PoolEvent::PeerMoved { peer, relay, .. } => Self::Moved(peer, relay),
            PoolEvent::PeerOffline { peer, .. } => Self::Offline(peer),
            PoolEvent::Data { peer, data, .. } => Self::Data(peer, data.to_vec()),
            PoolEvent::Oob { relay, sender, data, .. } => Self::Oob(relay, sender, data.to_vec()),
            PoolEvent::Writable { peer, .. } => Self::Writable(peer),
            PoolEvent::RelayUp { relay, .. } => Self::Up(relay),
            PoolEvent::RelayWritable { relay, .. } => Self::RelayWritable(relay),
            PoolEvent::OnionResponse { relay, data, .. } => Self::OnionResponse(relay, data.to_vec()),
            PoolEvent::Forwarding { relay, data, .. } => Self::Forwarding(relay, data.to_vec()),
            PoolEvent::RouteRefused { peer, relay, .. } => Self::RouteRefused(peer, relay),
            PoolEvent::RelayDown { relay, reason, .. } => Self::Down(relay, reason),
            PoolEvent::RelayRefused { relay, .. } => Self::Refused(relay),
            PoolEvent::Unsent { peer, relay, bytes, .. } => Self::Unsent(peer, relay, bytes),
            event => panic!("an event without a case here: {event:?}"),
        }
    }
}

impl Node {
    fn new() -> Self {
        let secret = SecretKey::generate();
        let key = secret.public_key();
        let pool = Pool::new(Config::new(secret)).unwrap();
        Self { pool, key, events: PoolEvents::with_capacity(256), reported: Vec::new() }
    }

    fn add(&mut self, relays: &[&TestRelay]) -> Vec<RelayId> {
        let target = |relay: &&TestRelay| {
            Relay::new(relay.addr(), PublicKey::from(relay.public_key())).token(RELAY_TOKEN)
        };
        relays.iter().map(|relay| self.pool.add_relay(target(relay), Origin::User).unwrap()).collect()
    }

    /// Adds a peer that is on all these relays.
    fn peer(&mut self, key: PublicKey, relays: &[RelayId]) -> PeerId {
        let peer = self.pool.add_peer_with_token(key, PEER_TOKEN);
        relays.iter().for_each(|relay| self.pool.tie(peer, *relay).unwrap());
        peer
    }

    fn poll(&mut self) {
        self.pool.poll(&mut self.events, Some(Duration::from_millis(1))).unwrap();
        self.reported.extend(self.events.iter().map(Reported::from));
    }

    fn is_online(&self, peer: PeerId, relays: usize) -> bool {
        self.pool.peer(peer).is_some_and(|status| status.online.len() == relays)
    }

    fn data(&self) -> Vec<&[u8]> {
        let data = self.reported.iter().filter_map(|reported| match reported {
            Reported::Data(_, data) => Some(&data[..]),
            _ => None,
        });
        data.collect()
    }
}

fn until(nodes: &mut [&mut Node], what: &str, mut done: impl FnMut(&mut [&mut Node]) -> bool) {
    let end = Instant::now() + GUARD;
    while !done(nodes) {
        assert!(Instant::now() < end, "not in time: {what}");
        nodes.iter_mut().for_each(|node| node.poll());
    }
}

/// Two nodes that reach each other through all these relays.
fn friends(relays: &[&TestRelay]) -> (Node, PeerId, Node, PeerId) {
    let (mut alice, mut bob) = (Node::new(), Node::new());
    let (at_alice, at_bob) = (alice.add(relays), bob.add(relays));
    let (to_bob, to_alice) = (alice.peer(bob.key, &at_alice), bob.peer(alice.key, &at_bob));
    until(&mut [&mut alice, &mut bob], "both are online", |nodes| {
        nodes[0].is_online(to_bob, relays.len()) && nodes[1].is_online(to_alice, relays.len())
    });
    (alice, to_bob, bob, to_alice)
}

#[test]
fn when_the_relay_that_carries_the_data_ends_they_go_by_another() {
    let mut relays = [honest(), honest(), honest()].map(Some);
    let all: Vec<&TestRelay> = relays.iter().flatten().collect();
    let (mut alice, to_bob, mut bob, to_alice) = friends(&all);
    let ids: Vec<RelayId> = alice.pool.peer(to_bob).unwrap().tied;
    for round in 0..3_u8 {
        let expected = bob.data().len() + 1;
        alice.pool.send(to_bob, &[round; 100]).unwrap();
        until(&mut [&mut alice, &mut bob], "data", |nodes| nodes[1].data().len() == expected);
        assert_eq!(bob.reported.last(), Some(&Reported::Data(to_alice, vec![round; 100])));
        assert!(alice.pool.is_online(to_bob));
        let used = alice.pool.peer(to_bob).unwrap().used.unwrap();
        let index = ids.iter().position(|relay| *relay == used).unwrap();
        relays[index] = None;
        until(&mut [&mut alice, &mut bob], "another relay", |nodes| {
            let is_over =
                |node: &Node, peer| node.pool.peer(peer).unwrap().online.len() == 2 - usize::from(round);
            is_over(nodes[0], to_bob) && is_over(nodes[1], to_alice)
        });
    }
    // It was online once, moved twice, and went offline once.
    let of_peer = |reported: &&Reported| {
        matches!(reported, Reported::Online(..) | Reported::Moved(..) | Reported::Offline(_))
    };
    let reported: Vec<&Reported> = alice.reported.iter().filter(of_peer).collect();
    assert!(
        matches!(
            reported[..],
            [Reported::Online(..), Reported::Moved(..), Reported::Moved(..), Reported::Offline(_)]
        ),
        "{reported:?}"
    );
    assert_eq!(alice.pool.send(to_bob, b"lost"), Err(PoolSendError::Unreachable));
    assert_eq!(bob.pool.peer(to_alice).unwrap().used, None);
    assert!(!bob.pool.is_online(to_alice));
}

#[test]
fn each_peer_keeps_the_order_of_its_data() {
    let relays = [honest(), honest(), honest()];
    let (mut alice, to_bob, mut bob, _) = friends(&relays.each_ref());
    for round in 0..200_u32 {
        for number in 0..100 {
            alice.pool.send(to_bob, &(round * 100 + number).to_be_bytes()).unwrap();
        }
        let all = (round as usize + 1) * 100;
        until(&mut [&mut alice, &mut bob], "all data", |nodes| nodes[1].data().len() == all);
    }
    assert!(!alice.reported.iter().any(|reported| matches!(reported, Reported::Moved(..))));
    let received = bob.data().into_iter().map(|data| u32::from_be_bytes(data.try_into().unwrap()));
    assert!(received.eq(0..20_000));
}

#[test]
fn data_to_a_peer_that_has_not_asked_for_a_route_go_out_of_band() {
    let relay = honest();
    let (mut alice, mut bob) = (Node::new(), Node::new());
    let (at_alice, at_bob) = (alice.add(&[&relay]), bob.add(&[&relay]));
    let to_bob = alice.peer(bob.key, &at_alice);
    assert_eq!(alice.pool.send(to_bob, b"hello"), Err(PoolSendError::Unreachable));
    let mut pair = [&mut alice, &mut bob];
    until(&mut pair, "connections", |nodes| {
        nodes.iter().all(|node| node.reported.iter().any(|reported| matches!(reported, Reported::Up(_))))
    });
    alice.pool.send(to_bob, b"hello").unwrap();
    let stranger = Reported::Oob(at_bob[0], alice.key, b"hello".to_vec());
    until(&mut [&mut alice, &mut bob], "an OOB packet", |nodes| nodes[1].reported.contains(&stranger));
    // He answers on the same relay. Alice knows him.
    bob.pool.send_oob(at_bob[0], alice.key, b"who are you?").unwrap();
    let data = Reported::Data(to_bob, b"who are you?".to_vec());
    until(&mut [&mut alice, &mut bob], "an answer", |nodes| nodes[0].reported.contains(&data));
    // Once he knows her, they have a route.
    let to_alice = bob.peer(alice.key, &at_bob);
    until(&mut [&mut alice, &mut bob], "a route", |nodes| nodes[1].is_online(to_alice, 1));
    bob.pool.send(to_alice, b"I see").unwrap();
    let data = Reported::Data(to_bob, b"I see".to_vec());
    until(&mut [&mut alice, &mut bob], "data", |nodes| nodes[0].reported.contains(&data));
}

#[test]
fn when_a_relay_is_full_the_next_one_takes_over() {
    let relays = [honest(), honest()];
    let (mut alice, to_bob, mut bob, _) = friends(&relays.each_ref());
    let used = alice.pool.peer(to_bob).unwrap().used.unwrap();
    let index = alice.pool.relays().position(|relay| relay == used).unwrap();
    assert!(relays[index].stop_reading(alice.key.as_bytes()));
    let mut sent = 0;
    let end = Instant::now() + GUARD;
    while alice.pool.peer(to_bob).unwrap().used == Some(used) {
        assert!(Instant::now() < end, "the other relay did not take over");
        match alice.pool.send(to_bob, &[7; 1000]) {
            Ok(_) => sent += 1,
            Err(error) => assert_eq!(error, PoolSendError::WouldBlock),
        }
        alice.pool.flush();
    }
    assert!(relays[index].resume_reading(alice.key.as_bytes()));
    until(&mut [&mut alice, &mut bob], "all data", |nodes| nodes[1].data().len() == sent);
    assert!(alice.reported.iter().all(|reported| !matches!(reported, Reported::Down(..))));
}

#[test]
fn a_program_that_was_busy_reads_the_answer_of_a_relay_before_it_is_taken_for_silent() {
    let relays = [honest(), honest()];
    let (mut alice, to_bob, mut bob, _) = friends(&relays.each_ref());
    let used = alice.pool.peer(to_bob).unwrap().used.unwrap();
    let connection = alice.pool.relay(used).unwrap().connection.unwrap();
    let pings = |node: &Node| node.pool.client().connection(connection).unwrap().round_trips.pings;
    let before = pings(&alice);
    alice.pool.send(to_bob, b"hello").unwrap();
    until(&mut [&mut alice, &mut bob], "a question", |nodes| pings(nodes[0]) > before);
    std::thread::sleep(Duration::from_millis(2_500)); // the answer had to come within 2 s, and has
    for _ in 0..10 {
        alice.poll();
        assert!(!alice.pool.relay(used).unwrap().is_silent);
    }
    assert_eq!(alice.pool.peer(to_bob).unwrap().used, Some(used));
    assert!(!alice.reported.iter().any(|reported| matches!(reported, Reported::Moved(..))));
}

#[test]
fn a_removed_relay_is_reported_and_its_peers_go_by_another() {
    let relays = [honest(), honest()];
    let (mut alice, to_bob, mut bob, _) = friends(&relays.each_ref());
    let used = alice.pool.peer(to_bob).unwrap().used.unwrap();
    assert!(alice.pool.remove_relay(used));
    assert!(!alice.pool.remove_relay(used));
    let down = Reported::Down(used, DisconnectReason::ClosedByCaller);
    until(&mut [&mut alice, &mut bob], "the end", |nodes| nodes[0].reported.contains(&down));
    assert!(alice.pool.peer(to_bob).unwrap().used.is_some_and(|relay| relay != used));
    assert!(alice.pool.relay(used).is_none());
    assert_eq!(alice.pool.relays().count(), 1);
    assert!(alice.pool.remove_peer(to_bob));
    assert_eq!(alice.pool.send(to_bob, b"gone"), Err(PoolSendError::Unknown));
}

#[test]
fn a_program_that_waits_for_whole_milliseconds_does_not_poll_again_and_again_before_a_deadline() {
    let relays = [honest(), honest()];
    let (alice, ..) = friends(&relays.each_ref());
    for _ in 0..100 {
        let wait = alice.pool.next_timeout().unwrap();
        assert_eq!(wait.subsec_nanos() % 1_000_000, 0, "{wait:?}");
    }
}

#[test]
fn data_that_are_too_long_for_a_peer_that_is_offline_are_not_refused_for_good() {
    let relays = [honest(), honest()];
    let (mut alice, to_bob, _bob, _) = friends(&relays.each_ref());
    let nobody = alice.pool.add_peer(SecretKey::generate().public_key());
    let used = alice.pool.peer(to_bob).unwrap().used.unwrap();
    alice.pool.tie(nobody, used).unwrap();
    assert_eq!(alice.pool.send(nobody, &[7; 1024]), Ok(used));
    assert_eq!(alice.pool.send(nobody, &[7; 1025]), Err(PoolSendError::Offline));
    assert!(alice.pool.send(to_bob, &[7; 1025]).is_ok());
    assert!(matches!(alice.pool.send(nobody, &[7; 2032]), Err(PoolSendError::Length(_))));
}

#[test]
fn what_the_user_has_caused_is_reported_by_the_next_poll_at_once() {
    let relays = [honest(), honest()];
    let (mut alice, to_bob, _bob, _) = friends(&relays.each_ref());
    let used = alice.pool.peer(to_bob).unwrap().used.unwrap();
    assert!(alice.pool.untie(to_bob, used));
    assert_eq!(alice.pool.next_timeout(), Some(Duration::ZERO));
    let begun = Instant::now();
    alice.pool.poll(&mut alice.events, None).unwrap();
    assert!(begun.elapsed() < GUARD);
    let moved =
        |event| matches!(event, PoolEvent::PeerMoved { peer, relay, .. } if peer == to_bob && relay != used);
    assert!(alice.events.iter().any(moved));
}

#[test]
fn a_poll_without_a_timeout_ends_when_it_is_woken() {
    let mut node = Node::new();
    let waker = node.pool.waker();
    waker.wake().unwrap();
    node.pool.poll(&mut node.events, None).unwrap();
    assert_eq!(node.events.iter().count(), 0);
    let begun = Instant::now();
    node.pool.poll(&mut node.events, Some(Duration::from_millis(20))).unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(20));
}

#[test]
fn a_relay_that_cannot_be_tried_is_reported_and_is_tried_with_a_new_proxy() {
    let mut alice = Node::new();
    let key = SecretKey::generate().public_key();
    let relay = Relay::new("relay.example:33445", key).token(RELAY_TOKEN);
    let relay = alice.pool.add_relay(relay, Origin::User).unwrap();
    alice.poll();
    alice.poll();
    assert_eq!(alice.reported, [Reported::Refused(relay)], "once: the next attempt is in an hour");
    let status = alice.pool.relay(relay).unwrap();
    let refused = status.refused.as_deref();
    assert!(matches!(refused, Some(ConnectError::NameWithoutProxy(_))), "{refused:?}");
    let pause = status.retry_at.unwrap().saturating_duration_since(Instant::now());
    assert!((2000..=4320).contains(&pause.as_secs()), "about an hour: {pause:?}");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    alice.pool.set_proxy(Some(Proxy::socks5(listener.local_addr().unwrap())));
    alice.poll();
    let status = alice.pool.relay(relay).unwrap();
    assert!(status.refused.is_none() && status.connection.is_some(), "{status:?}");
    assert_eq!(status.retry_at, None);
}

#[test]
fn data_that_have_not_left_when_the_peer_goes_offline_are_reported_as_unsent() {
    let relay = honest();
    let (mut alice, to_bob, mut bob, to_alice) = friends(&[&relay]);
    assert!(relay.stop_reading(alice.key.as_bytes()));
    let mut sent = 0;
    while alice.pool.send(to_bob, &[7; 1000]).is_ok() {
        sent += 1;
        alice.pool.flush();
    }
    assert!(bob.pool.remove_peer(to_alice));
    until(&mut [&mut alice, &mut bob], "the end of the route", |nodes| {
        nodes[0].reported.contains(&Reported::Offline(to_bob))
    });
    let unsent = alice.reported.iter().position(|event| matches!(event, Reported::Unsent(..))).unwrap();
    let Reported::Unsent(peer, _, bytes) = alice.reported[unsent] else { unreachable!() };
    assert_eq!(peer, to_bob);
    assert!(bytes > 0 && bytes < sent * 1003, "{bytes} of {sent} packets: some left, some did not");
    assert_eq!(alice.reported[unsent + 1], Reported::Offline(to_bob));
}

#[test]
fn closing_a_pool_returns_how_many_bytes_were_not_sent() {
    let relay = honest();
    let (mut alice, to_bob, bob, _) = friends(&[&relay]);
    assert_eq!(bob.pool.close(), 0);
    assert!(relay.stop_reading(alice.key.as_bytes()));
    while alice.pool.send(to_bob, &[7; 1000]).is_ok() {
        alice.pool.flush();
    }
    let connection = alice.pool.client().connections().next().unwrap();
    let queued = alice.pool.client().connection(connection).unwrap().queued;
    assert!(queued > 1000);
    assert_eq!(alice.pool.close(), queued);
}

#[test]
fn data_that_have_not_left_when_a_peer_is_untied_are_reported_as_unsent() {
    let relay = honest();
    let (mut alice, to_bob, _bob, _) = friends(&[&relay]);
    assert!(relay.stop_reading(alice.key.as_bytes()));
    while alice.pool.send(to_bob, &[7; 1000]).is_ok() {
        alice.pool.flush();
    }
    let used = alice.pool.peer(to_bob).unwrap().used.unwrap();
    assert!(alice.pool.untie(to_bob, used));
    alice.poll();
    let is_unsent = |reported: &Reported| matches!(reported, Reported::Unsent(peer, relay, 1..) if (*peer, *relay) == (to_bob, used));
    assert!(alice.reported.iter().any(is_unsent), "{:?}", alice.reported);
    assert!(alice.reported.contains(&Reported::Offline(to_bob)));
}

/// A node that is connected to all these relays.
fn connected(relays: &[&TestRelay]) -> (Node, Vec<RelayId>) {
    let mut node = Node::new();
    let ids = node.add(relays);
    until(&mut [&mut node], "connections", |nodes| {
        ids.iter().all(|relay| nodes[0].pool.relay(*relay).unwrap().is_connected)
    });
    (node, ids)
}

/// Sends out of band to nobody by a relay that reads nothing, until it is full.
fn fill(node: &mut Node, relay: RelayId) {
    let end = Instant::now() + GUARD;
    while node.pool.send_oob(relay, PublicKey::from([9; 32]), &[7; 1000]).is_ok() {
        assert!(Instant::now() < end, "it is never full");
        node.pool.flush();
    }
    let refused = node.pool.send_oob(relay, PublicKey::from([9; 32]), &[7; 1000]);
    assert_eq!(refused, Err(PoolSendError::WouldBlock));
}

fn has_room(node: &Node, relay: RelayId) -> usize {
    node.reported.iter().filter(|event| **event == Reported::RelayWritable(relay)).count()
}

#[test]
fn a_relay_that_has_refused_a_packet_is_reported_once_when_it_has_room() {
    let relay = honest();
    let (mut node, ids) = connected(&[&relay]);
    assert!(relay.stop_reading(node.key.as_bytes()));
    fill(&mut node, ids[0]);
    (0..10).for_each(|_| node.poll());
    assert_eq!(has_room(&node, ids[0]), 0);
    assert!(relay.resume_reading(node.key.as_bytes()));
    until(&mut [&mut node], "room", |nodes| has_room(nodes[0], ids[0]) == 1);
    node.pool.send_oob(ids[0], PublicKey::from([9; 32]), &[7; 1000]).unwrap();
    (0..10).for_each(|_| node.poll());
    assert_eq!(has_room(&node, ids[0]), 1);
}

#[test]
fn what_any_relay_may_send_goes_by_one_that_has_room_and_when_none_has_each_is_reported() {
    let relays = [honest(), honest()];
    let (mut node, ids) = connected(&relays.each_ref());
    let onion = |node: &mut Node| node.pool.send_onion_request(&[7; 1000]);
    assert!(relays[0].stop_reading(node.key.as_bytes()));
    fill(&mut node, ids[0]);
    assert!((0..40).all(|_| onion(&mut node) == Ok(ids[1])));
    assert!(relays[1].stop_reading(node.key.as_bytes()));
    fill(&mut node, ids[1]);
    assert_eq!(onion(&mut node), Err(PoolSendError::WouldBlock));
    for (relay, id) in std::iter::zip(&relays, &ids) {
        assert!(relay.resume_reading(node.key.as_bytes()));
        until(&mut [&mut node], "room", |nodes| has_room(nodes[0], *id) == 1);
        node.pool.send_onion_request_by(*id, &[7; 1000]).unwrap();
    }
}

#[test]
fn onion_responses_and_forwarded_packets_are_reported_with_their_relay() {
    let relays = [honest(), honest()];
    let (mut node, ids) = connected(&relays.each_ref());
    for (number, relay) in (0..).zip(&relays) {
        relay.send(node.key.as_bytes(), &[kind::ONION_RESPONSE, 1, number]);
        relay.send(node.key.as_bytes(), &[kind::FORWARDING, 2, number]);
    }
    let expected: Vec<Reported> = std::iter::zip(0.., &ids)
        .flat_map(|(number, id)| {
            [Reported::OnionResponse(*id, vec![1, number]), Reported::Forwarding(*id, vec![2, number])]
        })
        .collect();
    until(&mut [&mut node], "both packets of both", |nodes| {
        expected.iter().all(|event| nodes[0].reported.contains(event))
    });
}

/// The relay refuses a route from a client to itself.
#[test]
fn a_route_that_a_relay_refuses_is_reported_and_no_connection_ends() {
    let relay = honest();
    let mut node = Node::new();
    let ids = node.add(&[&relay]);
    let peer = node.peer(node.key, &ids);
    until(&mut [&mut node], "the refusal", |nodes| {
        nodes[0].reported.contains(&Reported::RouteRefused(peer, ids[0]))
    });
    assert!(node.pool.relay(ids[0]).unwrap().is_connected);
    assert_eq!(node.pool.peer(peer).unwrap().used, None);
}

#[cfg(unix)]
#[test]
fn the_descriptor_of_a_pool_is_that_of_its_client() {
    use std::os::fd::{AsFd, AsRawFd};

    let pool = Node::new().pool;
    assert_eq!(pool.as_raw_fd(), pool.client().as_raw_fd());
    assert_eq!(pool.as_fd().as_raw_fd(), pool.as_raw_fd());
}

#[test]
fn a_pool_is_shown_with_counts_and_its_public_key_alone() {
    let mut node = Node::new();
    let ids = node.add(&[&honest(), &honest()]);
    node.peer(node.key, &ids);
    let shown = format!("{:?}", node.pool);
    assert_eq!(shown, format!("Pool {{ client: {:?}, relays: 2, peers: 1, .. }}", node.pool.client()));
    assert!(shown.contains(&format!("public_key: {:?}, connections: 0, ..", node.key)), "{shown}");
}

#[test]
fn events_can_be_kept_and_sent_to_another_thread() {
    let relay = honest();
    let (mut alice, to_bob, mut bob, _) = friends(&[&relay]);
    alice.pool.send(to_bob, b"hello").unwrap();
    let (sender, kept) = std::sync::mpsc::channel::<OwnedPoolEvent>();
    let reader = std::thread::spawn(move || {
        kept.iter().find_map(|event| match event {
            OwnedPoolEvent::Data { data, .. } => Some(data),
            _ => None,
        })
    });
    until(&mut [&mut alice, &mut bob], "the data", |nodes| {
        nodes[1].events.iter().for_each(|event| _ = sender.send(event.into()));
        !nodes[1].data().is_empty()
    });
    bob.events.iter().for_each(|event| _ = sender.send(event.to_owned()));
    drop(sender);
    assert_eq!(reader.join().unwrap(), Some(b"hello".to_vec()));
}
