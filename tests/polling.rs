//! How long a poll waits, what ends it, and how a client is used in another event loop.

mod support;

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use support::scripted_relay::ScriptedRelay;
use support::{GUARD, OnlinePair, Peer, Reported, TestRelay, any_key, honest, wait_until_sent};
use tox_relay_client::{ConnectionId, DisconnectReason, Event, Stage};

const MILLISECOND: Duration = Duration::from_millis(1);

fn packets(peer: &Peer, relay: ConnectionId) -> (u64, u64) {
    let traffic = peer.client.connection(relay).unwrap().traffic;
    (traffic.packets_out, traffic.packets_in)
}

/// Does not poll for this time, like a program that is busy with something else.
fn busy(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
}

/// A relay, and a client that is connected to it and has this ping interval and pong timeout.
fn connected(interval: Duration, timeout: Duration) -> (TestRelay, Peer, ConnectionId) {
    let relay = honest();
    let mut peer = Peer::with(|config| config.ping_interval(interval).pong_timeout(timeout));
    let id = peer.connect(&relay);
    peer.reported.clear();
    (relay, peer, id)
}

#[test]
fn a_poll_with_a_timeout_of_zero_does_not_wait() {
    let relay = honest();
    let mut peer = Peer::new();
    let start = Instant::now();
    for _ in 0..1000 {
        peer.poll(Duration::ZERO);
    }
    let id = peer.connect(&relay);
    for _ in 0..1000 {
        peer.poll(Duration::ZERO);
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?} for 2000 polls", start.elapsed());
    assert_eq!(peer.reported, [Reported::Connected(id)]);
}

#[test]
fn a_poll_waits_as_long_as_its_timeout_and_no_longer() {
    let relay = honest();
    let mut peer = Peer::new();
    for timeout in [Duration::from_nanos(1), MILLISECOND, 50 * MILLISECOND] {
        for connected in [false, true] {
            if connected && peer.reported.is_empty() {
                peer.connect(&relay);
            }
            let start = Instant::now();
            peer.poll(timeout);
            let elapsed = start.elapsed();
            assert!(elapsed >= timeout, "{timeout:?}: {elapsed:?}");
            assert!(elapsed < timeout + Duration::from_secs(5), "{timeout:?}: {elapsed:?}");
            assert!(peer.events.is_empty());
        }
    }
}

#[test]
fn a_poll_without_a_timeout_ends_when_something_happens() {
    let relay = honest();
    let mut peer = Peer::new();
    let id = peer.connect(&relay);
    let key = *peer.raw_key();
    thread::scope(|scope| {
        scope.spawn(|| {
            busy(50 * MILLISECOND);
            assert!(relay.send(&key, b"\x09an answer"));
        });
        peer.client.poll(&mut peer.events, None).unwrap();
    });
    let reported: Vec<_> = peer.events.iter().map(Reported::from).collect();
    assert_eq!(reported, [Reported::Onion(id, b"an answer".to_vec())]);
}

#[test]
fn pings_and_pongs_do_not_end_a_poll() {
    let (_relay, mut peer, id) = connected(10 * MILLISECOND, GUARD);
    let before = packets(&peer, id);
    let start = Instant::now();
    peer.poll(400 * MILLISECOND);
    assert!(start.elapsed() >= 400 * MILLISECOND);
    assert!(peer.events.is_empty());
    let (out, received) = packets(&peer, id);
    assert!(
        out >= before.0 + 3 && received >= before.1 + 3,
        "pings were sent and answered: {out}, {received}"
    );
}

#[test]
fn a_poll_without_a_timeout_continues_after_pings_and_ends_with_the_connection() {
    let (relay, mut peer, id) = connected(20 * MILLISECOND, 400 * MILLISECOND);
    let key = *peer.raw_key();
    thread::scope(|scope| {
        scope.spawn(|| {
            let since = relay.statistics().packets_in;
            relay.wait_until(GUARD, move |statistics| statistics.packets_in >= since + 3).unwrap();
            assert!(relay.stop_reading(&key));
        });
        peer.client.poll(&mut peer.events, None).unwrap();
    });
    let reported: Vec<_> = peer.events.iter().map(Reported::from).collect();
    assert_eq!(reported, [Reported::Disconnected(id, DisconnectReason::NoPong(Stage::Connected))]);
}

#[test]
fn a_waker_ends_a_poll_of_another_thread_once() {
    let mut peer = Peer::new();
    let waker = peer.client.waker();
    thread::scope(|scope| {
        scope.spawn(|| {
            busy(50 * MILLISECOND);
            waker.wake().unwrap();
        });
        peer.client.poll(&mut peer.events, None).unwrap();
    });
    assert!(peer.events.is_empty());
    // If no poll is waiting, the next one returns at once. Two wakes count as one.
    waker.clone().wake().unwrap();
    waker.wake().unwrap();
    peer.client.poll(&mut peer.events, None).unwrap();
    let start = Instant::now();
    peer.poll(50 * MILLISECOND);
    assert!(start.elapsed() >= 50 * MILLISECOND);
    assert_eq!(peer.reported, []);
}

/// The signal is sent to this thread, repeatedly until the poll has ended.
#[test]
#[cfg(target_os = "linux")]
fn a_signal_ends_a_poll_without_an_error() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    let noted = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&noted)).unwrap();
    let this_thread = std::fs::read_link("/proc/thread-self").unwrap();
    let this_thread = this_thread.file_name().unwrap();
    let relay = honest();
    let mut peer = Peer::new();
    peer.connect(&relay);

    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                busy(20 * MILLISECOND);
                assert!(Command::new("kill").arg("-USR1").arg(this_thread).status().unwrap().success());
            }
        });
        let start = Instant::now();
        peer.poll(GUARD);
        ended.store(true, Ordering::Relaxed);
        assert!(start.elapsed() < GUARD, "the signal ended the wait");
    });
    assert!(peer.events.is_empty());
    assert!(noted.load(Ordering::Relaxed));
}

#[test]
fn next_timeout_is_none_without_connections_zero_with_work_and_else_the_next_deadline() {
    let relay = honest();
    let timeout = Duration::from_secs(3);
    let mut peer = Peer::with(|config| config.connect_timeout(timeout).ping_interval(2 * timeout));
    assert_eq!(peer.client.next_timeout(), None);
    let id = peer.begin(&relay);
    assert!(peer.client.next_timeout().unwrap() <= timeout);
    peer.until("connected", |peer| peer.reported.contains(&Reported::Connected(id)));
    let next = peer.client.next_timeout().unwrap();
    assert!(!next.is_zero() && next <= 2 * timeout, "{next:?}");

    peer.client.send_oob(id, any_key(), b"data").unwrap();
    assert_eq!(peer.client.next_timeout(), Some(Duration::ZERO));
    peer.client.flush();
    assert!(!peer.client.next_timeout().unwrap().is_zero());
    peer.client.open_route(id, any_key()).unwrap();
    assert_eq!(peer.client.next_timeout(), Some(Duration::ZERO));
    peer.poll(Duration::ZERO);

    peer.client.disconnect(id);
    assert_eq!(peer.client.next_timeout(), Some(Duration::ZERO), "the end has not been reported yet");
    peer.poll(Duration::ZERO);
    assert_eq!(peer.ends(id).len(), 1);
    assert_eq!(peer.client.next_timeout(), None);
}

#[test]
fn next_timeout_is_not_zero_while_the_socket_is_full() {
    let mut peer = Peer::new();
    let (_relay, id) = ScriptedRelay::connect(&mut peer);
    let mut full = 0;
    while full < 3 {
        while peer.client.send_oob(id, any_key(), &[0; 1024]).is_ok() {
            full = 0;
        }
        peer.poll(20 * MILLISECOND);
        full += 1;
    }
    assert!(!peer.client.next_timeout().unwrap().is_zero());
}

#[test]
fn next_timeout_is_zero_while_input_waits_for_room_in_the_events() {
    let relay = honest();
    let mut peer = Peer::new().capacity(2);
    let id = peer.connect(&relay);
    for _ in 0..10 {
        assert!(relay.send(peer.raw_key(), b"\x09an answer"));
    }
    wait_until_sent(&relay);
    peer.reported.clear();
    peer.poll(GUARD);
    while peer.reported.len() < 10 {
        assert_eq!(peer.client.next_timeout(), Some(Duration::ZERO));
        peer.poll(Duration::ZERO);
        assert!(!peer.events.is_empty());
    }
    assert!(
        peer.reported.iter().all(|reported| matches!(reported, Reported::Onion(relay, _) if *relay == id))
    );
}

#[test]
fn a_loop_that_sleeps_for_next_timeout_keeps_its_connections() {
    // The loop does not wait for the client's sockets, so it handles packets late, but meets all deadlines.
    let (relay, mut peer, id) = connected(30 * MILLISECOND, 5 * GUARD);
    let mut polls = 0;
    while packets(&peer, id).0 < 10 {
        polls += 1;
        assert!(polls < 1000, "next_timeout does not end at the next ping");
        busy(peer.client.next_timeout().unwrap().min(50 * MILLISECOND));
        peer.poll(Duration::ZERO);
    }
    assert_eq!(peer.reported, []);
    assert_eq!(relay.statistics().dropped, 0);
}

#[test]
#[cfg(unix)]
fn another_poller_wakes_up_when_a_client_has_input() {
    use std::os::fd::{AsFd, AsRawFd};

    use mio::unix::SourceFd;
    use mio::{Events, Interest, Poll, Token};

    let relay = honest();
    let mut pair = OnlinePair::on(&relay);
    assert_eq!(pair.a.client.as_fd().as_raw_fd(), pair.a.client.as_raw_fd());
    let mut poll = Poll::new().unwrap();
    let fd = pair.a.client.as_raw_fd();
    poll.registry().register(&mut SourceFd(&fd), Token(0), Interest::READABLE).unwrap();
    let mut ready = Events::with_capacity(8);
    for round in 0..100u8 {
        pair.b.client.send_data(pair.to_a, &[round]).unwrap();
        pair.b.client.flush();
        while pair.a.reported.is_empty() {
            let timeout = pair.a.client.next_timeout();
            poll.poll(&mut ready, timeout).unwrap();
            assert!(
                !ready.is_empty() || timeout.is_some_and(|timeout| timeout < GUARD),
                "the poller was not woken"
            );
            pair.a.poll(Duration::ZERO);
        }
        assert_eq!(pair.a.reported, [Reported::Data(pair.to_b, pair.b.key, vec![round])]);
        pair.a.reported.clear();
    }
}

#[test]
fn a_pong_that_has_arrived_is_read_before_its_timeout_is_checked() {
    let (interval, timeout) = (40 * MILLISECOND, 300 * MILLISECOND);
    let (relay, mut peer, id) = connected(interval, timeout);
    for _ in 0..3 {
        let before = packets(&peer, id).0;
        let answered = relay.statistics().packets_out;
        peer.until("a ping", |peer| {
            peer.poll(Duration::ZERO);
            packets(peer, id).0 > before
        });
        assert!(relay.wait_until(GUARD, move |statistics| statistics.packets_out > answered).is_some());
        busy(interval + timeout + 50 * MILLISECOND);
        peer.poll(Duration::ZERO);
        assert_eq!(peer.reported, []);
    }
    assert!(peer.client.connection(id).is_some());
}

#[test]
fn a_program_that_rarely_polls_while_connecting_is_connected() {
    let relay = honest();
    let timeout = 60 * MILLISECOND;
    let mut peer = Peer::with(|config| config.connect_timeout(timeout).pong_timeout(timeout));
    let id = peer.begin(&relay);
    // When the program polls again, TCP is connected, the response has arrived, or the pong has arrived.
    for (stage, hellos, packets_out) in
        [(Stage::Handshaking, 0, 0), (Stage::Confirming, 1, 0), (Stage::Connected, 1, 1)]
    {
        let has_arrived = move |statistics: &tox_test_relay::Statistics| {
            (statistics.hellos, statistics.packets_out) == (hellos, packets_out)
        };
        assert!(relay.wait_until(GUARD, has_arrived).is_some());
        busy(2 * timeout);
        peer.poll(Duration::ZERO);
        let status = peer.client.connection(id);
        assert_eq!(status.map(|status| status.stage), Some(stage), "{:?}", peer.reported);
    }
    assert_eq!(peer.reported, [Reported::Connected(id)]);
}

#[test]
fn the_next_poll_removes_the_events() {
    let relay = honest();
    let mut a = Peer::new();
    let id = a.begin(&relay);
    a.until("connected", |a| !a.reported.is_empty());
    assert_eq!((a.events.len(), a.events.is_empty()), (1, false));
    assert_eq!(a.events.iter().next(), Some(Event::Connected { connection: id, token: 0 }));
    a.poll(Duration::ZERO);
    assert!(a.events.is_empty());
}
