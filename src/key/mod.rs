//! The public and secret keys of the public interface.

mod x25519;

pub use x25519::KEY_LEN;

use std::fmt;
use std::hint::black_box;
use std::str::FromStr;

use rand::TryRng;
use rand::rngs::{SysError, SysRng};
use zeroize::Zeroize;

/// The hexadecimal digits of a Tox ID: a public key, a nospam (4 bytes) and a checksum (2 bytes).
const TOX_ID_DIGITS: usize = 2 * (KEY_LEN + 4 + 2);

/// An X25519 public key: the DHT public key of a relay, of a peer, or our own.
///
/// Written and read as 64 hexadecimal digits, as everywhere in Tox. Two keys are equal if all 32 bytes are equal;
/// relays compare them in the same way. X25519 accepts other encodings of some keys as the same key, but deriving a key
/// from a secret one always results in the same encoding.
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
    /// The key with these 32 bytes; usable in constants.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// const KEY: PublicKey = PublicKey::from_bytes([9; KEY_LEN]);
    /// ```
    #[must_use]
    pub const fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// The key's 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// Whether this is a number below 2^255 - 19, like every key that is derived from a secret one. X25519 ignores the
    /// highest bit and reduces the rest (RFC 7748, section 5), so other bytes can encode the same key, but no honest
    /// side uses them.
    pub(crate) fn is_canonical(&self) -> bool {
        let [lowest, middle @ .., highest] = &self.0;
        let at_least_p = *highest == 0x7f && middle.iter().all(|byte| *byte == 0xff) && *lowest >= 0xed;
        *highest < 0x80 && !at_least_p
    }
}

impl From<[u8; KEY_LEN]> for PublicKey {
    fn from(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }
}

/// 32 bytes, as from a file or a message.
impl TryFrom<&[u8]> for PublicKey {
    type Error = KeyError;

    fn try_from(bytes: &[u8]) -> Result<Self, KeyError> {
        bytes.try_into().map(Self).map_err(|_| KeyError::Bytes(bytes.len()))
    }
}

/// Why a text, or a sequence of bytes, is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is a Tox ID, which people give to their friends. It contains the long-term key of a person. Relays and
    /// their clients use DHT keys instead.
    #[error(
        "76 hexadecimal digits are a Tox ID: its first 64 are a person's long-term key, \
         and a relay knows relays and peers by their DHT keys"
    )]
    ToxId,
    /// The text does not have 64 bytes. This is its length in bytes.
    #[error("a key has 64 hexadecimal digits, not {0} bytes of text")]
    Length(usize),
    /// There are not 32 bytes.
    #[error("a key has 32 bytes, not {0}")]
    Bytes(usize),
    /// The character at this position (in bytes) is not a hexadecimal digit.
    #[error("the character at position {0} is not a hexadecimal digit")]
    Digit(usize),
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut key = Self([0; KEY_LEN]);
        read_digits(text, &mut key.0)?;
        Ok(key)
    }
}

/// Reads 64 hexadecimal digits into `key`, which is zero before. Keeps them nowhere else.
fn read_digits(text: &str, key: &mut [u8; KEY_LEN]) -> Result<(), KeyError> {
    if text.len() == TOX_ID_DIGITS && text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(KeyError::ToxId);
    }
    if text.len() != 2 * KEY_LEN {
        return Err(KeyError::Length(text.len()));
    }
    for (position, digit) in text.bytes().enumerate() {
        let value = char::from(digit).to_digit(16).ok_or(KeyError::Digit(position))?;
        key[position / 2] = key[position / 2] << 4 | value as u8;
    }
    Ok(())
}

/// 64 upper-case hexadecimal digits; `{:.8}` shows the first 8, which people use to compare keys.
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

/// An X25519 secret key. Wiped from memory when dropped, and never shown by `Debug`. Its bytes stay at the same address
/// on the heap when it is moved, so that moves leave no copies in memory. Keys are compared in constant time.
///
/// It can be created from its bytes (an array, a slice, a vector), and from 64 hexadecimal digits. What is moved into
/// the key is wiped; a slice or a text that the caller keeps must be wiped by the caller.
///
/// ```
/// use tox_relay_client::SecretKey;
///
/// let key = SecretKey::generate();
/// let from_file = key.as_bytes().to_vec(); // from `fs::read`
/// assert_eq!(SecretKey::try_from(from_file)?, key);
/// assert_eq!(format!("{key:?}"), "SecretKey(..)");
/// # Ok::<(), tox_relay_client::KeyError>(())
/// ```
#[derive(Clone)]
pub struct SecretKey(Box<[u8; KEY_LEN]>);

impl SecretKey {
    /// Creates a new key, directly from the random source of the operating system: no two processes get the same key,
    /// not even a process and its fork.
    ///
    /// # Panics
    ///
    /// If the operating system returns no random numbers, which only a broken or very restricted one does.
    pub fn generate() -> Self {
        Self::try_generate().expect("random numbers of the operating system")
    }

    pub(crate) fn try_generate() -> Result<Self, SysError> {
        let mut key = Self(Box::new([0; KEY_LEN]));
        SysRng.try_fill_bytes(key.0.as_mut_slice())?;
        Ok(key)
    }

    /// The key's 32 bytes. Keep them safe, and wipe copies of them.
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// The public key of this secret key. Computing it takes one scalar multiplication: about 10 microseconds.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(x25519::public_key(&self.0))
    }

    /// Calls `take` with the X25519 output for this key and `public`, and wipes that output. Returns `None` if `public`
    /// is of low order.
    pub(crate) fn with_shared_point<T>(
        &self,
        public: &PublicKey,
        take: impl FnOnce(&[u8; KEY_LEN]) -> T,
    ) -> Option<T> {
        x25519::with_shared_point(&self.0, &public.0, take)
    }
}

/// Wipes its argument. If the caller keeps another copy of the array, the caller must wipe that: see
/// [`as_bytes`](SecretKey::as_bytes).
impl From<[u8; KEY_LEN]> for SecretKey {
    fn from(mut bytes: [u8; KEY_LEN]) -> Self {
        let mut key = Self(Box::new([0; KEY_LEN]));
        key.0.copy_from_slice(&bytes);
        bytes.zeroize();
        key
    }
}

/// Does not wipe the slice.
impl TryFrom<&[u8]> for SecretKey {
    type Error = KeyError;

    fn try_from(bytes: &[u8]) -> Result<Self, KeyError> {
        let bytes: &[u8; KEY_LEN] = bytes.try_into().map_err(|_| KeyError::Bytes(bytes.len()))?;
        let mut key = Self(Box::new([0; KEY_LEN]));
        key.0.copy_from_slice(bytes);
        Ok(key)
    }
}

/// Wipes the vector, even if it is not a key.
impl TryFrom<Vec<u8>> for SecretKey {
    type Error = KeyError;

    fn try_from(mut bytes: Vec<u8>) -> Result<Self, KeyError> {
        let key = bytes.as_slice().try_into();
        bytes.zeroize();
        key
    }
}

/// 64 hexadecimal digits. Does not wipe the text.
impl FromStr for SecretKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut key = Self(Box::new([0; KEY_LEN]));
        read_digits(text, &mut key.0)?;
        Ok(key)
    }
}

/// In constant time.
impl PartialEq for SecretKey {
    fn eq(&self, other: &Self) -> bool {
        let differences = self.0.iter().zip(&*other.0).fold(0, |all, (one, other)| all | (one ^ other));
        black_box(differences) == 0
    }
}

impl Eq for SecretKey {}

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

/// A secret key and its public key, kept together because computing the public key is expensive.
#[derive(Debug)]
pub struct KeyPair {
    pub(crate) secret: SecretKey,
    pub(crate) public: PublicKey,
}

impl KeyPair {
    /// The public key.
    pub fn public_key(&self) -> PublicKey {
        self.public
    }
}

impl From<SecretKey> for KeyPair {
    fn from(secret: SecretKey) -> Self {
        Self { public: secret.public_key(), secret }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of Alice and Bob in RFC 7748, section 6.1: secret, public.
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
    fn only_numbers_below_p_are_canonical() {
        let number = |lowest, middle, highest| {
            let mut bytes = [middle; KEY_LEN];
            (bytes[0], bytes[KEY_LEN - 1]) = (lowest, highest);
            PublicKey(bytes)
        };
        // 0, 18, p - 1, and two other numbers below p.
        for canonical in [(0, 0, 0), (18, 0, 0), (0xec, 0xff, 0x7f), (0xff, 0xfe, 0x7f), (0xff, 0xff, 0x7e)] {
            let (lowest, middle, highest) = canonical;
            assert!(number(lowest, middle, highest).is_canonical(), "{canonical:x?}");
            assert!(
                !number(lowest, middle, highest | 0x80).is_canonical(),
                "{canonical:x?} and the highest bit"
            );
        }
        for lowest in 0xed..=0xff {
            assert!(!number(lowest, 0xff, 0x7f).is_canonical(), "p + {}", lowest - 0xed);
        }
        for [_, public] in PAIRS {
            assert!(public.parse::<PublicKey>().expect("64 digits").is_canonical());
        }
    }

    #[test]
    fn the_bytes_of_a_secret_key_keep_their_address_when_it_is_moved() {
        let key = SecretKey::from([7; KEY_LEN]);
        let place = key.as_bytes().as_ptr();
        let pair = Box::new(KeyPair::from(key));
        assert_eq!(pair.secret.as_bytes().as_ptr(), place);
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
    fn a_secret_key_is_read_from_digits_slices_and_vectors_of_the_right_length() {
        for [secret, public] in PAIRS {
            let key: SecretKey = secret.parse().expect("64 digits");
            assert_eq!(key.public_key(), public.parse().expect("64 digits"));
            assert_eq!(SecretKey::try_from(&key.as_bytes()[..]).as_ref(), Ok(&key));
            assert_eq!(SecretKey::try_from(key.as_bytes().to_vec()), Ok(key));
        }
        for len in (0..100).filter(|len| *len != KEY_LEN) {
            assert_eq!(SecretKey::try_from(vec![1; len]), Err(KeyError::Bytes(len)));
            assert_eq!(SecretKey::try_from(&vec![1; len][..]), Err(KeyError::Bytes(len)));
            assert_eq!(PublicKey::try_from(&vec![1; len][..]), Err(KeyError::Bytes(len)));
        }
        assert_eq!(PublicKey::try_from(&[7; KEY_LEN][..]), Ok(PublicKey::from_bytes([7; KEY_LEN])));
        assert_eq!("0".repeat(63).parse::<SecretKey>(), Err(KeyError::Length(63)));
        assert_eq!(("0".repeat(63) + "g").parse::<SecretKey>(), Err(KeyError::Digit(63)));
        assert_eq!("0".repeat(76).parse::<SecretKey>(), Err(KeyError::ToxId));
    }

    #[test]
    fn secret_keys_are_equal_if_all_bytes_are() {
        let key = SecretKey::from([7; KEY_LEN]);
        assert_eq!(key, key.clone());
        for at in 0..KEY_LEN {
            let mut bytes = [7; KEY_LEN];
            bytes[at] ^= 0x80;
            assert_ne!(key, SecretKey::from(bytes), "byte {at}");
        }
    }

    #[test]
    fn a_tox_id_is_distinguished_from_a_key_of_another_length() {
        let id = "56A1ADE4B65B86BCD51CC73E2CD4E542179F47959FE3E0E21B4B0ACDADE51855D34D34D37CB5";
        let error = id.parse::<PublicKey>().unwrap_err();
        assert_eq!(error, KeyError::ToxId);
        let text = error.to_string();
        assert!(text.contains("Tox ID") && text.contains("first 64") && text.contains("DHT"), "{text}");
        assert_eq!(id.replace('5', "x").parse::<PublicKey>(), Err(KeyError::Length(76)));
    }

    #[test]
    fn an_invalid_key_is_reported_with_its_length_or_the_position() {
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
        // 64 bytes, but 63 characters.
        assert_eq!(parse(&("0".repeat(62) + "é")), Err(KeyError::Digit(62)));
    }
}
