//! What time alone causes: pings, and the ends of what takes too long.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use tox_relay_client::DisconnectReason;

use super::{CONNECT_TIMEOUT, KeepAlive, Model, PING, PONG_TIMEOUT, timed_out};

impl Model {
    /// The client checks its deadlines.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        unread: bool,
        ping: NonZeroU64,
    ) -> Result<(), DisconnectReason> {
        let opening = self.is_opening();
        let longer = if opening { CONNECT_TIMEOUT } else { PONG_TIMEOUT };
        let waits = opening || !self.keepalive.answered;
        if now < self.deadline {
            return Ok(());
        }
        if waits && unread && !(opening && self.is_extended) {
            (self.deadline, self.is_extended) = (self.deadline.max(now + longer), true);
            return Ok(());
        }
        match waits {
            true if opening => Err(timed_out(self.stage)),
            true => Err(DisconnectReason::NoPong(self.stage)),
            false => {
                self.ping(ping, now);
                Ok(())
            }
        }
    }

    pub(super) fn ping(&mut self, id: NonZeroU64, now: Instant) {
        self.keepalive = KeepAlive { id, queued: now, left: None, answered: false, asked: now };
        self.set_deadline(now + PONG_TIMEOUT);
        self.important.push_back([&[PING], &id.get().to_be_bytes()[..]].concat());
    }

    /// A ping was asked for. Returns whether one is sent.
    pub fn ask(&mut self, id: NonZeroU64, now: Instant) -> bool {
        let asks = !self.is_opening() && self.keepalive.answered;
        if asks {
            self.ping(id, now);
        }
        asks
    }

    /// The network has changed.
    pub fn network_changed(&mut self, id: NonZeroU64, now: Instant) {
        let patience = Duration::from_secs(5).min(PONG_TIMEOUT);
        if self.is_opening() && self.is_tunnelled {
            return;
        }
        if self.is_opening() || self.ask(id, now) {
            self.deadline = self.deadline.min(now + patience);
            self.excluded = 0;
            return;
        }
        let excluded = Duration::from_millis(self.excluded.into());
        let last = self.keepalive.asked + PONG_TIMEOUT + patience + excluded;
        self.deadline = last.max(self.deadline).min(now + patience);
        self.keepalive.queued = now;
        if self.keepalive.left.take().is_some() {
            self.keepalive.id = id;
            self.important.push_back([&[PING], &id.get().to_be_bytes()[..]].concat());
        }
    }

    pub(super) fn set_deadline(&mut self, at: Instant) {
        (self.deadline, self.is_extended, self.excluded) = (at, false, 0);
    }
}
