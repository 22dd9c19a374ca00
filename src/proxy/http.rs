//! HTTP CONNECT (RFC 9110, section 9.3.6), with Basic credentials where wanted (RFC 7617).
//!
//! The answer is a status line and headers up to an empty line. Any 2xx opens the tunnel; 1xx answers come first and
//! mean nothing; everything else is a refusal. What the headers say doesn't matter, so they are only passed over.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use socks::TargetAddr;
use zeroize::Zeroizing;

use crate::config::Credentials;
use crate::error::{Phrase, ProxyError};
use crate::proxy::Progress;

/// The most that a proxy may say before the tunnel stands, 1xx answers included.
const MAX_ANSWER: usize = 16 * 1024;

#[derive(Default)]
pub(crate) struct Http {
    /// Bytes of the proxy so far. At most [`MAX_ANSWER`].
    taken: usize,
    /// The status line of the present answer, without its end. At most [`MAX_ANSWER`].
    status: Vec<u8>,
    /// Where in the answer we are.
    place: Place,
}

#[derive(Default)]
enum Place {
    #[default]
    Status,
    /// At the beginning of a header, or of the empty line.
    LineStart,
    /// In the empty line, if its end follows.
    CarriageReturn,
    Header,
}

impl Http {
    pub(super) fn new(credentials: Option<&Credentials>, target: &TargetAddr, out: &mut Vec<u8>) -> Self {
        let authority = match target {
            TargetAddr::Ip(address) => address.to_string(), // with brackets around IPv6
            TargetAddr::Domain(name, port) => format!("{name}:{port}"),
        };
        out.extend_from_slice(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").as_bytes());
        if let Some(credentials) = credentials {
            // `concat` allocates once: a string that grows leaves copies behind.
            let plain = Zeroizing::new([&credentials.user, ":", &credentials.password].concat());
            let encoded = Zeroizing::new(STANDARD.encode(plain.as_bytes()));
            out.extend_from_slice(b"Proxy-Authorization: Basic ");
            out.extend_from_slice(encoded.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        Self::default()
    }

    pub(super) fn receive(&mut self, input: &mut &[u8]) -> Result<Progress, ProxyError> {
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            self.taken += 1;
            if self.taken > MAX_ANSWER {
                return Err(ProxyError::Malformed("HTTP: an answer of more than 16 KiB"));
            }
            self.place = match (&self.place, byte) {
                (Place::Status, b'\n') => Place::LineStart,
                (Place::Status, _) => {
                    self.status.push(byte);
                    Place::Status
                }
                (Place::LineStart | Place::CarriageReturn, b'\n') => {
                    if self.is_open()? {
                        return Ok(Progress::Open);
                    }
                    self.status.clear();
                    Place::Status
                }
                (Place::LineStart, b'\r') => Place::CarriageReturn,
                (Place::Header, b'\n') => Place::LineStart,
                _ => Place::Header,
            };
        }
        Ok(Progress::Waiting)
    }

    /// What a whole answer means: the tunnel (`true`), or that another answer follows.
    fn is_open(&self) -> Result<bool, ProxyError> {
        let line = self.status.strip_suffix(b"\r").unwrap_or(&self.status);
        let answer = [line, b"\r\n\r\n"].concat();
        let mut response = httparse::Response::new(&mut []);
        let parsed = response.parse(&answer).is_ok_and(|status| status.is_complete());
        match (response.code, response.reason) {
            (Some(100..=199), _) if parsed => Ok(false),
            (Some(200..=299), _) if parsed => Ok(true),
            (Some(status), reason) if parsed => {
                Err(ProxyError::Http { status, reason: Phrase::new(reason.unwrap_or_default()) })
            }
            _ => Err(ProxyError::Malformed("HTTP: no status line")),
        }
    }
}
