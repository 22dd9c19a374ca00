//! The settings of a proxy.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::address::{Address, Kind};
use crate::error::ConnectError;

/// A proxy through which relays are reached: SOCKS5, SOCKS4, SOCKS4a or HTTP CONNECT.
///
/// A connection through a proxy never falls back to a direct one. The proxy's own address must be an IP address, since
/// this library does not resolve names. The proxy resolves the host names of relays, except SOCKS4, which cannot.
///
/// | kind | URL | address of a relay | authentication |
/// | --- | --- | --- | --- |
/// | SOCKS5 (RFC 1928) | `socks5://`, `socks5h://` | IPv4, IPv6, name | none; user name and password (RFC 1929) |
/// | SOCKS4 | `socks4://` | IPv4 | user id |
/// | SOCKS4a | `socks4a://` | IPv4, name | user id |
/// | HTTP CONNECT (RFC 9110) | `http://` | IPv4, IPv6, name | none; Basic (RFC 7617) |
///
/// In a URL, `/`, `?`, `#` and `%` in a user name or password and `:` in a user name must be percent-encoded, and a
/// user without a password is sent with an empty one. User names and passwords are sent unencrypted, as these protocols
/// define it. They are wiped when they are dropped, and appear in no error, log or `Debug` output. An IPv4-mapped IPv6
/// address (`::ffff:192.0.2.1`) is requested as IPv4; an IPv6 address with a scope is refused, since its interface is
/// one of this machine.
///
/// ```
/// use tox_relay_client::Proxy;
///
/// let built = Proxy::socks5("127.0.0.1:9050".parse()?).credentials("alice", "pa:ss")?;
/// let parsed: Proxy = "socks5://alice:pa%3Ass@127.0.0.1:9050".parse()?;
/// assert_eq!(built, parsed);
/// assert_eq!(format!("{parsed}"), "socks5://127.0.0.1:9050"); // credentials are never shown
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub(crate) address: SocketAddr,
    pub(crate) protocol: Protocol,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Protocol {
    Socks5(Option<Credentials>),
    /// `names` is `true` for SOCKS4a.
    Socks4 {
        user_id: Zeroizing<String>,
        names: bool,
    },
    Http(Option<Credentials>),
}

/// Wiped when dropped, like the keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: Zeroizing<String>,
    pub password: Zeroizing<String>,
}

/// Why something is not a [`Proxy`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyConfigError {
    /// The URL has no scheme, or an unknown one.
    #[error("the URL of a proxy begins with socks5://, socks5h://, socks4://, socks4a:// or http://")]
    Scheme,
    /// After the scheme and the credentials, an IP address and a port are missing.
    // The text is not shown: if the `@` is missing, it contains a password.
    #[error("the URL of a proxy needs an IP address and a port: names are not resolved")]
    Address,
    /// Something follows the port.
    #[error("the URL of a proxy ends after the port")]
    Path,
    /// There is a `/`, `?` or `#` in the user name or password: a URL ends its host part there.
    #[error("in a user name or password, percent-encode / as %2F, ? as %3F and # as %23")]
    Unencoded,
    /// A percent sign without two hexadecimal digits, or bytes that are not UTF-8.
    #[error("the percent-encoding of the user name or password in the URL of the proxy is invalid")]
    Encoding,
    /// A user name, password or user id is too long, or empty where it must not be.
    #[error("the {what} has {length} bytes; it can have {min} to 255")]
    Length {
        /// Which of them, in words.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The smallest length.
        min: usize,
    },
    /// A character that the protocol cannot carry: a zero byte in a user id; for HTTP a colon in a user name, or a
    /// control character.
    #[error("the {0} has a character that the protocol of this proxy cannot carry")]
    Character(&'static str),
    /// A password for SOCKS4, which only has a user id.
    #[error("SOCKS4 has a user id but no password")]
    NoPassword,
}

/// RFC 1929 has one byte for these lengths; the same limit holds for the other kinds of proxies.
const MAX_LEN: usize = 255;

impl Proxy {
    /// A SOCKS5 proxy without authentication.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// let tor = Proxy::socks5("127.0.0.1:9050".parse()?);
    /// assert_eq!(tor, "socks5://127.0.0.1:9050".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn socks5(address: SocketAddr) -> Self {
        Self::new(address, Protocol::Socks5(None))
    }

    /// A SOCKS4 proxy with an empty user id. It only connects to IPv4 addresses.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// let proxy = Proxy::socks4("192.0.2.1:1080".parse()?);
    /// assert_eq!(proxy, "socks4://192.0.2.1:1080".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn socks4(address: SocketAddr) -> Self {
        Self::new(address, Protocol::Socks4 { user_id: Zeroizing::default(), names: false })
    }

    /// A SOCKS4a proxy with an empty user id. It connects to IPv4 addresses and host names.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// let proxy = Proxy::socks4a("192.0.2.1:1080".parse()?);
    /// assert_eq!(proxy, "socks4a://192.0.2.1:1080".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn socks4a(address: SocketAddr) -> Self {
        Self::new(address, Protocol::Socks4 { user_id: Zeroizing::default(), names: true })
    }

    /// An HTTP proxy without authentication. It must allow CONNECT to the port of the relay.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// let proxy = Proxy::http("192.0.2.1:3128".parse()?);
    /// assert_eq!(proxy, "http://192.0.2.1:3128".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn http(address: SocketAddr) -> Self {
        Self::new(address, Protocol::Http(None))
    }

    /// An IPv4-mapped IPv6 address is used as the IPv4 address, so that IPv6 is not needed.
    fn new(address: SocketAddr, protocol: Protocol) -> Self {
        let canonical = SocketAddr::new(address.ip().to_canonical(), address.port());
        Self { address: if canonical.is_ipv4() { canonical } else { address }, protocol }
    }

    /// Offers a user name and a password, each up to 255 bytes. They are sent to the proxy unencrypted.
    ///
    /// An empty password is sent as such. (RFC 1929 does not allow this, but SOCKS5 proxies accept it, and a user name
    /// is enough to isolate streams in Tor.)
    ///
    /// # Errors
    ///
    /// One of them is too long or has a character that HTTP cannot carry, the user name for SOCKS5 is empty, or the
    /// proxy is SOCKS4.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// let proxy = Proxy::http("192.0.2.1:3128".parse()?).credentials("alice", "pass word")?;
    /// assert_eq!(proxy, "http://alice:pass%20word@192.0.2.1:3128".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn credentials(mut self, user: &str, password: &str) -> Result<Self, ProxyConfigError> {
        let min = usize::from(matches!(self.protocol, Protocol::Socks5(_)));
        check_len("user name", user, min)?;
        check_len("password", password, 0)?;
        let credentials = Credentials { user: user.to_owned().into(), password: password.to_owned().into() };
        match &mut self.protocol {
            Protocol::Socks5(offered) => *offered = Some(credentials),
            Protocol::Http(offered) => {
                if user.contains(|letter: char| letter == ':' || letter.is_control()) {
                    return Err(ProxyConfigError::Character("user name"));
                }
                if password.contains(char::is_control) {
                    return Err(ProxyConfigError::Character("password"));
                }
                *offered = Some(credentials);
            }
            Protocol::Socks4 { .. } => return Err(ProxyConfigError::NoPassword),
        }
        Ok(self)
    }

    /// Sets the user id of a SOCKS4 proxy: up to 255 bytes. For other proxies it is a user name with an empty password.
    ///
    /// # Errors
    ///
    /// It is too long or has a zero byte; for other proxies the errors of [`credentials`](Self::credentials).
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// let proxy = Proxy::socks4("192.0.2.1:1080".parse()?).user_id("alice")?;
    /// assert_eq!(proxy, "socks4://alice@192.0.2.1:1080".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn user_id(mut self, id: &str) -> Result<Self, ProxyConfigError> {
        let Protocol::Socks4 { user_id, .. } = &mut self.protocol else {
            return self.credentials(id, "");
        };
        check_len("user id", id, 0)?;
        if id.contains('\0') {
            return Err(ProxyConfigError::Character("user id"));
        }
        *user_id = id.to_owned().into();
        Ok(self)
    }

    /// The proxy's address.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// let proxy: Proxy = "socks5://alice@127.0.0.1:9050".parse()?;
    /// assert_eq!(proxy.address().port(), 9050);
    /// # Ok::<(), ProxyConfigError>(())
    /// ```
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether this kind of proxy can connect to this target.
    pub(crate) fn check(&self, target: &Address) -> Result<(), ConnectError> {
        let refuse = |target| Err(ConnectError::BeyondProxy { proxy: self.scheme(), target });
        match (&target.0, &self.protocol) {
            (Kind::Ip(SocketAddr::V6(_)), Protocol::Socks4 { .. }) => refuse("an IPv6 address"),
            // The scope is the number of a network interface of this machine; on the proxy's machine it means another
            // one.
            (Kind::Ip(SocketAddr::V6(ip)), _) if ip.scope_id() != 0 => refuse("an IPv6 address with a scope"),
            (Kind::Name(..), Protocol::Socks4 { names: false, .. }) => refuse("a host name"),
            _ => Ok(()),
        }
    }

    /// The kind of proxy, as in its URL: `socks5`, `socks4`, `socks4a` or `http`.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// let proxy: Proxy = "socks5h://127.0.0.1:9050".parse()?;
    /// assert_eq!(proxy.scheme(), "socks5");
    /// # Ok::<(), ProxyConfigError>(())
    /// ```
    pub fn scheme(&self) -> &'static str {
        match self.protocol {
            Protocol::Socks5(_) => "socks5",
            Protocol::Socks4 { names: false, .. } => "socks4",
            Protocol::Socks4 { names: true, .. } => "socks4a",
            Protocol::Http(_) => "http",
        }
    }
}

fn check_len(what: &'static str, text: &str, min: usize) -> Result<(), ProxyConfigError> {
    match text.len() {
        length if (min..=MAX_LEN).contains(&length) => Ok(()),
        length => Err(ProxyConfigError::Length { what, length, min }),
    }
}

/// Reads `scheme://[user[:password]@]address:port[/]`, with percent-encoding in user name and password.
impl FromStr for Proxy {
    type Err = ProxyConfigError;

    fn from_str(url: &str) -> Result<Self, ProxyConfigError> {
        let (scheme, rest) = url.split_once("://").ok_or(ProxyConfigError::Scheme)?;
        let constructor = match scheme.to_ascii_lowercase().as_str() {
            "socks5" | "socks5h" => Self::socks5,
            "socks4" => Self::socks4,
            "socks4a" => Self::socks4a,
            "http" => Self::http,
            _ => return Err(ProxyConfigError::Scheme),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user_info, address) = match authority.rsplit_once('@') {
            Some((user_info, address)) => (Some(user_info), address),
            None => (None, authority),
        };
        let address = address.parse().ok().filter(|address: &SocketAddr| address.port() != 0);
        let proxy = match (address, path) {
            (Some(address), "" | "/") => constructor(address),
            (Some(_), _) => return Err(ProxyConfigError::Path),
            // There is an `@` only after the `/`, `?` or `#`, so this is part of the user name or password.
            (None, path) if path.contains('@') => return Err(ProxyConfigError::Unencoded),
            (None, _) => return Err(ProxyConfigError::Address),
        };
        match user_info.map(|user_info| user_info.split_once(':').ok_or(user_info)) {
            None => Ok(proxy),
            Some(Ok((user, password))) => proxy.credentials(&decode(user)?, &decode(password)?),
            Some(Err(user)) => proxy.user_id(&decode(user)?),
        }
    }
}

fn decode(text: &str) -> Result<Zeroizing<String>, ProxyConfigError> {
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let bytes = text.as_bytes();
    let whole = |at: usize| is_digit(bytes.get(at + 1)) && is_digit(bytes.get(at + 2));
    if !text.match_indices('%').all(|(at, _)| whole(at)) {
        return Err(ProxyConfigError::Encoding);
    }
    // With its full capacity from the start: a vector that grows leaves copies in memory.
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    decoded.extend(percent_decode_str(text));
    match std::str::from_utf8(&decoded) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(ProxyConfigError::Encoding),
    }
}

/// The URL without credentials.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.address)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

#[cfg(test)]
mod tests;
