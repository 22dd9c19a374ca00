//! Thousands of connections in one client, on one thread.

mod support;

use support::paired_identities::{LONG, PairedIdentities};
use support::{closed, honest};
use tox_relay_client::{DisconnectReason, PublicKey, Relay, RouteError, SendError, Stage};

/// The number of connections, unless the limit of file descriptors is too low for it.
const MOST: usize = 2_000;

#[test]
fn thousands_of_connections_work_in_one_client() {
    let relay = honest();
    let count = connections();
    let (address, key) = (relay.addr(), PublicKey::from(relay.public_key()));
    let mut pairs = PairedIdentities::connect(count, move || Relay::new(address, key));
    pairs.until("connected", |_, member, _| member.connected);
    assert_eq!(pairs.client.connections().count(), count);
    assert_eq!(relay.statistics().confirmed, count);
    for n in 0..count {
        pairs.open(n);
    }
    pairs.until("online", |_, member, _| member.online);
    for n in 0..count {
        pairs.send(n, 32);
    }
    pairs.until_all_is_received("all received", |_| true);

    // Every tenth is cut, and its new connection reuses a table entry of one that was cut.
    let is_cut = |n: usize| n.is_multiple_of(10);
    let cut: Vec<_> = (0..count).filter(|n| is_cut(*n)).collect();
    for &n in &cut {
        assert!(relay.close(pairs.members[n].key.as_bytes()));
    }
    pairs.until("cut", |n, member, _| !is_cut(n) || member.ended.is_some());
    pairs.until("offline", |n, member, _| !is_cut(n ^ 1) || !member.online);
    assert_eq!(pairs.client.connections().count(), count - cut.len());
    let mut stale = Vec::new();
    for &n in &cut {
        let member = &pairs.members[n];
        assert_eq!(member.ended, Some(closed(Stage::Connected)));
        stale.push((member.relay, member.route.unwrap()));
    }
    pairs.reconnect(&cut);
    for n in 0..count {
        pairs.send(n, 32);
    }
    pairs.until_all_is_received("all received again", |_| true);

    // The old ids are invalid, although others use their table entries.
    for (relay, route) in stale {
        assert!(pairs.client.connection(relay).is_none() && pairs.client.route(route).is_none());
        assert!(!pairs.client.disconnect(relay));
        assert_eq!(pairs.client.send_data(route, b"stale"), Err(SendError::UnknownRoute));
        assert_eq!(pairs.client.close_route(route), Err(RouteError::UnknownRoute));
    }
    assert_eq!(pairs.client.connections().count(), count);
    let statistics = relay.statistics();
    assert_eq!((statistics.confirmed, statistics.routes), (count, count));
    assert_eq!((statistics.dropped, statistics.thrown_away), (0, 0));

    for member in &pairs.members {
        assert!(pairs.client.disconnect(member.relay));
    }
    pairs.until("ended", |_, member, _| member.ended == Some(DisconnectReason::ClosedByCaller));
    assert_eq!((pairs.client.connections().count(), pairs.client.next_timeout()), (0, None));
    assert!(relay.wait_until(LONG, |statistics| statistics.connected == 0).is_some());
}

/// An even number of connections. Each needs a file descriptor for the client and one for the relay, which runs in this
/// process.
fn connections() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let limit = limits.lines().find_map(|line| {
        line.strip_prefix("Max open files")?
            .split_whitespace()
            .next()
            .map(|soft| soft.parse().unwrap_or(usize::MAX))
    });
    // If the limit can't be read: a number that every system allows.
    let count = MOST.min((limit.unwrap_or(256) - 64) / 2) & !1;
    println!("{count} connections with a limit of {limit:?} file descriptors");
    count
}
