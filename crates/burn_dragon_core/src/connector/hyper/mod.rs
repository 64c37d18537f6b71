//! Manifold-constrained hyper-connections (mHC, arXiv:2512.24880): n streams, mixed before and after each level.
//!
//! ```text
//! x = [v, ..., v]                                     [M, n, D], M = B T tokens
//! input of a level = norm(pre x)                      pre [n], of each token: coefficients.rs
//! x = res x + post (outer) norm(u)                    res [n, n], nearly doubly stochastic
//! output = norm(mean of the streams)
//! ```
//!
//! The paper sums the streams at the end; with the norm a mean is the same. What a level adds is normed, as in the plain
//! form, and its outer norm is left out, since the mixture is not a residual sum that grows.
//!
//! With `coefficients = "static"` it is the public implementation's form: one mixture for all tokens and levels, a branch
//! with a residual sum of its own, and a norm of the streams.
//!
//! ```text
//! x = norm(res x + post (outer) norm(v + norm(u))),  v = norm(pre x)
//! ```

mod coefficients;
mod config;

pub use config::{HyperCoefficients, HyperConfig};

use super::{Setting, Stream};
use crate::norm::Norm;
use burn::tensor::Tensor;
use burn_dragon_kernel::api::{hyper_read, hyper_write};
use coefficients::{Coefficients, Mapping};

/// The stream of `mhc`.
pub(super) struct Hyper {
    mapping: Mapping,
    norm: Norm,
    is_static: bool,
    /// Number of levels that have been joined.
    level: usize,
    /// Shape of the stream of the trunk, `[B, 1, T, D]`.
    shape: [usize; 4],
    /// `[M, n, D]`.
    x: Tensor<3>,
    /// Coefficients of the level that is being computed, and its input.
    now: Option<(Coefficients, Tensor<4>)>,
}

impl Hyper {
    /// # Panics
    /// If the coefficients have no weights.
    pub(super) fn new(v: Tensor<4>, config: &HyperConfig, setting: Setting<'_>) -> Self {
        let shape = v.dims();
        let [lanes, _, tokens, width] = shape;
        let x = v
            .reshape([lanes * tokens, 1, width])
            .repeat_dim(1, config.streams);
        Self {
            mapping: Mapping::new(config, setting),
            norm: setting.norm.clone(),
            is_static: !config.knows_streams(),
            level: 0,
            shape,
            x,
            now: None,
        }
    }
}

impl Stream for Hyper {
    fn input(&mut self) -> Tensor<4> {
        let coefficients = self.mapping.coefficients(&self.x, self.level, self.norm.eps());
        let read = hyper_read(self.x.clone(), coefficients.pre.clone());
        let input = self.norm.of(read.reshape(self.shape));
        self.now = Some((coefficients, input.clone()));
        input
    }

    fn join(&mut self, u: Tensor<4>) {
        let Some((coefficients, input)) = self.now.take() else {
            unreachable!("a level has an input before it has an output");
        };
        let branch = match self.is_static {
            true => self.norm.join(input, u),
            false => self.norm.of(u),
        };
        let Coefficients { post, res, .. } = coefficients;
        let [tokens, _, width] = self.x.dims();
        let x = hyper_write(self.x.clone(), res, post, branch.reshape([tokens, width]));
        self.x = if self.is_static { self.norm.of(x) } else { x };
        self.level += 1;
    }

    fn output(&self) -> Tensor<4> {
        self.norm.of(self.x.clone().mean_dim(1).reshape(self.shape))
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
