//! Texts in structures and buffers of the caller's.

use std::ffi::{CString, c_char};
use std::fmt::Display;

/// The size of the texts in this library's structures, with the zero at their end. Longer ones are shortened.
pub const TRC_TEXT_SIZE: usize = 384;

/// The size of an address as text, with the zero at its end: a host name of 255 bytes, a colon and a port.
pub const TRC_ADDRESS_SIZE: usize = 264;

/// The text in an array, with a zero at its end. If it is too long, it is shortened to whole characters.
pub(crate) fn fixed<const SIZE: usize>(text: &impl Display) -> [c_char; SIZE] {
    let text = without_zeros(&text.to_string());
    let len = (0..SIZE).rev().find(|len| text.is_char_boundary(*len)).unwrap_or(0);
    let mut array = [0; SIZE];
    for (place, byte) in array.iter_mut().zip(&text.as_bytes()[..len]) {
        *place = *byte as c_char;
    }
    array
}

/// The text for C. Zero bytes, at which it would end, are replaced.
pub(crate) fn c_string(text: &impl Display) -> CString {
    CString::new(without_zeros(&text.to_string())).unwrap_or_default()
}

fn without_zeros(text: &str) -> String {
    text.replace('\0', "?")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const SIZE: usize>(text: &str) -> [u8; SIZE] {
        fixed(&text).map(|byte| byte as u8)
    }

    #[test]
    fn a_text_ends_with_a_zero_and_a_whole_character() {
        assert_eq!(bytes("abc"), *b"abc\0");
        assert_eq!(bytes("abcd"), *b"abc\0");
        assert_eq!(bytes("a"), *b"a\0\0\0");
        assert_eq!(bytes("ab\u{e9}"), *b"ab\0\0", "half of a character would be left");
        assert_eq!(bytes("a\0c"), *b"a?c\0");
        assert_eq!(c_string(&"a\0c"), c"a?c".to_owned());
    }
}
