//! The core, for this repository's own tests, fuzz targets and benches: the feature `internals`.
//!
//! Not for users, and exempt from semantic versioning: any version may change or remove what is here.
//!
//! The traits and functions at the end give access to private methods and fields of public types. Each method of such a
//! trait calls the private method, or returns the private field, of the same name.

use crate::address::Address;
use crate::config::Proxy;
use crate::error::ConnectError;
use crate::event::Event;
use crate::events::Events;
use crate::id::{ConnectionId, RouteId};

pub use crate::id::AttemptId;
use crate::phrase::Phrase;

pub use crate::config::{Credentials, Protocol, Settings};
pub use crate::connection::{Connection, End, Parameters, Shared};
pub use crate::crypto::{Channel, Entropy, Handshake, Key, KeyStream, Nonce, Sealer, SharedKey};
pub use crate::key::KeyPair;
pub use crate::proxy::{Http, MAX_REQUEST, Progress, Socks4, Socks5, Tunnel};
pub use crate::timer::Wheel;
pub use crate::wire::frame::{MAC_LEN, MAX_PLAINTEXT, OVERHEAD, emit_prefix, frame_len};
pub use crate::wire::packet::{FORWARD_DATA, Malformed, ONION_REQUEST, OOB_DATA};
pub use crate::wire::{Packet, RouteNumber};

/// Private methods of [`Events`] that the loop and the core use.
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

/// Private parts of [`Proxy`] that the core uses.
pub trait ProxyInternals {
    /// The proxy's protocol.
    fn protocol(&self) -> &Protocol;
    /// Whether this kind of proxy can connect to this target.
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

/// Creates the id of a connection, as the table of connections does.
pub const fn connection_id(index: u32, generation: u32) -> ConnectionId {
    ConnectionId { index, generation }
}

/// Creates the id of a route, as a connection does.
pub fn route_id(connection: ConnectionId, slot: u8, generation: u32) -> RouteId {
    RouteId::new(connection, slot, generation)
}

/// The index of a route in its connection's table.
pub fn slot(route: RouteId) -> u8 {
    route.slot()
}

/// Makes a text from outside safe to show.
pub fn phrase(text: &str) -> Phrase {
    Phrase::new(text)
}
