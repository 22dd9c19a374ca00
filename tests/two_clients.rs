//! smoke
use std::time::{Duration, Instant};
use tox_relay_client::*;
use tox_test_relay::{Options, Relay as TestRelay};

#[test]
fn smoke() {
    let relay = TestRelay::start(Options::default()).unwrap();
    let key = PublicKey::from(relay.public_key());
    let mut a = Client::new(Config::new(SecretKey::generate())).unwrap();
    let mut b = Client::new(Config::new(SecretKey::generate())).unwrap();
    let (pa, pb) = (a.public_key(), b.public_key());
    a.connect(Relay::new(relay.addr(), key)).unwrap();
    b.connect(Relay::new(relay.addr(), key)).unwrap();
    let mut events = Events::with_capacity(64);
    let start = Instant::now();
    let mut got = false;
    while !got && start.elapsed() < Duration::from_secs(5) {
        for (client, peer) in [(&mut a, pb), (&mut b, pa)] {
            client.poll(&mut events, Some(Duration::from_millis(5))).unwrap();
            for event in &events {
                println!("{event:?}");
                match event {
                    Event::Connected { relay } => {
                        client.open_route(relay, peer).unwrap();
                    }
                    Event::RouteOnline { route, .. } => client.send_data(route, b"hello").unwrap(),
                    Event::Data { data, .. } => got = data == b"hello",
                    _ => {}
                }
            }
        }
    }
    assert!(got);
}
