//! Mamba-2 (arXiv:2405.21060): state-space duality, a decay for each head.
//!
//! ```text
//! [z, x, b, c, step] = v in_proj                                  D -> 2 E + 2 G S + H
//! [x, b, c]          = silu(convolution)                          as for mamba1
//! step               = softplus(step + dt_bias)                   a number a head
//! h_t                = exp(-step exp(log_rate)) h_t-1 + b (outer) step x      [S, P] a head, of P channels
//! y                  = (c h + skip x) silu(z)
//! read               = y / rms(y) norm_gain out_proj              E -> D; the norm is of the channels of a group
//! ```
//!
//! Heads (H = E / P) share b and c in G groups. Memory, `[1, S + K - 1, E + 2 G S]`: the states of all channels in the first E
//! columns, a row for each, then the K - 1 inputs of the convolution before the window.

use super::super::weights::learnt;
use super::super::{Kind, MixerWeights, Recurrence, Sizes, Window};
use super::{
    CHUNK, Convolution, Steps, by_heads, columns, of, of_heads, projection, rms_norm, sizes, within,
};
use crate::config::ConfigError;
use crate::seed::Rng;
use crate::shapes::TensorShape;
use burn::tensor::{Tensor, activation};
use burn_dragon_kernel::api::{StateSpace, silu_gate, state_space};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::Saturating;

/// Keys of `mamba2`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mamba2Config {
    /// States of a channel (S).
    pub d_state: usize,
    /// Tokens that the convolution knows, the token itself included (K).
    pub d_conv: usize,
    /// Inner channels (E) as a multiple of the model width.
    pub expand: usize,
    /// Channels of a head (P), a divisor of the inner channels.
    pub headdim: usize,
    /// Groups of heads that share the directions of writes and reads (G), a divisor of the heads.
    pub ngroups: usize,
    /// Smallest step at the start of training.
    pub dt_min: f64,
    /// Largest step at the start of training.
    pub dt_max: f64,
    /// Least step at the start of training, whatever `dt_min` is.
    pub dt_init_floor: f64,
    /// Smallest rate of decay at the start of training.
    pub a_init_min: f64,
    /// Largest rate of decay at the start of training.
    pub a_init_max: f64,
    /// Whether the convolution adds a number to each channel.
    pub conv_bias: bool,
    /// Constant that the norm adds to the mean square.
    pub norm_eps: f64,
}

impl Default for Mamba2Config {
    fn default() -> Self {
        Self {
            d_state: 16,
            d_conv: 4,
            expand: 2,
            headdim: 128,
            ngroups: 1,
            dt_min: 1e-3,
            dt_max: 0.1,
            dt_init_floor: 1e-4,
            a_init_min: 1.0,
            a_init_max: 16.0,
            conv_bias: true,
            norm_eps: 1e-5,
        }
    }
}

impl Mamba2Config {
    fn inner(&self, width: usize) -> usize {
        self.expand.saturating_mul(width)
    }

    fn heads(&self, width: usize) -> usize {
        self.inner(width) / self.headdim
    }

    /// Channels of b and c together.
    fn directions(&self) -> usize {
        2 * self.ngroups * self.d_state
    }

    fn steps(&self) -> Steps {
        Steps {
            least: self.dt_min,
            most: self.dt_max,
            floor: self.dt_init_floor,
        }
    }
}

/// Checks that channels split into heads, and heads into groups.
pub(super) fn split(inner: usize, headdim: usize, ngroups: usize) -> Result<(), ConfigError> {
    within(
        "mixer.headdim",
        headdim as f64,
        inner.is_multiple_of(headdim),
        "a divisor of model.mixer.expand x model.d_model",
    )?;
    within(
        "mixer.ngroups",
        ngroups as f64,
        (inner / headdim).is_multiple_of(ngroups),
        "a divisor of the heads, model.mixer.expand x model.d_model / model.mixer.headdim",
    )
}

impl Kind for Mamba2Config {
    fn name(&self) -> &'static str {
        "mamba2"
    }

    fn validate(&self, Sizes { width, .. }: Sizes) -> Result<(), ConfigError> {
        sizes([
            ("mixer.d_state", self.d_state),
            ("mixer.d_conv", self.d_conv),
            ("mixer.expand", self.expand),
            ("mixer.headdim", self.headdim),
            ("mixer.ngroups", self.ngroups),
        ])?;
        split(self.inner(width), self.headdim, self.ngroups)?;
        let (least, most, eps) = (self.a_init_min, self.a_init_max, self.norm_eps);
        within("mixer.a_init_min", least, least > 0.0, "a number above 0")?;
        within(
            "mixer.a_init_max",
            most,
            most >= least,
            "a number of at least mixer.a_init_min",
        )?;
        within("mixer.norm_eps", eps, eps > 0.0, "a number above 0")?;
        self.steps().validate()
    }

    fn turns(&self) -> bool {
        false
    }

    fn tensors(&self, Sizes { width, .. }: Sizes) -> Vec<TensorShape> {
        let (inner, heads, directions) = (self.inner(width), self.heads(width), self.directions());
        let mut tensors = vec![
            TensorShape::new("mixer.in_proj", [width, 2 * inner + directions + heads]),
            TensorShape::new("mixer.conv", [self.d_conv, inner + directions]),
            TensorShape::new("mixer.dt_bias", [heads]),
            TensorShape::new("mixer.log_rate", [heads]),
            TensorShape::new("mixer.skip", [heads]),
            TensorShape::new("mixer.norm_gain", [inner]),
            TensorShape::new("mixer.out_proj", [inner, width]),
        ];
        if self.conv_bias {
            tensors.push(TensorShape::new("mixer.conv_bias", [inner + directions]));
        }
        tensors
    }

    fn initial(&self, field: &str, shape: &[usize], rng: &mut Rng) -> Option<Vec<f32>> {
        let (least, most) = (self.a_init_min, self.a_init_max);
        Some(match field {
            "conv" | "conv_bias" => projection(self.d_conv, shape, rng),
            "dt_bias" => self.steps().biases(shape[0], rng),
            "log_rate" => (0..shape[0])
                .map(|_| (least + (most - least) * rng.uniform()).ln() as f32)
                .collect(),
            "skip" | "norm_gain" => vec![1.0; shape[0]],
            _ => projection(shape[0], shape, rng),
        })
    }

    fn memory(&self, Sizes { width, .. }: Sizes) -> [usize; 3] {
        let channels = self.inner(width) + self.directions();
        [1, self.d_state + self.d_conv - 1, channels]
    }

    fn flops(&self, Sizes { width, .. }: Sizes) -> Saturating<u64> {
        let (inner, directions) = (of(self.inner(width)), of(self.directions()));
        let maps = of(width) * (of(3) * inner + directions + of(self.heads(width)));
        of(2) * (maps + of(self.d_conv) * (inner + directions)) + of(4) * inner * of(self.d_state)
    }

    fn kept(&self, Sizes { width, .. }: Sizes, tokens: usize) -> Saturating<u64> {
        let (inner, heads, chunk) = (
            of(self.inner(width)),
            of(self.heads(width)),
            of(tokens.min(CHUNK)),
        );
        let memories = inner * of(self.d_state) * of(4) / chunk.max(of(1));
        of(16) * inner + of(8) * of(self.directions()) + of(6) * heads * chunk + memories
    }

    fn recurrence(&self, weights: &MixerWeights, _eps: f64) -> Box<dyn Recurrence> {
        Box::new(Block {
            config: *self,
            in_proj: learnt("in_proj", weights.in_proj.as_ref()),
            convolution: Convolution::new(weights),
            dt_bias: learnt("dt_bias", weights.dt_bias.as_ref()),
            rate: learnt("log_rate", weights.log_rate.as_ref()).exp(),
            skip: learnt("skip", weights.skip.as_ref()),
            norm_gain: learnt("norm_gain", weights.norm_gain.as_ref()),
            out_proj: learnt("out_proj", weights.out_proj.as_ref()),
        })
    }
}

/// The block, with its weights.
#[derive(Debug)]
struct Block {
    config: Mamba2Config,
    in_proj: Tensor<2>,
    convolution: Convolution,
    dt_bias: Tensor<1>,
    /// Rates of decay, `[H]`.
    rate: Tensor<1>,
    skip: Tensor<1>,
    norm_gain: Tensor<1>,
    out_proj: Tensor<2>,
}

/// What a recurrence is given, head by head, and what it gives.
struct Heads {
    /// `[B, H, T, P]`.
    x: Tensor<4>,
    /// Directions of writes and reads, `[B, 1 or H, T, S]`.
    b: Tensor<4>,
    c: Tensor<4>,
    /// `[B, H, T, 1]`.
    steps: Tensor<4>,
}

impl Recurrence for Block {
    fn run(&self, window: Window<'_>) -> (Tensor<4>, Tensor<4>) {
        let Window {
            v, memory, resets, ..
        } = window;
        let ([lanes, _, tokens, width], states) = (v.dims(), self.config.d_state);
        let ([heads], [inner]) = (self.rate.dims(), self.norm_gain.dims());
        let memory: Tensor<3> = memory.squeeze_dim(1);
        let taps = self.convolution.tail();
        let tail = (taps > 0).then(|| memory.clone().narrow(1, states, taps));

        let rows: Tensor<2> = v.reshape([lanes * tokens, width]);
        let map = |first, count| {
            let rows = rows.clone().matmul(columns(&self.in_proj, first, count));
            rows.reshape([lanes, tokens, count])
        };
        let directions = self.config.directions();
        let (x, x_tail) = self.convolution.run(map(inner, inner), 0, tail.as_ref(), resets);
        let both = map(2 * inner, directions);
        let (both, tail) = self.convolution.run(both, inner, tail.as_ref(), resets);
        let steps: Tensor<3> = map(2 * inner + directions, heads) + self.dt_bias.clone().unsqueeze();
        let steps = activation::softplus(steps, 1.0).swap_dims(1, 2); // [B, H, T]
        let log_decay = (steps.clone() * self.rate.clone().reshape([1, heads, 1])).neg();
        let given = Heads {
            x: by_heads(x.reshape([lanes, tokens, heads, inner / heads])),
            b: self.direction(&both, 0),
            c: self.direction(&both, directions / 2),
            steps: steps.unsqueeze_dim(3),
        };
        let h = memory.narrow(1, 0, states).narrow(2, 0, inner); // [B, S, E]
        let h = by_heads(h.reshape([lanes, states, heads, inner / heads]));

        let written = given.x.clone() * given.steps.clone();
        let (read, h) = state_space(StateSpace {
            c: given.c.clone(),
            b: given.b.clone(),
            x: written,
            log_decay,
            memory: h,
            resets: resets.clone(),
        });
        let own = (given.b * given.c).sum_dim(3) * given.steps + self.skip.clone().reshape([1, heads, 1, 1]);
        let y = by_heads(read + given.x * own).reshape([lanes * tokens, inner]);
        let z = map(0, inner).reshape([lanes * tokens, inner]);
        let read = self.normed(silu_gate(y, z)).matmul(self.out_proj.clone());

        let h = by_heads(h).reshape([lanes, states, inner]);
        let tails = [x_tail, tail].into_iter().flatten().collect::<Vec<_>>();
        let mut carried = vec![widened(h, directions)];
        if !tails.is_empty() {
            carried.push(Tensor::cat(tails, 2));
        }
        (
            read.reshape([lanes, 1, tokens, width]),
            Tensor::cat(carried, 1).unsqueeze_dim(1),
        )
    }
}

impl Block {
    /// Directions of writes or reads, `[B, 1 or H, T, S]`, from those of both, which begin at a channel.
    fn direction(&self, both: &Tensor<3>, first: usize) -> Tensor<4> {
        let [lanes, tokens, directions] = both.dims();
        let groups = self.config.ngroups;
        let one = both.clone().narrow(2, first, directions / 2);
        let one = one.reshape([lanes, tokens, groups, self.config.d_state]);
        by_heads(if groups == 1 {
            one
        } else {
            of_heads(one, self.rate.dims()[0])
        })
    }

    /// The channels of each group over the root of their mean square, times the gain.
    fn normed(&self, y: Tensor<2>) -> Tensor<2> {
        let ([rows, inner], groups) = (y.dims(), self.config.ngroups);
        let y = rms_norm(y.reshape([rows, groups, inner / groups]), self.config.norm_eps);
        y.reshape([rows, inner]) * self.norm_gain.clone().unsqueeze()
    }
}

/// States with so many columns of zeros behind them.
fn widened(h: Tensor<3>, columns: usize) -> Tensor<3> {
    let [lanes, states, _] = h.dims();
    let zeros = Tensor::zeros([lanes, states, columns], (&h.device(), h.dtype()));
    Tensor::cat(vec![h, zeros], 2)
}
