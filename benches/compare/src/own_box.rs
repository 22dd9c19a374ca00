//! The library's box. It is not public; only this file uses its internals.

use tox_relay_client::internals::{Channel, KeyStream};

/// Seals and opens packets like one connection, with separately counted nonces for each direction.
pub struct OwnBox {
    channel: Box<Channel>,
    key_stream: KeyStream,
}

impl OwnBox {
    /// Creates a box from the shared key. Both directions start with the same nonce, so that packets sealed here can be
    /// opened here.
    pub fn new(shared_key: &[u8; 32], first_nonce: [u8; 24]) -> Self {
        let channel = Channel::new(&shared_key.into(), first_nonce.into(), first_nonce.into());
        Self { channel, key_stream: KeyStream::new() }
    }

    /// Uses only instructions that all processors of this architecture support.
    pub fn baseline(self) -> Self {
        Self { key_stream: KeyStream::baseline(), ..self }
    }

    /// Seals packets of `MAC | plaintext`, `len` bytes each, in place.
    pub fn seal(&mut self, packets: &mut [u8], len: usize) {
        let mut sealer = self.channel.sealer(&mut self.key_stream);
        packets.chunks_exact_mut(len).for_each(|packet| sealer.seal(packet));
        self.channel.commit(packets.len() / len);
        self.key_stream.wipe();
    }

    /// Opens packets of `MAC | ciphertext`, `len` bytes each, in place; returns `false` at the first that does not
    /// open.
    pub fn open(&mut self, packets: &mut [u8], len: usize) -> bool {
        let mut packets = packets.chunks_exact_mut(len);
        let all = packets.all(|packet| self.channel.open(&mut self.key_stream, packet).is_some());
        self.key_stream.wipe();
        all
    }
}
