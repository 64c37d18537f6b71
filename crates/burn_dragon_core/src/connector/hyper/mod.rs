//! Manifold-constrained hyper-connections (mHC, arXiv:2512.24880): n streams, mixed before and after each level.
//!
//! ```text
//! x = [v, ..., v]                                     [B, T, n, D]
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
use coefficients::{Coefficients, Mapping};

/// The stream of `mhc`.
pub(super) struct Hyper {
    mapping: Mapping,
    norm: Norm,
    is_static: bool,
    /// Number of levels that have been joined.
    level: usize,
    /// `[B, T, n, D]`.
    x: Tensor<4>,
    /// Coefficients of the level that is being computed, and its input.
    now: Option<(Coefficients, Tensor<4>)>,
}

impl Hyper {
    /// # Panics
    /// If the coefficients have no weights.
    pub(super) fn new(v: Tensor<4>, config: &HyperConfig, setting: Setting<'_>) -> Self {
        let [lanes, _, tokens, width] = v.dims();
        let x = v.reshape([lanes, tokens, 1, width]).repeat_dim(2, config.streams);
        Self {
            mapping: Mapping::new(config, setting),
            norm: setting.norm.clone(),
            is_static: !config.knows_streams(),
            level: 0,
            x,
            now: None,
        }
    }

    /// `[B, 1, T, D]` from `[B, T, D]` in any form.
    fn as_stream<const R: usize>(&self, v: Tensor<R>) -> Tensor<4> {
        let [lanes, tokens, _, width] = self.x.dims();
        v.reshape([lanes, 1, tokens, width])
    }
}

/// `pre x`, `[B, T, 1, D]`.
fn read(x: &Tensor<4>, coefficients: &Coefficients) -> Tensor<4> {
    let [lanes, tokens, streams, width] = x.dims();
    let pre = coefficients.pre.clone().reshape([lanes * tokens, 1, streams]);
    pre.matmul(of_tokens(x)).reshape([lanes, tokens, 1, width])
}

/// `res x + post (outer) y`, for `y` of `[B, 1, T, D]`.
fn write(x: &Tensor<4>, coefficients: &Coefficients, y: Tensor<4>) -> Tensor<4> {
    let [lanes, tokens, streams, width] = x.dims();
    let post = coefficients.post.clone().reshape([lanes, tokens, streams, 1]);
    let added = y.reshape([lanes, tokens, 1, width]) * post;
    let mixed = coefficients.res.clone().matmul(of_tokens(x));
    mixed.reshape([lanes, tokens, streams, width]) + added
}

/// The streams of each token, `[B*T, n, D]`.
fn of_tokens(x: &Tensor<4>) -> Tensor<3> {
    let [lanes, tokens, streams, width] = x.dims();
    x.clone().reshape([lanes * tokens, streams, width])
}

impl Stream for Hyper {
    fn input(&mut self) -> Tensor<4> {
        let coefficients = self.mapping.coefficients(&self.x, self.level, self.norm.eps());
        let input = self.norm.of(self.as_stream(read(&self.x, &coefficients)));
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
        let x = write(&self.x, &coefficients, branch);
        self.x = if self.is_static { self.norm.of(x) } else { x };
        self.level += 1;
    }

    fn output(&self) -> Tensor<4> {
        self.norm.of(self.as_stream(self.x.clone().mean_dim(2)))
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
