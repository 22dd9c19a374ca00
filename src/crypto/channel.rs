//! The sealed packets of one connection, both ways.

use crypto_box::SalsaBox;
use crypto_box::aead::{AeadInPlace, generic_array::GenericArray};

use crate::crypto::nonce::Nonce;
use crate::wire::frame::MAC_LEN;

/// The keys and nonces of a connection after its handshake. The box wipes its key when dropped.
pub(crate) struct Channel {
    cipher: SalsaBox,
    /// Of the first packet whose place on the stream isn't certain yet.
    sending: Nonce,
    /// Of the next packet from the relay.
    receiving: Nonce,
}

impl Channel {
    pub(crate) fn new(cipher: SalsaBox, sending: Nonce, receiving: Nonce) -> Self {
        Self { cipher, sending, receiving }
    }

    /// Opens the relay's next packet, `MAC | ciphertext`, where it lies. `None` if it isn't the relay's next packet;
    /// there is no way to go on then.
    pub(crate) fn open<'a>(&mut self, sealed: &'a mut [u8]) -> Option<&'a [u8]> {
        let (mac, text) = sealed.split_at_mut_checked(MAC_LEN)?;
        let nonce = GenericArray::from_slice(self.receiving.as_bytes());
        self.cipher.decrypt_in_place_detached(nonce, b"", text, GenericArray::from_slice(mac)).ok()?;
        self.receiving.increment();
        Some(text)
    }

    /// Begins a batch of packets: see [`Sealer`].
    pub(crate) fn sealer(&self) -> Sealer<'_> {
        Sealer { cipher: &self.cipher, nonce: self.sending }
    }

    /// Says that the first `count` packets of the last batch have their place on the stream, and the others never will:
    /// the next batch begins behind them.
    pub(crate) fn commit(&mut self, count: usize) {
        for _ in 0..count {
            self.sending.increment();
        }
    }
}

/// Seals packets in the order in which they would leave.
///
/// Nothing is spent until [`Channel::commit`]: a packet that the socket did not take is forgotten with its ciphertext,
/// and its nonce goes to whatever packet leaves in its place. No two packets that anybody saw share a nonce.
pub(crate) struct Sealer<'a> {
    cipher: &'a SalsaBox,
    nonce: Nonce,
}

impl Sealer<'_> {
    /// Seals `MAC | plaintext` in place: the first 16 bytes are overwritten.
    pub(crate) fn seal(&mut self, packet: &mut [u8]) {
        let (mac, text) = packet.split_at_mut(MAC_LEN);
        let nonce = GenericArray::from_slice(self.nonce.as_bytes());
        let tag = self
            .cipher
            .encrypt_in_place_detached(nonce, b"", text)
            .expect("a box takes any text of this size");
        mac.copy_from_slice(&tag);
        self.nonce.increment();
    }
}
