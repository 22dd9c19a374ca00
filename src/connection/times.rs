//! How long each step of connecting took.

use std::time::{Duration, Instant};

use crate::stage::Party;
use crate::status::ConnectTimes;

/// The compact form of [`ConnectTimes`]: each connection keeps one.
pub(super) struct Times {
    started: Instant,
    pub(super) transport: Micros,
    pub(super) tunnel: Micros,
    pub(super) handshake: Micros,
    pub(super) connected: Micros,
    /// Nanoseconds from the start until the last input; 0 if there was none.
    heard: u64,
}

/// A time in microseconds; 0 if it is not known.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Micros(u32);

impl Times {
    pub(super) fn new(started: Instant) -> Self {
        let none = Micros::default();
        Self { started, transport: none, tunnel: none, handshake: none, connected: none, heard: 0 }
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// The time from the start to `now`.
    pub(super) fn until(&self, now: Instant) -> Micros {
        Micros::between(self.started, now)
    }

    /// Input was received.
    pub(super) fn set_heard(&mut self, now: Instant) {
        let nanos = now.saturating_duration_since(self.started).as_nanos();
        self.heard = (nanos as u64).max(1); // enough for 584 years
    }

    pub(super) fn last_heard(&self) -> Option<Instant> {
        (self.heard > 0).then(|| self.started + Duration::from_nanos(self.heard))
    }

    /// The other end of the transport after the hello is queued: the relay, or a tunnel to it.
    pub(super) fn party(&self) -> Party {
        if self.tunnel.is_known() { Party::Tunnel } else { Party::Relay }
    }

    pub(super) fn get(&self) -> ConnectTimes {
        ConnectTimes {
            transport: self.transport.get(),
            tunnel: self.tunnel.get(),
            handshake: self.handshake.get(),
            connected: self.connected.get(),
        }
    }
}

impl Micros {
    /// The time between the two: at least 1 µs, and at most 71 minutes.
    pub(super) fn between(from: Instant, to: Instant) -> Self {
        let micros = to.saturating_duration_since(from).as_micros();
        Self(u32::try_from(micros).unwrap_or(u32::MAX).max(1))
    }

    /// This time, changed by the difference to another one divided by `parts`.
    pub(super) fn towards(self, other: Self, parts: u32) -> Self {
        let (from, to) = (i64::from(self.0), i64::from(other.0));
        Self((from + (to - from) / i64::from(parts)) as u32)
    }

    pub(super) fn is_known(self) -> bool {
        self.0 > 0
    }

    pub(super) fn get(self) -> Option<Duration> {
        self.is_known().then(|| Duration::from_micros(self.0.into()))
    }
}
