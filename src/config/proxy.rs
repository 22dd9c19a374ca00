//! Proxies, as a caller describes them.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::address::{Address, Kind};
use crate::error::ConnectError;

/// A proxy through which relays are reached: SOCKS5, SOCKS4, SOCKS4a or HTTP CONNECT.
///
/// A connection that is told to use a proxy never goes around it. The proxy's own address is an IP address, since this
/// library asks no resolver; host names of relays are resolved by the proxy, which SOCKS4 alone can't.
///
/// | kind | URL | relays by | authentication |
/// | --- | --- | --- | --- |
/// | SOCKS5 (RFC 1928) | `socks5://`, `socks5h://` | IPv4, IPv6, name | none; user name and password (RFC 1929) |
/// | SOCKS4 | `socks4://` | IPv4 | user id |
/// | SOCKS4a | `socks4a://` | IPv4, name | user id |
/// | HTTP CONNECT (RFC 9110) | `http://` | IPv4, IPv6, name | none; Basic (RFC 7617) |
///
/// ```
/// use tox_relay_client::Proxy;
///
/// let by_hand = Proxy::socks5("127.0.0.1:9050".parse()?).credentials("alice", "pa:ss")?;
/// let by_url: Proxy = "socks5://alice:pa%3Ass@127.0.0.1:9050".parse()?;
/// assert_eq!(by_hand, by_url);
/// assert_eq!(format!("{by_url}"), "socks5://127.0.0.1:9050"); // credentials are never shown
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
    /// `names` is whether it is 4a.
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
    /// The URL has no scheme, or none that is known.
    #[error("a proxy's URL begins with socks5://, socks5h://, socks4://, socks4a:// or http://")]
    Scheme,
    /// Behind the scheme and the credentials comes no IP address and port.
    // Without the text: where an @ was forgotten, it is a password.
    #[error("a proxy's URL needs an IP address and a port: no resolver is asked")]
    Address,
    /// Something follows the port.
    #[error("nothing can follow the port in a proxy's URL")]
    Path,
    /// A `/`, `?` or `#` in the user name or password, where it ends what a URL's host is read from.
    #[error("in a user name or password, percent-encode / as %2F, ? as %3F and # as %23")]
    Unencoded,
    /// A percent sign without two hexadecimal digits, or bytes that are no UTF-8.
    #[error("the user name or password in the proxy's URL is badly percent-encoded")]
    Encoding,
    /// A user name, password or user id that is too long, or empty where it can't be.
    #[error("the {what} has {length} bytes; {min} to 255 are possible")]
    Length {
        /// What it is, in words.
        what: &'static str,
        /// The bytes that it has.
        length: usize,
        /// The least that it can have.
        min: usize,
    },
    /// A character that the protocol can't carry: a zero byte in a user id, a colon in a user name or a control
    /// character for HTTP.
    #[error("the {0} has a character that this kind of proxy can't be told")]
    Character(&'static str),
    /// A password for SOCKS4, which knows a user id alone.
    #[error("SOCKS4 knows a user id and no password")]
    NoPassword,
}

/// RFC 1929 has one byte for these lengths; the others follow it.
const MAX_LEN: usize = 255;

impl Proxy {
    /// A SOCKS5 proxy without authentication.
    pub fn socks5(address: SocketAddr) -> Self {
        Self::new(address, Protocol::Socks5(None))
    }

    /// A SOCKS4 proxy with an empty user id. It reaches relays by IPv4 address and by nothing else.
    pub fn socks4(address: SocketAddr) -> Self {
        Self::new(address, Protocol::Socks4 { user_id: Zeroizing::default(), names: false })
    }

    /// A SOCKS4a proxy with an empty user id. It reaches relays by IPv4 address or name.
    pub fn socks4a(address: SocketAddr) -> Self {
        Self::new(address, Protocol::Socks4 { user_id: Zeroizing::default(), names: true })
    }

    /// An HTTP proxy without authentication, which must allow CONNECT to the relay's port.
    pub fn http(address: SocketAddr) -> Self {
        Self::new(address, Protocol::Http(None))
    }

    /// An IPv4 address that is mapped to IPv6 is the IPv4 address, and needs no IPv6.
    fn new(address: SocketAddr, protocol: Protocol) -> Self {
        let canonical = SocketAddr::new(address.ip().to_canonical(), address.port());
        Self { address: if canonical.is_ipv4() { canonical } else { address }, protocol }
    }

    /// Offers a user name and password, each up to 255 bytes. They are sent to the proxy as they are: SOCKS5 and HTTP
    /// encrypt nothing.
    ///
    /// An empty password is sent as such. (RFC 1929 has none for SOCKS5, but proxies take it, and Tor separates streams by
    /// the user name alone.)
    ///
    /// # Errors
    ///
    /// One is too long, or the user name for SOCKS5 is empty; one has a character that HTTP can't carry, or the proxy is
    /// SOCKS4.
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

    /// Tells a SOCKS4 proxy a user id of up to 255 bytes. For the others it is a user name with an empty password.
    ///
    /// # Errors
    ///
    /// It is too long or has a zero byte, and those of [`credentials`](Self::credentials).
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
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the proxy can be asked for this target.
    pub(crate) fn check(&self, target: &Address) -> Result<(), ConnectError> {
        let refuse = |target| Err(ConnectError::BeyondProxy { proxy: self.scheme(), target });
        match (&target.0, &self.protocol) {
            (Kind::Ip(SocketAddr::V6(_)), Protocol::Socks4 { .. }) => refuse("an IPv6 address"),
            // The number of an interface of this machine, which is another one there.
            (Kind::Ip(SocketAddr::V6(ip)), _) if ip.scope_id() != 0 => refuse("an IPv6 address with a scope"),
            (Kind::Name(..), Protocol::Socks4 { names: false, .. }) => refuse("a host name"),
            _ => Ok(()),
        }
    }

    fn scheme(&self) -> &'static str {
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
        let make = match scheme.to_ascii_lowercase().as_str() {
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
            (Some(address), "" | "/") => make(address),
            (Some(_), _) => return Err(ProxyConfigError::Path),
            // The URL goes on with what looks like the rest of a password.
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
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(Zeroizing::new(text.into_owned())),
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
