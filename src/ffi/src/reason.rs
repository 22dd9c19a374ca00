//! Why connections end, as numbers that never change.

use std::ffi::{CStr, c_char};

use tox_relay_client::{DisconnectReason, Impostor, ProxyError, Violation};

use crate::advice::{trc_fault, trc_hint, trc_party, trc_retry, trc_stage};
use crate::text::{TRC_TEXT_SIZE, fixed};

/// Why a connection has ended. The numbers never change; later versions add others.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum trc_reason {
    /// It has not ended; or a reason that has no number of its own yet.
    Other = 0,
    /// The caller has ended it; or the pool, since the relay was of no use.
    ClosedByCaller = 1,
    /// Nothing listens at the address of the relay, or of its proxy.
    Refused = 2,
    /// The connect timeout has passed.
    TimedOut = 3,
    /// A ping was not answered in time.
    NoPong = 4,
    /// The other side closed the connection.
    Closed = 5,
    /// The network or the operating system ended it: a reset, an unreachable host. `code` is the system's number.
    Transport = 6,
    /// 32 pongs are queued and the relay sent one more ping.
    PingFlood = 7,

    /// The proxy gave a reason that has no number of its own yet.
    ProxyOther = 20,
    /// The proxy requires a method of authentication that was not offered.
    ProxyNoAcceptableMethod = 21,
    /// The proxy rejected the user name or the password.
    ProxyCredentials = 22,
    /// `code` is the SOCKS5 reply.
    ProxySocks5 = 23,
    /// `code` is the SOCKS4 reply.
    ProxySocks4 = 24,
    /// `code` is the HTTP status.
    ProxyHttp = 25,
    /// HTTP status 407: it requires credentials, or other ones.
    ProxyUnauthorized = 26,
    /// It uses another protocol: `code` is the first byte of its answer.
    ProxyProtocol = 27,
    /// Its answer is not valid.
    ProxyMalformed = 28,

    /// The server is not the relay, for a reason that has no number of its own yet.
    ImpostorOther = 40,
    /// Its handshake response was not encrypted with the relay's key.
    ImpostorWrongKey = 41,
    /// Another kind of server answers: the text names it.
    ImpostorOtherServer = 42,
    /// It sent our own bytes back.
    ImpostorReflection = 43,
    /// Its temporary key is of low order.
    ImpostorLowOrderKey = 44,
    /// Its temporary key is not below 2^255 - 19.
    ImpostorNonCanonicalKey = 45,
    /// Its handshake response is a replay of an old one.
    ImpostorReplay = 46,

    /// The relay broke the protocol in a way that has no number of its own yet.
    ViolationOther = 60,
    /// A packet of a length that is not valid: `code`.
    ViolationPacketLength = 61,
    /// A packet cannot be decrypted.
    ViolationForged = 62,
    /// A packet of a kind that no relay sends: `code`.
    ViolationKind = 63,
    /// A packet of the kind `code` with a length that is not valid for it.
    ViolationLength = 64,
    /// A packet of the kind `code` with a route number below 16.
    ViolationRouteNumber = 65,
    /// A ping or pong with the id 0.
    ViolationPingId = 66,
    /// A routing response for a peer without a pending request.
    ViolationUnsolicitedResponse = 67,
    /// A routing response with a number that another route has: `code`.
    ViolationRouteNumberInUse = 68,
}

/// The end of a connection, or of an attempt to reach a relay at one of its addresses.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct trc_end {
    /// Why it ended.
    pub reason: trc_reason,
    /// The stage in which it ended.
    pub stage: trc_stage,
    /// Who was at the other end, in REFUSED, TIMED_OUT, CLOSED and TRANSPORT; otherwise UNKNOWN.
    pub party: trc_party,
    /// The probable cause, in TIMED_OUT, CLOSED and TRANSPORT.
    pub hint: trc_hint,
    /// Who most probably caused it.
    pub fault: trc_fault,
    /// Whether another try may help.
    pub retry: trc_retry,
    /// A number that belongs to the reason, described there; otherwise 0.
    pub code: i32,
    /// All of this as an English text, for people.
    pub text: [c_char; TRC_TEXT_SIZE],
}

impl From<DisconnectReason> for trc_end {
    fn from(reason: DisconnectReason) -> Self {
        let (party, hint) = match reason {
            DisconnectReason::Refused(party) => (party.into(), None),
            DisconnectReason::TimedOut { party, hint, .. }
            | DisconnectReason::Closed { party, hint, .. }
            | DisconnectReason::Transport { party, hint, .. } => (party.into(), hint),
            _ => (trc_party::Unknown, None),
        };
        let (number, code) = number(reason);
        Self {
            reason: number,
            stage: reason.stage().into(),
            party,
            hint: trc_hint::from(hint),
            fault: reason.fault().into(),
            retry: reason.retry().into(),
            code,
            text: fixed(&reason),
        }
    }
}

/// The number of a reason, and the code that belongs to it.
fn number(reason: DisconnectReason) -> (trc_reason, i32) {
    match reason {
        DisconnectReason::ClosedByCaller => (trc_reason::ClosedByCaller, 0),
        DisconnectReason::Refused(_) => (trc_reason::Refused, 0),
        DisconnectReason::TimedOut { .. } => (trc_reason::TimedOut, 0),
        DisconnectReason::NoPong(_) => (trc_reason::NoPong, 0),
        DisconnectReason::Closed { .. } => (trc_reason::Closed, 0),
        DisconnectReason::Transport { code, .. } => (trc_reason::Transport, code.unwrap_or_default()),
        DisconnectReason::PingFlood => (trc_reason::PingFlood, 0),
        DisconnectReason::Proxy(error) => of_proxy(error),
        DisconnectReason::Impostor(impostor) => (of_impostor(impostor), 0),
        DisconnectReason::Protocol(violation) => of_violation(violation),
        _ => (trc_reason::Other, 0),
    }
}

fn of_proxy(error: ProxyError) -> (trc_reason, i32) {
    match error {
        ProxyError::NoAcceptableMethod => (trc_reason::ProxyNoAcceptableMethod, 0),
        ProxyError::Credentials => (trc_reason::ProxyCredentials, 0),
        ProxyError::Socks5 { code } => (trc_reason::ProxySocks5, code.into()),
        ProxyError::Socks4 { code } => (trc_reason::ProxySocks4, code.into()),
        ProxyError::Http { status, .. } => (trc_reason::ProxyHttp, status.into()),
        ProxyError::Unauthorized { .. } => (trc_reason::ProxyUnauthorized, 407),
        ProxyError::Protocol { first, .. } => (trc_reason::ProxyProtocol, first.into()),
        ProxyError::Malformed(_) => (trc_reason::ProxyMalformed, 0),
        _ => (trc_reason::ProxyOther, 0),
    }
}

fn of_impostor(impostor: Impostor) -> trc_reason {
    match impostor {
        Impostor::WrongKey => trc_reason::ImpostorWrongKey,
        Impostor::OtherServer(_) => trc_reason::ImpostorOtherServer,
        Impostor::Reflection => trc_reason::ImpostorReflection,
        Impostor::LowOrderKey => trc_reason::ImpostorLowOrderKey,
        Impostor::NonCanonicalKey => trc_reason::ImpostorNonCanonicalKey,
        Impostor::Replay => trc_reason::ImpostorReplay,
        _ => trc_reason::ImpostorOther,
    }
}

fn of_violation(violation: Violation) -> (trc_reason, i32) {
    match violation {
        Violation::PacketLength(length) => (trc_reason::ViolationPacketLength, length.into()),
        Violation::Forged => (trc_reason::ViolationForged, 0),
        Violation::Kind(kind) => (trc_reason::ViolationKind, kind.into()),
        Violation::Length { kind, .. } => (trc_reason::ViolationLength, kind.into()),
        Violation::RouteNumber { kind, .. } => (trc_reason::ViolationRouteNumber, kind.into()),
        Violation::PingId => (trc_reason::ViolationPingId, 0),
        Violation::UnsolicitedResponse => (trc_reason::ViolationUnsolicitedResponse, 0),
        Violation::RouteNumberInUse(number) => (trc_reason::ViolationRouteNumberInUse, number.into()),
        _ => (trc_reason::ViolationOther, 0),
    }
}

/// All numbers with their texts.
const TEXTS: &[(trc_reason, &CStr)] = {
    use trc_reason as R;
    &[
        (R::Other, c"it has not ended, or for a reason without a number of its own"),
        (R::ClosedByCaller, c"closed by the caller"),
        (R::Refused, c"nothing listens at the address"),
        (R::TimedOut, c"no answer in time"),
        (R::NoPong, c"no ping was answered in time"),
        (R::Closed, c"closed by the other side"),
        (R::Transport, c"an error of the network"),
        (R::PingFlood, c"the relay sends pings and does not read the answers"),
        (R::ProxyOther, c"the proxy made no tunnel to the relay"),
        (R::ProxyNoAcceptableMethod, c"the proxy requires a method of authentication that was not offered"),
        (R::ProxyCredentials, c"the proxy rejected the user name or the password"),
        (R::ProxySocks5, c"the SOCKS5 proxy made no tunnel to the relay"),
        (R::ProxySocks4, c"the SOCKS4 proxy made no tunnel to the relay"),
        (R::ProxyHttp, c"the HTTP proxy made no tunnel to the relay"),
        (R::ProxyUnauthorized, c"the HTTP proxy requires credentials, or other ones"),
        (R::ProxyProtocol, c"the proxy uses another protocol"),
        (R::ProxyMalformed, c"the proxy's answer is malformed"),
        (R::ImpostorOther, c"not the requested relay"),
        (R::ImpostorWrongKey, c"the relay has another key"),
        (R::ImpostorOtherServer, c"another kind of server answers"),
        (R::ImpostorReflection, c"a server sent our own bytes back"),
        (R::ImpostorLowOrderKey, c"a server sent a key of low order"),
        (R::ImpostorNonCanonicalKey, c"a server sent a key that is not below 2^255 - 19"),
        (R::ImpostorReplay, c"a server replayed an old handshake response"),
        (R::ViolationOther, c"the relay broke the protocol"),
        (R::ViolationPacketLength, c"the relay sent a packet of a wrong length"),
        (R::ViolationForged, c"the relay sent a packet that cannot be decrypted"),
        (R::ViolationKind, c"the relay sent a packet of a kind that no relay sends"),
        (R::ViolationLength, c"the relay sent a packet of a length that is wrong for its kind"),
        (R::ViolationRouteNumber, c"the relay sent a packet with a route number below 16"),
        (R::ViolationPingId, c"the relay sent a ping id of 0"),
        (R::ViolationUnsolicitedResponse, c"the relay sent a routing response that answers no request"),
        (R::ViolationRouteNumberInUse, c"the relay sent a routing response with the number of another route"),
    ]
};

/// A short English text for a `trc_reason`, without a full stop: the text in `trc_end` says more. Any number is
/// accepted. Never NULL; it is valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn trc_reason_text(reason: i32) -> *const c_char {
    let found = TEXTS.iter().find(|(known, _)| *known as i32 == reason);
    found.map_or(c"not a number of a reason", |(_, text)| text).as_ptr()
}
