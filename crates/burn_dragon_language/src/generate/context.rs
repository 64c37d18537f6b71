//! What a model looks back on while it speaks: everything, or a window that truly forgets.

use crate::error::LanguageError;
use burn::tensor::{Int, Tensor, TensorData};
use burn_dragon_core::{Dragon, DragonState};
use serde::{Deserialize, Serialize};

/// How far back the memory reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ContextStrategy {
    /// One state, never cleared.
    Infinite {},
    /// Two states that start a window apart and are cleared every two windows. The older one answers, so an answer
    /// rests on at least one and at most two windows of tokens, and a token older than two windows has no influence
    /// at all. Costs twice the time per token.
    Sliding {
        /// Tokens in a window.
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

    pub(super) fn validate(self) -> Result<(), LanguageError> {
        match self {
            Self::Sliding { window: 0 } => Err(LanguageError::Config {
                key: "generation.context.window",
                reason: "a window of 0 tokens remembers nothing; use at least 1".into(),
            }),
            _ => Ok(()),
        }
    }
}

/// The states of one stream.
#[derive(Debug)]
pub(super) struct Context<'a> {
    dragon: &'a Dragon,
    strategy: ContextStrategy,
    elder: DragonState,
    younger: Option<DragonState>,
    read: usize,
}

impl<'a> Context<'a> {
    pub(super) fn new(dragon: &'a Dragon, strategy: ContextStrategy) -> Self {
        Self {
            dragon,
            strategy,
            elder: dragon.empty_state(1),
            younger: None,
            read: 0,
        }
    }

    /// Reads tokens and gives the logits `[V]` after the last one.
    pub(super) fn read(&mut self, tokens: &[u32]) -> Result<Vec<f32>, LanguageError> {
        let ContextStrategy::Sliding { window } = self.strategy else {
            return self.feed_elder(tokens);
        };
        let mut logits = Vec::new();
        let mut rest = tokens;
        while !rest.is_empty() {
            // At every window's edge the elder retires and the younger, by now a window old, takes its place.
            if self.read > 0 && self.read.is_multiple_of(window) {
                let fresh = self.dragon.empty_state(1);
                if let Some(younger) = self.younger.replace(fresh) {
                    self.elder = younger;
                }
            }
            let (piece, later) = rest.split_at(rest.len().min(window - self.read % window));
            logits = self.feed_elder(piece)?;
            if let Some(younger) = self.younger.take() {
                self.younger = Some(feed(self.dragon, piece, younger)?.1);
            }
            self.read += piece.len();
            rest = later;
        }
        Ok(logits)
    }

    fn feed_elder(&mut self, tokens: &[u32]) -> Result<Vec<f32>, LanguageError> {
        let (logits, state) = feed(self.dragon, tokens, self.elder.clone())?;
        self.elder = state;
        Ok(logits)
    }
}

/// Logits `[V]` after the last token, and the state.
fn feed(
    dragon: &Dragon,
    tokens: &[u32],
    state: DragonState,
) -> Result<(Vec<f32>, DragonState), LanguageError> {
    let ids: Vec<i32> = tokens.iter().map(|&id| id as i32).collect();
    let tokens = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, tokens.len()]), &dragon.device());
    let (logits, state) = dragon.forward_with_state(tokens, state)?;
    let [_, length, vocab] = logits.dims();
    let last: Tensor<1> = logits.narrow(1, length - 1, 1).reshape([vocab]);
    let logits = last
        .into_data()
        .convert::<f32>()
        .try_into_vec()
        .unwrap_or_default();
    Ok((logits, state))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use burn_dragon_core::DragonConfig;

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
        let mut context = Context::new(&dragon, strategy);
        tokens
            .chunks(step)
            .map(|piece| context.read(piece).unwrap())
            .last()
            .unwrap()
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
