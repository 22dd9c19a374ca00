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
}

/// A time in microseconds; 0 if it is not known.
#[derive(Clone, Copy)]
pub(super) struct Micros(u32);

impl Times {
    pub(super) fn new(started: Instant) -> Self {
        let none = Micros(0);
        Self { started, transport: none, tunnel: none, handshake: none, connected: none }
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// The time from the start to `now`: at least 1 µs, and at most 71 minutes.
    pub(super) fn until(&self, now: Instant) -> Micros {
        let micros = now.saturating_duration_since(self.started).as_micros();
        Micros(u32::try_from(micros).unwrap_or(u32::MAX).max(1))
    }

    /// Who is at the other end once the hello is queued: the relay, directly or through a tunnel.
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
    pub(super) fn is_known(self) -> bool {
        self.0 > 0
    }

    fn get(self) -> Option<Duration> {
        self.is_known().then(|| Duration::from_micros(self.0.into()))
    }
}
