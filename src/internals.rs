//! Parts of the library, for this repository's own fuzz targets and benches: the feature `internals`. The core as a
//! whole is public: see [`proto`](crate::proto).
//!
//! Not for users, and exempt from semantic versioning: any version may change or remove what is here.

use crate::address::Address;
use crate::config::Proxy;
use crate::error::ConnectError;
use crate::id::RouteId;
use crate::phrase::Phrase;

pub use crate::config::{Credentials, Protocol};
pub use crate::crypto::{Channel, Handshake, Key, KeyStream, Nonce, Sealer};
pub use crate::proxy::{Http, MAX_REQUEST, Progress, Socks4, Socks5, Tunnel};
pub use crate::timer::Wheel;
pub use crate::wire::frame::{MAC_LEN, MAX_PLAINTEXT, OVERHEAD, emit_prefix, frame_len};
pub use crate::wire::packet::{FORWARD_DATA, Malformed, ONION_REQUEST, OOB_DATA};
pub use crate::wire::{Packet, RouteNumber};

/// Private parts of [`Proxy`], under their own names.
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

/// The index of a route in its connection's table.
pub fn slot(route: RouteId) -> u8 {
    route.slot()
}

/// Makes a text from outside safe to show.
pub fn phrase(text: &str) -> Phrase {
    Phrase::new(text)
}
