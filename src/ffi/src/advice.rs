//! Who caused an error, in which stage, and whether another try may help.

use std::ffi::{CStr, c_char};

use tox_relay_client::{Fault, Hint, Party, Retry, RouteState, Stage};

/// Who most probably caused the end of a connection, or an error.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum trc_fault {
    /// Not known.
    Unknown = 0,
    /// The program or its settings: an address, a key, credentials.
    Caller = 1,
    /// The network between the two, or the operating system.
    Network = 2,
    /// The proxy.
    Proxy = 3,
    /// The relay, or another server that answers at its address.
    Relay = 4,
}

/// Whether another try may help.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum trc_retry {
    /// Not known; or the caller has ended the connection.
    Unknown = 0,
    /// Try again, after a pause that grows with each attempt from a second to some minutes. Only a connection that has
    /// lasted for a while resets the pause.
    Soon = 1,
    /// Try again once an hour or less often.
    Seldom = 2,
    /// Another try does not help until a person has changed something: show the error to the user.
    Ask = 3,
}

/// How far a connection has progressed: a later stage is greater.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum trc_stage {
    /// There is no connection with this id; or the caller has ended it, in whatever stage.
    None = 0,
    /// Connecting by TCP to the relay or to its proxy.
    Connecting = 1,
    /// The proxy is connected; it has not yet opened the tunnel to the relay.
    Tunnelling = 2,
    /// There is a TCP connection or a tunnel to the relay; the handshake response has not arrived.
    Handshaking = 3,
    /// The handshake response has arrived. It may be a replay of an old one until the first packet proves that it is
    /// not.
    Confirming = 4,
    /// The relay has proved that it holds its secret key.
    Connected = 5,
    /// A stage that has no number of its own yet.
    Other = 6,
}

/// What is at the other end of a connection.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum trc_party {
    /// Not known, or of no importance for the reason.
    Unknown = 0,
    /// The relay itself, without a proxy.
    Relay = 1,
    /// The proxy, before its tunnel is open.
    Proxy = 2,
    /// The relay or the proxy: through a tunnel, the client cannot distinguish them.
    Tunnel = 3,
}

/// The probable cause of the end of a connection, if what was observed suggests one.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum trc_hint {
    /// There is none.
    None = 0,
    /// The relay may have another public key.
    OtherKey = 1,
    /// The proxy may not have reached the relay.
    NotReached = 2,
    /// One of these two.
    NotReachedOrOtherKey = 3,
    /// Only a part of the handshake response had arrived.
    Incomplete = 4,
    /// The relay may have stopped, or a newer connection with the same key has replaced this one.
    SameKey = 5,
    /// A hint that has no number of its own yet.
    Other = 6,
}

/// The state of a route.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum trc_route_state {
    /// A state that has no number of its own yet.
    Other = 0,
    /// The route was opened, and the relay has not answered its request yet.
    Requested = 1,
    /// The relay has registered the route; the peer is not connected, or has no route to us.
    Offline = 2,
    /// The peer is connected and has a route to us: data can be sent.
    Online = 3,
}

impl From<Fault> for trc_fault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Caller => Self::Caller,
            Fault::Network => Self::Network,
            Fault::Proxy => Self::Proxy,
            Fault::Relay => Self::Relay,
            _ => Self::Unknown,
        }
    }
}

impl From<Option<Retry>> for trc_retry {
    fn from(retry: Option<Retry>) -> Self {
        match retry {
            Some(Retry::Soon) => Self::Soon,
            Some(Retry::Seldom) => Self::Seldom,
            Some(Retry::Ask) => Self::Ask,
            _ => Self::Unknown,
        }
    }
}

impl From<Option<Stage>> for trc_stage {
    fn from(stage: Option<Stage>) -> Self {
        match stage {
            None => Self::None,
            Some(Stage::Connecting) => Self::Connecting,
            Some(Stage::Tunnelling) => Self::Tunnelling,
            Some(Stage::Handshaking) => Self::Handshaking,
            Some(Stage::Confirming) => Self::Confirming,
            Some(Stage::Connected) => Self::Connected,
            Some(_) => Self::Other,
        }
    }
}

impl From<Party> for trc_party {
    fn from(party: Party) -> Self {
        match party {
            Party::Relay => Self::Relay,
            Party::Proxy => Self::Proxy,
            Party::Tunnel => Self::Tunnel,
            _ => Self::Unknown,
        }
    }
}

impl From<Option<Hint>> for trc_hint {
    fn from(hint: Option<Hint>) -> Self {
        match hint {
            None => Self::None,
            Some(Hint::OtherKey) => Self::OtherKey,
            Some(Hint::NotReached) => Self::NotReached,
            Some(Hint::NotReachedOrOtherKey) => Self::NotReachedOrOtherKey,
            Some(Hint::Incomplete(_)) => Self::Incomplete,
            Some(Hint::SameKey) => Self::SameKey,
            Some(_) => Self::Other,
        }
    }
}

impl From<RouteState> for trc_route_state {
    fn from(state: RouteState) -> Self {
        match state {
            RouteState::Requested => Self::Requested,
            RouteState::Offline => Self::Offline,
            RouteState::Online => Self::Online,
            _ => Self::Other,
        }
    }
}

/// One word for a `trc_stage`, as in statistics. Any number is accepted. Never NULL; it is valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn trc_stage_text(stage: i32) -> *const c_char {
    const TEXTS: [&CStr; 6] =
        [c"none", c"connecting", c"tunnelling", c"handshake", c"confirming", c"connected"];
    by_number(&TEXTS, stage)
}

/// One word for a `trc_fault`: caller, network, proxy or relay. Any number is accepted. Never NULL; it is valid for
/// ever.
#[unsafe(no_mangle)]
pub extern "C" fn trc_fault_text(fault: i32) -> *const c_char {
    by_number(&[c"unknown", c"caller", c"network", c"proxy", c"relay"], fault)
}

/// One word for a `trc_retry`: soon, seldom or ask. Any number is accepted. Never NULL; it is valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn trc_retry_text(retry: i32) -> *const c_char {
    by_number(&[c"unknown", c"soon", c"seldom", c"ask"], retry)
}

/// One word for a `trc_route_state`: requested, offline or online. Any number is accepted. Never NULL; it is valid for
/// ever.
#[unsafe(no_mangle)]
pub extern "C" fn trc_route_state_text(state: i32) -> *const c_char {
    by_number(&[c"other", c"requested", c"offline", c"online"], state)
}

fn by_number(texts: &[&'static CStr], number: i32) -> *const c_char {
    let text = usize::try_from(number).ok().and_then(|number| texts.get(number));
    text.unwrap_or(&c"other").as_ptr()
}
