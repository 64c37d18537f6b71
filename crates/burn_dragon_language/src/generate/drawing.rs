//! Drawing of tokens: one by one from logits, or ahead on a device.
//!
//! Ahead, a batch of tokens is drawn and read before the first of them is seen here. Where the generation ends within a
//! batch, the prefix goes back to the last token that belongs to it.

use super::{Generator, Prefix, Sampler};
use crate::error::LanguageError;
use burn_dragon_core::api::{Ahead, Decoder, DecoderError};
use std::fmt;

/// Where the tokens of a generation are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrawnOn {
    /// On the processor, which computes the logits.
    Processor,
    /// On the device that computes the logits, so many tokens at a time.
    Device {
        /// Largest number of tokens between two looks at them.
        ahead: usize,
    },
    /// On the processor, from logits that are read back for each token.
    ReadBack {
        /// Why not on the device.
        why: &'static str,
    },
}

impl fmt::Display for DrawnOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Processor => f.write_str("tokens are drawn on the processor"),
            Self::Device { ahead } => write!(f, "tokens are drawn on the device, {ahead} at a time"),
            Self::ReadBack { why } => write!(
                f,
                "tokens are drawn on the processor, from logits read back: {why}"
            ),
        }
    }
}

/// Tokens of one generation.
pub(super) struct Drawing<'a> {
    reading: &'a mut Prefix,
    sampler: Sampler,
    /// Token that ends a text.
    end: Option<u32>,
    /// Whether the prefix goes on after the generation.
    keeps: bool,
    /// Last token that was given out, unless it is the end.
    last: Option<u32>,
    batch: Batch,
}

/// Tokens that were drawn ahead, of which some were given out. All but the last are read.
#[derive(Default)]
struct Batch {
    tokens: Vec<u32>,
    given: usize,
    /// Whether the last is read, too.
    is_read: bool,
}

impl Batch {
    /// Whether all were given out.
    fn is_over(&self) -> bool {
        self.given == self.tokens.len()
    }
}

impl<'a> Drawing<'a> {
    /// Draws that follow a prefix; `keeps` if that goes on after them.
    pub(super) fn new(generator: &Generator<'_>, reading: &'a mut Prefix, keeps: bool) -> Self {
        let mut sampler = Sampler::new(generator.config);
        reading.seen().iter().for_each(|&id| sampler.observe(id));
        Self {
            reading,
            sampler,
            end: generator.tokenizer.end_of_text(),
            keeps,
            last: None,
            batch: Batch::default(),
        }
    }

    /// The next token, where at most `left` are wanted.
    pub(super) fn next(&mut self, left: usize) -> Result<u32, LanguageError> {
        self.reading.saw(self.last); // as it is read, or is about to be
        if self.batch.is_over() {
            let is_read = std::mem::take(&mut self.batch).is_read;
            if let Some(last) = self.last.take()
                && !is_read
            {
                self.read(last, left)?;
            }
        }
        let id = match self.batch.tokens.get(self.batch.given) {
            Some(&id) => {
                self.batch.given += 1;
                id
            }
            None => self.sampler.draw(self.reading.logits()?)?,
        };
        self.last = (self.end != Some(id)).then_some(id);
        self.last.into_iter().for_each(|id| self.sampler.observe(id));
        Ok(id)
    }

    /// Reads a token, and on a device draws up to `left` more.
    fn read(&mut self, token: u32, left: usize) -> Result<(), DecoderError> {
        let count = left.min(Decoder::MOST_AHEAD);
        let (draw, seen, uniforms) = self.sampler.ahead(count);
        let ahead = Ahead {
            count,
            draw,
            uniforms: &uniforms,
            seen: &[seen],
            end: self.end,
            keeps: self.keeps,
        };
        let Some(drawn) = self.reading.draw_ahead(token, &ahead)? else {
            return self.reading.read_own(token);
        };
        self.sampler.drawn(drawn.tokens.len());
        self.batch = Batch {
            tokens: drawn.tokens,
            given: 0,
            is_read: drawn.stuck,
        };
        Ok(())
    }

    /// Takes back what was read beyond the last token given out; that token, if it was not read and is not the end.
    pub(super) fn finish(self) -> Option<u32> {
        if self.batch.is_over() && self.batch.is_read {
            self.reading.saw(self.last);
            return None;
        }
        if !self.batch.is_over() && self.keeps {
            let beyond = self.batch.tokens.len() + usize::from(self.batch.is_read) - self.batch.given;
            self.reading.rewind(self.batch.given, beyond);
        }
        self.last
    }
}
