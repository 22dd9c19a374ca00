//! SOCKS version 5 (RFC 1928), without authentication or with user name and password (RFC 1929).
//!
//! | message | bytes |
//! | --- | --- |
//! | greeting | 5, number of methods, the methods |
//! | its answer | 5, method or 0xff |
//! | user name and password | 1, length, user name, length, password |
//! | its answer | 1 (some proxies send 5), 0 or a failure |
//! | request | 5, 1 (connect), 0, address type, address, port (2) |
//! | reply | 5, 0 or a failure, 0, address type, address, port (2) |
//!
//! An address is 4 bytes (type 1, IPv4), 16 bytes (type 4, IPv6), or a length and that many bytes (type 3, a name). The
//! address in the reply may have any type, whatever was requested.

use std::net::SocketAddr;

use zeroize::Zeroizing;

use crate::address::{Address, Kind};
use crate::config::Credentials;
use crate::deframer::Deframer;
use crate::error::ProxyError;
use crate::proxy::progress::Progress;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NO_ACCEPTABLE_METHOD: u8 = 0xff;
/// The version of the negotiation of RFC 1929. Some proxies answer with the version of SOCKS, so only the status is
/// read.
const NEGOTIATION: u8 = 1;
const CONNECT: u8 = 1;
const SUCCEEDED: u8 = 0;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

pub struct Socks5 {
    step: Step,
    message: Deframer,
    /// The message with user name and password, if they were offered. Wiped after the method is known, or when dropped.
    login: Option<Zeroizing<Vec<u8>>>,
    request: Vec<u8>,
}

enum Step {
    Method,
    Login,
    Reply,
}

impl Socks5 {
    pub(super) fn new(credentials: Option<&Credentials>, target: &Address, out: &mut Vec<u8>) -> Self {
        let login = credentials.map(login);
        match login {
            Some(_) => out.extend([VERSION, 2, USER_AND_PASSWORD, NO_AUTHENTICATION]),
            None => out.extend([VERSION, 1, NO_AUTHENTICATION]),
        }
        Self { step: Step::Method, message: Deframer::default(), login, request: request(target) }
    }

    /// Whether the request has been passed to the caller for sending.
    pub(super) fn is_requested(&self) -> bool {
        matches!(self.step, Step::Reply)
    }

    pub(super) fn receive(
        &mut self,
        input: &mut &mut [u8],
        out: &mut Vec<u8>,
    ) -> Result<Progress, ProxyError> {
        loop {
            let Some(message) = self.message.next(input, |bytes| match self.step {
                Step::Method => version_and_one(bytes),
                Step::Login => Ok(Some(2)),
                Step::Reply => reply_len(bytes),
            })?
            else {
                return Ok(Progress::Waiting);
            };
            let answer = message[1];
            self.step = match (&self.step, answer) {
                (Step::Method, USER_AND_PASSWORD) if self.login.is_some() => {
                    out.extend_from_slice(&self.login.take().expect("credentials were offered"));
                    Step::Login
                }
                (Step::Method, NO_AUTHENTICATION) | (Step::Login, SUCCEEDED) => {
                    self.login = None;
                    out.append(&mut self.request);
                    Step::Reply
                }
                (Step::Method, NO_ACCEPTABLE_METHOD) => return Err(ProxyError::NoAcceptableMethod),
                (Step::Method, _) => {
                    return Err(ProxyError::Malformed("SOCKS5: a method that was not offered"));
                }
                (Step::Login, _) => return Err(ProxyError::Credentials),
                (Step::Reply, SUCCEEDED) => return Ok(Progress::Open),
                (Step::Reply, code) => return Err(ProxyError::Socks5 { code }),
            };
        }
    }
}

/// The message with user name and password. An empty password has the length 0.
fn login(credentials: &Credentials) -> Zeroizing<Vec<u8>> {
    let (user, password) = (credentials.user.as_bytes(), credentials.password.as_bytes());
    // Allocated once: a vector that grows would leave copies of the password in freed memory.
    let mut login = Zeroizing::new(Vec::with_capacity(3 + user.len() + password.len()));
    login.extend([NEGOTIATION, user.len() as u8]);
    login.extend_from_slice(user);
    login.push(password.len() as u8);
    login.extend_from_slice(password);
    login
}

fn request(target: &Address) -> Vec<u8> {
    let mut request = vec![VERSION, CONNECT, 0];
    match &target.0 {
        Kind::Ip(SocketAddr::V4(address)) => {
            request.push(IPV4);
            request.extend(address.ip().octets());
        }
        Kind::Ip(SocketAddr::V6(address)) => {
            request.push(IPV6);
            request.extend(address.ip().octets());
        }
        Kind::Name(name, _) => {
            request.extend([NAME, name.len() as u8]);
            request.extend_from_slice(name.as_bytes());
        }
    }
    request.extend(target.port().to_be_bytes());
    request
}

/// The length of an answer of two bytes, of which the first must be the version.
fn version_and_one(bytes: &[u8]) -> Result<Option<usize>, ProxyError> {
    match *bytes {
        [first, ..] if first != VERSION => Err(ProxyError::Protocol { expected: "SOCKS5", first }),
        _ => Ok(Some(2)),
    }
}

/// The length of a reply, once its bytes show it. A failure is reported without waiting for its address, which some
/// proxies leave out.
fn reply_len(bytes: &[u8]) -> Result<Option<usize>, ProxyError> {
    version_and_one(bytes)?;
    Ok(match *bytes {
        [_, code, ..] if code != SUCCEEDED => Some(2),
        [_, _, _, IPV4, ..] => Some(4 + 4 + 2),
        [_, _, _, IPV6, ..] => Some(4 + 16 + 2),
        [_, _, _, NAME, len, ..] => Some(5 + usize::from(len) + 2),
        [_, _, _, NAME] | [] | [_] | [_, _] | [_, _, _] => None,
        [_, _, _, _, ..] => return Err(ProxyError::Malformed("SOCKS5: an unknown type of address")),
    })
}
