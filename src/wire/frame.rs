//! Encrypted packets on the stream: `length (2, big endian) | MAC (16) | ciphertext (length - 16)`.

use crate::error::Violation;

/// The length of the length field.
pub(crate) const PREFIX_LEN: usize = 2;

/// The MAC of a NaCl box.
pub const MAC_LEN: usize = 16;

/// The bytes that precede a plaintext on the stream: the length field and the MAC.
pub const OVERHEAD: usize = PREFIX_LEN + MAC_LEN;

/// The longest plaintext: the length field is 17..=2048, which includes the MAC.
pub const MAX_PLAINTEXT: usize = 2032;

/// The shortest packet on the stream, including its length field: its plaintext is only the kind.
pub(crate) const MIN_FRAME: usize = OVERHEAD + 1;

/// The longest packet on the stream, including its length field.
pub(crate) const MAX_FRAME: usize = OVERHEAD + MAX_PLAINTEXT;

/// The length of the whole frame that begins with `bytes`, including its length field; `None` while that field is
/// incomplete.
pub fn frame_len(bytes: &[u8]) -> Result<Option<usize>, Violation> {
    let Some(&prefix) = bytes.first_chunk::<PREFIX_LEN>() else {
        return Ok(None);
    };
    let length = u16::from_be_bytes(prefix);
    match usize::from(length) {
        sealed if sealed > MAC_LEN && sealed <= MAC_LEN + MAX_PLAINTEXT => Ok(Some(PREFIX_LEN + sealed)),
        _ => Err(Violation::PacketLength(length)),
    }
}

/// The length of the whole frame, from the length field that [`emit_prefix`] wrote.
pub(crate) fn emitted_len(frame: &[u8]) -> usize {
    let prefix = frame.first_chunk().expect("a length field");
    PREFIX_LEN + usize::from(u16::from_be_bytes(*prefix))
}

/// Writes the length field of a frame into its first two bytes; `frame` is the whole frame.
pub fn emit_prefix(frame: &mut [u8]) {
    debug_assert!((OVERHEAD + 1..=MAX_FRAME).contains(&frame.len()));
    let sealed = (frame.len() - PREFIX_LEN) as u16;
    frame[..PREFIX_LEN].copy_from_slice(&sealed.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_17_to_2048_is_a_valid_length() {
        for length in 0..=u16::MAX {
            let bytes = length.to_be_bytes();
            let whole = frame_len(&bytes);
            if (17..=2048).contains(&length) {
                assert_eq!(whole, Ok(Some(usize::from(length) + 2)));
            } else {
                assert_eq!(whole, Err(Violation::PacketLength(length)));
            }
        }
    }

    #[test]
    fn half_a_length_field_is_incomplete() {
        assert_eq!(frame_len(&[]), Ok(None));
        assert_eq!(frame_len(&[0xff]), Ok(None));
    }

    #[test]
    fn an_emitted_length_field_is_read_back() {
        for len in [OVERHEAD + 1, 100, MAX_FRAME] {
            let mut frame = vec![0; len];
            emit_prefix(&mut frame);
            assert_eq!(frame_len(&frame), Ok(Some(len)));
        }
    }
}
