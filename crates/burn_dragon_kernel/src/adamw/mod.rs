//! AdamW (Loshchilov and Hutter, 2019): one step of a parameter and its moments.
//!
//! ```text
//! g = scale gradient
//! m = beta_1 m + (1 - beta_1) g        v = beta_2 v + (1 - beta_2) g^2
//! w = w (1 - rate decay) - rate (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + eps)
//! ```
//!
//! On the processor in f32 it is one pass over the four arrays, in place where nobody else holds them (`cpu.rs`);
//! elsewhere a composition of tensor operations (`reference.rs`). Both round alike: their results are equal.

mod cpu;
pub mod reference;

use crate::flex::is_plain;
use burn::tensor::Tensor;

/// The numbers of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// How many steps were taken, this one included: 1 for the first.
    pub count: i32,
    /// Step size.
    pub rate: f64,
    /// Memory of the first moment, in `[0, 1)`.
    pub beta_1: f64,
    /// Memory of the second moment, in `[0, 1)`.
    pub beta_2: f64,
    /// What is added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay.
    pub decay: f64,
    /// Factor on the gradient: that of a mean, of clipping.
    pub scale: f64,
}

/// What AdamW remembers of a parameter, `[P]` each.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Running mean of the gradient.
    pub first: Tensor<1>,
    /// Running mean of its square.
    pub second: Tensor<1>,
}

impl Moments {
    /// Moments of a parameter that never had a gradient.
    pub fn zeros_like(value: &Tensor<1>) -> Self {
        Self {
            first: value.zeros_like(),
            second: value.zeros_like(),
        }
    }
}

/// One step: the new value of a parameter, and its new moments.
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
    if [&value, &gradient, &moments.first, &moments.second]
        .into_iter()
        .all(is_plain)
    {
        cpu::adamw(value, gradient, moments, step)
    } else {
        reference::adamw(value, gradient, moments, step)
    }
}

#[cfg(test)]
mod tests;
