//! Modes of a chat: how a line joins the text, and where an answer ends.

use super::super::run_settings::RunSettings;
use super::text::End;
use crate::args::ChatMode;
use crate::exit::Usage;
use anyhow::Context;
use burn_dragon::api::language::{ChatTemplate, LanguageModel, LearntText};
use std::str;

impl ChatMode {
    /// Default mode of a model. One that was trained on tales has never read a newline. What it was trained on is in its
    /// file, or, of earlier versions, in its run.
    pub(super) fn of(model: &LanguageModel) -> Self {
        if model.chat.is_some() {
            return Self::Messages;
        }
        let run = || {
            let run = RunSettings::of_run(model.run.as_deref()?).ok()?;
            Some(LearntText::of_source(&run.dataset.source))
        };
        match model.text.or_else(run) {
            Some(LearntText::Tales | LearntText::Needles) => Self::Continue,
            _ => Self::Lines,
        }
    }

    /// How a line joins the text of this model.
    ///
    /// # Errors
    /// If the mode is `messages`, and the model has no chat template.
    pub(super) fn joining(self, model: &LanguageModel) -> Result<Joining<'_>, Usage> {
        Ok(match (self, &model.chat) {
            (Self::Continue, _) => Joining::Continue,
            (Self::Lines, _) => Joining::Line,
            (Self::Messages, Some(template)) => Joining::Message(template),
            (Self::Messages, None) => {
                let text = "the model has no chat template, which one trained on conversations (dataset.chat) has; the mode is \
                            `continue` or `lines`";
                return Err(Usage(text.into()));
            }
        })
    }
}

/// How a line joins the text of a model, and how an answer ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Joining<'a> {
    Continue,
    Line,
    Message(&'a ChatTemplate),
}

impl Joining<'_> {
    /// Texts that end an answer, unless others were given: the ends of a sentence, a newline, or the end of a message.
    pub(super) fn stops(self) -> Vec<String> {
        let stops: &[&str] = match self {
            Self::Continue => &[".", "!", "?", "\n"],
            Self::Line => &["\n"],
            Self::Message(template) => return template.stops(),
        };
        stops.iter().map(ToString::to_string).collect()
    }

    /// Text that ends every answer, also one that was cut off; none in the mode `continue`.
    pub(super) fn end(self) -> Option<String> {
        match self {
            Self::Continue => None,
            Self::Line => Some("\n".into()),
            Self::Message(template) => template.stops().pop(),
        }
    }

    /// Whether an answer without a token has its end too: the next message would continue it otherwise.
    pub(super) fn ends_nothing(self) -> bool {
        matches!(self, Self::Message(_))
    }

    /// Text that a line adds to a text, given the last byte of that text, if it has one.
    ///
    /// # Errors
    /// If a message is not UTF-8, or contains the text that ends it.
    pub(super) fn turn(self, line: &[u8], end: End) -> anyhow::Result<Vec<u8>> {
        Ok(match self {
            Self::Line => [line, b"\n"].concat(),
            Self::Continue if end.needs_space_before(line) => [b" ", line].concat(),
            Self::Continue => line.to_vec(),
            Self::Message(template) => {
                let line = str::from_utf8(line).context("a message must be UTF-8")?;
                template.turn(line)?.into_bytes()
            }
        })
    }
}

/// Rest of `end` that a text lacks: what follows the longest beginning of `end` that the text ends with.
pub(super) fn rest_of<'a>(end: &'a str, text: &str) -> &'a str {
    let read = end.char_indices().map(|(at, _)| at).chain([end.len()]);
    let read = read.rev().find(|&at| text.ends_with(&end[..at]));
    &end[read.unwrap_or(0)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_added_as_its_mode_says() {
        let turn = |joining: Joining<'_>, line: &str, end| {
            String::from_utf8(joining.turn(line.as_bytes(), end).unwrap()).unwrap()
        };
        for end in [End::Empty, End::Unknown, End::Byte(b'.')] {
            assert_eq!(turn(Joining::Line, "Hugo", end), "Hugo\n");
            assert_eq!(turn(Joining::Continue, "", end), "");
            assert_eq!(turn(Joining::Continue, " Hugo", end), " Hugo");
            assert_eq!(turn(Joining::Continue, ", then", end), ", then");
        }
        assert_eq!(turn(Joining::Continue, "Hugo", End::Empty), "Hugo");
        assert_eq!(turn(Joining::Continue, "Hugo", End::Byte(b' ')), "Hugo");
        assert_eq!(turn(Joining::Continue, "Hugo", End::Byte(b'.')), " Hugo");
        assert_eq!(turn(Joining::Continue, "Hugo", End::Unknown), " Hugo");
        assert_eq!(End::Byte(b'.').then(b""), End::Byte(b'.'));
        assert_eq!(End::Empty.then(b"ab"), End::Byte(b'b'));
    }

    #[test]
    fn a_message_is_a_turn_of_the_template_and_has_no_end_of_a_message_in_it() {
        let template = ChatTemplate::default();
        let message = Joining::Message(&template);
        let turn = message.turn("Hugo".as_bytes(), End::Unknown).unwrap();
        assert_eq!(turn, template.turn("Hugo").unwrap().into_bytes());
        assert_eq!(message.end(), template.stops().pop());
        let hostile = format!("a{}b", template.stops()[0]);
        assert!(message.turn(hostile.as_bytes(), End::Empty).is_err());
        assert!(message.turn(b"\xff", End::Empty).is_err());
    }

    #[test]
    fn of_an_end_only_what_is_missing_is_added() {
        for (text, rest) in [
            ("yes", "<end>"),
            ("yes<e", "nd>"),
            ("yes<end>", ""),
            ("", "<end>"),
            ("<end", ">"),
        ] {
            assert_eq!(rest_of("<end>", text), rest, "{text}");
        }
        assert_eq!(rest_of("\n", "a"), "\n");
    }
}
