//! Normalised decay form: each neuron has a decay of its own, and the read is a mean.
//!
//! ```text
//! d      = sigmoid(decay_logits)                          a number for each neuron
//! w_t    = q_t / (sum of q_t + 1e-6)                      q: activities, which are queries and keys
//! read_t = sum over n of w_tn rho_t-1,n / (z_t-1,n + 1e-6)
//! z_t    = d z_t-1 + q_t
//! rho_t  = d rho_t-1 + q_t (outer) v_t
//! ```
//!
//! `rho_n / z_n` is the mean of the values that neuron n was active at, the newest with the largest weight. The memory is
//! `[H, N, D + 1]`, z in its last column. Decays start between 0.745 and 0.995, and the order of tokens is known by them alone.

use super::weights::learnt;
use super::{Kind, MixerWeights, Recurrence, Sizes, Window};
use crate::config::ConfigError;
use crate::seed::Rng;
use crate::shapes::TensorShape;
use burn::tensor::{Tensor, activation};
use burn_dragon_kernel::api::{DecayedMean, decayed_mean};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::Saturating;

/// Keys of `rwkv8`: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rwkv8Config {}

fn of(size: usize) -> Saturating<u64> {
    Saturating(size as u64)
}

impl Kind for Rwkv8Config {
    fn name(&self) -> &'static str {
        "rwkv8"
    }

    fn validate(&self, _sizes: Sizes) -> Result<(), ConfigError> {
        Ok(())
    }

    fn turns(&self) -> bool {
        false
    }

    fn tensors(&self, Sizes { heads, keys, .. }: Sizes) -> Vec<TensorShape> {
        vec![TensorShape::new("mixer.decay_logits", [heads, keys])]
    }

    /// Decays from 0.995 down to 0.775 over the neurons of a head, and 0.03 less from the first head to the last.
    fn initial(&self, field: &str, shape: &[usize], _rng: &mut Rng) -> Option<Vec<f32>> {
        if field != "decay_logits" {
            return None;
        }
        let (heads, neurons) = (shape[0], shape[1]);
        let share = |index: usize, count: usize| index as f64 / (count.max(2) - 1) as f64;
        let logit = |index: usize| {
            let (head, neuron) = (index / neurons, index % neurons);
            let decay = 0.995 - 0.22 * share(neuron, neurons) - 0.03 * share(head, heads);
            (decay / (1.0 - decay)).ln() as f32
        };
        Some((0..heads * neurons).map(logit).collect())
    }

    fn memory(&self, Sizes { heads, keys, width }: Sizes) -> [usize; 3] {
        [heads, keys, width + 1]
    }

    fn flops(&self, Sizes { heads, keys, width }: Sizes) -> Saturating<u64> {
        of(heads) * of(keys) * (of(5) * of(width) + of(6))
    }

    /// Queries, and reads with their gradients.
    fn kept(&self, Sizes { heads, keys, width }: Sizes, _tokens: usize) -> Saturating<u64> {
        of(heads) * (of(2) * of(keys) + of(2) * of(width))
    }

    fn recurrence(&self, weights: &MixerWeights, _eps: f64) -> Box<dyn Recurrence> {
        let logits = learnt("decay_logits", weights.decay_logits.as_ref());
        Box::new(Rwkv8Rule {
            log_decay: activation::log_sigmoid(logits),
        })
    }
}

#[derive(Debug)]
struct Rwkv8Rule {
    /// `[H, N]`
    log_decay: Tensor<2>,
}

impl Recurrence for Rwkv8Rule {
    fn run(&self, window: Window<'_>) -> (Tensor<4>, Tensor<4>) {
        decayed_mean(DecayedMean {
            q: window.queries(),
            v: window.v.clone(),
            log_decay: self.log_decay.clone(),
            memory: window.memory.clone(),
            resets: window.resets.clone(),
            credit: window.credit(),
        })
    }
}
