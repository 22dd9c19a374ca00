//! The address of a relay, in the forms that a caller can give.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::str::FromStr;

/// The address of a relay: an IP address or a host name, and a port.
///
/// It can be created from text, from a host and a port, and from the address types of the standard library and of the
/// crate `socks`:
///
/// | from | example |
/// | --- | --- |
/// | text (`&str`, `String`, `&String`) | `"198.51.100.7:33445"`, `"[2001:db8::7]:33445"`, `"relay.example:33445"` |
/// | a host as text, and a port | `("198.51.100.7", 33445)`, `("2001:db8::7", 33445)`, `("relay.example", 33445)` |
/// | an IP address and a port | `SocketAddr`, `SocketAddrV4`, `SocketAddrV6` |
/// | a tuple of both | `(IpAddr, u16)`, `(Ipv4Addr, u16)`, `(Ipv6Addr, u16)` |
/// | an address of the crate `socks` | [`TargetAddr`](crate::socks::TargetAddr) |
///
/// Ambiguous text is an [`AddressError`] that says what is expected: for example an IPv6 address without brackets,
/// whose last group could be a port, or numbers that are not an IPv4 address. An IPv4-mapped IPv6 address
/// (`::ffff:198.51.100.7`) is converted to the IPv4 address.
///
/// ```
/// use tox_relay_client::{Address, AddressError};
///
/// let address: Address = "[2001:db8::7]:33445".parse()?;
/// assert_eq!(address, Address::try_from(("2001:db8::7", 33445))?);
/// assert_eq!(address.to_string(), "[2001:db8::7]:33445");
/// assert_eq!("2001:db8::7:33445".parse::<Address>(), Err(AddressError::NoBrackets));
/// assert_eq!("256.1.1.1:33445".parse::<Address>(), Err(AddressError::Ipv4));
/// # Ok::<(), AddressError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address(pub(crate) Kind);

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Never an IPv4-mapped IPv6 address.
    Ip(SocketAddr),
    /// At most 255 letters, digits, dots, hyphens and underscores, so that a request to any proxy can contain it
    /// unchanged.
    Name(Box<str>, u16),
}

/// Why something is not an [`Address`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// There is no host.
    #[error("there is no host: {EXPECTED}")]
    NoHost,
    /// There is no port. Tox relays have no default one.
    #[error("there is no port: {EXPECTED}")]
    NoPort,
    /// What follows the last colon is not a port, or the port is 0.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// There are several colons and no brackets: the last group of an IPv6 address might be the port.
    #[error("there are several colons: write an IPv6 address in brackets, as in [2001:db8::7]:33445")]
    NoBrackets,
    /// The text in brackets, or a host with a colon that is given apart from its port, is not an IPv6 address; or
    /// something other than a port follows the brackets.
    #[error("an IPv6 address in brackets and a port are expected, as in [2001:db8::7]:33445")]
    Ipv6,
    /// The scope of an IPv6 address is not a number. (Names of interfaces are not supported.)
    #[error("the scope of an IPv6 address is the number of an interface, as in [fe80::7%2]:33445")]
    Scope,
    /// The host ends in a number, as no host name does, and is not an IPv4 address.
    #[error("an IPv4 address has four numbers from 0 to 255, as in 198.51.100.7")]
    Ipv4,
    /// It is a URL, or has a path.
    #[error("a host and a port are expected, and not a URL: {EXPECTED}")]
    Url,
    /// A character that a host name cannot have. (An international name has a form in ASCII that begins with `xn--`.)
    #[error(
        "{0:?} is not allowed in an address: a host name has ASCII letters, digits, dots, hyphens and underscores"
    )]
    Character(char),
    /// The host name has more than 255 bytes. SOCKS5 cannot carry longer ones.
    #[error("a host name has at most 255 bytes, not {0}")]
    Length(usize),
    /// The host name begins with a dot, or has two dots in a row.
    #[error("a part of the host name is empty")]
    EmptyLabel,
}

const EXPECTED: &str = "198.51.100.7:33445, [2001:db8::7]:33445 or relay.example:33445 is expected";

/// The longest host name. A SOCKS5 request has one byte for its length.
const MAX_NAME: usize = 255;

impl Address {
    /// The IP address and port; `None` for a host name.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self.0 {
            Kind::Ip(address) => Some(address),
            Kind::Name(..) => None,
        }
    }

    /// The host name, which only a proxy can resolve; `None` for an IP address.
    pub fn host_name(&self) -> Option<&str> {
        match &self.0 {
            Kind::Ip(_) => None,
            Kind::Name(name, _) => Some(name),
        }
    }

    /// The port; never 0.
    pub fn port(&self) -> u16 {
        match &self.0 {
            Kind::Ip(address) => address.port(),
            Kind::Name(_, port) => *port,
        }
    }

    fn new(host: Host, port: u16) -> Result<Self, AddressError> {
        match (host, port) {
            (_, 0) => Err(AddressError::Port),
            (Host::Ip(ip), _) => SocketAddr::new(ip, port).try_into(),
            (Host::Scoped(ip, scope), _) => SocketAddrV6::new(ip, port, 0, scope).try_into(),
            (Host::Name(name), _) => Ok(Self(Kind::Name(name, port))),
        }
    }
}

/// `IPv4:port`, `[IPv6]:port` or `name:port`.
impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.contains('/') {
            return Err(AddressError::Url);
        }
        if let Some(bracketed) = text.strip_prefix('[') {
            let (ip, rest) = bracketed.split_once(']').ok_or(AddressError::Ipv6)?;
            let host = ipv6(ip)?;
            return match rest.strip_prefix(':') {
                Some(port) => Self::new(host, self::port(port)?),
                None if rest.is_empty() => Err(AddressError::NoPort),
                None => Err(AddressError::Ipv6),
            };
        }
        let (host, port) = match text.split_once(':') {
            Some((_, rest)) if rest.contains(':') => return Err(AddressError::NoBrackets),
            Some((host, port)) => (ipv4_or_name(host)?, port),
            None => return ipv4_or_name(text).and(Err(AddressError::NoPort)),
        };
        Self::new(host, self::port(port)?)
    }
}

enum Host {
    Ip(IpAddr),
    Scoped(Ipv6Addr, u32),
    Name(Box<str>),
}

fn port(text: &str) -> Result<u16, AddressError> {
    // `parse` would also accept a sign.
    let is_number = text.bytes().all(|digit| digit.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port != 0).ok_or(AddressError::Port)
}

fn ipv6(text: &str) -> Result<Host, AddressError> {
    let (ip, scope) = text.split_once('%').map_or((text, None), |(ip, scope)| (ip, Some(scope)));
    let ip: Ipv6Addr = ip.parse().map_err(|_| AddressError::Ipv6)?;
    match scope {
        None => Ok(Host::Ip(ip.into())),
        Some(scope) if scope.starts_with('+') => Err(AddressError::Scope),
        Some(scope) => Ok(Host::Scoped(ip, scope.parse().map_err(|_| AddressError::Scope)?)),
    }
}

fn ipv4_or_name(text: &str) -> Result<Host, AddressError> {
    let in_names = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
    if text.is_empty() {
        return Err(AddressError::NoHost);
    }
    if let Ok(ip) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Ip(ip.into()));
    }
    if let Some(strange) = text.chars().find(|letter| !in_names(*letter)) {
        return Err(AddressError::Character(strange));
    }
    if text.len() > MAX_NAME {
        return Err(AddressError::Length(text.len()));
    }
    let labels = text.strip_suffix('.').unwrap_or(text);
    if labels.split('.').any(str::is_empty) {
        return Err(AddressError::EmptyLabel);
    }
    if labels.rsplit('.').next().is_some_and(is_number) {
        return Err(AddressError::Ipv4);
    }
    Ok(Host::Name(text.into()))
}

/// Whether resolvers take this for a number, and with it the whole host for an IPv4 address: decimal, octal or, after
/// `0x`, hexadecimal. A proxy would then connect to an address instead of a name.
fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or(label.strip_prefix("0X"));
    label.bytes().all(|digit| digit.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// With brackets around IPv6; reads back as the same address.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Ip(address) => write!(f, "{address}"),
            Kind::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl From<&Self> for Address {
    fn from(address: &Self) -> Self {
        address.clone()
    }
}

impl TryFrom<SocketAddr> for Address {
    type Error = AddressError;

    fn try_from(address: SocketAddr) -> Result<Self, AddressError> {
        if address.port() == 0 {
            return Err(AddressError::Port);
        }
        // An IPv6 address keeps its scope. Its flow label is removed, since the written form has none.
        let canonical = match (address.ip().to_canonical(), address) {
            (IpAddr::V6(ip), SocketAddr::V6(address)) => {
                SocketAddrV6::new(ip, address.port(), 0, address.scope_id()).into()
            }
            (ip, _) => SocketAddr::new(ip, address.port()),
        };
        Ok(Self(Kind::Ip(canonical)))
    }
}

macro_rules! by_socket_addr {
    ($($kind:ty),*) => {
        $(impl TryFrom<$kind> for Address {
            type Error = AddressError;

            fn try_from(address: $kind) -> Result<Self, AddressError> {
                SocketAddr::from(address).try_into()
            }
        })*
    };
}

by_socket_addr!(SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));

/// The host is an IP address, IPv6 with brackets or without, or a name.
impl TryFrom<(&str, u16)> for Address {
    type Error = AddressError;

    fn try_from((host, port): (&str, u16)) -> Result<Self, AddressError> {
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let host = match bracketed {
            Some(ip) => ipv6(ip)?,
            None if host.contains('/') => return Err(AddressError::Url),
            None if host.contains(':') => ipv6(host)?,
            None => ipv4_or_name(host)?,
        };
        Self::new(host, port)
    }
}

macro_rules! by_host_and_port {
    ($($text:ty),*) => {
        $(impl TryFrom<($text, u16)> for Address {
            type Error = AddressError;

            fn try_from((host, port): ($text, u16)) -> Result<Self, AddressError> {
                (host.as_str(), port).try_into()
            }
        })*
    };
}

by_host_and_port!(String, &String);

impl TryFrom<&str> for Address {
    type Error = AddressError;

    fn try_from(text: &str) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl TryFrom<&String> for Address {
    type Error = AddressError;

    fn try_from(text: &String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

/// Never used: converting an [`Address`] into itself cannot fail.
impl From<Infallible> for AddressError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests;
