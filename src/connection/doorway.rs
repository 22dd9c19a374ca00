//! The way to the keys: the transport, the proxy, the handshake.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

use crate::address::Address;
use crate::config::{Proxy, Settings};
use crate::connection::deadline::Deadline;
use crate::connection::outbox::Outbox;
use crate::crypto::{Entropy, Handshake, LongTermKey};
use crate::id::RelayId;
use crate::proxy::Tunnel;

/// What a connection begins with.
pub struct Opening {
    pub id: RelayId,
    pub long_term: Arc<LongTermKey>,
    /// The proxy to go through, and where it is to lead.
    pub tunnel: Option<(Arc<Proxy>, Address)>,
    pub settings: Arc<Settings>,
    pub entropy: Entropy,
    /// The id of the first ping.
    pub ping: NonZeroU64,
}

/// A connection that isn't open yet.
pub(super) struct Doorway {
    pub(super) opening: Opening,
    /// Of all steps together.
    pub(super) deadline: Deadline,
    pub(super) step: Step,
}

pub(super) enum Step {
    /// There is no transport yet.
    Connecting,
    /// The proxy was asked to lead on to the relay.
    Tunnelling(Tunnel),
    /// The hello is on its way; the response is still to come.
    Handshaking(Handshake),
}

impl Doorway {
    /// A step has got its answer, and the next one begins. All steps together have one timeout; where it has run out, the
    /// program was away, and the next step has time of its own.
    pub(super) fn begin_step(&mut self, now: Instant, started: Instant) {
        let timeout = self.opening.settings.connect_timeout;
        if now >= started + timeout {
            self.deadline = Deadline::new(now + timeout);
        }
    }

    /// Begins the handshake.
    pub(super) fn greet(&mut self, outbox: &mut Outbox) {
        let Opening { long_term, entropy, .. } = &self.opening;
        let (handshake, hello) = Handshake::new(Arc::clone(long_term), entropy);
        outbox.push_raw(&hello);
        self.step = Step::Handshaking(handshake);
    }
}
