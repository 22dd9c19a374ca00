//! Conversions of keys of `crypto_box`.

use crate::key::{PublicKey, SecretKey};

impl From<&crypto_box::PublicKey> for PublicKey {
    fn from(key: &crypto_box::PublicKey) -> Self {
        Self::from_bytes(*key.as_bytes())
    }
}

impl From<&crypto_box::SecretKey> for SecretKey {
    fn from(key: &crypto_box::SecretKey) -> Self {
        key.to_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_crypto_box_are_converted_to_the_same_keys() {
        let theirs = crypto_box::SecretKey::from_bytes([7; 32]);
        let ours = SecretKey::from(&theirs);
        assert_eq!(ours.as_bytes(), &[7; 32]);
        assert_eq!(ours.public_key(), PublicKey::from(&theirs.public_key()));
    }
}
