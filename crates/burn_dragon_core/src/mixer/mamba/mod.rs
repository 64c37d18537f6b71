//! Mamba blocks as mixers: recurrences on the stream itself, `[B, 1, T, D]`, in the place of the read.
//!
//! They ignore the queries, so positions are `none`, and their output is the same for all heads. Each token reads itself too. Around
//! the recurrence a block has E inner channels (`expand` times D), S states for each of them (`d_state`), a gate `silu(z)` and a projection back.
//!
//! | mixer | steps | decay | B and C | convolution | paper |
//! |---|---|---|---|---|---|
//! | `mamba1` | a channel | a channel and state | all channels | x | arXiv:2312.00752 |
//! | `mamba2` | a head | a head | a group of heads | x, B, C | arXiv:2405.21060 |
//! | `mamba3` | a head | a head and token | a group of heads, turned by angles that the tokens choose | none | arXiv:2603.15569 |

mod mamba1;
mod mamba2;
mod mamba3;

pub use mamba1::Mamba1Config;
pub use mamba2::Mamba2Config;
pub use mamba3::Mamba3Config;

use super::MixerWeights;
use super::weights::learnt;
use crate::config::ConfigError;
use crate::seed::Rng;
use burn::tensor::Tensor;
use burn_dragon_kernel::api::{Resets, ShortConvolution, short_convolution};
use std::num::Saturating;

/// Largest size in a table.
const MOST: usize = 1 << 16;

/// Tokens of a chunk, for the formulas of memory.
const CHUNK: usize = 64;

fn of(size: usize) -> Saturating<u64> {
    Saturating(size as u64)
}

/// Checks sizes, by their keys.
fn sizes<const N: usize>(sizes: [(&'static str, usize); N]) -> Result<(), ConfigError> {
    for (name, value) in sizes {
        if value == 0 {
            return Err(ConfigError::Zero { name });
        }
        if value > MOST {
            return Err(ConfigError::TooLarge {
                name,
                value,
                most: MOST,
            });
        }
    }
    Ok(())
}

/// Checks that a number is in its range.
fn within(name: &'static str, value: f64, holds: bool, expected: &'static str) -> Result<(), ConfigError> {
    if holds && value.is_finite() {
        return Ok(());
    }
    Err(ConfigError::Range {
        name,
        value,
        expected,
    })
}

/// Steps at the start of training.
#[derive(Clone, Copy, Debug)]
struct Steps {
    least: f64,
    most: f64,
    floor: f64,
}

impl Steps {
    fn validate(self) -> Result<(), ConfigError> {
        let Self { least, most, floor } = self;
        within("mixer.dt_min", least, least > 0.0, "a number above 0")?;
        within(
            "mixer.dt_max",
            most,
            most >= least,
            "a number of at least mixer.dt_min",
        )?;
        within(
            "mixer.dt_init_floor",
            floor,
            floor >= 0.0,
            "a number of at least 0",
        )
    }

    /// Biases of steps that are drawn with uniform logarithms: what softplus makes steps of.
    fn biases(self, count: usize, rng: &mut Rng) -> Vec<f32> {
        let (least, most) = (self.least.ln(), self.most.ln());
        let step = |uniform: f64| (least + uniform * (most - least)).exp().max(self.floor);
        (0..count)
            .map(|_| step(rng.uniform()).exp_m1().ln() as f32)
            .collect()
    }
}

/// Uniform numbers between `-bound` and `bound`.
fn uniform(bound: f64, shape: &[usize], rng: &mut Rng) -> Vec<f32> {
    let count = shape.iter().product::<usize>();
    (0..count)
        .map(|_| (bound * (2.0 * rng.uniform() - 1.0)) as f32)
        .collect()
}

/// Initial values of a projection with so many inputs, as PyTorch's for linear maps and convolutions.
fn projection(inputs: usize, shape: &[usize], rng: &mut Rng) -> Vec<f32> {
    uniform((inputs as f64).sqrt().recip(), shape, rng)
}

/// Some columns of a matrix.
fn columns(matrix: &Tensor<2>, first: usize, count: usize) -> Tensor<2> {
    matrix.clone().narrow(1, first, count)
}

/// Weights of a short convolution: taps `[K, C]` and what is added, `[C]`.
#[derive(Clone, Debug)]
struct Convolution {
    taps: Tensor<2>,
    bias: Tensor<1>,
}

impl Convolution {
    /// Panics if the taps are not there.
    fn new(weights: &MixerWeights) -> Self {
        let taps = learnt("conv", weights.conv.as_ref());
        let [_, channels] = taps.dims();
        let bias = match &weights.conv_bias {
            Some(bias) => bias.val(),
            None => Tensor::zeros([channels], (&taps.device(), taps.dtype())),
        };
        Self { taps, bias }
    }

    /// Number of tokens that are carried.
    fn tail(&self) -> usize {
        self.taps.dims()[0] - 1
    }

    /// Convolution of some of the channels, `[B, T, c]`, with the tail of these, `[B, K - 1, c]`, before the window and after it.
    fn run(
        &self,
        x: Tensor<3>,
        first: usize,
        tail: Option<&Tensor<3>>,
        resets: &Resets,
    ) -> (Tensor<3>, Option<Tensor<3>>) {
        let channels = x.dims()[2];
        short_convolution(ShortConvolution {
            x,
            taps: columns(&self.taps, first, channels),
            bias: self.bias.clone().narrow(0, first, channels),
            tail: tail.map(|tail| tail.clone().narrow(2, first, channels)),
            resets: resets.clone(),
        })
    }
}

/// Rows divided by the root of their mean square.
fn rms_norm<const R: usize>(rows: Tensor<R>, eps: f64) -> Tensor<R> {
    let squares = rows.clone().powi_scalar(2).mean_dim(R - 1);
    rows * (squares + eps).sqrt().recip()
}

/// Groups of heads, `[B, T, G, S]`, for each head, `[B, T, H, S]`.
fn of_heads(groups: Tensor<4>, heads: usize) -> Tensor<4> {
    let [lanes, tokens, count, states] = groups.dims();
    let each = heads / count;
    let all = groups.unsqueeze_dim::<5>(3);
    all.expand([lanes, tokens, count, each, states])
        .reshape([lanes, tokens, heads, states])
}

/// A stream of heads side by side, `[B, T, H, P]`, head by head, `[B, H, T, P]`, or back.
fn by_heads(all: Tensor<4>) -> Tensor<4> {
    all.swap_dims(1, 2)
}
