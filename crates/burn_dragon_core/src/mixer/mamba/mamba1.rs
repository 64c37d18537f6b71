//! Mamba (arXiv:2312.00752): a selective scan with a step for each channel.
//!
//! ```text
//! [x, z]    = v in_proj                                          D -> 2 E
//! x         = silu(conv_bias + sum over k of conv_k x_t-k)       channel by channel
//! [r, b, c] = x x_proj                                           E -> R + 2 S
//! step      = softplus(r dt_proj + dt_bias)                      a number a channel
//! h_t       = exp(-step exp(log_rates)) h_t-1 + step x b         S states a channel
//! read      = (c . h + skip x) silu(z) out_proj                  E -> D
//! ```
//!
//! Memory, `[1, S + K - 1, E]`: the states of all channels, a row for each, then the K - 1 inputs of the convolution before the window.

use super::super::weights::learnt;
use super::super::{Kind, MixerWeights, Recurrence, Sizes, Window};
use super::{Convolution, Steps, columns, of, projection, sizes, uniform, within};
use crate::config::ConfigError;
use crate::seed::Rng;
use crate::shapes::TensorShape;
use burn::tensor::Tensor;
use burn_dragon_kernel::api::{SelectiveScan, selective_scan, silu_gate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::Saturating;

/// Keys of `mamba1`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mamba1Config {
    /// States of a channel (S).
    pub d_state: usize,
    /// Tokens that the convolution knows, the token itself included (K).
    pub d_conv: usize,
    /// Inner channels (E) as a multiple of the model width.
    pub expand: usize,
    /// Rank of the projection to steps (R); a sixteenth of the model width, rounded up, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dt_rank: Option<usize>,
    /// Smallest step at the start of training.
    pub dt_min: f64,
    /// Largest step at the start of training.
    pub dt_max: f64,
    /// Factor on the initial values of the projection to steps.
    pub dt_scale: f64,
    /// Least step at the start of training, whatever `dt_min` is.
    pub dt_init_floor: f64,
    /// Whether the convolution adds a number to each channel.
    pub conv_bias: bool,
}

impl Default for Mamba1Config {
    fn default() -> Self {
        Self {
            d_state: 16,
            d_conv: 4,
            expand: 2,
            dt_rank: None,
            dt_min: 1e-3,
            dt_max: 0.1,
            dt_scale: 1.0,
            dt_init_floor: 1e-4,
            conv_bias: true,
        }
    }
}

impl Mamba1Config {
    fn inner(&self, width: usize) -> usize {
        self.expand.saturating_mul(width)
    }

    fn rank(&self, width: usize) -> usize {
        self.dt_rank.unwrap_or(width.div_ceil(16))
    }

    fn steps(&self) -> Steps {
        Steps {
            least: self.dt_min,
            most: self.dt_max,
            floor: self.dt_init_floor,
        }
    }
}

impl Kind for Mamba1Config {
    fn name(&self) -> &'static str {
        "mamba1"
    }

    fn validate(&self, Sizes { width, .. }: Sizes) -> Result<(), ConfigError> {
        sizes([
            ("mixer.d_state", self.d_state),
            ("mixer.d_conv", self.d_conv),
            ("mixer.expand", self.expand),
            ("mixer.dt_rank", self.rank(width)),
        ])?;
        let scale = self.dt_scale;
        within("mixer.dt_scale", scale, scale > 0.0, "a number above 0")?;
        self.steps().validate()
    }

    fn turns(&self) -> bool {
        false
    }

    fn tensors(&self, Sizes { width, .. }: Sizes) -> Vec<TensorShape> {
        let (inner, rank, states) = (self.inner(width), self.rank(width), self.d_state);
        let mut tensors = vec![
            TensorShape::new("mixer.in_proj", [width, 2 * inner]),
            TensorShape::new("mixer.conv", [self.d_conv, inner]),
            TensorShape::new("mixer.x_proj", [inner, rank + 2 * states]),
            TensorShape::new("mixer.dt_proj", [rank, inner]),
            TensorShape::new("mixer.dt_bias", [inner]),
            TensorShape::new("mixer.log_rates", [states, inner]),
            TensorShape::new("mixer.skip", [inner]),
            TensorShape::new("mixer.out_proj", [inner, width]),
        ];
        if self.conv_bias {
            tensors.push(TensorShape::new("mixer.conv_bias", [inner]));
        }
        tensors
    }

    /// State number s, from 1, has the rate s.
    fn initial(&self, field: &str, shape: &[usize], rng: &mut Rng) -> Option<Vec<f32>> {
        Some(match field {
            "conv" | "conv_bias" => projection(self.d_conv, shape, rng),
            "dt_proj" => uniform(self.dt_scale / (shape[0] as f64).sqrt(), shape, rng),
            "dt_bias" => self.steps().biases(shape[0], rng),
            "log_rates" => (0..shape[0] * shape[1])
                .map(|index| ((index / shape[1] + 1) as f32).ln())
                .collect(),
            "skip" => vec![1.0; shape[0]],
            _ => projection(shape[0], shape, rng),
        })
    }

    fn memory(&self, Sizes { width, .. }: Sizes) -> [usize; 3] {
        [1, self.d_state + self.d_conv - 1, self.inner(width)]
    }

    fn flops(&self, Sizes { width, .. }: Sizes) -> Saturating<u64> {
        let (inner, states, rank) = (of(self.inner(width)), of(self.d_state), of(self.rank(width)));
        let maps = of(3) * of(width) + of(2) * rank + of(2) * states + of(self.d_conv);
        of(2) * inner * maps + of(6) * inner * states
    }

    fn kept(&self, Sizes { width, .. }: Sizes, _tokens: usize) -> Saturating<u64> {
        let (inner, states) = (of(self.inner(width)), of(self.d_state));
        of(8) * inner + inner * states / of(16) + of(2) * (states + of(self.rank(width)))
    }

    fn recurrence(&self, weights: &MixerWeights, _eps: f64) -> Box<dyn Recurrence> {
        Box::new(Block {
            in_proj: learnt("in_proj", weights.in_proj.as_ref()),
            convolution: Convolution::new(weights),
            x_proj: learnt("x_proj", weights.x_proj.as_ref()),
            dt_proj: learnt("dt_proj", weights.dt_proj.as_ref()),
            dt_bias: learnt("dt_bias", weights.dt_bias.as_ref()),
            rates: learnt("log_rates", weights.log_rates.as_ref()).exp(),
            skip: learnt("skip", weights.skip.as_ref()),
            out_proj: learnt("out_proj", weights.out_proj.as_ref()),
        })
    }
}

/// The block, with its weights.
#[derive(Debug)]
struct Block {
    in_proj: Tensor<2>,
    convolution: Convolution,
    x_proj: Tensor<2>,
    dt_proj: Tensor<2>,
    dt_bias: Tensor<1>,
    /// Rates of decay, `[S, E]`.
    rates: Tensor<2>,
    skip: Tensor<1>,
    out_proj: Tensor<2>,
}

impl Recurrence for Block {
    fn run(&self, window: Window<'_>) -> (Tensor<4>, Tensor<4>) {
        let Window {
            v, memory, resets, ..
        } = window;
        let [lanes, _, tokens, width] = v.dims();
        let ([states, inner], [rank, _]) = (self.rates.dims(), self.dt_proj.dims());
        let memory: Tensor<3> = memory.squeeze_dim(1);
        let taps = self.convolution.tail();
        let tail = (taps > 0).then(|| memory.clone().narrow(1, states, taps));

        let rows: Tensor<2> = v.reshape([lanes * tokens, width]);
        let z = rows.clone().matmul(columns(&self.in_proj, inner, inner));
        let x = rows.matmul(columns(&self.in_proj, 0, inner));
        let stream = |rows: Tensor<2>| {
            let width = rows.dims()[1];
            rows.reshape([lanes, tokens, width])
        };
        let (x, tail) = self.convolution.run(stream(x), 0, tail.as_ref(), resets);
        let chosen = (x.clone().reshape([lanes * tokens, inner])).matmul(self.x_proj.clone()); // [B T, R + 2 S]
        let steps = columns(&chosen, 0, rank).matmul(self.dt_proj.clone()) + self.dt_bias.clone().unsqueeze();
        let (y, h) = selective_scan(SelectiveScan {
            x,
            logits: stream(steps),
            rates: self.rates.clone(),
            b: stream(columns(&chosen, rank, states)),
            c: stream(columns(&chosen, rank + states, states)),
            skip: self.skip.clone(),
            memory: memory.narrow(1, 0, states),
            resets: resets.clone(),
        });
        let read = silu_gate(y.reshape([lanes * tokens, inner]), z).matmul(self.out_proj.clone());
        let carried = [Some(h), tail].into_iter().flatten().collect();
        (
            read.reshape([lanes, 1, tokens, width]),
            Tensor::cat(carried, 1).unsqueeze_dim(1),
        )
    }
}
