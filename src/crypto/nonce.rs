//! Counted nonces.

/// The length of a nonce.
pub(crate) const NONCE_LEN: usize = 24;

/// The length of the part from which XSalsa20 derives a subkey; the other 8 bytes are the nonce of Salsa20.
pub(super) const PREFIX_LEN: usize = 16;

/// A NaCl nonce. It is counted as one big-endian number of 24 bytes, so the last byte changes first; zero follows the
/// largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nonce([u8; NONCE_LEN]);

impl Nonce {
    #[cfg(test)]
    pub(super) const fn as_bytes(&self) -> &[u8; NONCE_LEN] {
        &self.0
    }

    /// The first 16 bytes, which change only when the last 8 overflow.
    pub(super) fn prefix(&self) -> &[u8; PREFIX_LEN] {
        self.0.first_chunk().expect("a nonce is longer than its prefix")
    }

    /// The last 8 bytes.
    pub(super) fn count(&self) -> u64 {
        u64::from_be_bytes(*self.0.last_chunk().expect("a nonce is longer than a count"))
    }

    /// Moves to the next nonce.
    pub fn increment(&mut self) {
        for byte in self.0.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                return;
            }
        }
    }
}

impl From<[u8; NONCE_LEN]> for Nonce {
    fn from(bytes: [u8; NONCE_LEN]) -> Self {
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incrementing_carries_through_all_24_bytes() {
        for ones in 0..=NONCE_LEN {
            let mut bytes = [0; NONCE_LEN];
            bytes[NONCE_LEN - ones..].fill(0xff);
            let mut nonce = Nonce(bytes);
            nonce.increment();
            let mut expected = [0; NONCE_LEN];
            if ones < NONCE_LEN {
                expected[NONCE_LEN - ones - 1] = 1;
            }
            assert_eq!(nonce.0, expected, "{ones} bytes of 0xff");
        }
    }
}
