//! What a caller says before it connects: about the client, about one relay, about a proxy, about a forwarded packet.

mod proxy;

pub use proxy::{Credentials, Protocol};
pub use proxy::{Proxy, ProxyConfigError};

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::address::{Address, AddressError};
use crate::key::{PublicKey, SecretKey};

/// How a [`Client`](crate::Client) behaves. The defaults are the protocol's own; most callers give a key and nothing
/// else.
///
/// ```
/// use std::time::Duration;
/// use tox_relay_client::{Client, Config, SecretKey};
///
/// let config = Config::new(SecretKey::generate()).send_queue(256 * 1024).connect_timeout(Duration::from_secs(5));
/// let client = Client::new(config)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) secret_key: SecretKey,
    pub(crate) proxy: Option<Arc<Proxy>>,
    pub(crate) settings: Settings,
}

/// What every connection of a client shares.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub connect_timeout: Duration,
    pub ping_interval: Duration,
    pub pong_timeout: Duration,
    pub send_queue: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // "Times" of the protocol: 10 s for connecting and handshake together, a ping every 30 s, a pong within 10.
            connect_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(30),
            pong_timeout: Duration::from_secs(10),
            // A route that sends alone has half: what is sealed for one write, and some 45 of the largest packets in use
            // today (1 + 1400 bytes).
            send_queue: 128 * 1024,
        }
    }
}

/// The smallest queue for which half of it has room for any packet: twice 2 + 2032 bytes.
pub(crate) const MIN_SEND_QUEUE: usize = 4_068;

/// The longest time that counts, 100 years. A longer one is as long, but can't be added to an instant.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

impl Config {
    /// A client with this DHT secret key as its identity.
    pub fn new(secret_key: SecretKey) -> Self {
        Self { secret_key, proxy: None, settings: Settings::default() }
    }

    /// Reaches all relays through this proxy. Default: none.
    ///
    /// A connection that is told to use a proxy never goes around it.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(Arc::new(proxy));
        self
    }

    /// How long connecting, the exchange with a proxy and the handshake may take together. Default: 10 s.
    ///
    /// A longer time keeps a socket longer for each relay that is gone.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout.min(FOREVER);
        self
    }

    /// The time from one ping to the next. Default: 30 s, as the specification says.
    #[must_use]
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.settings.ping_interval = interval.min(FOREVER);
        self
    }

    /// How long a relay may take to answer a ping. Default: 10 s, as the specification says.
    #[must_use]
    pub fn pong_timeout(mut self, timeout: Duration) -> Self {
        self.settings.pong_timeout = timeout.min(FOREVER);
        self
    }

    /// The bytes of data, OOB, onion and forward packets that may wait in each connection. Default: 131,072, at least
    /// 4,068.
    ///
    /// A packet counts its plaintext and 2 bytes. Each route takes turns and may hold as many bytes as are free beside it;
    /// what belongs to no route counts as one more. So a route that sends alone holds half of the queue, two that send
    /// all they can hold a third each, and by default one that begins finds room for any packet beside five of them.
    ///
    /// A larger queue costs memory for each relay that reads slowly, and delays what is sent last on a route; important
    /// packets pass it by. Memory is taken in pages of 512 bytes, at least one for each route that has data waiting.
    #[must_use]
    pub fn send_queue(mut self, bytes: usize) -> Self {
        self.settings.send_queue = bytes;
        self
    }

    /// Tells the first setting that can't work.
    pub(crate) fn check(&self) -> io::Result<()> {
        let settings = &self.settings;
        let wrong = if settings.send_queue < MIN_SEND_QUEUE {
            "a send queue has at least 4,068 bytes"
        } else if settings.connect_timeout.is_zero()
            || settings.ping_interval.is_zero()
            || settings.pong_timeout.is_zero()
        {
            "a timeout or interval of zero"
        } else {
            return Ok(());
        };
        Err(io::Error::new(io::ErrorKind::InvalidInput, wrong))
    }
}

/// One relay to connect to: its address, its public key, and perhaps an identity of its own.
///
/// ```
/// use tox_relay_client::{PublicKey, Relay, SecretKey};
///
/// let key: PublicKey = "3F0A45A268367C1BEA652F258C85F4A66DA76BCAA667A49E770BCC4917AB6A25".parse()?;
/// let by_text = Relay::new("198.51.100.7:33445", key);
/// let by_parts = Relay::new(("2001:db8::7", 33445), key).identity(SecretKey::generate());
/// # Ok::<(), tox_relay_client::KeyError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Relay {
    pub(crate) address: Result<Address, AddressError>,
    pub(crate) public_key: PublicKey,
    pub(crate) identity: Option<SecretKey>,
    pub(crate) way: Way,
}

/// How a relay is reached.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    /// As all relays of the client are.
    AsAll,
    Direct,
    Through(Arc<Proxy>),
}

impl Relay {
    /// The relay at this address that holds the secret key of `public_key`.
    ///
    /// The address is an [`Address`], or whatever one is made of: a `SocketAddr`, `"ip:port"`, `(ip, port)`, and for
    /// proxies that resolve names also `"name:port"`, `(name, port)`. Everything that [`socks::ToTargetAddr`] is
    /// implemented for is among it. One that can't be read, and a name without such a proxy, are errors of
    /// [`connect`](crate::Client::connect): this library asks no resolver.
    pub fn new<A>(address: A, public_key: PublicKey) -> Self
    where
        A: TryInto<Address>,
        AddressError: From<A::Error>,
    {
        let address = address.try_into().map_err(AddressError::from);
        Self { address, public_key, identity: None, way: Way::AsAll }
    }

    /// Connects with this key pair in the place of the client's own.
    #[must_use]
    pub fn identity(mut self, secret_key: SecretKey) -> Self {
        self.identity = Some(secret_key);
        self
    }

    /// Reaches this relay through a proxy of its own, whatever the client's other relays do.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.way = Way::Through(Arc::new(proxy));
        self
    }

    /// Reaches this relay without a proxy, whatever the client's other relays do.
    #[must_use]
    pub fn direct(mut self) -> Self {
        self.way = Way::Direct;
        self
    }
}

/// Where a relay shall forward a packet to: an address of the Tox network.
///
/// The flow label and the scope of an IPv6 address are not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Destination {
    /// A node that listens on UDP.
    Udp(SocketAddr),
    /// A node that is reached through TCP. The relay of toxcore 0.2.18 closes the connection of a client that asks for it.
    Tcp(SocketAddr),
}

impl Destination {
    /// The address, whatever the transport.
    pub fn address(&self) -> SocketAddr {
        match *self {
            Self::Udp(address) | Self::Tcp(address) => address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::new(SecretKey::from([1; 32]))
    }

    #[test]
    fn the_defaults_are_those_of_the_protocol_document() {
        let Settings { connect_timeout, ping_interval, pong_timeout, .. } = config().settings;
        assert_eq!([connect_timeout, ping_interval, pong_timeout].map(|time| time.as_secs()), [10, 30, 10]);
        assert!(config().check().is_ok());
    }

    #[test]
    fn settings_that_can_not_work_are_refused() {
        let kind = |config: Config| config.check().map_err(|error| error.kind());
        let refused = Err(io::ErrorKind::InvalidInput);
        assert_eq!(kind(config().send_queue(4_068)), Ok(()));
        assert_eq!(kind(config().send_queue(4_067)), refused);
        assert_eq!(kind(config().connect_timeout(Duration::ZERO)), refused);
        assert_eq!(kind(config().ping_interval(Duration::ZERO)), refused);
        assert_eq!(kind(config().pong_timeout(Duration::ZERO)), refused);
    }

    #[test]
    fn half_of_the_smallest_send_queue_has_room_for_the_longest_packet() {
        assert_eq!(MIN_SEND_QUEUE, 2 * (2 + crate::wire::frame::MAX_PLAINTEXT));
    }
}
