//! A line with low bandwidth to the relay, and a sender that always keeps its queue full.

use std::time::{Duration, Instant};

use tox_relay_client::{SecretKey, SendError};

use crate::direction::{Bottleneck, Quality};
use crate::driver::{LENGTH, LIMIT, ReceivedEvent, Route, TwoIdentities, assert_numbered, numbered};
use crate::testbed::with_testbed;

/// 192 kbit/s, with a queue of 0.7 s.
const BOTTLENECK: Bottleneck = Bottleneck { bytes_per_second: 24_000, queue: 16 * 1024 };

/// One route may use half of it, which takes the line more than 13 s. The relay waits 10 s for a pong, so a pong that
/// was sent after all queued data would be too late.
const SEND_QUEUE: usize = 640 * 1024;

/// The bytes that a data packet occupies in the queue, with its length field and its kind.
const QUEUED_LEN: usize = 2 + 1 + LENGTH;

/// Long enough for the relay to end the connection if it received no pong: it does so 10 s after a ping, or 11 s, since
/// it counts whole seconds.
const PONG_LIMIT: Duration = Duration::from_secs(12);

#[test]
fn important_packets_are_sent_before_queued_data_and_all_accepted_data_arrive() {
    let delay = Duration::from_millis(20);
    let there = Quality { delay, bottleneck: Some(BOTTLENECK), ..Quality::default() };
    let back = Quality { delay, ..Quality::default() };
    with_testbed(there, back, |testbed| {
        // No pings of our own, so that the number of packets shows the relay's pings.
        let mut ours = TwoIdentities::new(|config| config.send_queue(SEND_QUEUE).ping_interval(10 * LIMIT));
        let route = ours.connect_both(testbed);
        let relay = route.connections[0];
        let third = ours.connect(testbed, &SecretKey::generate());
        ours.expect_all([ReceivedEvent::Connected(third)]);
        let to_third = ours.open_routes(relay, third);
        let mut flood = Flood { ours, route, sent: 0, arrived: 0 };

        // The route has room again when half of its part of the queue was sent.
        flood.fill();
        assert_eq!(flood.next(), ReceivedEvent::Writable(relay));
        let queued = flood.queued();
        assert!((SEND_QUEUE / 8..=SEND_QUEUE / 4).contains(&queued), "{queued}");

        // A routing request and a disconnect notification are sent before queued data.
        flood.fill();
        let waiting = flood.queued() / QUEUED_LEN;
        let expected_before = flood.sent - waiting / 2;
        let stranger = SecretKey::generate().public_key();
        let opened = flood.ours.client.open_route(relay, stranger).unwrap();
        flood.ours.client.close_route(to_third.there).unwrap();
        let mut events = [flood.next(), flood.next()];
        events.sort_by_key(|event| matches!(event, ReceivedEvent::Offline(_)));
        assert_eq!(events, [ReceivedEvent::Opened(opened), ReceivedEvent::Offline(to_third.back)]);
        assert!(
            flood.arrived < expected_before,
            "{} of {} arrived, {waiting} queued",
            flood.arrived,
            flood.sent
        );

        // A pong is sent before queued data, too; otherwise the relay would end the connection.
        let packets_in = |flood: &Flood| flood.ours.client.connection(relay).unwrap().traffic.packets_in;
        let (before, limit) = (packets_in(&flood), Instant::now() + LIMIT);
        while packets_in(&flood) == before {
            assert!(Instant::now() < limit, "no ping");
            flood.receive_and_refill();
        }
        let end = Instant::now() + PONG_LIMIT;
        while Instant::now() < end {
            flood.receive_and_refill();
        }

        // Everything that was accepted arrives.
        while flood.arrived < flood.sent {
            let event = flood.step();
            assert!(event.is_none() || event == Some(ReceivedEvent::Writable(relay)), "{event:?}");
        }
        assert_eq!(flood.queued(), 0);
        assert!(testbed.line.lost() > 0, "the line's queue did not become full");
    });
}

/// A sender that keeps its queue full, and the receiver of its data.
struct Flood {
    ours: TwoIdentities,
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

    /// Handles one event. Returns it unless it is received data.
    fn step(&mut self) -> Option<ReceivedEvent> {
        match self.ours.next() {
            ReceivedEvent::Data(end, data) if end == self.route.back => {
                assert_numbered(&data, self.arrived);
                self.arrived += 1;
                None
            }
            event => Some(event),
        }
    }

    /// Returns the next event that is not received data.
    fn next(&mut self) -> ReceivedEvent {
        loop {
            if let Some(event) = self.step() {
                return event;
            }
        }
    }

    /// Handles one event, which must be received data, and fills the queue again.
    fn receive_and_refill(&mut self) {
        assert_eq!(self.step(), None);
        self.fill();
    }

    fn queued(&self) -> usize {
        self.ours.client.connection(self.route.connections[0]).unwrap().queued
    }
}
