//! Modes of a chat: how a line joins the text, and where an answer ends.

use super::super::run_settings::RunSettings;
use super::text::End;
use crate::args::ChatMode;
use burn_dragon::api::language::{LanguageModel, SourceConfig};

impl ChatMode {
    /// Default mode of a model. One that was trained on tales has never read a newline.
    pub(super) fn of(model: &LanguageModel) -> Self {
        let run = || RunSettings::of_run(model.run.as_deref()?).ok();
        match run().map(|run| run.dataset.source) {
            Some(SourceConfig::Embedded(_) | SourceConfig::Needle(_)) => Self::Continue,
            _ => Self::Lines,
        }
    }

    /// Texts that end an answer, unless others were given: the ends of a sentence, or a newline.
    pub(super) fn stops(self) -> Vec<String> {
        let stops: &[&str] = match self {
            Self::Continue => &[".", "!", "?", "\n"],
            Self::Lines => &["\n"],
        };
        stops.iter().map(ToString::to_string).collect()
    }

    /// Text that a line adds to a text, given the last byte of that text, if it has one.
    pub(super) fn turn(self, line: &[u8], end: End) -> Vec<u8> {
        match self {
            Self::Lines => [line, b"\n"].concat(),
            Self::Continue if end.needs_space_before(line) => [b" ", line].concat(),
            Self::Continue => line.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_added_as_its_mode_says() {
        let turn =
            |mode: ChatMode, line: &str, end| String::from_utf8(mode.turn(line.as_bytes(), end)).unwrap();
        for end in [End::Empty, End::Unknown, End::Byte(b'.')] {
            assert_eq!(turn(ChatMode::Lines, "Hugo", end), "Hugo\n");
            assert_eq!(turn(ChatMode::Continue, "", end), "");
            assert_eq!(turn(ChatMode::Continue, " Hugo", end), " Hugo");
            assert_eq!(turn(ChatMode::Continue, ", then", end), ", then");
        }
        assert_eq!(turn(ChatMode::Continue, "Hugo", End::Empty), "Hugo");
        assert_eq!(turn(ChatMode::Continue, "Hugo", End::Byte(b' ')), "Hugo");
        assert_eq!(turn(ChatMode::Continue, "Hugo", End::Byte(b'.')), " Hugo");
        assert_eq!(turn(ChatMode::Continue, "Hugo", End::Unknown), " Hugo");
        assert_eq!(End::Byte(b'.').then(b""), End::Byte(b'.'));
        assert_eq!(End::Empty.then(b"ab"), End::Byte(b'b'));
    }
}
