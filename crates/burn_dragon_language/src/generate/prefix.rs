//! Prefixes: texts that were read.

use super::DrawnOn;
use super::config::Decoding;
use super::context::{Context, ContextStrategy};
use crate::error::LanguageError;
use burn_dragon_core::api::{Ahead, DecoderError, Dragon, DragonState, Drawn};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Instant;

/// Prefix of a text: the memory after the tokens read so far, and the logits of the next one.
///
/// Its size depends on the model alone: the memory, and the set of tokens read for the repetition penalty. Cloning
/// forks the stream: the weights are shared, the memory is copied.
#[derive(Clone, Debug)]
pub struct Prefix {
    context: Context,
    seen: BTreeSet<u32>,
    lately: (usize, f64), // tokens of the last text read, and its seconds
}

impl Prefix {
    pub(super) fn new(dragon: &Dragon, strategy: ContextStrategy, decoding: Decoding) -> Self {
        Self::of(Context::new(dragon, strategy, decoding), BTreeSet::new())
    }

    /// Prefix with the memory of `context`, which has read the tokens of `seen` and no others.
    pub(super) fn of(context: Context, seen: BTreeSet<u32>) -> Self {
        Self {
            context,
            seen,
            lately: (0, 0.0),
        }
    }

    /// An empty prefix of the same model and context. The weights are shared.
    pub fn fresh(&self) -> Self {
        Self::of(self.context.fresh(), BTreeSet::new())
    }

    /// Reads more tokens. Reading a text in pieces is the same function as reading it at once. It gives the same bits
    /// if pieces end at multiples of [`PIECE`](Self::PIECE) tokens of the stream.
    ///
    /// # Errors
    /// If a token is outside the vocabulary. Then no token is read.
    pub fn read(&mut self, tokens: &[u32]) -> Result<(), LanguageError> {
        self.read_while(tokens, |_| ControlFlow::Continue(())).map(|_| ())
    }

    /// [Reads](Self::read) tokens piece by piece and returns the number of tokens read. `go_on` gets that number after
    /// each piece and may stop the reading. A reading that was stopped and continued gives the same bits as one without
    /// a stop.
    ///
    /// # Errors
    /// If a token is outside the vocabulary. Then no token is read.
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

    /// Number of tokens in a piece. Pieces end at multiples of it.
    pub const PIECE: usize = 1024;

    /// Number of tokens until the end of the current piece.
    fn room(&self) -> usize {
        Self::PIECE - (self.tokens() % Self::PIECE as u64) as usize
    }

    /// Reads a token that was generated.
    pub(super) fn read_own(&mut self, id: u32) -> Result<(), DecoderError> {
        self.context.read(&[id])?;
        self.seen.insert(id);
        Ok(())
    }

    /// Reads a token that was generated, and draws what follows on the device; `None`, with nothing read, where that
    /// cannot draw. Which tokens were [seen](Self::saw) is left to the caller.
    pub(super) fn draw_ahead(&mut self, id: u32, ahead: &Ahead<'_>) -> Result<Option<Drawn>, DecoderError> {
        self.context.draw_ahead(id, ahead)
    }

    /// Goes back within the last draw: `read` of its tokens are then read, and `beyond` are not.
    pub(super) fn rewind(&mut self, read: usize, beyond: usize) {
        self.context.rewind(read, beyond);
    }

    /// Records a token that was read.
    pub(super) fn saw(&mut self, id: Option<u32>) {
        self.seen.extend(id);
    }

    /// Where the tokens that follow are drawn.
    pub fn drawn_on(&self) -> DrawnOn {
        self.context.drawn_on()
    }

    /// Number of tokens read so far, including forgotten ones.
    pub fn tokens(&self) -> u64 {
        self.context.tokens()
    }

    /// Mean number of levels of the tokens that were read one at a time; `None` if all levels run.
    pub fn mean_levels(&self) -> Option<f64> {
        self.context.mean_levels()
    }

    /// Strategy of the context.
    pub fn strategy(&self) -> ContextStrategy {
        self.context.strategy()
    }

    /// Copy of the memory: one lane, which gives the logits. A sliding context after its first window has a second
    /// lane, the younger one.
    pub fn state(&self) -> DragonState {
        self.context.state()
    }

    /// Logits `[V]` of the next token.
    pub(super) fn logits(&self) -> Result<&[f32], LanguageError> {
        match (self.context.logits(), self.tokens()) {
            (Some(logits), _) => Ok(logits),
            (None, 0) => Err(LanguageError::EmptyPrompt),
            (None, tokens) => Err(LanguageError::NothingNew { tokens }),
        }
    }

    /// Distinct tokens read since the stream began, including forgotten ones.
    pub fn seen(&self) -> &BTreeSet<u32> {
        &self.seen
    }

    /// Speed of the last read, in tokens per second.
    pub(super) fn tokens_per_second(&self) -> f64 {
        let (tokens, seconds) = self.lately;
        tokens as f64 / seconds.max(1e-9)
    }
}
