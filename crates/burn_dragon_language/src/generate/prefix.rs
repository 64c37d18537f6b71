//! A text that was read.

use super::context::{Context, ContextStrategy};
use crate::error::LanguageError;
use burn_dragon_core::api::{DecoderError, Dragon, DragonState};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Instant;

/// A text that was read: what is remembered of it, and what could follow.
///
/// Its size depends on the model alone: memory, and the set of tokens that were read, for the repetition penalty.
/// Cloning it forks the stream: the weights are shared, the memory is copied.
#[derive(Clone, Debug)]
pub struct Prefix {
    context: Context,
    seen: BTreeSet<u32>,
    lately: (usize, f64), // tokens of the last text read, and its seconds
}

impl Prefix {
    pub(super) fn new(dragon: &Dragon, strategy: ContextStrategy) -> Self {
        Self::of(Context::new(dragon, strategy), BTreeSet::new())
    }

    /// What `context` remembers, of these tokens and no others.
    pub(super) fn of(context: Context, seen: BTreeSet<u32>) -> Self {
        Self {
            context,
            seen,
            lately: (0, 0.0),
        }
    }

    /// A reading of the same model and context that has read nothing; the weights are shared.
    pub fn fresh(&self) -> Self {
        Self::of(self.context.fresh(), BTreeSet::new())
    }

    /// Reads more tokens. Any split of a text into pieces is the same text: the same function, and, where the splits are
    /// [`PIECE`](Self::PIECE) tokens of the stream apart, the same bits.
    ///
    /// # Errors
    /// If one is outside the vocabulary; then none was read.
    pub fn read(&mut self, tokens: &[u32]) -> Result<(), LanguageError> {
        self.read_while(tokens, |_| ControlFlow::Continue(())).map(|_| ())
    }

    /// [`read`](Self::read)s tokens piece by piece, and gives how many were read. `go_on` is told so after each piece,
    /// and may break off; a text that is gone on with where it was broken off is read with the same bits as at once.
    ///
    /// # Errors
    /// If a token is outside the vocabulary; then none was read.
    pub fn read_while(
        &mut self,
        tokens: &[u32],
        mut go_on: impl FnMut(usize) -> ControlFlow<()>,
    ) -> Result<usize, LanguageError> {
        let vocab_size = self.context.vocab_size();
        if let Some(&id) = tokens.iter().find(|&&id| id as usize >= vocab_size) {
            return Err(LanguageError::UnknownToken { id, vocab_size });
        }
        let started = Instant::now();
        let mut read = 0;
        while read < tokens.len() {
            let rest = &tokens[read..];
            let piece = &rest[..rest.len().min(self.room())];
            self.context.read(piece)?;
            self.seen.extend(piece);
            read += piece.len();
            if go_on(read).is_break() {
                break;
            }
        }
        self.lately = (read, started.elapsed().as_secs_f64());
        Ok(read)
    }

    /// Tokens of a piece: a text is read piece by piece, and pieces end at multiples of it.
    pub const PIECE: usize = 1024;

    /// Tokens until the end of the piece that is being read.
    fn room(&self) -> usize {
        Self::PIECE - (self.tokens() % Self::PIECE as u64) as usize
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

    /// The tokens that were read since the stream began, each once, forgotten ones included.
    pub fn seen(&self) -> &BTreeSet<u32> {
        &self.seen
    }

    /// How fast the last text was read.
    pub(super) fn tokens_per_second(&self) -> f64 {
        let (tokens, seconds) = self.lately;
        tokens as f64 / seconds.max(1e-9)
    }
}
