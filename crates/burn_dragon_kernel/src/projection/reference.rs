//! The definition of [`projection`](super::projection()).

use burn::tensor::{Tensor, activation::relu};

/// `relu(v W)`; shapes as in [`projection`](super::projection()).
pub fn projection(v: Tensor<4>, weight: Tensor<3>) -> Tensor<4> {
    relu(v.matmul(weight.unsqueeze())) // [B, H, T, N]
}
