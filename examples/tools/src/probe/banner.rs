//! What listens where there is no relay: a second, plain connection, through the proxy if there is one.
//!
//! It reads what the server says by itself. If that is nothing, it sends a request that harms nobody, `HEAD /`, and
//! reads the answer.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use tox_relay_client::{Proxy, Stage};

use crate::probe::report::Report;
use crate::probe::round::most_at_once;
use crate::probe::signals::Signals;
use crate::probe::target::Target;
use crate::probe::tunnel::Tunnel;
use crate::problem::Problem;
use crate::state::State;

const REQUEST: &[u8] = b"HEAD / HTTP/1.0\r\n\r\n";
/// How long to wait for a greeting, and then for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Of what the server says.
const MOST_BYTES: usize = 512;
const MOST_LETTERS: usize = 60;
/// How often Ctrl-C is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// Looks at all targets that have accepted a connection and are no relays, and adds to their reports what listens there.
pub fn look(
    targets: &[&Target],
    reports: &mut [Report],
    proxy: Option<&Proxy>,
    timeout: Duration,
    signals: &Signals,
) -> io::Result<()> {
    let indices: Vec<usize> = (0..reports.len()).filter(|index| is_no_relay(&reports[*index])).collect();
    for some in indices.chunks(most_at_once()) {
        look_at(some, targets, reports, proxy, timeout, signals)?;
    }
    Ok(())
}

/// Looks at these at once.
fn look_at(
    indices: &[usize],
    targets: &[&Target],
    reports: &mut [Report],
    proxy: Option<&Proxy>,
    timeout: Duration,
    signals: &Signals,
) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut lookers = Vec::new();
    for index in indices.iter().copied() {
        match Looker::begin(&poll, index, targets[index], proxy, timeout) {
            Ok(looker) => lookers.push(looker),
            Err(error) => reports[index].extras.banner = Some(format!("unknown: {error}")),
        }
    }
    let mut events = Events::with_capacity(256);
    while lookers.iter().any(|looker| looker.found.is_none()) && !signals.has_stopped() {
        match poll.poll(&mut events, Some(LOOK)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        // Few, and rarely: so all of them are driven, whichever is ready.
        for looker in lookers.iter_mut().filter(|looker| looker.found.is_none()) {
            looker.found = match looker.drive(Instant::now()) {
                Ok(found) => found,
                Err(error) => Some(Found::unknown(&error)),
            };
        }
    }
    for looker in lookers {
        if let Some(found) = looker.found {
            found.add_to(&mut reports[looker.index]);
        }
    }
    Ok(())
}

/// Whether the port is open, and no relay answers there.
fn is_no_relay(report: &Report) -> bool {
    report.problems.first().is_some_and(|problem| problem.stage == Some(Stage::Handshaking))
}

/// One plain connection.
struct Looker {
    index: usize,
    socket: TcpStream,
    phase: Phase,
    /// Of the phase.
    deadline: Instant,
    heard: Vec<u8>,
    found: Option<Found>,
}

enum Phase {
    /// With the tunnel to ask for then.
    Connecting(Option<Box<Tunnel>>),
    Tunnelling(Box<Tunnel>),
    /// For a greeting.
    Listening,
    /// `HEAD /` was sent.
    Asked,
}

impl Looker {
    fn begin(
        poll: &Poll,
        index: usize,
        target: &Target,
        proxy: Option<&Proxy>,
        timeout: Duration,
    ) -> io::Result<Self> {
        let now = Instant::now();
        let (address, tunnel) = match proxy {
            Some(proxy) => (proxy.address(), Some(Box::new(Tunnel::new(&target.address, proxy, now)?))),
            None => (target.address.socket_addr().ok_or_else(|| io::Error::other("no address"))?, None),
        };
        let mut socket = TcpStream::connect(address)?;
        poll.registry().register(&mut socket, Token(index), Interest::READABLE | Interest::WRITABLE)?;
        let (phase, deadline) = (Phase::Connecting(tunnel), now + timeout);
        Ok(Self { index, socket, phase, deadline, heard: Vec::new(), found: None })
    }

    /// Goes on as far as it can. Returns what listens there, as soon as that is known.
    fn drive(&mut self, now: Instant) -> io::Result<Option<Found>> {
        if let Phase::Connecting(tunnel) = &mut self.phase {
            if let Some(error) = self.socket.take_error()? {
                return Err(error);
            }
            if self.socket.peer_addr().is_ok() {
                self.phase = tunnel.take().map_or(Phase::Listening, Phase::Tunnelling);
                self.deadline =
                    if matches!(self.phase, Phase::Listening) { now + PATIENCE } else { self.deadline };
            }
        }
        if let Phase::Tunnelling(tunnel) = &mut self.phase
            && tunnel.drive(&mut self.socket)?
        {
            (self.phase, self.deadline) = (Phase::Listening, now + PATIENCE);
        }
        if matches!(self.phase, Phase::Listening | Phase::Asked) && self.listen()? {
            return Ok(Some(Found::new(&self.heard)));
        }
        if now < self.deadline {
            return Ok(None);
        }
        match self.phase {
            Phase::Listening if self.heard.is_empty() => {
                self.socket.write_all(REQUEST)?; // fits into any empty socket
                (self.phase, self.deadline) = (Phase::Asked, now + PATIENCE);
                Ok(None)
            }
            Phase::Listening | Phase::Asked => Ok(Some(Found::new(&self.heard))),
            Phase::Connecting(_) | Phase::Tunnelling(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Reads what has arrived. Returns whether that is enough: a line, enough bytes, or the end.
    fn listen(&mut self) -> io::Result<bool> {
        let mut buffer = [0; MOST_BYTES];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(len) => self.heard.extend(&buffer[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // A reset, after which nothing more comes.
                Err(_) if !self.heard.is_empty() => return Ok(true),
                Err(error) => return Err(error),
            }
            if self.heard.len() >= MOST_BYTES {
                return Ok(true);
            }
        }
        Ok(self.heard.contains(&b'\n') || is_tls(&self.heard))
    }
}

/// A record of an alert or a handshake, in any version.
fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x15 | 0x16, 3, ..])
}

/// What listens there.
#[derive(Debug, PartialEq)]
struct Found {
    /// The reason as a word and the server in words, if it was recognised.
    server: Option<(&'static str, &'static str)>,
    text: String,
}

impl Found {
    fn new(heard: &[u8]) -> Self {
        let line = heard.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        let letters = line.iter().take(MOST_LETTERS);
        let line: String =
            letters.map(|byte| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '?' }).collect();
        let (server, text) = if is_tls(heard) {
            (Some(("tls", "a TLS server")), "TLS".to_owned())
        } else if heard.starts_with(b"SSH-") {
            (Some(("ssh", "an SSH server")), format!("SSH: {line}"))
        } else if heard.starts_with(b"HTTP/") {
            (Some(("http", "an HTTP server")), format!("HTTP: {line}"))
        } else if heard.is_empty() {
            (None, "silence".to_owned())
        } else if heard.iter().take(8).all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) {
            (None, format!("text: {line}"))
        } else {
            let digits: Vec<_> = heard.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            (None, format!("bytes: {}", digits.join(" ")))
        };
        Self { server, text }
    }

    fn unknown(error: &io::Error) -> Self {
        Self { server: None, text: format!("unknown: {error}") }
    }

    /// If the server was recognised, that is the reason: it says more than a handshake without a response.
    fn add_to(self, report: &mut Report) {
        if let (Some((word, server)), Some(problem)) = (self.server, report.problems.first_mut()) {
            let sentence = format!("the port is open, but {server} answers");
            *problem = Problem { word, sentence, state: State::Impostor, ..problem.clone() };
        }
        report.extras.banner = Some(self.text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_recognised_by_their_first_bytes() {
        for (heard, word, text) in [
            (&b"SSH-2.0-OpenSSH_9.6\r\nmore"[..], Some("ssh"), "SSH: SSH-2.0-OpenSSH_9.6"),
            (b"HTTP/1.1 400 Bad Request\r\n", Some("http"), "HTTP: HTTP/1.1 400 Bad Request"),
            (&[0x15, 3, 1, 0, 2, 2, 10], Some("tls"), "TLS"),
            (b"220 mail.example ESMTP\r\n", None, "text: 220 mail.example ESMTP"),
            (&[0, 1, 2, 0xff], None, "bytes: 00 01 02 ff"),
            (b"", None, "silence"),
        ] {
            let found = Found::new(heard);
            assert_eq!((found.server.map(|(word, _)| word), &*found.text), (word, text));
        }
    }

    #[test]
    fn a_banner_cannot_control_the_terminal() {
        let found = Found::new(&[b"SSH-2.0-\x1b[2Jx\x07".as_slice(), &[b'y'; 200]].concat());
        assert_eq!(found.text, format!("SSH: SSH-2.0-?[2Jx?{}", "y".repeat(46)));
    }
}
