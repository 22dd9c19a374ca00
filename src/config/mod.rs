//! The settings of a client, a relay, and a proxy.

mod proxy;

pub use proxy::{Credentials, Protocol};
pub use proxy::{Proxy, ProxyConfigError};

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::address::{Address, AddressError};
use crate::error::{ConnectError, SettingError};
use crate::key::{PublicKey, SecretKey};

/// The settings of a [`Client`](crate::Client). The defaults are those of the protocol; most callers only give a key.
///
/// ```
/// use std::time::Duration;
/// use tox_relay_client::{Client, Config, SecretKey};
///
/// let config = Config::new(SecretKey::generate())
///     .send_queue(256 * 1024)
///     .connect_timeout(Duration::from_secs(5));
/// let client = Client::new(config)?;
/// # Ok::<(), tox_relay_client::ClientError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a `Config` does nothing until it is given to `Client::new`"]
pub struct Config {
    pub(crate) secret_key: SecretKey,
    pub(crate) proxy: Option<Arc<Proxy>>,
    pub(crate) settings: Settings,
}

/// The settings of a [`Config`] that connections use, checked: see [`Config::settings`].
///
/// The default has those of the protocol.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub(crate) connect_timeout: Duration,
    pub(crate) ping_interval: Duration,
    pub(crate) pong_timeout: Duration,
    pub(crate) send_queue: usize,
    /// `None`: unconfirmed bytes have no bound.
    pub(crate) window: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // The section "Times" of the protocol document: 10 s for connecting, the proxy and the handshake together,
            // a ping every 30 s, a pong within 10 s.
            connect_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(30),
            pong_timeout: Duration::from_secs(10),
            // If only one route sends, it may use half of this: 64 KiB, which is the most that is sealed for one write,
            // or about 46 of the largest packets in use today (1 + 1400 bytes).
            send_queue: 128 * 1024,
            // More than any line carries in a round trip: 1.3 Gbit/s with 100 ms.
            window: Some(16 * 1024 * 1024),
        }
    }
}

/// Half of this is enough for any packet: 2 + 2032 bytes.
pub(crate) const MIN_SEND_QUEUE: usize = 4_068;

/// Enough for several of the longest packets, of 2,050 bytes, between two pings.
pub(crate) const MIN_WINDOW: usize = 16 * 1024;

/// 100 years. Longer times are shortened to this, since adding them to an `Instant` might overflow.
pub(crate) const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

impl Config {
    /// The default settings, and this DHT secret key as the client's identity.
    pub fn new(secret_key: SecretKey) -> Self {
        Self { secret_key, proxy: None, settings: Settings::default() }
    }

    /// Reaches all relays through this proxy. Default: none.
    ///
    /// A connection through a proxy never falls back to a direct one.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(Arc::new(proxy));
        self
    }

    /// How long connecting, the exchange with a proxy and the handshake may take together. Default: 10 s.
    ///
    /// With a longer timeout, a relay that is gone occupies a socket for longer.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout.min(FOREVER);
        self
    }

    /// The time from one ping to the next. Default: 30 s, as the specification says.
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.settings.ping_interval = interval.min(FOREVER);
        self
    }

    /// How long a relay may take to answer a ping. Default: 10 s, as the specification says.
    pub fn pong_timeout(mut self, timeout: Duration) -> Self {
        self.settings.pong_timeout = timeout.min(FOREVER);
        self
    }

    /// The size of the send queue: bytes of data, OOB, onion and forward packets that may be queued per connection.
    /// Default: 131,072; at least 4,068.
    ///
    /// A packet counts as its plaintext and 2 bytes. The routes of a connection take turns, and each may use as many
    /// bytes as it leaves free; packets without a route count as one more route. So a route that sends alone uses at
    /// most half of the queue, and two that send as much as they can use a third each. In a queue of the default size,
    /// a route that starts to send while five others do so has room for any packet.
    ///
    /// A larger queue takes more memory for each relay that reads slowly, and delays what is sent last on a route.
    /// Important packets (routing requests, disconnect notifications, pings, pongs) do not wait in it. Memory is
    /// allocated in pages of 512 bytes, at least one for each route with queued data.
    pub fn send_queue(mut self, bytes: usize) -> Self {
        self.settings.send_queue = bytes;
        self
    }

    /// The most bytes of data that may be sent to a relay before it confirms them. Default: 16 MiB; at least 16 KiB.
    /// `None` for no bound: then `tox-bootstrapd` usually resets whoever has more than 64 KiB to send at once.
    ///
    /// A relay handles packets in order, so its pong confirms all that was sent before the ping. Further data wait in
    /// the send queue, as if the socket was full; important packets do not wait. The window is at first 32 KiB, then
    /// what the relay reads in 0.5 s, but at most 47,000 bytes: `tox-bootstrapd` 0.2.18 counts what waits in 16 bits,
    /// and got stuck with 80 KB. If nearly all of some 15 pings at random moments take at most 8 ms longer than the
    /// fastest, the relay reads at once; then the window is twice the rate times the smallest round trip (as in BBR).
    /// After a minute without data it begins anew. Cost: a ping (27 bytes) each 15,000 bytes, 16 to 47 KB a round trip
    /// where delays vary by more than 8 ms, and 0.4 to 3 MB/s to `tox-bootstrapd` on loopback (34 to 1373 bytes).
    pub fn window(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.settings.window = bytes.into();
        self
    }

    /// The settings that connections use, for the [core](crate::proto) in a loop of the caller's own.
    ///
    /// # Errors
    ///
    /// A timeout or an interval of zero, or a send queue or a window that is too small.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// let config = Config::new(SecretKey::generate());
    /// assert!(config.clone().send_queue(4_068).settings().is_ok());
    /// assert_eq!(config.send_queue(0).settings(), Err(SettingError::SendQueue(0)));
    /// ```
    pub fn settings(&self) -> Result<Settings, SettingError> {
        self.settings.check().map(|()| self.settings.clone())
    }
}

impl Settings {
    /// Returns an error for the first setting that is not valid.
    pub(crate) fn check(&self) -> Result<(), SettingError> {
        if self.send_queue < MIN_SEND_QUEUE {
            Err(SettingError::SendQueue(self.send_queue))
        } else if let Some(window) = self.window.filter(|window| *window < MIN_WINDOW) {
            Err(SettingError::Window(window))
        } else if self.connect_timeout.is_zero() {
            Err(SettingError::ConnectTimeout)
        } else if self.ping_interval.is_zero() {
            Err(SettingError::PingInterval)
        } else if self.pong_timeout.is_zero() {
            Err(SettingError::PongTimeout)
        } else {
            Ok(())
        }
    }
}

/// One relay to connect to: its public key and its addresses, and optionally an identity, a proxy, a timeout or a local
/// address for this connection alone.
///
/// ```
/// use tox_relay_client::{PublicKey, Relay, SecretKey};
///
/// let key = "3F0A45A268367C1BEA652F258C85F4A66DA76BCAA667A49E770BCC4917AB6A25";
/// let key: PublicKey = key.parse()?;
/// let by_text = Relay::new("198.51.100.7:33445", key);
/// let by_parts = Relay::new(("2001:db8::7", 33445), key).identity(SecretKey::generate());
/// # Ok::<(), tox_relay_client::KeyError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a `Relay` does nothing until it is given to `Client::connect`"]
pub struct Relay {
    /// In the order of the attempts; never empty, and without repetition.
    pub(crate) addresses: Result<Vec<Address>, AddressError>,
    pub(crate) public_key: PublicKey,
    pub(crate) identity: Option<SecretKey>,
    pub(crate) proxy: ProxyChoice,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) local_address: Option<SocketAddr>,
    pub(crate) token: u64,
}

/// The most addresses of one relay. Each may occupy a socket while the connection is opened.
const MAX_ADDRESSES: usize = 16;

/// How a relay is reached: directly or through a proxy.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ProxyChoice {
    /// As the client's settings say.
    Default,
    Direct,
    Through(Arc<Proxy>),
}

impl Relay {
    /// The relay at this address with this public key.
    ///
    /// The address is an [`Address`] or anything that converts into one: a `SocketAddr`, `"ip:port"`, `(ip, port)`,
    /// with a proxy that resolves names also `"name:port"` and `(name, port)`, and a
    /// [`TargetAddr`](crate::socks::TargetAddr). [`connect`](crate::Client::connect) returns an error for an address
    /// that is malformed, and for a name without such a proxy: this library does not resolve names.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// let key = "3F0A45A268367C1BEA652F258C85F4A66DA76BCAA667A49E770BCC4917AB6A25";
    /// let key: PublicKey = key.parse()?;
    /// let ipv4 = Relay::new("198.51.100.7:33445", key);
    /// let ipv6 = Relay::new("[2001:db8::7]:33445", key);
    /// let name = Relay::new(("relay.example", 33445), key); // for a proxy
    /// # Ok::<(), KeyError>(())
    /// ```
    pub fn new<A>(address: A, public_key: PublicKey) -> Self
    where
        A: TryInto<Address>,
        AddressError: From<A::Error>,
    {
        let addresses = address.try_into().map(|address| vec![address]).map_err(AddressError::from);
        Self {
            addresses,
            public_key,
            identity: None,
            proxy: ProxyChoice::Default,
            connect_timeout: None,
            local_address: None,
            token: 0,
        }
    }

    /// Another address of the same relay: another port, or IPv6 in addition to IPv4. At most 16.
    ///
    /// They are tried in this order, but IPv4 and IPv6 in turns; each attempt begins 250 ms after the one before, or as
    /// soon as that has failed (as in RFC 8305, "Happy Eyeballs"). The first that completes the handshake is used, the
    /// others are closed: nothing but their hello was sent. Each attempt has a socket of its own, so many addresses
    /// take many file descriptors while the connection is opened.
    ///
    /// An attacker at one address who replays an old handshake response can only delay the connection: if the proof of
    /// the key does not follow within the pong timeout, the other addresses are tried, and the routes are requested
    /// again. (Packets that were sent meanwhile are lost.)
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # let key = PublicKey::from([9; 32]);
    /// let relay = Relay::new("198.51.100.7:33445", key)
    ///     .address("198.51.100.7:443")
    ///     .address("[2001:db8::7]:33445");
    /// ```
    pub fn address<A>(mut self, address: A) -> Self
    where
        A: TryInto<Address>,
        AddressError: From<A::Error>,
    {
        self.addresses = self.addresses.and_then(|mut addresses| {
            let address = address.try_into()?;
            if !addresses.contains(&address) {
                addresses.push(address);
            }
            Ok(addresses)
        });
        self
    }

    /// How long connecting, the exchange with a proxy and the handshake may take together, for each address. Default:
    /// the client's [`connect_timeout`](Config::connect_timeout). An onion service may need a minute.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tox_relay_client::*;
    /// # let key = PublicKey::from([9; 32]);
    /// let relay = Relay::new("relayexample.onion:33445", key).connect_timeout(Duration::from_secs(60));
    /// ```
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout.min(FOREVER));
        self
    }

    /// Connects from this local address, for example that of one network interface. Port 0 is any port. Default: the
    /// operating system chooses.
    ///
    /// Attempts to addresses of the other family fail. A port other than 0 can only be used by one attempt at a time,
    /// and not again for a minute or so after a connection.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # let key = PublicKey::from([9; 32]);
    /// let relay = Relay::new("198.51.100.7:33445", key).local_address("192.0.2.10:0".parse()?);
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn local_address(mut self, address: SocketAddr) -> Self {
        self.local_address = Some(address);
        self
    }

    /// A token of the caller's: the events and the status of the connection contain it, so that the caller needs no map
    /// from connections to its own objects. Default: 0.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, (address, relay_key)) = (shared::client(), shared::relay());
    /// let connection = client.connect(Relay::new(address, relay_key).token(7))?;
    /// assert_eq!(client.connection(connection).map(|status| status.token), Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn token(mut self, token: u64) -> Self {
        self.token = token;
        self
    }

    /// The relay's public key.
    pub fn public_key(&self) -> PublicKey {
        self.public_key
    }

    /// The relay's addresses, in the order in which they were given; each is there once.
    ///
    /// # Errors
    ///
    /// What is wrong with the first one that is not an address.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # let key = PublicKey::from([9; 32]);
    /// let relay = Relay::new("198.51.100.7:33445", key).address("198.51.100.7:443");
    /// assert_eq!(relay.addresses()?[1].port(), 443);
    /// # Ok::<(), AddressError>(())
    /// ```
    pub fn addresses(&self) -> Result<&[Address], AddressError> {
        self.addresses.as_deref().map_err(Clone::clone)
    }

    /// The addresses in the order of the attempts, and the proxy. Returns an error for an address that is not valid, or
    /// that the proxy cannot reach.
    pub(crate) fn targets(&self) -> Result<(Vec<Address>, Option<Arc<Proxy>>), ConnectError> {
        let addresses = self.interleaved().map_err(ConnectError::Address)?;
        if addresses.len() > MAX_ADDRESSES {
            return Err(ConnectError::TooManyAddresses);
        }
        let proxy = match &self.proxy {
            ProxyChoice::Default | ProxyChoice::Direct => None,
            ProxyChoice::Through(proxy) => Some(Arc::clone(proxy)),
        };
        if let Some(proxy) = &proxy {
            addresses.iter().try_for_each(|address| proxy.check(address))?;
        }
        Ok((addresses, proxy))
    }

    /// Replaces the default proxy by the client's.
    pub(crate) fn default_proxy(&mut self, proxy: Option<Arc<Proxy>>) {
        if let (ProxyChoice::Default, Some(proxy)) = (&self.proxy, proxy) {
            self.proxy = ProxyChoice::Through(proxy);
        }
    }

    /// The addresses in the order of the attempts: IPv4 and IPv6 take turns, beginning with the family of the first
    /// (RFC 8305, section 4).
    fn interleaved(&self) -> Result<Vec<Address>, AddressError> {
        let addresses = self.addresses.clone()?;
        let is_ipv6 = |address: &Address| address.socket_addr().is_some_and(|address| address.is_ipv6());
        let first = addresses.first().is_some_and(is_ipv6);
        let (mut ours, mut others): (VecDeque<_>, VecDeque<_>) =
            addresses.into_iter().partition(|address| is_ipv6(address) == first);
        let mut interleaved = Vec::with_capacity(ours.len() + others.len());
        while let Some(next) = ours.pop_front().or_else(|| others.pop_front()) {
            interleaved.push(next);
            interleaved.extend(others.pop_front());
        }
        Ok(interleaved)
    }

    /// Connects with this key pair instead of the client's own.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # let key = PublicKey::from([9; 32]);
    /// let relay = Relay::new("198.51.100.7:33445", key).identity(SecretKey::generate());
    /// ```
    pub fn identity(mut self, secret_key: SecretKey) -> Self {
        self.identity = Some(secret_key);
        self
    }

    /// Reaches this relay through this proxy instead of the client's.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # let key = PublicKey::from([9; 32]);
    /// let tor = "socks5://127.0.0.1:9050".parse()?;
    /// let relay = Relay::new("relayexample.onion:33445", key).proxy(tor);
    /// # Ok::<(), ProxyConfigError>(())
    /// ```
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = ProxyChoice::Through(Arc::new(proxy));
        self
    }

    /// Reaches this relay without a proxy, even if the client has one.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # let key = PublicKey::from([9; 32]);
    /// let relay = Relay::new("192.168.1.7:33445", key).direct();
    /// ```
    pub fn direct(mut self) -> Self {
        self.proxy = ProxyChoice::Direct;
        self
    }
}

/// So that [`connect`](crate::Client::connect) takes a relay by value or by reference.
impl From<&Self> for Relay {
    fn from(relay: &Self) -> Self {
        relay.clone()
    }
}

#[cfg(test)]
mod tests;
