//! A line with low bandwidth towards the relay, and an endless stream of data queued for it.

use std::time::{Duration, Instant};

use tox_relay_client::{SecretKey, SendError};

use crate::direction::{Bottleneck, Quality};
use crate::driver::{LENGTH, LIMIT, Ours, Route, Told, assert_numbered, numbered};
use crate::testbed::with_testbed;

/// 192 kbit/s, with a queue for 0.7 s.
const BOTTLENECK: Bottleneck = Bottleneck { bytes_per_second: 24_000, queue: 16 * 1024 };

/// Half of it, which is what one route may hold, is more than 13 s of the line. The relay waits 10 s for a pong, and a
/// pong that waited here would be too late.
const SEND_QUEUE: usize = 640 * 1024;

/// What a packet of data takes of the queue, with its length and its kind.
const QUEUED: usize = 2 + 1 + LENGTH;

/// The relay pings 30 s after the handshake, and ends a connection without a pong 10 s later (or 11: it counts seconds).
const PONG_LIMIT: Duration = Duration::from_secs(12);

#[test]
fn important_packets_pass_the_data_that_wait_and_all_that_was_taken_arrives() {
    let delay = Duration::from_millis(20);
    let there = Quality { delay, bottleneck: Some(BOTTLENECK), ..Quality::default() };
    let back = Quality { delay, ..Quality::default() };
    with_testbed(there, back, |testbed| {
        // No pings of our own, so that the number of packets shows the relay's pings.
        let mut ours = Ours::new(|config| config.send_queue(SEND_QUEUE).ping_interval(10 * LIMIT));
        let route = ours.meet(testbed);
        let relay = route.connections[0];
        let third = ours.connect(testbed, &SecretKey::generate());
        ours.expect_all([Told::Connected(third)]);
        let to_third = ours.join(relay, third);
        let mut flood = Flood { ours, route, sent: 0, arrived: 0 };

        // The route has room again when half of what it may hold has left.
        flood.fill();
        assert_eq!(flood.next(), Told::Writable(relay));
        let queued = flood.queued();
        assert!((SEND_QUEUE / 8..=SEND_QUEUE / 4).contains(&queued), "{queued}");

        // A routing request and a disconnect notification are sent before queued data.
        flood.fill();
        let waiting = flood.queued() / QUEUED;
        let passed = flood.sent - waiting / 2;
        let stranger = SecretKey::generate().public_key();
        let opened = flood.ours.client.open_route(relay, stranger).unwrap();
        flood.ours.client.close_route(to_third.there).unwrap();
        let mut told = [flood.next(), flood.next()];
        told.sort_by_key(|told| matches!(told, Told::Offline(_)));
        assert_eq!(told, [Told::Opened(opened), Told::Offline(to_third.back)]);
        assert!(flood.arrived < passed, "{} of {} have arrived, {waiting} waited", flood.arrived, flood.sent);

        // So is a pong; otherwise the relay would end the connection.
        let packets_in = |flood: &Flood| flood.ours.client.connection(relay).unwrap().traffic.packets_in;
        let (before, limit) = (packets_in(&flood), Instant::now() + LIMIT);
        while packets_in(&flood) == before {
            assert!(Instant::now() < limit, "no ping");
            flood.go_on();
        }
        let end = Instant::now() + PONG_LIMIT;
        while Instant::now() < end {
            flood.go_on();
        }

        // Everything that was accepted arrives.
        while flood.arrived < flood.sent {
            let told = flood.step();
            assert!(told.is_none() || told == Some(Told::Writable(relay)), "{told:?}");
        }
        assert_eq!(flood.queued(), 0);
        assert!(testbed.line.lost() > 0, "the line's queue was never full");
    });
}

/// An endless stream of data on a route.
struct Flood {
    ours: Ours,
    route: Route,
    sent: usize,
    arrived: usize,
}

impl Flood {
    /// Sends until the queue is full.
    fn fill(&mut self) {
        loop {
            match self.ours.client.send_data(self.route.there, &numbered(self.sent)) {
                Ok(()) => self.sent += 1,
                Err(SendError::WouldBlock) => break,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Handles one event. Returns it unless it is the arrival of data.
    fn step(&mut self) -> Option<Told> {
        match self.ours.next() {
            Told::Data(end, data) if end == self.route.back => {
                assert_numbered(&data, self.arrived);
                self.arrived += 1;
                None
            }
            told => Some(told),
        }
    }

    /// The next event that isn't the arrival of data.
    fn next(&mut self) -> Told {
        loop {
            if let Some(told) = self.step() {
                return told;
            }
        }
    }

    /// Handles one event, which must be the arrival of data, and keeps the queue full.
    fn go_on(&mut self) {
        assert_eq!(self.step(), None);
        self.fill();
    }

    fn queued(&self) -> usize {
        self.ours.client.connection(self.route.connections[0]).unwrap().queued
    }
}
