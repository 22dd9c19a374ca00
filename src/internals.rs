//! The core, for this repository's own tests, fuzz targets and benches: the feature `internals`.
//!
//! Not for users, and exempt from semantic versioning: any version may change or remove what is here.
//!
//! What is private in types that users have, too, is reached through the traits and functions at the end. Each method of such
//! a trait calls the private one of the same name.

use crate::address::Address;
use crate::config::Proxy;
use crate::error::ConnectError;
use crate::event::{Event, Events};
use crate::id::{RelayId, RouteId};
use crate::phrase::Phrase;

pub use crate::config::{Credentials, Protocol, Settings};
pub use crate::connection::{Connection, End, Parameters};
pub use crate::crypto::{Channel, Entropy, Handshake, Key, KeyStream, Nonce, Sealer, SharedKey};
pub use crate::key::KeyPair;
pub use crate::proxy::{Http, MAX_REQUEST, Progress, Socks4, Socks5, Tunnel};
pub use crate::timer::Wheel;
pub use crate::wire::frame::{MAC_LEN, MAX_PLAINTEXT, OVERHEAD, emit_prefix, frame_len};
pub use crate::wire::packet::{FORWARD_DATA, Malformed, ONION_REQUEST, OOB_DATA};
pub use crate::wire::{ConnectionId, Packet};

/// What the loop and the core do with a caller's buffer of events.
pub trait EventsInternals {
    /// See [`Events`].
    fn limit(&mut self, events: usize);
    /// See [`Events`].
    fn unlimit(&mut self);
    /// See [`Events`].
    fn room(&self) -> usize;
    /// See [`Events`].
    fn has_room(&self) -> bool;
    /// See [`Events`].
    fn push(&mut self, event: Event<'_>);
}

impl EventsInternals for Events {
    fn limit(&mut self, events: usize) {
        Self::limit(self, events);
    }

    fn unlimit(&mut self) {
        Self::unlimit(self);
    }

    fn room(&self) -> usize {
        Self::room(self)
    }

    fn has_room(&self) -> bool {
        Self::has_room(self)
    }

    fn push(&mut self, event: Event<'_>) {
        Self::push(self, event);
    }
}

/// What the core asks of a proxy's settings.
pub trait ProxyInternals {
    /// How it is spoken to.
    fn protocol(&self) -> &Protocol;
    /// Whether it can be asked for this address.
    fn check(&self, target: &Address) -> Result<(), ConnectError>;
}

impl ProxyInternals for Proxy {
    fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    fn check(&self, target: &Address) -> Result<(), ConnectError> {
        Self::check(self, target)
    }
}

/// An id as the table of connections gives it out.
pub const fn relay_id(index: u32, generation: u32) -> RelayId {
    RelayId { index, generation }
}

/// An id as a connection gives it out.
pub fn route_id(relay: RelayId, slot: u8, generation: u32) -> RouteId {
    RouteId::new(relay, slot, generation)
}

/// The place of a route in its connection's table.
pub fn slot(route: RouteId) -> u8 {
    route.slot
}

/// A text from outside, made safe to show.
pub fn phrase(text: &str) -> Phrase {
    Phrase::new(text)
}
