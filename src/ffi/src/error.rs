//! The errors of calls, as numbers that never change.

use std::ffi::{CStr, c_char};

/// Why a function has not done what it was asked to do. The numbers never change; later versions add others.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum trc_error {
    /// No error. `TRC_OK` is the same number.
    None = 0,
    /// A pointer is NULL that must not be.
    Null = 1,
    /// A text is not UTF-8.
    Utf8 = 2,
    /// Another call with the same handle has not returned: by another thread, or this one is made by the log callback.
    Busy = 3,
    /// A bug of this library ended an earlier call with this handle. The handle can only be freed.
    Panicked = 4,
    /// Not on this operating system.
    Unsupported = 5,
    /// A number is not one of those that the function takes.
    Argument = 6,
    /// The operating system returned an error: `trc_last_error` has its number and its text.
    Io = 7,
    /// An error that has no number of its own yet: `trc_last_error` has its text.
    Other = 8,
    /// What is to be recalled is not what `trc_pool_remember` has returned.
    Json = 9,
    /// No logger can be set: the program has another one already, in a part of it that is written in Rust.
    Logger = 10,
    /// A handle was freed, or is one of another type, or never was a handle of this library.
    Handle = 11,

    /// A send queue has at least 4,068 bytes.
    SendQueue = 20,
    /// A window has at least 16 KiB.
    Window = 21,
    /// The connect timeout is zero.
    ConnectTimeout = 22,
    /// The ping interval is zero.
    PingInterval = 23,
    /// The pong timeout is zero.
    PongTimeout = 24,

    /// 76 hexadecimal digits are a Tox ID, which has a person's long-term key. Relays know DHT keys.
    KeyToxId = 30,
    /// A key does not have 64 hexadecimal digits.
    KeyLength = 31,
    /// A character of a key is not a hexadecimal digit.
    KeyDigit = 32,

    /// The address has no host.
    AddressNoHost = 40,
    /// The address has no port.
    AddressNoPort = 41,
    /// The port is not a number from 1 to 65535.
    AddressPort = 42,
    /// An IPv6 address has no brackets, as in `[2001:db8::7]:33445`.
    AddressNoBrackets = 43,
    /// Not an IPv6 address in brackets and a port.
    AddressIpv6 = 44,
    /// The scope of an IPv6 address is not a number.
    AddressScope = 45,
    /// The host ends in a number, and is not an IPv4 address.
    AddressIpv4 = 46,
    /// A host and a port are expected, and not a URL.
    AddressUrl = 47,
    /// A character that a host name cannot have.
    AddressCharacter = 48,
    /// The host name has more than 255 bytes.
    AddressLength = 49,
    /// A part of the host name is empty.
    AddressEmptyLabel = 50,

    /// The URL of a proxy begins with socks5://, socks5h://, socks4://, socks4a:// or http://.
    ProxyScheme = 60,
    /// The URL of a proxy has no IP address and port.
    ProxyAddress = 61,
    /// Something follows the port in the URL of a proxy.
    ProxyPath = 62,
    /// There is a `/`, `?` or `#` in the user name or password: write it percent-encoded.
    ProxyUnencoded = 63,
    /// The percent-encoding in the URL of a proxy is not valid.
    ProxyEncoding = 64,
    /// A user name, password or user id for a proxy is too long, or empty.
    ProxyLength = 65,
    /// A user name, password or user id has a character that the proxy's protocol cannot carry.
    ProxyCharacter = 66,
    /// SOCKS4 has no password.
    ProxyNoPassword = 67,

    /// This kind of proxy cannot connect to this kind of address.
    BeyondProxy = 80,
    /// The address is a host name, and there is no proxy to resolve it. This library does not resolve names.
    NameWithoutProxy = 81,
    /// A relay has at most 16 addresses.
    TooManyAddresses = 82,
    /// The client has as many connections as it can have.
    TooManyConnections = 83,
    /// The relay's public key is of low order: no honest relay has such a key.
    LowOrderKey = 84,
    /// No relay has this public key, which is not below 2^255 - 19.
    NonCanonicalKey = 85,
    /// The relay's public key is our own.
    OwnKey = 86,
    /// Another connection shares the same key with its relay: the two could be connected to each other.
    SameSharedKey = 87,
    /// Another connection has the same identity and the same relay.
    AlreadyConnected = 88,

    /// The connection has ended, or there never was one with this id.
    UnknownConnection = 100,
    /// The route was closed or refused, or there never was one with this id.
    UnknownRoute = 101,
    /// There is already a route to this peer.
    RouteExists = 102,
    /// All 240 routes of the connection are in use.
    TooManyRoutes = 103,

    /// The send queue, or this route's share of it, is full. An event of the kind WRITABLE follows; in a pool
    /// RELAY_WRITABLE for packets that are not for a peer.
    WouldBlock = 110,
    /// The data are too short or too long for this kind of packet.
    Length = 111,
    /// The peer is offline on this route; or it is offline, and data for it go out of band, but these are longer than 1024
    /// bytes.
    RouteOffline = 112,

    /// A peer has told us about this relay, and its address is not one of the Internet.
    LocalAddress = 120,
    /// The peer has added 24 relays, or the user and lists 4096.
    TooManyRelays = 121,
    /// The peer was removed, or there never was one with this id.
    UnknownPeer = 122,
    /// The relay was removed, or there never was one with this id.
    UnknownRelay = 123,
    /// A peer is tied to at most 24 relays.
    TooManyTies = 124,
    /// No relay of the peer is connected, or not this relay.
    Unreachable = 125,
}

/// All numbers with their texts.
const TEXTS: &[(trc_error, &CStr)] = {
    use trc_error as E;
    &[
        (E::None, c"no error"),
        (E::Null, c"a pointer is NULL that must not be"),
        (E::Utf8, c"a text is not UTF-8"),
        (E::Busy, c"another call with the same handle has not returned"),
        (E::Panicked, c"a bug of the library ended an earlier call; the handle can only be freed"),
        (E::Unsupported, c"not on this operating system"),
        (E::Argument, c"a number is not one of those that the function takes"),
        (E::Io, c"an error of the operating system"),
        (E::Other, c"an error without a number of its own"),
        (E::Json, c"the text to recall is not what a pool has remembered"),
        (E::Logger, c"the program has another logger already"),
        (E::Handle, c"the handle was freed, or is one of another type, or none"),
        (E::SendQueue, c"a send queue has at least 4,068 bytes"),
        (E::Window, c"a window has at least 16 KiB"),
        (E::ConnectTimeout, c"the connect timeout cannot be zero"),
        (E::PingInterval, c"the ping interval cannot be zero"),
        (E::PongTimeout, c"the pong timeout cannot be zero"),
        (E::KeyToxId, c"a Tox ID is not the key of a relay or of a peer on a relay"),
        (E::KeyLength, c"a key has 64 hexadecimal digits"),
        (E::KeyDigit, c"a character of a key is not a hexadecimal digit"),
        (E::AddressNoHost, c"the address has no host"),
        (E::AddressNoPort, c"the address has no port"),
        (E::AddressPort, c"the port is not a number from 1 to 65535"),
        (E::AddressNoBrackets, c"an IPv6 address is written in brackets, as in [2001:db8::7]:33445"),
        (E::AddressIpv6, c"not an IPv6 address in brackets and a port, as in [2001:db8::7]:33445"),
        (E::AddressScope, c"the scope of an IPv6 address is the number of an interface"),
        (E::AddressIpv4, c"an IPv4 address has four numbers from 0 to 255"),
        (E::AddressUrl, c"a host and a port are expected, and not a URL"),
        (E::AddressCharacter, c"a character is not allowed in an address"),
        (E::AddressLength, c"a host name has at most 255 bytes"),
        (E::AddressEmptyLabel, c"a part of the host name is empty"),
        (
            E::ProxyScheme,
            c"the URL of a proxy begins with socks5://, socks5h://, socks4://, socks4a:// or http://",
        ),
        (E::ProxyAddress, c"the URL of a proxy needs an IP address and a port"),
        (E::ProxyPath, c"the URL of a proxy ends after the port"),
        (E::ProxyUnencoded, c"/, ? and # in credentials for a proxy are percent-encoded"),
        (E::ProxyEncoding, c"the percent-encoding of credentials for a proxy is invalid"),
        (E::ProxyLength, c"credentials for a proxy are too long, or empty"),
        (E::ProxyCharacter, c"credentials have a character that the protocol of the proxy cannot carry"),
        (E::ProxyNoPassword, c"SOCKS4 has a user id but no password"),
        (E::BeyondProxy, c"this kind of proxy cannot connect to this kind of address"),
        (E::NameWithoutProxy, c"a host name without a proxy that resolves it"),
        (E::TooManyAddresses, c"a relay has at most 16 addresses"),
        (E::TooManyConnections, c"the client has as many connections as it can have"),
        (E::LowOrderKey, c"the relay's public key is of low order"),
        (E::NonCanonicalKey, c"the relay's public key is not below 2^255 - 19"),
        (E::OwnKey, c"the relay's public key is our own"),
        (E::SameSharedKey, c"another connection shares the same key with its relay"),
        (E::AlreadyConnected, c"another connection has the same identity and the same relay"),
        (E::UnknownConnection, c"the relay connection has ended"),
        (E::UnknownRoute, c"the route was closed or refused"),
        (E::RouteExists, c"there is already a route to this peer"),
        (E::TooManyRoutes, c"all 240 routes of this relay connection are in use"),
        (E::WouldBlock, c"the send queue is full"),
        (E::Length, c"the data are too short or too long for this kind of packet"),
        (E::RouteOffline, c"the peer is offline on this route"),
        (E::LocalAddress, c"the address is not one of the Internet, and was learnt from a peer elsewhere"),
        (E::TooManyRelays, c"too many relays were learnt from there"),
        (E::UnknownPeer, c"the peer was removed"),
        (E::UnknownRelay, c"the relay was removed"),
        (E::TooManyTies, c"a peer is tied to at most 24 relays"),
        (E::Unreachable, c"no relay that could send it is connected"),
    ]
};

impl trc_error {
    pub(crate) fn text(self) -> &'static CStr {
        text(self as i32)
    }
}

fn text(number: i32) -> &'static CStr {
    let found = TEXTS.iter().find(|(error, _)| *error as i32 == number);
    found.map_or(c"not a number of an error", |(_, text)| text)
}

/// A short English text for the number of an error, without a full stop. Any number is accepted. Never NULL; it is
/// valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn trc_error_text(error: i32) -> *const c_char {
    text(error).as_ptr()
}
