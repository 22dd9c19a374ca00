//! Thousands of connections in one client, on one thread.

mod support;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use support::{address, honest};
use tox_relay_client::{
    Client, Config, DisconnectReason, Event, Events, PublicKey, RelayId, RouteError, RouteId, SecretKey,
    SendError, Stage,
};
use tox_test_relay::Relay as TestRelay;

/// As many as the limit of file descriptors allows, at most.
const MOST: usize = 2_000;

/// Nothing takes so long, on a machine that does other things as well.
const LONG: Duration = Duration::from_secs(120);

/// One identity and what belongs to it. It is paired with its neighbour: 0 with 1, 2 with 3.
struct Member {
    secret: SecretKey,
    key: PublicKey,
    relay: RelayId,
    route: Option<RouteId>,
    connected: bool,
    online: bool,
    /// How many times its neighbour was heard.
    heard: usize,
    ended: Option<DisconnectReason>,
}

struct Crowd {
    client: Client,
    events: Events,
    members: Vec<Member>,
    by_relay: HashMap<RelayId, usize>,
}

impl Crowd {
    fn gather(relay: &TestRelay, count: usize) -> Self {
        let config = Config::new(SecretKey::generate()).connect_timeout(LONG).pong_timeout(LONG);
        let mut client = Client::new(config).unwrap();
        let members = (0..count).map(|_| {
            let secret = SecretKey::generate();
            let relay = client.connect(address(relay).identity(secret.clone())).unwrap();
            let (key, route) = (secret.public_key(), None);
            Member { secret, key, relay, route, connected: false, online: false, heard: 0, ended: None }
        });
        let members: Vec<_> = members.collect();
        let by_relay = members.iter().enumerate().map(|(n, member)| (member.relay, n)).collect();
        Self { client, events: Events::with_capacity(256), members, by_relay }
    }

    #[track_caller]
    fn until(&mut self, what: &str, holds: impl Fn(usize, &Member) -> bool) {
        let guard = Instant::now() + LONG;
        loop {
            let missing = (0..).zip(&self.members).filter(|(n, member)| !holds(*n, member)).count();
            if missing == 0 {
                return;
            }
            assert!(Instant::now() < guard, "{what}: {missing} of {} missing", self.members.len());
            self.client.poll(&mut self.events, Some(Duration::from_millis(10))).unwrap();
            self.take_events();
        }
    }

    fn take_events(&mut self) {
        let Self { events, members, by_relay, .. } = self;
        for event in &*events {
            match event {
                Event::Connected { relay } => members[by_relay[&relay]].connected = true,
                Event::Disconnected { relay, reason } => {
                    let member = &mut members[by_relay[&relay]];
                    assert_eq!(member.relay, relay);
                    assert_eq!(member.ended.replace(reason), None, "told once");
                }
                Event::RouteOpened { route, peer } => _ = route_of(members, by_relay, route, peer),
                Event::RouteOnline { route, peer } => route_of(members, by_relay, route, peer).online = true,
                Event::RouteOffline { route, peer } => {
                    route_of(members, by_relay, route, peer).online = false
                }
                Event::Data { route, peer, data } => {
                    assert_eq!(data, peer.as_bytes(), "what it says is what its neighbour is called");
                    route_of(members, by_relay, route, peer).heard += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn open(&mut self, n: usize) {
        let neighbour = self.members[n ^ 1].key;
        self.members[n].route = Some(self.client.open_route(self.members[n].relay, neighbour).unwrap());
    }

    fn all_say_their_names(&mut self) {
        for member in &self.members {
            self.client.send_data(member.route.unwrap(), member.key.as_bytes()).unwrap();
        }
    }
}

/// The member that a route belongs to. It leads to the neighbour, and to nobody else.
fn route_of<'a>(
    members: &'a mut [Member],
    by_relay: &HashMap<RelayId, usize>,
    route: RouteId,
    peer: PublicKey,
) -> &'a mut Member {
    let n = by_relay[&route.relay()];
    assert_eq!((members[n].route, members[n ^ 1].key), (Some(route), peer));
    &mut members[n]
}

#[test]
fn thousands_of_connections_live_in_one_client() {
    let relay = honest();
    let count = connections();
    let mut crowd = Crowd::gather(&relay, count);
    crowd.until("connected", |_, member| member.connected);
    assert_eq!(crowd.client.relays().count(), count);
    assert_eq!(relay.statistics().confirmed, count);
    for n in 0..count {
        crowd.open(n);
    }
    crowd.until("online", |_, member| member.online);
    crowd.all_say_their_names();
    crowd.until("heard", |_, member| member.heard == 1);

    // Each tenth is cut, and comes back in the place of one that was cut as well.
    let is_cut = |n: usize| n.is_multiple_of(10);
    let cut: Vec<_> = (0..count).filter(|n| is_cut(*n)).collect();
    for &n in &cut {
        assert!(relay.close(crowd.members[n].key.as_bytes()));
    }
    crowd.until("cut", |n, member| !is_cut(n) || member.ended.is_some());
    crowd.until("offline", |n, member| !is_cut(n ^ 1) || !member.online);
    assert_eq!(crowd.client.relays().count(), count - cut.len());
    let mut stale = Vec::new();
    for &n in &cut {
        let member = &mut crowd.members[n];
        assert_eq!(member.ended.take(), Some(DisconnectReason::Closed(Stage::Connected)));
        stale.push((member.relay, member.route.take().unwrap()));
        (member.connected, member.online) = (false, false);
        member.relay = crowd.client.connect(address(&relay).identity(member.secret.clone())).unwrap();
        crowd.by_relay.insert(member.relay, n);
    }
    crowd.until("connected again", |_, member| member.connected);
    for &n in &cut {
        crowd.open(n);
    }
    crowd.until("online again", |_, member| member.online);
    crowd.all_say_their_names();
    crowd.until("heard again", |_, member| member.heard == 2);

    // The old ids lead nowhere, although others stand in their places.
    for (relay, route) in stale {
        assert!(crowd.client.relay(relay).is_none() && crowd.client.route(route).is_none());
        assert!(!crowd.client.disconnect(relay));
        assert_eq!(crowd.client.send_data(route, b"stale"), Err(SendError::UnknownRelay));
        assert_eq!(crowd.client.close_route(route), Err(RouteError::UnknownRelay));
    }
    assert_eq!(crowd.client.relays().count(), count);
    let statistics = relay.statistics();
    assert_eq!((statistics.confirmed, statistics.routes), (count, count));
    assert_eq!((statistics.dropped, statistics.thrown_away), (0, 0));

    for member in &crowd.members {
        assert!(crowd.client.disconnect(member.relay));
    }
    crowd.until("ended", |_, member| member.ended == Some(DisconnectReason::ClosedByCaller));
    assert_eq!((crowd.client.relays().count(), crowd.client.next_timeout()), (0, None));
    assert!(relay.wait_until(LONG, |statistics| statistics.connected == 0).is_some());
}

/// An even number of connections, each with a descriptor here and one in the relay of this process.
fn connections() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let limit = limits.lines().find_map(|line| {
        line.strip_prefix("Max open files")?
            .split_whitespace()
            .next()
            .map(|soft| soft.parse().unwrap_or(usize::MAX))
    });
    // Where it can't be read, what every system allows.
    let count = MOST.min((limit.unwrap_or(256) - 64) / 2) & !1;
    println!("{count} connections with a limit of {limit:?} file descriptors");
    count
}
