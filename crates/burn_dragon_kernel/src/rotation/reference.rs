//! Definition of the rotation.

use super::Rotation;
use burn::tensor::Tensor;

/// `(a, b) -> (a cos - b sin, b cos + a sin)` for adjacent pairs; shapes as in [`Rotation::rotate`].
pub fn rotate(x: Tensor<4>, rotation: &Rotation) -> Tensor<4> {
    let [lanes, heads, tokens, neurons] = x.dims();
    let pairs = x.reshape([lanes, heads, tokens, neurons / 2, 2]);
    let first = pairs.clone().narrow(4, 0, 1).squeeze_dim::<4>(4); // [B, H, T, N/2]
    let second = pairs.narrow(4, 1, 1).squeeze_dim::<4>(4);
    let (cos, sin) = (rotation.cos.clone(), rotation.sin.clone());
    let turned_first = first.clone() * cos.clone() - second.clone() * sin.clone();
    let turned_second = second * cos + first * sin;
    Tensor::stack::<5>(vec![turned_first, turned_second], 4).reshape([lanes, heads, tokens, neurons])
}
