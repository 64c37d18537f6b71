//! Steps of hyper-connections: n streams of each token, of which a level reads a mixture and to which it writes.
//!
//! ```text
//! logits    z = (vec(x) P) / rms(vec(x)) + bias,  rms(a) = sqrt(mean(a^2) + eps)
//! read      h = sum over s of pre_s x_s
//! write     x'_r = sum over s of res_rs x_s + post_r y
//! ```
//!
//! Coefficients are made of the logits elsewhere: what they are is a matter of the model (arXiv:2512.24880, section 4).
//!
//! On the processor in f32 each step is one pass over the tokens on all threads, and its gradient is written by hand: it
//! keeps nothing but its inputs (`cpu.rs`, `cpu/`). The streams are multiplied as they are and their products divided by the
//! length, so that no normed copy of them is written. Elsewhere the steps are tensor operations (`reference.rs`).
//!
//! Shapes use M for the number of tokens of all lanes, n for that of streams and K for that of logits.

mod backward;
pub(crate) mod cpu;
pub mod reference;

use crate::assert_shape;
use crate::backend::on_backends;
use burn::tensor::Tensor;

/// A step, as a backend computes it. Its inputs are in the order of the functions below.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HyperStep {
    /// [`hyper_logits`].
    Logits {
        /// Added to the mean square.
        eps: f64,
    },
    /// [`hyper_read`].
    Read,
    /// [`hyper_write`].
    Write,
}

/// Logits of each token's coefficients.
///
/// # Shapes
/// - `x`: `[M, n, D]`
/// - `projection`: `[n D, K]`
/// - `bias`: `[1, K]`
/// - output: `[M, K]`
///
/// # Panics
/// If the shapes do not fit together.
pub fn hyper_logits(x: Tensor<3>, projection: Tensor<2>, bias: Tensor<2>, eps: f64) -> Tensor<2> {
    let ([_, streams, width], [_, count]) = (x.dims(), bias.dims());
    let size = [streams * width, count];
    assert_shape("hyper_logits", "projection", projection.dims(), size);
    assert_shape("hyper_logits", "bias", bias.dims(), [1, count]);
    on_backends!(B, input = (x, projection, bias) => backward::logits::<B>(input, eps))
        .unwrap_or_else(|(x, projection, bias)| reference::hyper_logits(x, projection, bias, eps))
}

/// What a level reads of the streams.
///
/// # Shapes
/// - `x`: `[M, n, D]`
/// - `pre`: `[M, n]`
/// - output: `[M, D]`
///
/// # Panics
/// If the shapes do not fit together.
pub fn hyper_read(x: Tensor<3>, pre: Tensor<2>) -> Tensor<2> {
    let [tokens, streams, _] = x.dims();
    assert_shape("hyper_read", "pre", pre.dims(), [tokens, streams]);
    on_backends!(B, input = (x, pre) => backward::read::<B>(input))
        .unwrap_or_else(|(x, pre)| reference::hyper_read(x, pre))
}

/// The streams after a level has written to them.
///
/// # Shapes
/// - `x`, output: `[M, n, D]`
/// - `res`: `[M, n, n]`, a row for each stream that is written
/// - `post`: `[M, n]`
/// - `y`: `[M, D]`
///
/// # Panics
/// If the shapes do not fit together.
pub fn hyper_write(x: Tensor<3>, res: Tensor<3>, post: Tensor<2>, y: Tensor<2>) -> Tensor<3> {
    let [tokens, streams, width] = x.dims();
    assert_shape("hyper_write", "res", res.dims(), [tokens, streams, streams]);
    assert_shape("hyper_write", "post", post.dims(), [tokens, streams]);
    assert_shape("hyper_write", "y", y.dims(), [tokens, width]);
    on_backends!(B, input = (x, res, post, y) => backward::write::<B>(input))
        .unwrap_or_else(|(x, res, post, y)| reference::hyper_write(x, res, post, y))
}

#[cfg(test)]
mod tests;
