//! AdamW (Loshchilov and Hutter, 2019): one step of a parameter and its moments.
//!
//! ```text
//! g = scale gradient
//! m = beta_1 m + (1 - beta_1) g        v = beta_2 v + (1 - beta_2) g^2
//! w = w (1 - rate decay) - rate (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + eps)
//! ```
//!
//! On the processor in f32 it is one pass over the four arrays, in place unless another tensor shares them (`cpu.rs`).
//! Elsewhere it is a composition of tensor operations (`reference.rs`). Both round in the same way: their results are
//! equal.

pub(crate) mod cpu;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(crate) mod cube;
pub mod reference;

pub use crate::backend::adamw::AdamWStep;

use crate::backend::{DragonBackend, Operation, on_backends};
use burn::tensor::Tensor;

/// Moments of a parameter, the state of AdamW, `[P]` each.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Running mean of the gradient.
    pub first: Tensor<1>,
    /// Running mean of its square.
    pub second: Tensor<1>,
}

impl Moments {
    /// Zero moments, for a parameter before its first step.
    pub fn zeros_like(value: &Tensor<1>) -> Self {
        Self {
            first: value.zeros_like(),
            second: value.zeros_like(),
        }
    }
}

/// One AdamW step: the new value of a parameter, and its new moments.
///
/// # Shapes
/// - `value`, `gradient`, moments, outputs: `[P]`, without autodiff
///
/// # Panics
/// If the sizes differ.
pub fn adamw(
    value: Tensor<1>,
    gradient: Tensor<1>,
    moments: Moments,
    step: &AdamWStep,
) -> (Tensor<1>, Moments) {
    let size = value.dims();
    crate::assert_shape("adamw", "the gradient", gradient.dims(), size);
    crate::assert_shape("adamw", "the first moment", moments.first.dims(), size);
    crate::assert_shape("adamw", "the second moment", moments.second.dims(), size);
    on_backends!(B, input = (value, gradient, moments) => on_backend::<B>(input, step))
        .unwrap_or_else(|(value, gradient, moments)| reference::adamw(value, gradient, moments, step))
}

type Input = (Tensor<1>, Tensor<1>, Moments);

/// The step of tensors without autodiff on a backend; the input again where they are not.
fn on_backend<B: DragonBackend>(
    (value, gradient, moments): Input,
    step: &AdamWStep,
) -> Result<(Tensor<1>, Moments), Input> {
    let takes = |tensor: &Tensor<1>| {
        !tensor.is_autodiff() && B::computes(Operation::AdamW, tensor.dtype()) && B::has(tensor)
    };
    let all = [&value, &gradient, &moments.first, &moments.second];
    if !all.into_iter().all(takes) {
        return Err((value, gradient, moments));
    }
    let tensors = [value, gradient, moments.first, moments.second].map(|tensor| match B::take(tensor) {
        Ok(tensor) => tensor.numbers,
        Err(_) => unreachable!("all are here"),
    });
    let [value, first, second] = B::adamw(tensors, step).map(B::give::<1>);
    Ok((value, Moments { first, second }))
}

#[cfg(test)]
mod tests;
