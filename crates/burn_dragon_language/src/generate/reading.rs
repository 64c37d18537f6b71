//! A text that was read.

use super::context::{Context, ContextStrategy};
use crate::error::LanguageError;
use burn_dragon_core::{DecoderError, Dragon, DragonState};
use std::collections::BTreeSet;
use std::time::Instant;

/// A text that was read: what is remembered of it, and what could follow.
///
/// Its size depends on the model alone. Cloning it forks the stream: the weights are shared, the memory is copied.
#[derive(Clone, Debug)]
pub struct Reading {
    context: Context,
    seen: BTreeSet<u32>,
    lately: (usize, f64), // tokens of the last text read, and its seconds
}

impl Reading {
    pub(super) fn new(dragon: &Dragon, strategy: ContextStrategy) -> Self {
        Self::of(Context::new(dragon, strategy))
    }

    pub(super) fn of(context: Context) -> Self {
        Self {
            context,
            seen: BTreeSet::new(),
            lately: (0, 0.0),
        }
    }

    /// A reading of the same model and context that has read nothing; the weights are shared.
    pub fn fresh(&self) -> Self {
        Self::of(self.context.fresh())
    }

    /// Reads more tokens. Any split of a text into pieces is the same text.
    ///
    /// # Errors
    /// If one is outside the vocabulary; then none was read.
    pub fn read(&mut self, tokens: &[u32]) -> Result<(), LanguageError> {
        let vocab_size = self.context.vocab_size();
        if let Some(&id) = tokens.iter().find(|&&id| id as usize >= vocab_size) {
            return Err(LanguageError::UnknownToken { id, vocab_size });
        }
        let started = Instant::now();
        self.context.read(tokens)?;
        self.lately = (tokens.len(), started.elapsed().as_secs_f64());
        self.seen.extend(tokens);
        Ok(())
    }

    /// Reads a token that was written.
    pub(super) fn read_own(&mut self, id: u32) -> Result<(), DecoderError> {
        self.context.read(&[id])?;
        self.seen.insert(id);
        Ok(())
    }

    /// Tokens read so far, forgotten ones included.
    pub fn tokens(&self) -> u64 {
        self.context.tokens()
    }

    /// How far back the memory reaches.
    pub fn strategy(&self) -> ContextStrategy {
        self.context.strategy()
    }

    /// A copy of the memory: one lane that answers, and, in a sliding context after its first window, a second that is
    /// younger.
    pub fn state(&self) -> DragonState {
        self.context.state()
    }

    /// Logits `[V]` of what follows.
    pub(super) fn logits(&self) -> Result<&[f32], LanguageError> {
        match (self.context.logits(), self.tokens()) {
            (Some(logits), _) => Ok(logits),
            (None, 0) => Err(LanguageError::EmptyPrompt),
            (None, tokens) => Err(LanguageError::NothingNew { tokens }),
        }
    }

    /// Each token that was read since the beginning or the file, once.
    pub(super) fn seen(&self) -> impl Iterator<Item = u32> {
        self.seen.iter().copied()
    }

    /// How fast the last text was read.
    pub(super) fn tokens_per_second(&self) -> f64 {
        let (tokens, seconds) = self.lately;
        tokens as f64 / seconds.max(1e-9)
    }
}
