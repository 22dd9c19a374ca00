//! The sealed packets of one connection, both ways.

use crate::crypto::nonce::Nonce;
use crate::crypto::secretbox::{CipherState, Key, KeyStream};
use crate::wire::frame::MAC_LEN;

/// The key and nonces of a connection after its handshake. Wiped when dropped.
pub struct Channel {
    key: Key,
    /// From the first packet on whose place on the stream isn't certain yet.
    sending: CipherState,
    /// From the next packet of the relay on.
    receiving: CipherState,
}

impl Channel {
    /// Its keys are put where they stay: whatever moved them would leave copies behind.
    pub fn new(key: &Key, sending: Nonce, receiving: Nonce) -> Box<Self> {
        let [sending, receiving] = [sending, receiving].map(CipherState::without_key);
        let mut channel = Box::new(Self { key: Key::NONE, sending, receiving });
        channel.key.set(key);
        channel.sending.set_subkey(key);
        channel.receiving.set_subkey(key);
        channel
    }

    /// Opens the relay's next packet, `MAC | ciphertext`, where it lies. `None`, and nothing was touched, if it isn't the
    /// relay's next packet; there is no way to go on then.
    pub fn open<'a>(&mut self, key_stream: &mut KeyStream, sealed: &'a mut [u8]) -> Option<&'a [u8]> {
        let (mac, text) = sealed.split_first_chunk_mut::<MAC_LEN>()?;
        if !self.receiving.open(key_stream, mac, text) {
            return None;
        }
        self.receiving.advance(&self.key, 1);
        Some(text)
    }

    /// Begins a batch of packets: see [`Sealer`].
    pub fn sealer<'a>(&'a self, key_stream: &'a mut KeyStream) -> Sealer<'a> {
        Sealer { key: &self.key, cipher: self.sending.clone(), key_stream }
    }

    /// Says that the first `count` packets of the last batch have their place on the stream, and the others never will:
    /// the next batch begins behind them.
    pub fn commit(&mut self, count: usize) {
        self.sending.advance(&self.key, count);
    }
}

/// Seals packets in the order in which they would leave.
///
/// Nothing is spent until [`Channel::commit`]: a packet that the socket did not take is forgotten with its ciphertext,
/// and its nonce goes to whatever packet leaves in its place. No two packets that anybody saw share a nonce.
pub struct Sealer<'a> {
    key: &'a Key,
    cipher: CipherState,
    key_stream: &'a mut KeyStream,
}

impl Sealer<'_> {
    /// Seals `MAC | plaintext` in place: the first 16 bytes are overwritten.
    pub fn seal(&mut self, packet: &mut [u8]) {
        let (mac, text) = packet.split_first_chunk_mut::<MAC_LEN>().expect("room for the MAC");
        *mac = self.cipher.seal(self.key_stream, text);
        self.cipher.advance(self.key, 1);
    }
}
