//! Keys as callers hold them.

mod x25519;

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroize;

/// The length of a public or secret key: 32 bytes (X25519, RFC 7748).
pub const KEY_LEN: usize = 32;

/// A Tox ID: a public key, a nospam (4 bytes) and a checksum (2).
const TOX_ID_DIGITS: usize = 2 * (KEY_LEN + 4 + 2);

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
/// assert_eq!(format!("{key:.8}"), "3F0A45A2");
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

/// For callers who keep their keys in `crypto_box`.
impl From<&crypto_box::PublicKey> for PublicKey {
    fn from(key: &crypto_box::PublicKey) -> Self {
        Self(*key.as_bytes())
    }
}

/// Why a text is not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is a Tox ID, which people give to their friends. What stands in it is the long-term key of a person, and
    /// not the DHT key by which relays and their clients know each other.
    #[error(
        "76 hexadecimal digits are a Tox ID: its first 64 are a person's long-term key, \
         and a relay knows relays and peers by their DHT keys"
    )]
    ToxId,
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
        if text.len() == TOX_ID_DIGITS && text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(KeyError::ToxId);
        }
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

/// 64 upper-case hexadecimal digits; `{:.8}` shows the first 8, as people compare keys.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let mut text = String::with_capacity(2 * KEY_LEN);
        for byte in self.0 {
            text.push(DIGITS[usize::from(byte >> 4)].into());
            text.push(DIGITS[usize::from(byte & 15)].into());
        }
        f.pad(&text)
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

    /// The public key that belongs to it. Costs a scalar multiplication, some 10 microseconds.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(x25519::public_key(&self.0))
    }

    /// Hands over what X25519 makes of this key and another's public one, and wipes it; `None` where that one is of low
    /// order.
    pub(crate) fn with_shared_point<T>(
        &self,
        public: &PublicKey,
        take: impl FnOnce(&[u8; KEY_LEN]) -> T,
    ) -> Option<T> {
        x25519::with_shared_point(&self.0, &public.0, take)
    }
}

impl From<[u8; KEY_LEN]> for SecretKey {
    fn from(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }
}

/// For callers who keep their keys in `crypto_box`.
impl From<&crypto_box::SecretKey> for SecretKey {
    fn from(key: &crypto_box::SecretKey) -> Self {
        Self(key.to_bytes())
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

/// A secret key and the public key that belongs to it, which costs too much to be worked out twice.
pub struct KeyPair {
    pub secret: SecretKey,
    pub public: PublicKey,
}

impl From<SecretKey> for KeyPair {
    fn from(secret: SecretKey) -> Self {
        Self { public: secret.public_key(), secret }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Alice's and Bob's keys of RFC 7748, section 6.1: secret, public.
    const PAIRS: [[&str; 2]; 2] = [
        [
            "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
        ],
        [
            "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
            "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
        ],
    ];

    #[test]
    fn a_public_key_is_the_one_of_rfc_7748() {
        for [secret, public] in PAIRS {
            let digits: PublicKey = secret.parse().expect("64 digits");
            assert_eq!(SecretKey::from(*digits.as_bytes()).public_key(), public.parse().expect("64 digits"));
        }
    }

    #[test]
    fn keys_of_crypto_box_are_the_same_here() {
        let theirs = crypto_box::SecretKey::from_bytes([7; KEY_LEN]);
        let ours = SecretKey::from(&theirs);
        assert_eq!(ours.as_bytes(), &[7; KEY_LEN]);
        assert_eq!(ours.public_key(), PublicKey::from(&theirs.public_key()));
    }

    #[test]
    fn digits_are_read_in_either_case_and_written_in_upper_case() {
        let bytes: [u8; KEY_LEN] = std::array::from_fn(|at| 0x9a_u8.wrapping_add(5 * at as u8));
        let upper: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        for text in [&upper, &upper.to_lowercase()] {
            let key: PublicKey = text.parse().expect("64 digits");
            assert_eq!(key.as_bytes(), &bytes);
            assert_eq!(key.to_string(), upper);
        }
    }

    #[test]
    fn a_tox_id_is_told_from_a_key_of_another_length() {
        let id = "56A1ADE4B65B86BCD51CC73E2CD4E542179F47959FE3E0E21B4B0ACDADE51855D34D34D37CB5";
        let error = id.parse::<PublicKey>().unwrap_err();
        assert_eq!(error, KeyError::ToxId);
        let text = error.to_string();
        assert!(text.contains("Tox ID") && text.contains("first 64") && text.contains("DHT"), "{text}");
        assert_eq!(id.replace('5', "x").parse::<PublicKey>(), Err(KeyError::Length(76)));
    }

    #[test]
    fn what_is_no_key_is_told_with_its_length_or_place() {
        let parse = |text: &str| text.parse::<PublicKey>();
        for len in (0..200).filter(|len| ![64, 76].contains(len)) {
            assert_eq!(parse(&"0".repeat(len)), Err(KeyError::Length(len)));
        }
        for at in 0..64 {
            for wrong in ["g", " ", "+", "/", ":"] {
                let text = "0".repeat(at) + wrong + &"0".repeat(63 - at);
                assert_eq!(parse(&text), Err(KeyError::Digit(at)), "{text}");
            }
        }
        // 64 bytes, and 63 characters.
        assert_eq!(parse(&("0".repeat(62) + "é")), Err(KeyError::Digit(62)));
    }
}
