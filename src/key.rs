//! Long-term keys as callers hold them.

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroize;

/// The length of a public or secret key: 32 bytes (X25519, RFC 7748).
pub const KEY_LEN: usize = 32;

/// An X25519 public key: the DHT public key of a relay, of a peer, or our own.
///
/// Written and read as 64 hexadecimal digits, as everywhere in Tox.
///
/// ```
/// use tox_relay_client::PublicKey;
///
/// let text = "3F0A45A268367C1BEA652F258C85F4A66DA76BCAA667A49E770BCC4917AB6A25";
/// let key: PublicKey = text.parse()?;
/// assert_eq!(key.to_string(), text);
/// assert!("3F0A45".parse::<PublicKey>().is_err());
/// # Ok::<(), tox_relay_client::KeyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; KEY_LEN]);

impl PublicKey {
    /// The key's 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl From<[u8; KEY_LEN]> for PublicKey {
    fn from(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }
}

/// Why a text is not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text has another length than 64.
    #[error("a public key has 64 hexadecimal digits, not {0} bytes of text")]
    Length(usize),
    /// A character is not a hexadecimal digit; its position in bytes.
    #[error("the character at position {0} is not a hexadecimal digit")]
    Digit(usize),
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text.len() != 2 * KEY_LEN {
            return Err(KeyError::Length(text.len()));
        }
        let mut bytes = [0; KEY_LEN];
        for (position, digit) in text.bytes().enumerate() {
            let value = char::from(digit).to_digit(16).ok_or(KeyError::Digit(position))?;
            bytes[position / 2] = bytes[position / 2] << 4 | value as u8;
        }
        Ok(Self(bytes))
    }
}

/// 64 upper-case hexadecimal digits.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// An X25519 secret key. Wiped from memory when dropped, and never shown by `Debug`.
///
/// ```
/// use tox_relay_client::SecretKey;
///
/// let key = SecretKey::generate();
/// let same = SecretKey::from(*key.as_bytes());
/// assert_eq!(key.public_key(), same.public_key());
/// assert_eq!(format!("{key:?}"), "SecretKey(..)");
/// ```
#[derive(Clone)]
pub struct SecretKey([u8; KEY_LEN]);

impl SecretKey {
    /// A new key from the thread's cryptographic random source.
    pub fn generate() -> Self {
        Self(rand::random())
    }

    /// The key's 32 bytes: keep them safe, and wipe copies of them.
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// The public key that belongs to it. Costs a scalar multiplication, some 15 microseconds.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(crypto_box::SecretKey::from_bytes(self.0).public_key().to_bytes())
    }
}

impl From<[u8; KEY_LEN]> for SecretKey {
    fn from(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
