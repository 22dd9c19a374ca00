//! Text from a remote server, made safe to show.

use std::fmt;

/// A short text from a remote server: up to 47 bytes of letters, digits, spaces and punctuation. Other characters are
/// replaced by `?`, since they could control a terminal or hide in a log.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Phrase {
    len: u8,
    /// UTF-8.
    bytes: [u8; Self::MAX],
}

impl Phrase {
    /// The largest length in bytes.
    pub(crate) const MAX: usize = 47;

    pub(crate) fn new(text: &str) -> Self {
        let mut phrase = Self { len: 0, bytes: [0; Self::MAX] };
        for letter in text.chars().map(|letter| if is_harmless(letter) { letter } else { '?' }) {
            let start = usize::from(phrase.len);
            let Some(place) = phrase.bytes.get_mut(start..start + letter.len_utf8()) else {
                break;
            };
            letter.encode_utf8(place);
            phrase.len += place.len() as u8;
        }
        phrase
    }

    /// Reads the bytes as UTF-8 or, if they are not, as Latin-1, which early HTTP used.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        // The bytes may end in the middle of a UTF-8 letter, so a replacement character at the end proves nothing.
        let whole = String::from_utf8_lossy(bytes);
        let text = whole.trim_end_matches(char::REPLACEMENT_CHARACTER);
        if text.contains(char::REPLACEMENT_CHARACTER) || text.is_ascii() {
            return Self::new(&bytes.iter().copied().map(char::from).collect::<String>());
        }
        Self::new(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Printable Latin-1, and letters and digits of other scripts. Marks that change the direction of the text or have no
/// width are not among them.
fn is_harmless(letter: char) -> bool {
    matches!(letter, ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{ff}') || letter.is_alphanumeric()
}

impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin_1_and_utf_8_are_shown_without_control_characters() {
        let shown = |bytes: &[u8]| Phrase::from_bytes(bytes).as_str().to_owned();
        assert_eq!(shown(b"Acc\xe8s refus\xe9"), "Accès refusé");
        assert_eq!(shown("Accès refusé".as_bytes()), "Accès refusé");
        assert_eq!(shown("Доступ запрещён".as_bytes()), "Доступ запрещён");
        assert_eq!(shown(b"a\x1b[31mb\tc\x7f"), "a?[31mb?c?");
        assert_eq!(shown(b"C1: \x9b31m \x85 \xad"), "C1: ?31m ? ?");
        // Overrides of direction, marks without width, line separators.
        assert_eq!(shown("a\u{202e}b\u{2066}c\u{200b}d\u{feff}e\u{2028}f".as_bytes()), "a?b?c?d?e?f");
    }

    #[test]
    fn a_phrase_ends_at_a_whole_letter_within_47_bytes() {
        assert_eq!(Phrase::new(&"x".repeat(200)).as_str(), "x".repeat(47));
        assert_eq!(Phrase::new(&"é".repeat(200)).as_str(), "é".repeat(23));
        assert_eq!(
            Phrase::new(&("x".to_owned() + &"é".repeat(200))).as_str(),
            "x".to_owned() + &"é".repeat(23)
        );
        assert!(Phrase::new("").is_empty());
    }
}
