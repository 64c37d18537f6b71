//! The definition of the sum of squares.

use burn::tensor::Tensor;

/// `sum of x^2` in plain tensor operations and in the tensor's own precision.
pub fn sum_of_squares(x: Tensor<1>) -> f64 {
    x.square().sum().into_scalar::<f64>()
}
