//! HTTP CONNECT (RFC 9110, section 9.3.6), with Basic credentials if the caller gives them (RFC 7617).
//!
//! The answer is a status line and headers, up to an empty line. Any 2xx opens the tunnel; 1xx answers may precede it
//! and are ignored; everything else is a refusal. A refusal is reported at its status line, since a proxy may close the
//! connection or send nothing after that. Only the headers of a 407 are read: they name the credentials that the proxy
//! accepts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::address::Address;
use crate::config::Credentials;
use crate::deframer::take;
use crate::error::ProxyError;
use crate::phrase::Phrase;
use crate::proxy::progress::Progress;

/// The most bytes that a proxy may send before the tunnel is open, including 1xx answers.
const MAX_ANSWER: usize = 16 * 1024;

/// The beginning of every status line: only HTTP 1.0 and 1.1 have this form of CONNECT.
const VERSION: &[u8] = b"HTTP/1.";

const NO_STATUS_LINE: ProxyError = ProxyError::Malformed("HTTP: no status line of HTTP/1.0 or 1.1");

const TOO_LONG: ProxyError = ProxyError::Malformed("HTTP: an answer of more than 16 KiB");

/// RFC 9110, section 15.5.8.
const UNAUTHORIZED: u16 = 407;

#[derive(Default)]
pub struct Http {
    /// Bytes received from the proxy. At most [`MAX_ANSWER`].
    taken: usize,
    /// The current line, without its line feed. At most [`MAX_ANSWER`].
    line: Vec<u8>,
    /// The answer whose headers are read now; `None` during a status line.
    answer: Option<Answer>,
}

/// What a status line means. `Refused` is reported at once, the others take effect after their headers.
enum Answer {
    /// Another one follows.
    Interim,
    Open,
    /// A 407: the schemes that the headers name.
    Unauthorized(String),
    Refused(ProxyError),
}

impl Http {
    /// Writes the request. An IPv6 target is in brackets; it has no scope, since `connect` refuses one with a scope.
    pub(super) fn new(credentials: Option<&Credentials>, target: &Address, out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").as_bytes());
        if let Some(credentials) = credentials {
            // `concat` allocates once: a string that grows would leave copies of the password in freed memory.
            let plain = Zeroizing::new([&credentials.user, ":", &credentials.password].concat());
            let encoded = Zeroizing::new(STANDARD.encode(plain.as_bytes()));
            out.extend_from_slice(b"Proxy-Authorization: Basic ");
            out.extend_from_slice(encoded.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        Self::default()
    }

    pub(super) fn receive(&mut self, input: &mut &mut [u8]) -> Result<Progress, ProxyError> {
        while !input.is_empty() {
            let byte = take(input, 1)[0];
            self.taken += 1;
            if self.taken > MAX_ANSWER {
                return Err(self.refusal().unwrap_or(TOO_LONG));
            }
            if byte != b'\n' {
                self.check_version(byte)?;
                self.line.push(byte);
            } else if self.end_line()? == Progress::Open {
                return Ok(Progress::Open);
            }
        }
        Ok(Progress::Waiting)
    }

    /// The refusal that had begun when the connection to the proxy ended, or the answer became too long.
    pub(super) fn refusal(&self) -> Option<ProxyError> {
        let begun = if self.answer.is_none() { Answer::read(self.line()) } else { None };
        match self.answer.as_ref().or(begun.as_ref())? {
            Answer::Interim | Answer::Open => None,
            Answer::Refused(refusal) => Some(*refusal),
            Answer::Unauthorized(schemes) => {
                let mut schemes = schemes.clone();
                // The last word of the line may be incomplete.
                let whole = self.line().iter().rposition(|byte| b" ,".contains(byte)).unwrap_or(0);
                add_schemes(&mut schemes, &self.line()[..whole]);
                Some(unauthorized(&schemes))
            }
        }
    }

    /// Reports an answer that is not HTTP at the first byte that shows it, since there may never be a line end.
    fn check_version(&self, byte: u8) -> Result<(), ProxyError> {
        match (&self.answer, VERSION.get(self.line.len())) {
            (None, Some(expected)) if byte != *expected => Err(match self.line.len() {
                0 => ProxyError::Protocol { expected: "HTTP", first: byte },
                _ => NO_STATUS_LINE,
            }),
            _ => Ok(()),
        }
    }

    fn end_line(&mut self) -> Result<Progress, ProxyError> {
        let is_empty = self.line().is_empty();
        match self.answer.take() {
            None => match Answer::read(self.line()).ok_or(NO_STATUS_LINE)? {
                Answer::Refused(refusal) => return Err(refusal),
                answer => self.answer = Some(answer),
            },
            Some(Answer::Interim) if is_empty => {}
            Some(Answer::Open) if is_empty => return Ok(Progress::Open),
            Some(Answer::Unauthorized(schemes)) if is_empty => return Err(unauthorized(&schemes)),
            Some(Answer::Unauthorized(mut schemes)) => {
                add_schemes(&mut schemes, self.line());
                self.answer = Some(Answer::Unauthorized(schemes));
            }
            other => self.answer = other,
        }
        self.line.clear();
        Ok(Progress::Waiting)
    }

    fn line(&self) -> &[u8] {
        self.line.strip_suffix(b"\r").unwrap_or(&self.line)
    }
}

impl Answer {
    /// What a status line means; `None` if the line is not a status line.
    fn read(line: &[u8]) -> Option<Self> {
        Some(match status_line(line)? {
            (100..=199, _) => Self::Interim,
            (200..=299, _) => Self::Open,
            (UNAUTHORIZED, _) => Self::Unauthorized(String::new()),
            (status, reason) => {
                let reason = Phrase::from_bytes(reason.trim_ascii());
                Self::Refused(ProxyError::Http { status, reason })
            }
        })
    }
}

/// The status and the reason of `HTTP/1.x STATUS [REASON]`.
fn status_line(line: &[u8]) -> Option<(u16, &[u8])> {
    let [b'0'..=b'9', b' ', rest @ ..] = line.strip_prefix(VERSION)? else { return None };
    let (status, reason) = rest.split_first_chunk::<3>()?;
    let status = status
        .iter()
        .try_fold(0, |status, digit| digit.is_ascii_digit().then(|| 10 * status + u16::from(digit - b'0')))?;
    matches!(reason, [] | [b' ', ..]).then_some((status, reason))
}

fn unauthorized(schemes: &str) -> ProxyError {
    ProxyError::Unauthorized { schemes: Phrase::new(schemes) }
}

/// Adds the schemes that a `Proxy-Authenticate` header names, as in `Basic, Digest`: each once, and no more after the
/// text is longer than a [`Phrase`] can show.
///
/// The value is a list of schemes and their parameters, all separated by commas (RFC 9110, section 11.6.1). A name with
/// `=` after it is a parameter, and any other name is a scheme.
fn add_schemes(schemes: &mut String, header: &[u8]) {
    let header = String::from_utf8_lossy(header);
    let Some((name, value)) = header.split_once(':') else { return };
    if !name.eq_ignore_ascii_case("Proxy-Authenticate") {
        return;
    }
    let (mut in_quotes, mut is_escaped) = (false, false);
    let elements = value.split(|letter| {
        in_quotes ^= letter == '"' && !is_escaped;
        is_escaped = letter == '\\' && in_quotes && !is_escaped;
        letter == ',' && !in_quotes
    });
    for element in elements {
        let (scheme, rest) = element.trim().split_once([' ', '\t']).unwrap_or((element.trim(), ""));
        let is_parameter = scheme.contains('=') || rest.trim_start().starts_with('=');
        let is_known = schemes.split(", ").any(|other| other.eq_ignore_ascii_case(scheme));
        if !scheme.is_empty() && !is_parameter && !is_known && schemes.len() < Phrase::MAX {
            schemes.push_str(if schemes.is_empty() { "" } else { ", " });
            schemes.push_str(scheme);
        }
    }
}
