//! A prompt: what is to be continued, as it was given and as tokens, and how it is read.

use super::live::Line;
use burn_dragon::api::language::{LanguageModel, Prefix, TokenizerSpec};
use burn_dragon_train::api::Interrupt;
use std::ops::ControlFlow;

/// What is to be continued.
#[derive(Debug)]
pub(super) struct Prompt {
    /// As it is shown before its continuation: as it was given.
    pub(super) text: Vec<u8>,
    /// As the model reads it.
    pub(super) tokens: Vec<u32>,
}

impl Prompt {
    /// A text. A list of bare ids is written as the model's own are, so that its continuation stands apart.
    pub(super) fn of_text(text: Vec<u8>, model: &LanguageModel) -> anyhow::Result<Self> {
        let tokens = model.tokenizer.encode(&text)?;
        match model.tokenizer.spec() {
            TokenizerSpec::Ids { .. } => Self::of_tokens(tokens, model),
            _ => Ok(Self { text, tokens }),
        }
    }

    /// Tokens, whose text is what they stand for.
    pub(super) fn of_tokens(tokens: Vec<u32>, model: &LanguageModel) -> anyhow::Result<Self> {
        let text = model.tokenizer.decode(&tokens)?.into_bytes();
        Ok(Self { text, tokens })
    }
}

/// How far a text was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// Tokens read.
    pub(super) read: usize,
    /// Tokens there are.
    pub(super) of: usize,
}

impl Extent {
    /// Whether nothing is left.
    pub(super) fn is_whole(self) -> bool {
        self.read == self.of
    }
}

/// Reads a text piece by piece, says how far it is if that takes long, and breaks off between two pieces when someone
/// asks to stop.
pub(super) fn read(reading: &mut Prefix, tokens: &[u32], interrupt: &Interrupt) -> anyhow::Result<Extent> {
    let (mut line, of) = (Line::new(), tokens.len());
    let read = reading.read_while(tokens, |read| {
        if read < of {
            line.show(false, || {
                format!(
                    "prompt: {read} of {of} tokens read, {:.0} %",
                    100.0 * read as f64 / of as f64
                )
            });
        }
        if interrupt.requested() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    line.erase();
    Ok(Extent { read: read?, of })
}
