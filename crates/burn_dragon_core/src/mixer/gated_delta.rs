//! Gated delta rule (arXiv:2412.06464), with the neurons as keys.
//!
//! ```text
//! k      = q / |q|                                        queries and keys of the level
//! alpha  = exp(-exp(log_rate) softplus(v gates + bias))   how much of the memory stays, a number a head
//! beta   = sigmoid(v gates + bias)                        how much of what was read is replaced, a number a head
//! read_t = alpha_t k_t rho_t-1
//! rho_t  = alpha_t rho_t-1 + k_t (outer) beta_t (v_t - read_t)
//! ```
//!
//! The paper reads after the write. Here queries are the keys, so that would give `(1 - beta) read + beta v`: the token itself
//! beside what is read before the write, as a dragon reads.

use super::weights::learnt;
use super::{Kind, MixerWeights, Recurrence, Sizes, Window};
use crate::config::ConfigError;
use crate::seed::Rng;
use crate::shapes::TensorShape;
use burn::tensor::{Tensor, activation};
use burn_dragon_kernel::api::{GatedDelta, gated_delta};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::Saturating;

/// Keys of `gated_delta`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GatedDeltaConfig {
    /// Whether memory never fades: the plain delta rule.
    pub keeps: bool,
}

fn of(size: usize) -> Saturating<u64> {
    Saturating(size as u64)
}

impl Kind for GatedDeltaConfig {
    fn name(&self) -> &'static str {
        "gated_delta"
    }

    fn validate(&self, _sizes: Sizes) -> Result<(), ConfigError> {
        Ok(())
    }

    fn turns(&self) -> bool {
        true
    }

    fn tensors(&self, Sizes { heads, width, .. }: Sizes) -> Vec<TensorShape> {
        let gates = if self.keeps { heads } else { 2 * heads };
        let mut tensors = vec![
            TensorShape::new("mixer.gates", [width, gates]),
            TensorShape::new("mixer.gate_bias", [gates]),
        ];
        if !self.keeps {
            tensors.push(TensorShape::new("mixer.log_rate", [heads]));
        }
        tensors
    }

    /// Rates 1 to 16 and steps 0.001 to 0.1, both drawn, as for state-space models: memories that halve within 0.4 to 700
    /// tokens. A write replaces half of what was read.
    fn initial(&self, field: &str, shape: &[usize], rng: &mut Rng) -> Option<Vec<f32>> {
        match field {
            "log_rate" => Some(
                (0..shape[0])
                    .map(|_| (1.0 + 15.0 * rng.uniform()).ln() as f32)
                    .collect(),
            ),
            "gate_bias" => {
                let decays = if self.keeps { 0 } else { shape[0] / 2 };
                let step = |rng: &mut Rng| {
                    let step = (1e-3_f64.ln() + rng.uniform() * 100_f64.ln()).exp();
                    (step.exp_m1()).ln() as f32 // softplus of it is the step
                };
                let bias = |gate| if gate < decays { step(rng) } else { 0.0 };
                Some((0..shape[0]).map(bias).collect())
            }
            _ => None,
        }
    }

    fn memory(&self, Sizes { heads, keys, width }: Sizes) -> [usize; 3] {
        [heads, keys, width]
    }

    fn flops(&self, Sizes { heads, keys, width }: Sizes) -> Saturating<u64> {
        of(heads) * (of(4) * of(keys) * of(width) + of(4) * of(width))
    }

    fn kept(&self, Sizes { heads, keys, width }: Sizes, _tokens: usize) -> Saturating<u64> {
        of(heads) * (of(4) * of(keys) + of(4) * of(width) + of(keys) * of(width) / of(64))
    }

    fn recurrence(&self, weights: &MixerWeights, _eps: f64) -> Box<dyn Recurrence> {
        let rate = (!self.keeps).then(|| learnt("log_rate", weights.log_rate.as_ref()).exp());
        Box::new(GatedDeltaRule {
            gates: learnt("gates", weights.gates.as_ref()),
            bias: learnt("gate_bias", weights.gate_bias.as_ref()),
            rate,
        })
    }
}

#[derive(Debug)]
struct GatedDeltaRule {
    gates: Tensor<2>,
    bias: Tensor<1>,
    /// Rates of decay, `[H]`.
    rate: Option<Tensor<1>>,
}

impl Recurrence for GatedDeltaRule {
    fn run(&self, window: Window<'_>) -> (Tensor<4>, Tensor<4>) {
        let (q, keys) = window.queries_and_keys();
        let [lanes, heads, tokens, _] = q.dims();
        let width = self.gates.dims()[0];
        let rows = window.v.clone().reshape([lanes * tokens, width]);
        let gates = rows.matmul(self.gates.clone()) + self.bias.clone().unsqueeze();
        let gate = |first: usize| -> Tensor<3> {
            let gates = gates.clone().narrow(1, first, heads);
            gates.reshape([lanes, tokens, heads]).swap_dims(1, 2) // [B, H, T]
        };
        let (log_decay, writes) = match &self.rate {
            Some(rate) => {
                let rate = rate.clone().reshape([1, heads, 1]);
                (Some((activation::softplus(gate(0), 1.0) * rate).neg()), heads)
            }
            None => (None, 0),
        };
        gated_delta(GatedDelta {
            q,
            keys,
            v: window.v,
            beta: activation::sigmoid(gate(writes)),
            log_decay,
            memory: window.memory,
            resets: window.resets.clone(),
        })
    }
}
