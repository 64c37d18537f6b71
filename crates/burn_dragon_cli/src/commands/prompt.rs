//! Prompt: the text to continue, as bytes and as tokens.

use super::live::Pulse;
use burn_dragon::api::language::{LanguageModel, Prefix, TokenizerSpec};
use burn_dragon_train::api::Interrupt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Prompt: the text to continue.
#[derive(Debug)]
pub(super) struct Prompt {
    /// Text as it was given; it is shown before the continuation.
    pub(super) text: Vec<u8>,
    /// Tokens of the text.
    pub(super) tokens: Vec<u32>,
}

impl Prompt {
    /// Prompt of a text. A list of bare ids is rewritten in the format of the model's own output.
    pub(super) fn of_text(text: Vec<u8>, model: &LanguageModel) -> anyhow::Result<Self> {
        let tokens = model.tokenizer.encode(&text)?;
        match model.tokenizer.spec() {
            TokenizerSpec::Ids { .. } => Self::of_tokens(tokens, model),
            _ => Ok(Self { text, tokens }),
        }
    }

    /// Prompt of token ids, whose text is decoded.
    pub(super) fn of_tokens(tokens: Vec<u32>, model: &LanguageModel) -> anyhow::Result<Self> {
        let text = model.tokenizer.decode(&tokens)?.into_bytes();
        Ok(Self { text, tokens })
    }
}

/// Extent of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// Number of tokens read.
    pub(super) read: usize,
    /// Number of tokens in all.
    pub(super) of: usize,
}

impl Extent {
    /// Whether all tokens were read.
    pub(super) fn is_whole(self) -> bool {
        self.read == self.of
    }
}

/// Reads a text piece by piece and shows the progress if it takes long. Stops between two pieces if the user
/// interrupts.
pub(super) fn read(reading: &mut Prefix, tokens: &[u32], interrupt: &Interrupt) -> anyhow::Result<Extent> {
    let (done, of) = (Arc::new(AtomicUsize::new(0)), tokens.len());
    let shown = done.clone();
    let _pulse = Pulse::of(move |_| progress(shown.load(Ordering::Relaxed), of));
    let read = reading.read_while(tokens, |read| {
        done.store(read, Ordering::Relaxed);
        if interrupt.requested() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    Ok(Extent { read: read?, of })
}

fn progress(read: usize, of: usize) -> String {
    let percent = 100.0 * read as f64 / of.max(1) as f64;
    format!("prompt: {read} of {of} tokens read, {percent:.0} %")
}
