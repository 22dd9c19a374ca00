//! Two clients of one relay: routes that open, close and open again, and packets of all kinds.

mod support;

use support::{
    Conduct, GUARD, OnlinePair, Options, Peer, Reported, TestRelay, closed, honest, numbered, relay, until,
};
use tox_relay_client::{Destination, DisconnectReason, RouteError, RouteId, RouteState, SendError, Stage};
use tox_test_relay::switch::Rules;

/// The connection id that a relay gives to the first route of a client.
const FIRST: u8 = 16;

#[test]
fn two_clients_that_ask_for_each_other_are_online() {
    let relay = honest();
    let (mut a, mut b) = (Peer::new(), Peer::new());
    let (at_a, at_b) = (a.connect(&relay), b.connect(&relay));
    let to_b = a.client.open_route(at_a, b.key).unwrap();
    assert_eq!(a.client.route(to_b).unwrap().state, RouteState::Requested);
    a.until("the answer", |a| a.reported.contains(&Reported::Opened(to_b, b.key)));
    assert_eq!(a.client.route(to_b).unwrap().state, RouteState::Offline);
    assert_eq!(a.client.send_data(to_b, b"too early"), Err(SendError::RouteOffline));
    assert_eq!(a.client.open_route(at_a, b.key), Err(RouteError::Exists(to_b)));

    let to_a = b.client.open_route(at_b, a.key).unwrap();
    let reported_a =
        [Reported::Connected(at_a), Reported::Opened(to_b, b.key), Reported::Online(to_b, b.key)];
    let reported_b =
        [Reported::Connected(at_b), Reported::Opened(to_a, a.key), Reported::Online(to_a, a.key)];
    until([&mut a, &mut b], "online", |[a, b]| a.reported == reported_a && b.reported == reported_b);
    let status = a.client.route(to_b).unwrap();
    assert_eq!((status.route, status.peer, status.state), (to_b, b.key, RouteState::Online));
    assert_eq!(a.client.find_route(at_a, &b.key), Some(to_b));
    assert_eq!(a.client.routes(at_a).collect::<Vec<_>>(), [status]);
    assert_eq!(relay.statistics().routes, 2);
}

#[test]
fn data_of_any_length_arrive_whole_both_ways() {
    let relay = honest();
    let mut pair = OnlinePair::on(&relay);
    let (to_b, to_a) = (pair.to_b, pair.to_a);
    for len in [1, 2, 1400, 2030, 2031] {
        pair.a.client.send_data(to_b, &numbered(1, len)).unwrap();
        pair.b.client.send_data(to_a, &numbered(2, len)).unwrap();
        pair.until("data", |c| !c.a.reported.is_empty() && !c.b.reported.is_empty());
        assert_eq!(pair.a.reported, [Reported::Data(to_b, pair.b.key, numbered(2, len))]);
        assert_eq!(pair.b.reported, [Reported::Data(to_a, pair.a.key, numbered(1, len))]);
        pair.a.reported.clear();
        pair.b.reported.clear();
    }
    for len in [0, 2032, 70_000] {
        let result = pair.a.client.send_data(to_b, &vec![0; len]);
        assert!(matches!(result, Err(SendError::Length { min: 1, max: 2031, .. })), "{result:?}");
    }
}

#[test]
fn data_of_zero_bytes_arrive() {
    let relay = honest();
    let mut pair = OnlinePair::on(&relay);
    assert!(relay.send(pair.a.raw_key(), &[FIRST]));
    pair.until("data", |c| !c.a.reported.is_empty());
    assert_eq!(pair.a.reported, [Reported::Data(pair.to_b, pair.b.key, vec![])]);
    pair.a.client.send_data(pair.to_b, b"more data").unwrap();
    pair.until("more data", |c| c.b.data() == [b"more data"]);
}

/// The numbered packets that are sent in one direction.
#[derive(Default)]
struct Transfer {
    sent: u32,
    received: u32,
}

impl Transfer {
    const PACKETS: u32 = 3_000;
    /// The most packets in flight. A relay discards data that it cannot write to a client at once.
    const WINDOW: u32 = 100;

    fn packet(number: u32) -> Vec<u8> {
        numbered(number, [4, 5, 100, 1400, 2031][number as usize % 5])
    }

    /// Takes the packets that have arrived, and sends as many as the window and the queue allow.
    fn pump(&mut self, sender: &mut Peer, route: RouteId, receiver: &mut Peer) {
        for reported in receiver.reported.drain(..) {
            match reported {
                Reported::Data(_, _, data) => assert_eq!(data, Self::packet(self.received)),
                Reported::Writable(_) => continue,
                other => panic!("{other:?}"),
            }
            self.received += 1;
        }
        while self.sent < Self::PACKETS.min(self.received + Self::WINDOW) {
            match sender.client.send_data(route, &Self::packet(self.sent)) {
                Ok(()) => self.sent += 1,
                Err(SendError::WouldBlock) => break,
                Err(other) => panic!("{other}"),
            }
        }
    }
}

fn thousands_of_packets(pair: &mut OnlinePair) {
    let (to_b, to_a) = (pair.to_b, pair.to_a);
    let (mut there, mut back) = (Transfer::default(), Transfer::default());
    pair.until("all packets", |OnlinePair { a, b, .. }| {
        there.pump(a, to_b, b);
        back.pump(b, to_a, a);
        there.received == Transfer::PACKETS && back.received == Transfer::PACKETS
    });
}

#[test]
fn thousands_of_packets_of_all_sizes_arrive_in_order() {
    let relay = honest();
    thousands_of_packets(&mut OnlinePair::on(&relay));
    assert_eq!(relay.statistics().thrown_away, 0);
}

#[test]
fn two_events_per_poll_are_enough() {
    let relay = honest();
    thousands_of_packets(&mut OnlinePair::of(&relay, Peer::new().capacity(2), Peer::new().capacity(0)));
}

#[test]
fn a_relay_that_sends_byte_by_byte_works() {
    let relay = relay(Conduct::OneByte);
    let mut pair = OnlinePair::on(&relay);
    pair.a.client.send_data(pair.to_b, &numbered(1, 2031)).unwrap();
    pair.b.client.send_data(pair.to_a, &numbered(2, 1400)).unwrap();
    pair.a.client.send_oob(pair.at_a, pair.b.key, &numbered(3, 1024)).unwrap();
    pair.until("all of it", |c| c.a.reported.len() == 1 && c.b.reported.len() == 2);
    assert_eq!(pair.a.data(), [numbered(2, 1400)]);
    assert_eq!(pair.b.data(), [numbered(1, 2031)]);
    assert_eq!(pair.b.reported[1], Reported::Oob(pair.at_b, pair.a.key, numbered(3, 1024)));
    assert!(pair.b.client.disconnect(pair.at_b));
    pair.until("offline", |c| c.a.reported.last() == Some(&Reported::Offline(c.to_b, c.b.key)));
}

#[test]
fn oob_packets_need_no_route() {
    let relay = honest();
    let (mut a, mut b) = (Peer::new(), Peer::new());
    let (at_a, at_b) = (a.connect(&relay), b.connect(&relay));
    for len in [1, 1024] {
        a.client.send_oob(at_a, b.key, &numbered(1, len)).unwrap();
        b.client.send_oob(at_b, a.key, &numbered(2, len)).unwrap();
        let (for_a, for_b) = (numbered(2, len), numbered(1, len));
        until([&mut a, &mut b], "both", |[a, b]| {
            a.reported.last() == Some(&Reported::Oob(at_a, b.key, for_a.clone()))
                && b.reported.last() == Some(&Reported::Oob(at_b, a.key, for_b.clone()))
        });
    }
    for len in [0, 1025] {
        let result = a.client.send_oob(at_a, b.key, &vec![0; len]);
        assert!(matches!(result, Err(SendError::Length { min: 1, max: 1024, .. })), "{result:?}");
    }
}

#[test]
fn send_to_goes_out_of_band_until_the_route_is_online() {
    let relay = honest();
    let (mut a, mut b) = (Peer::new(), Peer::new());
    let (at_a, at_b) = (a.connect(&relay), b.connect(&relay));
    a.client.send_to(at_a, b.key, b"no route").unwrap();
    let to_b = a.client.open_route(at_a, b.key).unwrap();
    a.client.send_to(at_a, b.key, b"offline").unwrap();
    assert!(matches!(a.client.send_to(at_a, b.key, &[0; 1025]), Err(SendError::Length { max: 1024, .. })));
    until([&mut a, &mut b], "two OOB packets", |[_, b]| b.reported.len() == 3);
    assert_eq!(b.reported[1], Reported::Oob(at_b, a.key, b"no route".to_vec()));
    assert_eq!(b.reported[2], Reported::Oob(at_b, a.key, b"offline".to_vec()));

    let to_a = b.client.open_route(at_b, a.key).unwrap();
    let online = Reported::Online(to_b, b.key);
    until([&mut a, &mut b], "online", |[a, _]| a.reported.contains(&online));
    a.client.send_to(at_a, b.key, &[7; 2031]).unwrap();
    let data = Reported::Data(to_a, a.key, vec![7; 2031]);
    until([&mut a, &mut b], "data", |[_, b]| b.reported.contains(&data));
}

#[test]
fn a_peer_that_returns_is_online_on_the_same_route() {
    let relay = honest();
    let mut pair = OnlinePair::on(&relay);
    for _ in 0..3 {
        assert!(pair.b.client.disconnect(pair.at_b));
        pair.until("offline", |c| c.a.reported == [Reported::Offline(c.to_b, c.b.key)]);
        assert_eq!(pair.a.client.send_data(pair.to_b, b"gone"), Err(SendError::RouteOffline));
        pair.a.reported.clear();
        let new = pair.b.connect(&relay);
        assert_eq!(pair.b.client.routes(new).count(), 0, "a new connection has no routes");
        let to_a = pair.b.client.open_route(new, pair.a.key).unwrap();
        assert_ne!(to_a, pair.to_a);
        pair.until("online", |c| c.a.reported == [Reported::Online(c.to_b, c.b.key)]);
        pair.a.reported.clear();
        pair.a.client.send_data(pair.to_b, b"welcome back").unwrap();
        pair.until("data", |c| c.b.data().last() == Some(&&b"welcome back"[..]));
        assert_eq!(pair.b.client.send_data(pair.to_a, b"stale"), Err(SendError::UnknownRoute));
        (pair.at_b, pair.to_a) = (new, to_a);
    }
}

#[test]
fn a_new_connection_after_a_lost_one_has_no_routes() {
    let relay = honest();
    let mut pair = OnlinePair::on(&relay);
    assert!(relay.reset(pair.a.raw_key()));
    assert!(matches!(pair.a.end(pair.at_a), DisconnectReason::Transport { stage: Stage::Connected, .. }));
    assert_eq!(pair.a.client.route(pair.to_b), None);
    let at_a = pair.a.connect(&relay);
    let status = pair.a.client.connection(at_a).unwrap();
    assert_eq!((status.routes, status.queued), (0, 0));
    let to_b = pair.a.client.open_route(at_a, pair.b.key).unwrap();
    pair.until("offline and online", |c| c.b.reported.len() == 2);
    let (to_a, a) = (pair.to_a, pair.a.key);
    assert_eq!(pair.b.reported, [Reported::Offline(to_a, a), Reported::Online(to_a, a)]);
    pair.until("online", |c| c.a.reported.contains(&Reported::Online(to_b, c.b.key)));
}

#[test]
fn a_route_is_closed_in_every_state_and_its_number_given_out_again() {
    let relay = honest();
    let mut pair = OnlinePair::on(&relay);
    let routes = |count| relay.wait_until(GUARD, move |s| s.routes == count).is_some();
    let assert_stale = |pair: &mut OnlinePair, route| {
        assert_eq!(pair.a.client.close_route(route), Err(RouteError::UnknownRoute));
        assert_eq!(pair.a.client.send_data(route, b"data"), Err(SendError::UnknownRoute));
        assert_eq!(pair.a.client.route(route), None);
        assert_eq!(pair.a.client.find_route(pair.at_a, &pair.b.key), None);
    };

    let old = pair.to_b;
    // Online. What is queued for the route is sent before it is closed, and never after that, since the relay would
    // end the connection.
    pair.a.client.send_data(pair.to_b, b"last data").unwrap();
    pair.a.client.close_route(pair.to_b).unwrap();
    assert_stale(&mut pair, old);
    pair.until("offline", |c| c.b.reported.last() == Some(&Reported::Offline(c.to_a, c.a.key)));
    assert_eq!(pair.b.data(), [b"last data"]);
    pair.b.reported.retain(|reported| !matches!(reported, Reported::Data(..)));
    assert!(routes(1));
    // Requested: closed after the answer. A new request is not sent until that answer has arrived, and is then closed
    // as well.
    for _ in 0..3 {
        let route = pair.a.client.open_route(pair.at_a, pair.b.key).unwrap();
        pair.a.client.close_route(route).unwrap();
        assert_stale(&mut pair, route);
    }
    pair.until("an idle connection", |c| c.a.client.connection(c.at_a).unwrap().routes == 0);
    assert!(routes(1));
    // Offline.
    pair.b.client.close_route(pair.to_a).unwrap();
    let route = pair.a.client.open_route(pair.at_a, pair.b.key).unwrap();
    pair.until("the answer", |c| c.a.reported.contains(&Reported::Opened(route, c.b.key)));
    pair.a.client.close_route(route).unwrap();
    assert_stale(&mut pair, route);
    pair.until("an idle connection", |c| c.a.client.connection(c.at_a).unwrap().routes == 0);
    assert!(routes(0));

    // Closed and opened at once, it is a new route with the same connection id.
    let (to_b, _) = support::open_routes(&mut pair.a, pair.at_a, &mut pair.b, pair.at_b);
    pair.a.client.close_route(to_b).unwrap();
    let new = pair.a.client.open_route(pair.at_a, pair.b.key).unwrap();
    assert_ne!(new, to_b);
    assert_eq!(pair.a.client.send_data(to_b, b"stale"), Err(SendError::UnknownRoute));
    pair.until("online again", |c| c.a.reported.contains(&Reported::Online(new, c.b.key)));
    assert!(relay.send(pair.a.raw_key(), &[FIRST, 1]));
    pair.until("data", |c| c.a.reported.contains(&Reported::Data(new, c.b.key, vec![1])));
    assert!(pair.b.data().is_empty(), "nothing was sent on an open route");
    assert_eq!(relay.statistics().dropped, 0);
}

#[test]
fn a_connection_has_240_routes_and_none_to_itself() {
    let relay = honest();
    let mut a = Peer::new();
    let at_a = a.connect(&relay);
    let own = a.client.open_route(at_a, a.key).unwrap();
    a.until("the refusal", |a| a.reported.contains(&Reported::Refused(own, a.key)));
    assert_eq!(a.client.route(own), None);

    for round in 0..2u8 {
        a.reported.clear();
        let open = |n| {
            a.client
                .open_route(at_a, [n, round].repeat(16).try_into().map(|key: [u8; 32]| key.into()).unwrap())
        };
        let routes: Vec<_> = (0..240).map(open).map(Result::unwrap).collect();
        assert_eq!(a.client.open_route(at_a, a.key), Err(RouteError::TooMany));
        a.until("240 answers", |a| a.reported.len() == 240);
        assert!(
            a.reported
                .iter()
                .zip(&routes)
                .all(|(reported, id)| matches!(reported, Reported::Opened(route, _) if route == id))
        );
        assert_eq!(a.client.routes(at_a).count(), 240);
        assert_eq!(relay.statistics().routes, 240);
        for &route in &routes {
            a.client.close_route(route).unwrap();
        }
        a.until("all closed", |a| a.client.connection(at_a).unwrap().routes == 0);
        assert!(relay.wait_until(GUARD, |statistics| statistics.routes == 0).is_some());
    }
}

#[test]
fn onion_and_forward_packets_are_answered_by_a_relay_that_reflects_them() {
    let relay = honest();
    let mut a = Peer::new();
    let at_a = a.connect(&relay);
    for len in [178, 1359] {
        a.client.send_onion_request(at_a, &numbered(1, len)).unwrap();
        let answer = Reported::Onion(at_a, numbered(1, len)[24..].to_vec());
        a.until("the onion response", |a| a.reported.last() == Some(&answer));
    }
    for (len, address) in [(1, "192.0.2.1:1"), (1792, "[2001:db8::1]:65535")] {
        let address = address.parse().unwrap();
        for destination in [Destination::Udp(address), Destination::Tcp(address)] {
            a.client.send_forward_request(at_a, destination, &numbered(2, len)).unwrap();
            let answer = Reported::Forwarding(at_a, numbered(2, len));
            a.until("the forwarded data", |a| a.reported.last() == Some(&answer));
            a.reported.clear();
        }
    }
    let result =
        [a.client.send_onion_request(at_a, &[0; 177]), a.client.send_onion_request(at_a, &[0; 1360])];
    assert!(result.iter().all(|r| matches!(r, Err(SendError::Length { min: 178, max: 1359, .. }))));
    let nowhere = Destination::Udp(([192, 0, 2, 1], 1).into());
    for len in [0, 1793] {
        let result = a.client.send_forward_request(at_a, nowhere, &vec![0; len]);
        assert!(matches!(result, Err(SendError::Length { min: 1, max: 1792, .. })), "{result:?}");
    }
}

#[test]
fn a_relay_without_forwarding_closes_after_a_forward_request() {
    let rules = Rules { dht: false, ..Rules::default() };
    let relay = TestRelay::start(Options { rules, ..Options::default() }).unwrap();
    let mut a = Peer::new();
    let at_a = a.connect(&relay);
    a.client.send_forward_request(at_a, Destination::Udp(([192, 0, 2, 1], 1).into()), b"data").unwrap();
    assert_eq!(a.end(at_a), closed(Stage::Connected));
}
