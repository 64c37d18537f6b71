//! Context of generation: unlimited memory, or a window beyond which tokens are forgotten exactly.

use super::DrawnOn;
use super::config::Decoding;
use crate::error::LanguageError;
use burn::tensor::Device;
use burn_dragon_core::api::{Ahead, Decoder, DecoderError, Dragon, DragonState, Drawn};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Strategy for the context: how far back the memory reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ContextStrategy {
    /// One state that is never cleared.
    Infinite {},
    /// Two states that start a window apart and are cleared every two windows. The older state gives the logits. So a
    /// prediction depends on at least one and at most two windows of tokens, and tokens further back have no influence.
    /// Only the repetition penalty lasts. It costs twice the time per token, constant at every length, and twice the
    /// memory.
    Sliding {
        /// Number of tokens in a window.
        window: usize,
    },
}

impl Default for ContextStrategy {
    fn default() -> Self {
        Self::Infinite {}
    }
}

impl ContextStrategy {
    pub(super) fn is_infinite(&self) -> bool {
        matches!(self, Self::Infinite {})
    }

    /// Maximum number of memories.
    pub(super) fn memories(self) -> usize {
        match self {
            Self::Infinite {} => 1,
            Self::Sliding { .. } => 2,
        }
    }

    pub(super) fn validate(self) -> Result<(), LanguageError> {
        match self {
            Self::Sliding { window: 0 } => Err(LanguageError::Config {
                key: "generation.context.window",
                reason: "is 0, but a window needs at least 1 token".into(),
            }),
            _ => Ok(()),
        }
    }
}

/// The streams of one text.
#[derive(Clone, Debug)]
pub(super) struct Context {
    strategy: ContextStrategy,
    elder: Decoder,
    younger: Option<Decoder>,
    read: u64,
    answers: bool, // a memory from a file does not, before it has read a token
}

impl Context {
    pub(super) fn new(dragon: &Dragon, strategy: ContextStrategy, decoding: Decoding) -> Self {
        Self {
            strategy,
            elder: decoding.decoder(dragon),
            younger: None,
            read: 0,
            answers: false,
        }
    }

    /// Goes on from the memories of a context that has read `read` tokens; `None` if such a context has another number
    /// of them.
    pub(super) fn resume(
        dragon: &Dragon,
        strategy: ContextStrategy,
        decoding: Decoding,
        state: DragonState,
        read: u64,
    ) -> Result<Option<Self>, DecoderError> {
        let mut context = Self::new(dragon, strategy, decoding);
        let pair = matches!(strategy, ContextStrategy::Sliding { window } if read > window as u64);
        if state.lanes() != if pair { 2 } else { 1 } {
            return Ok(None);
        }
        let state = state.cast(dragon.embed.val().dtype());
        if pair {
            let mut younger = context.elder.fresh();
            younger.resume(state.select_lanes(&[1])?)?;
            context.younger = Some(younger);
            context.elder.resume(state.select_lanes(&[0])?)?;
        } else {
            context.elder.resume(state)?;
        }
        context.read = read;
        Ok(Some(context))
    }

    /// Mean number of levels of the tokens that were read one at a time; `None` if all levels run.
    pub(super) fn mean_levels(&self) -> Option<f64> {
        self.elder.mean_levels()
    }

    /// A context of the same model that has read nothing; the weights are shared.
    pub(super) fn fresh(&self) -> Self {
        Self {
            strategy: self.strategy,
            elder: self.elder.fresh(),
            younger: None,
            read: 0,
            answers: false,
        }
    }

    /// Reads tokens, all in the vocabulary.
    pub(super) fn read(&mut self, tokens: &[u32]) -> Result<(), DecoderError> {
        let mut rest = tokens;
        while !rest.is_empty() {
            let room = self.turn();
            let (piece, later) = rest.split_at(rest.len().min(room));
            feed(&mut self.elder, piece)?;
            if let Some(younger) = &mut self.younger {
                feed(younger, piece)?;
            }
            self.read += piece.len() as u64;
            self.answers = true;
            rest = later;
        }
        Ok(())
    }

    /// Reads a token, all in the vocabulary, and draws what follows on the device; `None`, with nothing read, where that
    /// cannot draw.
    pub(super) fn draw_ahead(
        &mut self,
        token: u32,
        ahead: &Ahead<'_>,
    ) -> Result<Option<Drawn>, DecoderError> {
        if !self.strategy.is_infinite() {
            return Ok(None);
        }
        let drawn = self.elder.draw_ahead(&[token], ahead)?;
        let drawn = drawn.and_then(|mut lanes| lanes.pop()); // of the one lane
        if let Some(drawn) = &drawn {
            self.read += drawn.read() as u64;
            self.answers = true;
        }
        Ok(drawn)
    }

    /// Goes back within the last draw: `read` of its tokens are then read, and `beyond` are not.
    pub(super) fn rewind(&mut self, read: usize, beyond: usize) {
        self.elder.rewind(&[read]);
        self.read -= beyond as u64;
    }

    /// Where tokens are drawn.
    pub(super) fn drawn_on(&self) -> DrawnOn {
        if self.elder.dragon().device().inner() == Device::flex() {
            return DrawnOn::Processor;
        }
        match (self.elder.draws_on_device(), self.strategy) {
            (true, ContextStrategy::Infinite {}) => DrawnOn::Device {
                ahead: Decoder::MOST_AHEAD,
            },
            (true, ContextStrategy::Sliding { .. }) => DrawnOn::ReadBack {
                why: "a sliding context has two memories that read each token",
            },
            (false, _) => DrawnOn::ReadBack {
                why: "the device has no kernels for single tokens of this model",
            },
        }
    }

    /// At the edge of a window the older state is dropped, and the younger, now a window old, replaces it. Returns the
    /// number of tokens until the next edge.
    fn turn(&mut self) -> usize {
        let ContextStrategy::Sliding { window } = self.strategy else {
            return usize::MAX;
        };
        let into = (self.read % window as u64) as usize;
        if self.read > 0 && into == 0 {
            let fresh = self.elder.fresh();
            if let Some(younger) = self.younger.replace(fresh) {
                self.elder = younger;
            }
        }
        window - into
    }

    /// Logits `[V]` after the last token; `None` if another context read that token.
    pub(super) fn logits(&self) -> Option<&[f32]> {
        self.answers.then(|| self.elder.logits())
    }

    pub(super) fn tokens(&self) -> u64 {
        self.read
    }

    pub(super) fn strategy(&self) -> ContextStrategy {
        self.strategy
    }

    pub(super) fn vocab_size(&self) -> usize {
        self.elder.dragon().config().vocab_size
    }

    /// Copy of the memories: the older one, then the younger one.
    pub(super) fn state(&self) -> DragonState {
        let elder = self.elder.state();
        let Some(younger) = &self.younger else {
            return elder;
        };
        match DragonState::merge(vec![elder, younger.state()]) {
            Ok(state) => state,
            Err(error) => unreachable!("both are states of one model: {error}"),
        }
    }
}

/// Reads tokens, one by itself or a window.
fn feed(decoder: &mut Decoder, tokens: &[u32]) -> Result<(), DecoderError> {
    match tokens {
        [_] => decoder.step(tokens)?,
        _ => decoder.read(tokens)?,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::GenerationConfig;
    use burn_dragon_core::api::DragonConfig;

    fn dragon() -> Dragon {
        let config = DragonConfig {
            n_neurons: 64,
            d_model: 16,
            n_levels: 2,
            init_std: 0.2,
            ..DragonConfig::tiny()
        };
        Dragon::new(&config, 2, &Device::flex()).unwrap()
    }

    fn after(strategy: ContextStrategy, tokens: &[u32], step: usize) -> Vec<f32> {
        let dragon = dragon();
        let mut context = Context::new(&dragon, strategy, GenerationConfig::default().decoding());
        for piece in tokens.chunks(step) {
            context.read(piece).unwrap();
        }
        context.logits().unwrap().to_vec()
    }

    fn distance(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_token_older_than_two_windows_has_no_influence_and_one_within_a_window_has() {
        let strategy = ContextStrategy::Sliding { window: 8 };
        for length in 17..40 {
            let tokens: Vec<u32> = (0..length).map(|i| i * 7 % 50).collect();
            let changed_at = |at: usize| {
                let mut changed = tokens.clone();
                changed[at] += 100;
                distance(&after(strategy, &changed, 1), &after(strategy, &tokens, 1))
            };
            assert_eq!(changed_at(tokens.len() - 17), 0.0, "{length}");
            assert!(changed_at(tokens.len() - 8) > 1e-6, "{length}");
        }
    }

    #[test]
    fn a_prompt_may_be_read_in_any_pieces() {
        let tokens: Vec<u32> = (0..37).map(|i| i * 11 % 90).collect();
        for strategy in [
            ContextStrategy::Infinite {},
            ContextStrategy::Sliding { window: 8 },
        ] {
            let whole = after(strategy, &tokens, 37);
            for step in [1, 5, 8] {
                assert!(
                    distance(&after(strategy, &tokens, step), &whole) < 1e-4,
                    "{strategy:?} {step}"
                );
            }
        }
    }
}
