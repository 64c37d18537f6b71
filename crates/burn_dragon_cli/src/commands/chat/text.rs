//! Text of a chat, as a value: its memory, and how it ends.

use burn_dragon::api::language::Prefix;

/// Text so far, as a value.
#[derive(Clone, Debug)]
pub(super) struct Text {
    /// The memory.
    pub(super) reading: Prefix,
    /// How the text ends.
    pub(super) end: End,
}

impl Text {
    /// Text of a memory that was just opened.
    pub(super) fn of(reading: Prefix) -> Self {
        let end = if reading.tokens() == 0 {
            End::Empty
        } else {
            End::Unknown
        };
        Self { reading, end }
    }
}

/// End of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The text is empty.
    Empty,
    /// Its last byte.
    Byte(u8),
    /// Not known: the memory is from a file, which has no text.
    Unknown,
}

impl End {
    /// End of a text that this is added to.
    pub(super) fn then(self, added: &[u8]) -> Self {
        added.last().map_or(self, |last| Self::Byte(*last))
    }

    /// Whether a space belongs between the text and a line: neither has one, and the line is more than the rest of a
    /// sentence.
    pub(super) fn needs_space_before(self, line: &[u8]) -> bool {
        let open = match self {
            Self::Empty => false,
            Self::Byte(last) => !last.is_ascii_whitespace(),
            Self::Unknown => true,
        };
        let begins_word = |first: &u8| !first.is_ascii_whitespace() && !b".,;:!?)".contains(first);
        open && line.first().is_some_and(begins_word)
    }
}
