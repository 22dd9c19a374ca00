//! Sealing and opening the packets of one connection.

use crate::crypto::nonce::Nonce;
use crate::crypto::secretbox::{CipherState, Key, KeyStream};
use crate::wire::frame::MAC_LEN;

/// The key and nonces of a connection after its handshake. The keys are wiped when dropped.
pub struct Channel {
    key: Key,
    /// State for the next packet that is not committed to the stream.
    sending: CipherState,
    /// State for the relay's next packet.
    receiving: CipherState,
}

impl Channel {
    /// The keys are written directly into the box: moving them would leave copies in memory.
    pub fn new(key: &Key, sending: Nonce, receiving: Nonce) -> Box<Self> {
        let [sending, receiving] = [sending, receiving].map(CipherState::without_key);
        let mut channel = Box::new(Self { key: Key::NONE, sending, receiving });
        channel.key.set(key);
        channel.sending.set_subkey(key);
        channel.receiving.set_subkey(key);
        channel
    }

    /// Opens the relay's next packet, `MAC | ciphertext`, in place. Returns `None` and changes nothing if this is not
    /// the relay's next packet; the connection cannot continue then.
    pub fn open<'a>(&mut self, key_stream: &mut KeyStream, sealed: &'a mut [u8]) -> Option<&'a [u8]> {
        let (mac, text) = sealed.split_first_chunk_mut::<MAC_LEN>()?;
        if !self.receiving.open(key_stream, mac, text) {
            return None;
        }
        self.receiving.advance(&self.key, 1);
        Some(text)
    }

    /// Starts a batch of packets: see [`Sealer`].
    pub fn sealer<'a>(&'a self, key_stream: &'a mut KeyStream) -> Sealer<'a> {
        Sealer { key: &self.key, cipher: self.sending.clone(), key_stream }
    }

    /// Confirms that the first `count` packets of the last batch are on the stream. The other packets of the batch are
    /// discarded: the next batch starts after the confirmed ones.
    pub fn commit(&mut self, count: usize) {
        self.sending.advance(&self.key, count);
    }
}

/// Seals packets in the order in which they will be sent.
///
/// No nonce is used up until [`Channel::commit`]: if the socket does not accept a packet, its ciphertext is discarded
/// and the next packet gets its nonce. No two packets that were sent have the same nonce.
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
