//! The two messages of the handshake, which establish the keys of a connection.
//!
//! | message | bytes |
//! | --- | --- |
//! | hello (128) | client's public key (32), nonce (24), box (72) |
//! | response (96) | nonce (24), box (72) |
//!
//! Both boxes are sealed with the long-term keys of the two sides. The plaintext of each is
//! `temporary public key (32) | base nonce (24)`.

use std::fmt;
use std::sync::Arc;

use crate::crypto::channel::Channel;
use crate::crypto::nonce::{NONCE_LEN, Nonce};
use crate::crypto::secretbox::{open_one, seal_one};
use crate::crypto::shared_key::{SharedKey, box_key};
use crate::error::Impostor;
use crate::key::{KEY_LEN, PublicKey, SecretKey};
use crate::wire::frame::MAC_LEN;

const PAYLOAD_LEN: usize = KEY_LEN + NONCE_LEN;
const BOX_LEN: usize = MAC_LEN + PAYLOAD_LEN;

/// The length of the client's message.
pub(crate) const HELLO_LEN: usize = KEY_LEN + NONCE_LEN + BOX_LEN;

/// The length of the relay's message.
pub(crate) const RESPONSE_LEN: usize = NONCE_LEN + BOX_LEN;

/// The random values for the handshake of one attempt.
///
/// All of them come from a source that is good enough for keys, and are used once: if two attempts have the same ones,
/// their packets are sealed with the same keys and nonces, and can be decrypted and forged.
pub struct Entropy {
    /// The temporary secret key.
    pub temporary: SecretKey,
    /// The nonce of the hello's box.
    pub hello_nonce: [u8; NONCE_LEN],
    /// The nonce of the first packet that the client sends.
    pub base_nonce: [u8; NONCE_LEN],
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(..)")
    }
}

/// A handshake after the hello was created and before the response arrives.
pub struct Handshake {
    shared_key: Arc<SharedKey>,
    temporary: SecretKey,
    temporary_public: PublicKey,
    base_nonce: Nonce,
}

impl Handshake {
    /// Creates the client's hello for the relay of this shared key.
    pub fn new(shared_key: Arc<SharedKey>, entropy: &Entropy) -> (Self, [u8; HELLO_LEN]) {
        let handshake = Self {
            temporary: entropy.temporary.clone(),
            temporary_public: entropy.temporary.public_key(),
            base_nonce: entropy.base_nonce.into(),
            shared_key,
        };
        let mut hello = [0; HELLO_LEN];
        let (public, rest) = hello.split_at_mut(KEY_LEN);
        let (nonce, sealed) = rest.split_at_mut(NONCE_LEN);
        let (mac, payload) = sealed.split_at_mut(MAC_LEN);
        public.copy_from_slice(handshake.shared_key.client.as_bytes());
        nonce.copy_from_slice(&entropy.hello_nonce);
        payload[..KEY_LEN].copy_from_slice(handshake.temporary_public.as_bytes());
        payload[KEY_LEN..].copy_from_slice(&entropy.base_nonce);
        mac.copy_from_slice(&seal_one(&handshake.shared_key.key, entropy.hello_nonce.into(), payload));
        (handshake, hello)
    }

    /// The temporary public key that the hello contains.
    pub(crate) fn temporary(&self) -> PublicKey {
        self.temporary_public
    }

    /// Reads the relay's response. `ours`: the temporary keys of other handshakes with the same shared key.
    ///
    /// Success does not prove who sent it: an attacker without any key may have replayed an old response. The relay is
    /// authenticated when its first packet opens.
    pub fn finish(
        &self,
        response: &[u8; RESPONSE_LEN],
        ours: &[PublicKey],
    ) -> Result<Box<Channel>, Impostor> {
        let (nonce, sealed) = response.split_first_chunk::<NONCE_LEN>().expect("a nonce and a box");
        let (mac, payload) = sealed.split_first_chunk::<MAC_LEN>().expect("a MAC and a payload");
        let mut payload: [u8; PAYLOAD_LEN] = payload.try_into().expect("what is left of the response");
        if !open_one(&self.shared_key.key, (*nonce).into(), mac, &mut payload) {
            return Err(Impostor::WrongKey);
        }
        let (key, base_nonce) =
            payload.split_first_chunk::<KEY_LEN>().expect("a payload is longer than a key");
        let receiving: [u8; NONCE_LEN] = base_nonce.try_into().expect("what is left of the payload");
        let key = PublicKey::from(*key);
        if !key.is_canonical() {
            return Err(Impostor::NonCanonicalKey);
        }
        // Both boxes are sealed with the same key, so our own hello opens here like a response, and so does the hello
        // of another attempt. Comparing bytes is enough, since each key has only one canonical encoding.
        if key == self.temporary_public || ours.contains(&key) {
            return Err(Impostor::Reflection);
        }
        // Take it by reference, so that it is not copied and is wiped in place.
        let key = box_key(&self.temporary, &key);
        let key = key.as_ref().ok_or(Impostor::LowOrderKey)?;
        Ok(Channel::new(key, self.base_nonce, receiving.into()))
    }
}
