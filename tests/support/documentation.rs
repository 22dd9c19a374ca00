// Shared by the examples in the documentation. Each example includes this file as a hidden module, so that it shows
// only what it is about. (An included file cannot begin with `//!`.)

use std::net::SocketAddr;
use std::{mem, thread};

use tox_relay_client::*;

/// The address and the key of a relay, which runs until the process ends.
pub fn relay() -> (SocketAddr, PublicKey) {
    let relay = tox_test_relay::Relay::start(Default::default()).unwrap();
    let result = (relay.addr(), relay.public_key().into());
    mem::forget(relay);
    result
}

/// A client without connections.
pub fn client() -> Client {
    Client::new(Config::new(SecretKey::generate())).unwrap()
}

/// A relay, and a friend who is connected there and opens a route to `myself`: the relay, and the friend's key.
fn friend_of(myself: PublicKey) -> (Relay, PublicKey) {
    let (address, relay_key) = relay();
    let mut friend = client();
    let friend_key = friend.public_key();
    friend.connect(Relay::new(address, relay_key)).unwrap();
    thread::spawn(move || {
        let mut events = Events::with_capacity(16);
        loop {
            friend.poll(&mut events, None).unwrap();
            for event in &events {
                if let Event::Connected { connection: relay, .. } = event {
                    friend.open_route(relay, myself).unwrap();
                }
            }
        }
    });
    (Relay::new(address, relay_key), friend_key)
}

/// A client that is connected to a relay, and a friend who is connected there too and opens a route to it.
pub fn connected() -> (Client, ConnectionId, PublicKey) {
    let mut client = client();
    let (relay, friend) = friend_of(client.public_key());
    let connection = client.connect(relay).unwrap();
    wait(&mut client, |event| matches!(event, Event::Connected { .. }));
    (client, connection, friend)
}

/// A client that is connected to a relay, and has a route to a friend, who is online.
pub fn online() -> (Client, RouteId, PublicKey) {
    let (mut client, relay, friend) = connected();
    let route = client.open_route(relay, friend).unwrap();
    wait(&mut client, |event| matches!(event, Event::RouteOnline { .. }));
    (client, route, friend)
}

/// A pool that is connected to one relay, and a friend who is online there.
pub fn pool() -> (pool::Pool, pool::PeerId) {
    let mut pool = pool::Pool::new(Config::new(SecretKey::generate())).unwrap();
    let (relay, friend) = friend_of(pool.public_key());
    let relay = pool.add_relay(relay, pool::Origin::User).unwrap();
    let friend = pool.add_peer(friend);
    pool.tie(friend, relay).unwrap();
    let mut events = pool::PoolEvents::with_capacity(16);
    while pool.peer(friend).unwrap().used.is_none() {
        pool.poll(&mut events, None).unwrap();
    }
    (pool, friend)
}

/// Polls until a poll returns an event for which `is_it` returns true.
fn wait(client: &mut Client, is_it: impl Fn(Event<'_>) -> bool) {
    let mut events = Events::with_capacity(16);
    while !events.iter().any(&is_it) {
        client.poll(&mut events, None).unwrap();
    }
}
