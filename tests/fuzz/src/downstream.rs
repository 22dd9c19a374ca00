//! The bytes that the client receives, and the result that each step of them must have.

use std::collections::VecDeque;

use tox_relay_client::{Impostor, Stage, Violation};
use tox_test_relay::session::Session;

/// The result that some bytes must have.
#[derive(Debug)]
pub enum Step {
    /// A good answer of the proxy: the client writes this next, and is in this stage.
    ProxyAnswer { output: Vec<u8>, stage: Stage },
    /// A good handshake response.
    Response,
    /// A packet with this plaintext, legal or not.
    Packet(Vec<u8>),
    /// Bytes that are not a packet.
    NotAPacket(Violation),
    /// Bytes that are not a handshake response.
    NotAResponse(Impostor),
}

/// The stream to the client.
#[derive(Default)]
pub struct Downstream {
    bytes: Vec<u8>,
    /// How many of `bytes` were taken.
    taken: usize,
    /// The steps to come, and how many of `bytes` each needs.
    steps: VecDeque<(usize, Step)>,
    /// The bytes from the first one on that is not part of a good packet. They are read as a packet, too.
    malformed: Option<Vec<u8>>,
    /// Whether the last step ends the connection: there are no steps for the bytes that follow.
    is_over: bool,
}

impl Downstream {
    /// Bytes of a proxy or of a handshake.
    pub fn push(&mut self, bytes: &[u8], step: Step) {
        let is_end = matches!(step, Step::NotAResponse(_));
        self.put(bytes, Some(step));
        self.is_over |= is_end;
    }

    /// Any bytes in place of a handshake response, which has 96 bytes.
    pub fn push_no_response(&mut self, bytes: &[u8]) {
        if !self.is_over {
            self.steps.push_back((self.bytes.len() + 96, Step::NotAResponse(Impostor::WrongKey)));
            self.is_over = true;
        }
        self.put(bytes, None);
    }

    /// Any bytes in place of packets.
    pub fn push_raw(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.malformed.get_or_insert_default();
            self.put(bytes, None);
        }
    }

    /// A packet of the relay, of any length.
    pub fn push_packet(&mut self, plaintext: &[u8], session: &mut Session) {
        let mut sealed = Vec::new();
        session.seal(plaintext, &mut sealed);
        match plaintext.len() {
            1..=2032 => self.put(&sealed, Some(Step::Packet(plaintext.to_vec()))),
            _ => self.push_raw(&sealed),
        }
    }

    fn put(&mut self, bytes: &[u8], step: Option<Step>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        if self.is_over {
            return;
        }
        let Some(malformed) = &mut self.malformed else {
            return self.steps.extend(step.map(|step| (self.bytes.len(), step)));
        };
        let start = start - malformed.len();
        malformed.extend_from_slice(bytes);
        if let Some(&prefix) = malformed.first_chunk() {
            let length = u16::from_be_bytes(prefix);
            let (needed, fault) = match length {
                17..=2048 => (2 + usize::from(length), Violation::Forged),
                _ => (2, Violation::PacketLength(length)),
            };
            self.steps.push_back((start + needed, Step::NotAPacket(fault)));
            self.is_over = true;
        }
    }

    /// What has not been taken.
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// How many bytes were taken.
    pub fn taken(&self) -> usize {
        self.taken
    }

    pub fn take(&mut self, len: usize) {
        self.taken += len;
    }

    /// The next step, if `len` bytes that were not taken are enough for it.
    pub fn next(&mut self, len: usize) -> Option<Step> {
        let (needed, _) = self.steps.front()?;
        if *needed > self.taken + len { None } else { self.steps.pop_front().map(|(_, step)| step) }
    }
}
