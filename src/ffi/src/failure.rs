//! What an exported function returns if it has not done what it was asked to do, and the details of it.

use std::cell::RefCell;
use std::ffi::c_char;
use std::io;

use tox_relay_client::pool::{AddRelayError, PoolSendError, TieError};
use tox_relay_client::{
    AddressError, ClientError, ConnectError, KeyError, ProxyConfigError, RouteError, SendError, SettingError,
};

use crate::advice::{trc_fault, trc_retry};
use crate::error::trc_error;
use crate::pointer;
use crate::text::{TRC_TEXT_SIZE, fixed};

/// More about an error.
#[repr(C)]
pub struct trc_error_details {
    /// Its number; 0 if there was no error.
    pub error: trc_error,
    /// For errors of connecting: who most probably caused it.
    pub fault: trc_fault,
    /// For errors of connecting: whether another try may help.
    pub retry: trc_retry,
    /// The number of the operating system's error (`errno`, or that of `GetLastError`); 0 if it has none.
    pub os_error: i32,
    /// An English text with all that is known, for people.
    pub text: [c_char; TRC_TEXT_SIZE],
}

/// An error with its details.
pub(crate) struct Failure {
    error: trc_error,
    fault: trc_fault,
    retry: trc_retry,
    os_error: i32,
    /// `None`: the text of the number. So errors that are part of normal work allocate nothing.
    text: Option<String>,
}

thread_local! {
    static LAST: RefCell<Failure> = const { RefCell::new(Failure::new(trc_error::None)) };
}

/// Writes more about the last error that a function has returned to this thread into `*details`. (After a function has
/// returned no error, the details are still those of the one before.) Functions that do not return a `trc_error` keep
/// theirs here, too. Does nothing if `details` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn trc_last_error(details: *mut trc_error_details) {
    let Ok(details) = pointer::out(details) else { return };
    let last = LAST.try_with(|last| (&*last.borrow()).into());
    // A thread that ends may call this after its own values were dropped.
    details.write(last.unwrap_or_else(|_| (&Failure::new(trc_error::None)).into()));
}

impl From<&Failure> for trc_error_details {
    fn from(failure: &Failure) -> Self {
        Self {
            error: failure.error,
            fault: failure.fault,
            retry: failure.retry,
            os_error: failure.os_error,
            text: match &failure.text {
                Some(text) => fixed(text),
                None => fixed(&failure.error.text().to_string_lossy()),
            },
        }
    }
}

impl Failure {
    const fn new(error: trc_error) -> Self {
        Self { error, fault: trc_fault::Unknown, retry: trc_retry::Unknown, os_error: 0, text: None }
    }

    fn with_text(error: trc_error, text: String) -> Self {
        Self { text: Some(text), ..Self::new(error) }
    }

    /// Keeps the details for `trc_last_error`, and returns the number.
    pub(crate) fn keep(self) -> trc_error {
        let error = self.error;
        let _ = LAST.try_with(|last| last.replace(self));
        error
    }
}

impl From<trc_error> for Failure {
    fn from(error: trc_error) -> Self {
        Self::new(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        (&error).into()
    }
}

impl From<&io::Error> for Failure {
    fn from(error: &io::Error) -> Self {
        let os_error = error.raw_os_error().unwrap_or_default();
        Self { os_error, ..Self::with_text(trc_error::Io, error.to_string()) }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::with_text(trc_error::Json, error.to_string())
    }
}

impl From<SettingError> for Failure {
    fn from(error: SettingError) -> Self {
        let number = match error {
            SettingError::SendQueue(_) => trc_error::SendQueue,
            SettingError::Window(_) => trc_error::Window,
            SettingError::ConnectTimeout => trc_error::ConnectTimeout,
            SettingError::PingInterval => trc_error::PingInterval,
            SettingError::PongTimeout => trc_error::PongTimeout,
            _ => trc_error::Other,
        };
        Self::with_text(number, error.to_string())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Setting(error) => error.into(),
            ClientError::Io(error) => error.into(),
            _ => Self::with_text(trc_error::Other, error.to_string()),
        }
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        let number = match error {
            KeyError::ToxId => trc_error::KeyToxId,
            KeyError::Length(_) | KeyError::Bytes(_) => trc_error::KeyLength,
            KeyError::Digit(_) => trc_error::KeyDigit,
            _ => trc_error::Other,
        };
        Self::with_text(number, error.to_string())
    }
}

impl From<AddressError> for Failure {
    fn from(error: AddressError) -> Self {
        let number = match error {
            AddressError::NoHost => trc_error::AddressNoHost,
            AddressError::NoPort => trc_error::AddressNoPort,
            AddressError::Port => trc_error::AddressPort,
            AddressError::NoBrackets => trc_error::AddressNoBrackets,
            AddressError::Ipv6 => trc_error::AddressIpv6,
            AddressError::Scope => trc_error::AddressScope,
            AddressError::Ipv4 => trc_error::AddressIpv4,
            AddressError::Url => trc_error::AddressUrl,
            AddressError::Character(_) => trc_error::AddressCharacter,
            AddressError::Length(_) => trc_error::AddressLength,
            AddressError::EmptyLabel => trc_error::AddressEmptyLabel,
            _ => trc_error::Other,
        };
        Self::with_text(number, error.to_string())
    }
}

impl From<ProxyConfigError> for Failure {
    fn from(error: ProxyConfigError) -> Self {
        let number = match error {
            ProxyConfigError::Scheme => trc_error::ProxyScheme,
            ProxyConfigError::Address => trc_error::ProxyAddress,
            ProxyConfigError::Path => trc_error::ProxyPath,
            ProxyConfigError::Unencoded => trc_error::ProxyUnencoded,
            ProxyConfigError::Encoding => trc_error::ProxyEncoding,
            ProxyConfigError::Length { .. } => trc_error::ProxyLength,
            ProxyConfigError::Character(_) => trc_error::ProxyCharacter,
            ProxyConfigError::NoPassword => trc_error::ProxyNoPassword,
            _ => trc_error::Other,
        };
        Self::with_text(number, error.to_string())
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        (&error).into()
    }
}

impl From<&ConnectError> for Failure {
    fn from(error: &ConnectError) -> Self {
        let advice = (error.fault().into(), Some(error.retry()).into());
        let text = error.to_string();
        let failure = match error {
            ConnectError::Address(error) => (*error).into(),
            ConnectError::Io(error) => error.into(),
            ConnectError::BeyondProxy { .. } => trc_error::BeyondProxy.into(),
            ConnectError::NameWithoutProxy(_) => trc_error::NameWithoutProxy.into(),
            ConnectError::TooManyAddresses => trc_error::TooManyAddresses.into(),
            ConnectError::ConnectTimeout => trc_error::ConnectTimeout.into(),
            ConnectError::TooManyConnections => trc_error::TooManyConnections.into(),
            ConnectError::LowOrderKey => trc_error::LowOrderKey.into(),
            ConnectError::NonCanonicalKey => trc_error::NonCanonicalKey.into(),
            ConnectError::OwnKey => trc_error::OwnKey.into(),
            ConnectError::SameSharedKey(_) => trc_error::SameSharedKey.into(),
            ConnectError::AlreadyConnected(_) => trc_error::AlreadyConnected.into(),
            _ => Self::new(trc_error::Other),
        };
        let (fault, retry) = advice;
        Self { fault, retry, text: Some(text), ..failure }
    }
}

impl From<RouteError> for Failure {
    fn from(error: RouteError) -> Self {
        Self::new(match error {
            RouteError::UnknownConnection => trc_error::UnknownConnection,
            RouteError::UnknownRoute => trc_error::UnknownRoute,
            RouteError::Exists(_) => trc_error::RouteExists,
            RouteError::TooMany => trc_error::TooManyRoutes,
            _ => return Self::with_text(trc_error::Other, error.to_string()),
        })
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        Self::new(match error {
            SendError::WouldBlock => trc_error::WouldBlock,
            SendError::UnknownConnection => trc_error::UnknownConnection,
            SendError::UnknownRoute => trc_error::UnknownRoute,
            SendError::RouteOffline => trc_error::RouteOffline,
            SendError::Length { .. } => return Self::with_text(trc_error::Length, error.to_string()),
            _ => return Self::with_text(trc_error::Other, error.to_string()),
        })
    }
}

impl From<AddRelayError> for Failure {
    fn from(error: AddRelayError) -> Self {
        let text = error.to_string();
        let number = match error {
            AddRelayError::Address(error) => return error.into(),
            AddRelayError::LocalAddress(_) => trc_error::LocalAddress,
            AddRelayError::TooMany => trc_error::TooManyRelays,
            AddRelayError::UnknownPeer => trc_error::UnknownPeer,
            _ => trc_error::Other,
        };
        Self::with_text(number, text)
    }
}

impl From<TieError> for Failure {
    fn from(error: TieError) -> Self {
        Self::new(match error {
            TieError::UnknownPeer => trc_error::UnknownPeer,
            TieError::UnknownRelay => trc_error::UnknownRelay,
            TieError::TooMany => trc_error::TooManyTies,
            _ => return Self::with_text(trc_error::Other, error.to_string()),
        })
    }
}

impl Failure {
    /// `unknown` is what the caller has named: a peer or a relay.
    pub(crate) fn of_pool(error: PoolSendError, unknown: trc_error) -> Self {
        Self::new(match error {
            PoolSendError::Unknown => unknown,
            PoolSendError::WouldBlock => trc_error::WouldBlock,
            PoolSendError::Unreachable => trc_error::Unreachable,
            PoolSendError::Offline => return Self::with_text(trc_error::RouteOffline, error.to_string()),
            PoolSendError::Length(error) => return error.into(),
            _ => return Self::with_text(trc_error::Other, error.to_string()),
        })
    }
}
