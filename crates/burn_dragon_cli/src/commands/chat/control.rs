//! Control characters in a line: keys that a terminal sends as escape sequences, and what a file has by mistake.

use std::fmt;

/// Control character in a line. Such a line is not read: a model would keep it in its memory and continue it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ControlCharacter {
    character: char,
    /// Byte of the line at which it stands, from 1.
    at: usize,
}

impl ControlCharacter {
    /// The first control character of a line. Tabs are text, and so are newlines in a text that was pasted as one.
    /// Bytes that are not UTF-8 are none: a model of bytes may read any text.
    pub(super) fn first(line: &[u8]) -> Option<Self> {
        let mut start = 0;
        for chunk in line.utf8_chunks() {
            let mut characters = chunk.valid().char_indices();
            let found = characters.find(|(_, c)| c.is_control() && !"\t\n".contains(*c));
            if let Some((at, character)) = found {
                let at = start + at + 1;
                return Some(Self { character, at });
            }
            start += chunk.valid().len() + chunk.invalid().len();
        }
        None
    }
}

impl fmt::Display for ControlCharacter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the line has the control character U+{:04X} at byte {}, so it was not read: the model would remember it as text; \
             remove it and send the line again",
            u32::from(self.character),
            self.at
        )
    }
}

impl std::error::Error for ControlCharacter {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_key_sends_is_found_and_text_is_not() {
        let at = |line: &[u8]| ControlCharacter::first(line).map(|found| (found.character, found.at));
        assert_eq!(at(b"\x1b[A"), Some(('\u{1b}', 1)));
        assert_eq!(at("né\r, \u{7f}".as_bytes()), Some(('\r', 4)));
        assert_eq!(at("a \u{9b}".as_bytes()), Some(('\u{9b}', 3)));
        assert_eq!(at(b"\xff\xfe\0"), Some(('\0', 3)));
        for text in ["", "Hugo\thid", "two\nlines", "日本語 \u{200f}"] {
            assert_eq!(at(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(at(b"\xff\x9b"), None);
        let said = ControlCharacter::first(b"\x1b[A").unwrap().to_string();
        assert!(said.contains("U+001B") && said.contains("byte 1"), "{said}");
    }
}
