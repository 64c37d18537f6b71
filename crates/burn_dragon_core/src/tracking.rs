//! Tensors with and without autodiff in one computation.

use burn::tensor::Tensor;

/// A tensor with autodiff where another has it: a constant.
pub(crate) fn alike(tensor: Tensor<4>, other: &Tensor<4>) -> Tensor<4> {
    match other.is_autodiff() && !tensor.is_autodiff() {
        true => tensor.autodiff(),
        false => tensor,
    }
}

/// A tensor without autodiff where another has none.
pub(crate) fn constant_as(tensor: Tensor<4>, other: &Tensor<4>) -> Tensor<4> {
    match tensor.is_autodiff() && !other.is_autodiff() {
        true => tensor.inner(),
        false => tensor,
    }
}
