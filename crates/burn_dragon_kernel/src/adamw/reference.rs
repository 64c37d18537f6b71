//! Definition of a step of AdamW.

use super::{AdamWStep, Moments};
use burn::tensor::Tensor;

/// One step in plain tensor operations; see [`adamw`](super::adamw).
pub fn adamw(
    value: Tensor<1>,
    gradient: Tensor<1>,
    moments: Moments,
    step: &AdamWStep,
) -> (Tensor<1>, Moments) {
    let gradient = gradient * step.scale;
    let squared = gradient.clone().square();
    let first = moments.first * step.beta_1 + gradient * (1.0 - step.beta_1);
    let second = moments.second * step.beta_2 + squared * (1.0 - step.beta_2);
    let root = (second.clone() * step.unbias(step.beta_2)).sqrt() + step.eps;
    let direction = first.clone() * (step.rate * step.unbias(step.beta_1)) / root;
    let value = value * (1.0 - step.rate * step.decay) - direction;
    (value, Moments { first, second })
}

impl AdamWStep {
    /// Bias correction of a moment that started at zero: `1 / (1 - beta^t)`.
    pub(super) fn unbias(&self, beta: f64) -> f64 {
        1.0 / (1.0 - beta.powi(self.count))
    }
}
