//! The definition of [`gated_projection`](super::gated_projection()).

use burn::tensor::{Tensor, activation::relu};

/// `relu(a W) * x`; shapes as in [`gated_projection`](super::gated_projection()).
pub fn gated_projection(a: Tensor<4>, weight: Tensor<3>, x: Tensor<4>) -> Tensor<4> {
    relu(a.matmul(weight.unsqueeze())) * x // [B, H, T, N]
}
